"""The plain reference of every ranking: least-squares models in which every element adds the same everywhere.

They need no network, and what they cannot know, surroundings, is what a network can add.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from .atlas import filtered, in_view, means_of_elements
from .cell import ATOMIC_NUMBER, SYMBOLS
from .datasets import Dataset
from .evaluation import additive_fit
from .graph import PackedGraphs
from .perovskite import ROLES
from .scoring import Scores


@dataclass(frozen=True)
class Additive:
    """A least-squares fit to one column of a table of crystals.

    kind: "A + B + X" or "composition"; column: what was fitted; n: crystals; mae: of the fit, eV/atom
    effects: columns element, role (null for a composition) and effect, eV per site
    """

    kind: str
    column: str
    n: int
    mae: float
    effects: pl.DataFrame


def additive_reference(scores: Scores, column: str) -> Additive | None:
    """E = A + B + anion set, fitted to the five-atom perovskites that have a number in `column`; None without any.

    Effects as in `evaluation.AdditiveFit`: five times the coefficient, centred over the elements of a role.
    """
    perovskites = scores.crystals.filter(pl.col("perovskite"), pl.col("n_sites") == 5)
    groups, sites = _by_formula(scores, perovskites, column)
    data = _as_dataset(groups, sites, scores.about["data"], column)
    if groups["count"].sum() < 3:
        return None
    fit = additive_fit(data, np.arange(len(data)), groups["count"].to_numpy())
    rows = [(SYMBOLS[z], role, effect) for role in "AB" for z, effect in fit.effect[role].items()]
    effects = pl.DataFrame(rows, schema={"element": pl.String, "role": pl.String, "effect": pl.Float64}, orient="row")
    n, mae = _error(groups[fit.crystals], fit.prediction)
    return Additive("A + B + X", column, n, mae, effects)


def _by_formula(scores: Scores, crystals: pl.LazyFrame, column: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Crystals of the same formula as one, since an additive model cannot tell them apart; and the sites of that one.

    crystals: those that count if they have a number in `column`
    -> columns row, formula, count of crystals, atoms in all of them, their targets, and the mean target
       columns row, element, role
    """
    labelled = crystals.filter(pl.col(column).is_finite()).group_by("formula")
    groups = labelled.agg(
        pl.col("row").min(),
        pl.len().alias("count"),
        pl.col("n_sites").sum().cast(pl.Float64).alias("atoms"),
        pl.col(column).alias("targets"),
        pl.col(column).mean().alias("target"),
    )
    groups = groups.collect(engine="streaming").sort("row")
    # Of a large data set all formulas soon have occurred, so most of its files need not be opened.
    sites = scores.sites.filter(pl.col("row") <= groups["row"].max())
    sites = sites.join(groups.lazy().select("row"), on="row", how="semi", maintain_order="left")
    sites = sites.select("row", "element", "role").collect(engine="streaming")
    order = sites.select(pl.col("row").unique(maintain_order=True))
    return groups.join(order, on="row", maintain_order="right"), sites


def _error(groups: pl.DataFrame, fitted: np.ndarray) -> tuple[int, float]:
    """Number of the crystals of some formulas, and the mean absolute error of what was fitted to each formula."""
    errors = groups["targets"].explode().to_numpy() - np.repeat(fitted, groups["count"].to_numpy())
    return len(errors), float(np.abs(errors).mean())


def _as_dataset(groups: pl.DataFrame, sites: pl.DataFrame, name: str, column: str) -> Dataset:
    """Five-atom cells as a data set that has all but edges and volumes, which the fit does not need."""
    n = len(groups)
    five, none = np.full(n, 5), np.zeros(n, dtype=np.int64)
    empty = np.empty(0)
    numbers = sites["element"].replace_strict(ATOMIC_NUMBER, return_dtype=pl.Int64).to_numpy()
    roles = sites["role"].replace_strict({role: i for i, role in enumerate(ROLES)}, return_dtype=pl.Int8).to_numpy()
    return Dataset(
        name=name,
        target=column,
        ids=groups["row"].to_numpy(),
        targets=groups["target"].to_numpy(),
        split=np.full(n, ""),
        graphs=PackedGraphs(five, none, numbers, empty, empty, empty, empty),
        roles=roles,
        volume=np.full(n, np.nan),
        unreadable=[],
    )


def composition_reference(scores: Scores, column: str, relative: bool = False) -> Additive | None:
    """E = mean of one number an element over the atoms, fitted to all crystals that have a number in `column`.

    relative: effects to the mean of each site's own crystal, as the network's are shown where there are no roles
    -> None where fewer crystals than elements have one
    """
    groups, sites = _by_formula(scores, scores.crystals, column)
    counts = sites.group_by("row", "element").len().join(groups.select("row").with_row_index("group"), on="row")
    elements = counts["element"].unique().sort()
    if groups["count"].sum() <= len(elements):
        return None
    share = np.zeros((len(groups), len(elements)))
    place = counts["element"].replace_strict({e: i for i, e in enumerate(elements)}, return_dtype=pl.Int64)
    share[counts["group"].to_numpy(), place.to_numpy()] = counts["len"].to_numpy()
    share /= share.sum(1, keepdims=True)
    weighted = share * groups["count"].to_numpy()[:, None]
    effect = np.linalg.lstsq(weighted.T @ share, weighted.T @ groups["target"].to_numpy(), rcond=None)[0]
    fitted = share @ effect
    n, mae = _error(groups, fitted)
    if relative:
        atoms = share * groups["atoms"].to_numpy()[:, None]
        effect = effect - (atoms * fitted[:, None]).sum(0) / atoms.sum(0)
    effects = pl.DataFrame({"element": elements, "role": pl.Series([None] * len(elements), dtype=pl.String)})
    return Additive("composition", column, n, mae, effects.with_columns(pl.Series("effect", effect)))


@dataclass(frozen=True)
class Agreement:
    """A ranking against another one, over n elements: Pearson's r, Spearman's rho, slope of the one on the other."""

    n: int
    r: float
    rho: float
    slope: float


def agreement(values: pl.DataFrame, effects: pl.DataFrame) -> dict[str | None, Agreement]:
    """Role -> how well mean contributions follow the effects of an additive reference.

    values: `atlas.means_of_elements`; roles with fewer than three elements are left out
    """
    both = values.join(effects, on=["element", "role"], nulls_equal=True)
    found = {}
    for (role,), rows in both.group_by("role"):
        mean, effect = rows["mean"], rows["effect"]
        if len(rows) < 3 or mean.n_unique() < 2 or effect.n_unique() < 2:
            continue
        rank = np.corrcoef(mean.rank(), effect.rank())[0, 1]
        slope = np.polyfit(effect, mean, 1)[0]
        found[role] = Agreement(len(rows), float(np.corrcoef(mean, effect)[0, 1]), float(rank), float(slope))
    return found


@dataclass(frozen=True)
class Comparison:
    """A ranking of elements beside the plain reference.

    fit: the reference; labelled: fitted to the labels of the data, not to the model's own energies
    held_out: the agreement is that on crystals outside the split "train"
    agreement: of each role (None for crystals without)
    """

    fit: Additive
    labelled: bool
    held_out: bool
    agreement: dict[str | None, Agreement]


def compare(scores: Scores, view: str, roles: bool, means: pl.DataFrame | None = None) -> Comparison | None:
    """Elements of a data set against an additive fit to its labels, or to the model's energies if it has none.

    Labels count where they are what the model predicts.
    view: one of `atlas.VIEWS`; roles: crystals are perovskites
    means: `atlas.means_of_elements` in this view, if they are known
    -> None where nothing can be fitted, and for views whose zero no other model knows
    """
    if view == "element" or (roles and view == "absolute"):
        return None
    about = scores.about
    labels = scores.target if about["target in the data"] == about["predicts"]["name"] else None
    for column in filter(None, (labels, "energy")):
        if roles:
            fit = additive_reference(scores, column)
        else:
            fit = composition_reference(scores, column, relative=view == "relative")
        if fit is not None:
            break
    else:
        return None
    held_out = filtered(scores, without_split="train") if column == labels and about["split"] else None
    if held_out is not None and held_out.crystals.head(1).collect().is_empty():
        held_out = None
    if held_out is not None or means is None:
        means = means_of_elements(in_view(scores if held_out is None else held_out, view), roles)
    return Comparison(fit, column == labels, held_out is not None, agreement(means, fit.effects))
