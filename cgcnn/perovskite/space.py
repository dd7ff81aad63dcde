"""The space of cubic ABX3: 52 elements on A, 52 on B, 7 anion sets, 18,928 crystals built from the prototype.

The crystals are those that Castelli et al. (Energy Environ. Sci. 5, 5814 (2012) and 5, 9034 (2012)) calculated.
Nothing of their data is kept here but the coefficients of a model of the lattice parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..graph import GraphSettings, PackedGraphs, build_graph
from .lattice import ANION_SETS, ELEMENTS, shipped_lattice_model

if TYPE_CHECKING:
    from pymatgen.core import Structure

# A, B, then X; the last X lies on the axis through B along which mixed anion sets are polar.
PROTOTYPE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]])
PROTOTYPE.setflags(write=False)

SIZE = len(ELEMENTS) ** 2 * len(ANION_SETS)


def space_index(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Row of a crystal in all tables of the space, from indices into `ELEMENTS`, `ELEMENTS` and `ANION_SETS`."""
    return (a * len(ELEMENTS) + b) * len(ANION_SETS) + x


def space_codes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices a, b, x of all crystals, (18928,) each, in the order of `space_index`."""
    a, b, x = np.indices((len(ELEMENTS), len(ELEMENTS), len(ANION_SETS)))
    return a.ravel(), b.ravel(), x.ravel()


@cache
def formulas() -> np.ndarray:
    """Names of all crystals, A, B, anion set: SrTiO3; (18928,) str."""
    a, b, x = space_codes()
    elements = np.array(ELEMENTS)
    return np.char.add(np.char.add(elements[a], elements[b]), np.array(list(ANION_SETS))[x])


def element_numbers(symbols: Iterable[str]) -> np.ndarray:
    """Atomic numbers of element symbols."""
    from pymatgen.core import Element

    return np.array([Element(s).Z for s in symbols])


def atomic_numbers() -> np.ndarray:
    """Atomic numbers of all crystals, (18928, 5), sites A, B, X, X, X."""
    a, b, x = space_codes()
    elements, anions = element_numbers(ELEMENTS), np.array([element_numbers(s) for s in ANION_SETS.values()])
    return np.concatenate([elements[a][:, None], elements[b][:, None], anions[x]], axis=1)


def edges() -> np.ndarray:
    """Lattice parameters of all crystals from the shipped model, (18928,) angstrom, to 0.001."""
    return np.round(shipped_lattice_model().edge(*space_codes()), 3)


def build_space() -> pl.DataFrame:
    """All crystals, as a table that `load_dataset` reads once written to Parquet; ideal prototype positions.

    Columns: material_id and formula (see `formulas`), a, b, x, edge (angstrom), lattice (9 floats, rows a b c,
    angstrom), atomic_numbers (5), frac_coords (15)
    """
    a, b, x = space_codes()
    table = pl.DataFrame(
        {
            "a": np.array(ELEMENTS)[a],
            "b": np.array(ELEMENTS)[b],
            "x": np.array(list(ANION_SETS))[x],
            "edge": edges(),
        }
    )
    lattice = table["edge"].to_numpy()[:, None] * np.eye(3).ravel()
    coords = np.tile(PROTOTYPE.ravel(), (SIZE, 1))
    return table.select(
        pl.Series("material_id", formulas()),
        pl.Series("formula", formulas()),
        pl.all(),
        pl.Series("lattice", lattice.tolist(), dtype=pl.List(pl.Float64)),
        pl.Series("atomic_numbers", atomic_numbers().tolist(), dtype=pl.List(pl.Int64)),
        pl.Series("frac_coords", coords.tolist(), dtype=pl.List(pl.Float64)),
    )


def space_structure(formula: str) -> Structure:
    """The crystal of this name (see `formulas`). Raises ValueError for a name that is not in the space."""
    from pymatgen.core import Lattice, Structure

    (rows,) = np.nonzero(formulas() == formula)
    if not len(rows):
        raise ValueError(f"{formula!r} is not one of the {SIZE:,} ABX3 of the perovskite space; name one like SrTiO3")
    return Structure(Lattice.cubic(edges()[rows[0]]), atomic_numbers()[rows[0]].tolist(), PROTOTYPE)


def space_graphs(settings: GraphSettings, rows: np.ndarray | None = None) -> PackedGraphs:
    """Crystal graphs of the crystals with these rows (all by default). Equal lattice parameters share their edges."""
    rows = np.arange(SIZE) if rows is None else np.asarray(rows)
    numbers, edge = atomic_numbers()[rows], edges()[rows]
    graph = {e: build_graph(e * np.eye(3), numbers[0], PROTOTYPE, settings) for e in np.unique(edge).tolist()}
    return PackedGraphs.from_graphs(
        replace(graph[e], atomic_numbers=n) for e, n in zip(edge.tolist(), numbers, strict=True)
    )
