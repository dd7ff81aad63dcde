"""Space groups, sites, surroundings and valences of textbook crystals."""

import time

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from cgcnn.symmetry import describe, oxidation_states


def from_group(symbol, lattice, sites):
    return Structure.from_spacegroup(symbol, lattice, [s for s, *_ in sites], [xyz for _, *xyz in sites])


PEROVSKITE = from_group("Pm-3m", Lattice.cubic(3.905), [("Sr", 0, 0, 0), ("Ti", 0.5, 0.5, 0.5), ("O", 0.5, 0.5, 0)])
SALT = from_group("Fm-3m", Lattice.cubic(5.62), [("Na", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)])
QUARTZ = from_group(
    "P3_221", Lattice.hexagonal(4.913, 5.405), [("Si", 0.4697, 0, 2 / 3), ("O", 0.4135, 0.2669, 0.7858)]
)


def by_element(structure, values):
    return {site.specie.symbol: value for site, value in zip(structure, values, strict=True)}


def test_perovskite():
    found = describe(PEROVSKITE)
    assert (found.space_group, found.number, found.crystal_system) == ("Pm-3m", 221, "cubic")
    assert found.point_group == "m-3m" and found.formula == "SrTiO3" and found.formula_units == 1
    assert found.density == pytest.approx(5.117, abs=1e-3)
    assert found.orbit.tolist() == [0, 1, 2, 2, 2] and found.multiplicity.tolist() == [1, 1, 3, 3, 3]
    assert found.oxidation.tolist() == [2, 4, -2, -2, -2]
    assert found.coordination.tolist() == [12, 6, 2, 2, 2]
    assert found.surroundings[0] == "12 O" and found.surroundings[2] == "2 Ti (+ 4 Sr)"
    assert found.nearest_element == ("O", "O", "Ti", "Ti", "Ti")
    np.testing.assert_allclose(found.nearest_distance, [3.905 / 2**0.5] + [3.905 / 2] * 4)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("structure", "group", "system", "coordination", "oxidation"),
    [
        (SALT, "Fm-3m", "cubic", {"Na": 6, "Cl": 6}, {"Na": 1, "Cl": -1}),
        (QUARTZ, "P3_221", "trigonal", {"Si": 4, "O": 2}, {"Si": 4, "O": -2}),
        (from_group("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), [("Ti", 0, 0, 0), ("O", 0.3051, 0.3051, 0)]),
         "P4_2/mnm", "tetragonal", {"Ti": 6, "O": 3}, {"Ti": 4, "O": -2}),
        (from_group("P6_3mc", Lattice.hexagonal(3.82, 6.26), [("Zn", 1 / 3, 2 / 3, 0), ("S", 1 / 3, 2 / 3, 0.3748)]),
         "P6_3mc", "hexagonal", {"Zn": 4, "S": 4}, {"Zn": 2, "S": -2}),
        (from_group("Fm-3m", Lattice.cubic(3.615), [("Cu", 0, 0, 0)]), "Fm-3m", "cubic", {"Cu": 12}, {"Cu": 0}),
        (from_group("Pm-3m", Lattice.cubic(4.123), [("Cs", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)]),
         "Pm-3m", "cubic", {"Cs": 8, "Cl": 8}, {"Cs": 1, "Cl": -1}),
    ],
)  # fmt: skip
def test_textbook_crystals(structure, group, system, coordination, oxidation):
    found = describe(structure)
    assert found.space_group == group and found.crystal_system == system
    assert by_element(structure, found.coordination) == coordination
    assert by_element(structure, found.oxidation) == oxidation


@pytest.mark.parametrize("structure", [SALT, PEROVSKITE])
def test_multiplicities_belong_to_the_conventional_cell(structure):
    found = describe(structure)
    for cell in (structure.get_primitive_structure(), structure * (2, 1, 1)):
        other = describe(cell)
        assert other.number == found.number
        assert by_element(cell, other.multiplicity) == by_element(structure, found.multiplicity)
        assert len(set(other.orbit)) == len(set(found.orbit))
        assert sorted(set(other.surroundings)) == sorted(set(found.surroundings))


def test_left_handed_axes_keep_the_hand_of_the_crystal():
    swapped = Structure(QUARTZ.lattice.matrix[[1, 0, 2]], QUARTZ.species, QUARTZ.frac_coords[:, [1, 0, 2]])
    assert describe(swapped).space_group == "P3_221"


def test_nearly_symmetric_crystals_are_noted():
    distorted = PEROVSKITE.copy()
    distorted.translate_sites([1], [0, 0, 0.01])
    found = describe(distorted)
    assert found.number == 99 and found.symprec == 0.01
    assert "Pm-3m" in found.notes[0] and "0.1 angstrom" in found.notes[0]
    assert describe(distorted, symprec=0.1).number == 221


def test_no_symmetry_falls_back_to_p1():
    on_top = Structure(Lattice.cubic(4), ["Na", "Na", "Cl"], [[0, 0, 0], [0, 0, 0], [0.5, 0.5, 0.5]])
    found = describe(on_top)
    assert (found.space_group, found.number, found.point_group) == ("P1", 1, "1")
    assert found.orbit.tolist() == [0, 1, 2] and found.wyckoff == ("a", "a", "a")
    assert "P1" in found.notes[0]


def test_mean_valence_and_alloys():
    magnetite = Structure(Lattice.cubic(6), ["Fe"] * 3 + ["O"] * 4, np.arange(21).reshape(7, 3) / 21)
    np.testing.assert_allclose(oxidation_states(magnetite)[:3], 8 / 3)
    alloy = from_group("Pm-3m", Lattice.cubic(2.99), [("Ti", 0, 0, 0), ("Ni", 0.5, 0.5, 0.5)])
    assert oxidation_states(alloy) is None
    assert describe(alloy).coordination.tolist() == [14, 14]


def test_large_formulas_do_not_explode():
    rng = np.random.default_rng(0)
    species = ["Fe"] * 23 + ["Mn"] * 19 + ["V"] * 17 + ["S"] * 13 + ["N"] * 11 + ["O"] * 37
    large = Structure(Lattice.cubic(14), species, rng.random((len(species), 3)))
    start = time.perf_counter()
    assert oxidation_states(large) is None
    assert time.perf_counter() - start < 0.2


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
def test_an_isolated_atom_has_no_neighbours():
    found = describe(Structure(Lattice.cubic(30), ["Ar"], [[0, 0, 0]]))
    assert np.isnan(found.nearest_distance[0]) and found.nearest_element == ("",)
    assert found.coordination.tolist() == [0] and found.surroundings == ("",)
