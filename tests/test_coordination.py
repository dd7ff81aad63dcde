"""Coordination numbers and nearest anions from the graphs, against the search that the crystal page uses."""

import numpy as np
import pytest
from builders import perovskite
from pymatgen.core import Lattice, Structure

from cgcnn.cell import SYMBOLS
from cgcnn.contributions import structure_graph
from cgcnn.coordination import coordination
from cgcnn.graph import GraphSettings, PackedGraphs
from cgcnn.perovskite import ROLES, site_roles
from cgcnn.symmetry import coordination_shells, oxidation_states


def found(*structures: Structure, settings: GraphSettings = GraphSettings()) -> tuple[list[int], list[str]]:
    graphs = PackedGraphs.from_graphs([structure_graph(s, settings) for s in structures])
    roles = [site_roles(s.lattice.matrix, s.atomic_numbers, s.frac_coords) for s in structures]
    codes = np.array([-1 if role is None else ROLES.index(role) for one in roles for role in one])
    number, anion = coordination(graphs, codes, settings)
    return number.tolist(), [SYMBOLS[z] if z else "" for z in anion]


def test_perovskite():
    assert found(perovskite()) == ([12, 6, 2, 2, 2], ["O", "O", "", "", ""])
    # Electronegativity alone would count Pb among the anions.
    assert found(perovskite("Cs", "Pb", ("I", "I", "I"), 6.3)) == ([12, 6, 2, 2, 2], ["I", "I", "", "", ""])


def test_antiperovskite():
    numbers, anions = found(perovskite("Sn", "O", ("Ca", "Ca", "Ca"), 4.83))
    assert numbers[:2] == [12, 6]
    assert anions == ["", "", "O", "O", "O"]


def test_salts_and_metals():
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert found(salt) == ([6] * 8, ["Cl"] * 4 + [""] * 4)
    cesium = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert found(cesium)[0] == [8, 8]
    copper = Structure(Lattice.cubic(3.61), ["Cu"] * 4, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    assert found(copper) == ([12] * 4, [""] * 4)
    alone = Structure(Lattice.cubic(30), ["Ar"], [[0, 0, 0]])
    assert found(alone) == ([0], [""])


def test_several_crystals_at_once_and_hard_cut():
    assert found(perovskite(), perovskite("Ba", "Zr", edge=4.19))[0] == [12, 6, 2, 2, 2] * 2
    assert found(perovskite(), settings=GraphSettings(truncate=True))[0][:2] == [12, 6]


def test_agrees_with_the_search_for_one_crystal(crystals):
    names = ["SrTiO3", "BaTaO2N", "PbTiO3, tetragonal", "NaCl, conventional", "TiO2, rutile", "SrTiO3, rattled"]
    for structure in (crystals[name] for name in names):
        shells = coordination_shells(structure, oxidation_states(structure))
        assert found(structure)[0] == pytest.approx(shells["coordination"]), structure.formula


def test_shell_that_reaches_behind_the_smooth_edge_is_counted_in_whole_images():
    """The weights of images behind the 12th neighbour are below 1."""
    stretched = Structure(
        Lattice.tetragonal(3.9, 4.5), ["Sr", "Ti", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]],
    )  # fmt: skip
    assert found(stretched)[0][:2] == [12, 6]
