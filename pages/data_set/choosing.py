"""Choosing a data set: the perovskite space, an atlas, a file, a path; scored once, with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from cgcnn.atlas import Atlas, AtlasError, model_atlas
from cgcnn.datasets import DatasetError
from cgcnn.kept import keep_files, kept_scores
from cgcnn.model import Card, ModelError
from cgcnn.perovskite.scores import SPACE_FILE, space_scores
from cgcnn.scoring import Scores, load_scores
from cgcnn.sources.collections import files_below
from pages.common import model_cards, model_named, place_on_this_machine
from pages.logs import log

# Options are their own labels, since those stand in the URL.
SPACE, TRAINING, UPLOAD, PATH = "Perovskite space", "Training crystals", "Your file", "Path on this machine"
FORMATS = ["csv", "gz", "parquet", "zip", "json", "extxyz", "xyz", "db", "cif"]


@dataclass(frozen=True)
class Shown:
    """What a page shows: scores of a data set, or an atlas.

    key: changes with the content; about: of the scores or of the atlas
    zero: atlas of the model that scored, where it has one; card: of that model, if it is a bundled one
    """

    key: str
    about: dict
    scores: Scores | None
    atlas: Atlas | None
    zero: Atlas | None
    card: Card | None

    @property
    def is_space(self) -> bool:
        return self.scores is not None and self.about["data"] == SPACE_FILE


def choose_data(card: Card, picker, source) -> Shown:
    """The data set of the picker, scored if it is not yet; the page ends with a sentence where there is none.

    picker, source: where to draw the picker, and what goes with the choice
    Raises DatasetError, ModelError, ScoringError.
    """
    atlas = atlas_of(card.name)
    knows_roles = bool(card.reference)  # what other models know best is not the perovskites
    kind = picker.selectbox(
        "Data set", [SPACE, *([TRAINING] if atlas else []), UPLOAD, PATH],
        index=int(atlas is not None and not knows_roles), key="data", bind="query-params",
        help=f"**{SPACE}**: all 18,928 cubic ABX3 of 52 elements on A, 52 on B and 7 anion sets; ideal cells, not "
        "relaxed.\n\nFiles and paths are read in every format of `python -m cgcnn score`: CSV or Parquet, a "
        "folder or ZIP of CIFs, JSON of matbench, extended XYZ, a database of ASE. A path may also be that of a "
        "folder that `score` wrote. Nothing leaves this machine.",
    )  # fmt: skip
    if kind == TRAINING:
        return Shown(f"atlas {card.name} {atlas.about['model hash']}", atlas.about, None, atlas, atlas, card)
    if kind == SPACE:
        scores = scored(("space",), card, space_scores)
    elif kind == PATH:
        path = source.text_input(
            "Path", key="path", bind="query-params", placeholder="/data/crystals.csv, or a folder that score wrote"
        )
        scores = scores_at(path.strip(), card)
    else:
        scores = uploaded(card)
    by = next((c for c in model_cards() if c.name == scores.about["model"]), None)
    zero = atlas_of(by.name) if by else None
    if zero is not None and zero.about["model hash"] != scores.about["model hash"]:
        zero = None
    return Shown(scores.key, scores.about, scores, None, zero, by)


@st.cache_data(show_spinner=False, ttl=60)
def atlas_of(name: str) -> Atlas | None:
    """The atlas of a bundled model, None where it has none."""
    try:
        return model_atlas(name)
    except (AtlasError, ModelError) as error:
        log.warning("%s", error)
        return None


def scores_at(path: str, card: Card) -> Scores:
    """Scores of a path that was typed in: a folder of scores, or a data set to be scored."""
    if not path:
        st.info("Type the path of a data set, or of a folder that `python -m cgcnn score` wrote, and press Enter.")
        st.stop()
    place = place_on_this_machine(path)
    if (place / "score.json").exists():
        return load_scores(place)
    if not place.exists():
        raise DatasetError(f"there is nothing at {path!r}; check the path")
    if place.is_dir() and not any(".cif" in file.name.lower() for file in files_below(place)):
        raise DatasetError(f"{path} is neither a folder that `score` wrote nor one of CIFs")
    state = place.stat()
    identity = ("path", str(place.resolve()), state.st_mtime_ns, state.st_size)
    return scored(identity, card, lambda model, progress: kept_scores(place, model, progress))


def uploaded(card: Card) -> Scores:
    files = st.file_uploader(
        "Crystals: CSV, Parquet, ZIP, JSON, extended XYZ, ASE database, or CIFs",
        type=FORMATS, accept_multiple_files=True, key="data files", max_upload_size=200,
    )  # fmt: skip
    if files:
        st.session_state["kept files"] = keep_files([(file.name, file.getvalue()) for file in files])
    place = st.session_state.get("kept files")  # the page forgets its files when it is left, and shows them again
    if place is None:
        st.info("Drop a file with crystals. It is scored once, and kept in the cache of this machine.")
        st.stop()
    return scored(("files", str(place)), card, lambda model, progress: kept_scores(place, model, progress))


_KEPT = 100  # scores whose tables are known, not held


@st.cache_resource
def finished_scores() -> dict[tuple, Scores]:
    """Scores by what was picked and by the model, so that no file is read again at every click."""
    return {}


def scored(identity: tuple, card: Card, score: Callable) -> Scores:
    """Scores of what was picked, with a progress bar while they are made.

    identity: of the data; score: called with the model and a progress function
    """
    model = model_named(card.name)
    identity = (*identity, card.name, model.hash, str(card.reference))
    place = st.empty()  # there even without a bar, or all below would move and be drawn anew
    known = finished_scores()
    found = known.get(identity)
    if found is None or not (found.folder / "score.json").exists():
        try:
            found = score(model, progress_bar(place))
        finally:
            place.empty()
        while len(known) >= _KEPT:
            known.pop(next(iter(known)), None)  # another session may be as quick
        known[identity] = found
    return found


def progress_bar(place) -> Callable[[int, int], None]:
    """A function to call with (crystals done, crystals in all); shows rate and time left."""
    bar = place.progress(0.0, text="Reading the data set")
    first: tuple[float, int] | None = None

    def progress(done: int, total: int) -> None:
        nonlocal first
        now = time.monotonic()
        first = first or (now, done)  # what an earlier run did is no part of the rate
        text = f"Scoring: {done:,} of {total:,} crystals"
        if done > first[1] and now > first[0]:
            rate = (done - first[1]) / (now - first[0])
            text += f", {rate:,.0f} a second, {duration((total - done) / rate)} left"
        bar.progress(done / total if total else 1.0, text=text)

    return progress


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
