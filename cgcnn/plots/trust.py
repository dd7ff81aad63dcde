"""How far contributions can be trusted: booked against true, the trade-off with accuracy, the substitution curve."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .accuracy import CARD_HEIGHT
from .style import literal, template, theme

Pair = tuple[float, float]  # r, slope


def booked_against_true(
    names: Sequence[str], values: Sequence[Pair], without: Sequence[Pair | None], best: Sequence[Pair | None],
    plain: Sequence[Pair | None], *, dark: bool = False, height: int = CARD_HEIGHT,
) -> go.Figure:  # fmt: skip
    """Share of a true effect that is booked on the atom (slope), and correlation (r), one row a kind of effect.

    values: this model; without: trained without a loss on contributions; best: what any split of the true energies
    can have; plain: a least-squares fit to the compositions
    """
    look = theme(dark)
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    rows = list(range(len(names)))
    kinds = (
        ("best possible", best, dict(symbol="line-ns-open", size=16, color=look.text, line_width=2)),
        ("least-squares fit", plain, dict(symbol="diamond-open", size=9, color=look.muted, line_width=1.6)),
        ("without the loss", without, dict(symbol="circle-open", size=9, color=look.muted, line_width=1.6)),
        ("this model", values, dict(symbol="circle", size=11, color=look.accent)),
    )
    for column, (which, title) in enumerate(((1, "share booked (slope)"), (0, "correlation (r)")), start=1):
        for row, value, other in zip(rows, values, without, strict=True):
            if other is not None:
                figure.add_shape(
                    type="line", x0=other[which], x1=value[which], y0=row, y1=row, line=dict(color=look.line, width=3),
                    layer="below", row=1, col=column,
                )  # fmt: skip
        figure.add_vline(x=1, line=dict(color=look.zero, width=1.6), row=1, col=column, exclude_empty_subplots=False)
        for name, pairs, marker in kinds:
            known = [(row, pair[which]) for row, pair in zip(rows, pairs, strict=True) if pair is not None]
            if known:
                figure.add_scatter(
                    x=[v for _, v in known], y=[row for row, _ in known], mode="markers", marker=marker, name=name,
                    customdata=[names[row] for row, _ in known], showlegend=column == 1, legendgroup=name,
                    hovertemplate=f"%{{customdata}}<br>{name}: %{{x:.3f}}<extra></extra>", row=1, col=column,
                )  # fmt: skip
        ends = [pair[which] for pairs in (values, without, best, plain) for pair in pairs if pair is not None]
        low = min(0.0, *ends) - 0.03
        figure.update_xaxes(
            title_text=title, range=[low, max(1.05, *ends) + 0.02], zeroline=False, nticks=6, row=1, col=column
        )
    figure.update_yaxes(
        tickvals=rows, ticktext=list(names), range=[len(names) - 0.5, -0.5], zeroline=False, showgrid=False
    )
    return figure.update_layout(
        template=template(dark), height=height, margin=dict(l=4, r=8, t=30, b=4), showlegend=True,
        legend=dict(orientation="h", x=0, y=1.02, yanchor="bottom", traceorder="reversed", bgcolor="rgba(0,0,0,0)"),
    )  # fmt: skip


def tradeoff_plot(
    mae: Sequence[float], booked: Sequence[float], shipped: Sequence[bool], labels: Sequence[str],
    names: Sequence[str], notes: Sequence[str], unit: str, *, dark: bool = False, height: int = CARD_HEIGHT,
) -> go.Figure:  # fmt: skip
    """Accuracy against faithfulness, one point a training; both are errors, so low and left is better.

    labels: short, beside the points; names, notes: for the pointer
    """
    look, unit = theme(dark), literal(unit)
    labels, names, notes = ([literal(text) for text in texts] for texts in (labels, names, notes))
    text = [f"<b>{label}</b>" if s else label for label, s in zip(labels, shipped, strict=True)]
    middle = (min(mae) + max(mae)) / 2
    place = ["top center" if s else f"middle {'right' if m <= middle else 'left'}"
             for m, s in zip(mae, shipped, strict=True)]  # fmt: skip
    figure = go.Figure(
        go.Scatter(
            x=list(mae), y=list(booked), mode="markers+text", text=[f" {t} " for t in text], textposition=place,
            textfont_size=12, customdata=list(zip(names, notes, strict=True)), cliponaxis=False,
            marker=dict(size=[13 if s else 9 for s in shipped], line_width=1.5,
                        symbol=["circle" if s else "circle-open" for s in shipped],
                        color=[look.accent if s else look.muted for s in shipped]),
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>MAE %{x:.4f} " + unit
            + "<br>booked wrongly %{y:.3f} eV<extra></extra>",
        )
    )  # fmt: skip
    pad = 0.3 * (max(mae) - min(mae)) or 0.1 * max(mae)
    return figure.update_layout(
        template=template(dark), height=height, margin=dict(l=4, r=8, t=8, b=4),
        xaxis=dict(title_text=f"MAE on val, {unit}", zeroline=False, nticks=5,
                   range=[min(mae) - pad, max(mae) + pad]),
        yaxis=dict(title_text="booked wrongly, eV", title_standoff=14, range=[0, 1.15 * max(booked)]),
    )  # fmt: skip


def substitution_plot(
    replaced: Sequence[float], ranked: Sequence[float], random: Sequence[float],
    *, dark: bool = False, height: int = CARD_HEIGHT,
) -> go.Figure:  # fmt: skip
    """What is left of the way to the energy of average atoms when atoms are replaced by rank, and at random."""
    look = theme(dark)
    figure = go.Figure()
    for name, values, colour, dash in (
        ("at random", random, look.muted, "dash"),
        ("largest contribution first", ranked, look.accent, "solid"),
    ):
        figure.add_scatter(
            x=list(replaced), y=list(values), mode="lines", name=name, line=dict(color=colour, dash=dash, width=2),
            hovertemplate=f"{name}<br>%{{x:.0%}} replaced, %{{y:.2f}} left<extra></extra>",
        )  # fmt: skip
    return figure.update_layout(
        template=template(dark), height=height, margin=dict(l=4, r=8, t=8, b=4), showlegend=True,
        legend=dict(x=0.02, y=0.02, xanchor="left", yanchor="bottom", traceorder="reversed", bgcolor="rgba(0,0,0,0)"),
        xaxis=dict(title_text="share of the atoms replaced", tickformat=".0%", zeroline=False, range=[0, 1]),
        yaxis=dict(title_text="energy left", title_standoff=14, rangemode="tozero", nticks=6),
    )  # fmt: skip
