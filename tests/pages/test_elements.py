"""The Elements page without a browser: data sets of every kind, its words, its numbers."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import polars as pl
import pytest
from builders import perovskite
from pymatgen.core import Lattice, Structure
from streamlit.testing.v1 import AppTest

from cgcnn import model
from cgcnn.atlas import make_atlas, read_atlas, summary
from cgcnn.perovskite import scores
from cgcnn.perovskite.space import build_space
from cgcnn.scoring import load_scores, score
from pages import common

APP = str(Path(__file__).resolve().parents[2] / "app.py")
PAGE = "pages/elements.py"
TARGET = "heat_of_formation_per_atom"  # of the bundled models
SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("elements-cache")


@pytest.fixture(autouse=True)
def small_space(cache, monkeypatch):
    """A cache of our own, and a space of 8 by 8 elements and 2 anion sets instead of 52 by 52 and 7."""
    cations = ["Ca", "Sr", "Ba", "La", "Ti", "Zr", "Nb", "Ta"]
    few = pl.col("a").is_in(cations) & pl.col("b").is_in(cations) & pl.col("x").is_in(["O3", "O2N"])
    monkeypatch.setenv("CGCNN_CACHE", str(cache))
    monkeypatch.setattr("cgcnn.perovskite.scores.build_space", lambda: build_space().filter(few))
    scores._space_table.cache_clear()
    yield
    scores._space_table.cache_clear()


def open_page(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    return healthy(app.switch_page(PAGE).run())


def at_path(path, **query: str) -> AppTest:
    return open_page(data="Path on this machine", path=str(path), **query)


def healthy(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """Everything the page says."""
    texts = [e.value for kind in (app.error, app.info, app.caption, app.markdown, app.warning) for e in kind]
    return " | ".join(texts + [re.sub(r"<[^>]+>", " ", e.proto.body) for e in app.get("html")])


def chart(app: AppTest, key: str) -> dict:
    found = [json.loads(e.proto.spec) for e in app.get("plotly_chart") if e.proto.id.endswith(f"-{key}")]
    assert found, f"no figure {key}"
    return found[0]


def write(path: Path, structures, **columns) -> Path:
    names = [f"crystal {i}" for i in range(len(structures))]
    cifs = [s if isinstance(s, str) else s.to(fmt="cif") for s in structures]
    pl.DataFrame({"material_id": names, "cif": cifs, **columns}).write_csv(path)
    return path


@pytest.fixture
def labelled(tmp_path) -> Path:
    """Perovskites with the target of the model."""
    choice = list(itertools.product(["Ca", "Sr", "Ba"], ["Ti", "Zr", "Hf"], ["O", "N"]))
    structures = [perovskite(a, b, (x,) * 3, 4.0) for a, b, x in choice]
    split = ["val" if i % 3 else "train" for i in range(len(choice))]
    return write(tmp_path / "labelled.csv", structures, split=split, **{TARGET: [0.1 * i for i in range(len(choice))]})


def test_first_visit_shows_the_space_in_two_part_tiles():
    app = open_page()
    assert not app.error and "128 crystals" in words(app) and "640 sites" in words(app)
    table = chart(app, "periodic table")
    tiles = table["data"][1]
    assert tiles["customdata"].count("Ti") == 2 and tiles["customdata"].count("O") == 1
    said = words(app)
    assert "Zero is the mean of the same role" in said and "energies that this model predicts" in said
    assert f"spread over {model.load_model('perovskite-linear').card.members} networks" in said
    title = next(t["marker"]["colorbar"]["title"]["text"] for t in table["data"] if "colorbar" in t.get("marker", {}))
    assert "eV" in title and "upper half on A" in title


def test_the_ranking_shows_the_means_of_the_scores(cache):
    app = open_page(role="B")
    about = [(file.parent, json.loads(file.read_text())) for file in cache.glob("scores/*/score.json")]
    (folder,) = (f for f, a in about if a["data"] == scores.SPACE_FILE and a["head"] == "linear")
    means = summary(load_scores(folder)).filter(pl.col("role") == "B")
    bars = chart(app, "ranking")["data"][0]
    shown = dict(zip(bars["customdata"], plain_numbers(bars["y"]), strict=True))
    assert shown == pytest.approx(dict(means.select("element", "mean").iter_rows()))
    assert plain_numbers(bars["error_y"]["array"]) and len(shown) == 8


def plain_numbers(values) -> list[float]:
    """A list, or what plotly packs one into."""
    import base64

    import numpy as np

    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).tolist()
    return values


def test_views_say_what_zero_is():
    app = open_page(view="absolute")
    assert "Zero is the zero of the energy" in words(app) and "No plain reference" in words(app)


def test_an_element_with_its_surroundings_and_ends():
    app = open_page(tab="Element", element="Nb")
    assert app.selectbox(key="element").value == "Nb" and "Niobium" in words(app)
    assert "Nb on B, by nearest anion" in words(app) or "Nb on A, by nearest anion" in words(app)
    low, high = (e.value for e in app.dataframe)
    assert list(low["crystal"])[0] != list(high["crystal"])[0] and len(low) == len(high) == 10
    assert list(low["contribution, eV"]) == sorted(low["contribution, eV"])
    assert list(high["contribution, eV"]) == sorted(high["contribution, eV"], reverse=True)
    assert any("::after" in e.proto.body for e in app.get("html"))  # the frame around the tile


def test_filters_and_none_left():
    app = open_page()
    healthy(app.multiselect(key="contains").set_value(["Nb"]).run())
    assert "30 of 128 crystals" in words(app)
    healthy(app.selectbox(key="on").set_value("B").run())
    assert "16 of 128 crystals" in words(app)
    healthy(app.number_input(key="emax").set_value(-50.0).run())
    assert "No crystal fits these filters" in words(app)
    healthy(app.number_input(key="emax").set_value(None).run())
    assert "16 of 128 crystals" in words(app)


def test_filters_stand_in_the_url():
    assert "30 of 128 crystals" in words(open_page(contains="Nb"))
    assert "128 crystals" in words(open_page(data="nonsense", view="nonsense", role="Q", components="x", emin="y"))


def test_labels_of_the_data_are_the_reference(labelled):
    app = at_path(labelled)
    assert "18 labels of the data" in words(app) and "on crystals outside the split train" in words(app)


def test_another_target_is_no_reference(tmp_path, labelled):
    table = pl.read_csv(labelled).rename({TARGET: "gap"})
    table.write_csv(tmp_path / "gap.csv")
    assert "energies that this model predicts" in words(at_path(tmp_path / "gap.csv"))


def test_upload(labelled):
    app = open_page(data="Your file")
    assert "Drop a file" in words(app)
    app.file_uploader(key="data files").set_value([("mine.csv", labelled.read_bytes(), "text/csv")])
    healthy(app.run())
    assert "mine.csv" in words(app) and "18 crystals" in words(app)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"cif\n", "has no rows"),
        (b"formula,energy\nSrTiO3,1\n", "has no column 'cif'"),
        (b"\x00\x01\x02", "mine.csv"),
    ],
)
def test_files_without_crystals(content, said):
    app = open_page(data="Your file")
    app.file_uploader(key="data files").set_value([("mine.csv", content, "text/csv")])
    healthy(app.run())
    assert len(app.error) == 1 and said in app.error[0].value.replace("\\", "")


def test_broken_rows_are_counted_and_listed(tmp_path):
    app = at_path(write(tmp_path / "d.csv", ["nonsense", perovskite(), "", perovskite("Ba")]))
    assert "2 of 4 rows cannot be read" in words(app) and "2 crystals" in words(app)
    assert "List with reasons" in [b.label for b in app.get("download_button")]


def test_only_broken_rows(tmp_path):
    app = at_path(write(tmp_path / "d.csv", ["nonsense", ""]))
    assert "None of the 2 rows of d.csv gives a crystal" in app.error[0].value.replace("\\", "")
    assert "List with reasons" in [b.label for b in app.get("download_button")]


def test_a_single_crystal(tmp_path):
    app = at_path(write(tmp_path / "d.csv", [perovskite()]), tab="Element", element="Ti")
    assert not app.error and "1 crystal " in words(app) and "1 site in 1 crystal" in words(app)
    healthy(app.segmented_control(key="view").set_value("absolute").run())
    assert not app.error and "Zero is the zero of the energy" in words(app)


def test_another_chemistry_has_no_roles(tmp_path):
    app = at_path(write(tmp_path / "d.csv", [SALT, SALT * (2, 1, 1)]))
    said = words(app)
    assert not app.error and "None of these crystals is an ABX3 perovskite" in said and "own mean" in said
    assert "No training crystal contains Cl" in said
    assert chart(app, "periodic table")["data"][1]["customdata"].count("Na") == 1


def test_perovskites_and_others_are_not_mixed(tmp_path):
    data = write(tmp_path / "d.csv", [SALT, perovskite(), perovskite("Ba")])
    app = at_path(data)
    assert "2 of 3 crystals" in words(app) and "Na" not in chart(app, "periodic table")["data"][1]["customdata"]
    app = at_path(data, kind="others")
    assert "1 of 3 crystals" in words(app) and "perovskites only" in words(app)
    assert set(chart(app, "periodic table")["data"][1]["customdata"]) == {"Na", "Cl"}


def test_paths(tmp_path, labelled):
    assert "Type the path" in words(at_path(""))
    assert "nothing at" in at_path("/no/such/file").error[0].value
    (tmp_path / "empty").mkdir()
    assert "neither a folder that" in at_path(tmp_path / "empty").error[0].value
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "score.json").write_text("{")
    assert "cannot be read" in at_path(tmp_path / "broken").error[0].value
    score(labelled, "perovskite-gated", tmp_path / "scores", workers=1)
    app = at_path(tmp_path / "scores")
    assert "18 crystals" in words(app) and "not of the one in the sidebar" in words(app)


def test_data_that_are_gone_are_a_sentence(tmp_path, labelled, monkeypatch):
    """A click on a crystal of scores whose data set was taken away."""
    score(labelled, "perovskite-linear", tmp_path / "scores", workers=1)
    labelled.unlink()
    clicked = type("State", (), {"selection": type("Selection", (), {"cells": [(0, "crystal")]})})
    monkeypatch.setattr("streamlit.dataframe", lambda *_, **__: clicked)
    app = at_path(tmp_path / "scores", tab="Element", element="Ti")
    assert len(app.error) == 1 and "no longer at" in app.error[0].value


def test_training_crystals_from_the_atlas(tmp_path, labelled, monkeypatch):
    """The atlas lies in the folder of the model; here in a copy of it."""
    import shutil

    shutil.copytree(model.BUNDLED, tmp_path / "models")
    monkeypatch.setattr("cgcnn.model.BUNDLED", tmp_path / "models")
    scores = score(labelled, "perovskite-linear", tmp_path / "scores", workers=1)
    make_atlas(scores, "perovskite-linear")
    import streamlit as st

    st.cache_data.clear()
    app = open_page(data="Training crystals", tab="Element", element="Ti")
    assert not app.error and "training crystals of perovskite-linear" in words(app) and "6 crystals" in words(app)
    assert "no crystals at the ends" in words(app) and not app.dataframe and not app.multiselect
    app = open_page(data="Training crystals")
    assert "keeps sums only" in words(app)
    st.cache_data.clear()


def test_another_family_opens_on_its_own_crystals_with_all_sites_of_an_element_together():
    app = open_page(model="Inorganic", view="absolute")
    assert app.selectbox(key="data").value == "Training crystals" and "65,779 crystals" in words(app)
    assert chart(app, "periodic table")["data"][1]["customdata"].count("Ti") == 1 and "upper half" not in words(app)
    bars = chart(app, "ranking")["data"][0]
    shown = dict(zip(bars["customdata"], plain_numbers(bars["y"]), strict=True))
    table = read_atlas(model.BUNDLED / "inorganic-linear" / "atlas.parquet").table("absolute", "element")
    assert shown == pytest.approx(dict(table.select("element", "mean").iter_rows()))
    assert shown["F"] < shown["Cl"] < shown["Br"] and shown["O"] < shown["S"] < shown["Se"]
    app = open_page(model="Inorganic", tab="Element", element="Ti")
    atlas = read_atlas(model.BUNDLED / "inorganic-linear" / "atlas.parquet")
    row = atlas.table("relative", "element").row(by_predicate=pl.col("element") == "Ti", named=True)
    assert f"{row['count']:,} sites in {row['crystals']:,} crystals" in words(app)
    assert not [control for control in app.segmented_control if control.key == "site of Ti"]
    counted = chart(app, "distribution coordination")["data"]
    assert len(counted) > 3


def test_a_ranking_that_is_not_to_be_trusted(monkeypatch):
    from dataclasses import replace

    cards = [
        replace(c, faithfulness={"elements A": {"r": 0.5 if c.head == "gated" else 0.99, "slope": 1.0, "n": 52}})
        for c in model.bundled()
    ]
    common._read_cards.clear()
    monkeypatch.setattr("pages.common.bundled", lambda *_: cards)
    app = open_page(head="gated")
    assert "do not trust this ranking" in words(app) and "r = 0.50" in words(app)
    healthy(app.button(key="to linear").click().run())
    assert "by perovskite-linear" in words(app) and "do not trust" not in words(app)
    common._read_cards.clear()


def test_failure_inside_is_one_sentence(monkeypatch):
    monkeypatch.setattr("pages.data_set.table.periodic_table", lambda *_, **__: 1 / 0)
    app = open_page()
    assert len(app.error) == 1 and "division" not in app.error[0].value
