"""What the pages share: cached calls into cgcnn, the theme, and the one place that shows a 3D scene."""

from __future__ import annotations

import hashlib
import os
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
import torch

from cgcnn.cache import cache_folder
from cgcnn.cell import shortened
from cgcnn.contributions import Contributions, explain
from cgcnn.datasets import DatasetError
from cgcnn.files import in_words
from cgcnn.model import Card, Model, ModelError, bundled, load_model
from cgcnn.model_choice import Choice, by_family, fitting_family
from cgcnn.plots import flat_scene, theme, tile_frame
from cgcnn.structures import Crystal, Unreadable, read_crystals
from cgcnn.symmetry import Description, describe
from cgcnn.viewer import CrystalView
from pages.logs import log, log_warnings_by_kind

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import polars as pl
    from pymatgen.core import Structure

log_warnings_by_kind()

# Users share the cores, not the threads of one: on a busy machine threads of small crystals mostly wait for each other.
torch.set_num_threads(1)

CRYSTAL_PAGE = "pages/crystal.py"
HEADS = ("gated", "linear", "mean")  # order in the sidebar
AUTOMATIC = "automatic"  # instead of a family: the one that fits the crystal


@st.cache_resource(show_spinner=False, ttl=60)
def _read_cards() -> tuple[list[Card], list[str]]:
    """Cards of the bundled models, and why others cannot be read; again every minute, so that a new one appears."""
    broken: list[ModelError] = []
    cards = bundled(broken)
    for error in broken:
        log.warning("%s", error)
    return cards, [str(error) for error in broken]


def model_cards() -> list[Card]:
    """Cards of the bundled models."""
    return _read_cards()[0]


def broken_cards() -> list[str]:
    """What is wrong with the cards that cannot be read."""
    return _read_cards()[1]


@st.cache_resource(show_spinner="Loading the model", max_entries=8)
def model_named(name: str) -> Model:
    return load_model(name)


def families() -> dict[str, dict[str, Card]]:
    """Family -> head -> card, the heads in the order of the sidebar."""
    return by_family(sorted(model_cards(), key=lambda c: HEADS.index(c.head) if c.head in HEADS else len(HEADS)))


def chosen_family() -> tuple[str, str]:
    """The family of the sidebar, and why, if it was chosen by the crystal that is shown."""
    chosen = st.session_state.get("model")
    if chosen != AUTOMATIC:
        return chosen, ""
    choice = st.session_state.get("fitting")
    if choice is None or choice.family not in families():
        choice = fitting(None)
    return choice.family, choice.reason


def fitting(structure: Structure | None) -> Choice:
    """The family that fits a crystal, or a view without one."""
    return fitting_family(structure, {name: next(iter(cards.values())) for name, cards in families().items()})


def chosen_card(structure: Structure | None = None) -> Card:
    """The model chosen in the sidebar; the page ends with a sentence where there is none.

    structure: the crystal that is shown, by which an automatic choice goes
    """
    if st.session_state.get("model") == AUTOMATIC and families():
        choice = fitting(structure)
        if choice != st.session_state.get("fitting"):
            st.session_state["fitting"] = choice
            st.rerun()  # the sidebar, drawn already, must say so too
    family = families().get(chosen_family()[0], {})
    card = family.get(st.session_state.get("head")) or next(iter(family.values()), None)
    if card is None:
        for sentence in broken_cards():
            st.error(plain(sentence))
        st.warning("There is no trained model in the folder models. `python -m cgcnn train` makes one.")
        st.stop()
    return card


def colour_limit(card: Card) -> float:
    """End of the colour scale, eV: the same for all heads of a family, so that flipping the head compares."""
    return max(other.colour_limit for other in families()[card.family].values())


@st.cache_data(show_spinner="Reading", max_entries=100)
def read(name: str, data: bytes | str) -> list[Crystal | Unreadable]:
    """The crystals of a file. Cached, since every click runs the page again."""
    return read_crystals(name, data)


def fingerprint(crystal: Crystal) -> str:
    """Short hash of lattice, species and coordinates: the key of everything worked out from a crystal."""
    structure = crystal.structure
    digest = hashlib.sha256(structure.lattice.matrix.tobytes() + structure.frac_coords.tobytes())
    digest.update(" ".join(map(str, structure.atomic_numbers)).encode())
    return digest.hexdigest()[:16]


@st.cache_data(show_spinner=False, max_entries=200)
def described(key: str, _crystal: Crystal) -> Description:
    return describe(_crystal.structure)


@st.cache_data(show_spinner="Explaining", max_entries=400)
def explained(model_name: str, model_hash: str, key: str, _crystal: Crystal) -> Contributions:
    return explain(model_named(model_name), [_crystal.structure])[0]


def nothing_kept(page: str, error: OSError) -> None:
    """What a page says where the cache cannot be written; the log says where it is."""
    log.error("%s: %s below %s", page, error.strerror, cache_folder())
    st.error(
        f"{plain(in_words(error))}. The environment variable CGCNN\\_CACHE names the folder of scores and uploads."
    )


def place_on_this_machine(path: str) -> Path:
    """A path that a user typed. Raises DatasetError where this server does not let its users read there.

    CGCNN_DATA lists the folders that it does, as PATH lists folders; empty for none, not set for all.
    """
    try:
        place, allowed = Path(path).expanduser().absolute(), os.environ.get("CGCNN_DATA")
        place.lstat()
    except OSError:
        pass  # the one who opens it says what is wrong
    except (RuntimeError, ValueError) as error:  # ~nobody, or characters that no path can have
        raise DatasetError(f"{path!r} is no path of this machine") from error
    folders = [Path(folder).resolve() for folder in (allowed or "").split(os.pathsep) if folder]
    if allowed is None or any(place.resolve().is_relative_to(folder) for folder in folders):
        return place
    where = f"below {' and '.join(map(str, folders))}" if folders else "by dropping a file"
    raise DatasetError(f"this server does not read {path!r}; its data sets are to be had {where}")


def enter_through_app() -> None:
    """Run app.py first, where Streamlit did not: it serves a new server's first request for a page past it.

    `app.py` says at every run that it was there.
    """
    if not st.session_state.pop("entered", False):
        runpy.run_path(str(Path(__file__).resolve().parent.parent / "app.py"))
        st.stop()


def open_crystal(crystal: Crystal) -> None:
    """Leave for the Crystal page, which shows this crystal of a data set."""
    st.session_state.update(handed=crystal, source="handed")
    _leave_for_crystal_page()


def open_perovskite(formula: str) -> None:
    """Leave for the Crystal page, which shows this member of the perovskite space; the URL there can be shared."""
    st.session_state.update(perovskite=formula, source="perovskite")
    _leave_for_crystal_page()


def _leave_for_crystal_page() -> None:
    # Without query_params Streamlit raises an error where widgets are bound to the URL; an empty set of them it takes.
    st.switch_page(CRYSTAL_PAGE, query_params={})


# What Streamlit replaces after the Markdown is read, when backslashes are gone: icons, arrows and dashes, and links.
_REPLACED = re.compile(r":(?=material/|streamlit:)|(?<!\S)[-<>~](?=(?:-|=|->|>)(?!\S))")
_LINKED = re.compile(r":(?=//)|www(?=\.)|@", re.IGNORECASE)
_UNSEEN = "\N{WORD JOINER}"


def plain(text: str, links: bool = False) -> str:
    """Text from a file or an address as Markdown shows it literally, in one line; for every text that is not ours.

    links: addresses in it may be clicked; for citations, not for what was uploaded
    """
    text = _REPLACED.sub(rf"\g<0>{_UNSEEN}", shortened(text, 400))
    text = text if links else _LINKED.sub(rf"\g<0>{_UNSEEN}", text)
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$<>:&])", r"\\\1", text)


def is_dark() -> bool:
    return st.context.theme.type == "dark"


def show_scene(view: CrystalView, height: int) -> None:
    """stmol's showmol; Streamlit's own iframe where stmol, or the call that it makes, is gone.

    A drawing where the browser has said that it cannot draw scenes.
    """
    if "flat" in st.session_state:
        figure = flat_scene(view.scene, height=height, dark=is_dark())
        st.plotly_chart(figure, theme=None, config={"displayModeBar": False})
        return
    try:
        from stmol import showmol

        showmol(view, height=height, width=None)
    except (ImportError, AttributeError, TypeError):
        st.iframe(view._make_html(), height=height)


# Plotly draws PNG and SVG in the browser only, by a button of its own that knows one format; these two press it.
_SAVE_PICTURE = st.components.v2.component(
    "save_picture",
    html='<button data-format="png">PNG picture</button><button data-format="svg">SVG drawing</button>',
    css="""
button { display: block; width: 100%; padding: 0.45rem 0; border: 0; background: none; cursor: pointer;
  text-align: left; font: inherit; font-size: 0.875rem; line-height: 1.6; color: var(--st-text-color); }
button:hover, button:focus-visible { color: var(--st-primary-color); }
""",
    js="""
export default function ({ data, parentElement }) {
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = () => {
      const figure = document.querySelector(`.st-key-${data.key} .js-plotly-plot`);
      const format = button.dataset.format, scale = format === "png" ? 3 : 1;
      Object.assign(figure._context.toImageButtonOptions, { format, scale, filename: data.name });
      figure.querySelector(".modebar-btn").dispatchEvent(new MouseEvent("click"));
    };
  }
}
""",
)


def drawn(draw: Callable[..., go.Figure], *arguments, **options) -> go.Figure:
    """The figure of one of `plots`, for a page that is dark or not; not to be changed, since everybody gets the same.

    plotly checks every property of a figure, which would be much of the time of a rerun.
    """
    return _drawn(draw.__name__, arguments, options | {"dark": is_dark()}, draw)


@st.cache_resource(show_spinner=False, max_entries=200)
def _drawn(name: str, arguments: tuple, options: dict, _draw: Callable[..., go.Figure]) -> go.Figure:
    return _draw(*arguments, **options)


def show_figure(
    figure: go.Figure,
    key: str,
    name: str,
    *,
    caption: str = "",
    data: pl.DataFrame | pd.DataFrame | None = None,
    on_select="ignore",
    selection_mode="points",
):
    """A figure, below it its caption and a quiet menu that saves it as PNG, SVG or HTML, and its numbers as CSV.

    key: of the chart; name: of the files, without ending; data: table behind the figure, for the CSV
    on_select, selection_mode: see `st.plotly_chart`, whose answer is returned
    """
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", key)
    config = {"displayModeBar": True, "displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": {}}
    with st.container(key=f"figure-{slug}", gap="xxsmall"):
        answer = st.plotly_chart(
            figure, theme=None, key=key, config=config, on_select=on_select, selection_mode=selection_mode
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", wrap=False):
            st.caption(caption or "\N{NO-BREAK SPACE}")
            menu = st.popover("", type="tertiary", icon=":material/download:", help="Save figure or numbers")
            with menu, st.container(gap=None, width=150):
                save = dict(type="tertiary", on_click="ignore")
                _SAVE_PICTURE(data={"key": f"figure-{slug}", "name": name}, key=f"save {key}")
                st.download_button(
                    "HTML, interactive", lambda: figure.to_html(config={"displaylogo": False}),
                    file_name=f"{name}.html", mime="text/html", key=f"html {key}", **save,
                )  # fmt: skip
                if data is not None:
                    st.download_button(
                        "CSV, the numbers", lambda: to_csv(data), file_name=f"{name}.csv", mime="text/csv",
                        key=f"csv {key}", **save,
                    )  # fmt: skip
    return answer


def frame_tile(key: str, figure: go.Figure, symbol: str | None) -> None:
    """A frame around an element in a periodic table that `show_figure` shows under this key; none for None."""
    rule = ""
    if symbol is not None:
        left, top, width, height = (f"{100 * share:.3f}%" for share in tile_frame(figure, symbol))
        frame = f".st-key-{re.sub(r'[^a-zA-Z0-9_-]', '-', key)} [data-testid='stFullScreenFrame']"
        rule = (
            f"{frame} {{ position: relative; }} {frame}::after {{ content: ''; position: absolute; left: {left}; "
            f"top: {top}; width: {width}; height: {height}; box-sizing: border-box; pointer-events: none; "
            f"border: 3px solid {theme(is_dark()).accent}; border-radius: 3px; }}"
        )
    st.html(f"<style>{rule} </style>")


def to_csv(table: pl.DataFrame | pd.DataFrame) -> str:
    """A table of polars or pandas as CSV."""
    return table.write_csv() if hasattr(table, "write_csv") else table.to_csv(index=False)
