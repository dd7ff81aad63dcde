"""Contributions of whole data sets: a data set and a model -> a folder of Parquet tables, one row a site.

    OUT/score.json         what was scored with what, and how many
    OUT/crystals/*.parquet one row a crystal
    OUT/sites/*.parquet    one row a site
    OUT/unreadable.csv     rows that gave no crystal, with the reason

The data set is cut into chunks of rows, and each chunk ends in one file of either table. They are written under
another name first, so a chunk with both its files is done; a run that was killed goes on with the others. A lock keeps
two runs from working in the same folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from math import gcd
from pathlib import Path

import numpy as np
import polars as pl
import torch

from .cell import SYMBOLS
from .contributions import references
from .coordination import coordination
from .datasets import DatasetError, build_rows, column_numbers, column_splits, find_target
from .files import only_one, write_whole
from .graph import PackedGraphs
from .model import Model, load_model, model_folder
from .perovskite import ROLES
from .sources import Source, open_source, row_names

SITE_SCHEMA = {
    "row": pl.Int64,
    "material_id": pl.String,
    "site": pl.Int32,
    "element": pl.String,
    "role": pl.String,
    "coordination": pl.Int32,
    "nearest_anion": pl.String,
    "contribution": pl.Float32,
    "relative": pl.Float32,
    "sd": pl.Float32,
    "members": pl.List(pl.Float32),
    "raw_members": pl.List(pl.Float32),
}
CRYSTAL_SCHEMA = {
    "row": pl.Int64,
    "material_id": pl.String,
    "formula": pl.String,
    "elements": pl.List(pl.String),
    "n_sites": pl.Int32,
    "perovskite": pl.Boolean,
    "energy": pl.Float64,
    "sd": pl.Float64,
}
VERSION = 2  # of the tables
_CHUNK = 2048  # rows
_ROWS_AT_ONCE = 256  # of a chunk, which bounds the memory
_SITES_AT_ONCE = 8192  # in a batch, which bounds the memory where cells are large
_SYMBOL = np.array([None, *SYMBOLS[1:]], dtype=object)
_ROLE = np.array([*ROLES, None], dtype=object)


class ScoringError(ValueError):
    """A folder of scores that cannot be written to or read; the message says why and what to do."""


@dataclass(frozen=True)
class Scores:
    """What `score` wrote.

    sites: one row a site, columns of `SITE_SCHEMA`
        row: of the crystal in the data set, counted from 0, which joins the two tables; material_id: its name there
        site: counted from 0; element: symbol; role: A, B or X of a perovskite, else null
        coordination, nearest_anion: see `coordination`; the anion is null where the site is no cation
        contribution: eV per site, raw, mean over the members; relative: to the reference of `contributions.references`
        sd: of `relative` over the members; members: `relative` of each of them, raw_members: `contribution` of each;
        null for a model of one
    crystals: one row a crystal, columns of `CRYSTAL_SCHEMA`, the target under its own name, and `split`
        formula: reduced, of a perovskite in the order A, B, X; elements: symbols; n_sites; perovskite: sites have roles
        energy: prediction, eV/atom; sd: its error bar, see `Model.energy_sd`, null for a model of one
    about: content of `score.json`; "target column" names the column of the target in `crystals`, None without one;
        "path": where the data set was
    """

    folder: Path
    sites: pl.LazyFrame
    crystals: pl.LazyFrame
    about: dict

    @property
    def target(self) -> str | None:
        """Column of the target in `crystals`, None for a data set without one."""
        return self.about["target column"]

    @property
    def key(self) -> str:
        """Changes with everything that the tables depend on: data, model, reference, and how far a run has come."""
        parts = [str(self.folder.resolve()), len(_chunks_done(self.folder)), self.about]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def load_scores(folder: str | Path) -> Scores:
    """The tables of a folder that `score` wrote, lazily; of an unfinished one the chunks that are done.

    Raises ScoringError.
    """
    folder = Path(folder)
    about = _read_about(folder)
    if about is None:
        raise ScoringError(f"{folder} is no folder that `score` wrote; give the one named with --out")
    if about.get("version") != VERSION:
        raise ScoringError(f"{folder} was written by another version of this software; score the data set again")
    done = sorted(_chunks_done(folder))
    crystal_schema = _crystal_schema(about["target column"], about["split"])

    def table(name: str, schema: dict) -> pl.LazyFrame:
        files = [folder / name / _file_name(k) for k in done]
        return pl.scan_parquet(files, schema=schema) if files else pl.LazyFrame(schema=schema)

    return Scores(folder, table("sites", SITE_SCHEMA), table("crystals", crystal_schema), about)


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
    chunk: rows that are written together; max_sites: larger cells are listed as unreadable
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
    if (_read_about(out) or {}).get("complete"):  # nothing to write: the folder may be one that cannot be written
        return _as_claimed(out, _claim(out, *wanted))
    if out.exists() and not out.is_dir():
        raise ScoringError(f"{out} is a file; name a new folder with --out")
    out.mkdir(parents=True, exist_ok=True)

    def watch() -> None:
        if progress and (about := _read_about(out)):
            progress(_rows_done(out, about["chunk"], source.rows), source.rows)

    with only_one(out, watch if wait else None):
        about = _claim(out, *wanted)
        if not about["complete"]:
            columns = (about["target in the data"], about["target column"], about["split"])
            job = _Job(str(folder), str(out), *columns, max_sites)
            _score(job, loaded, source, about, workers, cluster, progress)
    return _as_claimed(out, about)


def _score(
    job: _Job,
    loaded: Model,
    source: Source,
    about: dict,
    workers: int | None,
    cluster: str | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """What an earlier run has left of a folder that is claimed."""
    out, size = Path(job.out), about["chunk"]
    done = _chunks_done(out)
    todo = [k for k in range(-(-source.rows // size)) if k not in done]
    rows_done = _rows_done(out, size, source.rows)
    started = time.monotonic()
    if progress:
        progress(rows_done, source.rows)
    for rows in _scored(job, loaded, source, size, todo, workers, cluster):
        rows_done += rows
        if progress:
            progress(rows_done, source.rows)
    _finish(out, about, source.rows, time.monotonic() - started)


# --- the folder -------------------------------------------------------------------------------------------------------


def _file_name(chunk: int) -> str:
    return f"{chunk:06d}.parquet"


def _chunks_done(out: Path) -> set[int]:
    files = [{int(f.stem) for f in (out / table).glob("[0-9]*.parquet")} for table in ("sites", "crystals")]
    return files[0] & files[1]


def _rows_done(out: Path, size: int, rows: int) -> int:
    return sum(max(0, min(size, rows - k * size)) for k in _chunks_done(out))


def _read_about(out: Path) -> dict | None:
    file = out / "score.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ScoringError(f"{file} cannot be read ({error}); score into a new folder") from error
    if not isinstance(about, dict):
        raise ScoringError(f"{file} is not what `score` writes; score into a new folder")
    return about


def _claim(out: Path, source: Source, model: Model, target: str | None, chunk: int | None, max_sites: int) -> dict:
    """Content of score.json. Raises ScoringError where the folder holds something else."""
    if chunk is not None and chunk < 1:
        raise ScoringError(f"{chunk=} must be at least 1")
    earlier = _read_about(out)
    about = {
        "version": VERSION,
        "model": model.card.name,
        "model hash": model.hash,
        "head": model.card.head,
        "members": len(model.members),
        "scale of energy sd": model.card.calibration.get("scale", 1.0),
        "predicts": asdict(model.card.target),
        "colour limit": model.card.colour_limit,
        "reference": model.card.reference,
        "gauge": model.card.gauge.get("shift"),
        "data fingerprint": source.fingerprint(),
        "rows": source.rows,
        "target in the data": target,
        "target column": f"{target} (data)" if target in CRYSTAL_SCHEMA or target == "split" else target,
        "split": "split" in source.columns,
        "max sites": max_sites,
        "chunk": chunk or (earlier or {}).get("chunk") or _CHUNK,
    }
    where = {"data": source.name, "path": str(source.path.resolve())}  # may change between two runs
    if earlier is None:
        if any(file.name != ".lock" and not _left_over(file) for file in out.iterdir()):
            raise ScoringError(f"{out} holds other files; name a new folder with --out")
        for table in ("sites", "crystals"):
            (out / table).mkdir(parents=True, exist_ok=True)
        about = {**about, **where, "complete": False}
        _write_about(out, about)
        return about
    differing = [name for name in about if about[name] != earlier.get(name)]
    if differing:
        shown = ", ".join(f"{name} {earlier.get(name)}" for name in differing)
        raise ScoringError(f"{out} holds scores of another run ({shown}); name a new folder with --out, or delete it")
    if earlier | where != earlier:
        earlier |= where
        with suppress(OSError):  # not worth an error where the folder is there to be read only
            _write_about(out, earlier)
    return earlier


def _as_claimed(out: Path, about: dict) -> Scores:
    """The scores under the name that the data have here; meanwhile somebody may have asked for the same as another."""
    found = load_scores(out)
    return replace(found, about=found.about | {name: about[name] for name in ("data", "path")})


def _left_over(file: Path) -> bool:
    """Whether a run that was killed has left this; it began with the folders of the tables."""
    empty = file.name in ("sites", "crystals") and file.is_dir() and not any(file.iterdir())
    return empty or file.suffix == ".part"


def _write_about(out: Path, about: dict) -> None:
    write_whole(out / "score.json", (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())


def _finish(out: Path, about: dict, rows: int, seconds: float) -> None:
    """List what could not be read, count, and mark the folder as complete."""
    unreadable = []
    counts = Counter()
    for k in sorted(_chunks_done(out)):
        unreadable += json.loads(pl.read_parquet_metadata(out / "crystals" / _file_name(k))["unreadable"])
        for table in ("sites", "crystals"):
            counts[table] += pl.scan_parquet(out / table / _file_name(k)).select(pl.len()).collect().item()
    if counts["crystals"] + len(unreadable) != rows:
        raise ScoringError(f"{about['data']} changed while it was scored; delete {out} and start again")
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("name", "reason"))
    writer.writerows(unreadable)
    write_whole(out / "unreadable.csv", file.getvalue().encode())
    for left in [*out.glob(".*.part"), *out.glob("*/.*.part")]:
        left.unlink(missing_ok=True)
    counts = {**counts, "unreadable": len(unreadable), "seconds": round(seconds, 1)}
    _write_about(out, {**about, "complete": True, **counts})


# --- one chunk --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """What is the same for every chunk."""

    model: str
    out: str
    target: str | None
    target_column: str | None
    split: bool
    max_sites: int


def _crystal_schema(target_column: str | None, split: bool) -> dict:
    schema = dict(CRYSTAL_SCHEMA)
    if target_column:
        schema[target_column] = pl.Float64
    if split:
        schema["split"] = pl.String
    return schema


def _score_chunk(job: _Job, model: Model, number: int, first_row: int, rows: pl.DataFrame) -> None:
    """Write the two files of a chunk."""
    sites, crystals, unreadable = [], [], []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        built = build_rows(part, model.graph_settings, first_row + start, job.max_sites)
        unreadable += built.unreadable
        if len(built.kept):
            site_table, crystal_table = _tables(job, model, part, first_row + start, built)
            sites.append(site_table)
            crystals.append(crystal_table)
    out = Path(job.out)
    schema = _crystal_schema(job.target_column, job.split)
    _write(out / "sites" / _file_name(number), sites, SITE_SCHEMA)
    _write(out / "crystals" / _file_name(number), crystals, schema, {"unreadable": json.dumps(unreadable)})


def _write(file: Path, tables: list[pl.DataFrame], schema: dict, metadata: dict[str, str] | None = None) -> None:
    table = pl.concat(tables) if tables else pl.DataFrame(schema=schema)
    content = io.BytesIO()
    table.write_parquet(content, metadata=metadata)
    write_whole(file, content.getbuffer())


def _tables(job: _Job, model: Model, rows: pl.DataFrame, first_row: int, built) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Site and crystal table of what was read of some rows."""
    graphs, roles = built.graphs, built.roles
    energies, values = _predict(model, graphs)
    relative = values - references(model, energies, roles, graphs.sites, graphs.atomic_numbers)  # (M, N)
    shell, anion = coordination(graphs, roles, model.graph_settings)
    row = first_row + built.kept
    ids = np.array(row_names(rows, first_row), dtype=object)[built.kept]
    elements, formulas = _compositions(graphs, roles)
    several = len(energies) > 1
    sites = pl.DataFrame(
        {
            "row": np.repeat(row, graphs.sites),
            "material_id": np.repeat(ids, graphs.sites).tolist(),
            "site": np.arange(len(roles)) - np.repeat(graphs.first_site, graphs.sites),
            "element": _SYMBOL[graphs.atomic_numbers].tolist(),
            "role": _ROLE[roles].tolist(),
            "coordination": shell,
            "nearest_anion": _SYMBOL[anion].tolist(),
            "contribution": values.mean(0),
            "relative": relative.mean(0),
            "sd": relative.std(0, ddof=1) if several else None,
            "members": pl.Series(relative.T.astype(np.float32)).arr.to_list() if several else None,
            "raw_members": pl.Series(values.T.astype(np.float32)).arr.to_list() if several else None,
        },
        schema=SITE_SCHEMA,
        strict=False,
    )
    schema = _crystal_schema(job.target_column, job.split)
    columns = {
        "row": row,
        "material_id": ids.tolist(),
        "formula": formulas,
        "elements": elements,
        "n_sites": graphs.sites,
        "perovskite": np.add.reduceat(roles < 0, graphs.first_site) == 0,
        "energy": energies.mean(0),
        "sd": model.energy_sd(energies),
    }
    if job.target_column:
        columns[job.target_column] = pl.Series(column_numbers(rows, job.target)[built.kept]).fill_nan(None)
    if job.split:
        columns["split"] = np.array(column_splits(rows), dtype=object)[built.kept].tolist()
    return sites, pl.DataFrame(columns, schema=schema, strict=False)


def _predict(model: Model, graphs: PackedGraphs) -> tuple[np.ndarray, np.ndarray]:
    """Energies (M, C) and raw contributions (M, N) in batches of not too many sites."""
    batch = (np.cumsum(graphs.sites) - 1) // _SITES_AT_ONCE
    energies, values = [], []
    for crystals in np.split(np.arange(len(graphs)), np.flatnonzero(np.diff(batch)) + 1):
        found = model.energies_and_contributions(graphs.select(crystals, model.dtype))
        energies.append(found[0].double().numpy())
        values.append(found[1].double().numpy())
    return np.concatenate(energies, axis=1), np.concatenate(values, axis=1)


def _compositions(graphs: PackedGraphs, roles: np.ndarray) -> tuple[list[list[str]], list[str]]:
    """Element symbols and reduced formula of each crystal."""
    elements, formulas = [], []
    numbers, codes = graphs.atomic_numbers.tolist(), roles.tolist()
    for first, n in zip(graphs.first_site.tolist(), graphs.sites.tolist(), strict=True):
        atoms = numbers[first : first + n]
        elements.append([SYMBOLS[z] for z in sorted(set(atoms))])
        role = codes[first : first + n]
        if min(role) >= 0:
            formulas.append(_perovskite_formula(Counter(zip(role, atoms, strict=True))))
        else:
            formulas.append(_formula(tuple(sorted(Counter(atoms).items()))))
    return elements, formulas


def _perovskite_formula(count: Counter[tuple[int, int]]) -> str:
    """In the order A, B, X, as `tables.formula` writes it."""
    divisor = gcd(*count.values())
    ordered = sorted(count.items(), key=lambda item: (item[0][0], -item[1]))
    return "".join(SYMBOLS[z] + (str(n // divisor) if n > divisor else "") for (_, z), n in ordered)


@lru_cache(maxsize=10_000)
def _formula(composition: tuple[tuple[int, int], ...]) -> str:
    from pymatgen.core import Composition

    return Composition({SYMBOLS[z]: n for z, n in composition}).reduced_formula


# --- many chunks ------------------------------------------------------------------------------------------------------


def _chunks(source: Source, size: int, todo: Iterable[int]) -> Iterator[tuple[int, int, pl.DataFrame]]:
    """(number, first row, rows) of the chunks that are to be done."""
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
    job: _Job, model: Model, source: Source, size: int, todo: list[int], workers: int | None, cluster: str | None
) -> Iterator[int]:
    """Numbers of rows of the chunks as they get done."""
    if cluster and todo:
        from .cluster import chunks_on_cluster

        return chunks_on_cluster(partial(_score_chunk, job), model, source, size, todo, workers, cluster)
    workers = min(workers or len(os.sched_getaffinity(0)), len(todo))
    return _in_processes(job, source, size, todo, workers) if workers > 1 else _here(job, model, source, size, todo)


def _here(job: _Job, model: Model, source: Source, size: int, todo: list[int]) -> Iterator[int]:
    for number, first_row, rows in _chunks(source, size, todo):
        _score_chunk(job, model, number, first_row, rows)
        yield len(rows)


def _in_processes(job: _Job, source: Source, size: int, todo: list[int], workers: int) -> Iterator[int]:
    """One thread waits for each process; this one reads the data set, no faster than the chunks are used up."""
    free = [_Worker(job) for _ in range(workers)]
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
                for number, first_row, rows in _chunks(source, size, todo):
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


class _Worker:
    """A process that scores chunks.

    A plain child that reads from a pipe, not `multiprocessing`: that would import the program's main script again,
    which under Streamlit is the page, and leave orphans behind when the parent is killed; here they see the end of
    the pipe.
    """

    def __init__(self, job: _Job):
        here = str(Path(__file__).resolve().parent.parent)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),
            "PYTHONWARNINGS": "ignore",  # they can quote a file
            "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
            # Keep freed memory: fresh pages for every large array cost a quarter of the time.
            "MALLOC_MMAP_THRESHOLD_": str(2**30),
            "MALLOC_TRIM_THRESHOLD_": str(2**31),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from cgcnn.scoring import _serve; _serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # an interrupt from the keyboard is for the parent
        )
        self._job: _Job | None = job  # sent with the first chunk

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


def _serve() -> None:
    """Main function of a worker: a job, then chunks, from standard input until it ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the replies
    torch.set_num_threads(1)
    try:
        job = pickle.load(requests)
        model = load_model(job.model, torch.float32)
        while True:
            chunk = pickle.load(requests)
            try:
                _score_chunk(job, model, *chunk)
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
