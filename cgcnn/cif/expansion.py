"""Listed sites and symmetry operations -> all atoms of the cell."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from gemmi import cif

from ..cell import SYMBOLS, StructureError, too_many_sites, wrapped
from .formula import formula_notes
from .sites import SAME_POSITION, Rows
from .symmetry import Operations
from .values import first_few


@dataclass(frozen=True, eq=False)
class Expanded:
    """N atoms of the cell: frac (N, 3) in [0, 1), row (N,) index of the listed site."""

    frac: np.ndarray
    row: np.ndarray
    notes: tuple[str, ...] = ()


def expand(
    block: cif.Block,
    candidates: list[Operations],
    rows: Rows,
    lattice: np.ndarray,
    max_sites: int | None,
    notes: list[str],
) -> Expanded:
    """Expand; where the origin is open, take the one that agrees with the file's formula and keeps atoms apart.

    A spinel has 56 atoms with either origin of F d -3 m, but with the wrong one two O come within 0.3 angstrom.
    """
    if len(candidates) == 1:
        return _expand_with(rows, candidates[0], lattice, max_sites)
    results, problem = [], None
    for operations in candidates:
        try:
            expanded = _expand_with(rows, operations, lattice, max_sites)
        except StructureError as error:
            problem = error
            continue
        disagreement = len(formula_notes(block, rows.numbers[expanded.row]))
        results.append((disagreement, _shortest_distance(expanded, lattice), operations.name, expanded))
    if not results:
        raise problem
    results.sort(key=lambda result: (result[0], -result[1]))
    disagreement, shortest, name, best = results[0]
    if len(results) > 1 and results[1][0] == disagreement:
        other = results[1][1]
        if shortest - other < 1e-3:  # the same crystal, shifted
            return best
        why = f"the other puts atoms {other:.2f} angstrom apart, this one {shortest:.2f}"
    else:
        why = "the other contradicts the file's formula or puts different atoms on one position"
    notes.append(f"the file does not say which origin it uses; {name} was taken because {why}")
    return best


def _shortest_distance(expanded: Expanded, lattice: np.ndarray) -> float:
    """From one site of each row to any other atom, angstrom."""
    shortest = inf
    for first in np.unique(expanded.row, return_index=True)[1]:
        gap = expanded.frac - expanded.frac[first]
        gap -= np.rint(gap)
        distance = np.linalg.norm(gap @ lattice, axis=1)
        distance[first] = inf
        shortest = min(shortest, float(distance.min()))
    return shortest


def _expand_with(rows: Rows, operations: Operations, lattice: np.ndarray, max_sites: int | None) -> Expanded:
    if len(operations) == 1:
        frac, row = rows.frac, np.arange(len(rows))
    else:
        images, total = [], 0
        for position in rows.frac:
            images.append(_orbit(position, operations, lattice))
            total += len(images[-1])
            if max_sites is not None and total > max_sites:
                break
        frac = np.concatenate(images)
        row = np.repeat(np.arange(len(images)), [len(orbit) for orbit in images])
    if max_sites is not None and len(frac) > max_sites:
        raise StructureError(too_many_sites(len(frac), max_sites, at_least=len(operations) > 1))
    frac = wrapped(frac)
    repeated, notes = _repeated_rows(frac, row, rows, lattice)
    if repeated:
        keep = ~np.isin(row, repeated)
        frac, row = frac[keep], row[keep]
    return Expanded(frac, row, notes)


def _orbit(position: np.ndarray, operations: Operations, lattice: np.ndarray) -> np.ndarray:
    """All images of one site in the cell, (multiplicity, 3).

    Images that fall on the site itself mark a special position; the site moves to their mean, which lies on it exactly.
    """
    before = 0
    while True:
        images = operations.rotation @ position + operations.translation
        shift = images - position
        shift -= np.rint(shift)
        stabiliser = np.linalg.norm(shift @ lattice, axis=1) < SAME_POSITION
        if stabiliser.sum() <= max(1, before):
            break
        before = stabiliser.sum()
        position = position + shift[stabiliser].mean(axis=0)
    if before < 2:
        return images
    gap = images[:, None] - images[None]
    gap -= np.rint(gap)
    same = np.linalg.norm(gap @ lattice, axis=2) < SAME_POSITION
    return images[same.argmax(axis=1) == np.arange(len(images))]


def _repeated_rows(frac, row, rows: Rows, lattice) -> tuple[list[int], tuple[str, ...]]:
    """Rows that list an atom which an earlier row already gave; two elements on one position are refused."""
    n = len(rows)
    first = np.arange(n) if len(frac) == n else np.searchsorted(row, np.arange(n))
    step = max(1, 1_000_000 // len(frac))
    pairs = []
    for start in range(0, n, step):
        gap = frac[first[start : start + step], None] - frac
        gap -= np.rint(gap)
        gap = gap @ lattice
        near = (gap * gap).sum(2) < SAME_POSITION**2
        if np.count_nonzero(near) > len(near):  # more than every site with itself
            i, j = np.nonzero(near)
            pairs += [(i + start, row[j]) for i, j in zip(i.tolist(), j.tolist(), strict=True) if row[j] < i + start]
    if not pairs:
        return [], ()
    for i, j in pairs:
        if rows.numbers[i] != rows.numbers[j]:
            raise StructureError(
                f"sites {rows.labels[j]} ({SYMBOLS[rows.numbers[j]]}) and {rows.labels[i]} "
                f"({SYMBOLS[rows.numbers[i]]}) lie on the same position; "
                "bring an ordered model with one atom on each site"
            )
    repeated = sorted({i for i, _ in pairs})
    listed = first_few(rows.labels[i] for i in repeated)
    return repeated, (f"listed twice, or an image of another site, and counted once: {listed}",)
