"""The space of cubic ABX3: 52 elements on A, 52 on B, 7 anion sets, 18,928 crystals built from the prototype.

The crystals are those that Castelli et al. (Energy Environ. Sci. 5, 5814 (2012) and 5, 9034 (2012)) calculated.
Nothing of their data is kept here but the coefficients of a model of the lattice parameter.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from ..cache import cache_folder
from ..files import forgiven, write_whole
from ..graph import GraphSettings, PackedGraphs, build_graph
from ..model import Model
from .lattice import ANION_SETS, ELEMENTS, shipped_lattice_model

if TYPE_CHECKING:
    from pymatgen.core import Structure

# A, B, then X; the last X lies on the axis through B along which mixed anion sets are polar.
PROTOTYPE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]])
PROTOTYPE.setflags(write=False)

SIZE = len(ELEMENTS) ** 2 * len(ANION_SETS)

_CRYSTALS_AT_ONCE = 512
# Part of the cache's key: to be raised when the columns of `scored_space` change.
_CACHE_VERSION = 1

Progress = Callable[[int, int], None]


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


def scored_space(model: Model, progress: Progress | None = None) -> pl.DataFrame:
    """What a model says of every crystal, in the order of `build_space`; kept in the user's cache for the next time.

    progress: called with the number of crystals done and that of all
    Columns: material_id, formula, a, b, x, edge (angstrom), energy, sd (eV/atom), and in eV per site, X meaning the
    mean of the three: raw_a, raw_b, raw_x; contribution_a, _b, _x relative to the mean of the same role over the
    training crystals (to the crystal's own energy for models that know no roles); sd_a, sd_b, sd_x of these, and
    members_a, _b, _x, one value a member. The sd of the energy is `Model.energy_sd`, the others are the standard
    deviation over the members; null for a single one.
    """
    file = _cache_file(model)
    if file.is_file():
        try:
            table = pl.read_parquet(file)
            if progress:
                progress(SIZE, SIZE)
            return table
        except (pl.exceptions.PolarsError, OSError):
            pass  # damaged: score again
    table = score_space(model, progress=progress)
    write_cache(table, file)
    return table


def _cache_file(model: Model) -> Path:
    card = model.card
    about = (
        f"{_CACHE_VERSION} {model.hash} {sorted(card.graph.items())} {sorted(card.reference.items())} "
        f"{card.calibration.get('scale')}"
    )
    key = hashlib.sha256(about.encode() + edges().tobytes()).hexdigest()
    return cache_folder() / f"space-{key[:24]}.parquet"


def write_cache(table: pl.DataFrame, file: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a table whole or not at all; not where the cache cannot be written, which costs time and nothing else."""
    content = io.BytesIO()
    table.write_parquet(content, metadata=metadata)
    with forgiven(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content.getbuffer())


def score_space(model: Model, rows: np.ndarray | None = None, progress: Progress | None = None) -> pl.DataFrame:
    """`scored_space` without the cache, of the crystals with these rows (all by default)."""
    rows = np.arange(SIZE) if rows is None else np.asarray(rows)
    # The quadrature of the heads that are not additive needs double precision to close.
    model = model.astype(torch.float32 if model.members[0].head.exact else torch.float64)
    graphs = space_graphs(model.graph_settings, rows)
    energies, sites = [], []
    for start in range(0, len(rows), _CRYSTALS_AT_ONCE):
        crystals = np.arange(start, min(start + _CRYSTALS_AT_ONCE, len(rows)))
        energy, site = model.energies_and_contributions(graphs.select(crystals, model.dtype))
        energies.append(energy.double().numpy())
        sites.append(site.double().numpy().reshape(len(energy), -1, 5))
        if progress:
            progress(int(crystals[-1]) + 1, len(rows))
    energy = np.concatenate(energies, axis=1)  # (M, C)
    site = np.concatenate(sites, axis=1)  # (M, C, 5)
    raw = np.concatenate([site[..., :2], site[..., 2:].mean(-1, keepdims=True)], axis=-1)  # (M, C, 3)
    reference = model.card.reference
    if set(reference) >= {"A", "B", "X"}:
        zero = np.stack([reference[role] for role in ("A", "B", "X")], axis=1)[:, None]  # (M, 1, 3)
    else:
        zero = energy[..., None]
    relative = raw - zero
    sd = model.energy_sd(energy)
    scores = [
        pl.Series("energy", energy.mean(0)),
        pl.Series("sd", [None] * len(rows) if sd is None else sd, pl.Float64),
    ]
    for i, role in enumerate("abx"):
        members = relative[..., i]  # (M, C)
        scores += [
            pl.Series(f"contribution_{role}", members.mean(0)),
            _spread(f"sd_{role}", members),
            pl.Series(f"raw_{role}", raw[..., i].mean(0)),
            pl.Series(f"members_{role}", members.T.tolist(), dtype=pl.List(pl.Float64)),
        ]
    return build_space().drop("lattice", "atomic_numbers", "frac_coords").gather(rows).with_columns(scores)


def _spread(name: str, values: np.ndarray) -> pl.Series:
    """Standard deviation over the members of (M, C) values; null for a single one."""
    spread = values.std(0, ddof=1) if len(values) > 1 else [None] * values.shape[1]
    return pl.Series(name, spread, dtype=pl.Float64)
