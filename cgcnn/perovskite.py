"""Roles of the sites of an ABX3 perovskite."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from .graph import neighbours_within

ROLES = ("A", "B", "X")

# Elements that can be the anion of a perovskite.
_ANIONS = {1, 6, 7, 8, 9, 15, 16, 17, 34, 35, 52, 53}
# Ratio of the mean distances to the 12 and to the 6 nearest anions: smallest on B, largest on A, and by how much every
# B must exceed every A. Ideal perovskite: 1.62 on B, 1.00 on A; both cations of ilmenite: 1.32 and 1.41.
_SMALLEST_B = 1.2
_LARGEST_A = 1.3
_GAP = 0.03


@cache
def _electronegativity(number: int) -> float:
    from pymatgen.core import Element

    return Element.from_Z(number).X


def site_roles(lattice: np.ndarray, atomic_numbers: Sequence[int], frac_coords: np.ndarray) -> list[str | None]:
    """A, B or X for every site of an ABX3 perovskite; None for every site of anything else.

    X are the most electronegative three fifths of the sites. Of the cations, B has six anions close by and the next
    ones far behind, A has twelve at similar distances: the ratio of the mean distances to the 12 and to the 6 nearest
    anions tells them apart, also in off-centre and tilted cells.

    Shapes: lattice (3, 3) rows a b c in angstrom, atomic_numbers (N,), frac_coords (N, 3)
    """
    lattice = np.asarray(lattice, dtype=float).reshape(3, 3)
    numbers = np.asarray(atomic_numbers)
    n = len(numbers)
    none: list[str | None] = [None] * n
    anion = _anions(numbers)
    if anion is None:
        return none
    points = np.ascontiguousarray(np.asarray(frac_coords, dtype=float).reshape(-1, 3) @ lattice)
    # 1.6 edges of the cubic cell of five atoms reach the 12th anion of A and of B.
    edge = (abs(np.linalg.det(lattice)) / n * 5) ** (1 / 3)
    centre, neighbour, distance = neighbours_within(lattice, points, 1.6 * edge)
    keep = ~anion[centre] & anion[neighbour]
    centre, distance = centre[keep], distance[keep]
    order = np.lexsort((distance, centre))
    centre, distance = centre[order], distance[order]
    cations = np.flatnonzero(~anion)
    start = np.searchsorted(centre, cations)
    if np.any(np.searchsorted(centre, cations, side="right") - start < 12):
        return none
    nearest = distance[start[:, None] + np.arange(12)]  # (cations, 12)
    ratio = nearest.mean(1) / nearest[:, :6].mean(1)
    rank = np.argsort(-ratio)
    b, a = rank[: len(cations) // 2], rank[len(cations) // 2 :]
    if ratio[b].min() < _SMALLEST_B or ratio[a].max() > _LARGEST_A or ratio[b].min() - ratio[a].max() < _GAP:
        return none
    roles = np.full(n, "X", dtype=object)
    roles[cations[a]], roles[cations[b]] = "A", "B"
    return roles.tolist()


def _anions(numbers: np.ndarray) -> np.ndarray | None:
    """Which sites are X, (N,) bool; None unless the formula can be ABX3."""
    n = len(numbers)
    if n == 0 or n % 5:
        return None
    chi = np.array([_electronegativity(int(z)) for z in numbers])
    by_chi = np.argsort(-chi, kind="stable")
    x, cations = by_chi[: 3 * n // 5], by_chi[3 * n // 5 :]
    if not set(numbers[x].tolist()) <= _ANIONS or set(numbers[x].tolist()) & set(numbers[cations].tolist()):
        return None
    anion = np.zeros(n, dtype=bool)
    anion[x] = True
    return anion
