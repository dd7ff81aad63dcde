"""Rules -> candidates, hit rates, a table to take away."""

from __future__ import annotations

import polars as pl
import streamlit as st

from cgcnn.perovskite.lattice import ANION_SETS, ELEMENTS
from cgcnn.perovskite.maps import mendeleev_order
from cgcnn.perovskite.screening import (
    THRESHOLD,
    HitRate,
    Screening,
    elements_in,
    group_and_period,
    rules,
    screen,
)
from cgcnn.plots import energy_histogram
from pages.common import is_dark, open_perovskite, plain, show_figure, to_csv
from pages.space.data import Space

OWN = "Own choice"
GROUPS = tuple(sorted({group_and_period(symbol)[0] for symbol in ELEMENTS}))
SMALL = "padding: 0 .3rem; min-height: 1.4rem; min-width: 1.55rem; font-size: .8rem;"  # CSS of the pills
LEFT_OUT = "The energy is that of the cubic cell: no tilts of the octahedra, no phonons, no temperature."


def show(space: Space) -> None:
    choice, result = st.columns([1, 2.5], gap="medium")
    with choice:
        anions, threshold, a, b = _choice(space)
    found = screen(space.table, a or ELEMENTS, b or ELEMENTS, anions or tuple(ANION_SETS), threshold, space.dft)
    with result:
        left, right = st.columns([1.75, 1], gap="medium")
        with left:
            _rates(space, found)
        with right:
            figure = energy_histogram(
                found.candidates["energy"].to_numpy(), space.table["energy"].to_numpy(), threshold,
                axis_title=f"predicted energy, {space.card.target.unit}", dark=is_dark(), height=165,
            )  # fmt: skip
            show_figure(
                figure, f"histogram {space.key}", "screening-energies", caption="Dotted: the threshold.",
                data=found.candidates.select("formula", "energy"),
            )  # fmt: skip
        _candidates(space, found)


def _choose_elements(site: str, name: str) -> list[str]:
    key, groups_key = site, f"groups_{site}"

    def toggled() -> None:
        """Add the elements of groups newly lit, take away those of groups put out."""
        before, now = set(_whole_groups(st.session_state[key])), set(st.session_state[groups_key])
        elements = set(st.session_state[key])
        if now - before:
            elements |= set(elements_in(now - before))
        if before - now:
            elements -= set(elements_in(before - now))
        st.session_state[key] = [symbol for symbol in mendeleev_order() if symbol in elements]

    elements = st.multiselect(
        f"{name} site", mendeleev_order(), default=list(getattr(rules()[0], site)), key=key, bind="query-params",
        placeholder="All 52 elements", wrap=True,
    )  # fmt: skip
    st.session_state[groups_key] = _whole_groups(elements)
    st.html(f"<style>.st-key-{groups_key} button {{ {SMALL} }}</style>")
    st.pills(
        f"Groups on {name}", GROUPS, selection_mode="multi", key=groups_key, on_change=toggled, wrap=True,
        label_visibility="collapsed",
    )  # fmt: skip
    return elements


def _whole_groups(elements: list[str]) -> list[int]:
    return [group for group in GROUPS if set(elements_in((group,))) <= set(elements)]


def _choice(space: Space) -> tuple[list[str], float, list[str], list[str]]:
    """Anion sets, threshold, elements on A, elements on B; empty lists mean all."""
    by_name = {rule.name: rule for rule in rules()}

    def follow(name: str | None = None) -> None:
        rule = by_name.get(name or st.session_state["rule"])
        if rule:
            for site in "ab":
                elements = getattr(rule, site)
                st.session_state[site] = [] if elements == ELEMENTS else list(elements)
            st.session_state["anions"] = [] if rule.x == tuple(ANION_SETS) else list(rule.x)

    rule_slot = st.container()
    left, right = st.columns([1.4, 1])
    anions = left.multiselect("Anions", list(ANION_SETS), key="anions", bind="query-params", placeholder="All 7")
    threshold = right.number_input(
        f"Below, {plain(space.card.target.unit)}", value=THRESHOLD, step=0.05, format="%.2f", key="below",
        bind="query-params",
    )  # fmt: skip
    a, b = _choose_elements("a", "A"), _choose_elements("b", "B")
    st.session_state["rule"] = _matching(a, b, anions)
    with rule_slot:
        st.selectbox("Rule", [*by_name, OWN], key="rule", on_change=follow)
        paper, rule = rules()[0], by_name.get(st.session_state["rule"])
        st.caption(rule.about if rule else "A, B and anions as chosen below")
        if rule is not paper:
            st.button(
                "Rule of the paper", on_click=follow, args=(paper.name,), help=f"{paper.about}. {paper.source}",
                width="stretch",
            )  # fmt: skip
    return anions, threshold, a, b


def _matching(a: list[str], b: list[str], x: list[str]) -> str:
    """Name of the rule that these choices are; empty ones mean all."""
    choice = (set(a or ELEMENTS), set(b or ELEMENTS), set(x or ANION_SETS))
    return next((rule.name for rule in rules() if choice == (set(rule.a), set(rule.b), set(rule.x))), OWN)


def _rates(space: Space, found: Screening) -> None:
    def line(what: str, here: HitRate, base: HitRate) -> str:
        more = here.over(base)
        cells = [what, _rate(here), _rate(base), "–" if more is None else f"{more:.1f} ×"]
        return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"

    rows = [line("Predicted", found.predicted, found.predicted_all)]
    if found.dft:
        rows.append(line("DFT", found.dft, found.dft_all))
    note = ""
    if found.check and found.check_all:
        here, base = found.check, found.check_all
        rows.append("<tr class='sp-part'><td colspan=4>crystals with DFT that the model was not trained on</td></tr>")
        rows.append(line("Predicted", HitRate(here.n, here.predicted), HitRate(base.n, base.predicted)))
        rows.append(line("DFT", HitRate(here.n, here.actual), HitRate(base.n, base.actual)))
        if here.predicted or here.actual:
            note = (
                f"Of the {here.predicted} predicted, {here.both} are below by DFT; of the {here.actual} below by DFT, "
                f"{here.both} are found."
            )
    st.html(f"""<style>
.sp-rates {{ border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }}
.sp-rates td, .sp-rates th {{ padding: .2rem .5rem .2rem 0; border: 0; border-bottom: 1px solid rgba(123,133,139,.25);
  text-align: right; font-weight: 400; white-space: nowrap; }}
.sp-rates th {{ opacity: .72; }} .sp-rates :first-child {{ text-align: left; }}
.sp-part td {{ opacity: .72; padding-top: .5rem; }} .sp-rates td:last-child {{ font-weight: 600; }}
.sp-note {{ font-size: .875rem; opacity: .8; margin-top: .3rem; }}
</style><table class='sp-rates'><tr><th>below {found.threshold:g}</th><th>this choice</th>
<th>all</th><th>enrichment</th></tr>{"".join(rows)}</table><div class='sp-note'>{note}</div>""")


def _rate(rate: HitRate) -> str:
    return f"{rate.hits:,} of {rate.n:,}" + ("" if rate.rate is None else f" <b>{rate.rate:.1%}</b>")


def _candidates(space: Space, found: Screening) -> None:
    table = found.candidates.drop("members_a", "members_b", "members_x")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        hits_only = st.toggle("Only below the threshold", value=True, key="hits", bind="query-params")
        neutral_only = st.toggle("Only charge-neutral", key="neutral", bind="query-params")
        st.download_button(
            "CSV", lambda: to_csv(shown), file_name="candidates.csv", mime="text/csv", type="tertiary",
            icon=":material/download:", on_click="ignore", help="The candidates as a table",
        )  # fmt: skip
    shown = table.filter(pl.col("hit") | (not hits_only), pl.col("neutral") | (not neutral_only))
    if len(shown):
        formula = _table(space, shown)
    else:
        st.info(f"None of the {len(table):,} chosen crystals. Raise the threshold or choose more elements.")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(LEFT_OUT)
        if len(shown) and st.button(f"Open {formula} in 3D", icon=":material/view_in_ar:"):
            open_perovskite(formula)


def _table(space: Space, shown: pl.DataFrame) -> str:
    """Draw the candidates; the formula of the row that is selected, else of the first."""
    unit = space.card.target.unit
    names = {
        "formula": "crystal", "energy": f"energy, {unit}", "sd": "sd", "target": "DFT", "trained": "trained on",
        "contribution_a": "A, eV", "contribution_b": "B, eV", "tolerance": "tolerance", "octahedral": "octahedral",
        "neutral": "neutral", "charge_a": "charge A", "charge_b": "charge B",
    }  # fmt: skip
    if not space.labels:
        del names["target"], names["trained"]
    number = st.column_config.NumberColumn
    config = {names["energy"]: number(format="%+.3f"), "sd": number(format="%.3f"), "DFT": number(format="%+.2f")}
    config |= {name: number(format="%+.2f") for name in ("A, eV", "B, eV")}
    config |= {
        "tolerance": number(format="%.3f", help="Goldschmidt tolerance factor; 0.8 to 1.05 in known perovskites"),
        "octahedral": number(format="%.3f", help="r(B) / r(X); 0.41 to 0.73 for a stable octahedron"),
        "neutral": st.column_config.CheckboxColumn(help="Common oxidation states balance the anions"),
        "trained on": st.column_config.CheckboxColumn(help="The model was trained on this crystal"),
        "charge A": number(format="%+d"), "charge B": number(format="%+d"),
    }  # fmt: skip
    answer = st.dataframe(
        shown.select(list(names)).rename(names), hide_index=True, height=min(38 + 29 * len(shown), 360), row_height=29,
        key=f"candidates {space.key}", on_select="rerun", selection_mode="single-row", column_config=config,
    )  # fmt: skip
    rows = [row for row in answer.selection.rows if row < len(shown)]
    return shown["formula"][rows[0] if rows else 0]
