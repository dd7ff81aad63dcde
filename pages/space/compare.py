"""Chosen elements on A and on B, side by side."""

from __future__ import annotations

import numpy as np
import polars as pl
import streamlit as st

from cgcnn.perovskite.effects import element_effects
from cgcnn.perovskite.lattice import ANION_SETS
from cgcnn.perovskite.maps import mendeleev_order
from cgcnn.plots import element_comparison
from pages.common import is_dark, show_figure
from pages.space.data import Space

START = ("Ti", "Zr", "Nb", "Sn", "Pb", "La", "Ba")


@st.cache_data(show_spinner=False, max_entries=40)
def effects(key: str, sets: str | None, _space: Space) -> pl.DataFrame:
    """Both sites of `element_effects`, column `site`, for one anion set or all."""
    table = _space.table if sets is None else _space.table.filter(pl.col("x") == sets)
    both = [element_effects(table, site, _space.dft).with_columns(site=pl.lit(site)) for site in "AB"]
    return pl.concat(both)


def choose_sets(key: str) -> str | None:
    chosen = st.selectbox("Anions", ["all", *ANION_SETS], key=key, bind="query-params", width=100)
    return None if chosen == "all" else chosen


def show(space: Space) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        sets = choose_sets("anions_compared")
        chosen = st.multiselect(
            "Elements", mendeleev_order(), default=list(START), key="elements", bind="query-params",
            placeholder="Two or more elements", width=760,
        )  # fmt: skip
        order = st.segmented_control(
            "Order by", ["chemistry", "A", "B"], default="chemistry", required=True, key="compare_by", bind="query-params",
            format_func={"chemistry": "Mendeleev number", "A": "value on A", "B": "value on B"}.get,
        )  # fmt: skip
    if len(chosen) < 2:
        st.info("Choose two or more elements to compare.")
        return
    table = effects(space.key, sets, space).filter(pl.col("element").is_in(chosen))
    value = {site: dict(table.filter(site=site).select("element", "booked").iter_rows()) for site in "AB"}
    symbols = sorted(chosen, key=mendeleev_order().index if order == "chemistry" else value[order].get)
    drawn = pl.DataFrame({"element": symbols})
    by_site = {site: drawn.join(table.filter(site=site), on="element", maintain_order="left") for site in "AB"}

    def column(name: str) -> dict[str, np.ndarray]:
        return {site: by_site[site][name].cast(pl.Float64).fill_null(np.nan).to_numpy() for site in "AB"}

    several = not table["sd"].is_null().all()
    reference = "additive fit to DFT" if space.labels else "additive fit to the predicted energies"
    figure = element_comparison(
        symbols, column("booked"), column("effect"), space.limit, sd=column("sd") if several else None,
        effect_name=reference, dark=is_dark(),
    )  # fmt: skip
    crystals = int(table["crystals"].max())
    spread = "; error bars: spread over the networks" if several else ""
    caption = (
        f"Mean over {crystals:,} crystals an element. Zero: mean of the 52 elements on the site. Diamonds: {reference} "
        f"(E = A + B + anions, times 5){spread}."
    )
    show_figure(figure, f"compare {space.key}", "elements-on-A-and-B", caption=caption, data=table)
