"""Roles of the sites of an ABX3 perovskite, from the topology of its octahedra.

A crystal is a perovskite if three fifths of its sites, X, join a fifth of them, B, to a network of octahedra that
share corners only and in which B sits like the points of a (deformed) simple cubic lattice: every X lies between two
B, no two X between the same two, and the six B around each B form three opposite pairs. Polar shifts, tilts and order
among the cations leave this as it is; edge- and face-sharing compounds (ilmenite, post-perovskite, hexagonal BaNiO3)
do not have it. LiNbO3, whose octahedra are those of a strongly tilted R3c perovskite such as BiFeO3, counts as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from vesin import NeighborList

ROLES = ("A", "B", "X")

Kind = Literal["perovskite", "antiperovskite"]

# Elements that can be the anion of a perovskite.
ANIONS = frozenset({1, 6, 7, 8, 9, 15, 16, 17, 34, 35, 52, 53})
# Elements that can sit in the octahedra of an antiperovskite.
_ANTI_CENTRES = ANIONS | {5, 14, 32, 33}

# Lengths are in units of the edge of the cubic cell of five atoms.
_REACH = 1.5
# X belongs to its two nearest B if the third is farther than the second by this factor; ideal: 2.2. In the cubic
# cells of Castelli et al., Energy Environ. Sci. 5, 5814 (2012), B relaxes continuously up to the point halfway
# between two layers of X where the factor is 1 and the octahedra have changed partners.
_THIRD_B = 1.03
# The longer over the shorter of the two B-X lengths of an X: 1.8 in supertetragonal PbVO3, more in molecular anions.
_LONG_BOND = 2.1
# Cosines between the directions from a B to its six B neighbours: one opposite, four across; ideal: -1 and 0. In the
# networks of pyrochlores and of triangular layers, corner-sharing too, they are -0.5 and 0.5.
_OPPOSITE, _ACROSS = -0.75, 0.45
# Mean of the three shortest A-X lengths over the mean B-X length; ideal: 1.41. Calcite, a perovskite with tilts so
# large that carbon on A holds three oxygens of its own, has 0.54.
_NEAREST_A = 0.7


@dataclass(frozen=True)
class Perovskite:
    """A crystal of perovskite structure.

    kind: "antiperovskite" if X are the cations and a nonmetal or metalloid sits in the octahedra (Ca3SnO: O)
    roles: A (in the cage), B (in the octahedron) or X (at its corners) of every site
    """

    kind: Kind
    roles: tuple[str, ...]


def site_roles(lattice: np.ndarray, atomic_numbers: Sequence[int], frac_coords: np.ndarray) -> list[str | None]:
    """A, B or X for every site of an ABX3 perovskite; None for every site of anything else.

    Antiperovskites have none either: their X are cations, and nothing learned of the anions of perovskites holds for
    them; `find_perovskite` gives the roles of their structure.

    Shapes: lattice (3, 3) rows a b c in angstrom, atomic_numbers (N,), frac_coords (N, 3)
    """
    found = find_perovskite(lattice, atomic_numbers, frac_coords)
    return list(found.roles) if found and found.kind == "perovskite" else [None] * len(atomic_numbers)


def perovskite_kind(lattice: np.ndarray, atomic_numbers: Sequence[int], frac_coords: np.ndarray) -> Kind | None:
    """ "perovskite", "antiperovskite", or None for anything else; arguments as of `site_roles`."""
    found = find_perovskite(lattice, atomic_numbers, frac_coords)
    return found.kind if found else None


def find_perovskite(lattice: np.ndarray, atomic_numbers: Sequence[int], frac_coords: np.ndarray) -> Perovskite | None:
    """The roles of all sites and what kind of perovskite it is; None if it is none.

    Shapes: lattice (3, 3) rows a b c in angstrom, atomic_numbers (N,), frac_coords (N, 3)
    """
    n = len(atomic_numbers)
    if n == 0 or n % 5:
        return None
    numbers = np.asarray(atomic_numbers, dtype=np.int64)
    listed = numbers.tolist()
    candidates = _anion_sets(tuple(sorted(Counter(listed).items())))
    if not candidates:
        return None
    lattice = np.asarray(lattice, dtype=float).reshape(3, 3)
    edge = (abs(np.linalg.det(lattice)) / n * 5) ** (1 / 3)
    if not edge > 0.1:
        return None
    box = np.round(lattice / edge, 9)  # the same for all ideal cells, whatever their size
    places = np.asarray(frac_coords, dtype=float)
    elements = np.unique(numbers, return_inverse=True)[1]
    for kind, anions in candidates:
        is_x = np.array([z in anions for z in listed])
        is_b = _octahedral(box.tobytes(), places.tobytes(), elements.tobytes(), is_x.tobytes())
        if is_b is None:
            continue
        if kind == "antiperovskite" and not _is_antiperovskite(numbers, is_x, is_b):
            continue
        roles = ["X" if x else "B" if b else "A" for x, b in zip(is_x.tolist(), is_b.tolist(), strict=True)]
        return Perovskite(kind, tuple(roles))
    return None


def _is_antiperovskite(numbers: np.ndarray, is_x: np.ndarray, is_b: np.ndarray) -> bool:
    """Nonmetals or metalloids in all octahedra, and none of their elements in a cage as well (that is M3X2)."""
    centres, cages = set(numbers[is_b].tolist()), set(numbers[~(is_x | is_b)].tolist())
    return centres <= _ANTI_CENTRES and not centres & cages


@lru_cache(maxsize=1)
def _neighbours(box: bytes, frac_coords: bytes) -> tuple[np.ndarray, ...]:
    """All pairs within `_REACH`: centre, neighbour, distance (E,), vector (E, 3); in no particular order."""
    lattice, places = (np.frombuffer(part).reshape(-1, 3) for part in (box, frac_coords))
    points = (places - np.floor(places)) @ lattice
    search = NeighborList(cutoff=_REACH, full_list=True, n_threads=1)
    centre, neighbour, distance, vector = search.compute(points, lattice, True, "ijdD")
    return centre.astype(np.int64), neighbour.astype(np.int64), distance, vector


@cache
def _electronegativity(number: int) -> float:
    from pymatgen.core import Element

    return Element.from_Z(number).X


@cache
def _anion_sets(composition: tuple[tuple[int, int], ...]) -> list[tuple[Kind, frozenset[int]]]:
    """Sets of elements that can be X: three fifths of all sites. Perovskites come before antiperovskites.

    composition: pairs of atomic number and number of sites
    """
    elements, counts = zip(*composition, strict=True)
    perovskites: list[tuple[Kind, frozenset[int]]] = []
    anti: list[tuple[Kind, frozenset[int]]] = []
    need = 3 * sum(counts) // 5
    for size in range(1, len(elements)):
        for chosen in combinations(range(len(elements)), size):
            if sum(counts[i] for i in chosen) != need:
                continue
            x = frozenset(elements[i] for i in chosen)
            others = [z for z in elements if z not in x]
            if ANIONS.issuperset(x):
                lowest = min(map(_electronegativity, x))
                # Metals may be more electronegative than the anion: hydrides of palladium and rhodium.
                if all(z not in ANIONS or _electronegativity(z) < lowest for z in others):
                    perovskites.append(("perovskite", x))
            elif not ANIONS & x and _ANTI_CENTRES & set(others):
                anti.append(("antiperovskite", x))
    return perovskites + anti


@dataclass(frozen=True)
class _Pairs:
    """Neighbours X -> other site, shorter than `_REACH`; vector (E, 3) from X. Lengths in cubic edges."""

    x: np.ndarray
    other: np.ndarray
    distance: np.ndarray
    vector: np.ndarray


@lru_cache(maxsize=256)
def _octahedral(box: bytes, frac_coords: bytes, elements: bytes, x: bytes) -> np.ndarray | None:
    """Which of the sites that are not X are B, (N,) bool: the choice that makes a network of corner-sharing octahedra.

    Where two choices do (LiNbO3, whose cations are all octahedral), B has the shorter bonds. Remembered, since the
    crystals of a screening often differ in nothing but their elements; hence arrays as bytes.
    elements: (N,) int64, equal where the elements are
    """
    is_x = np.frombuffer(x, dtype=bool)
    centre, neighbour, distance, vector = _neighbours(box, frac_coords)
    keep = is_x[centre] & ~is_x[neighbour]
    pairs = _Pairs(centre[keep], neighbour[keep], distance[keep], vector[keep])
    best, shortest = None, np.inf
    for is_b in _assignments(pairs, np.frombuffer(elements, dtype=np.int64), is_x):
        bond = _corner_sharing(pairs, is_x, is_b)
        if bond is None or bond >= shortest:
            continue
        nearest = _nearest_x(pairs, np.flatnonzero(~(is_x | is_b)), 3)
        if nearest is not None and nearest.sum(1).min() >= 3 * _NEAREST_A * bond:
            best, shortest = is_b, bond
    return best


def _assignments(pairs: _Pairs, numbers: np.ndarray, is_x: np.ndarray) -> Iterator[np.ndarray]:
    """Half of the sites that are not X, (N,) bool each: by element, and by how much closer six X are than twelve."""
    others = np.flatnonzero(~is_x)
    half = len(others) // 2
    if half > 1:
        elements, counts = np.unique(numbers[others], return_counts=True)
        for size in range(1, min(len(elements), 4)):
            for chosen in combinations(range(len(elements)), size):
                if sum(counts[list(chosen)]) == half:
                    yield ~is_x & np.isin(numbers, elements[list(chosen)])
        nearest = _nearest_x(pairs, others, 12)
        if nearest is None:
            return
        others = others[np.argsort(nearest[:, :6].mean(1) / nearest.mean(1), kind="stable")]
    for choice in (others[:half], others[half:]):
        is_b = np.zeros(len(numbers), dtype=bool)
        is_b[choice] = True
        yield is_b


def _nearest_x(pairs: _Pairs, sites: np.ndarray, k: int) -> np.ndarray | None:
    """Distances to the k nearest X of each of these sites, (S, k); None if one has fewer within `_REACH`."""
    order = np.lexsort((pairs.distance, pairs.other))
    other = pairs.other[order]
    first = other.searchsorted(sites)
    if (other.searchsorted(sites, side="right") - first).min() < k:
        return None
    return pairs.distance[order][first[:, None] + np.arange(k)]


def _corner_sharing(pairs: _Pairs, is_x: np.ndarray, is_b: np.ndarray) -> float | None:
    """Mean B-X length if every X joins two B and the B form a simple cubic network; None otherwise."""
    bonds = np.flatnonzero(is_b[pairs.other])
    bonds = bonds[np.lexsort((pairs.distance[bonds], pairs.x[bonds]))]
    x = pairs.x[bonds]
    x_sites = np.flatnonzero(is_x)
    first = x.searchsorted(x_sites)
    if (x.searchsorted(x_sites, side="right") - first).min() < 3:
        return None
    one, two, three = bonds[first], bonds[first + 1], bonds[first + 2]
    if (pairs.distance[three] < _THIRD_B * pairs.distance[two]).any():
        return None
    if (pairs.distance[two] > _LONG_BOND * pairs.distance[one]).any():
        return None
    b = np.concatenate([pairs.other[one], pairs.other[two]])
    if (np.bincount(b, minlength=len(is_b))[is_b] != 6).any():
        return None
    step = pairs.vector[two] - pairs.vector[one]  # from one B to the other, (X, 3)
    step /= np.sqrt((step * step).sum(1, keepdims=True))
    around = np.concatenate([step, -step])[b.argsort(kind="stable")].reshape(-1, 6, 3)
    cosine = np.sort(around @ around.transpose(0, 2, 1), axis=-1)  # (B, 6, 6), itself last
    if (cosine[..., 0] > _OPPOSITE).any() or cosine[..., 1].min() < -_ACROSS or cosine[..., 4].max() > _ACROSS:
        return None
    return float(pairs.distance[one].mean() + pairs.distance[two].mean()) / 2
