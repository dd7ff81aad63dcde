"""The space of ABX3: A against B, elements compared, groups of the periodic table, energies of a choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .style import Theme, contribution_colours, literal, plotly_colour_scale, signed, template, theme

MAP_HEIGHT = 570  # px
_TICK_SIZE = 9.5  # px, of 52 symbols on an axis
_EDGE = dict(width=1, color="rgba(123, 133, 139, 0.55)")


def space_map(
    elements: tuple[Sequence[str], Sequence[str]],
    values: np.ndarray,
    limit: float,
    *,
    names: np.ndarray,
    hover: np.ndarray,
    bar_title: str,
    blocks: tuple[Sequence[tuple[int, str]], Sequence[tuple[int, str]]] = ((), ()),
    marked: np.ndarray | None = None,
    framed: np.ndarray | None = None,
    chosen: tuple[int, int] | None = None,
    dark: bool = False,
    height: int = MAP_HEIGHT,
) -> go.Figure:
    """One coloured cell for every pair of an element on A (row, R) and one on B (column, C).

    values: (R, C) in the unit of `limit`, which ends the colour scale on both sides of zero; nan stays empty
    names: (R, C), what a click on a cell reports as `customdata[0]`; hover: (R, C) lines of the hover label
    blocks: of the rows and of the columns, (number of elements, name) of neighbours that belong together
    marked: (R, C) bool, cells with a dot; framed: (R, C) bool, cells with a frame; chosen: row, column of the choice
    """
    look = theme(dark)
    rows, columns = (list(symbols) for symbols in elements)
    digits = 1 if round(5 * limit, 9) % 1 == 0 else 2  # that half of the limit needs
    figure = go.Figure(
        go.Heatmap(
            z=np.where(np.isfinite(values), np.round(values, 4), None), zmin=-limit, zmax=limit,
            colorscale=plotly_colour_scale(), hoverinfo="skip",
            colorbar=dict(
                title=dict(text=literal(bar_title), side="right", font=dict(size=12, color=look.muted)), thickness=11,
                tickvals=[-limit, -limit / 2, 0, limit / 2, limit], outlinewidth=0, xpad=6, ypad=0,
                ticktext=[signed(v, digits) for v in (-limit, -limit / 2, 0, limit / 2, limit)],
            ),
        )
    )  # fmt: skip
    if framed is not None and framed.any():
        x, y = _frames(framed)
        figure.add_scatter(x=x, y=y, mode="lines", hoverinfo="skip", line=dict(color="#14171a", width=1.1))
    # A heatmap reports no clicks; markers on top of it do, and their hover label is the cell's.
    dots = np.zeros(values.shape, bool) if marked is None else marked
    y, x = (index.ravel() for index in np.indices(values.shape))
    figure.add_scatter(
        x=x, y=y, mode="markers", customdata=names.reshape(-1, 1).tolist(), text=hover.ravel().tolist(),
        hovertemplate="%{text}<extra></extra>",
        marker=dict(  # colours as numbers: plotly checks 2,704 colour names for a tenth of a second
            size=2.6, color=dots.ravel().astype(float), cmin=0, cmax=1, showscale=False, line_width=0,
            colorscale=[[0, "rgba(20,23,26,0)"], [1, "rgba(20,23,26,0.6)"]],
        ),
        selected_marker_opacity=1, unselected_marker_opacity=1,
    )  # fmt: skip
    shapes, notes = [], []
    for along, parts in zip("yx", blocks, strict=True):
        across, end = ("x", len(columns)) if along == "y" else ("y", len(rows))
        start = 0
        for size, name in parts:
            if start:
                ends = {f"{along}0": start - 0.5, f"{along}1": start - 0.5, f"{across}0": -0.5, f"{across}1": end - 0.5}
                shapes.append(dict(type="line", line=dict(color=look.background, width=2), **ends))
            where = {along: start + (size - 1) / 2, across: 1.0, f"{across}ref": "paper"}
            anchor = dict(xanchor="left") if along == "y" else dict(yanchor="bottom")
            notes.append(dict(text=name, showarrow=False, font=dict(size=10, color=look.muted), **where, **anchor))
            start += size
    if chosen is not None:
        i, j = chosen
        frame = dict(x0=j - 0.5, x1=j + 0.5, y0=i - 0.5, y1=i + 0.5, line=dict(color=look.background, width=4.5))
        shapes += [
            dict(type="rect", **frame),
            dict(type="rect", **frame | {"line": dict(color=look.accent, width=2.5)}),
        ]
    axis = dict(showgrid=False, zeroline=False, tickfont_size=_TICK_SIZE, tickangle=0, ticklabelstandoff=1)
    # Two-letter symbols are wider than a cell: every second one on a line of its own.
    names_b = [symbol if i % 2 == 0 else f"<br>{symbol}" for i, symbol in enumerate(columns)]
    return figure.update_layout(
        template=template(dark), height=height, shapes=shapes, annotations=notes, hoverdistance=60, hovermode="closest",
        clickmode="event+select", dragmode=False, plot_bgcolor=look.background, margin=dict(l=4, r=4, t=18, b=4),
        xaxis=axis | dict(tickvals=list(range(len(columns))), ticktext=names_b, range=[-0.5, len(columns) - 0.5],
                          title_text="B site", fixedrange=True),
        yaxis=axis | dict(tickvals=list(range(len(rows))), ticktext=rows, range=[len(rows) - 0.5, -0.5],
                          title_text="A site", fixedrange=True),
    )  # fmt: skip


def _frames(cells: np.ndarray) -> tuple[list, list]:
    """One broken line around every true cell."""
    x, y = [], []
    for i, j in np.argwhere(cells).tolist():
        x += [j - 0.42, j + 0.42, j + 0.42, j - 0.42, j - 0.42, None]
        y += [i - 0.42, i - 0.42, i + 0.42, i + 0.42, i - 0.42, None]
    return x, y


def _error_bars(sd: Sequence[float] | None, look: Theme) -> dict | None:
    return None if sd is None else dict(type="data", array=list(sd), color=look.text, thickness=1.3, width=4)


def element_comparison(
    symbols: Sequence[str],
    booked: dict[str, np.ndarray],
    effect: dict[str, np.ndarray],
    limit: float,
    *,
    sd: dict[str, np.ndarray] | None = None,
    effect_name: str = "additive reference",
    dark: bool = False,
    height: int = 330,
) -> go.Figure:
    """Contributions of the same elements on A (left) and on B (right) as bars, the additive reference as diamonds.

    symbols: (E,); booked, effect, sd: {"A": (E,), "B": (E,)} eV; nan is left out
    """
    look = theme(dark)
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.025, subplot_titles=("on A", "on B"))
    for column, site in enumerate("AB", start=1):
        value, reference = np.asarray(booked[site], float), np.asarray(effect[site], float)
        spread = None if sd is None else np.asarray(sd[site], float)
        number = [signed(v) + ("" if spread is None else f" ± {spread[i]:.3f}") for i, v in enumerate(value)]
        figure.add_bar(
            x=list(symbols), y=value, row=1, col=column, name="contribution",
            marker=dict(color=contribution_colours(value, limit), line=_EDGE),
            error_y=_error_bars(spread, look),
            customdata=[[n, signed(r)] for n, r in zip(number, reference, strict=True)],
            hovertemplate=f"%{{x}} on {site}<br>contribution %{{customdata[0]}} eV<br>{effect_name} "
            "%{customdata[1]} eV<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=list(symbols), y=reference, row=1, col=column, mode="markers", name=effect_name, hoverinfo="skip",
            marker=dict(symbol="diamond-open", size=9, color=look.text, line_width=1.5),
        )  # fmt: skip
    figure.update_xaxes(showgrid=False, zeroline=False, type="category")
    figure.update_yaxes(title_text="contribution, eV per site", row=1, col=1)
    figure.update_annotations(font=dict(size=13, color=look.muted))
    return figure.update_layout(template=template(dark), height=height, margin_t=24)


def element_parity(
    symbols: Sequence[str],
    booked: dict[str, np.ndarray],
    effect: dict[str, np.ndarray],
    *,
    chosen: Sequence[str] = (),
    effect_name: str = "additive reference",
    dark: bool = False,
    height: int = 330,
) -> go.Figure:
    """Contributions of all elements against the additive reference, on A (left) and on B (right); the line is equality.

    symbols: (E,); booked, effect: {"A": (E,), "B": (E,)} eV; chosen: those with a name, in the accent colour
    """
    look = theme(dark)
    figure = make_subplots(1, 2, horizontal_spacing=0.06, subplot_titles=("on A", "on B"))
    for column, site in enumerate("AB", start=1):
        value, reference = np.asarray(booked[site], float), np.asarray(effect[site], float)
        both = np.concatenate([value, reference])
        ends = [float(np.nanmin(both)), float(np.nanmax(both))]
        figure.add_scatter(
            x=ends, y=ends, mode="lines", line=dict(color=look.zero, width=1, dash="dot"), hoverinfo="skip",
            row=1, col=column,
        )  # fmt: skip
        picked = [symbol in chosen for symbol in symbols]
        colours = [look.accent if p else look.muted for p in picked]
        figure.add_scatter(
            x=reference, y=value, mode="markers+text", row=1, col=column, textposition="top center",
            text=[symbol if p else "" for symbol, p in zip(symbols, picked, strict=True)],
            marker=dict(size=[8 if p else 5.5 for p in picked], color=colours), textfont=dict(size=12, color=look.text),
            customdata=[[s, signed(v), signed(r)] for s, v, r in zip(symbols, value, reference, strict=True)],
            hovertemplate=f"%{{customdata[0]}} on {site}<br>contribution %{{customdata[1]}} eV<br>{effect_name} "
            "%{customdata[2]} eV<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=f"{effect_name}, eV")
    figure.update_yaxes(title_text="contribution, eV per site", col=1)
    figure.update_annotations(font=dict(size=13, color=look.muted))
    return figure.update_layout(template=template(dark), height=height, margin_t=24)


def group_bars(
    groups: dict[str, Sequence[tuple[int, float, float | None]]],
    elements: dict[str, Sequence[tuple[int, str, float]]],
    limit: float,
    *,
    dark: bool = False,
    height: int = 500,
) -> go.Figure:
    """Mean contribution of every group of the periodic table, on A (above) and on B (below), on one scale.

    groups: {"A": [(group, mean, sd over the members or None)], "B": ...} eV
    elements: {"A": [(group, symbol, mean)], "B": ...}, written beside the bar of their group
    """
    look = theme(dark)
    figure = make_subplots(2, 1, shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.03)
    heights = [value for site in "AB" for _, _, value in elements[site]]
    letter = 30 * np.ptp(heights) / height if heights else 0.0  # eV that a line of text takes
    for row, site in enumerate("AB", start=1):
        names, means, spreads = zip(*groups[site], strict=True) if groups[site] else ((), (), ())
        several = bool(spreads) and None not in spreads
        number = [signed(m) + (f" ± {s:.3f}" if several else "") for m, s in zip(means, spreads, strict=True)]
        figure.add_bar(
            x=[name - 0.22 for name in names], y=list(means), width=0.36, row=row, col=1,
            customdata=list(zip(names, number, strict=True)),
            marker=dict(color=contribution_colours(means, limit), line=_EDGE),
            error_y=_error_bars(spreads if several else None, look),
            hovertemplate=f"group %{{customdata[0]}} on {site}<br>%{{customdata[1]}} eV<extra></extra>",
        )  # fmt: skip
        x, symbols, y = zip(*_in_lanes(elements[site], letter), strict=True) if elements[site] else ((), (), ())
        figure.add_scatter(
            x=x, y=y, text=symbols, row=row, col=1, mode="text", customdata=[signed(v) for v in y],
            textfont=dict(size=11, color=look.text),
            hovertemplate=f"%{{text}} on {site}<br>%{{customdata}} eV<extra></extra>",
        )  # fmt: skip
        figure.update_yaxes(title_text=f"on {site}, eV per site", dtick=2, row=row, col=1)
    figure.update_xaxes(showgrid=False, zeroline=False, tickvals=sorted({g for s in "AB" for g, _, _ in groups[s]}))
    figure.update_xaxes(title_text="group of the periodic table", row=2, col=1)
    return figure.update_layout(template=template(dark), height=height)


def _in_lanes(elements: Sequence[tuple[int, str, float]], letter: float) -> list[tuple[float, str, float]]:
    """(x, symbol, value): symbols of a group to the right of its bar, in two lanes where one would be too crowded."""
    placed, top = [], {}
    for group, symbol, value in sorted(elements, key=lambda entry: entry[2]):
        room = [value - top.get((group, lane), -np.inf) for lane in (0, 1)]
        lane = 0 if room[0] >= letter else int(np.argmax(room))
        top[group, lane] = value
        placed.append((group + 0.1 + 0.26 * lane, symbol, value))
    return placed


def energy_histogram(
    choice: np.ndarray,
    everything: np.ndarray,
    threshold: float,
    *,
    axis_title: str,
    dark: bool = False,
    height: int = 190,
) -> go.Figure:
    """How the energies of a choice lie against those of all crystals, as shares of each; eV/atom."""
    look = theme(dark)
    low, high = float(np.min(everything)), float(np.max(everything))
    edges = np.linspace(low, high, 61)
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    figure = go.Figure()
    for name, values, colour in (("all", everything, look.line), ("this choice", choice, look.accent)):
        count = np.histogram(np.asarray(values), edges)[0]
        share = 100 * count / max(1, len(values))
        figure.add_bar(
            x=middle, y=share, width=width, name=name, marker=dict(color=colour, line_width=0), customdata=count,
            opacity=1 if name == "all" else 0.75,
            hovertemplate=f"{name}: %{{customdata}} crystals, %{{y:.1f}} %<br>about %{{x:.2f}} eV/atom<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=threshold, line=dict(color=look.text, width=1.2, dash="dot"))
    return figure.update_layout(
        template=template(dark), height=height, barmode="overlay", bargap=0, showlegend=True,
        legend=dict(x=1, y=1, xanchor="right", yanchor="top", bgcolor="rgba(0,0,0,0)"),
        xaxis_title_text=literal(axis_title), yaxis_title_text="share, %",
    )  # fmt: skip
