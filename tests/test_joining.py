"""Joining trainings of one network each into an ensemble."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import perovskite, small_model

from cgcnn.contributions import explain
from cgcnn.joining import join
from cgcnn.model import Model, ModelError, load_model

HISTORY = {"epochs": 3, "epochs run": [3], "seconds": 7, "validation MAE by epoch": [[0.3, 0.2, 0.1]], "batch": 64}


def trained(seed: int, **changes) -> Model:
    model = small_model("linear", seed=seed)
    card = replace(model.card, training={**HISTORY, "seed": seed, **changes}, reference={"A": [0.1 * seed]})
    return replace(model, card=card)


def test_prediction_is_the_mean_and_the_error_bar_the_spread(tmp_path):
    one, other = trained(0), trained(1, epochs=5, seconds=9, shapley=0.0)
    joined = join([one, other], "both-linear")
    joined.save(tmp_path / "both-linear")
    loaded = load_model(tmp_path / "both-linear")
    structure = perovskite()
    alone = [explain(m, [structure])[0] for m in (one, other)]
    both = explain(loaded, [structure])[0]
    assert both.energy == pytest.approx(np.mean([r.energy for r in alone]), abs=1e-6)
    assert both.energy_sd == pytest.approx(np.std([r.energy for r in alone], ddof=1), abs=1e-6)
    card = loaded.card
    assert (card.members, card.family, card.training["seconds"], card.training["epochs"]) == (2, "both", 16, 5)
    assert len(card.training["validation MAE by epoch"]) == 2
    assert card.reference == {"A": [0.0, 0.1]} and card.accuracy == {}


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ModelError, match="swap_consistency was 0.1 and 0.3"):
        join([trained(0, swap_consistency=0.1), trained(1, swap_consistency=0.3)], "x")
    with pytest.raises(ModelError, match="differ in head"):
        join([trained(0), small_model("gated")], "x")
