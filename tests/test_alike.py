"""Surroundings that are alike are computed once; no number changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import perovskite, small_network
from pymatgen.core import Structure

from cgcnn.contributions import structure_graph
from cgcnn.graph import GraphSettings, collate
from cgcnn.network import alike
from cgcnn.network.alike import site_features


def rattled(structure: Structure) -> Structure:
    structure, rng = structure.copy(), np.random.default_rng(3)
    for i in range(len(structure)):
        structure.translate_sites([i], rng.normal(scale=0.04, size=3), frac_coords=False)
    return structure


def graph(structure: Structure):
    return structure_graph(structure, GraphSettings())


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-11), (torch.float32, 2e-5)], ids=str)
@pytest.mark.parametrize("form", ["eq4", "eq5"])
def test_features_are_those_of_each_network_alone(crystals, form, dtype, most):
    """Of crystals alike, different, large, rattled, and with one atom swapped."""
    shapes = [*crystals.values(), rattled(perovskite() * (2, 2, 1)), perovskite() * (4, 4, 4), perovskite(edge=4.1)]
    graphs = [graph(structure) for structure in shapes]
    for number in (22, 40, 56):
        swapped = graphs[-1].atomic_numbers.copy()
        swapped[1] = number
        graphs.append(replace(graphs[-1], atomic_numbers=swapped))
    batch = collate(graphs, dtype)
    networks = [small_network("gated", form, seed).to(dtype) for seed in (0, 1)]
    for network, shared in zip(networks, site_features(networks, batch), strict=True):
        for one, other in zip(shared, network.site_features(batch), strict=True):
            assert one.dtype == dtype and torch.allclose(one, other, rtol=0, atol=most)


def test_each_kind_of_site_is_computed_once():
    rounds = alike._plan(collate([graph(perovskite() * (2, 2, 2))] * 3), 4).rounds
    assert [sum(len(part.own) for part in parts) for parts in rounds] == [3, 3, 3, 3]
    cell = perovskite() * (2, 2, 2)
    cell.replace(0, "Ba")  # on A; what differs grows from its neighbours to the whole cell
    kinds = [sum(len(part.own) for part in parts) for parts in alike._plan(collate([graph(cell)]), 4).rounds]
    assert 3 < kinds[0] < kinds[-1] < len(cell) / 2 and kinds == sorted(kinds)
    plan = alike._plan(collate([graph(rattled(cell))]), 2)
    assert [sum(len(part.own) for part in parts) for parts in plan.rounds] == [len(cell)] * 2


def test_many_edges_are_convolved_in_parts():
    batch = collate([graph(rattled(perovskite() * (5, 5, 4)))])
    (parts, *_) = alike._plan(batch, 1).rounds
    assert len(parts) > 1 and sum(len(part.centre) for part in parts) == len(batch.centre)


def test_sites_without_neighbours_are_no_trouble():
    far = graph(perovskite(edge=40.0))
    batch, network = collate([far, far]), small_network("linear")
    ((shared, _),) = site_features([network], batch)
    assert len(far.centre) == 0 and torch.allclose(shared, network.site_features(batch)[0])
