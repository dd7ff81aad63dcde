"""Data sets against the space: which crystals are members of it, their targets, and how good built cells are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ..cell import StructureError
from ..datasets import Dataset, DatasetError, column_splits
from ..evaluation import predict
from ..model import Model
from ..sources import open_source, read_cells
from .lattice import ANION_SETS, ELEMENTS, LatticeModel, fit_lattice_model
from .roles import ROLES, site_roles
from .space import build_space, element_numbers, formulas, space_codes, space_graphs, space_index

_ROWS_AT_ONCE = 1024


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


def space_labels(data: Dataset) -> pl.DataFrame:
    """The targets of a data set for the members of the space: columns formula, target, split; one row a crystal.

    Where a crystal occurs more than once, the lowest target counts.
    """
    crystals, rows = dataset_rows(data)
    table = pl.DataFrame(
        {
            "formula": formulas()[rows],
            "target": data.targets[crystals],
            "split": data.split[crystals],
        },
        schema={"formula": pl.String, "target": pl.Float64, "split": pl.String},
    )
    table = table.filter(pl.col("target").is_finite()).sort("target", maintain_order=True)
    return table.unique("formula", keep="first", maintain_order=True)


def built_cells(data: Dataset) -> pl.DataFrame:
    """The cells of `space` for the members of it in a data set, with their targets and splits; `load_dataset` reads it.

    Columns: those of `build_space`, the target under its own name, split
    """
    labels = space_labels(data)
    return build_space().join(labels.rename({"target": data.target}), on="formula", maintain_order="left")


@dataclass(frozen=True)
class BuiltCells:
    """Mean absolute errors against the targets of n crystals, in their unit.

    relaxed: predicted from the cells of the data set; built: from those of `space`
    difference: mean absolute difference between the two predictions
    """

    n: int
    relaxed: float
    built: float
    difference: float


def built_cell_accuracy(model: Model, data: Dataset, split: str = "val") -> BuiltCells:
    """How much is lost by predicting from built cells, on the members of the space in a split.

    Raises DatasetError if there are none.
    """
    crystals, rows = dataset_rows(data)
    chosen = np.isin(crystals, data.rows(split))
    crystals, rows = crystals[chosen], rows[chosen]
    if not len(crystals):
        raise DatasetError(f"no crystal of {data.name} in split {split!r} is one of the {len(space_codes()[0])} ABX3")
    relaxed = predict(model, data.graphs, crystals)
    built = predict(model, space_graphs(model.graph_settings, rows), np.arange(len(rows)))
    target = data.targets[crystals]

    def mean_difference(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.abs(first - second).mean())

    return BuiltCells(
        n=len(rows),
        relaxed=mean_difference(relaxed, target),
        built=mean_difference(built, target),
        difference=mean_difference(built, relaxed),
    )


def fit_lattice(path: str | Path) -> tuple[LatticeModel, dict[str, float]]:
    """Fit the model of the lattice parameter to the split `train` of a data set (to all of it if it has no splits).

    -> the model, and its mean absolute error in angstrom on each split. Raises DatasetError.
    """
    numbers, roles, edge, split = [], [], [], []
    for chunk in open_source(path).chunks(_ROWS_AT_ONCE):
        for cell, side in zip(read_cells(chunk), column_splits(chunk), strict=True):
            if isinstance(cell, StructureError) or len(cell[1]) != 5:
                continue
            lattice, z, _ = cell
            found = site_roles(*cell)
            numbers.append(z)
            roles.append([ROLES.index(role) if role else -1 for role in found])
            edge.append(abs(np.linalg.det(lattice)) ** (1 / 3))
            split.append(side)
    rows = _space_rows(np.array(numbers, dtype=np.int64).reshape(-1, 5), np.array(roles).reshape(-1, 5))
    member = rows >= 0
    rows, edge, split = rows[member], np.array(edge)[member], np.array(split, dtype=str)[member]
    fitted = split == "train" if "train" in split else np.ones(len(rows), dtype=bool)
    if not fitted.any():
        raise DatasetError(f"no crystal of {Path(path).name} is a cubic ABX3 of the space; give a file of perovskites")
    a, b, x = (code[rows] for code in space_codes())
    model = fit_lattice_model(a[fitted], b[fitted], x[fitted], edge[fitted])
    error = np.abs(model.edge(a, b, x) - edge)
    return model, {str(side): float(error[split == side].mean()) for side in np.unique(split)}
