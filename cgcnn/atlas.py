"""Contributions of a data set, summed up: by element and role, coordination number, nearest anion; and at the ends.

Everything runs lazily on the tables that `score` wrote, so the number of crystals does not matter for the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from .scoring import Scores

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def summary(
    scores: Scores, by: Sequence[str] = ("element", "role"), limit: float | None = None, bins: int = 40
) -> pl.DataFrame:
    """One row a group of sites, the largest groups first.

    by: columns of the site table, such as "element", "role", "coordination", "nearest_anion"
    limit, bins: of the histogram, see `bin_edges`; values beyond its ends are in the first and the last bin

    -> columns of `by` and, of the relative contributions in eV: `count` of sites, `crystals`, `mean`; `sd`, of the mean
    over the members, the error bar (null for a model of one); `spread`, the standard deviation over the sites;
    `q05` to `q95`; `histogram`, numbers of sites in the bins
    """
    value = pl.col("relative").cast(pl.Float64)
    by = list(by)
    edges = bin_edges(scores, limit, bins)
    table = scores.sites.group_by(by).agg(
        pl.len().alias("count"),
        pl.col("row").n_unique().alias("crystals"),
        value.mean().alias("mean"),
        _sd_of_the_mean(scores),
        value.std().alias("spread"),
        *(value.quantile(q, "linear").alias(f"q{100 * q:02.0f}") for q in QUANTILES),
    )
    table = table.collect(engine="streaming").join(_histograms(scores, by, edges), on=by, nulls_equal=True)
    return table.sort(["count", *by], descending=[True, *[False] * len(by)], nulls_last=True)


def _sd_of_the_mean(scores: Scores) -> pl.Expr:
    members = scores.about["members"]
    if members < 2:
        return pl.lit(None, dtype=pl.Float64).alias("sd")
    means = [pl.col("members").list.get(i).cast(pl.Float64).mean() for i in range(members)]
    return pl.concat_list(means).list.std(ddof=1).alias("sd")


def bin_edges(scores: Scores, limit: float | None = None, bins: int = 40) -> np.ndarray:
    """Edges of equal bins from -limit to limit, eV; by default the end of the model's colour scale. (bins + 1,)"""
    limit = limit or scores.about["colour limit"]
    return np.linspace(-limit, limit, bins + 1)


def _histograms(scores: Scores, by: list[str], edges: np.ndarray) -> pl.DataFrame:
    bins = len(edges) - 1
    place = ((pl.col("relative").cast(pl.Float64) - edges[0]) / (edges[1] - edges[0])).floor().clip(0, bins - 1)
    counts = scores.sites.group_by(*by, place.cast(pl.Int32).alias("bin")).agg(pl.len().alias("n"))
    found = counts.collect(engine="streaming").group_by(by).agg("bin", "n")
    rows = []
    for index, n in zip(found["bin"], found["n"], strict=True):
        histogram = np.zeros(bins, dtype=np.int64)
        histogram[index.to_numpy()] = n.to_numpy()
        rows.append(histogram)
    histogram = pl.Series("histogram", [row.tolist() for row in rows], pl.List(pl.Int64))
    return found.select(by).with_columns(histogram)


def sites_of(
    scores: Scores,
    element: str,
    role: str | None = None,
    coordination: int | None = None,
    nearest_anion: str | None = None,
) -> pl.LazyFrame:
    """The rows of the site table of one element, and of one role, coordination number, nearest anion where given."""
    sites = scores.sites.filter(pl.col("element") == element)
    for column, wanted in (("role", role), ("coordination", coordination), ("nearest_anion", nearest_anion)):
        if wanted is not None:
            sites = sites.filter(pl.col(column) == wanted)
    return sites


def ends(scores: Scores, sites: pl.LazyFrame, n: int = 10) -> pl.DataFrame:
    """The n crystals with the lowest and the n with the highest contribution among some sites.

    sites: of `sites_of`; of each crystal the site nearest to the end counts
    -> column `end` ("low", "high"), then those of the site table and of the crystal table; ordered from the end inwards
    """
    tables = []
    for end, highest in (("low", False), ("high", True)):
        column = pl.col("relative")
        of_each = sites.group_by("row").agg(pl.all().sort_by(column, descending=highest).first())
        first = of_each.sort([column, "row"], descending=[highest, False]).head(n)
        tables.append(first.select(pl.lit(end).alias("end"), pl.all()))
    found = pl.concat(tables).collect(engine="streaming")
    rows = found["row"].unique()
    crystals = scores.crystals.filter(pl.col("row").is_in(rows.implode())).drop("material_id").collect()
    return found.join(crystals, on="row", how="left", suffix=" of the energy", maintain_order="left")


def filtered(
    scores: Scores,
    contains: Sequence[str] = (),
    lacks: Sequence[str] = (),
    components: int | None = None,
    energy: tuple[float | None, float | None] = (None, None),
    split: str | None = None,
    **sites: str | int,
) -> Scores:
    """The scores of the crystals that fit, still lazy.

    contains, lacks: element symbols; components: number of different elements; energy: lowest, highest, eV/atom
    sites: column = value; crystals with such a site, such as role="B" with element="Ti", or nearest_anion="O"
    """
    fits = [pl.col("elements").list.contains(element) for element in contains]
    fits += [~pl.col("elements").list.contains(element) for element in lacks]
    if components is not None:
        fits.append(pl.col("elements").list.len() == components)
    low, high = energy
    fits += [pl.col("energy") >= low] if low is not None else []
    fits += [pl.col("energy") <= high] if high is not None else []
    fits += [pl.col("split") == split] if split is not None else []
    crystals = scores.crystals.filter(*fits) if fits else scores.crystals
    if sites:
        with_site = scores.sites.filter(*(pl.col(name) == value for name, value in sites.items()))
        crystals = crystals.join(with_site.select("row").unique(), on="row", how="semi", maintain_order="left")
    rest = scores.sites.join(crystals.select("row"), on="row", how="semi", maintain_order="left")
    return replace(scores, crystals=crystals, sites=rest)


def write_atlas(scores: Scores, path: Path, bins: int = 40) -> None:
    """`summary` by element and role as Parquet; what it belongs to is in the metadata of the file."""
    metadata = {
        "model": scores.about["model"],
        "model hash": scores.about["model hash"],
        "data": scores.about["data"],
        "limit": str(scores.about["colour limit"]),
    }
    part = path.with_name(f"{path.name}.part")
    summary(scores, bins=bins).write_parquet(part, metadata=metadata)
    part.replace(path)
