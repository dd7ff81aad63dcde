"""The lines above all views: how accurate the energies are, how far the rankings can be trusted."""

from __future__ import annotations

import streamlit as st

from cgcnn.model import Card
from cgcnn.perovskite.effects import trusted
from cgcnn.perovskite.labels import on_built_cells
from cgcnn.perovskite.space import SIZE
from pages.common import families, plain
from pages.space.data import Space, fits, labels_line

_HELP = (
    "Energies: mean absolute error on crystals that were not trained on; the map is made of built cells (ideal cubic, "
    "lattice parameter from a model), not of relaxed ones.\n\n"
    "Rankings: contribution of each of the 52 elements on a site, averaged over crystals not trained on, against the "
    "plain additive reference: a least-squares fit E = A + B + anion set to all DFT energies, times 5. r: Pearson, ρ: "
    "Spearman, slope: contribution against reference; 1 would be perfect. Measured by `python -m cgcnn evaluate "
    "--trust` and `python -m cgcnn.perovskite built --write-card`."
)


def trust(space: Space) -> None:
    card = space.card
    lines = [_energies(card), _rankings(card), *([labels_line(space.labels)] if space.labels else [])]
    st.caption("  \n".join(lines), help=_HELP)
    weak = [site for site in "AB" if trusted(card.faithfulness, site) is False]
    for site in weak:
        _warn(card, site)


def _energies(card: Card) -> str:
    unit = plain(card.target.unit)
    built, relaxed = card.accuracy.get(on_built_cells()), card.accuracy.get("val")
    text = f"**{SIZE:,} cubic ABX₃**, built cells: "
    if built:
        text += f"energies are good to {built['mae']:.3f} {unit} (MAE, {built['n']:,} crystals not trained on"
        return text + (f"; relaxed cells {relaxed['mae']:.3f})" if relaxed else ")")
    text += "accuracy of their energies not measured"
    return text + (f" (relaxed cells: MAE {relaxed['mae']:.3f} {unit})" if relaxed else "")


def _rankings(card: Card) -> str:
    parts = []
    for site in "AB":
        line = card.faithfulness.get(f"elements {site}")
        if line is None:
            parts.append(f"{site} not measured")
            continue
        rank = f", ρ {line['spearman']:.3f}" if "spearman" in line else ""
        parts.append(f"**{site}** r {line['r']:.3f}{rank}, slope {line['slope']:.2f}")
    return "Element rankings against the additive reference: " + " · ".join(parts)


def _warn(card: Card, site: str) -> None:
    """Say that the ranking on a site is not to be trusted, and offer the head that can be."""
    line = card.faithfulness[f"elements {site}"]
    heads = families()[card.family]
    better = [head for head, other in heads.items() if fits(other) and trusted(other.faithfulness, site)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":orange[:material/warning: On the {site} site do not trust this head's ranking of elements: "
            f"r = {line['r']:.3f}, and differences come out at {line['slope']:.2f} of their size.]",
            width="content",
        )
        if better:
            best = max(better, key=lambda head: heads[head].faithfulness[f"elements {site}"]["r"])
            st.button(f"Use the {best} head", key=f"better {site}", on_click=lambda: st.session_state.update(head=best))
