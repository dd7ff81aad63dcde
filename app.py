"""Entry of the app: page set-up, navigation, and the sidebar that all pages share.

streamlit run app.py
"""

from __future__ import annotations

import gc

import streamlit as st


def sidebar() -> None:
    """Model family and pooling head, each head with its validation error; both are kept in the URL."""
    # imported late: the page has its shape before torch is there
    from pages.common import AUTOMATIC, HEADS, broken_cards, chosen_family, families, plain

    found = families()
    if not found:
        return
    with st.sidebar:
        st.selectbox(
            "Model",
            [AUTOMATIC, *found] if len(found) > 1 else list(found),
            format_func=str.capitalize,
            key="model",
            bind="query-params",
            help="Models of a family are trained on the same crystals and differ in the pooling head. Automatic takes "
            "the one that fits the crystal.",
        )
        family, reason = chosen_family()
        if reason:
            st.caption(f"**{plain(family.capitalize())}** models: {plain(reason)}.")
        cards = found[family]
        heads = [head for head in HEADS if head in cards]
        st.radio(
            "Pooling head",
            heads,
            index=heads.index("linear") if "linear" in heads else 0,
            captions=[plain(error_caption(cards[head])) for head in heads],
            key="head",
            bind="query-params",
            help="How atoms become one energy. Linear: the mean of one number per atom, so contributions are exact; "
            "trained to book an effect on the atom that causes it. Gated: not additive; contributions are "
            "Aumann-Shapley values.",
        )
        target = cards[heads[0]].target
        what = ", ".join(filter(None, (target.label, target.unit)))
        st.caption(f"Predicts **{plain(target.short)}**: {plain(what)}")
        for sentence in broken_cards():
            st.caption(f":orange[:material/warning: {plain(sentence)}]")


def error_caption(card) -> str:
    """Validation error of a model in words; in meV/atom where the unit is eV/atom."""
    if card.mae != card.mae:
        return "error not measured"
    if card.target.unit == "eV/atom":
        return f"MAE {1000 * card.mae:.0f} meV/atom"
    return f"MAE {card.mae:.3g} {card.target.unit}"


@st.cache_resource(show_spinner=False)
def spare_the_collector(page: str) -> None:
    """Once a page has run: what is there by then stays, and is no longer looked through.

    Streamlit collects garbage after every run of a page. Going through the modules, models and tables of the app, which
    hold a million objects, would take longer than most pages, and nobody else runs meanwhile.
    """
    gc.collect()
    gc.freeze()


# Streamlit's own margins leave a laptop's screen half empty.
STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding-left: clamp(1rem, 2.5vw, 3rem); padding-right: clamp(1rem, 2.5vw, 3rem);
  max-width: 1800px; }
[data-testid="stMain"] [data-testid="stVerticalBlock"] { gap: 0.7rem; }
[class*="st-key-figure-"] .modebar-container { display: none; }  /* show_figure presses its button */
[data-testid="stSidebarHeader"] { height: 2.2rem; margin-bottom: 0; }
</style>"""

st.set_page_config(page_title="CGCNN: what every atom contributes", layout="wide", initial_sidebar_state=250)
st.html(STYLE)
page = st.navigation(
    [
        st.Page("pages/crystal.py", title="Crystal", url_path="crystal", default=True),
        st.Page("pages/elements.py", title="Elements", url_path="elements"),
        st.Page("pages/perovskites.py", title="Perovskites", url_path="perovskites"),
        st.Page("pages/models.py", title="Models", url_path="models"),
    ]
)
sidebar()
st.session_state["entered"] = True  # see pages.common.enter_through_app
page.run()
spare_the_collector(page.url_path)
