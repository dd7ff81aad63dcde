"""Tab "Ranking": elements side by side, beside the plain reference."""

from __future__ import annotations

import numpy as np
import polars as pl
import streamlit as st

from cgcnn.additive import Comparison
from cgcnn.periodic import by_mendeleev_number
from cgcnn.plots import ranking
from pages.common import drawn, model_cards, show_figure
from pages.data_set.choosing import Shown
from pages.data_set.controls import is_filtered
from pages.data_set.state import recall, show_in_url
from pages.data_set.sums import compared
from pages.data_set.table import clicked, flat
from pages.data_set.words import warn

TRUSTED = 0.9  # Pearson's r of a ranking, below which the page warns


def show_ranking(shown: Shown, view: str, filters: dict, table: pl.DataFrame, limit: float) -> None:
    present = [role for role in ("A", "B", "X") if role in table["role"].to_list()]
    choice = dict(required=True, label_visibility="collapsed")
    orders = ["by Mendeleev number", "by value"]
    recall("order", orders)
    if present:
        recall("role", present)
    line = st.container(horizontal=True, vertical_alignment="center", gap="medium")
    role = line.segmented_control("Role", present, key="role", **choice) if present else None
    order = line.segmented_control("Order", orders, key="order", **choice)
    changed = dict(role=role if [role] != present[:1] else None, order=order if order != orders[0] else None)
    show_in_url(element=None, **changed)
    rows = table.filter(of_role(role))
    if order == "by value":
        rows = rows.sort("mean")
    else:
        place = {e: i for i, e in enumerate(by_mendeleev_number(rows["element"]))}
        rows = rows.sort(pl.col("element").replace_strict(place, return_dtype=pl.Int64))
    kind = filters.get("perovskite")
    beside = compared(shown.key, view, bool(role), kind, shown) if shown.scores is not None else None
    if beside is not None:
        rows = rows.join(
            beside.fit.effects, on=["element", "role"], how="left", nulls_equal=True, maintain_order="left"
        )
        if rows["effect"].is_null().all():
            beside = None
    figure = drawn(
        ranking, rows["element"].to_list(), rows["mean"].to_numpy(), limit,
        sd=None if rows["sd"].is_null().any() else rows["sd"].to_numpy(),
        reference=None if beside is None else rows["effect"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        axis_title=f"{f'on {role}, ' if role else ''}eV",
    )  # fmt: skip
    show_figure(
        figure, "ranking", f"ranking-{shown.about['model']}-{role or 'all'}-{view}", data=flat(rows),
        caption=words_of_ranking(shown, role, view, beside, is_filtered(filters)),
        on_select=clicked("ranking", set(table["element"])),
    )  # fmt: skip
    doubt_of_ranking(shown, role)


def of_role(role: str | None) -> pl.Expr:
    return pl.col("role").eq_missing(pl.lit(role, dtype=pl.String))


def words_of_ranking(shown: Shown, role: str | None, view: str, beside: Comparison | None, filtered_: bool) -> str:
    members = shown.about["members"]
    text = f"Error bars: spread over {members} networks. " if members > 1 else ""
    if beside is None:
        if shown.scores is None:
            text += "The plain reference needs the crystals themselves, and an atlas keeps sums only."
        elif role and view == "absolute":
            text += "No plain reference: raw values of a role hold a constant that no other model can know."
        return text
    to = "labels of the data" if beside.labelled else "energies that this model predicts"
    text += f"Diamonds: least-squares {beside.fit.kind} fit to {beside.fit.n:,} {to}, MAE {beside.fit.mae:.2f} eV/atom"
    agreed = beside.agreement.get(role)
    if agreed is None:
        return f"{text}."
    where = ", on crystals outside the split train" if beside.held_out else ""
    where += ", without filters" if filtered_ else ""
    return f"{text}; agreement{where}: Pearson r {agreed.r:.3f}, Spearman ρ {agreed.rho:.3f}."


def doubt_of_ranking(shown: Shown, role: str | None) -> None:
    """Where a head books effects on the wrong site, say so and offer the other one."""
    measured = (shown.card.faithfulness if shown.card else {}).get(f"elements {role}")
    if not measured or measured["r"] >= TRUSTED:
        return
    line = st.container(horizontal=True, vertical_alignment="center")
    warn(
        f"On crystals not trained on, this head's contributions on {role} follow the true effects of the elements with "
        f"r = {measured['r']:.2f} only: do not trust this ranking.", line,
    )  # fmt: skip
    for other in model_cards():
        r = other.faithfulness.get(f"elements {role}", {}).get("r", 0)
        if other.family == shown.card.family and other.head != shown.card.head and r >= TRUSTED:
            line.button(
                f"Show the {other.head} head, r = {r:.2f}", type="tertiary", key=f"to {other.head}",
                on_click=lambda head=other.head: st.session_state.update(head=head),
            )  # fmt: skip
