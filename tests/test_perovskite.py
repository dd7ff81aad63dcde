"""A, B and X from geometry."""

import numpy as np
import pytest
from conftest import perovskite
from pymatgen.core import Lattice, Structure

from cgcnn.perovskite import site_roles


def roles(structure: Structure) -> list[str | None]:
    return site_roles(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)


def by_element(structure: Structure) -> dict[str, set]:
    found = {}
    for site, role in zip(structure, roles(structure), strict=True):
        found.setdefault(site.specie.symbol, set()).add(role)
    return found


def test_ideal_cubic_wherever_the_origin_and_whatever_the_order():
    rng = np.random.default_rng(0)
    for a, b, x in (("Sr", "Ti", "OOO"), ("Ti", "Sr", "OOO"), ("Ba", "Ta", "OON"), ("Cs", "Pb", ["I"] * 3)):
        structure = perovskite(a, b, tuple(x))
        expected = {a: {"A"}, b: {"B"}, **{s: {"X"} for s in x}}
        assert by_element(structure) == expected
        moved = Structure.from_sites([structure[i] for i in rng.permutation(5)])
        moved.translate_sites(range(5), rng.random(3))
        assert by_element(moved) == expected
        assert by_element(moved * (2, 1, 2)) == expected


def test_off_centre_tetragonal(crystals):
    assert by_element(crystals["PbTiO3, tetragonal"]) == {"Pb": {"A"}, "Ti": {"B"}, "O": {"X"}}


def test_tilted_orthorhombic():
    """CaTiO3, Pnma: Sasaki, Prewitt, Bass and Schulze, Acta Cryst. C43, 1668 (1987)."""
    structure = Structure.from_spacegroup(
        "Pbnm",
        Lattice.orthorhombic(5.388, 5.447, 7.654),
        ["Ca", "Ti", "O", "O"],
        [[0.9934, 0.0360, 0.25], [0, 0.5, 0], [0.0714, 0.4838, 0.25], [0.7108, 0.2888, 0.0371]],
    )
    assert len(structure) == 20
    assert by_element(structure) == {"Ca": {"A"}, "Ti": {"B"}, "O": {"X"}}


@pytest.mark.parametrize("name", ["NaCl, conventional", "TiO2, rutile", "Cu, one site", "skewed", "flat"])
def test_other_crystals_have_no_roles(crystals, name):
    assert set(roles(crystals[name])) == {None}


def test_abx3_that_is_no_perovskite_has_no_roles():
    """Ilmenite FeTiO3, both cations octahedral: Wechsler and Prewitt, Am. Mineral. 69, 176 (1984)."""
    structure = Structure.from_spacegroup(
        "R-3",
        Lattice.hexagonal(5.088, 14.086),
        ["Fe", "Ti", "O"],
        [[0, 0, 0.3553], [0, 0, 0.1465], [0.3174, 0.0233, 0.2451]],
    )
    assert len(structure) == 30
    assert set(roles(structure)) == {None}
