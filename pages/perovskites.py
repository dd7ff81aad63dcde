"""The space of cubic ABX3: A site against B site, elements and groups compared, screening."""

from __future__ import annotations

import streamlit as st

from cgcnn.datasets import DatasetError
from cgcnn.model import ModelError
from cgcnn.scoring import ScoringError
from pages.common import chosen_card, enter_through_app, nothing_kept, plain
from pages.logs import log_failure
from pages.space import compare, groups, pairs, screening
from pages.space.data import choose_labels, leave_unless_fit, scored_space_of
from pages.space.trust import trust

VIEWS = {
    "A × B map": pairs.show,
    "Compare elements": compare.show,
    "Group rules": groups.show,
    "Screening": screening.show,
}

# On a phone these figures are moved sideways rather than squeezed.
WIDE_ENOUGH = """<style>
[class*="st-key-figure-space-map"], [class*="st-key-figure-groups"] { overflow: auto hidden; }
[data-testid="stElementContainer"]:is([class*="st-key-space-map"], [class*="st-key-groups-of"]) { min-width: 620px; }
</style>"""


def main() -> None:
    st.html(WIDE_ENOUGH)
    card = chosen_card()
    leave_unless_fit(card)
    top, data = st.columns([5.2, 1], vertical_alignment="top")
    with data:
        labels = choose_labels(card)
    space = scored_space_of(card, labels)
    with top:
        trust(space)
    tabs = st.tabs(list(VIEWS), key="part", bind="query-params")
    for tab, show in zip(tabs, VIEWS.values(), strict=True):
        if tab.open:
            with tab:
                show(space)


try:
    enter_through_app()
    main()
except (DatasetError, ScoringError, ModelError) as error:
    st.error(plain(str(error)))
except OSError as error:
    nothing_kept("perovskites page", error)
except Exception as error:  # a page never shows a traceback; st.stop and reruns are no Exceptions
    log_failure("perovskites page", error)
    st.error("The perovskites could not be shown. Reload the page; the log on the terminal has the details.")
