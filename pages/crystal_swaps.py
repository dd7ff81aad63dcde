"""The crystal of the page after atoms were swapped in it, and the way back."""

from __future__ import annotations

import streamlit as st
from pymatgen.core import Structure

from cgcnn.perovskite import site_roles
from cgcnn.structures import Crystal
from cgcnn.substitution import Swap
from cgcnn.tables import written_formula
from pages.common import fingerprint, plain


def with_swaps(crystal: Crystal) -> Crystal:
    """The crystal after the swaps that were chosen below or stand in the URL, and the way back.

    They belong to one crystal: another one is shown as it is.
    """
    state, base = st.session_state, fingerprint(crystal)
    if "swaps" not in state:
        state["swaps"] = [text for text in st.query_params.get("swap", "").split(";") if text]
    elif state.get("swaps of", base) != base:
        state["swaps"] = []
    state["swaps of"] = base
    steps = [crystal.structure]
    try:
        for text in state["swaps"]:
            steps.append(Swap.read(text).of(steps[-1]))
    except ValueError as error:
        text = f"The swap in the address does not fit this crystal, which is shown as it is: {plain(str(error))}."
        state["swaps"], steps, state["refused"] = [], steps[:1], (base, text)
    if not state["swaps"]:
        if state.get("refused", ("", ""))[0] == base:  # kept, since the page may run again before it is seen
            st.warning(state["refused"][1])
        st.query_params.pop("swap", None)
        return crystal
    state.pop("refused", None)
    st.query_params["swap"] = ";".join(state["swaps"])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            f"Back to {formula_of(crystal.structure)}", icon=":material/arrow_back:", key="back",
            on_click=lambda: state.update(swaps=[]),
        )  # fmt: skip
        if len(state["swaps"]) > 1:
            st.button("Undo the last", key="undo", on_click=lambda: state.update(swaps=state["swaps"][:-1]))
        said = [swap_words(before, Swap.read(text)) for before, text in zip(steps, state["swaps"], strict=False)]
        st.caption(f"{formula_of(crystal.structure)} with {', then '.join(said)}; nothing relaxed.")
    return Crystal(crystal.source, steps[-1])


def formula_of(structure: Structure) -> str:
    """As in the headline: of a perovskite in the order A, B, X."""
    roles = site_roles(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)
    return written_formula(structure, roles)


def swap_words(before: Structure, swap: Swap) -> str:
    old = before[swap.sites[0]].specie.symbol
    alike = [i for i, site in enumerate(before) if site.specie.symbol == old]
    if len(swap.sites) == len(alike) > 1:
        which = f"all {old}"
    else:
        which = ", ".join(f"{old}{alike.index(i) + 1}" for i in swap.sites[:6]) + (
            ", ..." if len(swap.sites) > 6 else ""
        )
    edge = "" if swap.edge is None else f" (a = {swap.edge:.3f} Å)"
    return f"{which} \N{RIGHTWARDS ARROW} {swap.element}{edge}"
