"""The loss that draws contributions towards the Shapley values of the labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from factorial import factorial, values

from cgcnn.datasets import DatasetError
from cgcnn.distinct import DistinctSites
from cgcnn.evaluation import faithfulness
from cgcnn.network import NetworkSettings
from cgcnn.split import RoleShares, split_error
from cgcnn.targets import describe_target
from cgcnn.training import TrainingSettings, train

VALUE = values()


def energy(a: str, b: str, x: str) -> float:
    return (VALUE[a] + 2 * VALUE[b] + 3 * VALUE[x] + 0.3 * VALUE[a] * VALUE[b]) / 5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return factorial(tmp_path_factory.mktemp("split"), energy)[1]


@pytest.fixture(scope="module")
def shares(data):
    return RoleShares(data, DistinctSites.of(data.graphs), data.targets, data.rows("train"))


def test_shares_add_up_to_the_energy_and_know_no_validation_labels(data, shares):
    train = data.rows("train")
    assert shares.value[train].sum(1).numpy() == pytest.approx(5 * data.targets[train], abs=1e-5)
    assert torch.isnan(shares.value[data.rows("val")]).all()
    other = replace(data, targets=np.where(data.split == "val", 1e3, data.targets))
    again = RoleShares(other, shares.distinct, other.targets, train)
    assert torch.equal(again.value[train], shares.value[train])


def test_error_is_zero_for_the_shares_themselves(data, shares):
    crystals = data.rows("train")[:7]
    batch = shares.distinct.graphs.select(crystals, torch.float32)
    role, share = shares.select(crystals, 7)
    # Each site an equal part of what its role has: the three X are one node with multiplicity 3.
    perfect = share[batch.crystal, role] / torch.tensor([1.0, 1.0, 3.0])[role]
    assert split_error(perfect, batch, role, share) == pytest.approx(0, abs=1e-10)
    assert split_error(perfect + (role == 2) * 0.5, batch, role, share) == pytest.approx(1.5**2 / 3, rel=1e-4)
    # A mate without a label counts for nothing.
    role, share = shares.select(crystals, 3)
    assert torch.isnan(share[3:]).all()
    perfect[batch.crystal >= 3] += 10
    assert split_error(perfect, batch, role, share) == pytest.approx(0, abs=1e-10)


def test_data_that_are_no_factorial_are_refused(data):
    few = np.array([i for i, name in enumerate(data.ids) if name.startswith(("KTi", "SrZr", "LaNb", "BaTa"))])
    with pytest.raises(DatasetError, match="too few of the ABX3 combinations"):
        RoleShares(data, DistinctSites.of(data.graphs), data.targets, few[::3])


@pytest.mark.parametrize("head", ["linear", "gated"])
def test_both_heads_book_elements_on_their_sites(data, head, tmp_path):
    settings = TrainingSettings(epochs=40, batch=16, learning_rate=1e-2, averaging=0.9)
    network = NetworkSettings(head, width=16, convolutions=2, crystal_width=24)
    off = {}
    for weight in (0.0, 0.3):
        model = train(
            data,
            describe_target("energy", "eV/atom"),
            network,
            replace(settings, shapley=weight),
            tmp_path / f"{weight}",
            progress=False,
        )
        lines = faithfulness(model, data, "all")
        off[weight] = max(abs(lines[name]["slope"] - 1) for name in ("elements A", "elements B", "anion sets"))
    assert off[0.3] < 0.15 and off[0.3] < off[0.0]
