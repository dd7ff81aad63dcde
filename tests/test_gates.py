"""Gates of the neighbours: against the equation, and neighbour by neighbour."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import perovskite, small_model, small_network

from cgcnn.contributions import structure_graph
from cgcnn.gates import gate_openings, gate_table, has_gates
from cgcnn.graph import collate
from cgcnn.symmetry import describe
from cgcnn.tables import site_names


def by_hand(member, structure, settings) -> np.ndarray:
    """sigmoid(z W_f + b_f) with z concatenated, edge by edge, for the first convolution; (E,)"""
    batch = collate([structure_graph(structure, settings)])
    v, u = member.embedding(batch.atomic_numbers), member.expansion(batch.distance)
    convolution = member.convolutions[0]
    x = convolution.norm(v)
    half = convolution.from_centre.out_features // 2
    weights = (convolution.from_centre.weight, convolution.from_neighbour.weight, convolution.from_edge.weight)
    matrix = torch.cat([w[:half] for w in weights], dim=1)
    values = []
    for e in range(len(batch.centre)):
        z = torch.cat([x[batch.centre[e]], x[batch.neighbour[e]], u[e]])
        values.append(torch.sigmoid(matrix @ z + convolution.from_centre.bias[:half]).mean())
    return torch.stack(values).numpy()


@pytest.mark.parametrize("which", [("linear", "eq5"), ("mean", "authors")])
def test_openings_are_those_of_the_equation(which):
    model = small_model(*which)
    structure = perovskite()
    gates = gate_openings(model, structure)
    graph = structure_graph(structure, model.graph_settings)
    expected = by_hand(model.members[0], structure, model.graph_settings)
    assert gates.opening.shape == (3, len(gates.site)) and gates.sd is None and gates.mean_sd is None
    for e in range(len(graph.centre)):
        same = (gates.site == graph.centre[e]) & (gates.neighbour == graph.neighbour[e])
        same &= np.abs(gates.distance - graph.distance[e]) < 1e-4
        assert gates.opening[0][same] == pytest.approx(expected[e], abs=1e-9)
        assert gates.weight[same].sum() == pytest.approx(graph.weight[e])
    assert gates.mean == pytest.approx(gates.opening.mean(0))


@pytest.mark.parametrize("name", ["SrTiO3", "SrTiO3, rattled", "Cu, one site", "NaCl, conventional", "skewed"])
def test_every_neighbour_is_where_it_is_said_to_be(crystals, name):
    structure = crystals[name]
    gates = gate_openings(small_model("gated"), structure)
    graph = structure_graph(structure, small_model("gated").graph_settings)
    assert gates.weight.sum() == pytest.approx(graph.weight.sum())
    start = structure.lattice.get_cartesian_coords(structure.frac_coords[gates.site])
    end = structure.lattice.get_cartesian_coords(structure.frac_coords[gates.neighbour] + gates.image)
    assert np.linalg.norm(end - start, axis=1) == pytest.approx(gates.distance)
    assert ((gates.opening > 0) & (gates.opening < 1)).all()
    low, high = gates.range()
    assert low <= gates.mean.min() and gates.mean.max() <= high


def test_spread_over_members():
    one, other = small_model("linear"), small_network("linear")
    other.convolutions[1].from_edge.weight.mul_(2.0)
    pair = gate_openings(replace(one, members=(one.members[0], other)), perovskite())
    single = [gate_openings(replace(one, members=(m,)), perovskite()) for m in (one.members[0], other)]
    assert pair.opening == pytest.approx(np.mean([s.opening for s in single], axis=0))
    assert pair.sd == pytest.approx(np.std([s.opening for s in single], axis=0, ddof=1))
    assert pair.mean_sd == pytest.approx(np.std([s.mean for s in single], axis=0, ddof=1))
    assert pair.of(1)[0] == pytest.approx(pair.opening[1]) and pair.of(None)[0] is pair.mean


def test_table_of_a_site_counts_its_neighbours():
    structure = perovskite(edge=4.0)
    gates = gate_openings(small_model("linear"), structure)
    names, orbit = site_names_of(structure), describe(structure).orbit
    table = gate_table(gates, 1, names, orbit)
    assert list(table["neighbour"]) == ["O", "Sr1"] and list(table["number"]) == [6, 8]
    assert list(table["distance"]) == pytest.approx([2.0, 4.0 * 3**0.5 / 2])
    assert list(table["counts"]) == pytest.approx([1.0, 1.0]) and "sd" not in table
    single = gate_table(gates, 1, names)  # without symmetry, every oxygen for itself
    assert list(single["neighbour"]) == ["O1", "O2", "O3", "Sr1"] and list(single["number"]) == [2, 2, 2, 8]


def site_names_of(structure):
    from cgcnn.contributions import explain

    return site_names(explain(small_model("linear"), [structure])[0])


def test_the_other_convolution_has_no_gates():
    model = small_model("linear", "eq4")
    assert not has_gates(model) and has_gates(small_model("linear"))
    with pytest.raises(ValueError, match="no gates"):
        gate_openings(model, perovskite())


def test_a_site_without_neighbours():
    gates = gate_openings(small_model("linear"), perovskite(edge=40.0))
    assert len(gates.site) == 0 and gates.range() == (0.0, 1.0)
    assert len(gate_table(gates, 0, ["Sr1", "Ti1", "O1", "O2", "O3"])) == 0
