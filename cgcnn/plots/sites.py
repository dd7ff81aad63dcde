"""Contribution of every distinct site of one crystal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from .style import SELECTED, contribution_colours, literal, signed, template, theme

FIGURE_HEIGHT = 190  # px, of every figure in a row
_MOST_ROWS = 7  # distinct sites that still fit as horizontal bars


def site_bars(
    labels: Sequence[str],
    values: np.ndarray,
    limit: float,
    *,
    sd: np.ndarray | None = None,
    spread: Sequence[np.ndarray] | None = None,
    axis_title: str = "contribution, eV",
    unit: str = "eV",
    chosen: Sequence[int] = (),
    dark: bool = False,
    height: int = FIGURE_HEIGHT,
) -> go.Figure:
    """Contribution of every distinct site as bars in the colours of the scale.

    labels: (O,) one per distinct site; values: (O,) mean over its equivalent sites
    sd: (O,) spread over the members of an ensemble, drawn as error bars
    spread: O arrays of the equivalent sites' own values, drawn as ticks where they differ visibly
    chosen: places of the bars to point out, all others pale; none or all of them: no difference is made
    limit: end of the colour scale; the axis is at least that long, so that two crystals compare
    """
    values = np.asarray(values, dtype=float)
    look = theme(dark)
    unit, axis_title = literal(unit), literal(axis_title)
    upright = len(values) > _MOST_ROWS
    error = None if sd is None else dict(type="data", array=np.asarray(sd), color=look.text, thickness=1.2, width=4)
    ends = np.abs(values) + (0 if sd is None else np.asarray(sd))
    reach = 1.08 * max([limit, *ends[np.isfinite(ends)]])
    number = [signed(v) for v in values]
    if sd is not None:
        number = [f"{text} ± {e:.3f}" for text, e in zip(number, sd, strict=True)]
    places = list(range(len(values)))
    across, along = (places, values) if upright else (values, places)
    told_apart = 0 < len(set(chosen)) < len(values)
    stands_out = [told_apart and place in chosen for place in places]
    line = dict(
        width=[2.5 if out else 1 for out in stands_out],
        color=[SELECTED if out else "rgba(123, 133, 139, 0.55)" for out in stands_out],
    )
    traces = [
        dict(
            type="bar", x=across, y=along, orientation="v" if upright else "h",
            marker=dict(
                color=contribution_colours(values, limit), line=line,
                opacity=[0.35 if told_apart and not out else 1 for out in stands_out],
            ),
            customdata=list(zip(labels, number, strict=True)),
            hovertemplate=f"%{{customdata[0]}}<br>%{{customdata[1]}} {unit}<extra></extra>",
            **{("error_y" if upright else "error_x"): error},
        )
    ]  # fmt: skip
    tick = dict(symbol=f"line-{'ew' if upright else 'ns'}-open", size=9, color=look.text, line=dict(width=1.2))
    for place, own in zip(places, spread or [], strict=False):
        own = np.asarray(own, dtype=float)
        if len(own) > 1 and np.ptp(own) > 0.002 * limit:
            there = [place] * len(own)
            x, y = (there, own) if upright else (own, there)
            traces.append(dict(type="scatter", x=x, y=y, mode="markers", hoverinfo="skip", marker=tick))
    ticks = [-limit, -limit / 2, 0, limit / 2, limit]
    value_axis = dict(
        range=[-reach, reach], title=dict(text=axis_title), tickvals=ticks,
        ticktext=[signed(tick, 2) for tick in ticks],
    )  # fmt: skip
    site_axis = dict(tickvals=places, ticktext=list(labels), showgrid=False, zeroline=False)
    beside = []
    if upright:
        many = len(values) > 40  # names no longer fit; the hover label has them
        axes = dict(yaxis=value_axis, xaxis=site_axis | dict(tickangle=-60, showticklabels=not many))
    else:
        room = dict(domain=[0, 0.84 if sd is None else 0.76])
        axes = dict(xaxis=value_axis | room, yaxis=site_axis | dict(autorange="reversed"))
        right = dict(x=1, xref="paper", xanchor="right", showarrow=False, font=dict(color=look.text))
        beside = [right | dict(y=place, text=text) for place, text in zip(places, number, strict=True)]
    return go.Figure(traces, dict(template=template(dark), height=height, annotations=beside, **axes))
