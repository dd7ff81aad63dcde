"""Training in several processes: shares of a step, one gradient, one loss curve; also after a kill."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_training import file, run  # noqa: F401

from cgcnn.cli import main
from cgcnn.datasets import load_dataset
from cgcnn.distinct import DistinctSites
from cgcnn.model import load_model
from cgcnn.network import CrystalNetwork, NetworkSettings
from cgcnn.ranks import is_first, share
from cgcnn.split import RoleShares
from cgcnn.swap import NoMates, SubstitutedMates, SwapPairs
from cgcnn.training import Trainee, TrainingSettings

ROOT = Path(__file__).parent.parent


@pytest.fixture
def data(file):  # noqa: F811
    return load_dataset(file)


def mates_of(kind: str, data, distinct):
    rows = data.rows("train")
    if kind == "none":
        return NoMates(rows)
    return SwapPairs(data.graphs, rows) if kind == "labelled" else SubstitutedMates(distinct, rows, 0.3)


KINDS = ("none", "labelled", "substituted")


@pytest.mark.parametrize("ranks", [1, 2, 3, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_the_whole_step(data, kind, ranks):
    """Every crystal is on one rank, in one piece with its mate and what was exchanged in it."""
    steps = mates_of(kind, data, DistinctSites.of(data.graphs)).steps(18, np.random.default_rng(1))
    for step in steps:
        found = [share(step, rank, ranks) for rank in range(ranks)]
        shares = [part for part, counts in found if counts]
        assert all(len(part.crystals) and part.labelled for part, _ in found)
        labelled = np.concatenate([part.crystals[: part.labelled] for part in shares])
        assert sorted(labelled) == sorted(step.crystals[: step.labelled])
        assert sorted(pairs_of(step)) == sorted(pair for part in shares for pair in pairs_of(part))
        sizes = [len(part.crystals) for part in shares]
        assert max(sizes) - min(sizes) <= 3 and (len(shares) == ranks or len(step.crystals) < 2 * ranks)


def pairs_of(step) -> list[tuple]:
    """Crystal, crystal, and the node and element that were exchanged."""
    exchanged = {step.labelled + i: tuple(row) for i, row in enumerate(step.substituted.tolist())}
    return [(*step.crystals[[a, b]].tolist(), *exchanged.get(b, ())) for a, b in step.pairs.tolist()]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("head", ["linear", "gated"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_gradient_is_that_of_one_process(data, kind, head, ranks):
    """With all parts of the loss; of a whole step, and of the last one, in which nothing is left for some ranks."""
    distinct = DistinctSites.of(data.graphs)
    settings = TrainingSettings(swap_consistency=0.0 if kind == "none" else 0.5, shapley=0.3)
    batches = mates_of(kind, data, distinct)
    torch.manual_seed(0)
    network = CrystalNetwork(NetworkSettings(head, width=16, convolutions=2))
    shares = RoleShares(data, distinct, data.targets, data.rows("train"))
    trainee = Trainee(network, settings, distinct, batches, data.targets, data.rows("val"), 1.0, shares)
    trainee.log = lambda *_, **__: None
    trainee.on_train_epoch_start()
    steps = batches.steps(18, np.random.default_rng(1))
    assert len(steps[-1].crystals) < 4
    for step in (steps[0], steps[-1]):
        (whole,) = gradients(trainee, step, 1)
        parts = gradients(trainee, step, ranks)
        assert torch.stack(parts).mean(0).numpy() == pytest.approx(whole.numpy(), abs=2e-6)
        assert whole.abs().max() > 0.01


def gradients(trainee: Trainee, step, ranks: int) -> list[torch.Tensor]:
    """Of every rank, as one vector each, and the reference of the head behind it; the ranks are threads."""
    told, barrier = [None] * ranks, threading.Barrier(ranks)

    def one(rank: int) -> torch.Tensor:
        def reduce(tensor, reduce_op):
            told[rank] = tensor
            barrier.wait(timeout=20)
            every = torch.stack(told)
            barrier.wait(timeout=20)
            return every.sum(0) if reduce_op == "sum" else every.mean(0)

        own = deepcopy(trainee)
        own._trainer = SimpleNamespace(world_size=ranks, global_rank=rank, strategy=SimpleNamespace(reduce=reduce))
        own.training_step(own._collate(step), 0).backward()
        reference = [own.network.head.reference.ravel()] if not own.network.head.exact else []
        return torch.cat([p.grad.ravel() for p in own.network.parameters()] + reference)

    with ThreadPoolExecutor(ranks) as threads:
        return list(threads.map(one, range(ranks)))


@pytest.mark.parametrize("form", ["eq4", "eq5"])
@pytest.mark.parametrize("elements", ["properties", "learned", "both"])
@pytest.mark.parametrize("head", ["linear", "gated", "mean"])
def test_every_parameter_takes_part(data, head, elements, form):
    """Processes wait for the gradient of every parameter that has one, and would wait for ever."""
    distinct = DistinctSites.of(data.graphs)
    network = CrystalNetwork(NetworkSettings(head, form=form, elements=elements, width=16, convolutions=2))
    trainee = Trainee(
        network, TrainingSettings(), distinct, NoMates(data.rows("train")), data.targets, data.rows("val"), 1.0
    )
    network(distinct.graphs.select([0, 1, 2], torch.float32)).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in trainee.parameters())
    assert {id(p) for p in trainee.parameters() if p.requires_grad} == {id(p) for p in network.parameters()}


def test_first_process(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert is_first(2)
    for name in ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        with monkeypatch.context() as inside:
            inside.setenv(name, "1")
            assert not is_first(2) and is_first(1)


def test_two_processes_train_as_one_also_after_a_kill(file, tmp_path):  # noqa: F811
    """28 pairs, 9 a step: the last step has one pair, and nothing for the second process."""
    epochs = 30
    one = run(file, tmp_path / "one", epochs=epochs, batch=18, swap_consistency=0.1, learning_rate=1e-2)
    out = tmp_path / "two"
    command = [
        sys.executable, "-m", "cgcnn", "train", str(file), "--head", "linear", "--epochs", str(epochs), "--batch", "18",
        "--width", "16", "--convolutions", "2", "--swap-consistency", "0.1", "--learning-rate", "1e-2",
        "--threads", "1", "--quiet", "--devices", "2", "--out", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "CGCNN_CACHE": str(tmp_path / "cache")}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes)
    last = out / "member-0" / "last.ckpt"
    deadline = time.monotonic() + 240
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert last.exists() and not (out / "card.json").exists(), "killed too late for this test to say anything"
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("written to") == 1 and "distributed" not in done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["card.json", "weights.safetensors"]
    two = load_model(out, torch.float32)
    (curve,), (expected,) = (m.card.training["validation MAE by epoch"] for m in (two, one))
    assert len(curve) == epochs and curve == pytest.approx(expected, abs=1e-3) and curve[-1] < 0.95 * curve[0]
    assert two.card.accuracy["val"]["mae"] == pytest.approx(one.card.accuracy["val"]["mae"], abs=1e-3)


def test_what_cannot_be_shared_is_one_sentence(file, tmp_path, capsys):  # noqa: F811
    arguments = ["train", str(file), "--head", "linear", "--out", str(tmp_path / "out"), "--quiet"]
    assert main([*arguments, "--devices", "16"]) == 1
    assert "has 15 validation crystals, and 16 processes need one each" in capsys.readouterr().err
    assert main([*arguments, "--nodes", "0"]) == 1
    assert "nodes=0 must be at least 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
