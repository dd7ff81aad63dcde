"""A crystal in 3D: the py3Dmol scene, coloured by whatever the sites are worth.

py3Dmol fetches 3Dmol.js from the internet, in the browser; here npm's copy of it is written into the scene, so that
it also shows behind a firewall. 3Dmol draws neither a colour bar nor the atoms on the far faces of the cell; both are
added. Nothing here imports Streamlit: a `CrystalView` is shown by stmol's `showmol`, or as any py3Dmol view.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import py3Dmol
from pymatgen.core import Element, Structure

from .plots import Theme, css_gradient, element_colour, signed, text_on, theme

LIBRARY = Path(__file__).resolve().parent.parent / "node_modules" / "3dmol" / "build" / "3Dmol-min.js"

_ON_THE_FACE = 0.05  # angstrom; an atom this close to a face of the cell is drawn on the opposite one too
_BOND_REACH = 1.2  # times the sum of the covalent radii
_MOST_BONDS = 8  # a metal with more neighbours fills a hole rather than holds the frame; its contacts would hide it
_MOST_SYMBOLS = 400  # drawn atoms that still get their symbol written on them


@dataclass(frozen=True)
class ColourBar:
    """What the colours mean: title and unit in words, ends of the scale at +-limit."""

    title: str
    unit: str
    limit: float


@dataclass(frozen=True)
class DrawnAtoms:
    """Atoms of a scene: those of the cells shown, and their images on the far faces, edges and corners.

    site: (D,) int, index in the structure; position: (D, 3) angstrom
    bonds: (K, 2) int, pairs of drawn atoms
    polyhedra: (centre, vertices) of drawn atoms, for centres with all their neighbours
    """

    site: np.ndarray
    position: np.ndarray
    bonds: np.ndarray
    polyhedra: tuple[tuple[int, tuple[int, ...]], ...]


def drawn_atoms(
    structure: Structure,
    supercell: tuple[int, int, int] = (1, 1, 1),
    *,
    roles: Sequence[str | None] | None = None,
    polyhedra: bool = False,
) -> DrawnAtoms:
    """What a scene shows of an endless crystal.

    roles: (N,) "A", "B", "X" or None where known; then only B binds X, as perovskites are usually drawn
    polyhedra: also draw the neighbours outside the cell that complete a coordination polyhedron
    """
    lattice = structure.lattice
    margin = _ON_THE_FACE / np.array(lattice.abc)
    inside = structure.frac_coords - np.floor(structure.frac_coords + margin)  # (N, 3), in [-margin, 1 - margin)
    neighbours = _bonded(structure, inside, roles)

    place: dict[tuple[int, int, int, int], int] = {}  # (site, cell) -> drawn atom
    ranges = [range(n + 1) for n in supercell]
    for cell in product(*ranges):
        at = inside + cell
        for i in np.flatnonzero((at <= np.array(supercell) + margin).all(axis=1)):
            place[(int(i), *cell)] = len(place)

    shown = list(place)
    shapes = []
    if polyhedra:
        centres = _polyhedron_centres(structure, neighbours, roles)
        for i, *cell in shown:
            if i in centres:
                keys = [(j, *(np.add(cell, image).tolist())) for j, image in neighbours[i]]
                shapes.append((place[(i, *cell)], tuple(place.setdefault(key, len(place)) for key in keys)))

    bonds = set()
    for (i, *cell), here in place.items():
        for j, image in neighbours[i]:
            there = place.get((j, *(np.add(cell, image).tolist())))
            if there is not None:
                bonds.add((min(here, there), max(here, there)))
    keys = np.array(list(place), dtype=int).reshape(-1, 4)
    return DrawnAtoms(
        site=keys[:, 0],
        position=lattice.get_cartesian_coords(inside[keys[:, 0]] + keys[:, 1:]),
        bonds=np.array(sorted(bonds), dtype=int).reshape(-1, 2),
        polyhedra=tuple(shapes),
    )


class CrystalView(py3Dmol.view):
    """A py3Dmol view that carries its own 3Dmol.js, colour bar, buttons and hover labels.

    offline: whether 3Dmol.js is in the scene; if not, the browser asks a CDN for it
    """

    def __init__(self, height: int = 480):
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


def crystal_view(
    structure: Structure,
    colours: Sequence[str],
    labels: Sequence[Sequence[str]],
    *,
    bar: ColourBar | None = None,
    roles: Sequence[str | None] | None = None,
    supercell: tuple[int, int, int] = (1, 1, 1),
    polyhedra: bool = False,
    symbols: bool = True,
    highlight: Sequence[int] = (),
    dark: bool = False,
    height: int = 480,
    key: str = "",
) -> CrystalView:
    """The scene of a crystal of N sites.

    colours: (N,) "#rrggbb"; labels: (N,) lines of text shown when the pointer is on the site
    bar: the meaning of the colours; None draws a legend of the elements instead
    polyhedra: coordination polyhedra; symbols: begin with element symbols on the atoms, a button in the scene switches
    highlight: sites to mark; dark: page colours; height: px
    key: scenes of the same key keep the camera of the last one in this browser tab
    Raises ValueError where the lengths of structure, colours and labels differ.
    """
    if len(colours) != len(structure) or len(labels) != len(structure):
        raise ValueError(f"{len(structure)} sites but {len(colours)} colours and {len(labels)} labels")
    look = theme(dark)
    atoms = drawn_atoms(structure, supercell, roles=roles, polyhedra=polyhedra)
    elements = [site.specie.symbol for site in structure]
    radii = np.array([_radius(element) for element in elements])
    view = CrystalView(height)
    view.call("setBackgroundColor", look.background)
    view.call("setProjection", "orthographic")
    view.call("addModel")
    partners: list[list[int]] = [[] for _ in atoms.site]
    for first, second in atoms.bonds.tolist():
        partners[first].append(second)
        partners[second].append(first)
    view.script(
        "viewer_UNIQUEID.getModel().addAtoms("
        + _json(
            [
                {
                    "elem": elements[i], "x": x, "y": y, "z": z, "serial": n, "color": colours[i],
                    "bonds": partners[n], "bondOrder": [1] * len(partners[n]), "properties": {"site": int(i)},
                    "style": {
                        "sphere": {"radius": round(float(radii[i]), 3), "color": colours[i]},
                        "stick": {"radius": 0.07, "color": look.zero, "hidden": not partners[n]},
                    },
                }
                for n, (i, (x, y, z)) in enumerate(zip(atoms.site, atoms.position.round(4).tolist(), strict=True))
            ]
        )
        + ");"
    )  # fmt: skip
    for start, end in _cell_edges(structure, supercell):
        view.call("addCylinder", {"start": start, "end": end, "color": look.zero, "radius": 0.02})
    for spec in _polyhedron_shapes(atoms, colours):
        view.call("addCustom", spec)
    for n in np.flatnonzero(np.isin(atoms.site, np.asarray(highlight, dtype=int))):
        i = atoms.site[n]
        view.call(
            "addSphere",
            {"center": _point(atoms.position[n]), "radius": float(radii[i]) * 1.35, "color": "#f0a500", "alpha": 0.6},
        )
    a, b, c = structure.lattice.matrix
    turns = {"start": _turn(a - 0.36 * b + 0.2 * c, c), "a": _turn(a, c), "b": _turn(b, c), "c": _turn(c, b)}
    view.overlay = _overlay(bar, list(dict.fromkeys(elements)), look)
    scene = {"labels": [list(map(str, lines)) for lines in labels], "turns": turns, "key": f"crystal-camera:{key}",
             "highlight": [int(i) for i in highlight], "inks": [text_on(colour) for colour in colours],
             "symbols": symbols, "mostSymbols": _MOST_SYMBOLS}  # fmt: skip
    view.script(_BEHAVIOUR.replace("SCENE", _json(scene)))
    return view


def site_label(
    name: str, facts: Sequence[str], relative: float, raw: float, sd: float | None = None, unit: str = "eV"
) -> list[str]:
    """Lines of a hover label: which site, what is known of it, what it contributes."""
    value = signed(relative) + ("" if sd is None else f" ± {sd:.3f}") + f" {unit}"
    return [name, " · ".join(facts), value, f"raw {signed(raw)} {unit}"]


@cache
def _library() -> str:
    # a browser ends the script at "</script", wherever it stands
    return LIBRARY.read_text(encoding="utf-8").replace("</script", "<\\/script")


def _json(value) -> str:
    return json.dumps(value).replace("<", "\\u003c")


def _point(position: np.ndarray) -> dict[str, float]:
    return dict(zip("xyz", np.asarray(position).round(4).tolist(), strict=True))


def _radius(symbol: str) -> float:
    """Drawn radius, angstrom: between the covalent radius and a constant, so that light atoms stay visible."""
    return 0.2 + 0.2 * _covalent_radius(symbol)


@cache
def _covalent_radius(symbol: str) -> float:
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    return CovalentRadius.radius.get(symbol, 1.5)


def _electronegativity(symbol: str) -> float:
    value = Element(symbol).X
    return value if value == value else 2.0  # noble gases have none


def _bonded(
    structure: Structure, inside: np.ndarray, roles: Sequence[str | None] | None
) -> list[list[tuple[int, tuple[int, int, int]]]]:
    """Bonds of every site to draw: (other site, its cell), for sites at the fractional coordinates `inside`."""
    symbols = [site.specie.symbol for site in structure]
    radii = np.array([_covalent_radius(symbol) for symbol in symbols])
    cell = Structure(structure.lattice, symbols, inside)
    first, second, image, distance = cell.get_neighbor_list(2 * _BOND_REACH * radii.max())
    metal = np.array([Element(symbol).is_metal for symbol in symbols])
    keep = (distance > 0.1) & (distance <= _BOND_REACH * (radii[first] + radii[second]))
    if not metal.all():
        keep &= ~(metal[first] & metal[second])
    if roles is not None and {"B", "X"} <= set(roles):
        role = np.array([r or "" for r in roles])
        framed = (role != "")[first] | (role != "")[second]
        frame = ((role == "B")[first] & (role == "X")[second]) | ((role == "X")[first] & (role == "B")[second])
        keep &= frame | ~framed
    elif not metal.all():
        crowded = metal & (np.bincount(first[keep], minlength=len(symbols)) > _MOST_BONDS)
        keep &= ~(crowded[first] | crowded[second])
    bonds: list[list[tuple[int, tuple[int, int, int]]]] = [[] for _ in symbols]
    for i, j, cell_of_j in zip(first[keep], second[keep], image[keep].astype(int).tolist(), strict=True):
        bonds[i].append((int(j), tuple(cell_of_j)))
    return bonds


def _polyhedron_centres(structure: Structure, neighbours: list[list], roles: Sequence[str | None] | None) -> set[int]:
    """Sites with 4 to 8 bonds, each to a clearly more electronegative neighbour."""
    if roles is not None and "B" in roles:
        return {i for i, role in enumerate(roles) if role == "B" and len(neighbours[i]) >= 4}
    strength = [_electronegativity(site.specie.symbol) for site in structure]
    return {
        i
        for i, partners in enumerate(neighbours)
        if 4 <= len(partners) <= _MOST_BONDS and all(strength[j] - strength[i] > 0.3 for j, _ in partners)
    }


def _polyhedron_shapes(atoms: DrawnAtoms, colours: Sequence[str]) -> list[dict]:
    """Polyhedra as triangles with flat faces, one shape a colour."""
    from scipy.spatial import ConvexHull, QhullError

    shapes: dict[str, dict] = {}
    for centre, vertices in atoms.polyhedra:
        colour = colours[atoms.site[centre]]
        points = atoms.position[list(vertices)]
        try:
            hull = ConvexHull(points)
        except QhullError:  # flat: a square of neighbours has no inside
            continue
        shape = shapes.setdefault(
            colour, {"vertexArr": [], "normalArr": [], "faceArr": [], "color": colour, "opacity": 0.5}
        )
        for corners, normal in zip(hull.simplices, hull.equations[:, :3], strict=True):
            p, q, r = points[corners]
            if np.dot(np.cross(q - p, r - p), normal) < 0:
                q, r = r, q
            for point in (p, q, r):
                shape["faceArr"].append(len(shape["vertexArr"]))
                shape["vertexArr"].append(_point(point))
                shape["normalArr"].append(_point(normal))
    return list(shapes.values())


def _cell_edges(structure: Structure, supercell: tuple[int, int, int]) -> list[tuple[dict, dict]]:
    """Edges of the cell, drawn for every cell of a supercell: (start, end) points."""
    matrix = structure.lattice.matrix
    edges = []
    for axis in range(3):
        across = [k for k in range(3) if k != axis]
        for u, v in product(range(supercell[across[0]] + 1), range(supercell[across[1]] + 1)):
            start, end = np.zeros(3), np.zeros(3)
            start[across] = end[across] = u, v
            end[axis] = supercell[axis]
            edges.append((_point(start @ matrix), _point(end @ matrix)))
    return edges


def _turn(towards: np.ndarray, up: np.ndarray) -> list[float]:
    """Quaternion (x, y, z, w) that turns `towards` to the viewer (z) and `up` as far to the top (y) as it can be."""
    z = towards / np.linalg.norm(towards)
    y = up - np.dot(up, z) * z
    y /= np.linalg.norm(y)
    rows = np.array([np.cross(y, z), y, z])  # a rotation: new = rows @ old
    # from the eigenvector of Bar-Itzhack's symmetric matrix: no case distinction, no loss of digits
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rows.T
    symmetric = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, yz - zy],
            [yx + xy, yy - xx - zz, zy + yz, zx - xz],
            [zx + xz, zy + yz, zz - xx - yy, xy - yx],
            [yz - zy, zx - xz, xy - yx, xx + yy + zz],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    return (quaternion if quaternion[3] >= 0 else -quaternion).tolist()


def _overlay(bar: ColourBar | None, elements: Sequence[str], look: Theme) -> str:
    """HTML over the scene: colour bar or legend, buttons, and the empty hover label."""
    if bar is None:
        swatches = "".join(
            f'<span><i style="background:{element_colour(e)}"></i>{html.escape(e)}</span>' for e in elements
        )
        meaning = f'<div id="legend">{swatches}</div>'
    else:
        ends = [signed(value, 2) for value in (-bar.limit, -bar.limit / 2, 0, bar.limit / 2, bar.limit)]
        ticks = "".join(f"<span>{tick}</span>" for tick in ends)
        meaning = (
            f'<div id="bar"><div id="gradient" style="background:{css_gradient()}"></div><div id="ticks">{ticks}</div>'
            f"<div>{html.escape(bar.title)}, {html.escape(bar.unit)}</div></div>"
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
    views = f'<div id="views">{switch}<span></span>{buttons}</div>'
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
