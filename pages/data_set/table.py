"""The periodic table, coloured by mean contributions."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st

from cgcnn.atlas import zero_in_words
from cgcnn.periodic import element_name
from cgcnn.plots import periodic_table
from pages.common import drawn, frame_tile, show_figure
from pages.data_set.choosing import Shown
from pages.data_set.words import number_of, with_sd


def tile_values(table: pl.DataFrame) -> dict:
    """(upper, lower) = (A, B) for elements on either, else their only value."""
    mean = {(element, role): value for element, role, value in table.select("element", "role", "mean").iter_rows()}
    found: dict = {}
    for element in table["element"].unique(maintain_order=True):
        pair = mean.get((element, "A")), mean.get((element, "B"))
        single = mean.get((element, "X"), mean.get((element, None)))
        found[element] = single if pair == (None, None) else pair
    return found


def hover_texts(table: pl.DataFrame) -> dict[str, str]:
    lines: dict[str, list[str]] = {}
    for row in table.sort("role").iter_rows(named=True):
        text = lines.setdefault(row["element"], [f"<b>{element_name(row['element'])}</b>"])
        role = f"{row['role']}: " if row["role"] else ""
        text.append(f"{role}{with_sd(row)} eV, {number_of(row['count'], 'site')}")
    return {element: "<br>".join(text) for element, text in lines.items()}


def clicked(key: str, known: set[str]) -> Callable[[], None]:
    """What a click on a tile or a bar does: the element opens below."""

    def choose() -> None:
        points = st.session_state[key].selection.points
        # A second click on the same tile takes plotly's selection away, and here it is a click like the first.
        symbol = points[0].get("customdata") if points else st.session_state.get(f"last of {key}")
        symbol = symbol[0] if isinstance(symbol, list) else symbol
        st.session_state[f"last of {key}"] = symbol
        if symbol in known:
            st.session_state.update(element=symbol, tab="Element")

    return choose


def show_table(shown: Shown, view: str, table: pl.DataFrame, limit: float, roles: bool) -> None:
    known = set(table["element"])
    # Before the widgets that choose them, which at the first visit have their state from the URL.
    tab, selected = (st.session_state.get(name, st.query_params.get(name)) for name in ("tab", "element"))
    title = "mean contribution, eV" + (", upper half on A, lower half on B" if roles else "")
    figure = drawn(periodic_table, tile_values(table), limit, title=title, hover=hover_texts(table))
    frame_tile("periodic table", figure, selected if tab == "Element" and selected in known else None)
    show_figure(
        figure, "periodic table", f"elements-{shown.about['model']}-{view}", data=flat(table),
        caption=zero_in_words(shown.about, view, roles), on_select=clicked("periodic table", known),
    )  # fmt: skip


def flat(table: pl.DataFrame) -> pl.DataFrame:
    """A summary as CSV can hold it."""
    return table.drop("members", "histogram", "first_bin", strict=False)
