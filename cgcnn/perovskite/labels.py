"""Data sets against the space: which crystals are members of it, their targets, and how good built cells are."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from ..cache import cache_folder
from ..cell import StructureError
from ..datasets import Dataset, DatasetError, column_numbers, column_splits, find_target
from ..evaluation import Accuracy, accuracy, predict
from ..files import forgiven, write_whole
from ..kept import Progress
from ..model import Model
from ..sources import Source, open_source, read_cells
from .lattice import ANION_SETS, ELEMENTS, LatticeModel, fit_lattice_model
from .roles import ROLES, site_roles
from .space import (
    SIZE,
    build_space,
    element_numbers,
    formulas,
    space_codes,
    space_graphs,
    space_index,
)

_ROWS_AT_ONCE = 512
# Part of the cache's key: to be raised when other crystals count as members.
_CACHE_VERSION = 1


def dataset_rows(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Which crystals of a data set are members of the space: their indices, and their rows in the space, (P,) each."""
    crystals = np.flatnonzero(data.graphs.sites == 5)
    sites = data.graphs.first_site[crystals][:, None] + np.arange(5)
    rows = _space_rows(data.graphs.atomic_numbers[sites], data.roles[sites])
    return crystals[rows >= 0], rows[rows >= 0]


def _space_rows(numbers: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Rows in the space, -1 for others, (P,), of crystals with these atomic numbers and role codes, (P, 5) each.

    A and B by the roles that follow from geometry. Where there are none (crystals that relaxed far away from the
    prototype), by the order of the sites if it is A, B, X, X, X.
    """
    resolved = (np.sort(roles, axis=1) == [0, 1, 2, 2, 2]).all(1)
    order = np.where(resolved[:, None], np.argsort(roles, axis=1, kind="stable"), np.arange(5))
    numbers = np.take_along_axis(numbers, order, axis=1)
    element = np.full(128, -1)
    element[element_numbers(ELEMENTS)] = np.arange(len(ELEMENTS))
    a, b = element[numbers[:, 0]], element[numbers[:, 1]]
    anions = np.sort(numbers[:, 2:], axis=1)
    x = np.full(len(numbers), -1)
    for i, symbols in enumerate(ANION_SETS.values()):
        x[(anions == np.sort(element_numbers(symbols))).all(1)] = i
    return np.where((a >= 0) & (b >= 0) & (x >= 0), space_index(a, b, x), -1)


@dataclass(frozen=True)
class Labels:
    """The targets of a data set for the members of the space.

    name: of the data set; target: of the column; rows: all that it has; unreadable: how many cannot be read
    table: columns formula, target, split; one row a member, by target. Where a crystal occurs more than once, the
        lowest target counts.
    """

    name: str
    target: str
    rows: int
    unreadable: int
    table: pl.DataFrame

    @property
    def splits(self) -> bool:
        """Whether the data set says which crystals were trained on."""
        return bool((self.table["split"] == "train").any())


def space_labels(
    path: str | Path, target: str | None = None, prefer: str | None = None, progress: Progress | None = None
) -> Labels:
    """Read the targets of a data set, without building graphs; kept in the user's cache for the next time.

    target, prefer: as of `load_dataset`; progress: called with the number of rows done and that of all
    Raises DatasetError, also where no crystal with a target is a member of the space.
    """
    source = open_source(path)
    target = find_target(source, target, prefer)
    key = hashlib.sha256(json.dumps([_CACHE_VERSION, source.fingerprint(), target]).encode()).hexdigest()
    file = cache_folder() / f"labels-{key[:24]}.parquet"
    try:
        table, unreadable = pl.read_parquet(file), int(pl.read_parquet_metadata(file)["unreadable"])
    except (pl.exceptions.PolarsError, OSError, KeyError):
        table, unreadable = _read_labels(source, target, progress)
        _keep(table, file, {"unreadable": str(unreadable)})
    if not len(table):
        raise DatasetError(
            f"no crystal of {source.name} with a number in {target!r} is one of the {SIZE:,} cubic ABX3; "
            "give a file of oxides, nitrides, oxynitrides, oxyfluorides or oxysulfides with five atoms a cell"
        )
    return Labels(source.name, target, source.rows, unreadable, table)


def _keep(table: pl.DataFrame, file: Path, metadata: dict[str, str]) -> None:
    """Write a table whole or not at all; not where the cache cannot be written, which costs time and nothing else."""
    content = io.BytesIO()
    table.write_parquet(content, metadata=metadata)
    with forgiven(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content.getbuffer())


def _read_labels(source: Source, target: str, progress: Progress | None) -> tuple[pl.DataFrame, int]:
    schema = {"formula": pl.String, "target": pl.Float64, "split": pl.String}
    tables, unreadable, done = [pl.DataFrame(schema=schema)], 0, 0
    for chunk, numbers, roles, _, place, bad in _five_atom_cells(source):
        rows = _space_rows(numbers, roles)
        member = rows >= 0
        place = place[member]
        tables.append(
            pl.DataFrame(
                {
                    "formula": formulas()[rows[member]],
                    "target": column_numbers(chunk, target)[place],
                    "split": np.array(column_splits(chunk), dtype=object)[place].tolist(),
                },
                schema=schema,
            )
        )
        unreadable += bad
        done += len(chunk)
        if progress:
            progress(done, source.rows)
    table = pl.concat(tables).filter(pl.col("target").is_finite()).sort("target", "formula", maintain_order=True)
    return table.unique("formula", keep="first", maintain_order=True), unreadable


def _five_atom_cells(
    source: Source,
) -> Iterator[tuple[pl.DataFrame, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]]:
    """Chunks of a data set and of their P crystals with five atoms: atomic numbers (P, 5), role codes (P, 5),
    cube root of the cell's volume (P,) angstrom, row in the chunk (P,); and how many rows cannot be read.
    """
    for chunk in source.chunks(_ROWS_AT_ONCE):
        numbers, roles, edge, place, unreadable = [], [], [], [], 0
        for row, cell in enumerate(read_cells(chunk)):
            if isinstance(cell, StructureError) or not abs(np.linalg.det(cell[0])) > 1:  # cubic angstrom; nan too
                unreadable += 1
            elif len(cell[1]) == 5:
                numbers.append(cell[1])
                roles.append([ROLES.index(role) if role else -1 for role in site_roles(*cell)])
                edge.append(abs(np.linalg.det(cell[0])) ** (1 / 3))
                place.append(row)
        yield (
            chunk,
            np.array(numbers, dtype=np.int64).reshape(-1, 5),
            np.array(roles, dtype=np.int64).reshape(-1, 5),
            np.array(edge, dtype=float),
            np.array(place, dtype=np.int64),
            unreadable,
        )


def built_cells(labels: Labels) -> pl.DataFrame:
    """The cells of `space` for the members of it in a data set, with their targets and splits; `load_dataset` reads it.

    Columns: those of `build_space`, the target under its own name, split
    """
    table = labels.table.rename({"target": labels.target})
    return build_space().join(table, on="formula", maintain_order="left")


@dataclass(frozen=True)
class BuiltCells:
    """Errors against the targets of the same crystals, in their unit.

    relaxed: predicted from the cells of the data set; built: from those of `space`
    difference: mean absolute difference between the two predictions
    """

    relaxed: Accuracy
    built: Accuracy
    difference: float


def on_built_cells(split: str = "val") -> str:
    """Name under which a card's `accuracy` keeps the errors on built cells of a split."""
    return f"{split}, built cells"


def built_cell_accuracy(model: Model, data: Dataset, split: str = "val") -> BuiltCells:
    """How much is lost by predicting from built cells, on the members of the space in a split.

    Raises DatasetError if there are none.
    """
    crystals, rows = dataset_rows(data)
    chosen = np.isin(crystals, data.rows(split))
    crystals, rows = crystals[chosen], rows[chosen]
    if not len(crystals):
        raise DatasetError(f"no crystal of {data.name} in split {split!r} is one of the {len(space_codes()[0])} ABX3")
    target = data.targets[crystals]
    only = np.full(len(data), np.nan)
    only[crystals] = target
    built = replace(
        data,
        ids=data.ids[crystals],
        targets=target,
        split=data.split[crystals],
        graphs=space_graphs(model.graph_settings, rows),
        roles=np.tile([0, 1, 2, 2, 2], len(rows)),
    )
    change = predict(model, built.graphs, np.arange(len(rows))) - predict(model, data.graphs, crystals)
    return BuiltCells(
        relaxed=accuracy(model, replace(data, targets=only)),
        built=accuracy(model, built),
        difference=float(np.abs(change).mean()),
    )


def fit_lattice(path: str | Path) -> tuple[LatticeModel, dict[str, float]]:
    """Fit the model of the lattice parameter to the split `train` of a data set (to all of it if it has no splits).

    -> the model, and its mean absolute error in angstrom on each split. Raises DatasetError.
    """
    rows, edge, split = [], [], []
    for chunk, numbers, roles, side, place, _ in _five_atom_cells(open_source(path)):
        rows.append(_space_rows(numbers, roles))
        edge.append(side)
        split.append(np.array(column_splits(chunk), dtype=str)[place])
    rows, edge, split = (np.concatenate(parts) for parts in (rows, edge, split))
    member = rows >= 0
    rows, edge, split = rows[member], edge[member], split[member]
    fitted = split == "train" if "train" in split else np.ones(len(rows), dtype=bool)
    if not fitted.any():
        raise DatasetError(f"no crystal of {Path(path).name} is a cubic ABX3 of the space; give a file of perovskites")
    a, b, x = (code[rows] for code in space_codes())
    model = fit_lattice_model(a[fitted], b[fitted], x[fitted], edge[fitted])
    error = np.abs(model.edge(a, b, x) - edge)
    return model, {str(side): float(error[split == side].mean()) for side in np.unique(split)}
