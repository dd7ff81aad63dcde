"""Plotly figures, one module a kind, in one style.

    style           colour scale of contributions, element colours, light and dark, the template of all figures
    sites           contribution of every distinct site of one crystal
    periodic_table  every element a coloured tile
    swaps           the periodic table of a swapped site; change against what is booked
    flat            a crystal where the browser cannot draw in 3D
    gates           how open the gates of a site's neighbours are, convolution by convolution
    heads           contributions of one crystal by several pooling heads, side by side
    elements        elements of a data set ranked; the distribution of one of them
    perovskites     A against B, elements compared, groups, energies of a choice
    accuracy, trust  what stands on a model's card

Everything here takes plain arrays and tables; nothing knows a network.
"""

from .elements import Distribution, distributions, ranking
from .flat import flat_scene
from .gates import gate_lines
from .heads import head_bars, head_colours
from .periodic_table import periodic_table, tile_frame
from .perovskites import element_comparison, element_parity, energy_histogram, group_bars, space_map
from .sites import FIGURE_HEIGHT, site_bars
from .style import (
    CONTRIBUTION_STOPS,
    SELECTED,
    Theme,
    contribution_colours,
    css_gradient,
    element_colour,
    literal,
    plotly_colour_scale,
    share_colours,
    share_stops,
    signed,
    template,
    text_on,
    theme,
)
from .swaps import booked_elsewhere, swap_table

__all__ = [
    "CONTRIBUTION_STOPS",
    "Distribution",
    "FIGURE_HEIGHT",
    "SELECTED",
    "Theme",
    "booked_elsewhere",
    "contribution_colours",
    "css_gradient",
    "distributions",
    "element_colour",
    "element_comparison",
    "element_parity",
    "energy_histogram",
    "flat_scene",
    "gate_lines",
    "group_bars",
    "head_bars",
    "head_colours",
    "literal",
    "periodic_table",
    "plotly_colour_scale",
    "ranking",
    "share_colours",
    "share_stops",
    "signed",
    "site_bars",
    "space_map",
    "swap_table",
    "template",
    "text_on",
    "theme",
    "tile_frame",
]
