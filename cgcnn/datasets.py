"""Data sets: a table with a crystal, a target and a split in every row -> packed crystal graphs."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from .cif import StructureError, read_first_cell
from .graph import CrystalGraph, GraphSettings, PackedGraphs, build_graph
from .perovskite import ROLES, site_roles

_CRYSTAL_COLUMNS = {"cif", "lattice", "atomic_numbers", "frac_coords"}
_ID_COLUMNS = ("material_id", "id", "name")
SPLITS = ("train", "val", "test")

# Part of the cache's key: to be raised when what is cached for the same file changes.
_CACHE_VERSION = 1


class DatasetError(ValueError):
    """A data set that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Dataset:
    """C readable crystals of a table, in its order.

    ids: (C,) names; targets: (C,) float64 in the unit of the data, nan where a row has none
    split: (C,) "train", "val", "test", or "" where the table has no such column
    graphs: C crystal graphs; roles: (sum of sites,) index into `perovskite.ROLES`, -1 for none
    unreadable: (name, reason) of the rows left out
    """

    name: str
    target: str
    ids: np.ndarray
    targets: np.ndarray
    split: np.ndarray
    graphs: PackedGraphs
    roles: np.ndarray
    unreadable: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, split: str) -> np.ndarray:
        """Indices of the crystals of a split that have a target; "all" for every such crystal.

        Raises DatasetError if there are none.
        """
        chosen = np.isfinite(self.targets)
        if split != "all":
            chosen &= self.split == split
        if not chosen.any():
            here = ", ".join(sorted(set(self.split.tolist()) - {""})) or "none"
            raise DatasetError(
                f"no crystal of {self.name} with a number in {self.target!r} is in split {split!r}; "
                f"its splits are: {here}"
            )
        return np.flatnonzero(chosen)


def load_dataset(
    path: str | Path, target: str | None = None, settings: GraphSettings = GraphSettings(), prefer: str | None = None
) -> Dataset:
    """Read a CSV (also .gz) or Parquet file with a `cif` column, or `lattice` (9 floats, rows a b c, angstrom),
    `atomic_numbers` and `frac_coords` (3 N floats); a column `split` is used where there is one.

    target: name of the column with the target; may be left out if `prefer` is one, or only one column can be it
    Rows that cannot be read are left out and listed. Graphs are built once and cached by the file's content.
    Raises DatasetError.
    """
    path = Path(path)
    table = _read_table(path)
    if target is None and prefer in table.columns:
        target = prefer
    target = find_target(table, target, path.name)
    graphs, roles, kept, unreadable = _cached_graphs(path, table, settings)
    if not len(graphs):
        example = f"; the first: {unreadable[0][1]}" if unreadable else ""
        raise DatasetError(f"no crystal in {path.name} could be read ({len(unreadable)} rows{example})")
    table = table[kept]
    split = (
        table["split"].cast(pl.String).fill_null("")
        if "split" in table.columns
        else pl.repeat("", len(table), eager=True)
    )
    return Dataset(
        name=path.name,
        target=target,
        ids=np.array(_names(table)),
        targets=table[target].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy(),
        split=split.to_numpy().astype(str),
        graphs=graphs,
        roles=roles,
        unreadable=unreadable,
    )


def split_by_formula(data: Dataset, val: float = 0.2) -> Dataset:
    """The data set with "train" and "val" assigned; all crystals of a reduced formula are on one side.

    The side follows from the formula alone, so it is the same on every machine and for every order of the rows.
    """
    split = []
    for crystal in range(len(data)):
        elements, counts = np.unique(data.graphs.numbers_of(crystal), return_counts=True)
        formula = np.stack([elements, counts // np.gcd.reduce(counts)])
        digest = hashlib.sha256(formula.astype("<i8").tobytes()).digest()
        split.append("val" if int.from_bytes(digest[:8], "little") < val * 2**64 else "train")
    return replace(data, split=np.array(split))


def _read_table(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise DatasetError(f"there is no file {str(path)!r}; give a CSV or Parquet file")
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        elif ".csv" in path.suffixes:
            table = pl.read_csv(path, infer_schema_length=None)
        else:
            raise DatasetError(f"{path.name} is neither .csv, .csv.gz nor .parquet; convert it to one of these")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DatasetError(f"{path.name} cannot be read as a table: {str(error).splitlines()[0]}") from error
    if "cif" not in table.columns and not {"lattice", "atomic_numbers", "frac_coords"} <= set(table.columns):
        raise DatasetError(
            f"{path.name} has no column 'cif', nor 'lattice', 'atomic_numbers' and 'frac_coords'; "
            f"its columns are {', '.join(table.columns[:20])}"
        )
    return table


def find_target(table: pl.DataFrame, target: str | None, name: str) -> str:
    """Column of the target: the one asked for, or the only one with numbers. Raises DatasetError."""
    numeric = [
        c for c, t in table.schema.items() if t.is_numeric() and c not in _CRYSTAL_COLUMNS and c not in _ID_COLUMNS
    ]
    if target is None and len(numeric) == 1:
        return numeric[0]
    if target is None:
        raise DatasetError(
            f"the target of {name} is not clear; name a column with --target: {', '.join(numeric) or 'none'}"
        )
    if target not in numeric:
        raise DatasetError(f"{name} has no column {target!r} with numbers; it has {', '.join(numeric) or 'none'}")
    return target


def _names(table: pl.DataFrame) -> list[str]:
    for column in _ID_COLUMNS:
        if column in table.columns:
            return table[column].cast(pl.String).fill_null("?").to_list()
    return [f"row {i + 1}" for i in range(len(table))]


def _crystals(table: pl.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray] | StructureError]:
    """lattice (3, 3), atomic numbers (N,), fractional coordinates (N, 3) of each row, or why not."""
    if "cif" in table.columns:
        for text in table["cif"]:
            try:
                cell = read_first_cell(text or "")
                yield cell.lattice, cell.atomic_numbers, cell.frac_coords
            except StructureError as error:
                yield error
        return
    for lattice, numbers, coords in zip(table["lattice"], table["atomic_numbers"], table["frac_coords"], strict=True):
        if lattice is None or numbers is None or coords is None or len(lattice) != 9 or len(coords) != 3 * len(numbers):
            yield StructureError("lattice must hold 9 numbers and frac_coords 3 for each of atomic_numbers")
        else:
            yield lattice.to_numpy().reshape(3, 3), numbers.to_numpy(), coords.to_numpy().reshape(-1, 3)


def _build(table: pl.DataFrame, settings: GraphSettings):
    graphs: list[CrystalGraph] = []
    roles: list[list[int]] = []
    kept: list[int] = []
    unreadable: list[tuple[str, str]] = []
    names = _names(table)
    code = {None: -1, **{role: i for i, role in enumerate(ROLES)}}
    for row, crystal in enumerate(_crystals(table)):
        try:
            if isinstance(crystal, StructureError):
                raise crystal
            graph = build_graph(*crystal, settings)
        except ValueError as error:
            unreadable.append((names[row], str(error)))
            continue
        graphs.append(graph)
        roles.append([code[role] for role in site_roles(*crystal)])
        kept.append(row)
    roles = np.concatenate(roles or [np.empty(0)]).astype(np.int8)
    return PackedGraphs.from_graphs(graphs), roles, np.array(kept, dtype=np.int64), unreadable


def cache_folder() -> Path:
    """Where graphs are kept between runs: CGCNN_CACHE, else a folder in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("CGCNN_CACHE") or Path(home) / "cgcnn")


def _cached_graphs(path: Path, table: pl.DataFrame, settings: GraphSettings):
    key = hashlib.sha256(path.read_bytes())
    key.update(json.dumps([_CACHE_VERSION, settings.asdict()]).encode())
    file = cache_folder() / f"graphs-{key.hexdigest()[:24]}.npz"
    if file.is_file():
        with np.load(file, allow_pickle=False) as stored:
            unreadable = [tuple(entry) for entry in json.loads(str(stored["unreadable"]))]
            return PackedGraphs.from_arrays(stored), stored["roles"], stored["kept"], unreadable
    graphs, roles, kept, unreadable = _build(table, settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as part:
        np.savez(part, **graphs.arrays(), roles=roles, kept=kept, unreadable=json.dumps(unreadable))
    Path(part.name).replace(file)
    return graphs, roles, kept, unreadable
