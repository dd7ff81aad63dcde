"""The 3D scene: which atoms are drawn, bonds, polyhedra, and the page that goes to the browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from cgcnn.examples import examples
from cgcnn.perovskite import site_roles
from cgcnn.scene import SCRIPT
from cgcnn.viewer import ColourBar, Neighbour, _turn, crystal_view, drawn_atoms, site_label, surroundings_view

ROLES = ["A", "B", "X", "X", "X"]


@pytest.fixture
def srtio3() -> Structure:
    return examples()["SrTiO3"]


def count(structure, atoms) -> dict[str, int]:
    symbols = [structure[i].specie.symbol for i in atoms.site]
    return {symbol: symbols.count(symbol) for symbol in symbols}


def scene_in(page: str) -> dict:
    """The data of a scene, as the script of its page gets them."""
    return json.loads(re.search(r"drawn\.update\((\{.*\})\);\n", page)[1])


def test_atoms_on_corners_and_faces_are_drawn_everywhere(srtio3):
    atoms = drawn_atoms(srtio3)
    assert count(srtio3, atoms) == {"Sr": 8, "Ti": 1, "O": 6}
    corners = atoms.position[atoms.site == 0] / srtio3.lattice.a
    assert {tuple(c) for c in corners.round(6).tolist()} == {(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)}


def test_atom_just_outside_the_cell_counts_as_on_its_face(srtio3):
    moved = srtio3.copy()
    moved.translate_sites([0], [-1e-4, 1e-4, 0], to_unit_cell=True)
    assert count(moved, drawn_atoms(moved)) == {"Sr": 8, "Ti": 1, "O": 6}


def test_supercell(srtio3):
    assert count(srtio3, drawn_atoms(srtio3, (2, 2, 2))) == {"Sr": 27, "Ti": 8, "O": 36}
    assert count(srtio3, drawn_atoms(srtio3, (2, 1, 1))) == {"Sr": 12, "Ti": 2, "O": 11}


def test_octahedron_is_bonded_and_the_large_cation_is_not(srtio3):
    for roles in (ROLES, None):
        atoms = drawn_atoms(srtio3, roles=roles)
        pairs = {frozenset(srtio3[atoms.site[i]].specie.symbol for i in bond) for bond in atoms.bonds}
        assert pairs == {frozenset({"Ti", "O"})} and len(atoms.bonds) == 6


def test_polyhedra_are_completed_beyond_the_cell():
    shifted = Structure(  # the other setting: B on the corner, so its neighbours lie outside
        Lattice.cubic(3.9), ["Ti", "Sr", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
    )  # fmt: skip
    roles = ["B", "A", "X", "X", "X"]
    plain, whole = drawn_atoms(shifted, roles=roles), drawn_atoms(shifted, roles=roles, polyhedra=True)
    assert count(shifted, plain) == {"Ti": 8, "O": 12, "Sr": 1}
    assert len(whole.polyhedra) == 8 and all(len(vertices) == 6 for _, vertices in whole.polyhedra)
    for centre, vertices in whole.polyhedra:
        distance = np.linalg.norm(whole.position[list(vertices)] - whole.position[centre], axis=1)
        assert distance == pytest.approx(np.full(6, 1.95))
    assert np.array_equal(whole.site[: len(plain.site)], plain.site)  # what was there stays where it was


def test_metal_and_molecule_are_bonded_too():
    copper = Structure(Lattice.cubic(3.61), ["Cu"] * 4, [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    assert len(drawn_atoms(copper).bonds) == 36  # 12 neighbours, inside the cell and on its faces
    hydrogen = Structure(Lattice.cubic(5), ["H", "H"], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.648]])
    assert len(drawn_atoms(hydrogen).bonds) == 1
    assert len(drawn_atoms(Structure(Lattice.cubic(20), ["Xe"], [[0.5, 0.5, 0.5]]), polyhedra=True).bonds) == 0


def test_colours_reach_every_image_of_a_site(srtio3):
    colours = ["#111111", "#222222", "#333333", "#333333", "#333333"]
    view = crystal_view(srtio3, colours, [["x"]] * 5)
    scene = scene_in(view._make_html())
    assert scene == json.loads(json.dumps(view.scene))  # the page draws what a page of the app draws in place
    sites, drawn = scene["sites"], scene["atoms"]["site"]
    assert sites["colour"] == colours and [sites["element"][i] for i in drawn].count("Sr") == 8
    assert len(drawn) == len(scene["atoms"]["position"]) == 15


def test_wrong_number_of_colours_is_said(srtio3):
    with pytest.raises(ValueError, match="5 sites but 1 colours"):
        crystal_view(srtio3, ["#111111"], [["x"]] * 5)


def test_text_from_a_file_cannot_end_the_script(srtio3):
    attack = "</script><script>alert(1)</script><!--<script>"
    view = crystal_view(
        srtio3, ["#111111"] * 5, [[attack]] * 5, bar=ColourBar(attack, "<b>eV", 1.0), key=attack, polyhedra=True
    )
    page = view._make_html()
    assert attack not in page and "<!--" not in page.replace(page[: page.find("<div id")], "")
    assert page.count("</script>") == page.count("<script>") == (2 if view.offline else 1)
    assert scene_in(page)["bar"]["title"] == f"{attack}, <b>eV" and "<b>eV" not in page
    assert not re.search(r"innerHTML|insertAdjacentHTML|outerHTML|document\.write", SCRIPT)


def test_scene_asks_nothing_of_the_internet(srtio3):
    view = crystal_view(srtio3, ["#111111"] * 5, [["x"]] * 5)
    if not view.offline:
        pytest.skip("3Dmol.js is not installed; npm install")
    page = view._make_html()
    assert "$3Dmolpromise = Promise.resolve()" in page and len(page) > 500_000
    assert page.index("$3Dmolpromise = Promise.resolve()") < page.index("loadScriptAsync")


def test_same_scene_same_page(srtio3):
    def page(colour):
        return crystal_view(srtio3, [colour] * 5, [["x"]] * 5)._make_html()

    assert page("#111111") == page("#111111") != page("#222222")


def test_fallback_to_the_network_is_known(srtio3, monkeypatch, tmp_path):
    monkeypatch.setattr("cgcnn.scene.LIBRARY", tmp_path / "absent.js")
    view = crystal_view(srtio3, ["#111111"] * 5, [["x"]] * 5)
    assert not view.offline and "cdn.jsdelivr.net" in view._make_html()


def test_views_along_the_axes():
    monoclinic = Lattice.monoclinic(5, 6, 7, 105).matrix
    for towards, up in ((0, 2), (1, 2), (2, 1)):
        x, y, z, w = _turn(monoclinic[towards], monoclinic[up])
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        seen = rotation @ monoclinic[towards]
        assert seen == pytest.approx([0, 0, np.linalg.norm(monoclinic[towards])])
        assert (rotation @ monoclinic[up])[0] == pytest.approx(0) and (rotation @ monoclinic[up])[1] > 0


def test_labels_and_legend(srtio3):
    assert site_label("Ti1", ["B site"], -0.5, 1.25, 0.02) == ["Ti1", "B site", "−0.500 ± 0.020 eV", "raw +1.250 eV"]
    scene = crystal_view(srtio3, ["#111111"] * 5, [["x"]] * 5).scene
    assert [element for element, _ in scene["legend"]] == ["Sr", "Ti", "O"] and scene["bar"] is None


def test_selected_sites_and_unselected_scene_differ_in_nothing_else(srtio3):
    def scene(highlight):
        return crystal_view(srtio3, ["#111111"] * 5, [["x"]] * 5, highlight=highlight).scene

    assert scene([2, 4]) == scene([]) | {"highlight": [2, 4]}


@pytest.mark.parametrize("name", list(examples()))
def test_perovskites_are_drawn_with_octahedra(name):
    structure = examples()[name]
    roles = site_roles(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)
    if not all(roles):
        assert len(drawn_atoms(structure, polyhedra=True).bonds)
        return
    atoms = drawn_atoms(structure, roles=roles, polyhedra=True)
    assert atoms.polyhedra and all(len(vertices) == 6 for _, vertices in atoms.polyhedra)


def test_surroundings_are_drawn_where_the_neighbours_are(srtio3):
    oxygen = srtio3[2]
    images = [image for image in np.ndindex(2, 2, 2) if abs(_distance(srtio3, 1, 2, image) - 1.9505) < 1e-3]
    neighbours = [Neighbour(2, image, 0.3 + 0.1 * k, ("O", f"{k}")) for k, image in enumerate(images)]
    bar = ColourBar("gate", "0 closed to 1 open", 0.5, low=0.3)
    scene = surroundings_view(srtio3, 1, neighbours, ("Ti1",), bar).scene
    assert scene["sites"]["element"] == ["Ti"] + ["O"] * len(images) and len(images) >= 1
    assert scene["highlight"] == [0]
    centre, *around = np.array(scene["atoms"]["position"])
    assert np.linalg.norm(around - centre, axis=1) == pytest.approx(np.full(len(images), 1.9505), abs=1e-3)
    widths = [spec["radius"] for method, spec in scene["shapes"] if method == "addCylinder"]
    assert widths == sorted(widths) and len(widths) == len(images)
    assert scene["bar"]["ticks"][0] == "0.30" and scene["bar"]["ticks"][-1] == "0.50" and oxygen.specie.symbol == "O"


def _distance(structure, i: int, j: int, image) -> float:
    apart = structure.frac_coords[j] + image - structure.frac_coords[i]
    return float(np.linalg.norm(structure.lattice.get_cartesian_coords(apart)))


def test_viewer_does_not_import_streamlit():
    code = "import sys, cgcnn.viewer, cgcnn.plots, cgcnn.tables; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
