"""`score`: chunk after chunk, where an earlier run was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import torch

from ..datasets import DatasetError, find_target
from ..files import only_one
from ..model import Model, load_model, model_folder
from ..sources import Source, open_source
from .chunk import Job, score_chunk
from .folder import as_claimed, claim, finish, rows_done
from .processes import Chunk, in_processes
from .tables import Scores, ScoringError, chunks_done, read_about


def score(
    dataset: str | Path,
    model: str | Path,
    out: str | Path,
    *,
    target: str | None = None,
    chunk: int | None = None,
    max_sites: int = 1000,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    wait: bool = False,
) -> Scores:
    """Score a data set with a model; goes on where an earlier run with the same arguments was stopped.

    dataset: in any format of `sources.open_source`; model: name or folder; out: folder of the tables
    target: column to keep beside the prediction; found by itself where that is clear, and not needed
    chunk: rows that are written together, by default a fitting number; max_sites: larger cells are listed as unreadable
    workers: processes, one a core by default; 1 works in this process
    cluster: "local" or the address of a Ray cluster, whose processes then do the work, see `cluster`
    progress: called with (rows done, rows in all) after every chunk, first with what an earlier run did
    wait: where another process is scoring into the same folder, for its end
    Raises DatasetError, ModelError, ScoringError, ClusterError; Busy where another process is scoring into the same
    folder; OSError where it cannot be written.
    """
    out = Path(out)
    source = open_source(dataset)
    if not source.rows:
        raise DatasetError(f"{source.name} has no rows; it should hold one crystal a row")
    folder = model_folder(model)
    loaded = load_model(folder, torch.float32)
    target = find_target(source, target, loaded.card.target.name, needed=False)
    wanted = (source, loaded, target, chunk, max_sites)
    if (read_about(out) or {}).get("complete"):  # nothing to write: the folder may be one that cannot be written
        return as_claimed(out, claim(out, *wanted))
    if out.exists() and not out.is_dir():
        raise ScoringError(f"{out} is a file; name a new folder with --out")
    out.mkdir(parents=True, exist_ok=True)

    def watch() -> None:
        if progress and (about := read_about(out)):
            progress(rows_done(out, about["chunk"], source.rows), source.rows)

    with only_one(out, watch if wait else None):
        about = claim(out, *wanted)
        if not about["complete"]:
            columns = (about["target in the data"], about["target column"], about["split"])
            job = Job(str(folder), str(out), *columns, max_sites)
            _score(job, loaded, source, about, workers, cluster, progress)
    return as_claimed(out, about)


def _score(
    job: Job,
    loaded: Model,
    source: Source,
    about: dict,
    workers: int | None,
    cluster: str | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """What an earlier run has left of a folder that is claimed."""
    out, size = Path(job.out), about["chunk"]
    done = chunks_done(out)
    todo = [k for k in range(-(-source.rows // size)) if k not in done]
    finished = rows_done(out, size, source.rows)
    started = time.monotonic()
    if progress:
        progress(finished, source.rows)
    for rows in _scored(job, loaded, source, size, todo, workers, cluster):
        finished += rows
        if progress:
            progress(finished, source.rows)
    finish(out, about, source.rows, time.monotonic() - started)


def _chunks(source: Source, size: int, todo: Iterable[int]) -> Iterator[Chunk]:
    """The chunks that are to be done."""
    wanted = set(todo)
    if not wanted:
        return
    first, last = min(wanted), max(wanted)
    for number, rows in enumerate(source.chunks(size, first * size), start=first):
        if number in wanted:
            yield number, number * size, rows
        if number == last:
            return


def _scored(
    job: Job, model: Model, source: Source, size: int, todo: list[int], workers: int | None, cluster: str | None
) -> Iterator[int]:
    """Numbers of rows of the chunks as they get done."""
    if cluster and todo:
        from .cluster import chunks_on_cluster

        return chunks_on_cluster(partial(score_chunk, job), model, source, size, todo, workers, cluster)
    workers = min(workers or len(os.sched_getaffinity(0)), len(todo))
    chunks = _chunks(source, size, todo)
    return in_processes(job, chunks, workers) if workers > 1 else _here(job, model, chunks)


def _here(job: Job, model: Model, chunks: Iterable[Chunk]) -> Iterator[int]:
    for number, first_row, rows in chunks:
        score_chunk(job, model, number, first_row, rows)
        yield len(rows)
