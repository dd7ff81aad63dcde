"""What counts, and what zero is: the choices above the periodic table."""

from __future__ import annotations

import streamlit as st

from cgcnn.atlas import zero_in_words
from cgcnn.periodic import ELEMENTS
from pages.data_set.choosing import Shown
from pages.data_set.state import recall

# Options are their own labels, since those stand in the URL.
VIEWS = {"relative": "relative", "to its element": "element", "absolute": "absolute"}
KINDS = {"perovskites": True, "others": False}  # the names are also those of `contents`
ANY = "any"


def choose_view(shown: Shown, roles: bool) -> str:
    """What zero is: one of `atlas.VIEWS`."""
    offered = [label for label, name in VIEWS.items() if name != "element" or has_element_view(shown)]
    recall("view", offered)
    chosen = st.segmented_control(
        "Contributions", offered, required=True, key="view", bind="query-params",
        help="\n\n".join(f"**{label}**: {zero_in_words(shown.about, VIEWS[label], roles)}" for label in offered),
    )  # fmt: skip
    return VIEWS[chosen]


def has_element_view(shown: Shown) -> bool:
    return shown.zero is not None and shown.scores is not None and not shown.about["reference"]


def choose_kind(shown: Shown, content: dict) -> bool | None:
    """Perovskites or the others: where only those have roles, the two have different zeros and are not mixed."""
    if not shown.about["reference"] or not all(content[kind] for kind in KINDS):
        return None
    offered = sorted(KINDS, key=lambda kind: -content[kind])
    recall("kind", offered)
    chosen = st.segmented_control(
        "Crystals", offered, required=True, key="kind", bind="query-params", label_visibility="collapsed",
        help=f"{content['perovskites']:,} perovskites, {content['others']:,} others. Values are relative to the mean "
        "of their role in perovskites, and to the mean of their own crystal in others, so the two are not mixed.",
    )  # fmt: skip
    return KINDS[chosen]


def has_roles(shown: Shown, content: dict | None, perovskite: bool | None) -> bool:
    """Whether elements are told apart by role: in perovskites, unless the model puts them among all other crystals."""
    if shown.about["reference"]:
        return perovskite is not False and bool(content is None or content["perovskites"])
    return content is not None and not content["others"]


def choose_filters(content: dict, roles: bool) -> dict:
    """Arguments of `atlas.filtered`."""
    bound = dict(bind="query-params")
    with st.popover("Filters", icon=":material/filter_alt:", width="stretch"):
        wide, narrow = st.columns([2, 1.1])
        contains = wide.multiselect("Contains", ELEMENTS, key="contains", **bound)
        on = narrow.selectbox("on role", [ANY, "A", "B", "X"], key="on", disabled=not roles, **bound)
        lacks = wide.multiselect("Lacks", ELEMENTS, key="lacks", **bound)
        anion = narrow.selectbox("Nearest anion", [ANY, *content["nearest anions"]], key="anion", **bound)
        low, high = wide.columns(2)
        (lowest, highest), number = content["energies"], dict(value=None, step=0.1, format="%.2f", **bound)
        lowest = low.number_input("Energy from", key="emin", placeholder=f"{lowest:.2f}", **number)
        highest = high.number_input("to, eV/atom", key="emax", placeholder=f"{highest:.2f}", **number)
        components = [ANY, *map(str, content["components"])]
        components = narrow.selectbox("Elements in it", components, key="components", **bound)
        st.caption("Crystals that fit all of these count, with all their sites.")
    filters: dict = dict(contains=contains, lacks=lacks, energy=(lowest, highest))
    filters |= {"on": on} if on != ANY and roles else {}
    filters |= {"components": int(components)} if components != ANY else {}
    return filters | ({"nearest_anion": anion} if anion != ANY else {})


def is_filtered(filters: dict) -> bool:
    if not filters:
        return False
    chosen = (filters["contains"], filters["lacks"], filters.get("components"), filters.get("nearest_anion"))
    return any(chosen) or any(end is not None for end in filters["energy"])
