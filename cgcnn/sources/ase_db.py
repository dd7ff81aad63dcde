"""Databases of ASE (.db, SQLite): one row a crystal, key-value pairs and plain entries of `data` as columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..cell import StructureError, with_volume
from .source import ARRAY_COLUMNS, ID_COLUMNS, DatasetError, RowSource, is_number


class AseSource(RowSource):
    """A database that `ase.db.connect` opens; it is read only."""

    crystal_columns = ARRAY_COLUMNS

    def __init__(self, path: Path):
        with open(path, "rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):
                raise DatasetError(f"{path.name} is no SQLite database of ASE; write it with ase.db.connect")
        super().__init__(path)

    def read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        import ase.db  # imported late: most users bring other formats

        try:
            database = ase.db.connect(self.path, type="db", use_lock_file=False)
            for row in database.select(sort="id"):
                yield self._values(row), self._crystal(row) if crystals else {}
        except DatasetError:
            raise
        except Exception as error:  # of sqlite3, or of whatever ASE trips over
            raise DatasetError(f"{self.name} cannot be read as a database of ASE: {error}") from error

    @staticmethod
    def _values(row) -> dict:
        found = {**(row.data or {}), **row.key_value_pairs}
        if "energy" not in found and row.get("energy") is not None:
            found["energy"] = row.energy  # of the calculator
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in found.items()}
        values = {k: v for k, v in plain.items() if is_number(v) or isinstance(v, str)}
        if not values.keys() & set(ID_COLUMNS):
            values["material_id"] = str(row.id)
        return values

    @staticmethod
    def _crystal(row) -> dict:
        try:
            lattice = with_volume(np.array(row.cell, dtype=np.float64).reshape(3, 3))
            frac = np.linalg.solve(lattice.T, np.asarray(row.positions, dtype=np.float64).T).T
        except (StructureError, ValueError) as error:
            return {"problem": str(error)}
        return {
            "lattice": lattice.ravel().tolist(),
            "atomic_numbers": np.asarray(row.numbers).tolist(),
            "frac_coords": frac.ravel().tolist(),
        }
