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


@dataclass(frozen=True)
class Shown:
    """The crystal of the page and everything worked out from it.

    key: its fingerprint; limit: end of the colour scale, eV; rows: marked rows of the table of its sites
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
    """One of the distinct sites, or the one marked in the table; its name is kept in the URL."""
    names = shown.names
    options = [int(orbit.sites[0]) for orbit in shown.orbits]
    marked = shown.rows[0] if shown.rows else None
    if marked is not None and marked not in options:
        at = next(i for i, site in enumerate(options) if site in shown.equivalent(marked))
        options.insert(at + 1, marked)
    state, now = st.session_state, (shown.key, marked)
    if marked is not None and state.get("site marked") != now:
        state["site"] = names[marked]
    state["site marked"] = now
    if state.get("site", names[options[0]]) not in [names[site] for site in options]:
        del state["site"]  # of another crystal
    on_b = next((i for i, site in enumerate(options) if shown.result.role[site] == "B"), 0)
    chosen = st.selectbox(
        "Site", [names[site] for site in options], index=on_b, key="site", bind="query-params", width=110,
        help="The distinct sites, and the one whose row is marked in the table of the sites.",
    )  # fmt: skip
    return names.index(chosen)
