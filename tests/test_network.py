"""Layers against their formulas written out."""

import numpy as np
import pytest
import torch
from builders import HEADS, small_network
from torch.nn import functional as F

from cgcnn.contributions import structure_graph
from cgcnn.graph import GraphSettings, collate
from cgcnn.network import CrystalNetwork, NetworkSettings
from cgcnn.network.convolution import Convolution, GaussianExpansion, neighbour_weights
from cgcnn.network.elements import element_table
from cgcnn.network.pooling import GatedPooling, MeanPooling


@pytest.fixture
def batch(crystals):
    return collate([structure_graph(s, GraphSettings()) for s in crystals.values()])


def test_gaussians_are_those_of_the_paper():
    expansion = GaussianExpansion(8.0)
    assert expansion.centres.numpy() == pytest.approx(np.arange(41) * 0.2)
    u = expansion(torch.tensor([2.1]))
    assert u[0, 10].item() == pytest.approx(np.exp(-((0.1 / 0.2) ** 2)))
    assert u[0, 11].item() == pytest.approx(u[0, 10].item(), rel=1e-5)


@pytest.mark.parametrize("form", ["eq4", "eq5"])
def test_convolution_equals_the_formula_edge_by_edge(batch, form):
    """The factorised form against one concatenation and one loop over sites."""
    torch.manual_seed(3)
    width = 6
    layer = Convolution(width, 41, form).double()
    v = torch.randn(len(batch.crystal), width, dtype=torch.float64)
    u = GaussianExpansion(8.0).double()(batch.distance)
    x = layer.norm(v)
    expected = []
    for i in range(len(v)):
        edges = (batch.centre == i).nonzero()[:, 0]
        w = batch.weight[edges]
        scale = 12 / max(12.0, w.sum().item())
        total = torch.zeros(layer.from_centre.out_features // (2 if form == "eq5" else 1), dtype=torch.float64)
        for e, weight in zip(edges, w, strict=True):
            j = batch.neighbour[e]
            if form == "eq5":
                z = torch.cat([x[i], x[j], u[e]])
                matrix = torch.cat(
                    [layer.from_centre.weight, layer.from_neighbour.weight, layer.from_edge.weight], dim=1
                )
                gate, core = (matrix @ z + layer.from_centre.bias).chunk(2)
                total = total + weight * torch.sigmoid(gate) * F.softplus(core)
            else:
                matrix = torch.cat([layer.from_neighbour.weight, layer.from_edge.weight], dim=1)
                total = total + weight * (matrix @ torch.cat([x[j], u[e]]))
        total = scale * total
        expected.append(v[i] + total if form == "eq5" else F.softplus(total + layer.from_centre(x[i])))
    weight = neighbour_weights(batch, 12, v.dtype)
    assert torch.allclose(layer(v, u, weight, batch.centre, batch.neighbour), torch.stack(expected), atol=1e-9)


def test_element_table_has_the_nine_properties():
    table = element_table()
    titanium, zirconium, oxygen = table[22], table[40], table[8]
    assert set(table.unique().tolist()) == {0.0, 1.0}
    assert titanium.sum() == zirconium.sum() == oxygen.sum() == 9
    assert titanium[3] == zirconium[3] == 1  # group 4
    assert titanium[18 + 3] == 1 and zirconium[18 + 4] == 1  # periods 4 and 5
    valence = table[:, 18 + 7 + 4 :][:, :16].argmax(1) + 1
    symbols = {"Na": 11, "Ti": 22, "Fe": 26, "Zn": 30, "Ga": 31, "As": 33, "Hf": 72, "Au": 79, "Pb": 82, "Cl": 17}
    counted = {symbol: valence[z].item() for symbol, z in symbols.items()}
    assert counted == {"Na": 1, "Ti": 4, "Fe": 8, "Zn": 12, "Ga": 3, "As": 5, "Hf": 4, "Au": 11, "Pb": 4, "Cl": 7}


def test_untrained_elements_are_described_by_their_properties_only():
    network = CrystalNetwork(NetworkSettings("linear", width=8))
    rows = network.embedding(torch.arange(104))
    assert torch.equal(rows, network.embedding.from_table(network.embedding.table))


@pytest.mark.parametrize("head", HEADS)
def test_energy_and_contributions_agree_with_the_forward_pass(batch, head):
    network = small_network(head)
    energy, contribution = network.energy_and_contributions(batch)
    assert torch.allclose(energy, network(batch), atol=1e-12)
    mean = torch.zeros_like(energy).index_add_(0, batch.crystal, contribution) / batch.sites
    assert torch.allclose(mean, energy, atol=1e-7)


@pytest.mark.parametrize("head", ["gated", "mean"])
def test_aumann_shapley_values_equal_a_fine_riemann_sum(batch, head):
    """The integral of the gradient along the straight line, with 4,000 steps and finite differences."""
    network = small_network(head)
    v, v0 = network.site_features(batch)
    pool = network.head
    p = pool.site_vector(v, v0)
    _, contribution = pool.energy_and_contributions(v, v0, batch)
    site = 3
    crystal = batch.crystal[site]
    v_c = p[batch.crystal == crystal].mean(0)
    direction = p[site] - pool.reference
    t = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    line = pool.reference + t[:, None] * (v_c - pool.reference)
    h = 1e-5
    slope = (pool.readout(line + h * direction) - pool.readout(line - h * direction)) / (2 * h)
    expected = pool.readout(pool.reference[None])[0] + slope.mean()
    assert contribution[site].item() == pytest.approx(expected.item(), abs=1e-6)


def test_gates_are_between_closed_and_open(batch):
    network = small_network("gated")
    gate = network.head.gate_opening(*network.site_features(batch))
    assert gate.shape == batch.crystal.shape and gate.min() > 0 and gate.max() < 1


def test_bad_settings_name_the_choices():
    with pytest.raises(ValueError, match="gated, linear, mean"):
        CrystalNetwork(NetworkSettings("max"))
    with pytest.raises(ValueError, match="eq4, eq5"):
        CrystalNetwork(NetworkSettings("mean", form="eq6"))
    with pytest.raises(ValueError, match="properties, learned, both"):
        CrystalNetwork(NetworkSettings("mean", elements="none"))


def test_heads_differ_in_what_follows_the_pooling():
    assert not hasattr(small_network("linear").head, "layers")
    assert isinstance(small_network("mean").head, MeanPooling)
    assert isinstance(small_network("gated").head, GatedPooling)
