"""One crystal: what every atom contributes to its energy."""

from __future__ import annotations

import html
import re

import numpy as np
import streamlit as st

from cgcnn.contributions import KJ_PER_MOL, Contributions
from cgcnn.display import contribution_view
from cgcnn.examples import examples
from cgcnn.model import LOGIT, Card, ModelError
from cgcnn.original import BothEnergies, both_energies, is_converted
from cgcnn.perovskite.space import space_structure
from cgcnn.plots import signed, site_bars
from cgcnn.structures import Crystal, Unreadable
from cgcnn.symmetry import Description
from cgcnn.tables import formula, orbits, site_table, with_unit
from cgcnn.viewer import CrystalView
from pages.common import (
    chosen_card,
    colour_limit,
    described,
    drawn,
    enter_through_app,
    explained,
    fingerprint,
    is_dark,
    model_named,
    plain,
    read,
)
from pages.crystal_scene import (
    HEADER,
    ROW,
    mark_in_table,
    select_in_table,
    selected,
    show_selectable,
    table_key,
)
from pages.crystal_swaps import with_swaps
from pages.crystal_tabs import tabs
from pages.crystal_tabs.shown import Shown
from pages.logs import log_failure

SCENE_HEIGHT = 500  # px
SUPERCELLS = {"1×1×1": (1, 1, 1), "2×2×1": (2, 2, 1), "2×2×2": (2, 2, 2), "3×3×3": (3, 3, 3)}
FEW, MOST_REASONS = 4, 200  # of files that cannot be read: shown at once, and listed
MOST_DRAWN = 3000  # sites of a supercell that a browser still turns smoothly


def choose_crystal() -> Crystal:
    """Example, upload, pasted text, or what another page or the URL names, whichever came last.

    The page ends with sentences if none can be read.
    """

    def touched(what: str):
        return lambda: st.session_state.update(source=what)

    picker, drop, paste = st.columns([1.25, 2.6, 0.75], vertical_alignment="bottom")
    example = picker.selectbox(
        "Example", list(examples()), key="example", bind="query-params", on_change=touched("example")
    )
    files = drop.file_uploader(
        "Crystals: CIF, POSCAR, extended XYZ or pymatgen JSON",
        accept_multiple_files=True,
        key="upload",
        on_change=touched("upload"),
        max_upload_size=20,  # MB; a CIF is rarely more than 1
    )
    with paste.popover("Paste text", width="stretch"):
        text = st.text_area("A structure as text", key="paste", height=260, width=440, on_change=touched("paste"))
    if "source" not in st.session_state and "perovskite" in st.query_params:
        st.session_state.update(perovskite=st.query_params["perovskite"], source="perovskite")
    source = st.session_state.get("source", "example")
    if source != "perovskite":
        st.query_params.pop("perovskite", None)
    if source == "handed":
        found = [st.session_state["handed"]]
    elif source == "perovskite":
        found = [space_member(st.session_state["perovskite"])]
    elif source == "upload" and files:
        found = [item for file in files for item in read(file.name, file.getvalue())]
    elif source == "paste" and text.strip():
        found = read("pasted text", text)
    else:
        found = [Crystal(example, examples()[example])]
    show_reasons([item for item in found if isinstance(item, Unreadable)])
    crystals = [item for item in found if isinstance(item, Crystal)]
    if not crystals:
        st.stop()
    crystal = crystals[0]
    if len(crystals) > 1:
        number = st.selectbox(
            f"Crystal, one of {len(crystals)}",
            range(len(crystals)),
            format_func=lambda i: f"{crystals[i].source} ({crystals[i].structure.composition.reduced_formula})",
            key="crystal",
        )
        crystal = crystals[number]
    for note in crystal.notes:
        st.caption(f"{plain(crystal.source)}: {plain(note)}")
    return with_swaps(crystal)


def show_reasons(items: list[Unreadable]) -> None:
    """Why files cannot be read, in one box that leaves the page to the crystal, however many there are."""
    lines = [f"**{plain(item.source)}**: {plain(item.reason)}" for item in items]
    if lines:
        st.error("\n\n".join(lines[:FEW]))
    if lines[FEW:]:
        with st.expander(f"{len(lines) - FEW} more cannot be read"):
            st.caption("\n\n".join(lines[FEW:MOST_REASONS]))
            if lines[MOST_REASONS:]:
                st.caption(f"and {len(lines) - MOST_REASONS} others")


def space_member(formula: str) -> Crystal | Unreadable:
    """A crystal of the perovskite space, named in the URL."""
    try:
        structure = space_structure(formula)
    except ValueError as error:
        return Unreadable("the address", str(error))
    st.query_params["perovskite"] = formula
    note = "ideal cubic cell with a lattice parameter from a model, not relaxed"
    return Crystal(formula, structure, notes=(note,))


def scene_options(sites: int) -> dict:
    """The row of controls under the scene."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        colour_by = st.segmented_control(
            "Colour by", ["contribution", "element"], default="contribution", required=True, key="colour_by",
            label_visibility="collapsed",
        )  # fmt: skip
        fitting = [name for name, (a, b, c) in SUPERCELLS.items() if a * b * c * sites <= MOST_DRAWN]
        supercell = st.selectbox(
            "Supercell", fitting or ["1×1×1"], key="supercell", label_visibility="collapsed", width=92
        )
        polyhedra = "flat" not in st.session_state and st.toggle("Polyhedra", key="polyhedra")
    return dict(colour_by=colour_by, supercell=SUPERCELLS[supercell], polyhedra=polyhedra)


def scene_view(
    result: Contributions, facts: Description, limit: float, height: int | str, key: str, *,
    colour_by, supercell, polyhedra, highlight,
) -> CrystalView:  # fmt: skip
    return contribution_view(
        result, facts, limit, by_element=colour_by == "element", supercell=supercell, polyhedra=polyhedra,
        highlight=highlight, dark=is_dark(), height=height, key=key,
    )  # fmt: skip


def headline(result: Contributions, facts: Description, known_domain: bool) -> None:
    """Formula, space group and energy; all of it text of our own or escaped.

    known_domain: whether the model says what it was trained on
    """
    sd = "" if result.energy_sd is None else f" ± {result.energy_sd:.3f}"
    written = re.sub(r"(\d+\.?\d*)", r"<sub>\1</sub>", html.escape(formula(result)))
    group = re.sub(r"-(\d)", "\\1\N{COMBINING OVERLINE}", html.escape(facts.space_group))
    group = re.sub(r"_(\d)", r"<sub>\1</sub>", group)
    n = len(result.structure)
    in_domain = "" if result.doubt or not known_domain else "<span class='cg-quiet'>in domain</span>"
    st.html(f"""<style>
.cg-line {{ display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.85rem; line-height: 1.35; }}
.cg-line b {{ font-size: 1.6rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }}
.cg-line span {{ white-space: nowrap; font-variant-numeric: tabular-nums; }}
.cg-quiet {{ opacity: .72; }}
.cg-line sub {{ font-size: .68em; }}
</style>
<div class="cg-line"><b>{written}</b>
<span><i>{group}</i> ({facts.number})</span><span>{html.escape(facts.crystal_system)}</span>
<span>{n} atom{"s" if n != 1 else ""}</span>{in_domain}</div>
<div class="cg-line"><b>{signed(result.energy)}{sd} <small>{html.escape(result.energy_unit)}</small></b>
{also_as(result, facts)}</div>""")


def also_as(result: Contributions, facts: Description) -> str:
    """The prediction in other units: an energy per formula unit, a logit as a probability."""
    if result.energy_unit == LOGIT:
        return f'<span title="1 / (1 + exp(-logit))">probability {1 / (1 + np.exp(-result.energy)):.3f}</span>'
    if result.energy_unit != "eV/atom":
        return ""
    per_formula = result.energy * len(result.structure) / facts.formula_units
    return (
        f'<span title="per formula unit">{signed(per_formula, 2)} eV/f.u.</span> '
        f'<span title="per mole of formula units">{signed(per_formula * KJ_PER_MOL, 0)} kJ/mol</span>'
    )


def about(card: Card, hash_: str) -> None:
    """Target, model and credit behind a small question mark."""
    with st.popover("?", type="tertiary", help="What is predicted, and by which model"):
        target = card.target
        stable = "Negative is stable." if target.unit == "eV/atom" else ""
        measured = card.mae == card.mae
        error = f"validation MAE {card.mae:.3f} {plain(target.unit)}" if measured else "errors not measured"
        st.markdown(
            f"**{plain(target.short)}**: {plain(with_unit(target.label, target.unit))}. {stable}\n\n"
            f"Model **{plain(card.name)}**, {card.head} pooling, hash `{hash_}`, {error}.\n\n"
            f"{plain(card.citation, links=True)}"
        )


@st.cache_data(show_spinner=False, max_entries=200)
def both_ways(model_name: str, model_hash: str, key: str, _crystal: Crystal) -> BothEnergies:
    return both_energies(model_named(model_name), _crystal.structure)


def shells(both: BothEnergies, unit: str) -> str:
    """What the authors' choice of neighbours makes of the prediction, in a line."""
    return (
        f"With exactly 12 neighbours, as in the authors' code: {signed(both.truncated)} {unit}. With whole shells, "
        f"whatever the order of the sites: {signed(both.whole)}, a difference of {signed(both.difference)}."
    )


def main() -> None:
    crystal = choose_crystal()
    card = chosen_card(crystal.structure)
    key = fingerprint(crystal)
    model = model_named(card.name)
    facts = described(key, crystal)
    result = explained(card.name, model.hash, key, crystal)
    limit = colour_limit(card)
    rows = selected(key)

    left, right = st.columns([1, 1.12], gap="medium")
    with left:
        scene = st.container()
        options = scene_options(len(crystal.structure))
        with scene:
            view = scene_view(result, facts, limit, SCENE_HEIGHT, key, highlight=rows, **options)
            show_selectable(view, key, len(crystal.structure))
            if not view.offline and "flat" not in st.session_state:
                st.caption("3Dmol.js comes from the internet; `npm install` in the app's folder makes it work offline.")
    with right:
        top, help_ = st.columns([12, 1])
        with top:
            headline(result, facts, known_domain=not is_converted(card))
        with help_:
            about(card, model.hash)
        if result.doubt:
            st.markdown(f":orange[:material/warning: {plain(result.doubt)}]")
        distinct = orbits(facts, result)
        figure = drawn(
            site_bars,
            [f"{o.name} ({o.role or o.wyckoff})" for o in distinct],
            np.array([o.mean for o in distinct]),
            limit,
            sd=None if result.sd is None else np.array([o.sd for o in distinct]),
            spread=[o.values for o in distinct],
            axis_title=with_unit("contribution per site", result.unit),
            unit=result.unit,
            chosen=[k for k, o in enumerate(distinct) if not set(rows).isdisjoint(o.sites.tolist())],
        )
        st.plotly_chart(figure, theme=None, key=f"bars {key} {card.name}", config={"displayModeBar": False})
        st.caption(result.reference_note)
        if is_converted(card):
            st.caption(plain(shells(both_ways(card.name, model.hash, key, crystal), result.energy_unit)))
        table = site_table(facts, result)
        number = st.column_config.NumberColumn
        formats = {with_unit(name, result.unit): "%+.3f" for name in ("relative", "raw")}
        formats |= {with_unit("sd", result.unit): "%.3f", "nearest, Å": "%.3f", "gate": "%.2f", "oxidation": "%+.3g"}
        mark_in_table(key)
        st.dataframe(
            table, hide_index=True, height=min(HEADER + ROW * len(table), 214), row_height=ROW,
            key=table_key(key), on_select=select_in_table(key), selection_mode="multi-row",
            column_order=[c for c in table if c != "element"],
            column_config={name: number(format=text) for name, text in formats.items()},
        )  # fmt: skip
        st.download_button(
            "Table as CSV", table.to_csv(index=False), file_name=f"{formula(result)}.csv",
            mime="text/csv", type="tertiary", icon=":material/download:",
        )  # fmt: skip
    tabs(
        Shown(
            key, card, model, facts, result, limit, rows,
            lambda height, name: scene_view(result, facts, limit, height, name, highlight=rows, **options),
        )
    )  # fmt: skip


try:
    enter_through_app()
    main()
except ModelError as error:
    st.error(plain(str(error)))
except Exception as error:  # a page never shows a traceback; st.stop and reruns are no Exceptions
    log_failure("crystal page", error)
    st.error("This crystal could not be explained. Try another file; the log on the terminal has the details.")
