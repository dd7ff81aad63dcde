"""A, B and X from geometry; hand-built crystals, rounded from the sources named."""

import numpy as np
import pytest
from builders import perovskite
from pymatgen.core import Lattice, Structure

from cgcnn.perovskite import find_perovskite, perovskite_kind, site_roles


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
        Lattice.orthorhombic(5.3796, 5.4423, 7.6401),
        ["Ca", "Ti", "O", "O"],
        [[0.9932, 0.0360, 0.25], [0, 0.5, 0], [0.0714, 0.4838, 0.25], [0.7108, 0.2888, 0.0371]],
    )
    assert len(structure) == 20
    assert by_element(structure) == {"Ca": {"A"}, "Ti": {"B"}, "O": {"X"}}


def spacegroup(symbol: str, lattice: Lattice, *sites: tuple[str, list[float]]) -> Structure:
    return Structure.from_spacegroup(symbol, lattice, [s for s, _ in sites], [xyz for _, xyz in sites])


def stacked(*layers: tuple[str, str], edge: float = 3.9) -> Structure:
    """Ideal perovskite cells, A and B of each, one on top of the other."""
    species, coords = [], []
    for z, (a, b) in enumerate(layers):
        species += [a, b, "O", "O", "O"]
        for frac in ([0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]):
            coords.append([frac[0], frac[1], (frac[2] + z) / len(layers)])
    return Structure(Lattice.tetragonal(edge, edge * len(layers)), species, coords)


def rock_salt_ordered(b: str, b2: str, a: str, x: str, edge: float, u: float) -> Structure:
    """Fm-3m double perovskite; X at (u, 0, 0)."""
    return spacegroup(
        *("Fm-3m", Lattice.cubic(edge)),
        *((b, [0, 0, 0]), (b2, [0.5, 0.5, 0.5]), (a, [0.25, 0.25, 0.25]), (x, [u, 0, 0])),
    )


def rotated(a: str, b: str, edge: float, angle: float) -> Structure:
    """I4/mcm, a0a0c-: octahedra of a cubic cell of this edge turned about c by an angle in degrees."""
    u = 0.25 * (1 - np.tan(np.radians(angle)))
    return spacegroup(
        *("I4/mcm", Lattice.tetragonal(2**0.5 * edge, 2 * edge)),
        *((a, [0, 0.5, 0.25]), (b, [0, 0, 0]), ("O", [0, 0, 0.25]), ("O", [u, u + 0.5, 0])),
    )


PEROVSKITES = {
    # rotation of 2.1 degrees at 4 K: Unoki and Sakudo, J. Phys. Soc. Jpn. 23, 546 (1967)
    "SrTiO3, I4/mcm": (rotated("Sr", "Ti", 3.90, 2.1), "Sr", "Ti"),
    "a strong rotation, I4/mcm": (rotated("Ca", "Ti", 3.85, 12), "Ca", "Ti"),
    # Howard, Kennedy and Chakoumakos, J. Phys.: Condens. Matter 12, 349 (2000)
    "LaAlO3, R-3c": (
        spacegroup(
            *("R-3c", Lattice.hexagonal(5.365, 13.11)),
            *(("La", [0, 0, 0.25]), ("Al", [0, 0, 0]), ("O", [0.528, 0, 0.25])),
        ),
        *("La", "Al"),
    ),
    # Moreau, Michel, Gerson and James, J. Phys. Chem. Solids 32, 1315 (1971)
    "BiFeO3, R3c": (
        spacegroup(
            *("R3c", Lattice.hexagonal(5.58, 13.87)),
            *(("Bi", [0, 0, 0]), ("Fe", [0, 0, 0.221]), ("O", [0.443, 0.012, 0.954])),
        ),
        *("Bi", "Fe"),
    ),
    # both cations octahedral, yet of the topology of BiFeO3: Abrahams and Marsh, Acta Cryst. B42, 61 (1986)
    "LiNbO3, R3c": (
        spacegroup(
            *("R3c", Lattice.hexagonal(5.148, 13.863)),
            *(("Nb", [0, 0, 0]), ("Li", [0, 0, 0.279]), ("O", [0.048, 0.343, 0.063])),
        ),
        *("Li", "Nb"),
    ),
    # pyramidal vanadium: Belik et al., Chem. Mater. 17, 269 (2005)
    "PbVO3, P4mm": (
        Structure(
            Lattice.tetragonal(3.80, 4.67),
            ["Pb", "V", "O", "O", "O"],
            [[0, 0, 0], [0.5, 0.5, 0.568], [0.5, 0.5, 0.211], [0.5, 0, 0.682], [0, 0.5, 0.682]],
        ),
        *("Pb", "V"),
    ),
    # Trots and Myagkota, J. Phys. Chem. Solids 69, 2520 (2008)
    "CsPbI3, cubic": (perovskite("Cs", "Pb", ("I", "I", "I"), 6.29), "Cs", "Pb"),
    "layers of Cu and Sn": (stacked(("La", "Cu"), ("La", "Sn")), "La", "Cu Sn"),
    "layers of Na and La": (stacked(("Na", "Ti"), ("La", "Ti")), "Na La", "Ti"),
    "layers of both": (stacked(("Na", "Mg"), ("La", "W")), "Na La", "Mg W"),
    "an element on A and on B": (stacked(("La", "Mn"), ("Mn", "Mn")), "", ""),
    # Patwe, Achary, Mathews and Tyagi, J. Alloys Compd. 390, 270 (2005)
    "Ba2MgWO6": (rock_salt_ordered("Mg", "W", "Ba", "O", 8.11, 0.264), "Ba", "Mg W"),
    # Slavney, Hu, Lindenberg and Karunadasa, J. Am. Chem. Soc. 138, 2138 (2016)
    "Cs2AgBiBr6": (rock_salt_ordered("Ag", "Bi", "Cs", "Br", 11.27, 0.249), "Cs", "Ag Bi"),
    # one element on A and on half of B; idealised cryolite
    "K3AlF6, cubic": (rock_salt_ordered("Al", "K", "K", "F", 8.4, 0.219), "", ""),
    # Chmaissem et al., Phys. Rev. B 62, 14197 (2000)
    "Sr2FeMoO6, I4/m": (
        spacegroup(
            *("I4/m", Lattice.tetragonal(5.57, 7.90)),
            *(("Fe", [0, 0, 0]), ("Mo", [0, 0, 0.5]), ("Sr", [0, 0.5, 0.25])),
            *(("O", [0, 0, 0.254]), ("O", [0.274, 0.232, 0])),
        ),
        *("Sr", "Fe Mo"),
    ),
    # order on A, squares about Cu: Bochu et al., J. Solid State Chem. 29, 291 (1979)
    "CaCu3Ti4O12": (
        spacegroup(
            *("Im-3", Lattice.cubic(7.391)),
            *(("Ca", [0, 0, 0]), ("Cu", [0, 0.5, 0.5]), ("Ti", [0.25, 0.25, 0.25]), ("O", [0.304, 0.179, 0])),
        ),
        *("Ca Cu", "Ti"),
    ),
}


@pytest.mark.parametrize("name", PEROVSKITES)
def test_perovskites_shuffled_and_shifted(name):
    structure, a, b = PEROVSKITES[name]
    rng = np.random.default_rng(0)
    expected = None
    for _ in range(4):
        found = by_element(structure)
        if a:
            anion = set(found) - set(a.split()) - set(b.split())
            assert found == {e: {"A"} for e in a.split()} | {e: {"B"} for e in b.split()} | {e: {"X"} for e in anion}
        assert (
            perovskite_kind(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords) == "perovskite"
        )
        expected = expected or found
        assert found == expected
        structure = Structure.from_sites([structure[i] for i in rng.permutation(len(structure))])
        structure.translate_sites(range(len(structure)), rng.random(3))


def test_one_element_on_two_sites():
    """The sites of an element get different roles, by where they are."""
    for name, counts in (("an element on A and on B", [2, 2, 6]), ("K3AlF6, cubic", [8, 8, 24])):
        found = roles(PEROVSKITES[name][0])
        assert [found.count(role) for role in "ABX"] == counts
    cryolite = PEROVSKITES["K3AlF6, cubic"][0]
    assert by_element(cryolite) == {"K": {"A", "B"}, "Al": {"B"}, "F": {"X"}}


def test_primitive_cell_and_supercell():
    double = PEROVSKITES["Ba2MgWO6"][0]
    primitive = double.get_primitive_structure()
    assert len(primitive) == 10
    assert by_element(primitive) == by_element(double)
    skewed = Structure.from_sites(perovskite())
    skewed.make_supercell([[1, 1, 0], [0, 1, 1], [0, 0, 2]])
    assert by_element(skewed) == {"Sr": {"A"}, "Ti": {"B"}, "O": {"X"}}


def test_mixed_anions_relaxed_along_the_polar_axis():
    """B far from the plane of four anions, as in the nitrides and oxyfluorides of Castelli et al. (2012)."""
    structure = perovskite("Ba", "Ta", ("O", "O", "N"), 4.1)
    for site, shift in ((0, -0.3), (1, 0.25), (4, 0.15)):
        structure.translate_sites([site], [shift, 0, 0])
    assert by_element(structure) == {"Ba": {"A"}, "Ta": {"B"}, "O": {"X"}, "N": {"X"}}


@pytest.mark.parametrize(
    ("cage", "centre", "corner", "edge"),
    [
        ("Sn", "O", "Ca", 4.83),  # Widera and Schaefer, Mater. Res. Bull. 15, 1805 (1980)
        ("Ga", "N", "Mn", 3.90),  # Bertaut, Fruchart, Bouchaud and Fruchart, Solid State Commun. 6, 251 (1968)
        ("Cl", "O", "Li", 3.91),  # Zhao and Daemen, J. Am. Chem. Soc. 134, 15042 (2012)
        ("Mg", "C", "Ni", 3.81),  # He et al., Nature 411, 54 (2001)
    ],
)
def test_antiperovskites_are_named_and_have_no_roles_of_a_perovskite(cage, centre, corner, edge):
    structure = perovskite(cage, centre, (corner,) * 3, edge) * (1, 2, 1)
    assert set(roles(structure)) == {None}
    found = find_perovskite(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)
    assert found.kind == "antiperovskite"
    assert dict(zip([s.specie.symbol for s in structure], found.roles, strict=True)) == {
        cage: "A", centre: "B", corner: "X"
    }  # fmt: skip


OTHERS = {
    # both cations octahedral, sharing faces: Wechsler and Prewitt, Am. Mineral. 69, 176 (1984)
    "ilmenite FeTiO3": spacegroup(
        *("R-3", Lattice.hexagonal(5.088, 14.086)),
        *(("Fe", [0, 0, 0.3553]), ("Ti", [0, 0, 0.1465]), ("O", [0.3174, 0.0233, 0.2451])),
    ),
    # chains of face-sharing octahedra: Lander, Acta Cryst. 4, 148 (1951)
    "2H BaNiO3": spacegroup(
        *("P6_3/mmc", Lattice.hexagonal(5.63, 4.81)),
        *(("Ba", [1 / 3, 2 / 3, 0.75]), ("Ni", [0, 0, 0]), ("O", [0.15, 0.30, 0.25])),
    ),
    # pairs of face-sharing octahedra: Burbank and Evans, Acta Cryst. 1, 330 (1948)
    "6H BaTiO3": spacegroup(
        *("P6_3/mmc", Lattice.hexagonal(5.735, 14.05)),
        *(("Ba", [0, 0, 0.25]), ("Ba", [1 / 3, 2 / 3, 0.097]), ("Ti", [0, 0, 0]), ("Ti", [1 / 3, 2 / 3, 0.845])),
        *(("O", [0.522, 0.044, 0.25]), ("O", [0.836, 0.672, 0.076])),
    ),
    # edge-sharing sheets, the structure of CaIrO3: Murakami et al., Science 304, 855 (2004)
    "post-perovskite MgSiO3": spacegroup(
        *("Cmcm", Lattice.orthorhombic(2.456, 8.042, 6.093)),
        *(("Mg", [0, 0.253, 0.25]), ("Si", [0, 0, 0]), ("O", [0, 0.923, 0.25]), ("O", [0, 0.636, 0.436])),
    ),
    # corner-sharing octahedra of Ca, but carbonate groups: Markgraf and Reeder, Am. Mineral. 70, 590 (1985)
    "calcite": spacegroup(
        *("R-3c", Lattice.hexagonal(4.988, 17.061)),
        *(("Ca", [0, 0, 0]), ("C", [0, 0, 0.25]), ("O", [0.257, 0, 0.25])),
    ),
    # on the sites of cubic perovskite, but B on one of X
    "the wrong order": Structure(
        Lattice.cubic(4.0),
        ["Sr", "Ti", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 0]],
    ),
    "metals only": perovskite("Y", "Pt", ("Pd", "Pd", "Pd"), 4.1),
    "cations on the corners": perovskite("O", "Sr", ("Ti", "Ti", "Ti")),
}


@pytest.mark.parametrize("name", ["NaCl, conventional", "TiO2, rutile", "Cu, one site", "skewed", "flat"])
def test_other_crystals_have_no_roles(crystals, name):
    assert set(roles(crystals[name])) == {None}


@pytest.mark.parametrize("name", OTHERS)
def test_abx3_that_is_no_perovskite_has_no_roles(name):
    structure = OTHERS[name]
    assert len(structure) % 5 == 0
    assert set(roles(structure)) == {None}
    assert perovskite_kind(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords) is None


def test_strange_cells_have_no_roles():
    coords = np.zeros((5, 3))
    assert set(site_roles(np.eye(3) * 4, [38, 22, 8, 8, 8], coords)) == {None}
    assert set(site_roles(np.zeros((3, 3)), [38, 22, 8, 8, 8], coords)) == {None}
    assert site_roles(np.eye(3) * 4, [], np.empty((0, 3))) == []
    huge = perovskite(edge=80.0)
    assert by_element(huge) == {"Sr": {"A"}, "Ti": {"B"}, "O": {"X"}}
