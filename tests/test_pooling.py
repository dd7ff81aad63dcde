"""Contributions of the heads that are not linear: the closed form, and the quadrature that it replaces."""

import pytest
import torch
from builders import perovskite

from cgcnn.contributions import structure_graph
from cgcnn.graph import GraphSettings, collate
from cgcnn.network import CrystalNetwork, NetworkSettings


def network(head: str, hidden: int, dtype: torch.dtype = torch.float64) -> CrystalNetwork:
    torch.manual_seed(0)
    made = CrystalNetwork(NetworkSettings(head, width=16, convolutions=1, crystal_hidden=hidden, crystal_width=24))
    made.head.reference.copy_(torch.rand_like(made.head.reference))
    return made.to(dtype).eval().requires_grad_(False)


def batch(dtype: torch.dtype = torch.float64):
    crystals = [perovskite(), perovskite("Ba", "Ta", ("O", "O", "N"), 4.1), perovskite() * (2, 1, 1)]
    return collate([structure_graph(s, GraphSettings()) for s in crystals], dtype)


@pytest.mark.parametrize("head", ["gated", "mean"])
def test_one_hidden_layer_needs_no_quadrature(head):
    made = network(head, 1)
    made.head.layers[0].weight[0] = 0.0  # along which nothing changes
    step = torch.randn(5, made.head.layers[0].in_features, dtype=torch.float64)
    step[0] *= 1e-7
    step[1] *= 30
    exact = made.head._mean_gradient_of_one_layer(step)
    assert exact == pytest.approx(made.head._mean_gradient(step, 200).numpy(), abs=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-7), (torch.float32, 1e-5)])
@pytest.mark.parametrize("hidden", [0, 1, 2])
@pytest.mark.parametrize("head", ["gated", "mean"])
def test_contributions_average_to_the_energy(head, hidden, dtype, tolerance):
    made, crystals = network(head, hidden, dtype), batch(dtype)
    energy, sites = made.energy_and_contributions(crystals)
    mean = torch.zeros_like(energy).index_add_(0, crystals.crystal, sites) / crystals.sites
    assert mean.numpy() == pytest.approx(energy.numpy(), abs=tolerance)
