"""A data set, element by element: periodic table, ranking, and the surroundings of one element."""

from __future__ import annotations

import re

import streamlit as st

from cgcnn.datasets import DatasetError
from cgcnn.model import ModelError
from cgcnn.scoring import ScoringError
from pages.common import chosen_card, colour_limit, enter_through_app, nothing_kept, plain
from pages.data_set.choosing import Shown, choose_data
from pages.data_set.controls import choose_filters, choose_kind, choose_view, has_roles
from pages.data_set.element import show_element
from pages.data_set.ranking import show_ranking
from pages.data_set.state import come_back, remember
from pages.data_set.sums import averaged, contents_of, counts
from pages.data_set.table import show_table
from pages.data_set.words import headline, notes, nothing_readable
from pages.logs import log_failure

# On a phone the tiles keep their size, and the table moves under the finger.
STYLE = """<style>
.st-key-figure-periodic-table [data-testid="stFullScreenFrame"] { min-width: 880px; }
.st-key-figure-ranking [data-testid="stFullScreenFrame"] { min-width: 640px; }
</style>"""


def table_limit(shown: Shown, view: str) -> float:
    """End of the colour scale for means over many sites: half that of single sites, a quarter for differences."""
    limit = colour_limit(shown.card) if shown.card else shown.about["colour limit"]
    return limit / (4 if view == "element" else 2)


def main() -> None:
    come_back()
    card = chosen_card()
    st.html(STYLE)
    picker, source, views, filter_ = st.columns([1.1, 1.1, 1.55, 0.6], vertical_alignment="bottom")
    shown = choose_data(card, picker, source)
    content = contents_of(shown.key, shown) if shown.scores is not None else None
    if content is not None and not content["components"]:
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
            show_element(shown, view, filters, table, limit, roles)
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
    nothing_kept("elements page", error)
except Exception as error:  # a page never shows a traceback; st.stop and reruns are no Exceptions
    log_failure("elements page", error)
    st.error("This data set could not be shown. Try another one; the log on the terminal has the details.")
