"""What must hold for every head, every convolution and every bundled model: a crystal has one energy, however it is
written down, and its contributions add up to it."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from cgcnn.contributions import explain
from cgcnn.model import Model

TOLERANCE = 1e-5  # eV


def raw(model: Model, structure: Structure) -> tuple[float, np.ndarray]:
    (found,) = explain(model, [structure])
    return found.energy, found.contribution


def test_contributions_add_up_to_the_energy(model, crystals):
    for name, found in zip(crystals, explain(model, list(crystals.values())), strict=True):
        assert found.contribution.mean() == pytest.approx(found.energy, abs=1e-6), name
        assert found.quadrature_error < 1e-6, name
        assert found.relative == pytest.approx(found.contribution - found.reference, abs=1e-12)


def test_batch_equals_single(model, crystals):
    together = explain(model, list(crystals.values()))
    for structure, found in zip(crystals.values(), together, strict=True):
        energy, contribution = raw(model, structure)
        assert found.energy == pytest.approx(energy, abs=TOLERANCE)
        assert found.contribution == pytest.approx(contribution, abs=TOLERANCE)


def test_order_of_sites(model, crystals):
    rng = np.random.default_rng(0)
    for name, structure in crystals.items():
        energy, contribution = raw(model, structure)
        order = rng.permutation(len(structure))
        shuffled = Structure.from_sites([structure[i] for i in order])
        other_energy, other = raw(model, shuffled)
        assert other_energy == pytest.approx(energy, abs=TOLERANCE), name
        assert other == pytest.approx(contribution[order], abs=TOLERANCE), name


def test_supercells(model, crystals):
    for name, structure in crystals.items():
        energy, contribution = raw(model, structure)
        for shape in ((2, 1, 1), (2, 2, 2), [[1, 1, 0], [0, 1, 0], [0, 0, 2]]):
            supercell = structure.copy()
            for i, site in enumerate(supercell):
                site.properties["parent"] = i
            supercell = supercell.make_supercell(shape, in_place=False)
            other_energy, other = raw(model, supercell)
            parent = [site.properties["parent"] for site in supercell]
            assert other_energy == pytest.approx(energy, abs=TOLERANCE), (name, shape)
            assert other == pytest.approx(contribution[parent], abs=TOLERANCE), (name, shape)


def test_primitive_and_conventional_cell(model, crystals):
    conventional = crystals["NaCl, conventional"]
    primitive = conventional.get_primitive_structure()
    assert len(primitive) == 2
    (energy, one), (other_energy, other) = raw(model, primitive), raw(model, conventional)
    assert other_energy == pytest.approx(energy, abs=TOLERANCE)
    by_element = dict(zip((s.specie.symbol for s in primitive), one, strict=True))
    assert other == pytest.approx([by_element[s.specie.symbol] for s in conventional], abs=TOLERANCE)


def test_translation_and_wrapping(model, crystals):
    for name, structure in crystals.items():
        energy, contribution = raw(model, structure)
        shift = np.array([0.137, -0.481, 0.77])
        moved = Structure(structure.lattice, structure.species, structure.frac_coords + shift)
        wrapped = Structure(structure.lattice, structure.species, structure.frac_coords + shift, to_unit_cell=True)
        images = Structure(structure.lattice, structure.species, structure.frac_coords + [[3, -2, 1]] * len(structure))
        for other in (moved, wrapped, images):
            other_energy, values = raw(model, other)
            assert other_energy == pytest.approx(energy, abs=TOLERANCE), name
            assert values == pytest.approx(contribution, abs=TOLERANCE), name


def test_rotation_and_other_lattice_vectors(model, crystals):
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    for name, structure in crystals.items():
        energy, contribution = raw(model, structure)
        rotated = Structure(Lattice(structure.lattice.matrix @ turn.T), structure.species, structure.frac_coords)
        # The same crystal with c + 2 a for c.
        change = np.array([[1, 0, 0], [0, 1, 0], [2, 0, 1]])
        sheared = Structure(
            Lattice(change @ structure.lattice.matrix), structure.species, structure.frac_coords @ np.linalg.inv(change)
        )
        for other in (rotated, sheared):
            other_energy, values = raw(model, other)
            assert other_energy == pytest.approx(energy, abs=TOLERANCE), name
            assert values == pytest.approx(contribution, abs=TOLERANCE), name


def test_equivalent_sites_are_equal(model, crystals):
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    for name in ("SrTiO3", "NaCl, conventional", "TiO2, rutile", "PbTiO3, tetragonal"):
        _, contribution = raw(model, crystals[name])
        orbits = SpacegroupAnalyzer(crystals[name], symprec=1e-4).get_symmetry_dataset().equivalent_atoms
        for orbit in set(orbits):
            assert np.ptp(contribution[orbits == orbit]) < TOLERANCE, name


def test_continuous_through_the_edge_of_a_shell(model):
    """Moving an atom in steps of 1e-4 angstrom through the edge of a shell never makes the energy jump."""
    edge = 3.905

    def values(shift: float) -> np.ndarray:
        frac = [[shift / edge, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]]
        energy, contribution = raw(model, Structure(Lattice.cubic(edge), ["Sr", "Ti", "O", "O", "O"], frac))
        return np.array([energy, *contribution])

    # At 0 all shells are degenerate; at 0.30 A the 12th neighbour of Ti changes places. A jump would stay as large
    # when the step is halved, a slope would not.
    for start in (0.0, 0.15, 0.2999, 0.3):
        step, half = values(start + 1e-4) - values(start), values(start + 5e-5) - values(start)
        assert np.abs(step).max() < 2e-3
        assert np.abs(half).max() <= 0.75 * np.abs(step).max() + TOLERANCE


def test_an_atom_without_neighbours(model):
    lonely = Structure(Lattice.cubic(20), ["O"], [[0, 0, 0]])
    energy, contribution = raw(model, lonely)
    far = Structure(Lattice.cubic(40), ["O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert np.isfinite(energy)
    assert raw(model, far)[0] == pytest.approx(energy, abs=TOLERANCE)


def test_padding_does_not_matter(model, crystals):
    """Alone, or beside a crystal with many more neighbours: an atom with few neighbours gets the same energy."""
    few = Structure(Lattice.cubic(20), ["O", "C"], [[0, 0, 0], [0.06, 0, 0]])
    alone = raw(model, few)
    beside = explain(model, [crystals["SrTiO3"] * (2, 2, 2), few])[1]
    assert beside.energy == pytest.approx(alone[0], abs=TOLERANCE)
    assert beside.contribution == pytest.approx(alone[1], abs=TOLERANCE)
