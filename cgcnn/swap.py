"""Pairs of crystals that differ in one site, and the loss that makes linear contributions faithful.

An ordinary linear head may book the effect of an atom on its neighbours. Asking that the contributions of all other
sites stay when one atom is swapped for another leaves the effect on the atom that causes it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import torch

from .graph import GraphBatch, PackedGraphs


class SwapPairs:
    """Pairs of crystals whose lists of sites differ in the element of exactly one site.

    The crystals of a factorial data set (same B and X, another A; same A and X, another B) pair up by the thousand.
    Sites are matched by their place in the list.

    graphs: the data set; indices: the crystals to pair
    """

    def __init__(self, graphs: PackedGraphs, indices: np.ndarray):
        groups = defaultdict(dict)
        for i in indices:
            numbers = graphs.numbers_of(i).tolist()
            for site, number in enumerate(numbers):
                groups[(*numbers[:site], 0, *numbers[site + 1 :])].setdefault(number, []).append((int(i), site))
        # Each group: the crystals that agree in all sites but one, by the element on that site.
        self.groups = [list(by_element.values()) for by_element in groups.values() if len(by_element) > 1]
        members = defaultdict(list)
        for group, by_element in enumerate(self.groups):
            size = sum(map(len, by_element))
            for crystal, site in itertools.chain.from_iterable(by_element):
                members[crystal].append((group, site, size - 1))
        # Rows: crystals; columns: the groups a crystal belongs to, chosen by the number of mates in each.
        self.crystals = np.array(list(indices))
        columns = max(map(len, members.values()), default=1)
        self.group = np.full((len(self.crystals), columns), -1)
        self.site = np.full((len(self.crystals), columns), -1)
        mates = np.zeros((len(self.crystals), columns))
        for row, crystal in enumerate(self.crystals):
            for column, (group, site, size) in enumerate(members[int(crystal)]):
                self.group[row, column], self.site[row, column], mates[row, column] = group, site, size
        total = np.maximum(mates.sum(1, keepdims=True), 1)
        self.cumulative = np.cumsum(mates, axis=1) / total

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Every crystal once (one is left out of an odd number), in pairs.

        -> pairs (P, 2), swapped (P,): the site in which the two differ, -1 for crystals that found no mate
        """
        n = len(self.crystals)
        column = (rng.random((n, 1)) > self.cumulative).sum(1).clip(max=self.cumulative.shape[1] - 1)
        rows = np.arange(n)
        group, site = self.group[rows, column], self.site[rows, column]
        order = np.lexsort((rng.random(n), group))
        group, site, crystal = group[order], site[order], self.crystals[order]
        start = np.flatnonzero(np.diff(group, prepend=-2))
        place = rows - np.repeat(start, np.diff(start, append=n))
        first = np.flatnonzero((place % 2 == 0) & (np.append(group[1:], -2) == group) & (group >= 0))
        pairs = np.stack([crystal[first], crystal[first + 1]], axis=1)
        single = np.ones(n, dtype=bool)
        single[first] = single[first + 1] = False
        rest = rng.permutation(crystal[single])
        rest = rest[: len(rest) // 2 * 2].reshape(-1, 2)
        shuffle = rng.permutation(len(pairs) + len(rest))
        swapped = np.concatenate([site[first], np.full(len(rest), -1)])
        return np.concatenate([pairs, rest])[shuffle], swapped[shuffle]

    def __bool__(self) -> bool:
        """Whether any two crystals differ in one site."""
        return bool(self.groups)

    def all_pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every two crystals that differ in one site: first (P,), second (P,), site (P,)."""
        pairs = [
            (first, second, site)
            for by_element in self.groups
            for one, other in itertools.combinations(by_element, 2)
            for (first, site), (second, _) in itertools.product(one, other)
        ]
        first, second, site = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
        return first, second, site


def swap_consistency(contributions: torch.Tensor, batch: GraphBatch, swapped: torch.Tensor) -> torch.Tensor:
    """Mean squared change of the contributions of the sites that were not swapped.

    Shapes: contributions (N,) of a batch in which crystals 0 and 1, 2 and 3, ... are pairs; swapped (P,) -> scalar
    """
    first_site = batch.sites.cumsum(0) - batch.sites
    site = torch.arange(len(batch.crystal), device=batch.crystal.device) - first_site[batch.crystal]
    differs = swapped[batch.crystal // 2]
    paired = differs >= 0
    first, second = (paired & (batch.crystal % 2 == side) & (site != differs) for side in (0, 1))
    return (contributions[first] - contributions[second]).square().mean() if first.any() else contributions.sum() * 0
