"""The Crystal page with a model that comes from the authors' code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from authors import checkpoint, network, write_files
from streamlit.testing.v1 import AppTest

from cgcnn.examples import examples
from cgcnn.model import Target, load_model
from cgcnn.original import both_energies, convert

APP = str(Path(__file__).resolve().parents[2] / "app.py")
UNITS = {"regression": "log10(GPa)", "classification": "logit"}


@pytest.fixture(params=UNITS)
def app(request, tmp_path, monkeypatch):
    """The app with a converted model in its folder, and no other."""
    file = write_files(tmp_path, checkpoint(network(request.param == "classification", 1)))
    convert(file, Target("K", "bulk modulus", "bulk modulus", "log10(GPa)")).save(tmp_path / "models" / "net")
    monkeypatch.setattr("cgcnn.model.BUNDLED", tmp_path / "models")
    st.cache_data.clear()
    st.cache_resource.clear()
    app = AppTest.from_file(APP, default_timeout=60).run()
    assert not app.exception and not app.error
    yield request.param, app, load_model(tmp_path / "models" / "net")
    st.cache_data.clear()
    st.cache_resource.clear()


def texts(app: AppTest) -> list[str]:
    markup = [re.sub(r"<style>.*?</style>|<[^>]+>", " ", e.proto.body, flags=re.S) for e in app.get("html")]
    said = (e.value for kind in (app.caption, app.markdown, app.info) for e in kind)
    return [*markup, *(re.sub(r"\\([^\w\s])", r"\1", text) for text in said)]  # as Markdown shows it


def test_the_unit_is_that_of_the_card(app):
    task, page, model = app
    unit = UNITS[task]
    said = texts(page)
    both = both_energies(model, examples()["SrTiO3"])
    headline = next(text for text in said if "SrTiO" in text)
    assert unit in headline and f"{both.whole:+.3f}".replace("-", "\N{MINUS SIGN}") in headline
    assert "in domain" not in headline  # the file does not say what was trained on
    if task == "classification":
        assert f"probability {1 / (1 + np.exp(-both.whole)):.3f}" in " ".join(headline.split())
    assert not any("eV" in text or "nan" in text for text in said)
    table = page.dataframe[0].value
    assert table[f"raw, {unit}"].mean() == pytest.approx(both.whole, abs=1e-6)
    assert not any("eV" in name for name in table.columns)
    assert all(caption == "error not measured" for caption in page.radio[0].proto.captions)


def test_the_page_says_what_the_choice_of_neighbours_makes(app):
    _, page, model = app
    both = both_energies(model, examples()["SrTiO3"])
    (said,) = (text for text in texts(page) if "With exactly 12 neighbours" in text)
    for value in (both.truncated, both.whole, both.difference):
        assert f"{value:+.3f}".replace("-", "\N{MINUS SIGN}") in said
    assert abs(both.difference) > 5e-4


def test_tabs_without_energies(app):
    _, page, _ = app
    for tab in ("Swap an atom", "Both heads side by side", "Bonds", "Export"):
        page.query_params["tab"] = tab
        page.run()
        assert not page.exception and not page.error, tab
        assert not any("eV" in text for text in texts(page)), tab


def test_the_perovskites_page_asks_for_another_model(app):
    _, page, _ = app
    page.switch_page("pages/perovskites.py").run()
    assert not page.exception and not page.error
    assert any("knows no A, B and X sites" in info.value for info in page.info)
