"""Tab "Element": one element by its surroundings, and the crystals at the ends."""

from __future__ import annotations

import numpy as np
import polars as pl
import streamlit as st

from cgcnn.atlas import bin_width
from cgcnn.datasets import read_crystal
from cgcnn.periodic import ELEMENTS, element_name
from cgcnn.plots import Distribution, distributions
from pages.common import is_dark, open_crystal, open_perovskite, show_figure, to_csv
from pages.data_set.choosing import Shown
from pages.data_set.ranking import of_role
from pages.data_set.state import recall, show_in_url
from pages.data_set.sums import at_the_ends, summed
from pages.data_set.table import flat
from pages.data_set.words import number_of, with_sd

MOST_GROUPS = 5  # distributions above each other


def show_element(shown: Shown, view: str, filters: dict, table: pl.DataFrame, limit: float, roles: bool) -> None:
    known = set(table["element"])
    line = st.container(horizontal=True, vertical_alignment="center", gap="medium")
    options = [e for e in ELEMENTS if e in known]
    recall("element", options)
    element = line.selectbox("Element", options, key="element", label_visibility="collapsed", width=90)
    show_in_url(element=element, role=None, order=None)
    own = summed(shown.key, view, filters, "role" if roles else "element", element, roles, shown)
    own = own.sort("role", nulls_last=True)
    present = own["role"].to_list()
    role = present[0]
    if len(present) > 1:
        role = line.segmented_control(
            "Role of the element", present, default=own.sort("count")["role"][-1], required=True,
            format_func=lambda role: f"on {role}", key=f"site of {element}", label_visibility="collapsed",
        )  # fmt: skip
    row = own.row(by_predicate=of_role(role), named=True)
    line.html(
        f"<span style='font-variant-numeric: tabular-nums'>{element_name(element)} &ensp;<b>{with_sd(row)} eV</b>"
        f" &ensp;{number_of(row['count'], 'site')} in {number_of(row['crystals'], 'crystal')}</span>"
    )
    groups = {"role": own} if len(present) > 1 else {}
    for by in ("coordination", "nearest_anion"):
        rows = summed(shown.key, view, filters, by, element, roles, shown).filter(of_role(role))
        rows = rows.filter(pl.col(by).is_not_null())
        groups |= {by: rows} if len(rows) else {}
    show_distributions(shown, view, element, role, groups, limit)
    if shown.scores is None:
        st.caption("An atlas keeps sums, not crystals: no filters, no crystals at the ends. Score the data for these.")
    else:
        show_ends(shown, view, filters, element, role)


def show_distributions(
    shown: Shown, view: str, element: str, role: str | None, groups: dict[str, pl.DataFrame], limit: float
) -> None:
    width = bin_width(shown.about)
    drawn = {by: distributions_of(by, rows) for by, rows in groups.items()}
    span = span_of([group for found in drawn.values() for group in found], width)
    most = max(map(len, drawn.values()))
    titles = {"role": "by role", "coordination": "by coordination number", "nearest_anion": "by nearest anion"}
    # Three columns always, so that figures keep their size from element to element.
    for column, (by, found) in zip(st.columns(3, gap="medium"), drawn.items(), strict=False):
        where = f"{element} on {role}" if role and by != "role" else element
        left = len(groups[by]) - len(found)
        with column:
            show_figure(
                distributions(found, width, limit, span=span, dark=is_dark(), rows=most),
                f"distribution {by}", f"{where}-{by}-{view}".replace(" ", "-"), data=flat(groups[by]),
                caption=f"{where}, {titles[by]}" + (f"; {number_of(left, 'smaller group')} in the CSV" if left else ""),
            )  # fmt: skip
    st.caption(
        "Point: mean" + (", error bar: spread over the networks" if shown.about["members"] > 1 else "")
        + "; line: the middle half of the sites."
    )  # fmt: skip


def distributions_of(by: str, rows: pl.DataFrame) -> list[Distribution]:
    """The largest groups; roles and numbers in their own order."""
    rows = rows.sort("count", descending=True).head(MOST_GROUPS)
    rows = rows.sort(by) if by != "nearest_anion" else rows
    labels = [f"CN {value}" if by == "coordination" else value for value in rows[by]]
    return [
        Distribution(
            label, row["count"], row["mean"], row["sd"], row["q25"], row["q75"], row["first_bin"], row["histogram"]
        )
        for label, row in zip(labels, rows.iter_rows(named=True), strict=True)
    ]


def span_of(groups: list[Distribution], width: float) -> tuple[float, float]:
    """The same axis for all figures of an element: zero, and all bins that hold more than a thousandth of a group."""
    low, high = 0.0, 0.0
    for group in groups:
        counted = np.asarray(group.histogram)
        seen = np.flatnonzero(counted > counted.sum() / 1000)
        low = min(low, width * (group.first_bin + seen[0]))
        high = max(high, width * (group.first_bin + seen[-1] + 1))
    return low - 2 * width, high + 2 * width


def show_ends(shown: Shown, view: str, filters: dict, element: str, role: str | None) -> None:
    found = at_the_ends(shown.key, view, filters, element, role, shown)
    where = f"{element} on {role}" if role else element
    for column, end, title in zip(st.columns(2, gap="medium"), ("low", "high"), ("Lowest", "Highest"), strict=True):
        rows = found.filter(pl.col("end") == end)
        listed = columns_of_end(shown, rows)
        key = f"{end} {element} {role}"
        with column:
            head = st.container(horizontal=True, vertical_alignment="center", gap="xxsmall")
            head.caption(f"**{title} {where}**; click a crystal to see it")
            head.download_button(
                "CSV", lambda listed=listed: to_csv(listed), file_name=f"{where}-{end}.csv".replace(" ", "-"),
                key=f"csv {key}", mime="text/csv", type="tertiary", icon=":material/download:", on_click="ignore",
            )  # fmt: skip
            formats = {name: "%.3f" if name.startswith("sd") else "%+.3f" for name in listed.columns}
            picked = st.dataframe(
                listed, hide_index=True, row_height=29, height=38 + 29 * min(len(listed), 6), key=key,
                on_select="rerun", selection_mode="single-cell",
                column_config={name: st.column_config.NumberColumn(format=formats[name]) for name, kind
                               in listed.schema.items() if kind.is_float()},
            )  # fmt: skip
        if picked.selection.cells:
            open_row(shown, rows.row(picked.selection.cells[0][0], named=True))


def columns_of_end(shown: Shown, rows: pl.DataFrame) -> pl.DataFrame:
    columns = {
        "crystal": rows["formula"],
        "contribution, eV": rows["relative"],
        "sd, eV": rows["sd"],
        "energy, eV/atom": rows["energy"],
    }
    if shown.scores.target:
        columns[shown.scores.target] = rows[shown.scores.target]
    if not shown.is_space:
        columns["name"] = rows["material_id"]
    return pl.DataFrame({name: values for name, values in columns.items() if values.is_not_null().any()})


def open_row(shown: Shown, row: dict) -> None:
    if shown.is_space:
        open_perovskite(row["material_id"])
    open_crystal(read_crystal(shown.about["path"], row["row"], shown.about["data fingerprint"]))
