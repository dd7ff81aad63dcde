"""Pairs of crystals of one structure that differ in one element, in data sets of any chemistry.

All atoms of one element are exchanged for atoms of another that the crystal did not hold: NaCl and KCl, SrTiO3 and
SrZrO3 of the same tilts. Structures are compared by a fingerprint of the crystal graph that does not know the
exchanged element: for every element, its twelve nearest neighbours in units of the edge of an atom's own volume, and
how far the atoms of each element are among them. Equal to a few per cent is taken as equal; orders of magnitude
faster than matching lattices, and for a statistic over thousands of pairs good enough.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..datasets import Dataset

NEIGHBOURS = 12
_SAME_DISTANCE = 0.06  # largest difference of a scaled distance; 2.7 angstrom is about 1.2
_SAME_VOLUME = 0.2  # largest relative difference of the volume per atom
_EXCHANGED = 0  # atomic number that stands for the exchanged element


@dataclass(frozen=True)
class Exchanges:
    """P pairs of crystals. first, second: (P,) indices; out, into: (P,) atomic number of the element that is exchanged
    in the first, and in the second; atoms: (P,) how many of it are in the cell"""

    first: np.ndarray
    second: np.ndarray
    out: np.ndarray
    into: np.ndarray
    atoms: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def exchanges(data: Dataset, crystals: np.ndarray) -> Exchanges:
    """Every two of the crystals that differ in one element and have the same structure otherwise."""
    groups = defaultdict(list)
    for crystal in crystals.tolist():
        elements, counts = np.unique(data.graphs.numbers_of(crystal), return_counts=True)
        if len(elements) < 2:
            continue
        composition = list(zip(elements.tolist(), counts.tolist(), strict=True))
        for i, (element, count) in enumerate(composition):
            groups[(count, *composition[:i], *composition[i + 1 :])].append((crystal, element))
    profiles = _Profiles(data)
    pairs = []
    for (count, *_), members in groups.items():
        if len({element for _, element in members}) < 2:
            continue
        crystal, element = np.array(members).T
        print_ = np.stack([profiles.fingerprint(c, z) for c, z in members])  # (G, D)
        volume = profiles.volume[crystal]
        for i in range(len(members) - 1):
            later = slice(i + 1, None)
            same = (
                (element[later] != element[i])
                & (np.abs(print_[later] - print_[i]).max(1) < _SAME_DISTANCE)
                & (np.abs(np.log(volume[later] / volume[i])) < _SAME_VOLUME)
            )
            pairs += [(crystal[i], crystal[j], element[i], element[j], count) for j in i + 1 + np.flatnonzero(same)]
    return Exchanges(*np.array(pairs, dtype=np.int64).reshape(-1, 5).T)


class _Profiles:
    """The twelve nearest neighbours of every site of a data set, by distance."""

    def __init__(self, data: Dataset):
        graphs = self.graphs = data.graphs
        self.volume = data.volume / graphs.sites  # per atom, (C,)
        order = np.lexsort((graphs.distance, graphs.centre + np.repeat(graphs.first_site, graphs.edges)))
        self.distance, self.weight = graphs.distance[order], graphs.weight[order]
        self.centre, self.neighbour = graphs.centre[order], graphs.neighbour[order]

    def fingerprint(self, crystal: int, exchanged: int) -> np.ndarray:
        """Scaled distances, the same length for every crystal of a composition; (D,).

        For each element, the exchanged one first: the mean over its sites of the distances to the first, second, ...
        neighbour, and for each element among these neighbours their mean distance and a twelfth of their number.
        """
        graphs = self.graphs
        edges = slice(graphs.first_edge[crystal], graphs.first_edge[crystal] + graphs.edges[crystal])
        numbers = graphs.numbers_of(crystal)
        label = np.where(numbers == exchanged, _EXCHANGED, numbers)
        centre, neighbour = self.centre[edges], self.neighbour[edges]
        distance = self.distance[edges] / self.volume[crystal] ** (1 / 3)
        n = len(numbers)
        before = np.cumsum(self.weight[edges]) - self.weight[edges]
        first = np.searchsorted(centre, np.arange(n))
        start = before[np.minimum(first, max(len(before) - 1, 0))] if len(before) else np.zeros(n)
        before = before - start[centre]
        # How much of an edge, which stands for all periodic images at this distance, counts as the k-th neighbour.
        k = np.arange(NEIGHBOURS)
        part = np.clip(before[:, None] + self.weight[edges][:, None] - k, 0, 1) - np.clip(before[:, None] - k, 0, 1)
        profile = np.zeros((n, NEIGHBOURS))
        np.add.at(profile, centre, part * distance[:, None])
        inside = part.sum(1)  # of the edge, (E,)
        found = []
        for own in np.unique(label):
            sites = label == own
            found.append(profile[sites].mean(0))
            at = sites[centre]
            for other in np.unique(label):
                chosen = at & (label[neighbour] == other)
                number = inside[chosen].sum() / sites.sum()
                mean = (inside[chosen] * distance[chosen]).sum() / sites.sum() / NEIGHBOURS
                found.append([number / NEIGHBOURS, mean])
        return np.concatenate(found)
