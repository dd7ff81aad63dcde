"""The graph of distinct sites: what is merged, and that a network does not notice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import HEADS, perovskite, small_model
from pymatgen.core import Lattice, Structure

from cgcnn.contributions import structure_graph
from cgcnn.distinct import DistinctSites, distinct_sites
from cgcnn.graph import GraphSettings, PackedGraphs, collate


def test_sites_of_well_known_crystals(crystals):
    def kinds(name):
        graph, node = distinct_sites(structure_graph(crystals[name], GraphSettings()))
        assert np.bincount(node).tolist() == graph.multiplicity.tolist()
        return graph.multiplicity.tolist()

    assert kinds("Cu, one site") == [1]
    assert kinds("SrTiO3") == [1, 1, 3]
    assert kinds("BaTaO2N") == [1, 1, 2, 1]
    assert kinds("PbTiO3, tetragonal") == [1, 1, 1, 2]
    assert kinds("NaCl, conventional") == [4, 4]
    assert kinds("TiO2, rutile") == [2, 4]
    assert kinds("SrTiO3, rattled") == [1, 1, 1, 1, 1]


def test_supercell_has_the_distinct_sites_of_its_cell():
    cell = perovskite()
    small, _ = distinct_sites(structure_graph(cell, GraphSettings()))
    large, _ = distinct_sites(structure_graph(cell.make_supercell((3, 2, 2), in_place=False), GraphSettings()))
    assert len(small.centre) == len(large.centre) < 12
    assert large.multiplicity.tolist() == [12, 12, 36]
    assert large.distance == pytest.approx(small.distance) and large.weight == pytest.approx(small.weight)


def test_rounded_coordinates_still_merge():
    rng = np.random.default_rng(0)
    cell = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0] * 3, [0.305, 0.305, 0]]
    )
    cell.make_supercell((2, 2, 2))
    noisy = Structure(cell.lattice, cell.species, cell.cart_coords + rng.normal(scale=1e-5, size=(48, 3)),
                      coords_are_cartesian=True)  # fmt: skip
    graph, _ = distinct_sites(structure_graph(noisy, GraphSettings()))
    assert graph.multiplicity.tolist() == [16, 32]


@pytest.mark.parametrize("head", HEADS)
def test_a_network_computes_the_same(crystals, head):
    model = small_model(head)
    graphs = [structure_graph(structure, GraphSettings()) for structure in crystals.values()]
    graphs += [
        graphs[1],
        structure_graph(crystals["SrTiO3, rattled"].make_supercell(2, in_place=False), GraphSettings()),
    ]
    whole = PackedGraphs.from_graphs(graphs)
    distinct = DistinctSites.of(whole)
    energy, contribution = model.energies_and_contributions(collate(graphs))
    few, of_kinds = model.energies_and_contributions(distinct.graphs.select())
    assert few == pytest.approx(energy, abs=1e-6)
    everyone = np.arange(len(graphs))
    assert of_kinds[:, distinct.rows(everyone, everyone)] == pytest.approx(contribution, abs=1e-5)
    some = np.array([6, 1, 9])
    rows = distinct.rows(some, np.array([2, 1]))
    again = model.energies_and_contributions(distinct.graphs.select(some))[1][:, rows]
    first = whole.first_site
    expected = torch.cat([contribution[:, first[i] : first[i] + whole.sites[i]] for i in (9, 1)], dim=1)
    assert again == pytest.approx(expected, abs=1e-5)


def test_every_site_for_itself(crystals):
    whole = PackedGraphs.from_graphs(
        [structure_graph(crystals[name], GraphSettings()) for name in ("SrTiO3", "BaTaO2N")]
    )
    same = DistinctSites.all_sites(whole)
    assert same.rows(np.array([1, 0]), np.array([0, 1])).tolist() == list(range(10))
