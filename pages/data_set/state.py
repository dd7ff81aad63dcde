"""What the page remembers: its choices, in the URL and for the next visit."""

from __future__ import annotations

import streamlit as st

# State of the page, which Streamlit forgets when another page is shown.
KEPT = (
    *("data", "path", "view", "kind", "contains", "on", "lacks", "anion", "emin", "emax", "components"),
    *("tab", "role", "order", "element"),
)


def come_back() -> None:
    """Put the page as it was when it was left, unless the URL says otherwise."""
    if "data" not in st.session_state and not any(name in st.query_params for name in KEPT):
        st.session_state.update(st.session_state.get("elements page", {}))
    st.query_params.pop("perovskite", None)  # of the page that comes from


def remember() -> None:
    kept = {name: st.session_state[name] for name in KEPT if name in st.session_state}
    st.session_state["elements page"] = {**st.session_state.get("elements page", {}), **kept}


def recall(name: str, options: list) -> None:
    """Before a widget: what it was when it was last there, or what the URL says, or the first of its options.

    Widgets in a tab are not bound to the URL, since Streamlit would not write there what a click elsewhere has set.
    """
    if st.session_state.get(name) not in options:
        known = st.session_state.get("elements page", {}).get(name, st.query_params.get(name))
        st.session_state[name] = known if known in options else options[0]


def show_in_url(**choices: str | None) -> None:
    """After the widgets of a tab; None for what is not to be there."""
    for name, value in choices.items():
        if value is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = value
