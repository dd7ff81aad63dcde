"""Swap an atom: the energy with every other element on a site."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cgcnn.plots import booked_elsewhere, signed, swap_table
from cgcnn.substitution import Substitutions, can_follow, substitute
from pages.common import drawn, model_named, plain, show_figure
from pages.crystal_tabs.shown import Shown, choose_site

# On a phone the table scrolls sideways: eighteen columns of numbers cannot be narrower.
WIDE_ENOUGH = """<style>
[class*="st-key-figure-swap"] { overflow-x: auto; }
[class*="st-key-figure-swap"] [data-testid="stFullScreenFrame"] { min-width: 640px; }
</style>"""


@st.cache_data(show_spinner="Swapping", max_entries=200)
def substituted(model_name: str, model_hash: str, key: str, sites: tuple[int, ...], follow: bool, _structure):
    return substitute(model_named(model_name), _structure, sites, follow_cell=follow)


def show(shown: Shown) -> None:
    if not shown.card.elements:
        st.info(f"The card of {plain(shown.card.name)} does not say which elements the model knows.")
        return
    if shown.result.energy_unit != "eV/atom":
        st.info(
            f"Swaps are shown for energies only; {plain(shown.card.name)} predicts {plain(shown.card.target.label)}."
        )
        return
    structure = shown.result.structure
    st.html(WIDE_ENOUGH)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        site = choose_site(shown)
        equal = shown.equivalent(site)
        all_equal = len(equal) > 1 and st.toggle(
            f"all {len(equal)} equivalent sites", key="equivalent", bind="query-params"
        )
        possible = can_follow(structure)
        follow = st.toggle(
            "cell follows", key="follow", bind="query-params", disabled=not possible,
            help="The cell grows or shrinks as a lattice model of cubic perovskites says, in proportion to the present "
            "lattice parameter. " + ("" if possible else "There is one for cubic five-atom ABX3 of its elements only."),
        )  # fmt: skip
    sites = tuple(equal) if all_equal else (site,)
    found = substituted(shown.card.name, shown.model.hash, shown.key, sites, follow and possible, structure)
    doubtful = found.doubtful()
    which = f"{len(sites)} {found.element}" if len(sites) > 1 else shown.names[site]
    about = f" on {found.role}" if found.role else ""
    n = len(structure)
    left, right = st.columns([2.35, 1], gap="medium")
    key = f"swap {shown.card.name} {shown.key} {sites} {found.edge is not None} {st.session_state.get('swap count', 0)}"
    limit = shown.limit * len(sites)
    with left:
        figure = drawn(
            swap_table, dict(zip(found.elements, found.change, strict=True)), limit, present=found.element,
            doubtful=doubtful, hover=hover_texts(found, n, doubtful), title=f"change of the cell of {n} atoms, eV",
        )  # fmt: skip
        mark = f" \N{WHITE CIRCLE} not in training crystals {role_words(found.role)}." if doubtful else ""
        cell = "the cell follows" if found.edge is not None else "cell and positions as they are"
        answer = show_figure(
            figure, key, f"{shown.formula}-swap-{found.element}{site}",
            caption=f"Energy change when {which}{about} becomes another element, {cell}; per atom 1/{n} of it. "
            f"Click an element to see that crystal.{mark}",
            data=found.table(), on_select="rerun",
        )  # fmt: skip
    with right:
        show_figure(
            drawn(booked_elsewhere, found.elements, found.change, found.booked, limit, unit=found.unit),
            f"booked {key}", f"{shown.formula}-booked-{found.element}{site}",
            caption=f"{100 * found.share_booked:.0f} % of the changes are booked on the swapped "
            f"{'atoms' if len(sites) > 1 else 'atom'} (slope over all elements), the rest on others.",
            data=found.table(),
        )  # fmt: skip
    chosen = [point.get("customdata") for point in answer.selection.points]
    if chosen:
        apply(found, str(chosen[0][0] if isinstance(chosen[0], list) else chosen[0]))


def hover_texts(found: Substitutions, n: int, doubtful: list[str]) -> dict[str, str]:
    """What the pointer says of every candidate."""
    texts = {found.element: f"<b>{found.element}</b> as it is<br>{signed(found.energy)} eV/atom"}
    for k, element in enumerate(found.elements):
        if np.isnan(found.change[k]):
            texts[element] = f"<b>{element}</b>: no lattice parameter is known"
            continue
        sd = "" if found.sd is None else f" ± {found.sd[k]:.3f}"
        lines = [
            f"<b>{element}</b> for {found.element}",
            f"change {signed(found.change[k])}{sd} eV per cell",
            f"{signed(found.change[k] / n)} eV/atom, to {signed(found.energies[k])}",
            f"booked on the swapped {signed(found.booked[k])} eV",
        ]
        if found.edge is not None:
            lines.append(f"a = {found.edge[k]:.3f} Å")
        if element in doubtful:
            lines.append(f"not in training crystals {role_words(found.role)}")
        texts[element] = "<br>".join(lines)
    return texts


def role_words(role: str | None) -> str:
    return f"on {role}" if role else ""


def apply(found: Substitutions, element: str) -> None:
    """Show the crystal with this element; the page keeps the swap in the URL and offers the way back."""
    if element not in found.elements or np.isnan(found.change[found.elements.index(element)]):
        return
    st.session_state["swaps"] = [*st.session_state.get("swaps", []), str(found.swap(element))]
    st.session_state["swap count"] = st.session_state.get("swap count", 0) + 1  # a new table has no selection
    st.rerun(scope="app")
