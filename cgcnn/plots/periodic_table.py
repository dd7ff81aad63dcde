"""The periodic table, every element a coloured tile of one part or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ..periodic import COLUMNS, ELEMENTS, place
from .style import Theme, contribution_colours, plotly_colour_scale, signed, template, text_on, theme

_TILE = 0.95  # of the distance between two elements
_ROW = 41  # px
_F_BLOCK = 0.3  # gap above it, in rows

Value = float | tuple[float | None, float | None]


def periodic_table(
    values: Mapping[str, Value],
    limit: float,
    *,
    title: str = "contribution, eV",
    hover: Mapping[str, str] | None = None,
    absent: str = "not in these crystals",
    selected: str | None = None,
    digits: int = 2,
    more: Sequence[dict] = (),
    dark: bool = False,
) -> go.Figure:
    """Tiles in the colours of the scale, with symbol and value; a click reports the symbol as `customdata`.

    values: element symbol -> one value, or (upper, lower) of a tile in two parts, None where there is none;
        elements that are not there stay pale; rows 7 to 9 are drawn where they hold any
    limit: end of the colour scale, in the unit of the values; title: of the colour bar, with the unit
    hover: element symbol -> text at the pointer, HTML; absent: what it says of elements that are not there
    selected: element with a frame around it; for one that changes with clicks see `tile_frame`
    more: traces of plotly that are drawn above
    """
    look = theme(dark)
    known = {symbol: _parts(values[symbol]) for symbol in ELEMENTS if symbol in values}
    rows = {place(symbol)[1] for symbol in known}
    shown = [e for e in ELEMENTS if place(e)[1] <= 6 or place(e)[1] in rows]
    height = {symbol: _y(symbol) for symbol in shown}
    bottom = min(height.values()) - 0.5
    bars = [
        (symbol, height[symbol] - _TILE / 2 + low * _TILE, share * _TILE, value)
        for symbol, parts in known.items()
        for low, share, value in parts
    ]
    colours = _colours([value for *_, value in bars], limit, look.panel)
    pale = [(e, height[e] - _TILE / 2, _TILE, None) for e in shown if e not in known]
    traces = [
        _tiles(pale, look.panel, hover or {}, absent),
        _tiles(bars, colours, hover or {}, absent),
        _symbols(known, height, limit, look, [e for e in shown if e not in known]),
        _numbers(known, height, limit, digits, look),
        _colour_bar(limit, title, digits, bottom),
    ]
    frame = []
    if selected in height:
        x, y = place(selected)[0], height[selected]
        frame = [dict(type="rect", x0=x - 0.49, x1=x + 0.49, y0=y - 0.49, y1=y + 0.49, layer="above",
                      line=dict(color=look.accent, width=3))]  # fmt: skip
    hidden = dict(visible=False, fixedrange=True)
    layout = dict(
        template=template(dark), height=round(-(bottom + 0.5) * _ROW), bargap=0, barmode="overlay", shapes=frame,
        margin=dict(l=0, r=0, t=0, b=0), hovermode="closest", clickmode="event+select", dragmode=False,
        xaxis=dict(range=[0.5, COLUMNS + 0.5], **hidden), yaxis=dict(range=[bottom, -0.5], **hidden),
    )  # fmt: skip
    # In one go: plotly checks a figure again at every step.
    return go.Figure([*traces, *more], layout)


def tile_frame(figure: go.Figure, symbol: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of a tile, in shares of the figure, for a frame that is drawn over it.

    A frame in the figure makes it another one, which Streamlit draws from nothing.
    """
    (left, right), (bottom, top) = figure.layout.xaxis.range, figure.layout.yaxis.range
    width, height = 1 / (right - left), 1 / (top - bottom)
    return (place(symbol)[0] - 0.5 - left) * width, (top - 0.5 - _y(symbol)) * height, width, height


def _parts(value: Value) -> list[tuple[float, float, float | None]]:
    """(lower edge, height, value) of the parts of a tile, in shares of it; the upper one first."""
    return [(0.5, 0.5, value[0]), (0.0, 0.5, value[1])] if isinstance(value, tuple) else [(0.0, 1.0, value)]


def _y(symbol: str) -> float:
    row = place(symbol)[1]
    return -row - (_F_BLOCK if row > 7 else 0)


def _colours(values: list[float | None], limit: float, missing: str) -> list[str]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    return [
        missing if np.isnan(v) else colour
        for v, colour in zip(numbers, contribution_colours(numbers, limit), strict=True)
    ]


def _tiles(bars: list[tuple], colours: str | list[str], hover: Mapping[str, str], absent: str) -> dict:
    symbols = [symbol for symbol, *_ in bars]
    text = [hover.get(symbol, f"<b>{symbol}</b>: {absent}") for symbol in symbols]
    return dict(
        type="bar", x=[place(symbol)[0] for symbol in symbols], base=[low for _, low, _, _ in bars],
        y=[share for _, _, share, _ in bars], width=_TILE, marker=dict(color=colours, line=dict(width=0)),
        customdata=symbols, hovertext=text, hovertemplate="%{hovertext}<extra></extra>",
        selected=dict(marker=dict(opacity=1)), unselected=dict(marker=dict(opacity=1)),
    )  # fmt: skip


def _symbols(known: dict, height: dict, limit: float, look: Theme, unknown: list[str]) -> dict:
    symbols = [*known, *unknown]
    ink = _inks([parts[0][2] for parts in known.values()], limit, look) + [look.muted] * len(unknown)
    return _texts(
        [place(e)[0] - 0.43 for e in symbols], [height[e] + 0.23 for e in symbols],
        [f"<b>{e}</b>" if e in known else e for e in symbols], ink, 13, "middle right",
    )  # fmt: skip


def _numbers(known: dict, height: dict, limit: float, digits: int, look: Theme) -> dict:
    x, y, values = [], [], []
    for symbol, parts in known.items():
        for low, share, value in parts:
            if value is not None and not np.isnan(value):
                x.append(place(symbol)[0] + 0.46)
                y.append(height[symbol] + (0.22 if low and share < 1 else -0.24))
                values.append(value)
    text = [signed(value, digits) for value in values]
    return _texts(x, y, text, _inks(values, limit, look), 11, "middle left")


def _inks(values: list[float | None], limit: float, look: Theme) -> list[str]:
    return [look.muted if colour is None else text_on(colour) for colour in _colours(values, limit, None)]


def _texts(x: list, y: list, text: list[str], colour: list[str], size: int, position: str) -> dict:
    return dict(
        type="scatter", x=x, y=y, text=text, mode="text", textposition=position, textfont=dict(size=size, color=colour),
        hoverinfo="skip", cliponaxis=False,
        selected=dict(textfont=dict(color="black")),  # without which a click would pale it
    )  # fmt: skip


def _colour_bar(limit: float, title: str, digits: int, bottom: float) -> dict:
    """Between beryllium and boron, where the table has room."""
    ticks = [-limit, -limit / 2, 0, limit / 2, limit]
    text = [signed(tick, min(digits, 1) if limit >= 1 else digits) for tick in ticks]
    text[0], text[-1] = f"\N{LESS-THAN OR EQUAL TO} {text[0]}", f"\N{GREATER-THAN OR EQUAL TO} {text[-1]}"
    return dict(
        type="scatter", x=[None], y=[None], mode="markers", hoverinfo="skip",
        marker=dict(
            color=[0], cmin=-limit, cmax=limit, colorscale=plotly_colour_scale(), showscale=True,
            colorbar=dict(
                orientation="h", thickness=11, len=8.2 / COLUMNS, lenmode="fraction", x=7.0 / COLUMNS, xanchor="center",
                y=1 - 1.45 / -(bottom + 0.5), yanchor="middle", outlinewidth=0, tickvals=ticks, ticktext=text, ypad=0,
                title=dict(text=title, side="top", font=dict(size=13)), ticks="",
            ),
        ),
    )  # fmt: skip
