"""The one colour scale of contributions, the colours of light and dark pages, and the one template of all figures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import plotly.graph_objects as go

# Contribution divided by the limit -> colour. Blue to red through light grey: lightness falls on both sides, so the
# size reads without colour vision, and blue against red-orange is the pair that all common deficiencies keep apart.
CONTRIBUTION_STOPS: tuple[tuple[float, str], ...] = (
    (-1.0, "#1b5fa8"),
    (-0.65, "#4a94ca"),
    (-0.3, "#a8cde6"),
    (0.0, "#e8e8e6"),
    (0.3, "#f3b99c"),
    (0.65, "#dc6d54"),
    (1.0, "#ab1f2f"),
)

SELECTED = "#f0a500"  # around what was selected; no other colour of the app is near it


@dataclass(frozen=True)
class Theme:
    """Colours around the data, for a light or a dark page."""

    background: str
    panel: str
    text: str
    muted: str
    line: str
    zero: str
    accent: str


LIGHT = Theme("#ffffff", "#f4f5f6", "#1d2327", "#5d676d", "#e1e4e6", "#7b858b", "#0f766e")
DARK = Theme("#14181b", "#1f2529", "#e4e8ea", "#9aa5ab", "#333a3f", "#8a959b", "#2dbfae")


def theme(dark: bool) -> Theme:
    return DARK if dark else LIGHT


def contribution_colours(values: Sequence[float] | np.ndarray, limit: float) -> list[str]:
    """Colours "#rrggbb" of contributions; beyond +-limit the colour stays that of the end, nan is grey.

    values: (N,) in the unit of `limit`. Raises ValueError for a limit that is not positive.
    """
    if not limit > 0:
        raise ValueError(f"the colour limit is {limit}; it must be positive")
    positions = [position for position, _ in CONTRIBUTION_STOPS]
    channels = np.array([_rgb(colour) for _, colour in CONTRIBUTION_STOPS])  # (stops, 3)
    values = np.asarray(values, dtype=float)
    scaled = np.clip(np.nan_to_num(values / limit), -1, 1)
    rgb = np.stack([np.interp(scaled, positions, channels[:, k]) for k in range(3)], axis=-1)  # (N, 3)
    return ["#9b9b9b" if np.isnan(v) else _hex(c) for v, c in zip(values, rgb, strict=True)]


def share_stops(look: Theme) -> tuple[tuple[float, str], ...]:
    """The scale of shares, from 0, as good as nothing, to 1: out of the lines of the page into the accent."""
    faint = "#dbe0e2" if look is LIGHT else "#3a444a"
    return (0.0, faint), (0.5, "#7fb3ad" if look is LIGHT else "#23756d"), (1.0, look.accent)


def share_colours(shares: Sequence[float] | np.ndarray, dark: bool = False) -> list[str]:
    """Colours "#rrggbb" of shares from 0 to 1."""
    positions, colours = zip(*share_stops(theme(dark)), strict=True)
    channels = np.array([_rgb(colour) for colour in colours])
    rgb = np.stack([np.interp(shares, positions, channels[:, k]) for k in range(3)], axis=-1)
    return [_hex(colour) for colour in rgb]


def plotly_colour_scale() -> list[list]:
    """The same scale as plotly takes it, positions from 0 to 1."""
    return [[(position + 1) / 2, colour] for position, colour in CONTRIBUTION_STOPS]


def css_gradient() -> str:
    """The same scale as a CSS gradient, most negative on the left."""
    return "linear-gradient(to right, " + ", ".join(f"{c} {50 * (p + 1):.1f}%" for p, c in CONTRIBUTION_STOPS) + ")"


@cache
def element_colour(symbol: str) -> str:
    """Jmol's colour of an element; grey for what Jmol does not know."""
    from pymatgen.vis.structure_vtk import EL_COLORS

    return _hex(EL_COLORS["Jmol"].get("H" if symbol == "D" else symbol, (155, 155, 155)))


def text_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour`."""
    r, g, b = (((c / 255 + 0.055) / 1.055) ** 2.4 for c in _rgb(colour))
    return "#101314" if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.19 else "#ffffff"  # where both have contrast 4.3


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign and a real minus: +0.120, \N{MINUS SIGN}0.305; what rounds to zero has no sign."""
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        return f"{0:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def literal(text: str) -> str:
    """Text that is not ours, such as a model's name or unit, as plotly shows it letter by letter.

    Plotly takes a part of HTML, links too, for format in every text, and %{...} in hover labels for a value.
    """
    return html.escape(text, quote=False).replace("%{", "&#37;{")


@cache
def template(dark: bool = False) -> go.layout.Template:
    """The one look of all figures. Not see-through: a saved picture must not be dark letters on nothing."""
    look = theme(dark)
    axis = dict(
        gridcolor=look.line, zerolinecolor=look.zero, zerolinewidth=1.6, zeroline=True, linecolor=look.line,
        ticks="", title_standoff=4, automargin=True, tickfont_color=look.text,
        title_font=dict(size=13, color=look.muted),
    )  # fmt: skip
    return go.layout.Template(
        layout=go.Layout(
            font=dict(family="Source Sans, Source Sans Pro, sans-serif", size=13, color=look.text),
            paper_bgcolor=look.background, plot_bgcolor="rgba(0,0,0,0)",
            margin=dict(l=4, r=4, t=4, b=4), xaxis=axis, yaxis=axis, showlegend=False, separators=".",
            colorscale_diverging=plotly_colour_scale(), bargap=0.35,
            hoverlabel=dict(bgcolor=look.panel, font_color=look.text, bordercolor=look.line),
        )
    )  # fmt: skip


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _hex(rgb: Sequence[float]) -> str:
    return "#" + "".join(f"{round(float(c)):02x}" for c in rgb)
