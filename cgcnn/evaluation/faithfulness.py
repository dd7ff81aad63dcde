"""Are contributions booked on the atoms that cause them? Measured against labels, on crystals not trained on."""

from __future__ import annotations

import numpy as np

from ..datasets import Dataset
from ..model import Model
from ..perovskite import ROLES
from ..swap import SwapPairs
from .additive import additive_fit, composition_fit, perovskite_cells, true_split
from .exchange import exchanges
from .sites import Scored, are_perovskites, score_crystals

# An element on fewer sites of a large data set has no mean worth comparing.
_SITES_OF_AN_ELEMENT = 20


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing the mean of theirs."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[inverse.ravel()]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's r; nan where one of the two does not vary."""
    if len(one) < 3 or not (np.ptp(one) > 0 and np.ptp(other) > 0):
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation; nan where one of the two does not vary."""
    return correlation(ranks(one), ranks(other))


def line(true: np.ndarray, booked: np.ndarray) -> dict[str, float] | None:
    """Booked against true, eV: n, Pearson r, slope of booked on true, Spearman, and rmse about equal means.

    None where there is no line to draw.
    """
    if len(true) < 3 or not (np.ptp(true) > 0 and np.ptp(booked) > 0):
        return None
    off = (booked - booked.mean()) - (true - true.mean())
    return {
        "n": len(true),
        "r": correlation(true, booked),
        "slope": float(np.polyfit(true, booked, 1)[0]),
        "spearman": spearman(true, booked),
        "rmse": float(np.sqrt(np.square(off).mean())),
    }


def faithfulness(model: Model, data: Dataset, split: str = "val") -> dict[str, dict[str, float]]:
    """`booked_against_true` of a model on a split."""
    return booked_against_true(data, score_crystals(model, data, data.rows(split)))


def booked_against_true(data: Dataset, scored: Scored) -> dict[str, dict[str, float]]:
    """What is booked on atoms against what they cause; {name: n, r, slope of booked on true, spearman, rmse in eV}.

    Five-atom perovskites that form a factorial, where true effects are known:

    "elements A", "elements B": mean contribution of each element on the site, against its true effect, five times its
        coefficient in a least-squares A + B + anion-set fit to all labels
    "anion sets": mean of the sum of the three X, against five times the coefficient of the anion set
    "pairs A", "pairs B", "pairs X", "pairs" (all of them): over pairs of the crystals that differ in one site, the
        change of the contribution of that site against five times the change of the label. The slope is the share of
        the true difference that is booked on the swapped site
    "pairs anion sets": over pairs with the same A and B, the change of the sum of the three X
    "split A", "split B", "split X": contribution (X: sum of the three) in every crystal against the Shapley value
        of the labels

    Where A and B interact, neither swap can have the whole of a pair term. "best r" and "best slope" of the pairs are
    those of the Shapley values of the labels, the best that can be had for all pairs alike.

    Other crystals:

    "elements": mean contribution of each element against its coefficient in a least-squares fit to the compositions,
        a plain reference rather than a true effect
    "exchanges": over pairs of one structure that differ in one element, the change per exchanged atom of what is
        booked on it, against the true one; "plain r" and "plain slope" are those of the same fit
    """
    if not are_perovskites(data, scored.crystals):
        return _on_other_crystals(data, scored)
    cells = perovskite_cells(data, scored.crystals)
    return _on_elements(data, scored, cells) | _on_pairs(data, scored, cells) if len(cells) >= 3 else {}


def _on_elements(data: Dataset, scored: Scored, cells) -> dict[str, dict]:
    """Element means of five-atom perovskites against the additive fit."""
    fit = additive_fit(data, data.rows("all"))
    booked = booked_on_roles(data, scored, cells)
    found = {}
    for role, name in (("A", "elements A"), ("B", "elements B"), ("X", "anion sets")):
        code = cells.code(role)
        values = np.unique(code)
        keys = [cells.anion_sets[i] for i in values] if role == "X" else values.tolist()
        mean = np.array([booked[role][code == value].mean() for value in values])
        found[name] = line(np.array([fit.effect[role][key] for key in keys]), mean)
    return {name: entry for name, entry in found.items() if entry}


def booked_on_roles(data: Dataset, scored: Scored, cells) -> dict[str, np.ndarray]:
    """{"A", "B": contribution of that site, "X": sum of the three}, mean over the members, (P,) each."""
    value = scored.in_dataset_order(data)[cells.sites]  # (P, 5)
    role = data.roles[cells.sites]
    return {name: np.where(role == i, value, 0.0).sum(1) for i, name in enumerate(ROLES)}


def _on_pairs(data: Dataset, scored: Scored, cells) -> dict[str, dict]:
    contribution = scored.in_dataset_order(data)
    first, second, site = SwapPairs(data.graphs, cells.crystals).all_pairs()
    row, mate = data.graphs.first_site[first] + site, data.graphs.first_site[second] + site
    # A pair that relaxed into different roles was not swapped on one site.
    same = data.roles[row] == data.roles[mate]
    first, second, row, mate = first[same], second[same], row[same], mate[same]
    true = 5 * (data.targets[second] - data.targets[first])
    booked = contribution[mate] - contribution[row]
    split = true_split(data, cells)
    best = None
    if split is not None:
        place = np.full(len(data), -1)
        place[cells.crystals] = np.arange(len(cells))
        value = np.stack([split[role] for role in ROLES])  # (3, P)
        role = data.roles[row]
        best = value[role, place[second]] - value[role, place[first]]
    found = {}
    for name, chosen in [(f"pairs {r}", data.roles[row] == i) for i, r in enumerate(ROLES)] + [("pairs", row >= 0)]:
        found[name] = _pair_line(true[chosen], booked[chosen], None if best is None else best[chosen])
    of_roles = booked_on_roles(data, scored, cells)
    one, other = _same_cations(cells)
    true = 5 * (data.targets[cells.crystals[other]] - data.targets[cells.crystals[one]])
    best = None if split is None else split["X"][other] - split["X"][one]
    found["pairs anion sets"] = _pair_line(true, of_roles["X"][other] - of_roles["X"][one], best)
    if split is not None:
        found |= {f"split {role}": line(split[role], of_roles[role]) for role in ROLES}
    return {name: entry for name, entry in found.items() if entry}


def _same_cations(cells) -> tuple[np.ndarray, np.ndarray]:
    """Every two of the cells with the same A and B and another anion set."""
    key = cells.a * 128 + cells.b
    order = np.argsort(key, kind="stable")
    one, other = [], []
    for group in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        i, j = np.triu_indices(len(group), 1)
        keep = cells.x[group[i]] != cells.x[group[j]]
        one.append(group[i][keep])
        other.append(group[j][keep])
    return np.concatenate(one), np.concatenate(other)


def _pair_line(
    true: np.ndarray, booked: np.ndarray, yardstick: np.ndarray | None, name: str = "best"
) -> dict[str, float] | None:
    """A pair has no order; counted both ways round, the line goes through zero. name: of the yardstick"""
    both = [None if v is None else np.concatenate([v, -v]) for v in (true, booked, yardstick)]
    found = line(both[0], both[1])
    if found is None:
        return None
    found["n"] //= 2
    other = line(both[0], both[2]) if yardstick is not None else None
    if other:
        found |= {f"{name} r": other["r"], f"{name} slope": other["slope"]}
    return found


def _on_other_crystals(data: Dataset, scored: Scored) -> dict[str, dict]:
    coefficient, _ = composition_fit(data, data.rows("train" if (data.split == "train").any() else "all"))
    contribution = scored.in_dataset_order(data)
    numbers = data.graphs.atomic_numbers[scored.rows]
    value = contribution[scored.rows]
    count = np.bincount(numbers, minlength=119)
    elements = [z for z in np.flatnonzero(count >= _SITES_OF_AN_ELEMENT).tolist() if z in coefficient]
    mean = np.array([value[numbers == z].mean() for z in elements])
    found = {"elements": line(np.array([coefficient[z] for z in elements]), mean)}
    pairs = exchanges(data, scored.crystals)
    if len(pairs):
        total = np.zeros((len(data), 119))
        np.add.at(total, (np.repeat(np.arange(len(data)), data.graphs.sites)[scored.rows], numbers), value)
        sites = data.graphs.sites[pairs.first]
        true = sites * (data.targets[pairs.second] - data.targets[pairs.first]) / pairs.atoms
        booked = (total[pairs.second, pairs.into] - total[pairs.first, pairs.out]) / pairs.atoms
        table = np.full(119, np.nan)
        table[list(coefficient)] = list(coefficient.values())
        plain = table[pairs.into] - table[pairs.out]
        known = np.isfinite(plain)
        found["exchanges"] = _pair_line(true[known], booked[known], plain[known], "plain")
    return {name: entry for name, entry in found.items() if entry}
