"""Contributions of a data set, summed up: by element and role, coordination number, nearest anion; and at the ends.

Everything runs lazily on the tables that `score` wrote, so the number of crystals does not matter for the memory.

A *view* is what zero means. `score` writes values relative to the mean of their role over the training crystals, or to
the mean of their own crystal; `absolute` and `relative_to_elements` put other values in their place, and all else
works on these. An *atlas* is what is kept of the training crystals of a model: the sums, and no crystal.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from .files import write_whole
from .model import ATLAS, CARD, Card, checksum, model_folder, read_checked, update_card
from .scoring import Scores, member_columns

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Ways in which the atlas and the page group sites.
GROUPINGS = {
    "element": ("element",),
    "role": ("element", "role"),
    "coordination": ("element", "role", "coordination"),
    "nearest_anion": ("element", "role", "nearest_anion"),
}
_BINS = 40  # of a histogram between zero and the end of the model's colour scale
_FARTHEST = 10 * _BINS  # from zero; values beyond are in the last bin
_ATLAS_VERSION = 1


class AtlasError(ValueError):
    """An atlas that cannot be read; the message says which and what to do."""


# --- views ------------------------------------------------------------------------------------------------------------

VIEWS = ("relative", "element", "absolute")


def in_view(scores: Scores, view: str, atlas: Atlas | None = None) -> Scores:
    """The scores in one of `VIEWS`; atlas: of the model, for "element"."""
    if view == "absolute":
        return absolute(scores)
    return relative_to_elements(scores, atlas) if view == "element" else scores


def absolute(scores: Scores) -> Scores:
    """The scores with raw contributions in the place of relative ones; those of a crystal average to its energy."""
    raw = member_columns("contribution", scores.about["members"])
    return _with_values(scores, pl.col("contribution"), [pl.col(name) for name in raw])


def relative_to_elements(scores: Scores, atlas: Atlas) -> Scores:
    """The scores relative to the mean contribution of the same element over the training crystals of the model.

    Sites of elements that do not occur there are left out.
    """
    means = atlas.table("absolute", "element").select(
        "element", pl.col("mean").alias("zero"), pl.col("members").alias("zeros")
    )
    sites = scores.sites.join(means.lazy(), on="element", maintain_order="left")
    joined = replace(scores, sites=sites)
    raw = member_columns("contribution", scores.about["members"])
    members = [pl.col(name) - pl.col("zeros").list.get(i) for i, name in enumerate(raw)]
    shifted = _with_values(joined, pl.col("contribution") - pl.col("zero"), members)
    return replace(shifted, sites=shifted.sites.drop("zero", "zeros"))


def _with_values(scores: Scores, value: pl.Expr, members: Sequence[pl.Expr]) -> Scores:
    """Other values, and other ones by each member, in the place of the relative ones."""
    columns = dict(zip(member_columns("relative", scores.about["members"]), members, strict=True))
    sd = {"sd": pl.concat_list(*members).list.std(ddof=1)} if columns else {}
    new = {"relative": value, **columns, **sd}
    return replace(scores, sites=scores.sites.with_columns(**{name: new[name].cast(pl.Float32) for name in new}))


def zero_in_words(about: dict, view: str, roles: bool) -> str:
    """What is zero in a view, and what the values of a crystal add up to.

    view: one of `VIEWS`; about: of `Scores`; roles: the crystals are perovskites
    """
    if view == "absolute":
        note = "Zero is the zero of the energy; the values of a crystal average to its energy per atom."
        apart = " Do not compare A with B here: a constant can move between them without changing any energy."
        return note + (apart if roles and about["reference"] else "")
    if view == "element":
        return (
            "Zero is the mean of the same element over the training crystals, so colour shows how unusual its "
            "surroundings are; the values do not add up to the energy."
        )
    if roles and about["reference"]:
        return (
            "Zero is the mean of the same role (A, B or X) over the training crystals; the values of a crystal average "
            "to its energy minus that of the average training crystal."
        )
    return "Zero is each crystal's own mean: the values of a crystal add up to zero."


# --- sums -------------------------------------------------------------------------------------------------------------


def means(scores: Scores, by: Sequence[str] = ("element", "role")) -> pl.DataFrame:
    """One row a group of sites, the largest groups first; sums only, so millions of sites take a moment.

    by: columns of the site table, such as "element", "role", "coordination", "nearest_anion"

    -> columns of `by` and, of the relative contributions in eV: `count` of sites, `mean`; `members`, the mean by each
    member, and `sd`, their standard deviation, the error bar (both null for a model of one); `spread`, the standard
    deviation over the sites
    """
    return _grouped(scores, list(by), []).pipe(_largest_first, by)


def means_of_elements(source: Scores | Atlas, roles: bool, view: str = "relative") -> pl.DataFrame:
    """The `means` of all elements, apart on A, B and X or, without `roles`, wherever they are and with a null `role`.

    view: of an atlas; scores are as they are, see `in_view`
    """
    by = "role" if roles else "element"
    table = source.table(view, by) if isinstance(source, Atlas) else means(source, GROUPINGS[by])
    return table if roles else table.with_columns(pl.lit(None, dtype=pl.String).alias("role"))


def summary(scores: Scores, by: Sequence[str] = ("element", "role")) -> pl.DataFrame:
    """The `means` of groups of sites, and how the sites are distributed, for which all must be sorted.

    -> columns of `means` and the number of `crystals`; `q05` to `q95`; `histogram`, numbers of sites in bins of
    `bin_width`, of which the first begins at `first_bin` times that width
    """
    value = pl.col("relative").cast(pl.Float64)
    quantiles = [value.quantile(q, "linear").alias(_name(q)) for q in QUANTILES]
    table = _grouped(scores, list(by), [pl.col("row").n_unique().alias("crystals"), *quantiles])
    return table.join(_histograms(scores, list(by)), on=by, nulls_equal=True).pipe(_largest_first, by)


def merged(table: pl.DataFrame, by: Sequence[str], width: float) -> pl.DataFrame:
    """The `summary` of larger groups out of that of smaller ones, for which no crystal is needed.

    Quantiles come from the histograms and are good to a bin; in how many crystals the sites are is not known any more.
    table: of `summary`; by: columns of the larger groups; width: `bin_width`
    """
    found = [dict(zip(by, key, strict=True)) | _together(rows, width) for key, rows in table.group_by(by)]
    lost = {"crystals", "role", "coordination", "nearest_anion"} - set(by)
    schema = {column: kind for column, kind in table.schema.items() if column not in lost}
    return pl.DataFrame(found, schema=schema).pipe(_largest_first, by)


def _together(rows: pl.DataFrame, width: float) -> dict:
    """What `merged` says of one group."""
    n, mean = rows["count"].to_numpy().astype(float), rows["mean"].to_numpy()
    total, middle = n.sum(), float(n @ mean / n.sum())
    squares = (n - 1) @ rows["spread"].fill_null(0).fill_nan(0).to_numpy() ** 2 + n @ (mean - middle) ** 2
    several = not rows["members"].is_null().any()
    members = n @ np.array(rows["members"].to_list()) / total if several else None  # (M,)
    first = rows["first_bin"].min()
    histogram = np.zeros(max(f + len(h) for f, h in rows.select("first_bin", "histogram").iter_rows()) - first, int)
    for start, counted in rows.select("first_bin", "histogram").iter_rows():
        histogram[start - first : start - first + len(counted)] += counted
    edges, below = width * (first + np.arange(len(histogram) + 1)), np.append(0, histogram.cumsum())
    quantiles = {_name(q): float(np.interp(q * total, below, edges)) for q in QUANTILES}
    return quantiles | {
        "count": int(total),
        "mean": middle,
        "members": members.tolist() if several else None,
        "spread": float(np.sqrt(squares / (total - 1))) if total > 1 else None,
        "sd": float(members.std(ddof=1)) if several else None,
        "first_bin": first,
        "histogram": histogram.tolist(),
    }


def _name(quantile: float) -> str:
    return f"q{100 * quantile:02.0f}"


def _grouped(scores: Scores, by: list[str], more: list[pl.Expr]) -> pl.DataFrame:
    value = pl.col("relative").cast(pl.Float64)
    table = scores.sites.group_by(by).agg(
        pl.len().alias("count"),
        value.mean().alias("mean"),
        _member_means(scores).alias("members"),
        value.std().alias("spread"),
        *more,
    )
    return table.with_columns(pl.col("members").list.std(ddof=1).alias("sd")).collect(engine="streaming")


def _largest_first(table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    return table.sort(["count", *by], descending=[True, *[False] * len(by)], nulls_last=True)


def _member_means(scores: Scores) -> pl.Expr:
    columns = member_columns("relative", scores.about["members"])
    if not columns:
        return pl.lit(None, dtype=pl.List(pl.Float64))
    return pl.concat_list([pl.col(name).cast(pl.Float64).mean() for name in columns])


def bin_width(about: dict) -> float:
    """Width of the bins of a histogram, eV, the same for all data sets that a model scored."""
    return about["colour limit"] / _BINS


def _histograms(scores: Scores, by: list[str]) -> pl.DataFrame:
    width = bin_width(scores.about)
    place = (pl.col("relative").cast(pl.Float64) / width).floor().clip(-_FARTHEST, _FARTHEST - 1)
    counts = scores.sites.group_by(*by, place.cast(pl.Int32).alias("bin")).agg(pl.len().alias("n"))
    found = counts.collect(engine="streaming").group_by(by).agg("bin", "n", pl.col("bin").min().alias("first_bin"))
    rows = []
    for index, n, first in zip(found["bin"], found["n"], found["first_bin"], strict=True):
        histogram = np.zeros(index.max() - first + 1, dtype=np.int64)
        histogram[index.to_numpy() - first] = n.to_numpy()
        rows.append(histogram.tolist())
    return found.select(*by, "first_bin", pl.Series("histogram", rows, pl.List(pl.Int64)))


def of_element(scores: Scores, element: str) -> Scores:
    """The scores with the sites of one element only."""
    return replace(scores, sites=sites_of(scores, element))


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
    without_split: str | None = None,
    perovskite: bool | None = None,
    on: str | None = None,
    **sites: str | int,
) -> Scores:
    """The scores of the crystals that fit, still lazy.

    contains, lacks: element symbols; components: number of different elements; energy: lowest, highest, eV/atom
    split, without_split: in it, not in it; perovskite: True for crystals whose sites have roles, False for the others
    on: the role that each element of `contains` must have, anywhere if None
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
    fits += [pl.col("split") != without_split] if without_split is not None else []
    fits += [pl.col("perovskite") == perovskite] if perovskite is not None else []
    if not (fits or sites or (on and contains)):
        return scores
    crystals = scores.crystals.filter(*fits) if fits else scores.crystals
    wanted = [{"element": element, "role": on} for element in contains] if on else []
    for columns in [*wanted, sites] if sites else wanted:
        with_site = scores.sites.filter(*(pl.col(name) == value for name, value in columns.items()))
        crystals = crystals.join(with_site.select("row").unique(), on="row", how="semi", maintain_order="left")
    rest = scores.sites.join(crystals.select("row"), on="row", how="semi", maintain_order="left")
    return replace(scores, crystals=crystals, sites=rest)


# --- what is kept of the training crystals ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Atlas:
    """What is kept of the contributions of a model's training crystals.

    about: that of `Scores`, with "crystals" and "sites" that are counted here, and "left out", the crystals that are
        not, for want of roles
    groups: rows of `summary` by "view" ("relative", "absolute") and "by" (a key of `GROUPINGS`)
    """

    about: dict
    groups: pl.DataFrame

    def table(self, view: str, by: str) -> pl.DataFrame:
        """The `summary` by a key of `GROUPINGS`."""
        rows = self.groups.filter(pl.col("view") == view, pl.col("by") == by)
        unused = {"view", "by", "role", "coordination", "nearest_anion"} - set(GROUPINGS[by])
        return rows.drop(unused)


def write_atlas(scores: Scores, path: Path) -> None:
    """Sum up scores into a small file. With a model that knows roles, of the crystals that have them."""
    knows_roles = bool(scores.about["reference"])
    counted = filtered(scores, perovskite=True) if knows_roles else scores
    tables = [
        summary(view, columns).select(pl.lit(name).alias("view"), pl.lit(by).alias("by"), pl.all())
        for name, view in (("relative", counted), ("absolute", absolute(counted)))
        for by, columns in GROUPINGS.items()
    ]
    small = pl.concat(tables, how="diagonal_relaxed").with_columns(
        pl.col(pl.Float64).cast(pl.Float32),
        pl.col("members").cast(pl.List(pl.Float32)),
        pl.col("histogram").cast(pl.List(pl.Int32)),
        pl.col("count", "crystals").cast(pl.Int32),
        pl.col("first_bin").cast(pl.Int16),
    )
    crystals, every = (s.crystals.select(pl.len()).collect().item() for s in (counted, scores))
    sites = counted.sites.select(pl.len()).collect().item()
    about = {**scores.about, "version": _ATLAS_VERSION, "crystals": crystals, "sites": sites}
    about |= {"left out": every - crystals}
    for of_crystals in ("path", "contents"):
        about.pop(of_crystals, None)
    content = io.BytesIO()
    small.write_parquet(content, compression="zstd", compression_level=19, metadata={"about": json.dumps(about)})
    write_whole(path, content.getbuffer())


def model_atlas(model: str | Path) -> Atlas | None:
    """The atlas of a model, None where it has none. Raises AtlasError, ModelError for one that is damaged."""
    folder = model_folder(model)
    card = Card.read(folder / CARD)
    if ATLAS not in card.files and not (folder / ATLAS).is_file():
        return None
    return read_atlas(folder / ATLAS, read_checked(folder, card, ATLAS))


def read_atlas(path: Path, content: bytes | None = None) -> Atlas:
    """content: of the file, if it was read already. Raises AtlasError for what `write_atlas` did not write."""
    try:
        content = path.read_bytes() if content is None else content
        about = json.loads(pl.read_parquet_metadata(io.BytesIO(content))["about"])
        groups = pl.read_parquet(io.BytesIO(content))
    except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
        raise AtlasError(f"{path} is no atlas ({error}); write it again with `python -m cgcnn atlas`") from error
    if about.get("version") != _ATLAS_VERSION:
        raise AtlasError(f"{path} was written by another version; write it again with `python -m cgcnn atlas`")
    wide = groups.with_columns(
        pl.col(pl.Float32).cast(pl.Float64),
        pl.col("members").cast(pl.List(pl.Float64)),
        pl.col("histogram").cast(pl.List(pl.Int64)),
    )
    return Atlas(about, wide)


def make_atlas(scores: Scores, model: str | Path, split: str | None = "train") -> tuple[Path, Atlas]:
    """Write the atlas of a model into its folder, and its checksum on the card.

    scores: of its training data; split: of these, all for None or where there are none
    Raises AtlasError, ModelError.
    """
    if split is not None and scores.about["split"]:
        scores = filtered(scores, split=split)
    if scores.crystals.head(1).collect().is_empty():
        where = f" in split {split!r}" if split is not None else ""
        raise AtlasError(f"there is no crystal of {scores.about['data']}{where}; an atlas needs the training crystals")
    file = model_folder(model) / ATLAS
    write_atlas(scores, file)
    files = Card.read(file.parent / CARD).files
    update_card(file.parent, files={**files, ATLAS: checksum(file.read_bytes())})
    return file, read_atlas(file)
