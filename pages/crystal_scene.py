"""The scene of the Crystal page, in the page itself: it is changed in place, and clicks on atoms come back.

A click makes a *selection*, and so does a row of the table. It is kept in the session, with the crystal it belongs to:
another crystal starts without one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import streamlit as st

from cgcnn.scene import SCRIPT, STYLE, library_text
from cgcnn.viewer import CrystalView

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
// The scene outlives its element: it is moved into the new one when the page comes back from another.
let kept = null, working = Promise.resolve();

function library(address) {
  if (window.$3Dmol) { return Promise.resolve(); }
  return new Promise((resolve, reject) => {
    if (!address) { window.addEventListener("3dmol", resolve, { once: true }); return; }
    const script = document.createElement("script");
    Object.assign(script, { src: address, onload: resolve, onerror: reject });
    document.head.append(script);
  });
}

// 3Dmol measures its element when it begins.
function laidOut(element) {
  return new Promise(resolve => new ResizeObserver((entries, observer) => {
    if (element.clientWidth > 0) { observer.disconnect(); resolve(); }
  }).observe(element));
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
    box.drawn.picked = sites => setTriggerValue("picked", { crystal: data.crystal, sites });
    box.drawn.update(data.scene);
  } catch (error) {
    console.warn(error);
    sceneFailed(box);
  }
}

export default function (component) { working = working.then(() => show(component)); }
""",
)

# Presses the button of the scene; for other elements of the page.
SAVE_PICTURE = 'window.dispatchEvent(new Event("save-scene"));'


def selected(crystal: str) -> list[int]:
    """The selected sites of this crystal, in rising order; another crystal's are forgotten."""
    whose, sites = st.session_state.get("selection", (crystal, ()))
    if whose != crystal:
        select(crystal, ())
        return []
    return list(sites)


def select(crystal: str, sites: Sequence[int]) -> None:
    st.session_state["selection"] = (crystal, tuple(sorted(sites)))


def select_in_table(crystal: str, key: str) -> Callable[[], None]:
    """For `on_select` of the table of the sites, whose key this is."""
    return lambda: select(crystal, st.session_state[key].selection.rows)


def mark_in_table(crystal: str, key: str) -> None:
    """Set the rows of the table to the selection, before it is drawn."""
    state, sites = st.session_state.get(key), selected(crystal)
    if sites != (sorted(state.selection.rows) if state else []):
        st.session_state[key] = {"selection": {"rows": sites, "columns": [], "cells": []}}


def show_selectable(view: CrystalView, crystal: str, sites: int) -> None:
    """The scene of a crystal of that many sites; a click on an atom selects its site.

    crystal: its fingerprint. A click that was made on the one shown before is not taken for one on this.
    """

    def picked() -> None:
        pick = st.session_state[key].get("picked") or {}
        chosen = pick.get("sites", [])
        if pick.get("crystal") == crystal and all(isinstance(i, int) and 0 <= i < sites for i in chosen):
            select(crystal, chosen)

    key = "scene"
    if view.offline:
        _LIBRARY(key=_LIBRARY_KEY)
    _SCENE(
        key=key, on_picked_change=picked,
        data={"scene": view.scene, "height": view.height, "crystal": crystal,
              "address": None if view.offline else view.address},
    )  # fmt: skip
