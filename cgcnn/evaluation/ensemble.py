"""Independently trained members: error bars that are worth their name, and how far the members agree."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..cell import SYMBOLS
from ..datasets import Dataset
from ..gauge import alignment, column_means, columns, in_words, shift_table, shifts
from ..perovskite import ROLES
from .faithfulness import correlation, spearman
from .sites import Scored, are_perovskites, site_rows

ONE_SD = 0.6827  # share of a normal distribution within one standard deviation
_BINS = 10
# An element on fewer sites has no mean worth comparing.
_SITES_OF_AN_ELEMENT = 20


def calibration(energies: np.ndarray, target: np.ndarray) -> dict:
    """The factor that turns the spread over members into an error bar of the energy, and how well that works.

    The factor makes 68.3 % of the crystals lie within one standard deviation of their target. What it achieves is
    counted on one half of the crystals after fitting it on the other, both ways round.

    energies: (M, C) of crystals not trained on; target: (C,)
    -> {"scale", "n", "coverage 1 sd", "coverage 2 sd": [before, after], "sd", "error": of tenths of the crystals by
    their scaled spread, its mean and the absolute error that 68.3 % stay below}; {} for one member or few crystals
    """
    if len(energies) < 2 or len(target) < 20:
        return {}
    sd = np.maximum(energies.std(0, ddof=1), 1e-12)
    error = np.abs(energies.mean(0) - target)
    ratio = error / sd
    scale = float(np.quantile(ratio, ONE_SD))
    half = np.random.default_rng(0).permutation(len(ratio)) % 2 == 0
    after = np.empty(len(ratio))
    for fitted, counted in ((half, ~half), (~half, half)):
        after[counted] = ratio[counted] / np.quantile(ratio[fitted], ONE_SD)
    groups = np.array_split(np.argsort(sd), _BINS)
    return {
        "scale": scale,
        "n": len(ratio),
        "coverage 1 sd": [float(np.mean(ratio < 1)), float(np.mean(after < 1))],
        "coverage 2 sd": [float(np.mean(ratio < 2)), float(np.mean(after < 2))],
        "sd": [float(scale * sd[g].mean()) for g in groups],
        "error": [float(np.quantile(error[g], ONE_SD)) for g in groups],
        "contributions": "not scaled: contributions have no DFT counterpart, their error bar is the plain spread over "
        "the members",
    }


def fix_gauge(data: Dataset, train: np.ndarray, scored: Scored) -> dict:
    """What is free in the contributions of training crystals, and the shifts that align the members along it.

    train: all training crystals; scored: enough of them
    -> {"note": in words, "by", "dimension", "after centring", "shift": see `gauge.shift_table`}
    """
    by_role = are_perovskites(data, train)
    if by_role:  # the few that have no roles are no part of the factorial
        train = train[data.roles[data.graphs.first_site[train]] >= 0]
    rows = site_rows(data, train)
    role, numbers = data.roles.astype(np.int64), data.graphs.atomic_numbers
    found = columns(numbers[rows], role[rows], data.graphs.sites[train], by_role)
    free = found.after_centring if by_role else found.null
    shift = np.zeros((len(scored.values), len(found.sites)))
    if free.shape[1]:
        column = np.full(len(numbers), -1)
        column[rows] = found.of_site
        values, column = scored.values, column[scored.rows]
        if by_role:
            own = role[scored.rows]
            values = values - np.stack([values[:, own == r].mean(1) for r in range(len(ROLES))], axis=1)[:, own]
        shift = alignment(column_means(values, column, len(found.sites)), found.sites, free)
    return {
        "note": in_words(found, by_role),
        "by": "role and element" if by_role else "element",
        "dimension": found.dimension,
        "after centring": free.shape[1],
        "shift": shift_table(shift, found),
    }


def aligned(data: Dataset, scored: Scored, reference: dict, gauge: dict) -> np.ndarray:
    """Contributions of every member in the same gauge, (M, S): off the mean of their role where there is one."""
    role = data.roles[scored.rows].astype(np.int64)
    values = scored.values.copy()
    for code, name in enumerate(ROLES):
        if name in reference:
            values[:, role == code] -= np.array(reference[name])[:, None]
    if gauge.get("shift"):
        values -= shifts(gauge["shift"], len(values))[:, role, data.graphs.atomic_numbers[scored.rows]]
    return values


def element_means(data: Dataset, rows: np.ndarray, values: np.ndarray, by_role: bool) -> dict[str, np.ndarray]:
    """Mean contribution of each element on each role, "" for data without roles: {role: (M, elements)}.

    rows: (S,) sites in the data set; values: (M, S). Elements on few sites are left out, X too where it has fewer
    than three elements.
    """
    role, numbers = data.roles[rows], data.graphs.atomic_numbers[rows]
    found = {}
    for name, chosen in [(r, role == i) for i, r in enumerate(ROLES)] if by_role else [("", role > -2)]:
        count = np.bincount(numbers[chosen], minlength=len(SYMBOLS))
        least = min(_SITES_OF_AN_ELEMENT, max(1, count.max(initial=0) // 5))  # a small data set still has a ranking
        elements = np.flatnonzero(count >= least)
        if len(elements) >= 3:
            found[name] = np.stack(
                [np.bincount(numbers[chosen], weights=v[chosen], minlength=len(SYMBOLS))[elements] for v in values]
            )
            found[name] = found[name] / count[elements]
    return found


def agreement(data: Dataset, scored: Scored, values: np.ndarray, by_role: bool) -> dict[str, dict[str, float]]:
    """How well independent members agree on contributions, after alignment; {role, "all sites" without roles: ...}.

    values: (M, S) of `aligned`
    -> "spearman": of the element means of two members, mean over pairs of members, "elements": how many
    "r": of the contributions of single sites by two members, mean over pairs
    "sd": mean spread of a site's contribution over members, "spread": of the element means, eV; "ratio" of the two
    """
    if len(values) < 2:
        return {}
    pairs = list(combinations(range(len(values)), 2))
    role = data.roles[scored.rows]
    found = {}
    for name, means in element_means(data, scored.rows, values, by_role).items():
        own = values[:, role == ROLES.index(name)] if name else values
        sd, spread = float(own.std(0, ddof=1).mean()), float(means.mean(0).std())
        found[name or "all sites"] = {
            "elements": means.shape[1],
            "spearman": float(np.mean([spearman(means[i], means[j]) for i, j in pairs])),
            "r": float(np.mean([correlation(own[i], own[j]) for i, j in pairs])),
            "sd": sd,
            "spread": spread,
            "ratio": sd / spread if spread else float("nan"),
        }
    return found
