"""Tables of sites and of distinct sites."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from cgcnn.contributions import Contributions
from cgcnn.examples import examples
from cgcnn.symmetry import describe
from cgcnn.tables import formula, orbits, site_names, site_table


def contributions(structure: Structure, role, sd=None) -> Contributions:
    values = np.arange(len(structure), dtype=float)
    return Contributions(
        structure=structure, model="m", energy=float(values.mean()), energy_sd=None, contribution=values,
        relative=values - 1, reference=np.ones(len(values)), sd=sd, role=tuple(role), reference_note="",
        quadrature_error=0.0, gate=None, doubt="",
    )  # fmt: skip


def test_formula_in_the_order_of_the_roles():
    assert formula(contributions(examples()["PbTiO3 (tetragonal)"], "ABXXX")) == "PbTiO3"
    assert formula(contributions(examples()["BaTaO2N (ordered)"], "ABXXX")) == "BaTaO2N"
    salt = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert formula(contributions(salt, [None, None])) == "NaCl"


def test_orbits_average_equivalent_sites():
    structure = examples()["SrTiO3"]
    result = contributions(structure, "ABXXX", sd=np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    found = orbits(describe(structure), result)
    assert [(o.name, o.role) for o in found] == [("Sr", "A"), ("Ti", "B"), ("3 O", "X")]
    assert found[2].mean == pytest.approx(2.0) and found[2].sd == pytest.approx(0.4)
    assert list(found[2].values) == [1, 2, 3] and list(found[2].sites) == [2, 3, 4]


def test_site_table_leaves_out_what_says_nothing():
    structure = examples()["SrTiO3"]
    result = contributions(structure, "ABXXX")
    table = site_table(describe(structure), result)
    assert site_names(result) == list(table["site"]) == ["Sr1", "Ti1", "O1", "O2", "O3"]
    assert "sd, eV" not in table and "gate" not in table
    assert list(table["oxidation"]) == [2, 4, -2, -2, -2] and list(table["CN"][:2]) == [12, 6]
    assert list(table["Wyckoff"][:2]) in (["1a", "1b"], ["1b", "1a"])
    assert "role" not in site_table(describe(structure), contributions(structure, [None] * 5))
