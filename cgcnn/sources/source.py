"""What every format becomes: a table with one crystal a row, read a chunk at a time."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from ..cell import SENTENCE, is_number, shortened

# A crystal is CIF text, the JSON of a pymatgen structure, a frame of extended XYZ, or three lists of numbers;
# `problem` holds the reason where a row has none.
TEXT_COLUMNS = ("cif", "structure", "xyz")
ARRAY_COLUMNS = ("lattice", "atomic_numbers", "frac_coords")
CRYSTAL_COLUMNS = (*TEXT_COLUMNS, *ARRAY_COLUMNS, "problem")
ID_COLUMNS = ("material_id", "id", "name")

_ARRAY = pl.List(pl.Float64)
MOST_COLUMNS = 2000
CRYSTAL_SCHEMA = {
    **dict.fromkeys((*TEXT_COLUMNS, "problem"), pl.String()),
    "lattice": _ARRAY,
    "atomic_numbers": pl.List(pl.Int64),
    "frac_coords": _ARRAY,
}


class DatasetError(ValueError):
    """A data set that cannot be used; the message says in a sentence why and what to do."""

    def __init__(self, message: str):
        super().__init__(shortened(message, SENTENCE))


class Source(ABC):
    """A data set on disk.

    path; name: of the file or folder
    columns: names of all columns but those of the crystal; numeric: those of them that hold numbers only
    rows: number of rows, readable or not
    seekable: reading from the middle on costs no more than from the start
    """

    path: Path
    columns: tuple[str, ...]
    numeric: tuple[str, ...]
    rows: int
    seekable: bool = False

    @property
    def name(self) -> str:
        return self.path.name or str(self.path.resolve().name)

    @abstractmethod
    def chunks(self, size: int, start: int = 0, crystals: bool = True) -> Iterator[pl.DataFrame]:
        """The rows from `start` on, `size` at a time (fewer in the last chunk).

        A chunk has the `columns`, and if `crystals` those of `CRYSTAL_COLUMNS` that the source has.
        Raises DatasetError where the file is damaged.
        """

    def fingerprint(self) -> str:
        """Hex digest of the content, to tell whether two data sets are the same."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def has_numbers(self, column: str) -> bool:
        """Whether any row has a number in this column."""
        return column in self.numeric


class RowSource(Source):
    """A data set that is read row by row; `crystal_columns` says which form its crystals have."""

    crystal_columns: tuple[str, ...] = ()

    def __init__(self, path: Path):
        self.path = path
        self._scan()

    @abstractmethod
    def read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        """(values, crystal) of each row: plain values by column, and of the `crystal_columns` or "problem".

        crystals: False where only the values are wanted; the crystal may then be empty
        Raises DatasetError where the file is damaged; what was read before it is kept.
        """

    def _read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        """The rows, a last one for damage behind them."""
        number = 0
        try:
            for row in self.read(crystals):
                number += 1
                yield row
        except OSError as error:
            yield {}, {"problem": f"{self.name} cannot be read behind row {number}: {error}"}
        except DatasetError as error:
            if not number:
                raise
            yield {}, {"problem": str(error)}

    def _scan(self) -> None:
        """A first pass over the values, for the names and types of the columns."""
        numeric: dict[str, bool] = {}
        finite: set[str] = set()
        self.rows = 0
        for values, _ in self._read(crystals=False):
            self.rows += 1
            if len(numeric) + len(values) > 2 * MOST_COLUMNS and len(numeric.keys() | values.keys()) > MOST_COLUMNS:
                raise too_many_columns(self.name)
            for name, value in values.items():
                if value is None or not _is_encodable(name):
                    continue
                number = is_number(value)
                numeric[name] = number and numeric.get(name, True)
                if number and math.isfinite(value):
                    finite.add(name)
        self.columns = tuple(name for name in numeric if name not in CRYSTAL_COLUMNS)
        self.numeric = tuple(
            name for name in self.columns if numeric[name] and name in finite and name not in ID_COLUMNS
        )

    def chunks(self, size: int, start: int = 0, crystals: bool = True) -> Iterator[pl.DataFrame]:
        waiting: list[tuple[dict, dict]] = []
        for number, row in enumerate(self._read(crystals)):
            if number < start:
                continue
            waiting.append(row)
            if len(waiting) == size:
                yield self._frame(waiting, crystals)
                waiting = []
        if waiting:
            yield self._frame(waiting, crystals)

    def _frame(self, rows: list[tuple[dict, dict]], crystals: bool) -> pl.DataFrame:
        columns = []
        for name in self.columns:
            values = [row.get(name) for row, _ in rows]
            if name in self.numeric:
                columns.append(pl.Series(name, [None if v is None else float(v) for v in values], pl.Float64))
            else:
                columns.append(pl.Series(name, [None if v is None else _letters(v) for v in values], pl.String))
        for name in (*self.crystal_columns, "problem") if crystals else ():
            kind = CRYSTAL_SCHEMA[name]
            cells = [crystal.get(name) for _, crystal in rows]
            if kind == pl.String:
                cells = [None if cell is None else _letters(cell) for cell in cells]
            columns.append(pl.Series(name, cells, kind))
        return pl.DataFrame(columns) if columns else pl.DataFrame({"material_id": [None] * len(rows)})


def _is_encodable(name: str) -> bool:
    return _letters(name) == name


def _letters(value: object) -> str:
    """As text that can be encoded; JSON may hold halves of surrogate pairs, which are no letters."""
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def too_many_columns(name: str) -> DatasetError:
    return DatasetError(f"{name} has over {MOST_COLUMNS} columns, which is the limit; leave out those not needed")


def rebatched(frames: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of exactly `size`, the last one shorter."""
    waiting: pl.DataFrame | None = None
    for frame in frames:
        waiting = frame if waiting is None else pl.concat([waiting, frame])
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting is not None and len(waiting):
        yield waiting


def row_names(chunk: pl.DataFrame, start: int = 0) -> list[str]:
    """Name of every row: its id, or its place in the data set, counted from 1."""
    for column in ID_COLUMNS:
        if column in chunk.columns:
            names = chunk[column].cast(pl.String).to_list()
            return [name or f"row {start + i + 1}" for i, name in enumerate(names)]
    return [f"row {start + i + 1}" for i in range(len(chunk))]
