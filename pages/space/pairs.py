"""A against B for one anion set."""

from __future__ import annotations

from typing import get_args

import numpy as np
import streamlit as st

from cgcnn.perovskite.lattice import ANION_SETS
from cgcnn.perovskite.maps import QUANTITIES, Order, PairMap, difference_limit, element_blocks, energy_limit, pair_map
from cgcnn.perovskite.screening import THRESHOLD
from cgcnn.plots import literal, signed, space_map
from pages.common import is_dark, plain, show_figure
from pages.space.data import Space
from pages.space.facts import crystal_facts, plus_minus


def show(space: Space) -> None:
    offered = [name for name, quantity in QUANTITIES.items() if space.labels or not quantity.labels]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        hidden = dict(label_visibility="collapsed", bind="query-params")
        x = st.selectbox("Anions", list(ANION_SETS), key="x", width=90, **hidden)
        name = st.segmented_control("Colour", offered, default=offered[0], required=True, key="show", **hidden)
        order = st.segmented_control(
            "Order by", get_args(Order), default=get_args(Order)[0], required=True, key="order", **hidden
        )
    quantity = QUANTITIES[name]
    grid = pair_map(space.table, x, quantity, order, space.dft)
    picked = _chosen(grid)
    row = grid.cells.row(picked[0] * len(grid.columns) + picked[1], named=True)
    left, right = st.columns([3.1, 1], gap="medium")
    with left:
        _draw(space, grid, name, x, order, picked)
    with right:
        crystal_facts(space, row, "pair")


def _chosen(grid: PairMap) -> tuple[int, int]:
    """Row and column of the cell in the URL, else of the lowest energy."""
    a, _, b = st.query_params.get("cell", "").partition("-")
    if a in grid.rows and b in grid.columns:
        return grid.rows.index(a), grid.columns.index(b)
    return divmod(int(np.nanargmin(grid.matrix("energy"))), len(grid.columns))


def _draw(space: Space, grid: PairMap, name: str, x: str, order: str, picked: tuple[int, int]) -> None:
    quantity, unit = QUANTITIES[name], space.card.target.unit
    if quantity.contribution:
        limit, unit = space.limit, "eV per site"
    elif quantity.column == "difference":
        limit = difference_limit(space.table, space.dft)
    else:
        limit = energy_limit(space.table)
    stable = grid.matrix("energy") < THRESHOLD
    trained = grid.matrix("trained").astype(bool)
    blocks = tuple(element_blocks(s) if order == get_args(Order)[0] else [] for s in (grid.rows, grid.columns))
    figure = space_map(
        (grid.rows, grid.columns), grid.values, limit, names=grid.matrix("pair"), hover=_hover(space, grid),
        bar_title=f"{quantity.title}, {unit}", blocks=blocks, marked=trained, framed=stable,
        chosen=picked, dark=is_dark(),
    )  # fmt: skip
    caption = f"Zero: {quantity.zero}. Framed: predicted below {THRESHOLD} {plain(space.card.target.unit)}."
    if trained.any():
        caption += " Dots: the model was trained on this crystal."
    key = f"space map {space.key} {x} {name} {order}"

    def pick() -> None:
        points = st.session_state[key].selection.points
        if points:
            st.query_params["cell"] = points[0]["customdata"][0]

    table = grid.cells.drop("members_a", "members_b", "members_x", "pair")
    show_figure(figure, key, f"perovskites-{x}-{quantity.column}", caption=caption, data=table, on_select=pick)


def _hover(space: Space, grid: PairMap) -> np.ndarray:
    unit = literal(space.card.target.unit)
    lines = []
    for cell in grid.cells.iter_rows(named=True):
        text = f"<b>{cell['formula']}</b>  {plus_minus(cell['energy'], cell['sd'])} {unit}"
        for site in ("a", "b"):
            text += (
                f"<br>{cell[site]} on {site.upper()}  {plus_minus(cell[f'contribution_{site}'], cell[f'sd_{site}'])} eV"
            )
        if cell["target"] is not None:
            text += f"<br>DFT {signed(cell['target'])}" + (", trained on" if cell["trained"] else "")
        lines.append(text)
    return np.array(lines, dtype=object).reshape(grid.values.shape)
