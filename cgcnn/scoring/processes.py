"""Chunks in several processes of this machine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import polars as pl
import torch

from ..memory import keep_freed_memory
from ..model import load_model
from .chunk import Job, score_chunk
from .tables import ScoringError

Chunk = tuple[int, int, pl.DataFrame]  # its number, its first row, its rows


def in_processes(job: Job, chunks: Iterable[Chunk], workers: int) -> Iterator[int]:
    """Score chunks in so many processes; yields the number of rows of every chunk that is done, in any order.

    One thread waits for each process; this one reads the data set, no faster than the chunks are used up.
    Raises ScoringError where a process ends before its time, OSError where it cannot write.
    """
    free = [Worker(job) for _ in range(workers)]
    everyone = list(free)
    running = {}

    def finished():
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            worker, rows = running.pop(future)
            future.result()
            free.append(worker)
            yield rows

    try:
        with ThreadPoolExecutor(workers) as threads:
            try:
                for number, first_row, rows in chunks:
                    while not free:
                        yield from finished()
                    worker = free.pop()
                    running[threads.submit(worker.score, number, first_row, rows)] = worker, len(rows)
                while running:
                    yield from finished()
            except BaseException:
                for worker in everyone:  # or the threads would wait for them
                    worker.stop()
                raise
    finally:
        for worker in everyone:
            worker.stop()


class Worker:
    """A process that scores chunks.

    A plain child that reads from a pipe, not `multiprocessing`: that would import the program's main script again,
    which under Streamlit is the page, and leave orphans behind when the parent is killed; here they see the end of
    the pipe.
    """

    def __init__(self, job: Job):
        here = str(Path(__file__).resolve().parents[2])
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),
            "PYTHONWARNINGS": "ignore",  # they can quote a file
            "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from cgcnn.scoring.processes import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # an interrupt from the keyboard is for the parent
        )
        self._job: Job | None = job  # sent with the first chunk

    def _send(self, message: object) -> None:
        pickle.dump(message, self._process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
        self._process.stdin.flush()

    def score(self, number: int, first_row: int, rows: pl.DataFrame) -> None:
        try:
            if self._job is not None:
                self._send(self._job)
                self._job = None
            self._send((number, first_row, rows))
            error = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError, ValueError, pickle.UnpicklingError):
            raise ScoringError(
                "a worker process ended before its chunk was done, perhaps for lack of memory; "
                "start again with a smaller --chunk or fewer --workers"
            ) from None
        if isinstance(error, OSError):
            raise error
        if error:
            raise RuntimeError(f"scoring rows {first_row + 1} to {first_row + len(rows)} failed\n{error}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # of what was still to be sent
                pipe.close()


def serve() -> None:
    """Main function of a worker: a job, then chunks, from standard input until it ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the replies
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        job = pickle.load(requests)
        model = load_model(job.model, torch.float32)
        while True:
            chunk = pickle.load(requests)
            try:
                score_chunk(job, model, *chunk)
                error = None
            except OSError as failed:  # a full disk, say: a sentence
                error = failed
            except Exception:
                import traceback

                error = traceback.format_exc()
            pickle.dump(error, replies)
            replies.flush()
    except (EOFError, BrokenPipeError):
        return  # the parent is gone or has no more
