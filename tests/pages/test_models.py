"""The Models page without a browser: everything from the card, old cards too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import pages.common
from cgcnn.model import bundled

APP = str(Path(__file__).resolve().parents[2] / "app.py")
LINE = {"n": 52, "r": 0.996, "slope": 0.96, "spearman": 0.99, "rmse": 0.1, "best r": 0.99, "best slope": 0.9}
MEASURED = dict(
    faithfulness={"elements A": LINE, "elements B": LINE, "pairs A": LINE},
    comparison={
        "without the loss": {
            "accuracy": {"val": {"n": 9, "mae": 0.04, "rmse": 0.05, "r2": 0.9}},
            "faithfulness": {"elements A": LINE | {"r": 0.7, "slope": 0.2, "rmse": 1.0}},
        }
    },
    calibration={"scale": 2.0, "coverage 1 sd": [0.4, 0.68], "coverage 2 sd": [0.6, 0.9], "n": 9, "sd": [0.01, 0.02],
                 "error": [0.01, 0.03]},
    gauge={"note": "2 independent shifts.", "by": "role and element", "dimension": 2, "after centring": 0, "shift": {}},
    sanity={"substitution": {"replaced": [0, 0.5, 1], "ranked": [1, 0.4, 0], "random": [1, 0.6, 0], "area": 0.8,
                             "better": 0.7, "crystals": 9, "passed": True}},
    agreement={},
    domain={"val": {"warned": 0.03, "mae warned": 0.1, "mae others": 0.03}},
    tradeoff={"points": [], "why": ""},
)  # fmt: skip
PARITY = {"low": 0.0, "high": 1.0, "bins": 4, "target": [0, 3], "predicted": [0, 3], "crystals": [5, 1]}


def page(monkeypatch, head: str = "linear", **fields) -> AppTest:
    """The page, with these fields on every card."""
    cards = [replace(card, **fields) for card in bundled()]
    monkeypatch.setattr(pages.common, "bundled", lambda *_: cards)
    pages.common._read_cards.clear()
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["head"] = head
    app.run()
    app.switch_page("pages/models.py").run()
    assert not app.exception and not app.error
    pages.common._read_cards.clear()
    return app


def html(app: AppTest) -> str:
    return " ".join(e.proto.body for e in app.get("html"))


def charts(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


@pytest.mark.parametrize("head", ["linear", "gated"])
def test_everything_measured_is_shown(monkeypatch, head):
    accuracy = {"val": {"n": 3890, "mae": 0.0317, "rmse": 0.05, "r2": 0.99, "plain": 0.25, "parity": PARITY,
                        "quantiles": {"0.5": 0.02, "0.95": 0.09}},
                "val, built cells": {"n": 9, "mae": 0.0612}}  # fmt: skip
    app = page(monkeypatch, head, accuracy=accuracy, **MEASURED)
    card = next(c for c in bundled() if (c.family, c.head) == ("perovskite", head))
    said = html(app)
    assert card.name in said and "0.0317" in said and "3,890" in said and "0.0612" in said
    assert charts(app) == 7  # parity, curves, error bars; booked, trade-off; others, substitution
    assert said.count("<tr>") == 6 and said.count("cg-pass'>✓ passed") == 4
    assert any("Castelli" in m.value for m in app.markdown) and any(
        "2 independent shifts" in m.value for m in app.markdown
    )


def test_a_card_without_trust_measurements_says_how_to_make_them(monkeypatch):
    accuracy = {"val": {"n": 3890, "mae": 0.0317, "rmse": 0.05, "r2": 0.99}}
    nothing = {name: {} for name in MEASURED}
    app = page(monkeypatch, accuracy=accuracy, **nothing)
    assert any("--trust --write-card" in c.value for c in app.caption)
    assert charts(app) == 2  # learning curves, errors of others


def test_a_bare_card(monkeypatch):
    nothing = {name: {} for name in (*MEASURED, "accuracy", "training", "data")}
    app = page(monkeypatch, **nothing)
    assert "perovskite" in html(app)


def test_the_cards_as_they_are(monkeypatch):
    app = page(monkeypatch)
    assert charts(app) >= 2


def test_text_of_a_card_is_escaped(monkeypatch):
    bad = {"file": "<script>alert(1)</script>", "credit": "[x](http://example.com)"}
    sanity = {"both heads": {"other": "<script>", "r": {"A": 0.9}, "spearman": {}, "passed": True}}
    app = page(monkeypatch, data=bad, sanity=sanity)
    assert "<script>" not in html(app).replace("<style>", "")
    assert not any("](http" in m.value for m in app.markdown)
