"""Plotly figures, one module a kind, in one style.

    style           colour scale of contributions, element colours, light and dark, the template of all figures
    sites           contribution of every distinct site of one crystal
    periodic_table  every element a coloured tile
    elements        elements of a data set ranked; the distribution of one of them

Everything here takes plain arrays and tables; nothing knows a network.
"""

from .elements import Distribution, distributions, ranking
from .periodic_table import periodic_table
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
    "Distribution",
    "FIGURE_HEIGHT",
    "Theme",
    "contribution_colours",
    "css_gradient",
    "distributions",
    "element_colour",
    "periodic_table",
    "plotly_colour_scale",
    "ranking",
    "signed",
    "site_bars",
    "template",
    "text_on",
    "theme",
]
