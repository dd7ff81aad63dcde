"""Coordination numbers and nearest anions of whole data sets, from the edges of the crystal graphs.

The rule is that of `symmetry.coordination_shells`: the shell of a site holds the neighbours of the opposite kind up to
1.25 times as far as the nearest of them. Oxidation states take too long for whole data sets, so the kind comes from
electronegativity, site by site. A pair is polar if the more electronegative of the two is a non-metal or a metalloid.
A site whose nearest polar neighbour is the more electronegative acts as a cation, otherwise as an anion: sulfur is
a cation in sulfates and an anion in sulfides. In a perovskite the roles say it: A and B are cations and X anions, or
the reverse in an antiperovskite. A site without polar neighbours, as in a metal, counts every neighbour.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np

from .cell import SYMBOLS
from .graph import GraphSettings, PackedGraphs
from .perovskite import ROLES

SHELL = 1.25
_POLAR = 0.2  # difference of electronegativities from which a pair counts as polar, Pauling scale
_SAME = 1e-6  # angstrom
_ANIONS = np.isin(range(len(SYMBOLS)), [1, *range(5, 10), *range(14, 18), *range(32, 36), *range(51, 54), 85])


@cache
def electronegativities() -> np.ndarray:
    """Pauling's electronegativity by atomic number, nan where there is none; (119,)."""
    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of every missing value
        return np.array([np.nan] + [Element.from_Z(z).X for z in range(1, len(SYMBOLS))])


def coordination(graphs: PackedGraphs, roles: np.ndarray, settings: GraphSettings) -> tuple[np.ndarray, np.ndarray]:
    """Coordination number and nearest anion of every site of C crystals; N sites in all.

    Counted are neighbours in the crystal graph, which holds the nearest 12 and those up to 0.3 angstrom farther:
    a larger shell is counted as far as the graph goes.

    roles: (N,) index into `perovskite.ROLES`, -1 for none
    -> number (N,) int32, 0 without neighbours; atomic number of the nearest anion of the sites that act as cations
    (N,), 0 for the others
    """
    n = len(graphs.atomic_numbers)
    first = np.repeat(graphs.first_site, graphs.edges)
    centre, neighbour = graphs.centre + first, graphs.neighbour + first
    chi, can_be_anion = _by_role(graphs, roles)
    excess = np.nan_to_num(chi[neighbour] - chi[centre])  # 0, as good as none, where one is not known
    polar = (np.abs(excess) >= _POLAR) & np.where(excess > 0, can_be_anion[neighbour], can_be_anion[centre])
    # By distance, and of neighbours at the same distance the most polar first.
    order = np.lexsort((-np.abs(excess), np.round(graphs.distance, 3), centre))
    centre, neighbour, distance, excess, polar = (x[order] for x in (centre, neighbour, graphs.distance, excess, polar))

    kind = np.zeros(n)  # +1 cation, -1 anion, 0 neither
    with_polar, at = np.unique(centre[polar], return_index=True)
    kind[with_polar] = np.sign(excess[polar][at])
    opposite = (kind[neighbour] * kind[centre] < 0) | (kind[centre] == 0)
    images = _images(graphs.weight[order], distance, centre, n, settings)
    centre, neighbour, distance, images = (x[opposite] for x in (centre, neighbour, distance, images))
    with_shell, at = np.unique(centre, return_index=True)
    edge = np.zeros(n)
    edge[with_shell] = SHELL * distance[at] + _SAME
    inside = distance <= edge[centre]
    number = np.bincount(centre[inside], weights=images[inside], minlength=n)
    anion = np.zeros(n, dtype=np.int64)
    anion[with_shell] = np.where(kind[with_shell] > 0, graphs.atomic_numbers[neighbour[at]], 0)
    return np.rint(number).astype(np.int32), anion


def _by_role(graphs: PackedGraphs, roles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Electronegativity of every site, and whether it can be an anion; where sites have roles, those decide."""
    sites, chi = graphs.sites, electronegativities()[graphs.atomic_numbers]
    crystal = np.repeat(np.arange(len(sites)), sites)
    has_role, is_x = roles >= 0, roles == ROLES.index("X")

    def mean(chosen):
        total = np.bincount(crystal[chosen], weights=np.nan_to_num(chi[chosen]), minlength=len(sites))
        return total / np.maximum(np.bincount(crystal[chosen], minlength=len(sites)), 1)

    x_is_anion = mean(is_x) > mean(has_role & ~is_x)
    anion = is_x == x_is_anion[crystal]
    return np.where(has_role, 10.0 * anion, chi), np.where(has_role, anion, _ANIONS[graphs.atomic_numbers])


def _images(weight, distance, centre, n: int, settings: GraphSettings) -> np.ndarray:
    """How many periodic images every edge stands for; edges sorted by centre, then by distance, (E,).

    The weight is that number times a factor that is 1 up to d12, the distance of the 12th neighbour, so the first
    edge at which the weights add up to 12 is at d12, and behind it the factor can be divided out.
    """
    if settings.truncate:
        return weight
    total = np.cumsum(weight)
    before = np.concatenate(([0.0], total))[np.searchsorted(centre, np.arange(n))]
    full = total - before[centre] >= settings.neighbours - 1e-6
    d12 = np.full(n, np.inf)
    complete, at = np.unique(centre[full], return_index=True)
    d12[complete] = distance[full][at]
    x = np.clip((distance - d12[centre]) / settings.edge_width, 0.0, 1.0)
    factor = 0.5 + 0.5 * np.cos(np.pi * x)
    return np.maximum(1.0, np.rint(weight / np.maximum(factor, 1e-12)))
