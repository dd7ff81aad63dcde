"""The folder that `score` writes into: claimed for one data set and model, finished when all chunks are there."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl

from ..files import write_whole
from ..model import Model
from ..sources import Source
from .tables import (
    CRYSTAL_SCHEMA,
    VERSION,
    Scores,
    ScoringError,
    chunks_done,
    contents,
    file_name,
    load_scores,
    read_about,
)

_CHUNKS = 128  # of a large data set: enough for a progress bar that moves, few enough to be opened at each question
_SMALLEST, _LARGEST = 1024, 16_384  # rows of a chunk; the largest bounds the memory, and what a killed run loses


def rows_done(out: Path, size: int, rows: int) -> int:
    """Rows in chunks that are done. size: rows of a chunk; rows: of the data set"""
    return sum(max(0, min(size, rows - k * size)) for k in chunks_done(out))


def claim(out: Path, source: Source, model: Model, target: str | None, chunk: int | None, max_sites: int) -> dict:
    """Content of score.json. Raises ScoringError where the folder holds something else."""
    if chunk is not None and chunk < 1:
        raise ScoringError(f"{chunk=} must be at least 1")
    earlier = read_about(out)
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
        "chunk": chunk or (earlier or {}).get("chunk") or min(max(-(-source.rows // _CHUNKS), _SMALLEST), _LARGEST),
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


def as_claimed(out: Path, about: dict) -> Scores:
    """The scores under the name that the data have here; meanwhile somebody may have asked for the same as another."""
    found = load_scores(out)
    return replace(found, about=found.about | {name: about[name] for name in ("data", "path")})


def _left_over(file: Path) -> bool:
    """Whether a run that was killed has left this; it began with the folders of the tables."""
    empty = file.name in ("sites", "crystals") and file.is_dir() and not any(file.iterdir())
    return empty or file.suffix == ".part"


def _write_about(out: Path, about: dict) -> None:
    write_whole(out / "score.json", (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())


def finish(out: Path, about: dict, rows: int, seconds: float) -> None:
    """List what could not be read, count, and mark the folder as complete."""
    unreadable = []
    counts = Counter()
    for k in sorted(chunks_done(out)):
        unreadable += json.loads(pl.read_parquet_metadata(out / "crystals" / file_name(k))["unreadable"])
        for table in ("sites", "crystals"):
            counts[table] += pl.scan_parquet(out / table / file_name(k)).select(pl.len()).collect().item()
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
    _write_about(out, {**about, "complete": True, **counts, "contents": contents(load_scores(out))})
