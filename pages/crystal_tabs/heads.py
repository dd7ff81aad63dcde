"""Both heads side by side: contributions of every distinct site by each, and which to trust."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from cgcnn.comparison import agreement, whom_to_trust
from cgcnn.contributions import Contributions
from cgcnn.model import Card
from cgcnn.plots import head_bars, signed
from cgcnn.structures import Crystal
from cgcnn.tables import orbits, with_unit
from pages.common import drawn, explained, families, model_named, plain, show_figure
from pages.crystal_tabs.shown import Shown


def show(shown: Shown) -> None:
    cards = dict(sorted(families().get(shown.card.family, {}).items(), key=lambda item: item[0] != "linear"))
    if len(cards) < 2:
        st.info(f"There is one model of this family, {plain(shown.card.name)}: nothing to compare it with.")
        return
    results = {
        head: explained(card.name, model_named(card.name).hash, shown.key, Crystal("", shown.result.structure))
        for head, card in cards.items()
    }
    distinct = {head: orbits(shown.facts, result) for head, result in results.items()}
    labels = [f"{o.name} ({o.role or o.wyckoff})" for o in shown.orbits]
    values = {head: np.array([o.mean for o in found]) for head, found in distinct.items()}
    sd = {
        head: None if results[head].sd is None else np.array([o.sd for o in found]) for head, found in distinct.items()
    }
    zero = next(iter(results.values())).reference_note.rstrip(".").split(". ")[0]
    left, right = st.columns([1.7, 1], gap="large")
    with left:
        figure = drawn(
            head_bars, labels, values, sd, shown.limit, axis_title=f"contribution per site, {shown.result.unit}",
            unit=shown.result.unit,
        )  # fmt: skip
        table = pd.DataFrame(
            {"site": labels}
            | {with_unit(head, shown.result.unit): v for head, v in values.items()}
            | {with_unit(f"{head} sd", shown.result.unit): v for head, v in sd.items() if v is not None}
        )
        show_figure(
            figure, f"heads {shown.key} {shown.card.family}", f"{shown.formula}-heads",
            caption=f"{zero}; whiskers are the spread over independently trained networks.",
            data=table,
        )  # fmt: skip
    with right:
        verdict, figures = whom_to_trust(cards, shown.result.role)
        st.markdown(f"**{verdict}**")
        st.dataframe(energies(cards, results), hide_index=True, row_height=29)
        st.caption(f"{agreements(results)} {figures}")


def energies(cards: dict[str, Card], results: dict[str, Contributions]) -> pd.DataFrame:
    unit = next(iter(cards.values())).target.unit
    rows = []
    for head, result in results.items():
        sd = "" if result.energy_sd is None else f" ± {result.energy_sd:.3f}"
        rows.append({"head": head, unit: signed(result.energy) + sd, "val MAE": f"{cards[head].mae:.3f}"})
    return pd.DataFrame(rows)


def agreements(results: dict[str, Contributions]) -> str:
    """How far every other head agrees with the first one, in a sentence."""
    (first, one), *others = results.items()
    said = []
    for head, other in others:
        r = agreement(one.relative, other.relative)
        largest = np.abs(one.relative - other.relative).max()
        number = f"r {r:.3f} over the {len(one.relative)} sites, " if r == r else ""
        said.append(f"{first.capitalize()} and {head}: {number}largest difference {largest:.2f} {one.unit}.")
    return " ".join(said)
