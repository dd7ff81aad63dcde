"""Bonds: how open the gate of every neighbour of a site is."""

from __future__ import annotations

import streamlit as st

from cgcnn.gates import GateRow, Gates, gate_openings, gate_table, gates_by_element, has_gates
from cgcnn.plots import gate_lines
from cgcnn.viewer import ColourBar, Neighbour, surroundings_view
from pages.common import is_dark, model_named, plain, show_figure, show_scene
from pages.crystal_tabs.shown import Shown, choose_site

SCENE_HEIGHT = 430  # px


@st.cache_data(show_spinner="Opening gates", max_entries=200)
def gates_of(model_name: str, model_hash: str, key: str, _structure) -> Gates:
    return gate_openings(model_named(model_name), _structure)


def show(shown: Shown) -> None:
    if not has_gates(shown.model):
        st.info(
            f"The convolutions of {plain(shown.card.name)} are of the form eq. 4, in which all neighbours come in "
            "alike: there are no gates to show. Models of the form eq. 5 have them."
        )
        return
    gates = gates_of(shown.card.name, shown.model.hash, shown.key, shown.result.structure)
    rounds = len(gates.opening)
    left, right = st.columns([1, 1.12], gap="medium")
    with right, st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        site = choose_site(shown)
        choice = st.selectbox(
            "Convolution", [0, *range(1, rounds + 1)], format_func=lambda r: f"{r} of {rounds}" if r else "mean of all",
            key="convolution", bind="query-params", width=150,
        )  # fmt: skip
    convolution = choice - 1 if choice else None
    with left:
        show_scene(scene(shown, gates, site, convolution), SCENE_HEIGHT)
    with right:
        table = gate_table(gates, site, shown.names, shown.facts.orbit, convolution)
        if table.empty:
            st.info(f"{shown.names[site]} has no neighbour within {shown.model.graph_settings.radius:g} Å.")
            return
        number = st.column_config.NumberColumn
        st.dataframe(
            table, hide_index=True, row_height=29, height=min(38 + 29 * len(table), 274),
            column_config={
                "distance": number("distance, Å", format="%.3f"), "gate": number(format="%.3f"),
                "sd": number(format="%.3f"),
                "counts": number("counts", format="%.2f", help="1 up to the 12th neighbour, falling to 0 behind it"),
            },
        )  # fmt: skip
        figure = gate_lines(
            {
                f"{row.number} {row.element}, {distances(row)} Å": (
                    row.element, row.by_convolution, row.sd_by_convolution,
                )
                for row in gates_by_element(gates, site, shown.names)
            },
            dark=is_dark(),
        )  # fmt: skip
        show_figure(
            figure, f"gates {shown.card.name} {shown.key} {site}", f"{shown.formula}-gates-{shown.names[site]}",
            caption=f"How open the gate is through which {shown.names[site]} lets a neighbour in, 0 to 1, mean over "
            f"features{'' if gates.sd is None else ' ± spread over networks'}. No bond strength: what comes through is "
            "the gate times a message of its own size.",
            data=table,
        )  # fmt: skip


def distances(row: GateRow) -> str:
    near, far = f"{row.nearest:.2f}", f"{row.farthest:.2f}"
    return near if near == far else f"{near}\N{EN DASH}{far}"


def scene(shown: Shown, gates: Gates, site: int, convolution: int | None):
    values, sd = gates.of(convolution)
    neighbours = [
        Neighbour(
            site=int(gates.neighbour[p]),
            image=tuple(gates.image[p].tolist()),
            value=float(values[p]),
            label=(
                shown.names[gates.neighbour[p]],
                f"{gates.distance[p]:.3f} Å, counts {gates.weight[p]:.2f}",
                f"gate {values[p]:.3f}" + ("" if sd is None else f" ± {sd[p]:.3f}"),
            ),
        )
        for p in (gates.site == site).nonzero()[0]
    ]
    low, high = gates.range(convolution)
    return surroundings_view(
        shown.result.structure, site, neighbours, (shown.names[site], f"{len(neighbours)} neighbours"),
        ColourBar("gate of the neighbour", "0 closed to 1 open", high, low=low),
        dark=is_dark(), height=SCENE_HEIGHT, key=f"gates {shown.key} {site}",
    )  # fmt: skip
