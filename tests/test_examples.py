"""The example crystals are what they are called: space group, nearest distances and density as textbooks have them."""

import pytest

from cgcnn.examples import examples
from cgcnn.structures import check_cell, structure_to_cell
from cgcnn.symmetry import describe

# name -> number of the space group, g/cm3, {element: (coordination number, nearest distance in angstrom)}
KNOWN = {
    "SrTiO3 (I4/mcm)": (140, 5.15, {"Ti": (6, 1.95)}),
    "NaCl (rock salt)": (225, 2.16, {"Na": (6, 2.820), "Cl": (6, 2.820)}),
    "CaF2 (fluorite)": (225, 3.18, {"Ca": (8, 2.366), "F": (4, 2.366)}),
    "MgAl2O4 (spinel)": (227, 3.58, {"Mg": (4, 1.92), "Al": (6, 1.93)}),
    "TiO2 (rutile)": (136, 4.25, {"Ti": (6, 1.949), "O": (3, 1.949)}),
    "Al2O3 (corundum)": (167, 3.99, {"Al": (6, 1.855)}),
    "SiO2 (quartz)": (154, 2.65, {"Si": (4, 1.605), "O": (2, 1.605)}),
    "ZnO (wurtzite)": (186, 5.68, {"Zn": (4, 1.975)}),
    "GaAs (zinc blende)": (216, 5.32, {"Ga": (4, 2.448)}),
    "YBa2Cu3O7 (layered cuprate)": (47, 6.37, {"Y": (8, 2.38)}),
    "Ni2MnGa (Heusler)": (225, 8.13, {"Mn": (None, 2.522)}),
    "Ni3Al (intermetallic)": (221, 7.40, {"Al": (12, 2.526)}),
}


@pytest.mark.parametrize("name", list(KNOWN))
def test_known_crystals(name):
    number, density, around = KNOWN[name]
    structure = examples()[name]
    found = describe(structure)
    assert found.number == number and found.density == pytest.approx(density, abs=0.015)
    for element, (coordination, distance) in around.items():
        sites = [i for i, site in enumerate(structure) if site.specie.symbol == element]
        assert min(found.nearest_distance[sites]) == pytest.approx(distance, abs=0.006)
        assert coordination is None or {int(found.coordination[i]) for i in sites} == {coordination}


def test_every_example_is_a_sound_cell():
    assert set(KNOWN) <= set(examples()) and len(examples()) >= 20
    for structure in examples().values():
        check_cell(structure_to_cell(structure))
