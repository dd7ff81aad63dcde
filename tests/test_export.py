"""Every file is read again by the library it is made for, with the numbers that went in."""

import io
import json
import subprocess

import ase.io
import numpy as np
import pandas as pd
import pytest
from builders import perovskite
from pymatgen.core import Structure

from cgcnn.contributions import explain
from cgcnn.export import to_csv, to_extxyz, to_pymatgen_json
from cgcnn.model import load_model
from cgcnn.structures import Crystal, read_crystals
from cgcnn.symmetry import describe
from cgcnn.viewer import crystal_view


@pytest.fixture(scope="module", params=["gated, perovskite", "linear, salt"])
def explained(request, crystals):
    head, _, which = request.param.partition(", ")
    structure = (
        perovskite("Ba", "Ta", ("N", "O", "O"), 4.1) if which == "perovskite" else crystals["NaCl, conventional"]
    )
    return describe(structure), explain(load_model(f"perovskite-{head}"), [structure])[0]


def test_csv(explained):
    facts, result = explained
    table = pd.read_csv(io.StringIO(to_csv(facts, result)))
    assert len(table) == len(result.structure)
    assert table["relative, eV"].to_numpy() == pytest.approx(result.relative)
    assert table["raw, eV"].mean() == pytest.approx(result.energy, abs=1e-6)
    assert table["sd, eV"].to_numpy() == pytest.approx(result.sd)


def test_extended_xyz(explained):
    facts, result = explained
    text = to_extxyz(facts, result)
    atoms = ase.io.read(io.StringIO(text), format="extxyz")
    structure = result.structure
    assert atoms.get_chemical_symbols() == [site.specie.symbol for site in structure]
    assert atoms.cell.array == pytest.approx(structure.lattice.matrix, abs=1e-6) and atoms.pbc.all()
    assert atoms.get_positions() == pytest.approx(structure.cart_coords, abs=1e-6)
    for name in ("contribution", "relative", "reference", "sd"):
        assert atoms.get_array(name) == pytest.approx(getattr(result, name), abs=1e-6)
    if any(result.role):
        assert list(atoms.get_array("role")) == list("ABXXX")
        assert atoms.get_array("gate") == pytest.approx(result.gate, abs=1e-6)
    assert atoms.info["energy_per_atom"] == pytest.approx(result.energy)
    comment = text.splitlines()[1]
    assert "relative" in comment and "eV per site" in comment and "eV/atom" in comment and result.model in comment


def test_pymatgen_json(explained):
    facts, result = explained
    text = to_pymatgen_json(facts, result)
    structure = Structure.from_dict(json.loads(text))
    assert structure.matches(result.structure)
    properties = structure.site_properties
    assert np.array(properties["relative"], dtype=float) == pytest.approx(result.relative)
    assert np.array(properties["sd"], dtype=float) == pytest.approx(result.sd)
    assert properties["wyckoff"][0] == f"{facts.multiplicity[0]}{facts.wyckoff[0]}"
    assert "eV/atom" in structure.properties["units"] and structure.properties["model"] == result.model
    assert structure.properties["zero_of_relative"] == result.reference_note


def test_our_own_reader_takes_them_back(explained):
    facts, result = explained
    for name, text in (("a.json", to_pymatgen_json(facts, result)), ("a.xyz", to_extxyz(facts, result))):
        (crystal,) = read_crystals(name, text)
        assert isinstance(crystal, Crystal) and crystal.structure.matches(result.structure)


def test_a_page_of_its_own_holds_all_it_needs(explained, tmp_path):
    _, result = explained
    n = len(result.structure)
    view = crystal_view(result.structure, ["#112233"] * n, [["a", "b"]] * n, height="100vh")
    page = view.page("<b>&")
    assert page.startswith("<!DOCTYPE html>") and "<title>&lt;b&gt;&amp;</title>" in page
    assert view.offline and page.count("<script>") == page.count("</script>")
    scripts = "\n".join(part.split("</script>")[0] for part in page.split("<script>")[2:])
    (tmp_path / "scene.js").write_text(scripts)
    checked = subprocess.run(["node", "--check", str(tmp_path / "scene.js")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
