"""What all views of the Perovskites page stand on: the scored space, and the user's DFT where there is any."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import streamlit as st

from cgcnn.datasets import DatasetError
from cgcnn.files import in_words
from cgcnn.kept import file_name
from cgcnn.model import Card, Model
from cgcnn.perovskite.labels import Labels, space_labels
from cgcnn.perovskite.lattice import ANION_SETS, ELEMENTS
from cgcnn.perovskite.scores import scored_space
from cgcnn.perovskite.space import SIZE
from cgcnn.sources import open_source
from cgcnn.targets import describe_target, is_known
from pages.common import HEADS, colour_limit, families, model_named, place_on_this_machine, plain

_KEPT = 8  # scored spaces, and data sets with DFT, held in memory


@dataclass(frozen=True)
class Space:
    """card: of the model; table: of `scored_space`; labels: the user's DFT or None; limit: end of the scale of
    contributions, eV; key: changes with the model and the data set, for widgets and caches
    """

    card: Card
    table: pl.DataFrame
    labels: Labels | None
    limit: float
    key: str

    @property
    def dft(self) -> pl.DataFrame | None:
        return self.labels.table if self.labels else None


def fits(card: Card) -> bool:
    """Whether a model knows the roles and all elements of the space."""
    elements = set(ELEMENTS).union(*ANION_SETS.values())
    return set(card.reference) >= {"A", "B", "X"} and elements <= set(card.elements)


def leave_unless_fit(card: Card) -> None:
    """End the page with a sentence and a way out if the chosen model is none for perovskites."""
    if fits(card):
        return
    st.info(
        f"This page needs a model trained on perovskites; **{plain(card.name)}** knows no A, B and X sites "
        "or not all of their elements."
    )
    for family, heads in families().items():
        good = next((head for head in HEADS if head in heads and fits(heads[head])), None)
        if good:
            st.button(
                f"Use the model {family.capitalize()}", type="primary",
                on_click=st.session_state.update, kwargs=dict(model=family, head=good),
            )  # fmt: skip
            break
    else:
        st.caption("`python -m cgcnn train` makes one from a data set of ABX3; put its folder into models.")
    st.stop()


@st.cache_resource(show_spinner=False)
def _held() -> dict[str, dict]:
    """Scored spaces and labels by what they come from. No cached function, since their making shows progress."""
    return {"spaces": {}, "labels": {}, "locks": {}}


def _remember(kind: str, key: tuple, make: Callable):
    """What was made under this key; where another session is making it, this one waits for it."""
    held, locks = _held()[kind], _held()["locks"]
    if (made := held.get(key)) is not None:
        return made
    lock = locks.setdefault((kind, key), threading.Lock())
    if not lock.acquire(blocking=False):
        with st.spinner("Another session is at the same; waiting for it"):
            lock.acquire()
    try:
        if (made := held.get(key)) is None:
            made = make()
            while len(held) >= _KEPT:
                held.pop(next(iter(held)), None)
            held[key] = made
    finally:
        lock.release()
        locks.pop((kind, key), None)
    return made


def _with_progress(text: str, unit: str, work: Callable):
    """Result of work(progress) with a bar that goes away."""
    bar = st.empty()

    def progress(done: int, total: int) -> None:
        bar.progress(min(1.0, done / max(1, total)), text=f"{text}: {done:,} of {total:,} {unit}")

    try:
        return work(progress)
    finally:
        bar.empty()


def scored(model: Model) -> pl.DataFrame:
    text = f"Scoring the perovskite space with {plain(model.card.name)}, once"
    work = lambda: _with_progress(text, "crystals", lambda progress: scored_space(model, progress))  # noqa: E731
    return _remember("spaces", (model.hash, str(sorted(model.card.reference.items()))), work)


def scored_space_of(card: Card, labels: Labels | None) -> Space:
    model = model_named(card.name)
    key = model.hash if labels is None else f"{model.hash} {labels.name} {labels.target} {len(labels.table)}"
    return Space(card, scored(model), labels, colour_limit(card), key)


# --- the user's DFT ---------------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def _upload_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="cgcnn-")


def _saved(upload) -> Path:
    """An upload as a file that keeps its ending."""
    folder = Path(_upload_folder().name) / upload.file_id
    file = folder / file_name(upload.name, "data")
    if not file.is_file():
        folder.mkdir(exist_ok=True)
        file.write_bytes(upload.getbuffer())
    return file


def choose_labels(card: Card) -> Labels | None:
    """The data set with DFT that the user named or dropped; sentences where it cannot be used."""
    with st.popover("DFT data", icon=":material/database:", width="stretch"):
        st.caption(
            f"A data set of ABX₃ with {plain(card.target.label)}, {plain(card.target.unit)}. A column `split` says "
            "which crystals the model was trained on. It is read, not kept."
        )
        upload = st.file_uploader("CSV, Parquet, JSON, extended XYZ, ASE database, ZIP of CIFs", key="dft_upload")
        typed = st.text_input("or a path on this machine", key="dft", bind="query-params").strip().strip("'\"")
        column = st.empty()
    if not upload and not typed:
        return None
    try:
        path = _saved(upload) if upload else place_on_this_machine(typed)
        return _labels(path, card, column)
    except (DatasetError, OSError) as error:
        st.error(plain(in_words(error) if isinstance(error, OSError) else str(error)))
        return None


def _labels(path: Path, card: Card, column) -> Labels | None:
    stamp = (str(path), path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else (str(path),)
    numeric = _remember("labels", ("columns", *stamp), lambda: open_source(path).numeric)
    if not numeric:
        raise DatasetError(f"{path.name} has no column with numbers; add one with {card.target.label}")
    target = card.target.name if card.target.name in numeric else numeric[0]
    if target != card.target.name and len(numeric) > 1:
        target = column.selectbox("Column with DFT", numeric, key="dft_column", bind="query-params")
    if target != card.target.name and is_known(target):
        raise DatasetError(
            f"{path.name} holds {describe_target(target).label}, which is not the {card.target.label} that the model "
            "predicts; name a data set with that"
        )
    read = lambda: _with_progress(  # noqa: E731
        f"Reading {plain(path.name)}", "rows", lambda progress: space_labels(path, target, progress=progress)
    )
    return _remember("labels", (target, *stamp), read)


def labels_line(labels: Labels) -> str:
    """What is known of the data set, in one line."""
    trained = int((labels.table["split"] == "train").sum())
    parts = [f"DFT: {len(labels.table):,} of {SIZE:,} from {plain(labels.name)}"]
    known = f"{trained:,} of them trained on" if labels.splits else "no column split, so none counts as trained on"
    parts.append(known)
    if labels.unreadable:
        parts.append(f"{labels.unreadable:,} rows cannot be read")
    return ", ".join(parts)
