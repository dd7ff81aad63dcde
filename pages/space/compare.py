"""Chosen elements on A and on B, side by side."""

from __future__ import annotations

import numpy as np
import polars as pl
import streamlit as st

from cgcnn.perovskite.effects import element_effects
from cgcnn.perovskite.lattice import ANION_SETS
from cgcnn.perovskite.maps import mendeleev_order
from cgcnn.plots import element_comparison, element_parity
from pages.common import is_dark, show_figure
from pages.space.data import Space

ORDERS = ("Mendeleev number", "value on A", "value on B")
START = ("Ti", "Zr", "Nb", "Sn", "Pb", "La", "Ba")


@st.cache_data(show_spinner=False, max_entries=40)
def effects(key: str, sets: str | None, _space: Space) -> pl.DataFrame:
    """Both sites of `element_effects`, column `site`, for one anion set or all."""
    table = _space.table if sets is None else _space.table.filter(pl.col("x") == sets)
    both = [element_effects(table, site, _space.dft).with_columns(site=pl.lit(site)) for site in "AB"]
    return pl.concat(both)


def choose_sets(key: str) -> str | None:
    """One anion set, or None for all."""
    options = ["all anions", *ANION_SETS]
    chosen = st.selectbox("Anions", options, key=key, bind="query-params", width=130, label_visibility="collapsed")
    return None if chosen == options[0] else chosen


def show(space: Space) -> None:
    hidden = dict(label_visibility="collapsed", bind="query-params")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        sets = choose_sets("anions_compared")
        chosen = st.multiselect(
            "Elements", mendeleev_order(), default=list(START), key="elements", width=470,
            placeholder="Two or more elements", **hidden,
        )  # fmt: skip
        order = st.segmented_control("Order by", ORDERS, default=ORDERS[0], required=True, key="compare_by", **hidden)
    if len(chosen) < 2:
        st.info("Choose two or more elements to compare.")
        return
    table = effects(space.key, sets, space)
    by_site = {site: table.filter(site=site) for site in "AB"}
    value = {site: dict(by_site[site].select("element", "booked").iter_rows()) for site in "AB"}
    symbols = sorted(chosen, key=mendeleev_order().index if order == ORDERS[0] else value[order[-1]].get)
    drawn = pl.DataFrame({"element": symbols})
    few = {site: drawn.join(by_site[site], on="element", maintain_order="left") for site in "AB"}
    several = not table["sd"].is_null().all()
    reference = "additive fit to DFT" if space.labels else "additive fit to predicted energies"
    figure = element_comparison(
        symbols, _numbers(few, "booked"), _numbers(few, "effect"), space.limit,
        sd=_numbers(few, "sd") if several else None, effect_name=reference, dark=is_dark(),
    )  # fmt: skip
    spread = "; error bars: spread over the networks" if several else ""
    caption = f"Zero: mean of the 52 elements on the site. Diamonds: {reference}, E = A + B + anions, times 5{spread}."
    show_figure(figure, f"compare {space.key}", "elements-on-A-and-B", caption=caption, data=pl.concat(few.values()))
    parity = element_parity(
        by_site["A"]["element"].to_list(), _numbers(by_site, "booked"), _numbers(by_site, "effect"),
        chosen=chosen, effect_name=reference, dark=is_dark(),
    )  # fmt: skip
    caption = f"All 52 elements, {int(table['crystals'].max()):,} crystals each. On the dotted line both agree."
    show_figure(parity, f"parity {space.key}", "elements-against-reference", caption=caption, data=table)


def _numbers(tables: dict[str, pl.DataFrame], column: str) -> dict[str, np.ndarray]:
    return {site: table[column].cast(pl.Float64).fill_null(np.nan).to_numpy() for site, table in tables.items()}
