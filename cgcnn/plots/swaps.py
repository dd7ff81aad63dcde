"""What a swapped atom does to the energy: a periodic table of the changes, and what of them is booked elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ..periodic import place
from .periodic_table import periodic_table
from .style import contribution_colours, literal, template, theme


def swap_table(
    change: Mapping[str, float],
    limit: float,
    *,
    present: str,
    doubtful: Sequence[str] = (),
    hover: Mapping[str, str] | None = None,
    title: str = "change of the cell, eV",
    dark: bool = False,
) -> go.Figure:
    """Periodic table of energy changes, blue where the swap stabilises; a click reports the symbol as `customdata`.

    change: element -> eV; nan where there is none, drawn pale
    present: the element that is there now, with a frame; doubtful: elements with a small circle, not trained on there
    """
    values = {element: value for element, value in change.items() if not np.isnan(value)}
    marked = [element for element in doubtful if element in values]
    rows = [place(element)[1] for element in marked]
    circles = dict(
        type="scatter", x=[place(element)[0] + 0.33 for element in marked],
        y=[-row - (0.3 if row > 7 else 0) + 0.3 for row in rows],  # the corner that symbol and number leave free
        mode="markers", hoverinfo="skip",
        marker=dict(symbol="circle-open", size=7, color=theme(dark).text, line=dict(width=1.6)),
        selected=dict(marker=dict(opacity=1)), unselected=dict(marker=dict(opacity=1)),
    )  # fmt: skip
    return periodic_table(
        {present: 0.0, **values}, limit, title=title, hover=hover, absent="not known to the model", selected=present,
        more=[circles] if marked else (), dark=dark,
    )  # fmt: skip


def booked_elsewhere(
    elements: Sequence[str],
    change: np.ndarray,
    booked: np.ndarray,
    limit: float,
    *,
    unit: str = "eV",
    dark: bool = False,
    height: int = 330,
) -> go.Figure:
    """Every candidate as a point: the change of the cell, and the part of it that is not booked on the swapped sites.

    elements: (K,); change, booked: (K,) eV, nan left out; on the zero line all of the change is booked on the atom
    """
    look, unit = theme(dark), literal(unit)
    known = ~(np.isnan(change) | np.isnan(booked))
    elements = [element for element, there in zip(elements, known, strict=True) if there]
    change, rest = change[known], (change - booked)[known]
    # Both axes have the same scale as far as it goes, so that a small rest looks small.
    room = 0.08 * max(np.ptp(np.append(change, 0)), 0.1)
    across = [min(change.min(initial=0), 0) - room, max(change.max(initial=0), 0) + 1.6 * room]
    reach = max(1.15 * np.abs(rest).max(initial=0), 0.3 * (across[1] - across[0]))
    named = _with_room(change / (across[1] - across[0]), rest / (2 * reach))
    points = dict(
        type="scatter", x=change, y=rest, mode="markers+text", textposition="middle right", textfont=dict(size=11),
        text=[element if there else "" for element, there in zip(elements, named, strict=True)],
        marker=dict(size=7, color=contribution_colours(change, limit), line=dict(width=0.8, color=look.zero)),
        customdata=list(zip(elements, booked[known], strict=True)),
        hovertemplate="<b>%{customdata[0]}</b><br>change %{x:+.3f} eV, of which<br>%{customdata[1]:+.3f} on the "
        "swapped<br>%{y:+.3f} elsewhere<extra></extra>",
    )  # fmt: skip
    layout = dict(
        template=template(dark), height=height, hovermode="closest", dragmode=False,
        xaxis=dict(title=dict(text=f"change of the cell, {unit}"), range=across, fixedrange=True),
        yaxis=dict(title=dict(text=f"booked on other atoms, {unit}"), range=[-reach, reach], fixedrange=True),
    )  # fmt: skip
    return go.Figure([points], layout)


def _with_room(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points can have their name beside them without touching other names or points, (K,) bool.

    x, y: (K,) in shares of the picture; those far from the zero line choose first
    """
    named = np.zeros(len(x), dtype=bool)
    for k in np.argsort(-np.abs(y)):
        right, above = x - x[k], np.abs(y - y[k])
        covers_point = (right > 0) & (right < 0.1) & (above < 0.03)
        meets_name = named & (np.abs(right) < 0.11) & (above < 0.05)
        under_name = named & (right < 0) & (right > -0.1) & (above < 0.03)
        named[k] = not (covers_point | meets_name | under_name).any()
    return named
