"""What the page asks of scores or an atlas, each answer kept."""

from __future__ import annotations

import polars as pl
import streamlit as st

from cgcnn.additive import Comparison, compare
from cgcnn.atlas import (
    GROUPINGS,
    bin_width,
    ends,
    filtered,
    in_view,
    means_of_elements,
    merged,
    of_element,
    sites_of,
    summary,
)
from cgcnn.scoring import contents
from pages.data_set.choosing import Shown

NO_FILTERS = {"contains": [], "lacks": [], "energy": (None, None)}  # as `controls.choose_filters` leaves them


@st.cache_data(show_spinner=False, max_entries=50)
def contents_of(key: str, _shown: Shown) -> dict:
    """`contents`, which a complete folder already knows."""
    return _shown.about.get("contents") or contents(_shown.scores)


@st.cache_data(show_spinner=False, max_entries=400)
def averaged(key: str, view: str, filters: dict, roles: bool, _shown: Shown) -> pl.DataFrame:
    """Means of all elements, by role where there are roles."""
    if _shown.atlas is not None:
        return means_of_elements(_shown.atlas, roles, view)
    return means_of_elements(in_view(filtered(_shown.scores, **filters), view, _shown.zero), roles)


@st.cache_data(show_spinner=False, max_entries=400)
def summed(key: str, view: str, filters: dict, by: str, element: str, roles: bool, _shown: Shown) -> pl.DataFrame:
    """How the sites of one element are distributed; without roles wherever they are, and with a null `role`."""
    columns = [column for column in GROUPINGS[by] if roles or column != "role"]
    if _shown.atlas is not None:
        table = _shown.atlas.table(view, by).filter(pl.col("element") == element)
        if columns != list(GROUPINGS[by]):
            table = merged(table, columns, bin_width(_shown.about))
    else:
        table = summary(of_element(in_view(filtered(_shown.scores, **filters), view, _shown.zero), element), columns)
    return table if roles else table.with_columns(pl.lit(None, dtype=pl.String).alias("role"))


@st.cache_data(show_spinner=False, max_entries=400)
def counts(key: str, filters: dict, _shown: Shown) -> tuple[int, int]:
    """Crystals and sites that the filters leave."""
    crystals = filtered(_shown.scores, **filters).crystals
    return crystals.select(pl.len(), pl.col("n_sites").cast(pl.Int64).sum().alias("sites")).collect().row(0)


@st.cache_data(show_spinner=False, max_entries=400)
def at_the_ends(key: str, view: str, filters: dict, element: str, role: str | None, _shown: Shown) -> pl.DataFrame:
    scores = in_view(filtered(_shown.scores, **filters), view, _shown.zero)
    return ends(scores, sites_of(scores, element, role))


@st.cache_data(show_spinner=False, max_entries=50)
def compared(key: str, view: str, roles: bool, perovskite: bool | None, _shown: Shown) -> Comparison | None:
    """With the plain reference, on the whole data set."""
    filters = NO_FILTERS | ({} if perovskite is None else {"perovskite": perovskite})
    rows = averaged(key, view, filters, roles, _shown)  # which the page shows as well, unless there are filters
    return compare(filtered(_shown.scores, **filters), view, roles, rows)
