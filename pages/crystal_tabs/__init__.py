"""Below the crystal: swap an atom, both heads side by side, bonds, export; one module a tab."""

from __future__ import annotations

import streamlit as st

from pages.crystal_tabs import bonds, export, heads, swap
from pages.crystal_tabs.shown import Shown
from pages.logs import log_failure

TABS = {
    "Swap an atom": swap.show,
    "Both heads side by side": heads.show,
    "Bonds": bonds.show,
    "Export": export.show,
}


@st.fragment
def tabs(shown: Shown) -> None:
    """The open tab only is worked out; a change in it leaves the page above alone."""
    containers = st.tabs(list(TABS), key="panel", bind="query-params")
    for container, show in zip(containers, TABS.values(), strict=True):
        if not container.open:
            continue
        with container:
            try:
                show(shown)
            except Exception as error:  # no traceback, and the crystal above stays; reruns are no Exceptions
                log_failure("tab of the crystal page", error)
                st.error("This could not be worked out for this crystal; the log on the terminal has the details.")
