"""Crystals that differ in one site, and the loss that makes linear contributions faithful.

An ordinary linear head may book the effect of an atom on its neighbours. Asking that the contributions of all other
sites stay when one atom is swapped for another leaves the effect on the atom that causes it. The mate of a crystal is
another one of the training crystals where the data hold them by the thousand (a factorial of perovskites); elsewhere
it is the same crystal with one element exchanged, which needs no label.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from .cell import HEAVIEST
from .distinct import DistinctSites
from .graph import PackedGraphs


@dataclass(frozen=True)
class Step:
    """The crystals of one step of a training.

    crystals: (B,) indices; labelled: the energies of the first so many are fitted, the others are mates of them
    pairs: (P, 2) places in the batch of crystals that differ in one site, or in one set of sites that are alike
    substituted: (B - labelled, 2) node and new atomic number of each mate without label
    """

    crystals: np.ndarray
    labelled: int
    pairs: np.ndarray
    substituted: np.ndarray


def _step(crystals, pairs=(), mates=(), substituted=()) -> Step:
    return Step(
        np.concatenate([crystals, mates]).astype(np.int64),
        len(crystals),
        np.asarray(pairs, dtype=np.int64).reshape(-1, 2),
        np.asarray(substituted, dtype=np.int64).reshape(-1, 2),
    )


class NoMates:
    """Batches for a training without the loss."""

    def __init__(self, crystals: np.ndarray):
        self.crystals = crystals

    def steps(self, size: int, rng: np.random.Generator) -> list[Step]:
        """One epoch: every crystal once, `size` crystals a step."""
        order = rng.permutation(self.crystals)
        return [_step(order[i : i + size]) for i in range(0, len(order), size)]


class SubstitutedMates:
    """Mates without labels: the same crystal with the element of one site, or of all that are like it, exchanged.

    The new element is drawn among those of the training crystals, the likelier the nearer it is to the old one on
    Pettifor's scale (D. G. Pettifor, J. Phys. C 19, 285 (1986), pymatgen's Mendeleev numbers), so that anions replace
    anions.

    crystals: (C,) those of the training; share: of them that get a mate, drawn anew in every epoch
    """

    def __init__(self, distinct: DistinctSites, crystals: np.ndarray, share: float):
        self.graphs, self.crystals, self.share = distinct.graphs, crystals, share
        rows = [self.graphs.numbers_of(c) for c in crystals]
        self.probability = substitution_probability(np.unique(np.concatenate(rows)))

    def steps(self, size: int, rng: np.random.Generator) -> list[Step]:
        """One epoch: every crystal once, `size` of them a step, and their mates."""
        order = rng.permutation(self.crystals)
        found = []
        for start in range(0, len(order), size):
            crystals = order[start : start + size]
            places = np.flatnonzero(rng.random(len(crystals)) < self.share)
            substituted = []
            for crystal in crystals[places]:
                numbers = self.graphs.numbers_of(crystal)
                node = rng.integers(len(numbers))
                new = rng.choice(len(self.probability), p=self.probability[numbers[node]])
                substituted.append((node, new))
            pairs = np.stack([places, len(crystals) + np.arange(len(places))], axis=1)
            found.append(_step(crystals, pairs, crystals[places], substituted))
        return found


@cache
def _pettifor_scale() -> np.ndarray:
    """Mendeleev number by atomic number; (104,), 0 for none."""
    from pymatgen.core import Element

    return np.array([0.0] + [float(Element.from_Z(z).mendeleev_no or 0) for z in range(1, HEAVIEST + 1)])


_REACH_OF_SUBSTITUTION = 6.0  # Mendeleev numbers: about two columns of the periodic table


def substitution_probability(elements: np.ndarray) -> np.ndarray:
    """Probability that an element is exchanged for another; (104, 104), rows of absent elements are zero.

    elements: atomic numbers that occur
    """
    scale = _pettifor_scale()
    weight = np.zeros((len(scale), len(scale)))
    weight[np.ix_(elements, elements)] = np.exp(
        -np.abs(scale[elements][:, None] - scale[elements]) / _REACH_OF_SUBSTITUTION
    )
    np.fill_diagonal(weight, 0.0)
    if len(elements) == 1:
        weight[elements, elements] = 1.0
    return weight / np.maximum(weight.sum(1, keepdims=True), 1e-300)


_ROUNDS = 4


class SwapPairs:
    """Pairs of crystals whose lists of sites differ in the element of exactly one site.

    The crystals of a factorial data set (same B and X, another A; same A and X, another B) pair up by the thousand.
    Sites are matched by their place in the list.

    graphs: whole crystal graphs of the data set; indices: the crystals to pair
    """

    def __init__(self, graphs: PackedGraphs, indices: np.ndarray):
        groups = defaultdict(dict)
        for i in indices:
            numbers = graphs.numbers_of(i).tolist()
            for site, number in enumerate(numbers):
                groups[(*numbers[:site], 0, *numbers[site + 1 :])].setdefault(number, []).append((int(i), site))
        # Each group: the crystals that agree in all sites but one, by the element on that site.
        self.groups = [list(by_element.values()) for by_element in groups.values() if len(by_element) > 1]
        # Rows: crystals; columns: the groups a crystal belongs to, one for each of its sites that has mates.
        self.crystals = np.array(list(indices))
        row = {crystal: i for i, crystal in enumerate(self.crystals.tolist())}
        members = [[] for _ in row]
        for group, by_element in enumerate(self.groups):
            for crystal, site in itertools.chain.from_iterable(by_element):
                members[row[crystal]].append((group, site))
        self.choices = np.array([len(own) for own in members])
        self.group = np.full((len(row), self.choices.max(initial=1)), -1)
        self.site = np.full_like(self.group, -1)
        for own, groups, sites in zip(members, self.group, self.site, strict=True):
            groups[: len(own)], sites[: len(own)] = np.array(own, dtype=np.int64).reshape(-1, 2).T

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Every crystal once (one is left out of an odd number), in pairs; its sites that have mates are drawn alike.

        -> pairs (P, 2), swapped (P,): the site in which the two differ, -1 for crystals that found no mate
        """
        pairs, swapped = [], []
        left = np.arange(len(self.crystals))
        for _ in range(_ROUNDS):  # those whose group was empty draw another
            one, other, site, left = self._pair(left, rng)
            pairs.append(np.stack([one, other], axis=1))
            swapped.append(site)
        rest = rng.permutation(left)[: len(left) // 2 * 2].reshape(-1, 2)
        pairs, swapped = np.concatenate([*pairs, rest]), np.concatenate([*swapped, np.full(len(rest), -1)])
        order = rng.permutation(len(pairs))
        return self.crystals[pairs[order]], swapped[order]

    def _pair(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Each of some rows draws one of its groups, and those in a group pair up: one, other, site; rows left over."""
        column = (rng.random(len(rows)) * self.choices[rows]).astype(np.int64)
        group, site = self.group[rows, column], self.site[rows, column]
        order = np.lexsort((rng.random(len(rows)), group))
        group, site, rows = group[order], site[order], rows[order]
        start = np.flatnonzero(np.diff(group, prepend=-2))
        place = np.arange(len(rows)) - np.repeat(start, np.diff(start, append=len(rows)))
        first = np.flatnonzero((place % 2 == 0) & (np.append(group[1:], -2)[: len(rows)] == group) & (group >= 0))
        single = np.ones(len(rows), dtype=bool)
        single[first] = single[first + 1] = False
        return rows[first], rows[first + 1], site[first], rows[single]

    def __bool__(self) -> bool:
        """Whether any two crystals differ in one site."""
        return bool(self.groups)

    def steps(self, size: int, rng: np.random.Generator) -> list[Step]:
        """One epoch of crystals in pairs, `size` crystals a step."""
        drawn, site = self.draw(rng)
        half = size // 2
        found = []
        for start in range(0, len(drawn), half):
            pairs = np.arange(2 * len(drawn[start : start + half])).reshape(-1, 2)
            found.append(_step(drawn[start : start + half].ravel(), pairs[site[start : start + half] >= 0]))
        return found

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


def unswapped_rows(step: Step, distinct: DistinctSites, atomic_numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the sites that were not swapped, in the first and in the second crystal of every pair; (K,) each.

    atomic_numbers: of the nodes of the batch, with the substitutions made
    """
    one, other = (distinct.rows(step.crystals, step.pairs[:, side]) for side in (0, 1))
    same = atomic_numbers[one] == atomic_numbers[other]
    return one[same], other[same]


def substitute(step: Step, distinct: DistinctSites, atomic_numbers: np.ndarray) -> None:
    """Put the new elements of a step's mates into the atomic numbers of the nodes of its batch."""
    if len(step.substituted):
        nodes = distinct.graphs.sites[step.crystals]
        first = (np.cumsum(nodes) - nodes)[step.labelled :]
        atomic_numbers[first + step.substituted[:, 0]] = step.substituted[:, 1]


def swap_consistency(contributions: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Mean squared change of the contributions of the sites that were not swapped.

    Shapes: contributions (N,) of the nodes of a batch; one, other (K,) of `unswapped_rows` -> scalar
    """
    if not len(one):
        return contributions.sum() * 0
    return (contributions[one] - contributions[other]).square().mean()
