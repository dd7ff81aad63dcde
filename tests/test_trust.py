"""Trust measurements on small cases with a known answer."""

import itertools
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from builders import small_model, small_network
from factorial import A, B, X, factorial, values

from cgcnn.cell import ATOMIC_NUMBER
from cgcnn.cli import main
from cgcnn.contributions import references
from cgcnn.datasets import load_dataset
from cgcnn.evaluation.accuracy import error_quantiles, parity_map
from cgcnn.evaluation.additive import composition_fit, perovskite_cells, shapley_split, true_split
from cgcnn.evaluation.ensemble import agreement, aligned, calibration, fix_gauge
from cgcnn.evaluation.exchange import exchanges
from cgcnn.evaluation.faithfulness import booked_against_true, line, spearman
from cgcnn.evaluation.sanity import with_randomised_weights
from cgcnn.evaluation.sites import Scored, score_crystals, site_rows
from cgcnn.evaluation.trust import rounded, trust
from cgcnn.model import Card, load_model
from cgcnn.network import NetworkSettings
from cgcnn.targets import describe_target
from cgcnn.training import TrainingSettings, train


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))


def scored_by(data, crystals, contribution) -> Scored:
    """What a model would say that books `contribution` (members, sites of the data set) on the sites."""
    rows = site_rows(data, crystals)
    value = np.atleast_2d(contribution)[:, rows]
    sites = data.graphs.sites[crystals]
    crystal = np.repeat(np.arange(len(crystals)), sites)
    energies = np.stack([np.bincount(crystal, weights=v) / sites for v in value])
    return Scored(crystals, energies, value, rows)


# --- error bars -------------------------------------------------------------------------------------------------------


def test_calibration_finds_the_factor_that_is_missing():
    """Members that spread half as much as they err."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20_000)
    own = rng.normal(size=truth.shape)
    sd = 0.02 + 0.05 * rng.random(truth.shape)
    energies = truth + 2 * sd * own + np.array([-1, 0, 1])[:, None] * sd
    found = calibration(energies, truth)
    assert found["scale"] == pytest.approx(2, rel=0.03)
    assert found["coverage 1 sd"] == pytest.approx([0.383, 0.683], abs=0.01)
    assert found["coverage 2 sd"] == pytest.approx([0.683, 0.954], abs=0.01)
    assert found["sd"] == pytest.approx(found["error"], rel=0.12)
    assert "no DFT counterpart" in found["contributions"]


def test_one_network_has_nothing_to_calibrate():
    assert calibration(np.zeros((1, 100)), np.zeros(100)) == {}


# --- true effects -----------------------------------------------------------------------------------------------------


def test_shapley_split_of_a_synthetic_table():
    rng = np.random.default_rng(1)
    a, b, x = (v - v.mean() for v in (rng.normal(size=4), rng.normal(size=5), rng.normal(size=3)))
    pair = np.outer(a, b)
    energy = 7 + a[:, None, None] + 2 * b[:, None] + 3 * x + pair[..., None]
    split = shapley_split(energy)
    assert split["A"] == pytest.approx(np.broadcast_to((a[:, None] + pair / 2)[..., None], energy.shape))
    assert split["B"] == pytest.approx(np.broadcast_to((2 * b + pair / 2)[..., None], energy.shape))
    assert split["X"] == pytest.approx(np.broadcast_to(3 * x, energy.shape))
    triple = rng.normal(size=(4, 5, 3))
    assert sum(shapley_split(triple).values()) == pytest.approx(triple - triple.mean())
    assert shapley_split(triple.transpose(1, 0, 2))["B"].transpose(1, 0, 2) == pytest.approx(shapley_split(triple)["A"])


def test_true_split_of_a_factorial_with_holes(tmp_path):
    """Labels with an A-B term; a tenth of the combinations is missing."""
    value = values()

    def energy(a, b, x):
        return (value[a] + value[b] + 3 * value[x] + value[a] * value[b]) / 5

    every = list(itertools.product(A, B, X))
    kept = [c for n, c in enumerate(every) if n % 10]
    _, data = factorial(tmp_path, energy, kept)
    cells = perovskite_cells(data, data.rows("all"))
    split = true_split(data, cells)
    table = np.array([[[5 * energy(a, b, x) for x in X] for b in B] for a in A])
    exact = shapley_split(table)
    index = [(A.index(a), B.index(b), X.index(x)) for a, b, x in kept]
    for role in "ABX":
        expected = np.array([exact[role][i] for i in index])
        assert np.corrcoef(split[role], expected)[0, 1] > 0.999
        assert np.abs(split[role] - expected).max() < 0.15
    few = [c for n, c in enumerate(every) if n % 7 == 0]
    (tmp_path / "few").mkdir()
    _, sparse = factorial(tmp_path / "few", energy, few)
    assert true_split(sparse, perovskite_cells(sparse, sparse.rows("all"))) is None


def test_faithfulness_of_bookings_that_are_right_and_of_bookings_on_the_neighbour(tmp_path):
    value = values()
    _, data = factorial(tmp_path, lambda a, b, x: (value[a] + value[b] + 3 * value[x]) / 5)
    by_number = {ATOMIC_NUMBER[s]: v for s, v in value.items()}
    true = np.array([by_number[z] for z in data.graphs.atomic_numbers.tolist()])
    crystals = data.rows("all")
    found = booked_against_true(data, scored_by(data, crystals, true))
    for name in ("elements A", "elements B", "anion sets", "pairs A", "pairs B", "pairs anion sets", "split A"):
        assert found[name]["r"] == pytest.approx(1, abs=1e-4), name
        assert found[name]["slope"] == pytest.approx(1, abs=2e-2), name
    assert found["pairs A"]["best r"] == pytest.approx(1, abs=1e-4)
    assert found["elements A"]["rmse"] < 1e-6 and found["pairs A"]["n"] == 18 * 15
    # All that A does is booked on B.
    wrong = true.copy()
    first = data.graphs.first_site
    wrong[first + 1] += wrong[first]
    wrong[first] = 0
    found = booked_against_true(data, scored_by(data, crystals, wrong))
    assert "elements A" not in found  # no line to draw: nothing is booked
    assert found["elements B"]["slope"] == pytest.approx(1, abs=1e-6)
    half = true.copy()
    half[first + 1] += 0.5 * half[first]
    half[first] *= 0.5
    found = booked_against_true(data, scored_by(data, crystals, half))
    assert found["elements A"]["slope"] == pytest.approx(0.5) and found["pairs A"]["slope"] == pytest.approx(0.5)


def test_pair_terms_are_the_best_that_can_be_had(tmp_path):
    """With an A-B term, no split has the whole of both swaps; the Shapley split itself is that yardstick."""
    value = values()
    _, data = factorial(tmp_path, lambda a, b, x: (value[a] + value[b] + 3 * value[x] + 2 * value[a] * value[b]) / 5)
    cells = perovskite_cells(data, data.rows("all"))
    split = true_split(data, cells)
    booked = np.zeros(len(data.roles))
    for role, code in zip("ABX", range(3), strict=True):
        for row, part in zip(cells.sites, split[role], strict=True):
            own = row[data.roles[row] == code]
            booked[own] = part / len(own)
    found = booked_against_true(data, scored_by(data, data.rows("all"), booked))
    for name in ("pairs A", "pairs B"):
        assert found[name]["r"] == pytest.approx(found[name]["best r"], abs=1e-6)
        assert found[name]["slope"] == pytest.approx(found[name]["best slope"], abs=1e-6)
        assert found[name]["best r"] < 0.99
    assert found["split A"]["rmse"] < 1e-9


def test_ranks_share_ties():
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([5.0, 5.0, 9.0])) == pytest.approx(1)
    assert spearman(np.arange(9.0), np.exp(np.arange(9.0))) == pytest.approx(1)
    assert spearman(np.arange(9.0), -np.arange(9.0)) == pytest.approx(-1)
    assert line(np.zeros(5), np.arange(5.0)) is None


# --- crystals of any chemistry ----------------------------------------------------------------------------------------


def salts(folder, energy):
    """Rock salts and CsCl-type salts of the same elements: only those of one structure are pairs."""
    place = [0.0, 0.0, 0.0, 0.5, 0.5, 0.5]
    rows = []
    for n, (c, a, kind) in enumerate(itertools.product(("Na", "K", "Rb"), ("Cl", "Br"), ("rock", "caesium"))):
        lattice = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.9 if kind == "rock" else np.eye(3) * 3.7
        rows.append(
            {
                "material_id": f"{c}{a} {kind}",
                "energy": energy(c, a),
                "split": "val" if n % 2 else "train",
                "lattice": (lattice * (1 + 0.01 * (n % 3))).ravel().astype(float).tolist(),
                "atomic_numbers": [ATOMIC_NUMBER[c], ATOMIC_NUMBER[a]],
                "frac_coords": place,
            }
        )
    pl.DataFrame(rows).write_parquet(folder / "salts.parquet")
    return load_dataset(folder / "salts.parquet")


def test_exchanges_pair_crystals_of_one_structure(tmp_path):
    data = salts(tmp_path, lambda c, a: 0.0)
    pairs = exchanges(data, data.rows("all"))
    named = {frozenset((data.ids[i], data.ids[j])) for i, j in zip(pairs.first, pairs.second, strict=True)}
    assert frozenset(("NaCl rock", "KCl rock")) in named and frozenset(("NaCl rock", "NaBr rock")) in named
    assert all(len({name.split()[1] for name in pair}) == 1 for pair in named)
    assert frozenset(("NaCl rock", "KBr rock")) not in named
    assert len(pairs) == 2 * (2 * 3 + 3)
    for i, out, into in zip(pairs.first, pairs.out, pairs.into, strict=True):
        assert out in data.graphs.numbers_of(i) and into not in data.graphs.numbers_of(i)


def test_share_of_an_exchange_that_is_booked(tmp_path):
    value = {"Na": 0.3, "K": -0.4, "Rb": 1.0, "Cl": -0.7, "Br": 0.2}
    data = salts(tmp_path, lambda c, a: (value[c] + value[a]) / 2)
    by_number = {ATOMIC_NUMBER[s]: v for s, v in value.items()}
    true = np.array([by_number[z] for z in data.graphs.atomic_numbers.tolist()])
    found = booked_against_true(data, scored_by(data, data.rows("all"), 0.8 * true))
    assert found["exchanges"]["slope"] == pytest.approx(0.8) and found["exchanges"]["r"] == pytest.approx(1)
    assert found["exchanges"]["plain slope"] == pytest.approx(1)  # the truth is what the least-squares fit finds
    coefficient, fitted = composition_fit(data, data.rows("all"))
    assert fitted == pytest.approx(data.targets) and coefficient[19] - coefficient[11] == pytest.approx(-0.7)


# --- members ----------------------------------------------------------------------------------------------------------


def test_members_that_differ_by_the_gauge_agree_after_it(tmp_path):
    value = values()
    _, data = factorial(tmp_path, lambda a, b, x: (value[a] + value[b] + 3 * value[x]) / 5)
    by_number = {ATOMIC_NUMBER[s]: v for s, v in value.items()}
    true = np.array([by_number[z] for z in data.graphs.atomic_numbers.tolist()])
    role = data.roles.astype(int)
    members = np.stack([true, true + np.array([3.0, 3.0, -2.0])[role], true + np.array([-4.5, 1.5, 1.0])[role]])
    train_rows = data.rows("train")
    scored = scored_by(data, train_rows, members)
    gauge = fix_gauge(data, train_rows, scored)
    assert gauge["dimension"] == 2 and gauge["after centring"] == 0 and gauge["shift"] == {}
    reference = {name: scored.values[:, data.roles[scored.rows] == i].mean(1).tolist() for i, name in enumerate("ABX")}
    same = aligned(data, scored, reference, gauge)
    assert same == pytest.approx(np.tile(same[0], (3, 1)), abs=1e-9)
    found = agreement(data, scored, same, by_role=True)
    assert all(found[r]["spearman"] == pytest.approx(1) and found[r]["ratio"] < 1e-9 for r in "ABX")
    noisy = same + np.random.default_rng(0).normal(scale=2.0, size=same.shape)
    assert agreement(data, scored, noisy, by_role=True)["A"]["r"] < 0.9


def test_randomised_weights_keep_the_entries():
    model = small_model("gated")
    random = with_randomised_weights(model, 0)
    for one, other in zip(model.members[0].parameters(), random.members[0].parameters(), strict=True):
        assert sorted(one.flatten().tolist()) == sorted(other.flatten().tolist())
    assert model.hash != random.hash


# --- all of it --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three small networks trained on additive energies, faithfully."""
    folder = tmp_path_factory.mktemp("additive")
    value = values()
    patch = pytest.MonkeyPatch()
    patch.setenv("CGCNN_CACHE", str(folder / "cache"))
    file, data = factorial(folder, lambda a, b, x: (value[a] + value[b] + 3 * value[x]) / 5)
    settings = TrainingSettings(epochs=45, batch=16, learning_rate=1e-2, averaging=0.9, swap_consistency=1.0, members=3)
    network = NetworkSettings("linear", width=16, convolutions=2)
    train(data, describe_target("energy", "eV/atom"), network, settings, folder / "toy-linear", progress=False)
    yield file, folder / "toy-linear", value
    patch.undo()


def test_known_contributions_are_recovered_up_to_the_gauge_within_the_error_bars(trained):
    file, folder, value = trained
    model, data = load_model(folder), load_dataset(file)
    found = trust(model, data, file)
    model = replace(model, card=replace(model.card, **found))
    val = data.rows("val")
    scored = score_crystals(model, data, val)
    role, numbers = data.roles[scored.rows].astype(int), data.graphs.atomic_numbers[scored.rows]
    relative = scored.values - references(model, scored.energies, role, data.graphs.sites[val], numbers)
    by_number = {ATOMIC_NUMBER[s]: v for s, v in value.items()}
    in_train = data.graphs.atomic_numbers[site_rows(data, data.rows("train"))]
    role_train = data.roles[site_rows(data, data.rows("train"))]
    zero = np.array([np.mean([by_number[z] for z in in_train[role_train == r].tolist()]) for r in range(3)])
    true = np.array([by_number[z] for z in numbers.tolist()]) - zero[role]
    off = relative.mean(0) - true
    for r in range(3):
        own = role == r
        assert np.corrcoef(relative.mean(0)[own], true[own])[0, 1] > 0.98
        assert np.sqrt(np.square(off[own]).mean()) < 0.2 * true[own].std()
    sd = relative.std(0, ddof=1)
    assert np.mean(np.abs(off) < 2 * sd) > 0.8
    assert np.mean(sd) < 0.2 * true.std()  # and the error bars are no excuse


def test_trust_fills_the_card_and_is_rerunnable(trained, capsys):
    file, folder, _ = trained
    command = ["evaluate", str(file), "--model", str(folder), "--trust", "--write-card"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    for part in ("accuracy", "faithfulness", "calibration", "gauge", "agreement", "domain", "sanity"):
        assert f"\n{part}\n" in printed
    card = Card.read(folder / "card.json")
    assert card.calibration["scale"] > 0 and card.gauge["dimension"] == 2
    assert set(card.sanity) == {"randomised weights", "rattled by 0.01 Å", "substitution"}
    assert card.agreement["A"]["elements"] == 6 and card.domain["val"]["warned"] < 0.5
    assert card.accuracy["val"]["plain"] < 1e-6  # the energies are additive
    first = (folder / "card.json").read_text()
    assert len(first) < 40_000 and "NaN" not in first
    assert main(command) == 0
    assert (folder / "card.json").read_text() == first
    model = load_model(folder)
    energies = np.array([[1.0, 2.0], [1.2, 2.0], [1.4, 2.6]])
    assert model.energy_sd(energies) == pytest.approx(card.calibration["scale"] * energies.std(0, ddof=1))


def test_controls_and_tradeoff(trained, tmp_path, capsys):
    file, folder, _ = trained
    random = replace(load_model(folder), members=(small_network("linear"),) * 3)
    random = replace(random, card=replace(random.card, network=random.members[0].settings.asdict(), name="random"))
    random.save(tmp_path / "random")
    command = ["evaluate", str(file), "--model", str(folder)]
    controls = ["--without", str(tmp_path / "random"), "--shuffled", str(tmp_path / "random")]
    assert main([*command, "--trust", *controls, "--tradeoff", str(tmp_path / "random"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["comparison"]["without the loss"]["accuracy"]["val"]["mae"] > 0.1
    assert found["sanity"]["shuffled labels"]["mae"] > found["accuracy"]["val"]["mae"]
    names = [point["name"] for point in found["tradeoff"]["points"]]
    assert names == ["toy-linear", "random"]
    assert found["tradeoff"]["points"][0]["booked"] < found["tradeoff"]["points"][1]["booked"]


@pytest.mark.parametrize("wrong", [["--without", "x"], ["--write-card"], ["--why", "because"]])
def test_options_that_would_be_ignored_are_refused(trained, capsys, wrong):
    file, folder, _ = trained
    assert main(["evaluate", str(file), "--model", str(folder), *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err


def test_errors_on_other_data_go_to_the_card_with_the_shift_between_references(trained, tmp_path, capsys):
    file, folder, _ = trained
    elsewhere = pl.read_parquet(file).with_columns(pl.col("energy") + 0.75)
    elsewhere.write_parquet(tmp_path / "elsewhere.parquet")
    command = ["evaluate", str(tmp_path / "elsewhere.parquet"), "--model", str(folder), "--write-card"]
    assert main(command) == 0
    assert "constant shift of +0.7" in capsys.readouterr().out
    found = Card.read(folder / "card.json").accuracy
    assert found["elsewhere.parquet"]["mae"] == pytest.approx(0.75, abs=0.05)
    assert found["elsewhere.parquet"]["mae shifted"] == pytest.approx(found["val"]["mae"], abs=0.05)
    assert "val" in found


def test_parity_map_and_quantiles():
    target = np.array([0.0, 0.0, 1.0, 2.0])
    predicted = np.array([0.0, 0.0, 1.5, 2.0])
    found = parity_map(predicted, target)
    assert sum(found["crystals"]) == 4 and max(found["crystals"]) == 2
    assert (found["low"], found["high"]) == (0.0, 2.0)
    assert error_quantiles(predicted, target)["0.5"] == 0.0
    assert rounded({"a": [1.23456789, float("nan")], "b": "text"}) == {"a": [1.2346, None], "b": "text"}
