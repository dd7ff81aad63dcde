"""Rules by group of the periodic table, on A and on B."""

from __future__ import annotations

import polars as pl
import streamlit as st

from cgcnn.perovskite.screening import group_and_period, site_means
from cgcnn.plots import group_bars
from pages.common import is_dark, show_figure
from pages.space.compare import choose_sets
from pages.space.data import Space


@st.cache_data(show_spinner=False, max_entries=40)
def means(key: str, sets: str | None, by: str, _table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    table = _table if sets is None else _table.filter(pl.col("x") == sets)
    return {site: site_means(table, site, by) for site in "AB"}


def show(space: Space) -> None:
    sets = choose_sets("anions_grouped")
    groups = means(space.key, sets, "group", space.table)
    elements = means(space.key, sets, "element", space.table)
    figure = group_bars(
        {site: list(groups[site].select("group", "mean", "sd").iter_rows()) for site in "AB"},
        {
            site: [(group_and_period(e)[0], e, m) for e, m in elements[site].select("element", "mean").iter_rows()]
            for site in "AB"
        },
        space.limit,
        dark=is_dark(),
    )
    several = not groups["A"]["sd"].is_null().all()
    spread = " Error bars: spread over the networks." if several else ""
    caption = (
        "Bars: mean contribution of a group; letters: its elements. "
        f"Zero: mean of the same site over the training crystals.{spread}"
    )
    data = pl.concat(groups[site].with_columns(pl.col("elements").list.join(" "), site=pl.lit(site)) for site in "AB")
    show_figure(figure, f"groups of {space.key}", "group-rules", caption=caption, data=data)
