"""Gates of the neighbours of one site, convolution by convolution."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from .style import element_colour, template, theme


def gate_lines(
    openings: Mapping[str, tuple[str, np.ndarray, np.ndarray | None]], *, dark: bool = False, height: int = 190
) -> go.Figure:
    """One line a kind of neighbour over the convolutions, with error bars.

    openings: name -> element, opening (R,) from 0 to 1, its sd (R,) or None; points in the colour of the element
    """
    look = theme(dark)
    figure = go.Figure()
    ends = []
    for i, (name, (element, opening, sd)) in enumerate(openings.items()):
        rounds = np.arange(1, len(opening) + 1) + 0.03 * (i - (len(openings) - 1) / 2)
        error = None if sd is None else dict(type="data", array=sd, color=look.muted, thickness=1, width=3)
        figure.add_scatter(
            x=rounds, y=opening, error_y=error, mode="lines+markers", name=name,
            line=dict(color=look.muted, width=1.4),
            marker=dict(color=element_colour(element), size=9, line=dict(color=look.muted, width=1)),
            hovertemplate=f"{name}<br>gate %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
        ends += [opening - (0 if sd is None else sd), opening + (0 if sd is None else sd)]
    _name_lines(figure, [(name, opening[-1]) for name, (_, opening, _) in openings.items()])
    many = max((len(opening) for _, opening, _ in openings.values()), default=1)
    low, high = (min(map(np.min, ends)), max(map(np.max, ends))) if ends else (0.0, 1.0)
    room = 0.1 * max(high - low, 0.02)
    return figure.update_layout(
        template=template(dark), height=height, dragmode=False, hovermode="closest",
        xaxis=dict(title_text="convolution", tickvals=list(range(1, many + 1)), range=[0.85, many + 0.1],
                   domain=[0, 0.76], zeroline=False, fixedrange=True),
        yaxis=dict(title_text="gate", range=[low - room, high + room], zeroline=False, fixedrange=True),
    )  # fmt: skip


def _name_lines(figure: go.Figure, ends: list[tuple[str, float]]) -> None:
    """Names at the right edge, next to where the lines end but never over each other."""
    if not ends:
        return
    place, apart = -1.0, 0.17
    values = [value for _, value in ends]
    low, span = min(values), max(max(values) - min(values), 1e-9)
    for name, value in sorted(ends, key=lambda end: end[1]):
        place = max(0.25 + 0.5 * (value - low) / span, place + apart)
        figure.add_annotation(
            x=0.78, xref="paper", y=place, yref="paper", text=name, showarrow=False, xanchor="left", font_size=12
        )  # fmt: skip
