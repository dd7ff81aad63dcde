"""Cards as they are read: old ones without the newer fields, verdicts by the stated thresholds."""

import json
from dataclasses import replace

import pytest
from builders import small_model

from cgcnn.cards import booked_error, checks, compared_errors, faithfulness_lines, tradeoff_points
from cgcnn.model import Card

LINE = {"n": 52, "r": 0.996, "slope": 0.96, "spearman": 0.99, "rmse": 0.1}


def card(**fields) -> Card:
    return replace(small_model("linear").card, **fields)


def test_an_old_card_is_read_and_has_nothing_to_show(tmp_path):
    small_model("linear").card.write(tmp_path / "card.json")
    values = json.loads((tmp_path / "card.json").read_text())
    for name in ("calibration", "gauge", "agreement", "sanity", "domain", "tradeoff"):
        del values[name]
    (tmp_path / "card.json").write_text(json.dumps(values))
    old = Card.read(tmp_path / "card.json")
    assert checks(old) == [] and faithfulness_lines(old) == [] and tradeoff_points(old) == []
    assert compared_errors(old, [old]) == []


def test_lines_without_the_newer_figures():
    old = card(
        faithfulness={"elements A": {"n": 52, "r": 0.9, "slope": 0.5}},
        comparison={"without the loss": {"faithfulness": {"elements A": {"n": 52, "r": 0.7, "slope": 0.2}}}},
    )
    (found,) = faithfulness_lines(old)
    assert (found.r, found.slope, found.without, found.best) == (0.9, 0.5, (0.7, 0.2), None)
    (found,) = faithfulness_lines(card(faithfulness={"exchanges": LINE | {"plain r": 0.5, "plain slope": 0.2}}))
    assert found.plain == (0.5, 0.2) and found.best is None
    assert booked_error(old.faithfulness) is None and tradeoff_points(old) == []


@pytest.mark.parametrize(
    ("line", "passed"), [(LINE, True), (LINE | {"slope": 0.9}, False), (LINE | {"r": 0.98}, False)]
)
def test_faithfulness_verdict(line, passed):
    (check,) = checks(card(faithfulness={"elements A": line}))
    assert check.passed is passed and "0.95 to 1.05" in check.meaning and f"{line['r']:.3f}" in check.value


def test_verdicts_are_only_given_where_a_threshold_is_stated():
    found = checks(
        card(
            calibration={"scale": 2.0, "coverage 1 sd": [0.4, 0.68], "coverage 2 sd": [0.6, 0.9]},
            agreement={role: {"elements": 4, "spearman": 0.97, "r": 0.9, "sd": 0.1, "spread": 1.0, "ratio": 0.1}
                       for role in "ABX"},
            sanity={
                "randomised weights": {"spearman": {"A": -0.1, "B": 0.2}, "passed": True},
                "rattled by 0.01 Å": {"share": 0.9, "passed": False},
            },
            domain={"val": {"warned": 0.03, "mae warned": 0.1, "mae others": 0.03}},
        )
    )  # fmt: skip
    verdict = {check.name: check.passed for check in found}
    assert verdict["Networks agree: elements on A"] is False and verdict["Networks agree: elements on X"] is None
    assert verdict["Error bars of energies"] is None and verdict["Warnings"] is True
    assert verdict["Randomised weights"] is True and verdict["Rattled by 0.01 Å"] is False
    assert all("asked" in check.meaning for check in found if check.passed is not None)
    assert next(c for c in found if c.name == "Randomised weights").value == "ρ A −0.10, B 0.20"


def test_tradeoff_from_the_comparison_and_from_points():
    without = {"accuracy": {"val": {"mae": 0.033}}, "faithfulness": {"elements A": LINE | {"rmse": 0.9}}}
    shipped = card(
        accuracy={"val": {"mae": 0.032}},
        faithfulness={"elements A": LINE, "elements B": LINE | {"n": 26, "rmse": 0.4}},
        comparison={"without the loss": without},
    )
    one, other = tradeoff_points(shipped)
    assert one.shipped and not other.shipped and other.booked == pytest.approx(0.9)
    assert one.booked == pytest.approx(((52 * 0.01 + 26 * 0.16) / 78) ** 0.5)
    points = [{"name": "a", "mae": 0.1, "booked": 0.2, "members": 2, "epochs": 9, "swap_consistency": 0.3},
              {"name": "b", "mae": 0.1, "booked": None}]  # fmt: skip
    (found,) = tradeoff_points(card(tradeoff={"points": points, "why": ""}))
    assert found.note == "swap consistency 0.3, 9 epochs, 2 networks"
    (found,) = tradeoff_points(card(tradeoff={"points": [points[0] | {"head": "gated"}], "why": ""}))
    assert found.note == "gated, swap consistency 0.3, 9 epochs, 2 networks"


def test_published_errors_of_the_same_target_only():
    ours = card(accuracy={"val": {"mae": 0.03, "plain": 0.25}})
    assert [e.name for e in compared_errors(ours, [ours])] == ["least-squares fit to the elements", "small"]
    perovskite = replace(ours, target=replace(ours.target, name="heat_of_formation_per_atom"))
    found = compared_errors(perovskite, [perovskite, ours])
    assert [e.mae for e in found] == [0.25, 0.130, 0.099, 0.0452, 0.03, 0.0269]
    assert [e.name for e in found if e.ours] == ["small"]


def test_known_chemistry_is_stated_with_its_verdict():
    sanity = {
        "ground states": {"elements": 60, "share": 0.85, "mae": 0.05, "worst": {"Ba": 0.27}, "passed": False},
        "anions": {"mean": {"Te": -0.4, "Se": -0.5, "S": -1.3, "O": -2.0}, "passed": True},
    }
    elements, anions = checks(card(sanity=sanity))
    assert elements.value == "85 %" and "Ba 0.27" in elements.meaning and elements.passed is False
    assert anions.passed and "O \N{MINUS SIGN}2.00" in anions.meaning
