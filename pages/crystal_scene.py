"""The scene of the Crystal page, in the page itself: it is changed in place, and clicks on atoms come back.

A click makes a *selection*, and so does a row of the table. It is kept in the session, with the crystal it belongs to:
another crystal starts without one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import streamlit as st

from cgcnn.plots import flat_scene
from cgcnn.scene import SCRIPT, STYLE, library_text
from cgcnn.viewer import CrystalView
from pages.common import is_dark

# 3Dmol.js, half a megabyte, is an element of its own, which never changes: Streamlit sends such a message once.
_LIBRARY_KEY = "scene-library"
_LIBRARY = st.components.v2.component(
    "scene_library",
    css=f".st-key-{_LIBRARY_KEY} {{ display: none; }}",
    js=f"""
const text = {json.dumps(library_text())};
export default function () {{
  if (window.$3Dmol) {{ return; }}
  // a classic script: 3Dmol.js cannot be read as a module
  document.head.append(Object.assign(document.createElement("script"), {{ textContent: text }}));
  window.dispatchEvent(new Event("3dmol"));
}}
""",
    isolate_styles=False,
)

_SCENE = st.components.v2.component(
    "crystal_scene",
    html='<div id="place"></div>',
    css=STYLE,
    js=SCRIPT
    + """
const PATIENCE = 10000;  // ms, for 3Dmol.js

// The scene outlives its element: it is moved into the new one when the page comes back from another.
let kept = null, working = Promise.resolve();

function library(address) {
  if (window.$3Dmol) { return Promise.resolve(); }
  return new Promise((resolve, reject) => {
    if (!address) { window.addEventListener("3dmol", resolve, { once: true }); return; }
    const script = document.createElement("script");
    const failed = () => reject(new Error("no 3Dmol.js"));
    Object.assign(script, { src: address, onload: resolve, onerror: failed });
    document.head.append(script);
    setTimeout(failed, PATIENCE);  // a firewall need not answer at all
  });
}

// 3Dmol measures its element when it begins.
function laidOut(element) {
  return new Promise(resolve => new ResizeObserver((entries, observer) => {
    if (element.clientWidth > 0) { observer.disconnect(); resolve(); }
  }).observe(element));
}

// The row of a single site; a table of Streamlit cannot be scrolled from Python.
function bringIntoView({ table, header, height }, sites) {
  const scroller = document.querySelector(`${table} .dvn-scroller`), top = height * sites[0];
  if (!scroller || sites.length !== 1) { return; }
  const from = scroller.scrollTop, room = scroller.clientHeight - header;
  if (top < from || top + height > from + room) { scroller.scrollTo({ top: top - (room - height) / 2 }); }
}

async function show({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector("#place");
  if (!kept) {
    const box = document.createElement("div"), canvas = document.createElement("div");
    box.id = "scene";
    canvas.style = "position: relative; width: 100%; height: 100%";
    box.append(canvas);
    kept = { box, canvas };
  }
  const { box, canvas } = kept;
  box.style.height = data.height + "px";
  if (box.parentNode !== place) { place.replaceChildren(box); }
  try {
    await library(data.address);
    await laidOut(box);
    if (!box.drawn) {
      box.drawn = sceneIn(box, $3Dmol.createViewer(canvas, { backgroundColor: data.scene.look.background }));
      window.addEventListener("save-scene", () => box.querySelector("#png").click());
    }
    box.drawn.picked = sites => {
      setTriggerValue("picked", { crystal: data.crystal, sites });
      bringIntoView(data.rows, sites);
    };
    box.drawn.update(data.scene);
  } catch (error) {
    console.warn(error);
    sceneFailed(box);
    setTriggerValue("flat", window.$3Dmol ? "webgl" : "library");  // the page draws it in another way
  }
}

export default function (component) { working = working.then(() => show(component)); }
""",
)

# Presses the button of the scene; for other elements of the page.
SAVE_PICTURE = 'window.dispatchEvent(new Event("save-scene"));'


# Why a browser draws no scene -> what the page says of it.
WHY_FLAT = {
    "webgl": "Drawn flat: this browser has no WebGL. The numbers are complete.",
    "library": "Drawn flat: there is no 3Dmol.js; `npm install` in the app's folder brings it.",
}
TURNS = {"start": "oblique", "a": "along a", "b": "along b", "c": "along c"}


HEADER, ROW = 38, 29  # px, of the table of the sites


def table_key(crystal: str) -> str:
    """Key of the table of the sites of a crystal."""
    return f"table {crystal}"


def selected(crystal: str) -> list[int]:
    """The selected sites of this crystal, in rising order; another crystal's are forgotten."""
    whose, sites = st.session_state.get("selection", (crystal, ()))
    if whose != crystal:
        select(crystal, ())
        return []
    return list(sites)


def select(crystal: str, sites: Sequence[int]) -> None:
    st.session_state["selection"] = (crystal, tuple(sorted(sites)))


def select_in_table(crystal: str) -> Callable[[], None]:
    """For `on_select` of the table of the sites."""
    return lambda: select(crystal, st.session_state[table_key(crystal)]["selection"]["rows"])


def mark_in_table(crystal: str) -> None:
    """Set the rows of the table to the selection, before it is drawn."""
    key = table_key(crystal)
    state, sites = st.session_state.get(key), selected(crystal)
    if sites != (sorted(state["selection"]["rows"]) if state else []):
        st.session_state[key] = {"selection": {"rows": sites, "columns": [], "cells": []}}


def sites_picked(pick, crystal: str, sites: int) -> list[int] | None:
    """What a click in the browser selected; None if that is not of this crystal of so many sites."""
    chosen = pick.get("sites") if isinstance(pick, dict) and pick.get("crystal") == crystal else None
    if isinstance(chosen, list) and all(isinstance(i, int) and 0 <= i < sites for i in chosen):
        return chosen
    return None


def show_selectable(view: CrystalView, crystal: str, sites: int) -> None:
    """The scene of a crystal of that many sites; a click on an atom selects its site. crystal: its fingerprint.

    A browser that cannot draw it says so, and gets a flat picture for the rest of the session.
    """

    def picked() -> None:
        chosen = sites_picked(st.session_state[key].get("picked"), crystal, sites)
        if chosen is not None:
            select(crystal, chosen)

    def failed() -> None:
        why = st.session_state[key].get("flat")
        if why in WHY_FLAT:
            st.session_state["flat"] = why

    if "flat" in st.session_state:
        show_flat(view, crystal, sites)
        return
    key = "scene"
    if view.offline:
        _LIBRARY(key=_LIBRARY_KEY)
    _SCENE(
        key=key, on_picked_change=picked, on_flat_change=failed,
        data={"scene": view.scene, "height": view.height, "crystal": crystal,
              "address": None if view.offline else view.address,
              "rows": {"table": f".st-key-{table_key(crystal).replace(' ', '-')}", "header": HEADER, "height": ROW}},
    )  # fmt: skip


def show_flat(view: CrystalView, crystal: str, sites: int) -> None:
    """The scene as a drawing, where a click on an atom selects its site too."""
    with st.container(key="flat-scene", gap="xxsmall"):
        turn = st.segmented_control(
            "Look along", list(TURNS), format_func=TURNS.get, default="start", required=True, key="turn",
            label_visibility="collapsed",
        )  # fmt: skip

        def picked() -> None:
            points = st.session_state[key]["selection"]["points"]
            chosen = {"crystal": crystal, "sites": sorted({p["customdata"] for p in points if "customdata" in p})}
            if sites_picked(chosen, crystal, sites) is not None:
                select(crystal, chosen["sites"])

        key = f"flat {crystal}"
        st.plotly_chart(
            flat_scene(view.scene, turn, height=view.height - 60, dark=is_dark()), theme=None, key=key,
            config={"displayModeBar": False}, on_select=picked, selection_mode="points",
        )  # fmt: skip
        st.caption(WHY_FLAT[st.session_state["flat"]])
