"""The page of a 3D scene: a py3Dmol view that carries 3Dmol.js, its colour bar, buttons and hover labels.

py3Dmol fetches 3Dmol.js from the internet, in the browser; here npm's copy of it is written into the scene, so that
it also shows behind a firewall. 3Dmol draws no colour bar; it is added. Nothing here imports Streamlit: a
`CrystalView` is shown by stmol's `showmol`, or as any py3Dmol view, or saved as a page of its own.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import py3Dmol

from .plots import CONTRIBUTION_STOPS, Theme, element_colour, share_stops, signed, text_on

LIBRARY = Path(__file__).resolve().parent.parent / "node_modules" / "3dmol" / "build" / "3Dmol-min.js"

_MOST_SYMBOLS = 400  # drawn atoms that still get their symbol written on them


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
    """What is drawn; D atoms.

    element: (D,) symbols; position: (D, 3) angstrom; radius: (D,) angstrom; colour: (D,) "#rrggbb"
    site: (D,) int, number of the label of each; bonds: (K, 2) int, pairs of drawn atoms
    """

    element: Sequence[str]
    position: np.ndarray
    radius: np.ndarray
    colour: Sequence[str]
    site: np.ndarray
    bonds: np.ndarray


class CrystalView(py3Dmol.view):
    """A py3Dmol view that carries its own 3Dmol.js, colour bar, buttons and hover labels.

    offline: whether 3Dmol.js is in the scene; if not, the browser asks a CDN for it
    """

    def __init__(self, height: int | str = 480):
        super().__init__(width="100%", height=height)
        self.overlay = ""
        self.offline = LIBRARY.is_file()
        self.endjs = "}).catch(function(error) { cgcnnFailed(error); });\n</script>"

    def call(self, name: str, *arguments) -> None:
        """Call a method of 3Dmol's GLViewer; arguments go as JSON in which no text can end the script."""
        self.script(f"viewer_UNIQUEID.{name}({', '.join(map(_json, arguments))});")

    def script(self, text: str) -> None:
        self.startjs += text + "\n"

    def _make_html(self) -> str:
        # The name comes from the content: a page that reruns with the same scene leaves the iframe alone.
        body = self.overlay + self.startjs + self.endjs
        self.uniqueid = hashlib.sha256(body.encode()).hexdigest()[:12]
        library = ""
        if self.offline:
            library = f"<script>{_library()}\nvar $3Dmolpromise = Promise.resolve();</script>\n"
        frame = '<div id="scene">' + self.overlay + self.startjs.replace("<script>", "</div><script>" + _FAILED, 1)
        return (library + frame + self.endjs).replace("UNIQUEID", self.uniqueid)

    def page(self, title: str) -> str:
        """The scene as a complete HTML document, which needs nothing else if `offline`."""
        style = "<style>body { margin: 0; }</style>"
        head = f'<meta charset="utf-8"><title>{html.escape(title)}</title>{style}'
        return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{self._make_html()}</body></html>\n'


def begin(look: Theme, height: int | str) -> CrystalView:
    """An empty scene in the colours of the page."""
    view = CrystalView(height)
    view.call("setBackgroundColor", look.background)
    view.call("setProjection", "orthographic")
    view.call("addModel")
    return view


def add_atoms(view: CrystalView, atoms: SceneAtoms, look: Theme) -> None:
    """Spheres, and thin sticks for the bonds."""
    partners: list[list[int]] = [[] for _ in atoms.site]
    for first, second in atoms.bonds.tolist():
        partners[first].append(second)
        partners[second].append(first)
    view.script(
        "viewer_UNIQUEID.getModel().addAtoms("
        + _json(
            [
                {
                    "elem": atoms.element[n], "x": x, "y": y, "z": z, "serial": n, "color": atoms.colour[n],
                    "bonds": partners[n], "bondOrder": [1] * len(partners[n]),
                    "properties": {"site": int(atoms.site[n])},
                    "style": {
                        "sphere": {"radius": round(float(atoms.radius[n]), 3), "color": atoms.colour[n]},
                        "stick": {"radius": 0.07, "color": look.zero, "hidden": not partners[n]},
                    },
                }
                for n, (x, y, z) in enumerate(atoms.position.round(4).tolist())
            ]
        )
        + ");"
    )  # fmt: skip


def finish(
    view: CrystalView,
    atoms: SceneAtoms,
    labels: Sequence[Sequence[str]],
    look: Theme,
    *,
    bar: ColourBar | None,
    turns: dict[str, list[float]],
    key: str,
    name: str,
    highlight: Sequence[int] = (),
    symbols: bool = True,
) -> CrystalView:
    """Colour bar or legend, buttons, hover labels, the camera; see `viewer.crystal_view`."""
    elements = list(dict.fromkeys(atoms.element))
    view.overlay = _overlay(bar, elements, look)
    inks = {int(i): text_on(colour) for i, colour in zip(atoms.site, atoms.colour, strict=True)}
    scene = {"labels": [list(map(str, lines)) for lines in labels], "turns": turns, "key": f"crystal-camera:{key}",
             "highlight": [int(i) for i in highlight], "inks": [inks.get(i, "#101314") for i in range(len(labels))],
             "symbols": symbols, "mostSymbols": _MOST_SYMBOLS, "name": name, "ink": look.text,
             "legend": [] if bar else [[e, element_colour(e)] for e in elements], "bar": None}  # fmt: skip
    if bar:
        scene["bar"] = {"stops": bar.stops(look), "ticks": bar.ticks(), "title": f"{bar.title}, {bar.unit}"}
    view.script(_BEHAVIOUR.replace("SCENE", _json(scene)))
    return view


def point(position: np.ndarray) -> dict[str, float]:
    """Coordinates as 3Dmol takes them."""
    return dict(zip("xyz", np.asarray(position).round(4).tolist(), strict=True))


@cache
def _library() -> str:
    # a browser ends the script at "</script", wherever it stands
    return LIBRARY.read_text(encoding="utf-8").replace("</script", "<\\/script")


def _json(value) -> str:
    return json.dumps(value).replace("<", "\\u003c")


def _overlay(bar: ColourBar | None, elements: Sequence[str], look: Theme) -> str:
    """HTML over the scene: colour bar or legend, buttons, and the empty hover label."""
    if bar is None:
        swatches = "".join(
            f'<span><i style="background:{element_colour(e)}"></i>{html.escape(e)}</span>' for e in elements
        )
        meaning = f'<div id="legend">{swatches}</div>'
    else:
        ticks = "".join(f"<span>{tick}</span>" for tick in bar.ticks())
        gradient = ", ".join(f"{colour} {100 * position:.1f}%" for position, colour in bar.stops(look))
        meaning = (
            f'<div id="bar"><div id="gradient" style="background:linear-gradient(to right, {gradient})"></div>'
            f'<div id="ticks">{ticks}</div><div>{html.escape(bar.title)}, {html.escape(bar.unit)}</div></div>'
        )
    switch = '<button type="button" id="symbols" title="element symbols on the atoms">symbols</button>'
    buttons = "".join(
        f'<button type="button" data-turn="{turn}" title="{title}">{text}</button>'
        for turn, title, text in (
            ("a", "look along a", "a"), ("b", "look along b", "b"), ("c", "look along c", "c"),
            ("start", "back to the first view", "reset"),
        )
    )  # fmt: skip
    style = _STYLE
    for name in ("background", "panel", "text", "muted", "line", "accent"):
        style = style.replace(f"var-{name}", getattr(look, name))
    save = '<button type="button" id="png" title="save this picture">PNG</button>'
    views = f'<div id="views">{switch}{save}<span></span>{buttons}</div>'
    page = f'<style>{style}</style>{views}{meaning}<div id="label" hidden></div>'
    return page.encode("ascii", "xmlcharrefreplace").decode()


_STYLE = """
html, body { margin: 0; background: var-background; overflow: hidden; }
#scene { position: relative; color: var-text; font: 13px/1.35 "Source Sans", "Source Sans Pro", system-ui, sans-serif; }
#scene canvas { outline: none; }
#views { position: absolute; top: 8px; left: 0; right: 4px; z-index: 20; display: flex; gap: 4px;
  pointer-events: none; }
#views span { flex: 1; }
#views button { pointer-events: auto; font: inherit; color: var-text; background: var-panel;
  border: 1px solid var-line; border-radius: 5px; padding: 2px 9px; cursor: pointer; }
#views button:hover, #views button:focus-visible { border-color: var-accent; color: var-accent; outline: none; }
#views button[aria-pressed="true"] { border-color: var-accent; color: var-accent; }
#views button[hidden] { display: none; }
#bar { position: absolute; left: 50%; bottom: 6px; transform: translateX(-50%); width: min(320px, 86%); z-index: 20;
  text-align: center; color: var-muted; pointer-events: none; }
#gradient { height: 9px; border-radius: 2px; }
#ticks { display: flex; justify-content: space-between; color: var-text; font-variant-numeric: tabular-nums; }
#ticks span { width: 0; display: flex; justify-content: center; }
#ticks span:first-child { justify-content: flex-start; } #ticks span:last-child { justify-content: flex-end; }
#legend { position: absolute; left: 0; right: 0; bottom: 8px; z-index: 20; display: flex; flex-wrap: wrap;
  justify-content: center; gap: 2px 14px; pointer-events: none; }
#legend i { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 5px;
  box-shadow: inset 0 0 0 1px rgba(128, 128, 128, .5); }
#label { position: absolute; z-index: 30; background: var-panel; border: 1px solid var-line; border-radius: 6px;
  padding: 5px 9px; pointer-events: none; box-shadow: 0 2px 8px rgba(0, 0, 0, .18); white-space: nowrap;
  font-variant-numeric: tabular-nums; }
#label div:first-child { font-weight: 600; } #label div:nth-child(n+4) { color: var-muted; }
#failed { padding: 3rem 1.5rem; text-align: center; }
"""

_FAILED = """
function cgcnnFailed(error) {
  var scene = document.getElementById("scene");
  if (!scene.querySelector("#failed")) scene.insertAdjacentHTML("beforeend", '<div id="failed"></div>');
  scene.querySelector("#failed").textContent =
    "The crystal cannot be drawn here (is WebGL switched off in this browser?). The numbers are complete without it.";
}
"""

# Camera, buttons and hover labels. Text enters the page as textContent only.
_BEHAVIOUR = """
(function(viewer, scene) {
  window.viewer = viewer;
  window.highlighted = scene.highlight;
  function recall(key) { try { return JSON.parse(sessionStorage.getItem(key)); } catch (e) { return null; } }
  function keep(key, value) { try { sessionStorage.setItem(key, JSON.stringify(value)); } catch (e) {} }
  var atoms = viewer.getModel().selectedAtoms(), spread = function(list) {
    return Math.max.apply(null, list) - Math.min.apply(null, list); };

  // pixels an angstrom
  function scale() {
    var p = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]].map(function(at) {
      return viewer.modelToScreen({x: at[0], y: at[1], z: at[2]}); });
    return Math.sqrt(p.slice(1).reduce(function(sum, q) {
      return sum + Math.pow(q.x - p[0].x, 2) + Math.pow(q.y - p[0].y, 2); }, 0) / 2);
  }
  // 3Dmol's own zoomTo leaves half of an orthographic picture empty; this fills the room above the colour bar.
  function fit() {
    var box = viewer.getCanvas().getBoundingClientRect();
    for (var round = 0; round < 2; round++) {
      viewer.render();
      var at = atoms.map(function(atom) { return viewer.modelToScreen(atom); }), border = 1.5 * scale();
      var wide = spread(at.map(function(p) { return p.x; })) + border;
      var high = spread(at.map(function(p) { return p.y; })) + border;
      viewer.zoom(Math.min((box.width - 24) / wide, (box.height - 116) / high));
    }
    viewer.translate(0, -20);
  }
  function turn(quaternion) {
    viewer.zoomTo();
    viewer.setView(viewer.getView().slice(0, 4).concat(quaternion));
    fit();
    viewer.render();
  }

  // Symbols are drawn over everything, so those of hidden or tiny atoms are left out, anew for every view.
  var symbols = [], shown = recall("crystal-symbols");
  if (shown === null) { shown = scene.symbols; }
  if (atoms.length <= scene.mostSymbols) {
    symbols = atoms.map(function(atom) {
      var ink = scene.inks[atom.properties.site], at = {x: atom.x, y: atom.y, z: atom.z};
      return viewer.addLabel(atom.elem, {position: at, fontColor: ink, fontSize: 14, bold: true, alignment: "center",
        showBackground: false, inFront: true}, undefined, true);
    });
  }
  function tidy() {
    var q = viewer.getView().slice(4), x = q[0], y = q[1], z = q[2], w = q[3], pixels = scale(), changed = false;
    var at = atoms.map(function(p) { return [
      (1 - 2 * (y * y + z * z)) * p.x + 2 * (x * y - w * z) * p.y + 2 * (x * z + w * y) * p.z,
      2 * (x * y + w * z) * p.x + (1 - 2 * (x * x + z * z)) * p.y + 2 * (y * z - w * x) * p.z,
      2 * (x * z - w * y) * p.x + 2 * (y * z + w * x) * p.y + (1 - 2 * (x * x + y * y)) * p.z,
      p.style.sphere.radius]; });
    symbols.forEach(function(symbol, i) {
      var visible = shown && at[i][3] * pixels > 6 + 3 * atoms[i].elem.length && !at.some(function(other) {
        return other[2] > at[i][2] + 0.05 && Math.hypot(other[0] - at[i][0], other[1] - at[i][1]) < other[3]; });
      if (symbol.sprite && symbol.sprite.visible !== visible) {
        changed = true;
        if (visible) { symbol.show(); } else { symbol.hide(); }
      }
    });
    if (changed) { requestAnimationFrame(function() { viewer.render(); }); }
  }

  var kept = recall(scene.key);
  if (!kept || kept.view.length < 8) { turn(scene.turns.start); }
  else if (kept.atoms !== atoms.length) { turn(kept.view.slice(4)); }  // same orientation, but more must fit in
  else { viewer.setView(kept.view); viewer.render(); }
  viewer.setViewChangeCallback(function(view) { keep(scene.key, {view: view, atoms: atoms.length}); tidy(); });
  document.querySelectorAll("[data-turn]").forEach(function(button) {
    button.addEventListener("click", function() { turn(scene.turns[button.dataset.turn]); });
  });
  var symbolsButton = document.getElementById("symbols");
  symbolsButton.hidden = !symbols.length;
  symbolsButton.setAttribute("aria-pressed", shown);
  symbolsButton.addEventListener("click", function() {
    shown = !shown;
    keep("crystal-symbols", shown);
    symbolsButton.setAttribute("aria-pressed", shown);
    tidy();
  });

  // The picture at four times the size on the screen, with what the page lays over it: colour bar or legend.
  function picture() {
    var ratio = window.devicePixelRatio, scale = 4, box = viewer.getCanvas().getBoundingClientRect();
    window.devicePixelRatio = scale;  // 3Dmol asks for it when it sets its size
    viewer.resize();
    viewer.render();
    var out = document.createElement("canvas"), pen = out.getContext("2d"), style = getComputedStyle(document.body);
    out.width = box.width * scale;
    out.height = box.height * scale;
    pen.fillStyle = style.backgroundColor;
    pen.fillRect(0, 0, out.width, out.height);
    pen.drawImage(viewer.getCanvas(), 0, 0, out.width, out.height);
    window.devicePixelRatio = ratio;
    viewer.resize();
    viewer.render();
    pen.scale(scale, scale);
    pen.font = getComputedStyle(document.getElementById("scene")).font;
    pen.fillStyle = scene.ink;
    pen.textAlign = "center";
    var middle = box.width / 2, low = box.height;
    if (scene.bar) {
      var width = Math.min(320, 0.86 * box.width), left = middle - width / 2, last = scene.bar.ticks.length - 1;
      var gradient = pen.createLinearGradient(left, 0, left + width, 0);
      scene.bar.stops.forEach(function(stop) { gradient.addColorStop(stop[0], stop[1]); });
      pen.fillText(scene.bar.title, middle, low - 10);
      scene.bar.ticks.forEach(function(tick, i) {
        pen.textAlign = i === 0 ? "left" : i === last ? "right" : "center";
        pen.fillText(tick, left + width * i / last, low - 28);
      });
      pen.fillStyle = gradient;
      pen.fillRect(left, low - 51, width, 9);
    } else {
      pen.textAlign = "left";
      var widths = scene.legend.map(function(entry) { return 30 + pen.measureText(entry[0]).width; });
      var x = middle - widths.reduce(function(sum, w) { return sum + w; }, 0) / 2;
      scene.legend.forEach(function(entry, i) {
        pen.fillStyle = entry[1];
        pen.beginPath(); pen.arc(x + 5.5, low - 16, 5.5, 0, 2 * Math.PI); pen.fill();
        pen.fillStyle = scene.ink;
        pen.fillText(entry[0], x + 16, low - 12);
        x += widths[i];
      });
    }
    return out;
  }
  window.picture = picture;
  document.getElementById("png").addEventListener("click", function() {
    var link = document.createElement("a");
    link.download = scene.name + ".png";
    link.href = picture().toDataURL("image/png");
    link.click();
  });

  var label = document.getElementById("label"), box = document.getElementById("scene");
  function show(atom) {
    label.replaceChildren();
    scene.labels[atom.properties.site].forEach(function(line) {
      if (line) { label.appendChild(document.createElement("div")).textContent = line; }
    });
    label.hidden = false;
    var at = viewer.modelToScreen(atom), frame = box.getBoundingClientRect();
    var x = at.x - window.scrollX - frame.left + 14, y = at.y - window.scrollY - frame.top + 10;
    label.style.left = Math.max(4, Math.min(x, frame.width - label.offsetWidth - 4)) + "px";
    label.style.top = Math.max(4, Math.min(y, frame.height - label.offsetHeight - 4)) + "px";
  }
  function hide() { label.hidden = true; }
  viewer.setHoverDuration(60);
  viewer.setHoverable({}, true, show, hide);
  viewer.setClickable({}, true, show);
  window.addEventListener("resize", function() { viewer.resize(); });
  viewer.render();
  window.sceneReady = true;
})(viewer_UNIQUEID, SCENE);
"""
