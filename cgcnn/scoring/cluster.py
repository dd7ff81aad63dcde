"""Scoring on a cluster: chunks of a data set, on the actors of Ray Data.

Only numbers of chunks travel. Every actor opens the data set itself, scores a chunk and writes it, so the data set and
the folder of the tables must lie on a path that all machines of the cluster share; the model and this package are sent
along. Ray starts a worker that died again and gives its chunks to another.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import torch

from ..files import FULL, in_words
from ..memory import keep_freed_memory
from ..model import Model
from ..sources import DatasetError, Source, open_source

LOCAL = "local"
_RETRIES = 3  # of a chunk whose worker died
_PATIENCE = 5  # seconds until a cluster answers
_OBJECT_STORE = 100 * 2**20  # bytes; next to nothing travels, and Ray would take a third of the memory
_SHARED = "the data set and --out must lie on a path that all machines of the cluster share"
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}


class ClusterError(ValueError):
    """A cluster that cannot do the work; the message says why and what to do."""


def chunks_on_cluster(
    score_chunk: Callable[[Model, int, int, pl.DataFrame], None],
    model: Model,
    source: Source,
    size: int,
    todo: Sequence[int],
    workers: int | None,
    address: str,
) -> Iterator[int]:
    """Score chunks on a cluster; yields the number of rows of every chunk that is done, in any order.

    score_chunk: of (model, number of the chunk, its first row, rows), which writes its files
    size: rows of a chunk; todo: numbers of chunks; workers: actors, one for each processor by default
    address: `LOCAL` for this machine, or that of a running cluster as `ray start` prints it
    Raises ClusterError.
    """
    with _connected(address, workers) as ray:
        workers = min(workers or int(ray.cluster_resources().get("CPU", 1)), len(todo))
        arguments = (score_chunk, model, str(source.path.resolve()), source.fingerprint(), size)
        chunks = ray.data.from_items([{"number": number} for number in todo], override_num_blocks=len(todo))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the number of retries, for ever by default, will get another name
            done = chunks.map(
                _Scorer,
                fn_constructor_args=arguments,
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_cpus=1,
                max_task_retries=_RETRIES,
            )
        try:
            for row in done.iter_rows():
                if row["problem"]:
                    raise ClusterError(row["problem"])
                if row["traceback"]:
                    first = size * row["number"]
                    raise RuntimeError(f"scoring rows {first + 1} to {first + size} failed\n{row['traceback']}")
                yield row["rows"]
        except ray.exceptions.RayError as error:
            raise ClusterError(_in_words(error)) from error


@contextmanager
def _connected(address: str, workers: int | None):
    """The module ray, connected to a cluster; one that is connected already is used and left as it is."""
    # Before Ray is imported: it would phone home, and prints what it then mends by itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError(
            f"--cluster {address} needs Ray, which is not installed; pip install -r requirements-cluster.txt"
        ) from error
    own = not ray.is_initialized()
    if own:
        local = {"num_cpus": workers, "object_store_memory": _OBJECT_STORE, "include_dashboard": False}
        try:
            _check_that_somebody_answers(address)
            ray.init(
                address=address,
                runtime_env={"env_vars": _ENVIRONMENT, "py_modules": [str(Path(__file__).resolve().parents[1])]},
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(local if address == LOCAL else {}),
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ClusterError(
                f"no Ray cluster answers at {address!r} ({_first_line(error)}); give the address that `ray start "
                f"--head` printed, such as 10.0.0.1:6379, or --cluster {LOCAL} for this machine"
            ) from error
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray
    finally:
        if own:
            ray.shutdown()


def _check_that_somebody_answers(address: str) -> None:
    """Raise OSError or ValueError if nobody does; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


class _Scorer:
    """An actor, which keeps the model and its place in the data set from chunk to chunk."""

    def __init__(self, score_chunk, model: Model, path: str, fingerprint: str, size: int):
        torch.set_num_threads(1)
        keep_freed_memory()
        self.score_chunk, self.model, self.path, self.fingerprint, self.size = (
            score_chunk, model, path, fingerprint, size,
        )  # fmt: skip
        self.chunks: _Chunks | None = None

    def __call__(self, row: dict) -> dict:
        """{"number"} -> {"number", "rows", "problem", "traceback"}; an exception would only be tried again."""
        number = row["number"]
        found = {"number": number, "rows": 0, "problem": "", "traceback": ""}
        try:
            rows = self._opened()[number]
            self.score_chunk(self.model, number, number * self.size, rows)
            return {**found, "rows": len(rows)}
        except (DatasetError, OSError) as error:
            said = in_words(error) if isinstance(error, OSError) else str(error)
            way_out = "" if getattr(error, "errno", None) in FULL else f"; {_SHARED}"
            return {**found, "problem": f"on {platform.node()}: {said}{way_out}"}
        except Exception:
            return {**found, "traceback": traceback.format_exc()}

    def _opened(self) -> _Chunks:
        if self.chunks is None:
            source = open_source(self.path)
            if source.fingerprint() != self.fingerprint:
                raise DatasetError(f"{self.path} is another file there")
            self.chunks = _Chunks(source, self.size)
        return self.chunks


class _Chunks:
    """Chunks of a data set by number.

    Ray hands out the numbers in rising order, so a file that can only be read from its start is read once by every
    actor, not once for every chunk.
    """

    def __init__(self, source: Source, size: int):
        self.source, self.size = source, size
        self.next = None

    def __getitem__(self, number: int) -> pl.DataFrame:
        if self.next is None or number < self.next or self.source.seekable:
            self.chunks, self.next = self.source.chunks(self.size, number * self.size), number
        while True:
            rows = next(self.chunks, None)
            if rows is None:
                raise DatasetError(f"{self.source.name} ends before row {number * self.size + 1}")
            self.next += 1
            if self.next > number:
                return rows


def _in_words(error: Exception) -> str:
    if "creation task" in str(error):
        cause = str(error).strip().splitlines()[-1]
        return f"workers do not start ({cause}); Ray's Python needs requirements.txt installed on every machine"
    return (
        f"workers died {_RETRIES + 1} times over the same chunk, perhaps for lack of memory ({_first_line(error)}); "
        "start again with a smaller --chunk or fewer --workers"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
