"""Training on a small made-up factorial of perovskites: it learns, resumes exactly, and stays faithful."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from cgcnn.datasets import DatasetError, load_dataset, split_by_formula, with_more_to_train
from cgcnn.distinct import DistinctSites
from cgcnn.evaluation import accuracy, additive_fit, faithfulness
from cgcnn.model import load_model
from cgcnn.network import NetworkSettings
from cgcnn.swap import (
    Step,
    SubstitutedMates,
    SwapPairs,
    substitute,
    substitution_probability,
    swap_consistency,
    unswapped_rows,
)
from cgcnn.targets import describe_target
from cgcnn.training import TrainingSettings, train

A, B = ("K", "Sr", "La", "Ba", "Na", "Ca"), ("Ti", "Zr", "Nb", "Ta", "Sn", "Fe")
IDEAL = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
SMALL = NetworkSettings("linear", width=16, convolutions=2)


def made_up_table() -> pl.DataFrame:
    """72 cubic perovskites whose energy is a sum of element values and an A-B term."""
    from pymatgen.core import Element

    rng = np.random.default_rng(5)
    value = {symbol: rng.normal() for symbol in A + B + ("O", "N")}
    rows = []
    for n, (a, b, x) in enumerate(itertools.product(A, B, ("O", "N"))):
        edge = 3.2 + 0.25 * (float(Element(a).atomic_radius) + float(Element(b).atomic_radius))
        rows.append(
            {
                "material_id": f"made-{n}",
                "energy": 0.4 * (value[a] + value[b] + value[x]) + 0.05 * value[a] * value[b],
                "split": "val" if n % 5 == 0 else "train",
                "lattice": (np.eye(3) * edge).ravel().tolist(),
                "atomic_numbers": [Element(a).Z, Element(b).Z] + [Element(x).Z] * 3,
                "frac_coords": sum(IDEAL, []),
            }
        )
    return pl.DataFrame(rows)


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    made_up_table().write_parquet(tmp_path / "made_up.parquet")
    return tmp_path / "made_up.parquet"


def run(file: Path, out: Path, network=SMALL, **settings):
    settings = {"epochs": 6, "batch": 16, **settings}
    return train(
        load_dataset(file), describe_target("energy"), network, TrainingSettings(**settings), out, progress=False
    )


def weights(model) -> dict[str, torch.Tensor]:
    return {f"{i}.{k}": v for i, m in enumerate(model.members) for k, v in m.state_dict().items()}


@pytest.mark.parametrize("head", ["linear", "gated", "mean"])
def test_training_learns_and_writes_a_model(file, tmp_path, head):
    out = tmp_path / "toy"
    trained = run(file, out, NetworkSettings(head, width=16, convolutions=2), epochs=25, averaging=0.9)
    assert sorted(p.name for p in out.iterdir()) == ["card.json", "weights.safetensors"]
    loaded = load_model(out, torch.float32)
    assert weights(loaded).keys() == weights(trained).keys()
    assert all(torch.equal(v, weights(loaded)[k]) for k, v in weights(trained).items())
    data = load_dataset(file)
    spread = np.abs(data.targets - data.targets.mean()).mean()
    assert accuracy(loaded, data, "val").mae < 0.7 * spread
    card = loaded.card
    assert card.accuracy["val"]["mae"] == pytest.approx(accuracy(loaded, data, "val").mae, abs=1e-5)
    assert card.data["split"] == {"train": 57, "val": 15}
    assert set(card.reference) == {"A", "B", "X"} and set(card.elements) == {*A, *B, "O", "N"}
    if head != "linear":
        assert loaded.members[0].head.reference.abs().sum() > 0


def test_progress_is_shown_on_stderr(file, tmp_path, capsys):
    settings = TrainingSettings(epochs=1, batch=16)
    train(load_dataset(file), describe_target("energy"), SMALL, settings, tmp_path / "toy", progress=True)
    told = capsys.readouterr()
    assert told.out == "" and "Epoch 0" in told.err and "100%" in told.err


def test_same_seed_same_weights_and_other_seed_other_weights(file, tmp_path):
    one, again, other = (run(file, tmp_path / name, epochs=2, seed=s) for name, s in (("a", 0), ("b", 0), ("c", 1)))
    assert all(torch.equal(v, weights(again)[k]) for k, v in weights(one).items())
    assert any(not torch.equal(v, weights(other)[k]) for k, v in weights(one).items())


def test_a_killed_run_resumes_to_the_same_weights(file, tmp_path):
    """The process is killed in the middle of training; the command given again ends where an unbroken run does."""
    command = [
        sys.executable, "-m", "cgcnn", "train", str(file), "--head", "linear", "--epochs", "60", "--batch", "16",
        "--width", "16", "--convolutions", "2", "--swap-consistency", "0.1", "--dropout", "0.1",
        "--threads", "1", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "CGCNN_CACHE": str(tmp_path / "cache")}
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    root = Path(__file__).parent.parent
    process = subprocess.Popen([*command, "--out", str(broken)], cwd=root, env=environment, stderr=subprocess.DEVNULL)
    last = broken / "member-0" / "last.ckpt"
    deadline = time.monotonic() + 90
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last.exists() and not (broken / "card.json").exists(), "killed too late for this test to say anything"
    for out in (broken, whole):
        subprocess.run([*command, "--out", str(out)], cwd=root, env=environment, check=True, capture_output=True)
    one, other = load_model(broken), load_model(whole)
    assert all(torch.equal(v, weights(other)[k]) for k, v in weights(one).items())
    assert one.card.training["epochs run"] == other.card.training["epochs run"] == [60]


def test_other_settings_do_not_resume(file, tmp_path):
    out = tmp_path / "toy"
    out.mkdir()
    run(file, tmp_path / "first", epochs=1)
    (out / "run.json").write_text(json.dumps({"data": file.name, "training": {"epochs": 3}}))
    with pytest.raises(DatasetError, match="other settings"):
        run(file, out, epochs=1)


def test_a_finished_model_is_not_overwritten(file, tmp_path):
    run(file, tmp_path / "toy", epochs=1)
    with pytest.raises(DatasetError, match="finished model"):
        run(file, tmp_path / "toy", epochs=1)


def test_several_members(file, tmp_path):
    model = run(file, tmp_path / "pair", epochs=2, members=2)
    assert len(model.members) == 2 and all(len(v) == 2 for v in model.card.reference.values())
    assert not torch.equal(model.members[0].head.out.weight, model.members[1].head.out.weight)


def test_early_stopping(file, tmp_path):
    model = run(file, tmp_path / "toy", epochs=40, patience=2, learning_rate=1e-9)
    assert model.card.training["epochs run"][0] < 40


def test_pairs_differ_in_one_site(file):
    data = load_dataset(file)
    rows = data.rows("train")
    pairs = SwapPairs(data.graphs, rows)
    drawn, site = pairs.draw(np.random.default_rng(0))
    assert sorted(drawn.ravel().tolist()) == sorted(rows.tolist())[: 2 * len(drawn)] or len(rows) % 2
    assert len(set(drawn.ravel().tolist())) == drawn.size == len(rows) // 2 * 2
    assert np.mean(site >= 0) > 0.6
    for (one, other), swapped in zip(drawn, site, strict=True):
        differ = np.flatnonzero(data.graphs.numbers_of(one) != data.graphs.numbers_of(other))
        if swapped >= 0:
            assert differ.tolist() in ([swapped], [])
    first, second, where = pairs.all_pairs()
    for one, other, swapped in zip(first, second, where, strict=True):
        assert np.flatnonzero(data.graphs.numbers_of(one) != data.graphs.numbers_of(other)).tolist() == [swapped]


def test_swap_consistency_loss_by_hand(file):
    """A pair that differs on A; every crystal has three distinct sites, the third standing for three anions."""
    data = load_dataset(file)
    numbers = [data.graphs.numbers_of(i) for i in range(len(data))]
    mate = next(i for i in range(1, len(data)) if (numbers[i] != numbers[0]).tolist() == [True] + [False] * 4)
    distinct = DistinctSites.of(data.graphs)
    step = Step(np.array([3, 0, mate]), 3, np.array([[1, 2]]), np.empty((0, 2), dtype=np.int64))
    batch = distinct.graphs.select(step.crystals)
    assert batch.multiplicity.tolist() == [1, 1, 3] * 3
    one, other = unswapped_rows(step, distinct, batch.atomic_numbers.numpy())
    assert (one.tolist(), other.tolist()) == ([4, 5, 5, 5], [7, 8, 8, 8])
    contributions = torch.arange(9, dtype=torch.float64) ** 2
    expected = np.mean([(49 - 16) ** 2] + 3 * [(64 - 25) ** 2])
    assert swap_consistency(contributions, torch.tensor(one), torch.tensor(other)).item() == pytest.approx(expected)
    nothing = torch.empty(0, dtype=torch.int64)
    assert swap_consistency(contributions, nothing, nothing).item() == 0


def test_substituted_mates(file):
    """Mates are the same crystals with one element exchanged, and everything but its sites is compared."""
    data = load_dataset(file)
    distinct = DistinctSites.of(data.graphs)
    mates = SubstitutedMates(distinct, data.rows("train"), share=0.5)
    steps = mates.steps(16, np.random.default_rng(0))
    labelled = np.concatenate([step.crystals[: step.labelled] for step in steps])
    assert sorted(labelled.tolist()) == data.rows("train").tolist()
    assert 0.3 < sum(len(step.pairs) for step in steps) / len(labelled) < 0.7
    for step in steps:
        before = distinct.graphs.select(step.crystals).atomic_numbers.numpy()
        after = before.copy()
        substitute(step, distinct, after)
        assert (before != after).sum() == len(step.pairs)
        one, other = unswapped_rows(step, distinct, after)
        assert len(one) == sum(5 - (3 if node == 2 else 1) for node, _ in step.substituted)
        assert np.array_equal(after[one], after[other])


def test_substitutions_stay_near_in_the_periodic_table():
    elements = np.array([3, 11, 8, 16, 22])  # Li Na O S Ti
    probability = substitution_probability(elements)
    assert probability[elements].sum(1) == pytest.approx(1) and not probability.diagonal().any()
    assert probability[11, 3] > 0.8 and probability[8, 16] > 0.8 and probability[26].sum() == 0


def test_no_labelled_mates_is_said_in_a_sentence(file, tmp_path):
    table = made_up_table()
    table[[0, 1, 14, 29]].with_columns(pl.Series("split", ["val", "train", "train", "train"])).write_parquet(file)
    with pytest.raises(ValueError, match="--mates substituted"):
        run(file, tmp_path / "toy", swap_consistency=0.1, mates="labelled")
    run(file, tmp_path / "toy", swap_consistency=0.1, epochs=1)  # substituted by itself


def test_more_crystals_to_train_on(file, tmp_path):
    """Of the other table only the split train is trained on, and nothing of it is validated on."""
    table = made_up_table()
    other = tmp_path / "more.parquet"
    table[:30].write_parquet(other)
    data, also = load_dataset(file), load_dataset(other)
    whole = with_more_to_train(data, also)
    assert (len(whole), len(whole.rows("train")), len(whole.rows("val"))) == (102, 57 + 24, 15)
    for i in (0, 71, 72, 101):
        expected = (data, i) if i < 72 else (also, i - 72)
        assert np.array_equal(whole.graphs.select([i]).distance, expected[0].graphs.select([expected[1]]).distance)
    settings = TrainingSettings(epochs=1, batch=16)
    card = train(data, describe_target("energy"), SMALL, settings, tmp_path / "toy", also=also, progress=False).card
    assert card.data["file"] == "made_up.parquet and more.parquet" and card.accuracy["val"]["n"] == 15


def test_shuffled_labels_teach_nothing(file, tmp_path):
    settings = {"epochs": 25, "averaging": 0.9}
    data = load_dataset(file)
    errors = [
        accuracy(run(file, tmp_path / str(shuffle), shuffle_labels=shuffle, **settings), data, "val").mae
        for shuffle in (False, True)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_a_table_without_splits_is_split_by_formula(file, tmp_path):
    table = made_up_table().drop("split")
    pl.concat([table, table]).write_parquet(file)
    card = run(file, tmp_path / "toy", epochs=1).card
    assert sum(card.data["split"].values()) == 144 and 10 < card.data["split"]["val"] < 60
    data = split_by_formula(load_dataset(file))
    assert np.array_equal(data.split[:72], data.split[72:]) and set(data.split) == {"train", "val"}


def test_additive_fit_and_faithfulness_of_a_known_model(file):
    """On labels that are exactly additive the fit is exact and finds the element values."""
    table = made_up_table()
    rng = np.random.default_rng(0)
    value = dict(zip(range(100), rng.normal(size=100), strict=True))
    energy = [sum(value[z] for z in numbers) / 5 for numbers in table["atomic_numbers"]]
    table.with_columns(pl.Series("energy", energy)).write_parquet(file)
    data = load_dataset(file)
    fit = additive_fit(data, data.rows("all"))
    assert fit.prediction == pytest.approx(data.targets, abs=1e-9)
    for role in "AB":
        effect = fit.effect[role]
        mean = np.mean([value[z] for z in effect])
        assert [effect[z] for z in effect] == pytest.approx([value[z] - mean for z in effect], abs=1e-9)


@pytest.mark.parametrize("head", ["linear", "gated"])
def test_swap_consistency_makes_contributions_faithful(head, file, tmp_path):
    """The A site, where an ordinary linear head books little of the effect, follows the true effects."""
    settings = {"epochs": 60, "learning_rate": 1e-2, "averaging": 0.9}
    network = replace(SMALL, head=head)
    model = run(file, tmp_path / "with", network, swap_consistency=1.0, **settings)
    measured = faithfulness(model, load_dataset(file), "val")
    assert measured["elements A"]["r"] > 0.9 and measured["elements B"]["r"] > 0.9
    without = faithfulness(run(file, tmp_path / "without", network, **settings), load_dataset(file), "val")
    off = [abs(1 - m["elements A"]["slope"]) + abs(1 - m["elements B"]["slope"]) for m in (measured, without)]
    assert off[0] < off[1]
