"""Elements of a data set: ranked, and the distribution of one of them by its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from .style import contribution_colours, literal, signed, template, theme

_ROW = 38  # px, of a distribution
_ONE_ROW = 60  # symbols of elements below a ranking
_EDGE = "rgba(123, 133, 139, 0.55)"  # of bars


def ranking(
    symbols: Sequence[str],
    values: np.ndarray,
    limit: float,
    *,
    sd: np.ndarray | None = None,
    reference: np.ndarray | None = None,
    reference_name: str = "additive fit",
    axis_title: str = "contribution, eV",
    dark: bool = False,
    height: int = 250,
) -> go.Figure:
    """Mean contribution of every element as bars, in the order given; a click reports the symbol as `customdata`.

    values: (E,); sd: (E,) spread over the members of an ensemble, drawn as error bars
    reference: (E,) what a plain model says, drawn as diamonds, nan for what it does not know
    """
    look = theme(dark)
    values = np.asarray(values, dtype=float)
    places = list(range(len(symbols)))
    text = [f"<b>{e}</b> {signed(v)} eV" for e, v in zip(symbols, values, strict=True)]
    if sd is not None:
        text = [f"{line} ± {e:.3f}" for line, e in zip(text, sd, strict=True)]
    if reference is not None:
        text = [
            line if np.isnan(r) else f"{line}<br>{reference_name} {signed(r)} eV"
            for line, r in zip(text, reference, strict=True)
        ]
    names = list(symbols)
    if len(names) > _ONE_ROW:  # every other one a line lower
        names[1::2] = [f"<br>{name}" for name in names[1::2]]
    figure = go.Figure(
        go.Bar(
            x=places, y=values, customdata=list(symbols), hovertext=text, hovertemplate="%{hovertext}<extra></extra>",
            marker=dict(color=contribution_colours(values, limit), line=dict(width=1, color=_EDGE)),
            error_y=None if sd is None else dict(type="data", array=np.asarray(sd), color=look.text, thickness=1.2,
                                                 width=3 if len(symbols) < 70 else 2),
            selected_marker_opacity=1, unselected_marker_opacity=1, name="network",
        )
    )  # fmt: skip
    if reference is not None:
        figure.add_scatter(
            x=places, y=reference, mode="markers", name=reference_name, hoverinfo="skip",
            marker=dict(symbol="diamond-open", size=7, color=look.text, line_width=1.4),
            selected_marker_opacity=1, unselected_marker_opacity=1,
        )  # fmt: skip
    return figure.update_layout(
        template=template(dark), height=height, bargap=0.22, clickmode="event+select", dragmode=False,
        margin=dict(l=4, r=4, t=8, b=4),
        xaxis=dict(tickvals=places, ticktext=names, showgrid=False, zeroline=False, fixedrange=True,
                   tickangle=0, tickfont_size=11 if len(symbols) <= _ONE_ROW else 10, range=[-0.7, len(symbols) - 0.3]),
        yaxis=dict(title_text=literal(axis_title), fixedrange=True),
    )  # fmt: skip


@dataclass(frozen=True)
class Distribution:
    """Contributions of a group of sites, eV.

    label; n: sites; mean; sd: of the mean over the members, None for one; low, high: quartiles
    first_bin, histogram: numbers of sites in bins of equal width, the first from first_bin times that width
    """

    label: str
    n: int
    mean: float
    sd: float | None
    low: float
    high: float
    first_bin: int
    histogram: Sequence[int]


def distributions(
    groups: Sequence[Distribution],
    width: float,
    limit: float,
    *,
    span: tuple[float, float],
    axis_title: str = "contribution, eV",
    dark: bool = False,
    rows: int | None = None,
) -> go.Figure:
    """Histograms above each other, with the middle half as a line, and the mean with its error bar as a point.

    width: of the bins, eV; span: of the axis, eV; rows: space for at least so many groups, so that figures align
    """
    look = theme(dark)
    figure = go.Figure()
    x, height, base, text, colour = [], [], [], [], []
    for row, group in enumerate(groups):
        counts = np.asarray(group.histogram, dtype=float)
        middle = width * (group.first_bin + np.arange(len(counts)) + 0.5)
        seen = counts > 0
        x += middle[seen].tolist()
        height += (0.74 * counts / counts.max())[seen].tolist()
        base += [-row] * int(seen.sum())
        colour += contribution_colours(middle[seen], limit)
        for n, m in zip(counts[seen], middle[seen], strict=True):
            bin_ = f"{signed(m - width / 2, 2)} to {signed(m + width / 2, 2)} eV"
            text.append(f"{group.label}: {n:,.0f} of {group.n:,} sites<br>{bin_}")
    figure.add_bar(
        x=x, y=height, base=base, width=width, marker=dict(color=colour, line_width=0), hovertext=text,
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    below = [-row - 0.09 for row in range(len(groups))]
    for y, group in zip(below, groups, strict=True):
        figure.add_scatter(
            x=[group.low, group.high], y=[y, y], mode="lines", line=dict(color=look.muted, width=3), hoverinfo="skip"
        )
    sd = [group.sd for group in groups]
    spread = ["" if s is None else f" ± {s:.3f}" for s in sd]
    figure.add_scatter(
        x=[group.mean for group in groups], y=below, mode="markers",
        marker=dict(color=look.text, size=7, line=dict(color=look.background, width=1)),
        error_x=None if None in sd else dict(type="data", array=sd, color=look.text, thickness=1.4, width=4),
        hovertext=[f"{g.label}: mean {signed(g.mean)}{s} eV<br>middle half {signed(g.low, 2)} to {signed(g.high, 2)} eV"
                   for g, s in zip(groups, spread, strict=True)],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    rows = max(rows or 0, len(groups), 2)  # one alone leaves no room for the axis
    labels = [f"{g.label} <span style='color:{look.muted}'>{g.n:,}</span>" for g in groups]
    return figure.update_layout(
        template=template(dark), height=46 + _ROW * rows, bargap=0, barmode="overlay", hovermode="closest",
        margin=dict(l=4, r=8, t=4, b=4),
        xaxis=dict(title_text=literal(axis_title), range=list(span), fixedrange=True),
        yaxis=dict(tickvals=[-r + 0.2 for r in range(len(groups))], ticktext=labels, showgrid=False, zeroline=False,
                   range=[-rows + 0.62, 0.88], fixedrange=True),
    )  # fmt: skip
