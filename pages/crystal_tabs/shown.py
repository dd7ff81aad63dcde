"""What the tabs know of the crystal above them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from cgcnn.contributions import Contributions
from cgcnn.model import Card, Model
from cgcnn.symmetry import Description
from cgcnn.tables import Orbit, formula, orbits, site_names
from cgcnn.viewer import CrystalView
from pages.crystal_scene import select


@dataclass(frozen=True)
class Shown:
    """The crystal of the page and everything worked out from it.

    key: its fingerprint; limit: end of the colour scale, eV; rows: the selected sites, marked in table and scene
    scene: draws the scene as it is above, at another height and with a key of its own
    """

    key: str
    card: Card
    model: Model
    facts: Description
    result: Contributions
    limit: float
    rows: Sequence[int]
    scene: Callable[[int | str, str], CrystalView]

    @property
    def names(self) -> list[str]:
        return site_names(self.result)

    @property
    def orbits(self) -> list[Orbit]:
        return orbits(self.facts, self.result)

    @property
    def formula(self) -> str:
        return formula(self.result)

    def equivalent(self, site: int) -> list[int]:
        """The sites that symmetry makes equal to one, itself among them."""
        return np.flatnonzero(self.facts.orbit == self.facts.orbit[site]).tolist()


def choose_site(shown: Shown) -> int:
    """One of the distinct sites, or the selected one; its name is kept in the URL. What is chosen here is selected."""
    names = shown.names
    options = [int(orbit.sites[0]) for orbit in shown.orbits]

    def like(site: int) -> int:
        return next(other for other in options if other in shown.equivalent(site))

    marked = shown.rows[0] if shown.rows else None
    if marked is not None and marked not in options:
        options.insert(options.index(like(marked)) + 1, marked)
    state, now = st.session_state, (shown.key, marked)
    if marked is not None and state.get("site marked") != now:
        state["site"] = names[marked]
    state["site marked"] = now
    on_b = next((site for site in options if shown.result.role[site] == "B"), options[0])
    if "site" in state and state["site"] not in [names[site] for site in options]:
        # Of another crystal, or no longer selected. Set, not deleted: the browser would send the old one once more.
        state["site"] = names[like(names.index(state["site"]) if state["site"] in names else on_b)]

    def chosen() -> None:
        if state["site"] in names:
            select(shown.key, [names.index(state["site"])])
            state["site chosen"] = True

    name = st.selectbox(
        "Site", [names[site] for site in options], index=0 if "site" in state else options.index(on_b), key="site",
        bind="query-params", width=110, on_change=chosen,
        help="The distinct sites, and the one selected in the scene or in the table of the sites.",
    )  # fmt: skip
    if state.pop("site chosen", False):
        st.rerun(scope="app")  # the scene, the bars and the table above show it too
    return names.index(name)
