"""Export: the explained crystal as files of the field."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cgcnn.export import to_csv, to_extxyz, to_pymatgen_json
from pages.crystal_scene import SAVE_PICTURE
from pages.crystal_tabs.shown import Shown

# The picture is made where the scene is; this presses the button there.
_PNG = st.components.v2.component(
    "scene_as_png",
    html='<button type="button">PNG picture</button>',
    css="""
button { width: 100%; min-height: 2.5rem; padding: 0.25rem 0.75rem; font: inherit; font-size: 0.875rem;
  color: inherit; cursor: pointer;  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius, 0.4rem); }
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
""",
    js=f"""
export default function ({{ parentElement }}) {{
  parentElement.querySelector("button").onclick = () => {{ {SAVE_PICTURE} }};
}}
""",
)


def show(shown: Shown) -> None:
    facts, result, name = shown.facts, shown.result, shown.formula
    scene = shown.scene("100vh", f"export {shown.key}")
    offline = "works without internet" if scene.offline else "asks the internet for 3Dmol.js"
    files: list[tuple[str, str, str, str, Callable[[], str]]] = [
        ("CSV", "one row a site, as in the table above", f"{name}.csv", "text/csv", lambda: to_csv(facts, result)),
        ("Extended XYZ", "for ASE and OVITO: a column for contribution, relative, sd, role; units in the comment line",
         f"{name}.xyz", "chemical/x-xyz", lambda: to_extxyz(facts, result)),
        ("pymatgen JSON", "a Structure with site properties; reads back here too", f"{name}.json", "application/json",
         lambda: to_pymatgen_json(facts, result)),
        ("HTML scene", f"the crystal as it is drawn above, to turn in any browser; {offline}", f"{name}.html",
         "text/html", lambda: scene.page(name)),
    ]  # fmt: skip
    *columns, last = st.columns(len(files) + 1)
    for column, (label, about, file, mime, make) in zip(columns, files, strict=True):
        with column:
            st.download_button(
                label, make, file_name=file, mime=mime, icon=":material/download:", width="stretch", on_click="ignore"
            )
            st.caption(about)
    with last:
        _PNG(key="png")
        st.caption("the scene as it is turned above, with its colour bar, at four times the size on the screen")
