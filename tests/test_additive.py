"""Least-squares references: exact where the data are additive, and how a ranking agrees with them."""

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from builders import perovskite
from test_scoring import write_ensemble, write_table

from cgcnn.additive import additive_reference, agreement, compare, composition_reference
from cgcnn.scoring import Scores, score

A = {"Ca": -1.0, "Sr": -0.2, "Ba": 1.2}  # sums to zero, as effects do
B = {"Ti": -0.5, "Zr": 0.1, "Hf": 0.1, "Sn": 0.3}
X = {"O": 0.0, "S": 0.4}


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Scores:
    """All A, B and X in ideal cells with an additive target; a third of them in the split val."""
    folder = tmp_path_factory.mktemp("additive")
    choice = list(itertools.product(A, B, X))
    structures = [perovskite(a, b, (x,) * 3, 4.0) for a, b, x in choice]
    target = [0.2 * (A[a] + B[b]) + X[x] for a, b, x in choice]
    split = ["val" if i % 3 == 0 else "train" for i in range(len(choice))]
    data = write_table(folder / "data.parquet", structures, energy=target, split=split)
    return score(data, write_ensemble(folder / "model", "linear"), folder / "out", workers=1)


def test_an_additive_target_is_found_exactly(scores):
    fit = additive_reference(scores, "energy (data)")
    assert (fit.kind, fit.n) == ("A + B + X", 24) and fit.mae == pytest.approx(0, abs=1e-9)
    found = {(element, role): effect for element, role, effect in fit.effects.iter_rows()}
    assert found == pytest.approx({(e, "A"): v for e, v in A.items()} | {(e, "B"): v for e, v in B.items()}, abs=1e-9)


def test_a_target_of_the_composition_is_found_exactly(scores):
    effects = {"Ca": 1.0, "Sr": 2.0, "Ba": -1.0, "Ti": 0.5, "Zr": 0.0, "Hf": 3.0, "Sn": -2.0, "O": -1.5, "S": 0.7}
    sites = scores.sites.with_columns(pl.col("element").replace_strict(effects, return_dtype=pl.Float64).alias("of"))
    mean = sites.group_by("row").agg(pl.col("of").mean().alias("made up"))
    made = Scores(scores.folder, scores.sites, scores.crystals.join(mean, on="row"), scores.about)
    fit = composition_reference(made, "made up")
    assert fit.mae == pytest.approx(0, abs=1e-9)
    # A constant can move between A, B and X, which always come 1 : 1 : 3: only differences within a role are known.
    found = dict(fit.effects.select("element", "effect").iter_rows())
    for first, second in (("Ca", "Sr"), ("Ca", "Ba"), ("Ti", "Sn"), ("O", "S")):
        assert found[first] - found[second] == pytest.approx(effects[first] - effects[second])
    relative = composition_reference(made, "made up", relative=True).effects
    expected = sites.join(mean, on="row").group_by("element").agg((pl.col("of") - pl.col("made up")).mean()).collect()
    both = relative.join(expected, on="element")
    shift = np.array(both["effect"] - both["of"])[both["element"].is_in(["Ca", "Sr", "Ba"]).to_numpy()]
    assert np.ptp(shift) == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_fitted_is_none(scores):
    assert additive_reference(Scores(Path(), scores.sites, scores.crystals.head(2), scores.about), "energy") is None
    assert composition_reference(Scores(Path(), scores.sites, scores.crystals.head(4), scores.about), "energy") is None


def test_agreement():
    values = pl.DataFrame(
        {"element": ["Ca", "Sr", "Ba", "O"], "role": ["A", "A", "A", "X"], "mean": [1.0, 2.0, 9.0, 0.0]}
    )
    effects = pl.DataFrame({"element": ["Ca", "Sr", "Ba"], "role": ["A"] * 3, "effect": [1.0, 2.0, 3.0]})
    found = agreement(values, effects)
    assert list(found) == ["A"] and found["A"].n == 3 and found["A"].rho == pytest.approx(1)
    assert found["A"].r == pytest.approx(np.corrcoef([1, 2, 9], [1, 2, 3])[0, 1]) and found["A"].slope == pytest.approx(
        4
    )


def test_labels_count_only_where_the_model_predicts_them(scores):
    beside = compare(scores, "relative", roles=True)
    assert beside.labelled and beside.held_out and set(beside.agreement) == {"A", "B"}
    other = Scores(scores.folder, scores.sites, scores.crystals, {**scores.about, "target in the data": "gap"})
    beside = compare(other, "relative", roles=True)
    assert not beside.labelled and not beside.held_out and beside.fit.column == "energy"
    assert compare(scores, "absolute", roles=True) is None and compare(scores, "element", roles=False) is None
    assert compare(scores, "absolute", roles=False).fit.kind == "composition"
