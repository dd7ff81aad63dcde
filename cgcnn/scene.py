"""A 3D scene as plain data, and as a page: a py3Dmol view that carries 3Dmol.js and the script that draws the data.

py3Dmol fetches 3Dmol.js from the internet, in the browser; here npm's copy of it is written into the scene, so that
it also shows behind a firewall. `scene.js` draws the data, with what 3Dmol lacks: colour bar, buttons, hover labels,
selection by clicks. Nothing here imports Streamlit: a `CrystalView` is shown by stmol's `showmol`, or as any py3Dmol
view, or saved as a page of its own; its data can also be drawn elsewhere, by the same script.
"""

from __future__ import annotations

import hashlib
import html
import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import py3Dmol

from .plots import CONTRIBUTION_STOPS, SELECTED, Theme, element_colour, share_stops, signed, text_on

_HERE = Path(__file__).resolve().parent
SCRIPT = (_HERE / "scene.js").read_text(encoding="utf-8")  # sceneIn(box, viewer).update(data)
STYLE = (_HERE / "scene.css").read_text(encoding="utf-8")
LIBRARY = _HERE.parent / "node_modules" / "3dmol" / "build" / "3Dmol-min.js"

_MOST_SYMBOLS = 400  # drawn atoms that still get their symbol written on them
_MARK = {"colour": SELECTED, "alpha": 0.6, "times": 1.35}  # a sphere around every drawn atom of a selected site


@dataclass(frozen=True)
class ColourBar:
    """What the colours mean: title and unit in words, ends of the scale.

    The scale is that of contributions from -limit to limit, or, with `low`, that of shares from low to limit.
    """

    title: str
    unit: str
    limit: float
    low: float | None = None

    def ticks(self) -> list[str]:
        if self.low is None:
            return [signed(x, 2) for x in (-self.limit, -self.limit / 2, 0, self.limit / 2, self.limit)]
        return [f"{self.low + share * (self.limit - self.low):.2f}" for share in (0, 0.5, 1)]

    def stops(self, look: Theme) -> list[tuple[float, str]]:
        """Position from 0 to 1 and colour."""
        if self.low is None:
            return [((position + 1) / 2, colour) for position, colour in CONTRIBUTION_STOPS]
        return list(share_stops(look))


@dataclass(frozen=True)
class SceneAtoms:
    """What is drawn: D atoms, images of S sites.

    element: (S,) symbols; radius: (S,) angstrom; colour: (S,) "#rrggbb"; label: (S,) lines of text
    site: (D,) int, the site of each atom; position: (D, 3) angstrom; bonds: (K, 2) int, pairs of drawn atoms
    """

    element: Sequence[str]
    radius: np.ndarray
    colour: Sequence[str]
    label: Sequence[Sequence[str]]
    site: np.ndarray
    position: np.ndarray
    bonds: np.ndarray


class CrystalView(py3Dmol.view):
    """A py3Dmol view of a scene that carries its own 3Dmol.js.

    scene: the data, all of it JSON, that `sceneIn(box, viewer).update(scene)` of scene.js draws
    offline: whether 3Dmol.js is in the page; if not, the browser asks `address`, a CDN, for it
    """

    address = inspect.signature(py3Dmol.view).parameters["js"].default

    def __init__(self, scene: dict, height: int | str = 480):
        super().__init__(width="100%", height=height)
        self.scene = scene
        self.height = height
        self.offline = LIBRARY.is_file()
        box = 'document.getElementById("3dmolviewer_UNIQUEID").parentElement'
        self.startjs += (
            f"window.drawn = sceneIn({box}, viewer_UNIQUEID);\nwindow.viewer = drawn.viewer;\n"
            f"drawn.update({_json(scene)});\nwindow.sceneReady = true;\n"
        )
        self.endjs = f"}}).catch(function(error) {{ console.warn(error); sceneFailed({box}); }});\n</script>"

    def _make_html(self) -> str:
        # The name comes from the content: a page that reruns with the same scene leaves the iframe alone.
        body = self.startjs + self.endjs
        self.uniqueid = hashlib.sha256(body.encode()).hexdigest()[:12]
        library = ""
        if self.offline:
            library = f"<script>{library_text()}\nvar $3Dmolpromise = Promise.resolve();</script>\n"
        style = f"<style>html, body {{ margin: 0; overflow: hidden; }}\n{STYLE}</style>"
        frame = style + '<div id="scene">' + self.startjs.replace("<script>", f"</div><script>{SCRIPT}", 1)
        return (library + frame + self.endjs).replace("UNIQUEID", self.uniqueid)

    def page(self, title: str) -> str:
        """The scene as a complete HTML document, which needs nothing else if `offline`."""
        style = "<style>body { margin: 0; }</style>"
        head = f'<meta charset="utf-8"><title>{html.escape(title)}</title>{style}'
        return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{self._make_html()}</body></html>\n'


def scene_data(
    atoms: SceneAtoms,
    look: Theme,
    *,
    shapes: Sequence[tuple[str, dict]],
    bar: ColourBar | None,
    turns: dict[str, list[float]],
    key: str,
    name: str,
    highlight: Sequence[int] = (),
    symbols: bool = True,
) -> dict:
    """What scene.js draws, all of it JSON; see `viewer.crystal_view`.

    shapes: (method of 3Dmol's GLViewer, its argument); turns: quaternions of the views by name
    name: of a saved picture, without ending
    """
    elements = list(dict.fromkeys(atoms.element[i] for i in atoms.site))
    sites = {"element": list(atoms.element), "radius": np.round(atoms.radius, 3).tolist(), "colour": list(atoms.colour),
             "ink": [text_on(colour) for colour in atoms.colour],
             "label": [list(map(str, lines)) for lines in atoms.label]}  # fmt: skip
    return {
        "key": f"crystal-camera:{key}", "name": name, "look": asdict(look), "sites": sites,
        "atoms": {"site": atoms.site.tolist(), "position": atoms.position.round(4).tolist()},
        "bonds": atoms.bonds.tolist(), "shapes": [list(shape) for shape in shapes], "turns": turns, "mark": _MARK,
        "highlight": [int(i) for i in highlight], "symbols": symbols, "mostSymbols": _MOST_SYMBOLS,
        "legend": [] if bar else [[e, element_colour(e)] for e in elements],
        "bar": {"stops": bar.stops(look), "ticks": bar.ticks(), "title": f"{bar.title}, {bar.unit}"} if bar else None,
    }  # fmt: skip


def point(position: np.ndarray) -> dict[str, float]:
    """Coordinates as 3Dmol takes them."""
    return dict(zip("xyz", np.asarray(position).round(4).tolist(), strict=True))


@cache
def library_text() -> str:
    """3Dmol.js; empty where npm did not bring it."""
    if not LIBRARY.is_file():
        return ""
    # a browser ends the script at "</script", wherever it stands
    return LIBRARY.read_text(encoding="utf-8").replace("</script", "<\\/script")


def _json(value) -> str:
    return json.dumps(value).replace("<", "\\u003c")
