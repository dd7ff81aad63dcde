"""Progress and notes on stderr; files that are written whole or not at all, by their ending."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd


def note(text: str) -> None:
    """Something to tell the person, not the program that reads stdout."""
    print(text, file=sys.stderr)


def report_unreadable(data) -> None:
    """Say how many rows of a `datasets.Dataset` are left out, and why the first of them is."""
    if data.unreadable:
        from ..cell import printable  # imported late: it needs numpy

        name, reason = data.unreadable[0]
        note(f"{len(data.unreadable)} rows cannot be read and are left out; the first, {printable(name)}: {reason}")


@contextmanager
def progress_bar(quiet: bool, unit: str = " crystals") -> Iterator[Callable[[int, int | None], None]]:
    """A function to call with (done, in all); unit "B" is written as MB and GB."""
    from tqdm import tqdm

    # Shown on a terminal only: in a log it would be a thousand lines.
    with tqdm(unit=unit, unit_scale=unit == "B", disable=True if quiet else None, smoothing=0.1) as bar:

        def progress(done: int, total: int | None) -> None:
            if bar.total is None:
                bar.initial = bar.n = done  # done by an earlier run, not part of the rate
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def file_option(*endings: str) -> Any:
    """--out FILE with one of these endings; another one, or a folder that is not there, is wrong usage."""
    listed = f"{', '.join(endings[:-1])} or {endings[-1]}"

    def check(path: Path | None) -> Path | None:
        if path is None:
            return None
        if path.suffix.lower() not in endings:
            raise typer.BadParameter(f"{path.name!r} must end in {listed}, which says what is written.")
        if not path.parent.is_dir():
            raise typer.BadParameter(f"there is no folder {str(path.parent)!r}; make it first.")
        return path

    return typer.Option("--out", help=f"write to {listed}", metavar="FILE", callback=check, show_default=False)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end and vanishes where anything goes wrong."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())  # mkstemp lets nobody else read it
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_file(path: Path, table: Callable[[], pd.DataFrame], plain: Any, extxyz: Callable[[], str] | None = None):
    """A table as .csv or .parquet, plain values as .json, the text of `extxyz` as anything else."""
    with written_whole(path) as part:
        match path.suffix.lower():
            case ".csv":
                table().to_csv(part, index=False)
            case ".parquet":
                table().to_parquet(part, index=False)
            case ".json":
                part.write_text(as_json(plain) + "\n", encoding="utf-8")
            case _:
                part.write_text(extxyz(), encoding="utf-8")
    note(f"written to {path}")


def as_json(plain: Any) -> str:
    return json.dumps(plain, indent=1, ensure_ascii=False)
