"""Plotly figures, one module a kind, in one style.

    style   colour scale of contributions, element colours, light and dark, the template of all figures
    sites   contribution of every distinct site of one crystal
    perovskites  A against B, elements compared, groups, energies of a choice

Everything here takes plain arrays and tables; nothing knows a network.
"""

from .perovskites import element_comparison, element_parity, energy_histogram, group_bars, space_map
from .sites import FIGURE_HEIGHT, site_bars
from .style import (
    CONTRIBUTION_STOPS,
    Theme,
    contribution_colours,
    css_gradient,
    element_colour,
    plotly_colour_scale,
    signed,
    template,
    text_on,
    theme,
)

__all__ = [
    "CONTRIBUTION_STOPS",
    "FIGURE_HEIGHT",
    "Theme",
    "contribution_colours",
    "css_gradient",
    "element_colour",
    "element_comparison",
    "element_parity",
    "energy_histogram",
    "group_bars",
    "plotly_colour_scale",
    "signed",
    "site_bars",
    "space_map",
    "template",
    "text_on",
    "theme",
]
