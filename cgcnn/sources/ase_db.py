"""Databases of ASE (.db, SQLite): one row a crystal, key-value pairs and plain entries of `data` as columns.

The one table that is needed is read here and not by ASE, whose decoder makes the arrays and objects that a row asks
for, of whatever size.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ..cell import StructureError, check_coordinates, checked_lattice, is_number
from ..formats.text import MAX_BYTES
from .source import ARRAY_COLUMNS, ID_COLUMNS, DatasetError, RowSource

_COLUMNS = ("id", "numbers", "positions", "cell", "energy", "key_value_pairs", "data")
# What a SELECT of plain columns needs; functions, views and other files, which a database may name, are not it.
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}


class AseSource(RowSource):
    """A database as `ase.db.connect` writes it; it is read only."""

    crystal_columns = ARRAY_COLUMNS

    def __init__(self, path: Path):
        with open(path, "rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):
                raise DatasetError(f"{path.name} is no SQLite database of ASE; write it with ase.db.connect")
        super().__init__(path)

    def read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        try:
            database = sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise self._damage(error) from None
        try:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
            database.text_factory = lambda text: text.decode("utf-8", "replace")
            kind = database.execute("SELECT type, sql FROM sqlite_master WHERE name = 'systems'").fetchone()
            if kind is None or kind[0] != "table" or not str(kind[1]).upper().startswith("CREATE TABLE"):
                raise DatasetError(f"{self.name} has no table of crystals; write it with ase.db.connect")
            database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)
            for row in database.execute(f"SELECT {', '.join(_COLUMNS)} FROM systems ORDER BY id"):
                found = dict(zip(_COLUMNS, row, strict=True))
                yield _values(found), _crystal(found) if crystals else {}
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            raise self._damage(error) from None
        finally:
            database.close()

    def _damage(self, error: Exception) -> DatasetError:
        return DatasetError(f"{self.name} cannot be read as a database of ASE: {error}; write it again")


def _values(row: dict) -> dict:
    found = {**_data(row["data"]), **_dict(row["key_value_pairs"])}
    if "energy" not in found and is_number(row["energy"]):
        found["energy"] = row["energy"]  # of the calculator
    values = {k: v for k, v in found.items() if is_number(v) or isinstance(v, str)}
    if not values.keys() & set(ID_COLUMNS):
        values["material_id"] = str(row["id"])
    return values


def _data(stored: object) -> dict:
    """The entries of `data` that are no arrays: JSON, since version 9 of ASE's format behind its own offset."""
    if isinstance(stored, bytes) and len(stored) > 8:
        (offset,) = struct.unpack("<q", stored[:8])
        stored = stored[offset:].decode("utf-8", "replace") if 0 < offset < len(stored) else None
    return _dict(stored)


def _dict(text: object) -> dict:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _crystal(row: dict) -> dict:
    try:
        lattice = checked_lattice(_array(row, "cell", "<f8", 3, 3))
        points = _array(row, "positions", "<f8", -1, 3)
        check_coordinates(points)
        numbers = _array(row, "numbers", "<i4", -1)
    except StructureError as error:
        return {"problem": str(error)}
    return {
        "lattice": lattice.ravel().tolist(),
        "atomic_numbers": numbers.tolist(),
        "frac_coords": np.linalg.solve(lattice.T, points.T).T.ravel().tolist(),
    }


def _array(row: dict, name: str, kind: str, *shape: int) -> np.ndarray:
    stored = row[name]
    try:
        return np.frombuffer(stored if isinstance(stored, bytes) else b"?", dtype=kind).reshape(shape)
    except ValueError:
        raise StructureError(
            f"the database holds no array of numbers in '{name}' of this row; write it again"
        ) from None
