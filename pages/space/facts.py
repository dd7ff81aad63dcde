"""One crystal of the space in a few lines, and the way to its 3D scene."""

from __future__ import annotations

import html
import re

import numpy as np
import streamlit as st

from cgcnn.perovskite.lattice import ANION_SETS
from cgcnn.perovskite.tolerance import goldschmidt
from cgcnn.plots import signed, site_bars
from pages.common import is_dark, open_perovskite
from pages.space.data import Space

STYLE = """<style>
.sp-head { line-height: 1.35; } .sp-head b { font-size: 1.45rem; font-weight: 600; }
.sp-head sub { font-size: .68em; } .sp-quiet { opacity: .72; }
.sp-facts { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
.sp-facts td { padding: .16rem 0; border: 0; border-bottom: 1px solid rgba(123,133,139,.25); }
.sp-facts td:last-child { text-align: right; white-space: nowrap; }
</style>"""


def subscripts(formula: str) -> str:
    return re.sub(r"(\d+)", r"<sub>\1</sub>", html.escape(formula))


def plus_minus(value: float, sd: float | None, digits: int = 3) -> str:
    return signed(value, digits) + ("" if sd is None else f" ± {sd:.{digits}f}")


def crystal_facts(space: Space, row: dict, key: str) -> None:
    """row: of `with_labels`."""
    unit = html.escape(space.card.target.unit)
    found = goldschmidt(row["a"], row["b"], ANION_SETS[row["x"]])
    lines = []
    if space.labels:
        told = "none" if row["target"] is None else signed(row["target"])
        lines.append(("DFT" + (", trained on" if row["trained"] else ""), told))
        if row["target"] is not None:
            lines.append(("model \N{MINUS SIGN} DFT", signed(row["energy"] - row["target"])))
    if found.charge_a is None:
        charges = "no common charges balance"
    else:
        charges = " ".join(
            f"{row[site]}<sup>{charge if charge > 1 else ''}+</sup>"
            for site, charge in (("a", found.charge_a), ("b", found.charge_b))
        )
        charges += "" if found.neutral else " (rare)"
    lines += [
        ("charges", charges),
        ("tolerance factor", "not known" if found.tolerance is None else f"{found.tolerance:.3f}"),
        ("octahedral factor", "not known" if found.octahedral is None else f"{found.octahedral:.3f}"),
        ("lattice parameter, built", f"{row['edge']:.3f} Å"),
    ]
    table = "".join(f"<tr><td class='sp-quiet'>{name}</td><td>{value}</td></tr>" for name, value in lines)
    st.html(
        f"{STYLE}<div class='sp-head'><b>{subscripts(row['formula'])}</b><br>"
        f"{plus_minus(row['energy'], row['sd'])} {unit}</div>"
    )
    anions = row["x"] if len(set(ANION_SETS[row["x"]])) == 1 else "X"
    sd = None if row["sd_a"] is None else np.array([row["sd_a"], row["sd_b"], row["sd_x"]])
    figure = site_bars(
        [f"{row['a']} (A)", f"{row['b']} (B)", anions if anions != "X" else f"{row['x']} (X)"],
        np.array([row["contribution_a"], row["contribution_b"], row["contribution_x"]]),
        space.limit, sd=sd, axis_title="contribution per site, eV", dark=is_dark(), height=150,
    )  # fmt: skip
    figure.update_xaxes(
        tickvals=[-space.limit, 0, space.limit], ticktext=[signed(v, 0) for v in (-space.limit, 0, space.limit)]
    )
    st.plotly_chart(figure, theme=None, key=f"bars {key}", config={"displayModeBar": False})
    st.html(f"<table class='sp-facts'>{table}</table>")
    if st.button("Open in 3D", icon=":material/view_in_ar:", key=f"open {key}", width="stretch", type="primary"):
        open_perovskite(row["formula"])
