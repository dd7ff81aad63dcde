"""What the page says of the data and of what to believe."""

from __future__ import annotations

import html

import streamlit as st

from cgcnn.model import Card
from cgcnn.plots import signed
from pages.common import plain
from pages.data_set.choosing import SPACE, Shown


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
        done = content["perovskites"] + content["others"]
        warn(f"{done:,} of {about['rows']:,} rows are scored so far; the same `score` command goes on with the others.")
    if about["reference"] and not content["perovskites"]:
        warn(
            "None of these crystals is an ABX3 perovskite, and the model was trained on no others: the numbers are a "
            "guess. They have no roles, so zero is each crystal's own mean."
        )
    elif perovskite is False:
        warn("The model was trained on perovskites only: these numbers are a guess.")
    unseen = sorted(set(content["elements"]) - set(shown.card.elements)) if shown.card and shown.card.elements else []
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


def with_sd(row: dict) -> str:
    return signed(row["mean"]) + ("" if row["sd"] is None else f" ± {row['sd']:.3f}")
