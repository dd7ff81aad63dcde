"""Rules of the periodic table -> candidates among the 18,928 ABX3, hit rates, means by group."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from .lattice import ANION_SETS, ELEMENTS
from .tolerance import space_factors

THRESHOLD = 0.2  # eV/atom, as in Xie and Grossman (2018)


@cache
def group_and_period(symbol: str) -> tuple[int, int]:
    """Group (1 to 18) and period of an element."""
    from pymatgen.core import Element

    element = Element(symbol)
    return element.group, element.row


def elements_in(groups: Collection[int] = (), periods: Collection[int] = ()) -> tuple[str, ...]:
    """The elements of the space in these groups and periods, by atomic number; all for those left empty."""
    chosen = []
    for symbol in ELEMENTS:
        group, period = group_and_period(symbol)
        if (not groups or group in groups) and (not periods or period in periods):
            chosen.append(symbol)
    return tuple(chosen)


@dataclass(frozen=True)
class Rule:
    """A choice of elements for A and B and of anion sets.

    name; about: the choice in words; source: where it comes from; a, b: element symbols; x: anion sets
    """

    name: str
    about: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    x: tuple[str, ...] = tuple(ANION_SETS)
    source: str = ""


@cache
def rules() -> tuple[Rule, ...]:
    """Rules by name, that of the paper first."""
    trivalent = ("Al", "Sc", "Cr", "Fe", "Co", "Ga", "Y", "Rh", "In")
    return (
        Rule("Xie and Grossman 2018", "A in groups 13 to 15 of periods 5 and 6, B in groups 4 to 6",
             elements_in((13, 14, 15), (5, 6)), elements_in((4, 5, 6)),
             source="T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018)"),
        Rule("II-IV oxides", "A in group 2, B in group 4 or 14", elements_in((2,)), elements_in((4, 14)), ("O3",)),
        Rule("I-V oxides", "A in group 1, B in group 5 or 15", elements_in((1,)), elements_in((5, 15)), ("O3",)),
        Rule("III-III oxides", "A in group 3 or 13, B trivalent", elements_in((3, 13)), trivalent, ("O3",)),
        Rule("Oxynitrides", "A in group 2 or La, B in groups 4 to 6", (*elements_in((2,)), "La"),
             elements_in((4, 5, 6)), ("O2N", "ON2")),
        Rule("All", "all 52 elements on A and on B", ELEMENTS, ELEMENTS),
    )  # fmt: skip


@dataclass(frozen=True)
class HitRate:
    """Of n crystals, `hits` have an energy strictly below the threshold."""

    n: int
    hits: int

    @property
    def rate(self) -> float | None:
        """Between 0 and 1; None without crystals."""
        return self.hits / self.n if self.n else None

    def over(self, base: HitRate) -> float | None:
        """Enrichment: this rate in units of another; None where it is not defined."""
        return self.rate / base.rate if self.n and base.hits else None


@dataclass(frozen=True)
class Check:
    """Prediction against DFT on n crystals that the model was not trained on.

    predicted, actual: how many are below the threshold by the model, by DFT; both: by both
    """

    n: int
    predicted: int
    actual: int
    both: int

    @property
    def precision(self) -> float | None:
        """Share of the predicted hits that are hits by DFT."""
        return self.both / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Share of the hits by DFT that the model finds."""
        return self.both / self.actual if self.actual else None


@dataclass(frozen=True)
class Screening:
    """What a choice of elements yields; every number here counts energies strictly below `threshold`, eV/atom.

    candidates: the chosen crystals by energy, lowest first; the columns of `scored_space`, those of `space_factors`,
        hit (predicted below the threshold), target and split (null where there is no DFT), trained (in split "train")
    predicted, predicted_all: by the model, among the chosen and in the whole space
    dft, dft_all: by DFT, among the chosen and among all crystals with a target; None without labels
    check, check_all: model against DFT on crystals not trained on, among the chosen and among all; None without
    """

    threshold: float
    candidates: pl.DataFrame
    predicted: HitRate
    predicted_all: HitRate
    dft: HitRate | None = None
    dft_all: HitRate | None = None
    check: Check | None = None
    check_all: Check | None = None

    @property
    def enrichment(self) -> float | None:
        """Predicted hit rate of the choice in units of that of the whole space."""
        return self.predicted.over(self.predicted_all)

    @property
    def dft_enrichment(self) -> float | None:
        """The same by DFT."""
        return self.dft.over(self.dft_all) if self.dft and self.dft_all else None


def screen(
    table: pl.DataFrame,
    a: Sequence[str] = ELEMENTS,
    b: Sequence[str] = ELEMENTS,
    x: Sequence[str] = tuple(ANION_SETS),
    threshold: float = THRESHOLD,
    labels: pl.DataFrame | None = None,
) -> Screening:
    """Rank the crystals with these elements on A and B and these anion sets.

    table: of `scored_space`; labels: the table of `labels.space_labels`, in the unit of the model
    Raises ValueError for an element or anion set that is not in the space.
    """
    for name, chosen, known in (("A", a, ELEMENTS), ("B", b, ELEMENTS), ("X", x, ANION_SETS)):
        unknown = [symbol for symbol in chosen if symbol not in known]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} on {name} is not in the space; choose from {', '.join(known)}")
    table = with_labels(table, labels).join(space_factors(), on="formula", how="left", maintain_order="left")
    table = table.with_columns(hit=pl.col("energy") < threshold)
    chosen = pl.col("a").is_in(list(a)) & pl.col("b").is_in(list(b)) & pl.col("x").is_in(list(x))
    candidates = table.filter(chosen).sort("energy", "formula")
    found = Screening(threshold, candidates, _rate(candidates["energy"], threshold), _rate(table["energy"], threshold))
    if table["target"].is_null().all():
        return found
    return Screening(
        *(found.threshold, found.candidates, found.predicted, found.predicted_all),
        dft=_rate(candidates["target"], threshold),
        dft_all=_rate(table["target"], threshold),
        check=_check(candidates, threshold),
        check_all=_check(table, threshold),
    )


def with_labels(table: pl.DataFrame, labels: pl.DataFrame | None) -> pl.DataFrame:
    """A table of crystals with the columns target and split (null where there is no DFT) and trained (in "train").

    labels: columns formula, target, split, or None for no DFT at all
    """
    if labels is None:
        labels = pl.DataFrame(schema={"formula": pl.String, "target": pl.Float64, "split": pl.String})
    return table.join(
        labels.select("formula", "target", "split"), on="formula", how="left", maintain_order="left"
    ).with_columns(trained=(pl.col("split") == "train").fill_null(False))


def _rate(values: pl.Series, threshold: float) -> HitRate:
    values = values.drop_nulls()
    return HitRate(len(values), int((values < threshold).sum()))


def _check(table: pl.DataFrame, threshold: float) -> Check:
    table = table.filter(pl.col("target").is_not_null() & ~pl.col("trained"))
    predicted, actual = table["energy"] < threshold, table["target"] < threshold
    return Check(len(table), int(predicted.sum()), int(actual.sum()), int((predicted & actual).sum()))


def site_means(table: pl.DataFrame, site: str, by: str = "group") -> pl.DataFrame:
    """Mean contribution on site "A" or "B" of the elements, groups or periods, over the crystals of a table.

    table: of `scored_space`, or rows of it; by: "element", "group" or "period"
    -> columns `by`, elements (symbols), crystals, mean and sd: eV per site relative to the mean of the role over the
    training crystals; sd is the standard deviation of the mean over the members, null for a single one
    """
    if site not in ("A", "B") or by not in ("element", "group", "period"):
        raise ValueError(f"site={site!r} must be 'A' or 'B', by={by!r} must be 'element', 'group' or 'period'")
    symbols = table[site.lower()].to_numpy()
    present = [symbol for symbol in ELEMENTS if symbol in set(symbols.tolist())]
    members = np.stack(table[f"members_{site.lower()}"].to_list()) if len(table) else np.empty((0, 1))  # (C, M)
    keys: dict = {}
    for symbol in present:
        group, period = group_and_period(symbol)
        keys.setdefault({"element": symbol, "group": group, "period": period}[by], []).append(symbol)
    rows = []
    for key, elements in (keys if by == "element" else dict(sorted(keys.items()))).items():
        value = members[np.isin(symbols, elements)]
        mean = value.mean(0)
        sd = float(mean.std(ddof=1)) if len(mean) > 1 else None
        rows.append((key, elements, len(value), float(mean.mean()), sd))
    schema = {by: pl.String if by == "element" else pl.Int64, "elements": pl.List(pl.String), "crystals": pl.Int64,
              "mean": pl.Float64, "sd": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")
