"""How accurate a model is: parity map, learning curves, error bars against errors, errors of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from .style import literal, template, theme

CARD_HEIGHT = 300  # px, of every figure in a row
_MARGIN = dict(l=4, r=8, t=8, b=4)


def parity_map(parity: dict, unit: str, *, dark: bool = False, height: int = CARD_HEIGHT) -> go.Figure:
    """How many crystals have which target and which prediction, on a logarithmic scale of colours.

    parity: "low", "high", "bins", and of the filled squares "target", "predicted" (column, row) and "crystals"
    """
    look, unit = theme(dark), literal(unit)
    bins, low, high = parity["bins"], parity["low"], parity["high"]
    count = np.zeros((bins, bins))
    count[parity["predicted"], parity["target"]] = parity["crystals"]
    centre = low + (np.arange(bins) + 0.5) * (high - low) / bins
    scale = [[0, look.line], [0.45, look.accent], [1, look.text]]
    ticks = [t for t in (1, 10, 100, 1000, 10_000) if t <= count.max()]
    figure = go.Figure(
        go.Heatmap(
            x=centre, y=centre, z=np.where(count > 0, np.log10(np.maximum(count, 1)), np.nan), colorscale=scale,
            customdata=count, hoverongaps=False, zmin=0,
            hovertemplate="DFT %{x:.2f}, predicted %{y:.2f}<br>%{customdata:.0f} crystals<extra></extra>",
            colorbar=dict(title=dict(text="crystals", side="right", font_size=12), thickness=9, len=0.9, outlinewidth=0,
                          tickvals=[np.log10(t) for t in ticks], ticktext=[f"{t:,}" for t in ticks], x=1.01),
        )
    )  # fmt: skip
    figure.add_shape(type="line", x0=low, y0=low, x1=high, y1=high, line=dict(color=look.zero, width=1, dash="dot"))
    axis = dict(range=[low, high], zeroline=False, nticks=6)
    return figure.update_layout(
        template=template(dark), height=height, margin=_MARGIN,
        xaxis=axis | dict(title_text=f"DFT, {unit}"), yaxis=axis | dict(title_text=f"predicted, {unit}"),
    )  # fmt: skip


def learning_curves(
    curves: Sequence[Sequence[float]], unit: str, *, dark: bool = False, height: int = CARD_HEIGHT
) -> go.Figure:
    """Validation MAE after every epoch, one line a network; logarithmic."""
    look, unit = theme(dark), literal(unit)
    figure = go.Figure()
    dashes = ("solid", "dash", "dot", "dashdot", "longdash")
    for i, curve in enumerate(curves):
        figure.add_scatter(
            x=list(range(1, len(curve) + 1)), y=list(curve), mode="lines", name=f"network {i + 1}",
            line=dict(color=look.accent if i == 0 else look.muted, width=1.6, dash=dashes[i % len(dashes)]),
            hovertemplate=f"network {i + 1}, epoch %{{x}}<br>MAE %{{y:.4f}} {unit}<extra></extra>",
        )  # fmt: skip
    values = np.concatenate([np.asarray(c, dtype=float) for c in curves])
    ticks = [t for t in (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5) if values.min() / 1.3 < t < values.max()]
    return figure.update_layout(
        template=template(dark), height=height, margin=_MARGIN, showlegend=len(curves) > 1,
        legend=dict(x=1, y=1, xanchor="right", yanchor="top", bgcolor="rgba(0,0,0,0)"),
        xaxis=dict(title_text="epoch", zeroline=False, rangemode="tozero"),
        yaxis=dict(type="log", title_text=f"MAE on val, {unit}", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks]),
    )  # fmt: skip


def calibration_plot(
    sd: Sequence[float], error: Sequence[float], unit: str, *, dark: bool = False, height: int = CARD_HEIGHT
) -> go.Figure:
    """Error bars against errors, each point a tenth of the crystals by their error bar.

    sd: (B,) mean error bar; error: (B,) absolute error that 68 % of them stay below; equal would be perfect
    """
    look, unit = theme(dark), literal(unit)
    ends = [0.8 * min(*sd, *error), 1.25 * max(*sd, *error)]
    ticks = [t for t in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2) if ends[0] <= t <= ends[1]]
    figure = go.Figure(
        go.Scatter(
            x=list(sd), y=list(error), mode="lines+markers", line=dict(color=look.accent, width=1),
            marker=dict(size=8, color=look.accent),
            hovertemplate=f"error bar %{{x:.4f}} {unit}<br>68 % of the errors below %{{y:.4f}} {unit}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_shape(
        type="line", x0=ends[0], y0=ends[0], x1=ends[1], y1=ends[1], line=dict(color=look.zero, width=1, dash="dot")
    )
    axis = dict(type="log", range=np.log10(ends).tolist(), tickvals=ticks, ticktext=[f"{t:g}" for t in ticks])
    return figure.update_layout(
        template=template(dark), height=height, margin=_MARGIN,
        xaxis=axis | dict(title_text=f"error bar (1 sd), {unit}"),
        yaxis=axis | dict(title_text=f"error of 68 %, {unit}"),
    )  # fmt: skip


def compared_errors(
    names: Sequence[str], values: Sequence[float], ours: Sequence[bool], chosen: Sequence[bool], unit: str,
    *, dark: bool = False, height: int = CARD_HEIGHT,
) -> go.Figure:  # fmt: skip
    """Mean absolute errors of several models as dots on one logarithmic line each; ours filled."""
    look, unit = theme(dark), literal(unit)
    colours = [look.accent if own else look.muted for own in ours]
    names = [literal(name) for name in names]
    rows = list(range(len(names)))
    low = min(values) / 1.25
    figure = go.Figure()
    for row, value, colour in zip(rows, values, colours, strict=True):
        figure.add_shape(type="line", x0=low, x1=value, y0=row, y1=row, line=dict(color=colour, width=1.2))
    figure.add_scatter(
        x=list(values), y=rows, mode="markers+text", text=[f"{v:.3f}" for v in values], textposition="middle right",
        marker=dict(size=[12 if c else 9 for c in chosen], color=colours,
                    symbol=["circle" if own else "circle-open" for own in ours], line_width=1.5),
        customdata=list(names), hovertemplate="%{customdata}<br>MAE %{x:.4f} " + unit + "<extra></extra>",
        cliponaxis=False,
    )  # fmt: skip
    ticks = [t for t in (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1) if low < t < 1.3 * max(values)]
    labels = [f"<b>{name}</b>" if c else name for name, c in zip(names, chosen, strict=True)]
    return figure.update_layout(
        template=template(dark), height=height, margin=_MARGIN | dict(r=44),
        xaxis=dict(type="log", range=[np.log10(low), np.log10(1.1 * max(values))], tickvals=ticks,
                   ticktext=[f"{t:g}" for t in ticks], title_text=f"MAE, {unit}"),
        yaxis=dict(tickvals=rows, ticktext=labels, autorange="reversed", showgrid=False, zeroline=False),
    )  # fmt: skip
