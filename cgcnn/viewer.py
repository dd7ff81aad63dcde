"""A crystal in 3D, coloured by whatever its sites are worth; and the surroundings of one site, by their gates.

3Dmol draws no atoms on the far faces of the cell; they are added. See `scene` for how it comes to the browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from pymatgen.core import Element, Structure

from .plots import element_colour, share_colours, signed, theme
from .scene import ColourBar, CrystalView, SceneAtoms, point, scene_data

__all__ = ["ColourBar", "CrystalView", "DrawnAtoms", "Neighbour", "crystal_view", "drawn_atoms", "site_label",
           "surroundings_view"]  # fmt: skip

_ON_THE_FACE = 0.05  # angstrom; an atom this close to a face of the cell is drawn on the opposite one too
_BOND_REACH = 1.2  # times the sum of the covalent radii
_MOST_BONDS = 8  # a metal with more neighbours fills a hole rather than holds the frame; its contacts would hide it


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
    height: int | str = 480,
    key: str = "",
) -> CrystalView:
    """The scene of a crystal of N sites.

    colours: (N,) "#rrggbb"; labels: (N,) lines of text shown when the pointer is on the site
    bar: the meaning of the colours; None draws a legend of the elements instead
    polyhedra: coordination polyhedra; symbols: begin with element symbols on the atoms, a button in the scene switches
    highlight: sites to mark; dark: page colours; height: px, or a length of CSS
    key: scenes of the same key keep the camera of the last one in this browser tab
    Raises ValueError where the lengths of structure, colours and labels differ.
    """
    if len(colours) != len(structure) or len(labels) != len(structure):
        raise ValueError(f"{len(structure)} sites but {len(colours)} colours and {len(labels)} labels")
    look = theme(dark)
    atoms = drawn_atoms(structure, supercell, roles=roles, polyhedra=polyhedra)
    elements = [site.specie.symbol for site in structure]
    drawn = SceneAtoms(
        elements, np.array([_radius(element) for element in elements]), colours, labels,
        atoms.site, atoms.position, atoms.bonds,
    )  # fmt: skip
    edges = [
        ("addCylinder", {"start": start, "end": end, "color": look.zero, "radius": 0.02})
        for start, end in _cell_edges(structure, supercell)
    ]
    faces = [("addCustom", spec) for spec in _polyhedron_shapes(atoms, colours)]
    scene = scene_data(
        drawn, look, shapes=edges + faces, bar=bar, turns=_turns(structure), key=key, highlight=highlight,
        symbols=symbols, name=structure.composition.reduced_formula,
    )  # fmt: skip
    return CrystalView(scene, height)


@dataclass(frozen=True)
class Neighbour:
    """One neighbour of a site: its index, the cell it lies in, the worth of the bond to it, lines of its label."""

    site: int
    image: tuple[int, int, int]
    value: float
    label: tuple[str, ...]


def surroundings_view(
    structure: Structure,
    centre: int,
    neighbours: Sequence[Neighbour],
    label: Sequence[str],
    bar: ColourBar,
    *,
    dark: bool = False,
    height: int | str = 480,
    key: str = "",
) -> CrystalView:
    """A site and its neighbours, atoms in the colours of the elements; the bonds are as wide and dark as their worth.

    label: lines of the label of the site itself; bar: what the colours of the bonds mean, with its `low`
    """
    look = theme(dark)
    inside = structure.frac_coords - np.floor(structure.frac_coords)
    # Images count from the sites as they are listed; the centre is drawn inside the cell.
    shift = inside[centre] - structure.frac_coords[centre]
    places = [structure.frac_coords[n.site] + n.image + shift for n in neighbours]
    position = structure.lattice.get_cartesian_coords(np.array([inside[centre], *places]).reshape(-1, 3))
    elements = [structure[i].specie.symbol for i in (centre, *(n.site for n in neighbours))]
    # every atom is a site of its own here: the same neighbour in another cell has another bond and label
    atoms = SceneAtoms(
        elements, np.array([_radius(element) for element in elements]), [element_colour(e) for e in elements],
        [label, *(n.label for n in neighbours)], np.arange(len(elements)), position, np.empty((0, 2), dtype=int),
    )  # fmt: skip
    values = np.array([n.value for n in neighbours])
    share = np.clip((values - bar.low) / (bar.limit - bar.low), 0, 1)
    lines = [
        ("addCylinder", {"start": point(position[0]), "end": point(end), "color": colour,
                         "radius": round(0.03 + 0.11 * part, 3)})
        for end, part, colour in zip(position[1:], share.tolist(), share_colours(share, dark), strict=True)
    ]  # fmt: skip
    scene = scene_data(
        atoms, look, shapes=lines, bar=bar, turns=_turns(structure), key=key, highlight=[0],
        name=f"{structure.composition.reduced_formula}-{elements[0]}{centre}-gates",
    )  # fmt: skip
    return CrystalView(scene, height)


def _turns(structure: Structure) -> dict[str, list[float]]:
    """Quaternions of the first view and of those along the axes."""
    a, b, c = structure.lattice.matrix
    return {"start": _turn(a - 0.36 * b + 0.2 * c, c), "a": _turn(a, c), "b": _turn(b, c), "c": _turn(c, b)}


def site_label(
    name: str, facts: Sequence[str], relative: float, raw: float, sd: float | None = None, unit: str = "eV"
) -> list[str]:
    """Lines of a hover label: which site, what is known of it, what it contributes."""
    value = signed(relative) + ("" if sd is None else f" ± {sd:.3f}") + f" {unit}"
    return [name, " · ".join(facts), value, f"raw {signed(raw)} {unit}"]


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
            for corner in (p, q, r):
                shape["faceArr"].append(len(shape["vertexArr"]))
                shape["vertexArr"].append(point(corner))
                shape["normalArr"].append(point(normal))
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
            edges.append((point(start @ matrix), point(end @ matrix)))
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
