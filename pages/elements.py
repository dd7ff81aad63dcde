"""A data set, element by element: periodic table, ranking, and the surroundings of one element."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import numpy as np
import polars as pl
import streamlit as st

from cgcnn.additive import Comparison, compare
from cgcnn.atlas import (
    GROUPINGS,
    bin_width,
    ends,
    filtered,
    in_view,
    means_of_elements,
    of_element,
    sites_of,
    summary,
    zero_in_words,
)
from cgcnn.cache import cache_folder
from cgcnn.datasets import DatasetError, read_crystal
from cgcnn.files import in_words
from cgcnn.model import Card, ModelError
from cgcnn.periodic import ELEMENTS, by_mendeleev_number, element_name
from cgcnn.plots import Distribution, distributions, periodic_table, ranking, signed
from cgcnn.scoring import ScoringError
from pages.common import (
    chosen_card,
    colour_limit,
    enter_through_app,
    frame_tile,
    is_dark,
    model_cards,
    open_crystal,
    open_perovskite,
    plain,
    show_figure,
    to_csv,
)
from pages.data_sets import SPACE, Shown, choose_data
from pages.logs import log, log_failure

# Options are their own labels, since those stand in the URL.
VIEWS = {"relative": "relative", "to its element": "element", "absolute": "absolute"}
KINDS = {"perovskites": True, "others": False}
NO_FILTERS = {"contains": [], "lacks": [], "energy": (None, None)}  # as `choose_filters` leaves them
ANY = "any"
ELSEWHERE = "elsewhere"  # not on A, B or X of a perovskite
MOST_GROUPS = 5  # distributions above each other
TRUSTED = 0.9  # Pearson's r of a ranking, below which the page warns
# State of the page, which Streamlit forgets when another page is shown.
KEPT = (
    *("data", "path", "view", "kind", "contains", "on", "lacks", "anion", "emin", "emax", "components"),
    *("tab", "role", "order", "element"),
)
# On a phone the tiles keep their size, and the table moves under the finger.
STYLE = """<style>
.st-key-figure-periodic-table [data-testid="stFullScreenFrame"] { min-width: 880px; }
.st-key-figure-ranking [data-testid="stFullScreenFrame"] { min-width: 640px; }
</style>"""


# --- sums, cached -----------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=50)
def content_of(key: str, _shown: Shown) -> dict:
    """What a data set holds: elements, anions, numbers of components, energies, crystals with roles and without."""
    crystals, sites = _shown.scores.crystals, _shown.scores.sites
    found = sites.group_by("element", "nearest_anion").len().collect(engine="streaming")
    anions = found.drop_nulls("nearest_anion").group_by("nearest_anion").agg(pl.col("len").sum())
    energy = pl.col("energy")
    kinds = crystals.group_by("perovskite", components=pl.col("elements").list.len())
    kinds = kinds.agg(pl.len(), energy.min().alias("low"), energy.max().alias("high")).collect(engine="streaming")
    return dict(
        kinds=dict(kinds.group_by("perovskite").agg(pl.col("len").sum()).iter_rows()),
        elements=set(found["element"]),
        anions=anions.sort("len", "nearest_anion", descending=True)["nearest_anion"].to_list(),
        components=sorted(kinds["components"].unique()),
        energy=(kinds["low"].min(), kinds["high"].max()),
    )


@st.cache_data(show_spinner=False, max_entries=400)
def averaged(key: str, view: str, filters: dict, roles: bool, _shown: Shown) -> pl.DataFrame:
    """Means of all elements, by role where there are roles."""
    if _shown.atlas is not None:
        return means_of_elements(_shown.atlas, roles, view)
    return means_of_elements(in_view(filtered(_shown.scores, **filters), view, _shown.zero), roles)


@st.cache_data(show_spinner=False, max_entries=400)
def summed(key: str, view: str, filters: dict, by: str, element: str, _shown: Shown) -> pl.DataFrame:
    """How the sites of one element are distributed."""
    if _shown.atlas is not None:
        return _shown.atlas.table(view, by).filter(pl.col("element") == element)
    scores = in_view(filtered(_shown.scores, **filters), view, _shown.zero)
    return summary(of_element(scores, element), GROUPINGS[by])


@st.cache_data(show_spinner=False, max_entries=400)
def counts(key: str, filters: dict, _shown: Shown) -> tuple[int, int]:
    """Crystals and sites that the filters leave."""
    crystals = filtered(_shown.scores, **filters).crystals
    return crystals.select(pl.len(), pl.col("n_sites").cast(pl.Int64).sum().alias("sites")).collect().row(0)


@st.cache_data(show_spinner=False, max_entries=400)
def at_the_ends(key: str, view: str, filters: dict, element: str, role: str | None, _shown: Shown) -> pl.DataFrame:
    scores = in_view(filtered(_shown.scores, **filters), view, _shown.zero)
    return ends(scores, sites_of(scores, element, role))


@st.cache_data(show_spinner=False, max_entries=50)
def compared(key: str, view: str, roles: bool, perovskite: bool | None, _shown: Shown) -> Comparison | None:
    """With the plain reference, on the whole data set."""
    filters = NO_FILTERS | ({} if perovskite is None else {"perovskite": perovskite})
    rows = averaged(key, view, filters, roles, _shown)  # which the page shows as well, unless there are filters
    return compare(filtered(_shown.scores, **filters), view, roles, rows)


# --- controls ---------------------------------------------------------------------------------------------------------


def choose_view(shown: Shown, roles: bool) -> str:
    """What zero is: one of `atlas.VIEWS`."""
    offered = [label for label, name in VIEWS.items() if name != "element" or has_element_view(shown)]
    recall("view", offered)
    chosen = st.segmented_control(
        "Contributions", offered, required=True, key="view", bind="query-params",
        help="\n\n".join(f"**{label}**: {zero_in_words(shown.about, VIEWS[label], roles)}" for label in offered),
    )  # fmt: skip
    return VIEWS[chosen]


def has_element_view(shown: Shown) -> bool:
    return shown.zero is not None and shown.scores is not None and not shown.about["reference"]


def choose_kind(shown: Shown, content: dict) -> bool | None:
    """Perovskites or the others: where only those have roles, the two have different zeros and are not mixed."""
    kinds = content["kinds"]
    if not shown.about["reference"] or len(kinds) < 2:
        return None
    offered = sorted(KINDS, key=lambda kind: -kinds[KINDS[kind]])
    recall("kind", offered)
    chosen = st.segmented_control(
        "Crystals", offered, required=True, key="kind", bind="query-params", label_visibility="collapsed",
        help=f"{kinds[True]:,} perovskites, {kinds[False]:,} others. Values are relative to the mean of their role in "
        "perovskites, and to the mean of their own crystal in others, so the two are not mixed.",
    )  # fmt: skip
    return KINDS[chosen]


def has_roles(shown: Shown, content: dict | None, perovskite: bool | None) -> bool:
    """Whether elements are told apart by role: in perovskites, unless the model puts them among all other crystals."""
    if shown.about["reference"]:
        return perovskite is not False and bool(content is None or content["kinds"].get(True))
    return content is not None and set(content["kinds"]) == {True}


def choose_filters(content: dict, roles: bool) -> dict:
    """Arguments of `atlas.filtered`."""
    bound = dict(bind="query-params")
    with st.popover("Filters", icon=":material/filter_alt:", width="stretch"):
        wide, narrow = st.columns([2, 1.1])
        contains = wide.multiselect("Contains", ELEMENTS, key="contains", **bound)
        on = narrow.selectbox("on role", [ANY, "A", "B", "X"], key="on", disabled=not roles, **bound)
        lacks = wide.multiselect("Lacks", ELEMENTS, key="lacks", **bound)
        anion = narrow.selectbox("Nearest anion", [ANY, *content["anions"]], key="anion", **bound)
        low, high = wide.columns(2)
        (lowest, highest), number = content["energy"], dict(value=None, step=0.1, format="%.2f", **bound)
        lowest = low.number_input("Energy from", key="emin", placeholder=f"{lowest:.2f}", **number)
        highest = high.number_input("to, eV/atom", key="emax", placeholder=f"{highest:.2f}", **number)
        components = [ANY, *map(str, content["components"])]
        components = narrow.selectbox("Elements in it", components, key="components", **bound)
        st.caption("Crystals that fit all of these count, with all their sites.")
    filters: dict = dict(contains=contains, lacks=lacks, energy=(lowest, highest))
    filters |= {"on": on} if on != ANY and roles else {}
    filters |= {"components": int(components)} if components != ANY else {}
    return filters | ({"nearest_anion": anion} if anion != ANY else {})


def is_filtered(filters: dict) -> bool:
    if not filters:
        return False
    chosen = (filters["contains"], filters["lacks"], filters.get("components"), filters.get("nearest_anion"))
    return any(chosen) or any(end is not None for end in filters["energy"])


# --- words ------------------------------------------------------------------------------------------------------------


def headline(shown: Shown, left: tuple[int, int] | None) -> None:
    about = shown.about
    crystals, sites = left or (about["crystals"], about["sites"])
    every = about.get("crystals", crystals)
    counted = f"{crystals:,} of {every:,} crystals" if crystals != every else number_of(crystals, "crystal")
    name = about["data"] if left else f"training crystals of {about['model']}"
    name = f"{SPACE}, ideal cells" if shown.is_space else name
    built = shown.card.accuracy.get("val, built cells") if shown.is_space else None
    of = f"{about['predicts']['short']} by {about['model']}"
    of += f", good to {built['mae']:.2f} {about['predicts']['unit']} on such cells" if built else ""
    st.html(
        f"<div style='font-variant-numeric: tabular-nums'><b>{html.escape(name)}</b> &ensp;{counted} &ensp;"
        f"{number_of(sites, 'site')} &ensp;<span style='opacity:.72'>{html.escape(of)}</span></div>"
    )


def number_of(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def warn(text: str, place=st) -> None:
    place.caption(f":orange[:material/warning: {text}]", width="content")


def notes(shown: Shown, card: Card, content: dict | None, perovskite: bool | None) -> None:
    """What to know before believing the colours, a sentence each."""
    about = shown.about
    if about["model"] != card.name:
        st.caption(f"These scores are of the model {plain(about['model'])}, not of the one in the sidebar.")
    if content is None:
        return
    if not about["complete"]:
        done = sum(content["kinds"].values())
        warn(f"{done:,} of {about['rows']:,} rows are scored so far; the same `score` command goes on with the others.")
    if about["reference"] and not content["kinds"].get(True):
        warn(
            "None of these crystals is an ABX3 perovskite, and the model was trained on no others: the numbers are a "
            "guess. They have no roles, so zero is each crystal's own mean."
        )
    elif perovskite is False:
        warn("The model was trained on perovskites only: these numbers are a guess.")
    unseen = sorted(content["elements"] - set(shown.card.elements)) if shown.card and shown.card.elements else []
    if unseen:
        more = f" and {len(unseen) - 12} more" if len(unseen) > 12 else ""
        warn(f"No training crystal contains {', '.join(unseen[:12])}{more}: their numbers are a guess.")
    if about.get("unreadable"):
        line = st.container(horizontal=True, vertical_alignment="center")
        warn(f"{about['unreadable']:,} of {about['rows']:,} rows cannot be read and are left out.", line)
        list_of_unreadable(shown, line)


def list_of_unreadable(shown: Shown, place) -> None:
    place.download_button(
        "List with reasons", (shown.scores.folder / "unreadable.csv").read_bytes, file_name="unreadable.csv",
        mime="text/csv", type="tertiary", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def nothing_readable(shown: Shown) -> None:
    n, data = shown.about.get("unreadable", 0), plain(shown.about["data"])
    if n:
        st.error(f"None of the {number_of(n, 'row')} of {data} gives a crystal; the list says why.")
        list_of_unreadable(shown, st)
    else:
        st.error(f"No row of {data} is scored yet; the same `score` command goes on with it.")
    st.stop()


# --- the periodic table -----------------------------------------------------------------------------------------------


def tile_values(table: pl.DataFrame) -> dict:
    """(upper, lower) = (A, B) for elements on either, else their only value."""
    mean = {(element, role): value for element, role, value in table.select("element", "role", "mean").iter_rows()}
    found: dict = {}
    for element in table["element"].unique():
        pair = mean.get((element, "A")), mean.get((element, "B"))
        single = mean.get((element, "X"), mean.get((element, None)))
        found[element] = single if pair == (None, None) else pair
    return found


def hover_texts(table: pl.DataFrame) -> dict[str, str]:
    lines: dict[str, list[str]] = {}
    for row in table.sort("role").iter_rows(named=True):
        text = lines.setdefault(row["element"], [f"<b>{element_name(row['element'])}</b>"])
        role = f"{row['role']}: " if row["role"] else ""
        text.append(f"{role}{with_sd(row)} eV, {number_of(row['count'], 'site')}")
    return {element: "<br>".join(text) for element, text in lines.items()}


def with_sd(row: dict) -> str:
    return signed(row["mean"]) + ("" if row["sd"] is None else f" ± {row['sd']:.3f}")


def clicked(key: str, known: set[str]) -> Callable[[], None]:
    """What a click on a tile or a bar does: the element opens below."""

    def choose() -> None:
        points = st.session_state[key].selection.points
        # A second click on the same tile takes plotly's selection away, and here it is a click like the first.
        symbol = points[0].get("customdata") if points else st.session_state.get(f"last of {key}")
        symbol = symbol[0] if isinstance(symbol, list) else symbol
        st.session_state[f"last of {key}"] = symbol
        if symbol in known:
            st.session_state.update(element=symbol, tab="Element")

    return choose


def show_table(shown: Shown, view: str, table: pl.DataFrame, limit: float, roles: bool) -> None:
    known = set(table["element"])
    # Before the widgets that choose them, which at the first visit have their state from the URL.
    tab, selected = (st.session_state.get(name, st.query_params.get(name)) for name in ("tab", "element"))
    title = "mean contribution, eV" + (", upper half on A, lower half on B" if roles else "")
    figure = periodic_table(tile_values(table), limit, title=title, hover=hover_texts(table), dark=is_dark())
    frame_tile("periodic table", figure, selected if tab == "Element" and selected in known else None)
    show_figure(
        figure, "periodic table", f"elements-{shown.about['model']}-{view}", data=flat(table),
        caption=zero_in_words(shown.about, view, roles), on_select=clicked("periodic table", known),
    )  # fmt: skip


def flat(table: pl.DataFrame) -> pl.DataFrame:
    """A summary as CSV can hold it."""
    return table.drop("members", "histogram", "first_bin", strict=False)


# --- the ranking ------------------------------------------------------------------------------------------------------


def show_ranking(shown: Shown, view: str, filters: dict, table: pl.DataFrame, limit: float) -> None:
    present = [role for role in ("A", "B", "X") if role in table["role"].to_list()]
    choice = dict(required=True, label_visibility="collapsed")
    orders = ["by Mendeleev number", "by value"]
    recall("order", orders)
    if present:
        recall("role", present)
    line = st.container(horizontal=True, vertical_alignment="center", gap="medium")
    role = line.segmented_control("Role", present, key="role", **choice) if present else None
    order = line.segmented_control("Order", orders, key="order", **choice)
    changed = dict(role=role if [role] != present[:1] else None, order=order if order != orders[0] else None)
    show_in_url(element=None, **changed)
    rows = table.filter(of_role(role))
    if order == "by value":
        rows = rows.sort("mean")
    else:
        place = {e: i for i, e in enumerate(by_mendeleev_number(rows["element"]))}
        rows = rows.sort(pl.col("element").replace_strict(place, return_dtype=pl.Int64))
    kind = filters.get("perovskite")
    beside = compared(shown.key, view, bool(role), kind, shown) if shown.scores is not None else None
    if beside is not None:
        rows = rows.join(
            beside.fit.effects, on=["element", "role"], how="left", nulls_equal=True, maintain_order="left"
        )
        if rows["effect"].is_null().all():
            beside = None
    figure = ranking(
        rows["element"].to_list(), rows["mean"].to_numpy(), limit,
        sd=None if rows["sd"].is_null().any() else rows["sd"].to_numpy(),
        reference=None if beside is None else rows["effect"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        axis_title=f"{f'on {role}, ' if role else ''}eV", dark=is_dark(),
    )  # fmt: skip
    show_figure(
        figure, "ranking", f"ranking-{shown.about['model']}-{role or 'all'}-{view}", data=flat(rows),
        caption=words_of_ranking(shown, role, view, beside, is_filtered(filters)),
        on_select=clicked("ranking", set(table["element"])),
    )  # fmt: skip
    doubt_of_ranking(shown, role)


def of_role(role: str | None) -> pl.Expr:
    return pl.col("role").eq_missing(pl.lit(role, dtype=pl.String))


def words_of_ranking(shown: Shown, role: str | None, view: str, beside: Comparison | None, filtered_: bool) -> str:
    members = shown.about["members"]
    text = f"Error bars: spread over {members} networks. " if members > 1 else ""
    if beside is None:
        if shown.scores is None:
            text += "The plain reference needs the crystals themselves, and an atlas keeps sums only."
        elif role and view == "absolute":
            text += "No plain reference: raw values of a role hold a constant that no other model can know."
        return text
    to = "labels of the data" if beside.labelled else "energies that this model predicts"
    text += f"Diamonds: least-squares {beside.fit.kind} fit to {beside.fit.n:,} {to}, MAE {beside.fit.mae:.2f} eV/atom"
    agreed = beside.agreement.get(role)
    if agreed is None:
        return f"{text}."
    where = ", on crystals outside the split train" if beside.held_out else ""
    where += ", without filters" if filtered_ else ""
    return f"{text}; agreement{where}: Pearson r {agreed.r:.3f}, Spearman ρ {agreed.rho:.3f}."


def doubt_of_ranking(shown: Shown, role: str | None) -> None:
    """Where a head books effects on the wrong site, say so and offer the other one."""
    measured = (shown.card.faithfulness if shown.card else {}).get(f"elements {role}")
    if not measured or measured["r"] >= TRUSTED:
        return
    line = st.container(horizontal=True, vertical_alignment="center")
    warn(
        f"On crystals not trained on, this head's contributions on {role} follow the true effects of the elements with "
        f"r = {measured['r']:.2f} only: do not trust this ranking.", line,
    )  # fmt: skip
    for other in model_cards():
        r = other.faithfulness.get(f"elements {role}", {}).get("r", 0)
        if other.family == shown.card.family and other.head != shown.card.head and r >= TRUSTED:
            line.button(
                f"Show the {other.head} head, r = {r:.2f}", type="tertiary", key=f"to {other.head}",
                on_click=lambda head=other.head: st.session_state.update(head=head),
            )  # fmt: skip


# --- one element ------------------------------------------------------------------------------------------------------


def show_element(shown: Shown, view: str, filters: dict, table: pl.DataFrame, limit: float) -> None:
    known = set(table["element"])
    line = st.container(horizontal=True, vertical_alignment="center", gap="medium")
    options = [e for e in ELEMENTS if e in known]
    recall("element", options)
    element = line.selectbox("Element", options, key="element", label_visibility="collapsed", width=90)
    show_in_url(element=element, role=None, order=None)
    own = summed(shown.key, view, filters, "role", element, shown).sort("role", nulls_last=True)
    present = own["role"].to_list()
    role = present[0]
    if len(present) > 1:
        # By name, since a control shows no choice where that is None.
        named = {f"on {role}" if role else ELSEWHERE: role for role in present}
        largest = own.sort("count")["role"][-1]
        role = named[
            line.segmented_control(
                "Role of the element", list(named), default=f"on {largest}" if largest else ELSEWHERE, required=True,
                key=f"site of {element}", label_visibility="collapsed",
            )
        ]  # fmt: skip
    row = own.row(by_predicate=of_role(role), named=True)
    line.html(
        f"<span style='font-variant-numeric: tabular-nums'>{element_name(element)} &ensp;<b>{with_sd(row)} eV</b>"
        f" &ensp;{number_of(row['count'], 'site')} in {number_of(row['crystals'], 'crystal')}</span>"
    )
    groups = {"role": own} if len(present) > 1 else {}
    for by in ("coordination", "nearest_anion"):
        rows = summed(shown.key, view, filters, by, element, shown).filter(of_role(role))
        rows = rows.filter(pl.col(by).is_not_null())
        groups |= {by: rows} if len(rows) else {}
    show_distributions(shown, view, element, role, groups, limit)
    if shown.scores is None:
        st.caption("An atlas keeps sums, not crystals: no filters, no crystals at the ends. Score the data for these.")
    else:
        show_ends(shown, view, filters, element, role)


def show_distributions(
    shown: Shown, view: str, element: str, role: str | None, groups: dict[str, pl.DataFrame], limit: float
) -> None:
    width = bin_width(shown.about)
    drawn = {by: distributions_of(by, rows) for by, rows in groups.items()}
    span = span_of([group for found in drawn.values() for group in found], width)
    most = max(map(len, drawn.values()))
    titles = {"role": "by role", "coordination": "by coordination number", "nearest_anion": "by nearest anion"}
    # Three columns always, so that figures keep their size from element to element.
    for column, (by, found) in zip(st.columns(3, gap="medium"), drawn.items(), strict=False):
        where = f"{element} on {role}" if role and by != "role" else element
        left = len(groups[by]) - len(found)
        with column:
            show_figure(
                distributions(found, width, limit, span=span, dark=is_dark(), rows=most),
                f"distribution {by}", f"{where}-{by}-{view}".replace(" ", "-"), data=flat(groups[by]),
                caption=f"{where}, {titles[by]}" + (f"; {number_of(left, 'smaller group')} in the CSV" if left else ""),
            )  # fmt: skip
    st.caption(
        "Point: mean" + (", error bar: spread over the networks" if shown.about["members"] > 1 else "")
        + "; line: the middle half of the sites."
    )  # fmt: skip


def distributions_of(by: str, rows: pl.DataFrame) -> list[Distribution]:
    """The largest groups; roles and numbers in their own order."""
    rows = rows.sort("count", descending=True).head(MOST_GROUPS)
    rows = rows.sort(by) if by != "nearest_anion" else rows
    labels = [f"CN {value}" if by == "coordination" else value or ELSEWHERE for value in rows[by]]
    return [
        Distribution(
            label, row["count"], row["mean"], row["sd"], row["q25"], row["q75"], row["first_bin"], row["histogram"]
        )
        for label, row in zip(labels, rows.iter_rows(named=True), strict=True)
    ]


def span_of(groups: list[Distribution], width: float) -> tuple[float, float]:
    """The same axis for all figures of an element: zero, and all bins that hold more than a thousandth of a group."""
    low, high = 0.0, 0.0
    for group in groups:
        counted = np.asarray(group.histogram)
        seen = np.flatnonzero(counted > counted.sum() / 1000)
        low = min(low, width * (group.first_bin + seen[0]))
        high = max(high, width * (group.first_bin + seen[-1] + 1))
    return low - 2 * width, high + 2 * width


def show_ends(shown: Shown, view: str, filters: dict, element: str, role: str | None) -> None:
    found = at_the_ends(shown.key, view, filters, element, role, shown)
    where = f"{element} on {role}" if role else element
    for column, end, title in zip(st.columns(2, gap="medium"), ("low", "high"), ("Lowest", "Highest"), strict=True):
        rows = found.filter(pl.col("end") == end)
        listed = columns_of_end(shown, rows)
        key = f"{end} {element} {role}"
        with column:
            head = st.container(horizontal=True, vertical_alignment="center", gap="xxsmall")
            head.caption(f"**{title} {where}**; click a crystal to see it")
            head.download_button(
                "CSV", lambda listed=listed: to_csv(listed), file_name=f"{where}-{end}.csv".replace(" ", "-"),
                key=f"csv {key}", mime="text/csv", type="tertiary", icon=":material/download:", on_click="ignore",
            )  # fmt: skip
            formats = {name: "%.3f" if name.startswith("sd") else "%+.3f" for name in listed.columns}
            picked = st.dataframe(
                listed, hide_index=True, row_height=29, height=38 + 29 * min(len(listed), 6), key=key,
                on_select="rerun", selection_mode="single-cell",
                column_config={name: st.column_config.NumberColumn(format=formats[name]) for name, kind
                               in listed.schema.items() if kind.is_float()},
            )  # fmt: skip
        if picked.selection.cells:
            open_row(shown, rows.row(picked.selection.cells[0][0], named=True))


def columns_of_end(shown: Shown, rows: pl.DataFrame) -> pl.DataFrame:
    columns = {
        "crystal": rows["formula"],
        "contribution, eV": rows["relative"],
        "sd, eV": rows["sd"],
        "energy, eV/atom": rows["energy"],
    }
    if shown.scores.target:
        columns[shown.scores.target] = rows[shown.scores.target]
    if not shown.is_space:
        columns["name"] = rows["material_id"]
    return pl.DataFrame({name: values for name, values in columns.items() if values.is_not_null().any()})


def open_row(shown: Shown, row: dict) -> None:
    if shown.is_space:
        open_perovskite(row["material_id"])
    open_crystal(read_crystal(shown.about["path"], row["row"], shown.about["data fingerprint"]))


# --- the page ---------------------------------------------------------------------------------------------------------


def table_limit(shown: Shown, view: str) -> float:
    """End of the colour scale for means over many sites: half that of single sites, a quarter for differences."""
    limit = colour_limit(shown.card) if shown.card else shown.about["colour limit"]
    return limit / (4 if view == "element" else 2)


def come_back() -> None:
    """Put the page as it was when it was left, unless the URL says otherwise."""
    if "data" not in st.session_state and not any(name in st.query_params for name in KEPT):
        st.session_state.update(st.session_state.get("elements page", {}))
    st.query_params.pop("perovskite", None)  # of the page that comes from


def remember() -> None:
    kept = {name: st.session_state[name] for name in KEPT if name in st.session_state}
    st.session_state["elements page"] = {**st.session_state.get("elements page", {}), **kept}


def recall(name: str, options: list) -> None:
    """Before a widget: what it was when it was last there, or what the URL says, or the first of its options.

    Widgets in a tab are not bound to the URL, since Streamlit would not write there what a click elsewhere has set.
    """
    if st.session_state.get(name) not in options:
        known = st.session_state.get("elements page", {}).get(name, st.query_params.get(name))
        st.session_state[name] = known if known in options else options[0]


def show_in_url(**choices: str | None) -> None:
    """After the widgets of a tab; None for what is not to be there."""
    for name, value in choices.items():
        if value is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = value


def main() -> None:
    come_back()
    card = chosen_card()
    st.html(STYLE)
    picker, source, views, filter_ = st.columns([1.1, 1.1, 1.55, 0.6], vertical_alignment="bottom")
    shown = choose_data(card, picker, source)
    content = content_of(shown.key, shown) if shown.scores is not None else None
    if content is not None and not content["kinds"]:
        nothing_readable(shown)
    line = st.container(horizontal=True, vertical_alignment="center")
    head, kind = line.container(width="stretch"), line.container(width="content")
    with kind:
        perovskite = choose_kind(shown, content) if content else None
    roles = has_roles(shown, content, perovskite)
    with views:
        view = choose_view(shown, roles)
    filters, left = {}, None
    if content is not None:
        with filter_:
            filters = choose_filters(content, roles) | ({} if perovskite is None else {"perovskite": perovskite})
        left = counts(shown.key, filters, shown)
    with head:
        headline(shown, left)
    notes(shown, card, content, perovskite)
    if left is not None and not left[0]:
        st.info("No crystal fits these filters; take one of them away.")
        st.stop()
    table = averaged(shown.key, view, filters, roles, shown)
    limit = table_limit(shown, view)
    show_table(shown, view, table, limit, roles)
    ranked, one = st.tabs(["Ranking", "Element"], key="tab", on_change="rerun", bind="query-params")
    if one.open:
        with one:
            show_element(shown, view, filters, table, limit)
    else:
        with ranked:
            show_ranking(shown, view, filters, table, limit)


try:
    enter_through_app()
    try:
        main()
    finally:
        remember()
except (DatasetError, ScoringError, ModelError) as error:
    st.error(plain(re.sub(r"^(the|there|no|none) ", lambda first: first[0].capitalize(), str(error))))
except OSError as error:
    log.error("elements page: %s below %s", error.strerror, cache_folder())
    st.error(
        f"{plain(in_words(error))}. The environment variable CGCNN\\_CACHE names the folder of scores and uploads."
    )
except Exception as error:  # a page never shows a traceback; st.stop and reruns are no Exceptions
    log_failure("elements page", error)
    st.error("This data set could not be shown. Try another one; the log on the terminal has the details.")
