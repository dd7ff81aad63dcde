"""Contributions of one crystal by several pooling heads, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from .style import literal, signed, template, theme

_MOST_ROWS = 12  # distinct sites that still get a row each
_ROW, _HEAD_AND_FOOT = 46, 62  # px


def head_colours(dark: bool) -> dict[str, str]:
    """One colour a head, none of them on the scale of contributions."""
    return {"linear": theme(dark).accent, "gated": "#a48bd0" if dark else "#7a5bb0", "mean": "#9a8a5c"}


def head_bars(
    labels: Sequence[str],
    values: Mapping[str, np.ndarray],
    sd: Mapping[str, np.ndarray | None],
    limit: float,
    *,
    axis_title: str = "contribution, eV",
    unit: str = "eV",
    dark: bool = False,
) -> go.Figure:
    """One bar a head for every distinct site, with error bars.

    labels: (O,); values, sd: head -> (O,) relative contributions and their spread over the members, eV
    limit: the axis is at least that long on both sides, so that two crystals compare
    """
    look, colours = theme(dark), head_colours(dark)
    unit, axis_title = literal(unit), literal(axis_title)
    upright = len(labels) > _MOST_ROWS
    places = np.arange(len(labels))
    width = 0.74 / len(values)
    figure = go.Figure()
    reach = limit
    for i, (head, value) in enumerate(values.items()):
        spread = sd.get(head)
        value = np.asarray(value, dtype=float)
        reach = max(reach, float((np.abs(value) + (0 if spread is None else spread)).max(initial=0)))
        error = None if spread is None else dict(type="data", array=spread, color=look.text, thickness=1.1, width=3)
        number = [signed(v) for v in value]
        if spread is not None:
            number = [f"{text} ± {e:.3f}" for text, e in zip(number, spread, strict=True)]
        at = places + (i - (len(values) - 1) / 2) * width
        x, y = (at, value) if upright else (value, at)
        figure.add_bar(
            x=x, y=y, width=0.9 * width, orientation="v" if upright else "h", name=head,
            marker=dict(color=colours.get(head, look.muted), line_width=0),
            customdata=list(zip(labels, number, strict=True)),
            hovertemplate=f"%{{customdata[0]}}, {head}<br>%{{customdata[1]}} {unit}<extra></extra>",
            **{("error_y" if upright else "error_x"): error},
        )  # fmt: skip
        for place, text in zip(at, number, strict=True):
            if not upright:
                figure.add_annotation(
                    x=1, xref="paper", y=place, text=text, showarrow=False, xanchor="right",
                    font=dict(color=look.text, size=12),
                )  # fmt: skip
    reach *= 1.08
    ticks = [-limit, -limit / 2, 0, limit / 2, limit]
    value_axis = dict(
        range=[-reach, reach], title_text=axis_title, tickvals=ticks, ticktext=[signed(tick, 2) for tick in ticks],
        fixedrange=True,
    )  # fmt: skip
    site_axis = dict(
        tickvals=places, ticktext=list(labels), showgrid=False, zeroline=False, fixedrange=True,
        range=[-0.6, len(labels) - 0.4],
    )  # fmt: skip
    if upright:
        height = 340
        many = len(labels) > 40  # names no longer fit; the hover label has them
        figure.update_layout(yaxis=value_axis, xaxis=site_axis | dict(tickangle=-60, showticklabels=not many))
    else:
        height = _HEAD_AND_FOOT + _ROW * len(labels)
        site_axis["range"] = site_axis["range"][::-1]
        numbers = 0.86 if all(spread is None for spread in sd.values()) else 0.8
        figure.update_layout(xaxis=value_axis, yaxis=site_axis, xaxis_domain=[0, numbers])
    return figure.update_layout(
        template=template(dark), height=height, barmode="overlay", showlegend=True, dragmode=False,
        legend=dict(orientation="h", x=0, y=1, yanchor="bottom", xanchor="left", itemclick=False, traceorder="normal"),
        margin=dict(t=30),
    )  # fmt: skip
