"""What two heads say of each other, and of themselves."""

from dataclasses import replace

import numpy as np
import pytest
from builders import small_model

from cgcnn.comparison import agreement, whom_to_trust


def cards(**faithfulness):
    card = small_model("linear").card
    return {head: replace(card, head=head, faithfulness=lines) for head, lines in faithfulness.items()}


def line(r: float, slope: float) -> dict:
    return {"n": 52, "r": r, "slope": slope}


def test_agreement():
    assert agreement([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert agreement([1, 2, 3], [1, -1, 1]) == pytest.approx(0)
    assert np.isnan(agreement([1, 2], [1, 2])) and np.isnan(agreement([1, 1, 1], [1, 2, 3]))


def test_the_head_that_is_faithful_on_a_role_is_trusted_there():
    heads = cards(
        linear={"elements A": line(0.996, 0.96), "elements B": line(0.999, 0.94), "pairs X": line(0.83, 0.09)},
        gated={"elements A": line(0.95, 0.56), "elements B": line(0.998, 0.96), "pairs X": line(0.54, 0.10)},
    )
    verdict, figures = whom_to_trust(heads, ["A", "B", "X", "X", "X"])
    assert verdict == "Trust the linear head on A, both heads on B, neither on X."
    assert "A linear 0.996 and 0.96, gated 0.950 and 0.56" in figures
    assert whom_to_trust(heads, ["B"])[0] == "Trust both heads on B."


def test_a_low_r_is_not_trusted_either():
    heads = cards(linear={"elements A": line(0.89, 1.0)}, gated={"elements A": line(0.91, 1.0)})
    assert whom_to_trust(heads, ["A"])[0] == "Trust the gated head on A."


def test_nothing_measured_is_said():
    verdict, figures = whom_to_trust(cards(linear={}, gated={}), ["A", "B", "X"])
    assert "not measured" in verdict and figures == ""
    heads = cards(linear={"elements A": line(0.99, 1.0)}, gated={"elements A": line(0.99, 1.0)})
    assert "not measured" in whom_to_trust(heads, [None, None])[0]
