"""A crystal without WebGL: what `scene.scene_data` describes, looked at along one direction."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go

from .style import theme

_LINES = ("addLine", "addCylinder")  # shapes with a start and an end
_FEW = 120  # drawn atoms whose symbols are still to be read
_WIDTH = 560  # px, of the place on the page; on a narrower one the discs are a little too large
_ROOM = 64  # px under the crystal, for the colour bar or the legend


def flat_scene(scene: dict, turn: str = "start", *, height: int = 480, dark: bool = False) -> go.Figure:
    """Atoms as discs, the farther ones first, behind them bonds and the edges of the cell.

    turn: one of the views of the scene, "start", "a", "b", "c"; `customdata` of an atom is its site
    """
    look, sites = theme(dark), scene["sites"]
    rotation = _rotation(scene["turns"][turn])
    site = np.array(scene["atoms"]["site"], dtype=int)
    at = np.array(scene["atoms"]["position"]).reshape(-1, 3) @ rotation.T  # (D, 3) right, up, towards the reader
    radius = np.array(sites["radius"])[site]
    lines = [shape for method, shape in scene["shapes"] if method in _LINES]
    ends = np.array([[[end[k] for k in "xyz"] for end in (line["start"], line["end"])] for line in lines])
    ends = ends.reshape(-1, 2, 3) @ rotation.T

    every = np.concatenate([at[:, :2], ends[..., :2].reshape(-1, 2)])
    low, high = every.min(0) - radius.max() - 0.1, every.max(0) + radius.max() + 0.1
    figure = go.Figure()
    alike: dict[tuple[str, float], list] = {}
    for pair, line in zip(ends, lines, strict=True):
        alike.setdefault((line["color"], line.get("radius", 0.02)), []).append(pair)
    for (colour, thick), some in alike.items():
        figure.add_trace(_strokes(some, colour, 60 * thick))
    figure.add_trace(_strokes(at[np.array(scene["bonds"], dtype=int).reshape(-1, 2)], look.zero, 3))
    order = np.argsort(at[:, 2], kind="stable")
    pixels = ((np.array([_WIDTH, height - _ROOM])) / (high - low)).min()  # an angstrom
    few = len(site) <= _FEW and scene["symbols"]
    chosen = np.isin(site, scene["highlight"])
    figure.add_trace(
        go.Scatter(
            x=at[order, 0], y=at[order, 1], customdata=site[order], mode="markers+text" if few else "markers",
            text=[sites["element"][i] for i in site[order]] if few else None,
            textfont=dict(color=[sites["ink"][i] for i in site[order]], size=12),
            hovertext=["<br>".join(html.escape(line) for line in sites["label"][i] if line) for i in site[order]],
            hovertemplate="%{hovertext}<extra></extra>",
            marker=dict(
                size=2 * radius[order] * pixels, color=[sites["colour"][i] for i in site[order]], opacity=1,
                line=dict(color=np.where(chosen[order], scene["mark"]["colour"], look.muted).tolist(),
                          width=np.where(chosen[order], 4, 1).tolist()),
            ),
            selected=dict(marker=dict(opacity=1)), unselected=dict(marker=dict(opacity=1)),
        )
    )  # fmt: skip
    hidden = dict(visible=False, fixedrange=True)
    figure.update_layout(
        height=height, showlegend=False, dragmode=False, margin=dict(l=4, r=4, t=4, b=_ROOM),
        paper_bgcolor=look.background, plot_bgcolor=look.background,
        font=dict(family="Source Sans, Source Sans Pro, sans-serif", size=13, color=look.text),
        hoverlabel=dict(bgcolor=look.panel, font_color=look.text, bordercolor=look.line, align="left"),
        xaxis=dict(range=[low[0], high[0]], scaleanchor="y", **hidden), yaxis=dict(range=[low[1], high[1]], **hidden),
    )  # fmt: skip
    if scene["bar"]:
        _explain(figure, scene["bar"], look)
    else:
        swatches = (f'<span style="color:{colour}">\N{BLACK CIRCLE}</span> {e}' for e, colour in scene["legend"])
        figure.add_annotation(
            text="    ".join(swatches), x=0.5, y=0, xref="paper", yref="paper", yshift=-30, showarrow=False
        )
    return figure


def _rotation(quaternion: list[float]) -> np.ndarray:
    """(x, y, z, w) -> (3, 3), new = rotation @ old."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _strokes(pairs, colour: str, width: float) -> go.Scatter:
    """Lines from start to end; pairs: (L, 2, 3)"""
    x, y = ([c for start, end in pairs for c in (start[k], end[k], None)] for k in (0, 1))
    return go.Scatter(x=x, y=y, mode="lines", line=dict(color=colour, width=width), hoverinfo="skip")


def _explain(figure: go.Figure, bar: dict, look) -> None:
    """The colour bar of the scene, below the crystal."""
    places = np.linspace(0, 1, len(bar["ticks"]))
    figure.add_trace(
        go.Scatter(
            x=[None], y=[None], mode="markers", hoverinfo="skip",
            marker=dict(
                color=[0], cmin=0, cmax=1, showscale=True, colorscale=[list(stop) for stop in bar["stops"]],
                colorbar=dict(
                    orientation="h", thickness=9, len=0.6, x=0.5, y=0, yanchor="top", outlinewidth=0,
                    tickvals=places.tolist(), ticktext=bar["ticks"], tickfont_color=look.text,
                    title=dict(text=html.escape(bar["title"]), side="bottom", font=dict(size=13, color=look.muted)),
                ),
            ),
        )
    )  # fmt: skip
