"""From Python and notebooks: what `explain` takes, and what its results turn into."""

import gzip
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from builders import perovskite, small_model
from pymatgen.core import Lattice, Molecule, Structure

import cgcnn
from cgcnn.contributions import Contributions, explain
from cgcnn.export import to_chemiscope
from cgcnn.structures import StructureError

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def model():
    return cgcnn.load_model("perovskite-linear")


@pytest.fixture(scope="module")
def result(model) -> Contributions:
    return model.explain(perovskite("Ba", "Ta", ("N", "O", "O"), 4.1))


def test_import_takes_nothing_heavy():
    code = (
        "import sys; import cgcnn; heavy = {'torch', 'pymatgen', 'numpy', 'plotly', 'ase'} & set(sys.modules); "
        "assert not heavy, heavy; assert 'load_model' in dir(cgcnn); assert not hasattr(cgcnn, 'nothing')"
    )
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


def test_everything_that_holds_a_crystal(model, tmp_path):
    structure = perovskite("Ba", "Ta", ("N", "O", "O"), 4.1)
    atoms = Atoms(structure.atomic_numbers, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
    structure.to(filename=str(tmp_path / "a.cif"))
    charged = structure.copy()
    charged.add_oxidation_state_by_element({"Ba": 2, "Ta": 5, "N": -3, "O": -2})
    (expected,) = explain(model, [structure])
    singles = [structure, atoms, tmp_path / "a.cif", str(tmp_path / "a.cif"), charged]
    for what in singles:
        found = model.explain(what)
        assert isinstance(found, Contributions)
        assert found.energy == pytest.approx(expected.energy, abs=1e-5)
        by_element = {s.specie.symbol: c for s, c in zip(found.structure, found.contribution, strict=True)}
        assert by_element["Ta"] == pytest.approx(expected.contribution[1], abs=1e-5)
    together = model.explain(singles)
    assert [r.energy for r in together] == pytest.approx([expected.energy] * len(singles), abs=1e-5)
    assert model.explain([]) == [] and len(model.explain((atoms,))) == 1
    assert len(model.explain(s for s in singles)) == len(singles)


def test_a_file_with_several_crystals(model, tmp_path):
    two = "".join(perovskite(a).to(fmt="cif").replace("data_", f"data_{a}") for a in ("Sr", "Ba"))
    (tmp_path / "two.cif").write_text(two)
    assert [r.structure[0].specie.symbol for r in model.explain([tmp_path / "two.cif"])] == ["Sr", "Ba"]
    with pytest.raises(StructureError, match="two.cif holds 2 crystals; give it in a list"):
        model.explain(tmp_path / "two.cif")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nowhere.cif", "there is no file nowhere.cif"),
        (42, "int is no crystal; give a pymatgen Structure, ASE Atoms or the name of a file"),
        (Molecule(["O"], [[0, 0, 0]]), "Molecule is no crystal"),
        (Atoms("O", cell=[5, 5, 5]), "not periodic in all three directions; set pbc=True"),
        (Atoms("O", pbc=True), "have no cell; set its three vectors"),
        (Structure(Lattice.cubic(4), [{"Sr": 0.5, "Ba": 0.5}], [[0, 0, 0]]), "Sr"),
        (Structure(Lattice.cubic(4), ["Sr", "O"], [[0, 0, 0], [0, 0, 0.001]]), "apart, nearer than any bond"),
    ],
)
def test_what_is_no_crystal_gets_a_sentence(model, what, said):
    with pytest.raises(StructureError, match=re.escape(said)):
        model.explain(what)
    with pytest.raises(StructureError, match=re.escape(said)) as caught:
        model.explain([perovskite(), what])
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("nowhere.cif" if isinstance(what, str) else "entry 1 of the list")


def test_one_line_instead_of_arrays(result):
    energy = f"{result.energy:+.3f} ± {result.energy_sd:.3f} eV/atom"
    assert repr(result) == f"<BaTaO2N: {energy} by perovskite-linear, 5 sites>"
    other = small_model("mean").explain(perovskite())
    assert "±" not in repr(other)


def test_tables_and_objects_of_the_field(result):
    table = result.to_pandas()
    assert list(table["site"]) == ["Ba1", "Ta1", "N1", "O1", "O2"] and list(table["role"]) == list("ABXXX")
    assert table["raw, eV"].mean() == pytest.approx(result.energy, abs=1e-6)
    assert table["relative, eV"].to_numpy() == pytest.approx(result.relative)
    structure = result.to_structure()
    assert structure.site_properties["relative"] == pytest.approx(result.relative.tolist())
    assert structure.matches(result.structure) and "relative" not in result.structure.site_properties
    atoms = result.to_ase()
    assert atoms.get_array("contribution") == pytest.approx(result.contribution) and atoms.pbc.all()
    assert atoms.info["model"] == "perovskite-linear" and "eV per site" in atoms.info["units"]


def scene_and_rest(text: str) -> tuple[str, str]:
    """The document in the frame, and what is around it."""
    (frame,) = re.findall(r'<iframe srcdoc="([^"]*)"', text)
    return html.unescape(frame), text.replace(frame, "")


def test_a_notebook_shows_scene_and_table(result, tmp_path):
    page, around = scene_and_rest(result._repr_html_())
    assert page.startswith("<!DOCTYPE html>") and "3dmolviewer" in page and "contribution per site, eV" in page
    assert f"{result.colour_limit:+.2f}" in page
    scripts = "\n".join(part.split("</script>")[0] for part in page.split("<script>")[1:])
    (tmp_path / "scene.js").write_text(scripts)
    checked = subprocess.run(["node", "--check", str(tmp_path / "scene.js")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    for value, sd in zip(result.relative, result.sd, strict=True):
        assert f"{value:+.3f} ± {sd:.3f}".replace("-", "\N{MINUS SIGN}") in around
    assert result.reference_note in html.unescape(around) and "perovskite-linear" in around
    assert around.count("<tr>") == 6 and around.count("<div") == around.count("</div>")
    assert "<script" not in around


def test_a_large_crystal_in_a_notebook(model):
    large = model.explain(perovskite() * (3, 3, 2))
    _, around = scene_and_rest(large._repr_html_())
    assert around.count("<tr>") == 61 and "and 30 more sites: see to_pandas()" in around


def test_chemiscope(model, result, tmp_path):
    others = model.explain([perovskite(), perovskite() * (2, 1, 1)])
    content = to_chemiscope([result, *others], tmp_path / "crystals.json.gz")
    assert json.loads(gzip.decompress((tmp_path / "crystals.json.gz").read_bytes())) == content
    sizes = [structure["size"] for structure in content["structures"]]
    assert sizes == [5, 5, 10]
    for structure, found in zip(content["structures"], [result, *others], strict=True):
        assert {len(structure[axis]) for axis in "xyz"} == {len(structure["names"])} == {structure["size"]}
        coordinates = np.array([structure[axis] for axis in "xyz"]).T
        assert coordinates == pytest.approx(found.structure.cart_coords)
        assert np.reshape(structure["cell"], (3, 3)) == pytest.approx(found.structure.lattice.matrix)
    assert [(e["structure"], e["center"]) for e in content["environments"]] == [
        (s, i) for s, size in enumerate(sizes) for i in range(size)
    ]
    properties = content["properties"]
    for name, one in properties.items():
        assert len(one["values"]) == (20 if one["target"] == "atom" else 3), name
        assert one["description"] and len({type(value) for value in one["values"]}) == 1, name
    assert properties["relative"]["units"] == "eV per site" and properties["prediction"]["units"] == "eV/atom"
    assert properties["relative"]["values"][:5] == pytest.approx(result.relative.tolist())
    assert properties["role"]["values"][:5] == list("ABXXX") and "gate" not in properties
    for panel in (content["settings"]["map"]["color"], content["settings"]["structure"][0]["color"]):
        assert panel["property"] in properties and panel["max"] == result.colour_limit
    assert content["settings"]["map"]["x"]["property"] in properties


def test_chemiscope_of_different_crystals(model, crystals):
    """Without roles, and beside a perovskite with them."""
    salt, oxide = model.explain([crystals["NaCl, conventional"], perovskite()])
    assert "role" not in salt.to_chemiscope()["properties"]
    roles = to_chemiscope([salt, oxide])["properties"]["role"]["values"]
    assert roles == ["-"] * 8 + list("ABXXX")


def test_chemiscope_refuses(model, result, tmp_path):
    with pytest.raises(ValueError, match="by one model, not by 2"):
        to_chemiscope([result, small_model("mean").explain(perovskite())])
    with pytest.raises(ValueError, match="by one model, not by 0"):
        to_chemiscope([])
    with pytest.raises(ValueError, match="opens .json and .json.gz, not 'a.xyz'"):
        result.to_chemiscope(tmp_path / "a.xyz")
