"""Crystals and untrained models that tests build for themselves."""

from __future__ import annotations

import torch
from pymatgen.core import Lattice, Structure

from cgcnn.graph import GraphSettings
from cgcnn.model import Card, Model, Target
from cgcnn.network import CrystalNetwork, NetworkSettings

HEADS = ("gated", "linear", "mean")


def perovskite(
    a: str = "Sr", b: str = "Ti", x: tuple[str, str, str] = ("O", "O", "O"), edge: float = 3.905
) -> Structure:
    """Ideal cubic ABX3."""
    frac = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(edge), [a, b, *x], frac)


def small_network(head: str, form: str = "eq5", seed: int = 0, **settings) -> CrystalNetwork:
    """An untrained network in double precision, weights from the seed."""
    torch.manual_seed(seed)
    network = CrystalNetwork(
        NetworkSettings(head, form, width=16, convolutions=3, crystal_width=24, **settings)
    ).double()
    if head != "linear":
        network.head.reference.copy_(torch.rand_like(network.head.reference))
    return network.eval().requires_grad_(False)


def small_model(head: str, form: str = "eq5", seed: int = 0, **graph) -> Model:
    """A model around an untrained network."""
    settings = GraphSettings(**graph)
    network = small_network(head, form, seed)
    target = Target("energy", "energy", "energy", "eV/atom", mean=-1.0, sd=0.7)
    return Model((network,), Card("small", "small", head, target, settings.asdict(), network.settings.asdict()))
