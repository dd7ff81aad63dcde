"""The Perovskites page without a browser: what it says of a small space that a small model scored."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from builders import small_model
from streamlit.testing.v1 import AppTest

import cgcnn.model
from cgcnn.model import Target
from cgcnn.perovskite.lattice import ELEMENTS
from cgcnn.perovskite.screening import rules, screen
from cgcnn.perovskite.space import SIZE, build_space

APP = str(Path(__file__).resolve().parents[2] / "app.py")
PAGE = "pages/perovskites.py"
TARGET = Target("heat", "heat of formation", "heat", "eV/atom")
DATA = 300  # crystals of the data set with DFT


def invented(model, progress=None) -> pl.DataFrame:
    """A scored space made of numbers that follow from the elements, two members."""
    space = build_space().drop("lattice", "atomic_numbers", "frac_coords")
    rank = {symbol: i / 52 - 0.5 for i, symbol in enumerate(ELEMENTS)}
    a, b = (space[site].replace_strict(rank).to_numpy() for site in "ab")
    sites = {"a": 2 * a, "b": 4 * b, "x": np.zeros(SIZE)}
    if progress:
        progress(SIZE, SIZE)
    columns = [pl.Series("energy", (sites["a"] + sites["b"]) / 5 + 0.4), pl.Series("sd", np.full(SIZE, 0.01))]
    for role, value in sites.items():
        columns += [
            pl.Series(f"contribution_{role}", value),
            pl.Series(f"sd_{role}", np.full(SIZE, 0.02)),
            pl.Series(f"raw_{role}", value + 1),
            pl.Series(f"members_{role}", np.stack([value - 0.01, value + 0.01], axis=1).tolist()),
        ]
    return space.with_columns(columns)


def line(r: float, slope: float) -> dict:
    return {"n": 52, "r": r, "spearman": r - 0.01, "slope": slope}


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A family of perovskite models, whose gated head is poor on A, and one that knows no roles."""
    folder = tmp_path / "models"
    elements = (*ELEMENTS, "N", "O", "F", "S")
    roles = {"A": [0.1], "B": [0.2], "X": [0.3]}
    for name, family, head, r in (
        ("abx-linear", "perovskite", "linear", 0.996),
        ("abx-gated", "perovskite", "gated", 0.8996),
        ("all-linear", "inorganic", "linear", None),
    ):
        model = small_model(head)
        card = replace(model.card, name=name, family=family, target=TARGET, colour_limit=3.0, elements=elements)
        card = replace(card, accuracy={"val": {"n": 9, "mae": 0.031, "rmse": 0.05, "r2": 0.9}})
        if r:
            card = replace(
                card, reference=roles, faithfulness={"elements A": line(r, 0.6), "elements B": line(0.998, 1)}
            )
        replace(model, card=card).save(folder / name)
    monkeypatch.setattr(cgcnn.model, "BUNDLED", folder)
    monkeypatch.setattr("pages.space.data.scored_space", invented)
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    clear()
    yield folder
    clear()


def clear() -> None:
    """Forget what earlier tests left in Streamlit's caches."""
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def data(tmp_path) -> Path:
    """Labels for some of the space: the invented energy plus 0.05, every other crystal in train."""
    table = build_space()
    wanted = np.linspace(0, SIZE - 1, DATA).astype(int)
    energy = invented(None)["energy"].to_numpy()[wanted] + 0.05
    split = np.where(np.arange(DATA) % 2 == 0, "train", "val")
    rows = table.gather(wanted).with_columns(heat=energy, split=split)
    file = tmp_path / "some.parquet"
    rows.select("material_id", "lattice", "atomic_numbers", "frac_coords", "heat", "split").write_parquet(file)
    return file


def open_page(**query: str | list[str]) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update({key: value for key, value in query.items() if key in ("model", "head")})
    app.run()
    app.query_params.update(query)
    return healthy(app.switch_page(PAGE).run())


def healthy(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    """All text of the page."""
    bodies = [element.proto.body for element in app.get("html")]
    texts = [e.value for kind in (app.caption, app.markdown, app.info, app.error, app.warning) for e in kind]
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", " ".join([*bodies, *texts]), flags=re.S).split())


def figures(app: AppTest) -> list[dict]:
    return [unpacked(json.loads(chart.proto.spec)) for chart in app.get("plotly_chart")]


def unpacked(value):
    """Plotly's packed arrays as lists."""
    if isinstance(value, dict) and "bdata" in value:
        flat = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
        return flat.reshape([int(n) for n in str(value.get("shape", len(flat))).split(",")]).tolist()
    if isinstance(value, dict):
        return {key: unpacked(part) for key, part in value.items()}
    return [unpacked(part) for part in value] if isinstance(value, list) else value


def heatmap(app: AppTest) -> dict:
    return next(trace for figure in figures(app) for trace in figure["data"] if trace["type"] == "heatmap")


def test_first_visit_shows_the_map_and_its_lowest_crystal(models):
    app = open_page()
    assert not app.error
    assert heatmap(app)["colorbar"]["title"]["text"] == "Energy, eV/atom"
    text = said(app)
    assert "18,928 cubic ABX₃" in text and "accuracy of their energies not measured" in text
    assert "**A** r 0.996, ρ 0.986, slope 0.60" in text
    assert "LiLiO 3" in text.replace("Li Li", "LiLi") and "tolerance factor" in text


def test_state_comes_from_the_url(models):
    app = open_page(x="O2N", show="B contribution", order="value", cell="Sr-Ti")
    assert heatmap(app)["colorbar"]["title"]["text"] == "B contribution, eV per site"
    assert "SrTiO 2 N" in said(app)
    b = next(f for f in figures(app) if f["data"][0]["type"] == "heatmap")["layout"]["xaxis"]["ticktext"]
    assert [symbol.removeprefix("<br>") for symbol in b] == list(ELEMENTS)  # the invented values rise in this order
    app = open_page(x="XX", show="none", cell="Xe-Xe", part="nothing")
    assert heatmap(app)["colorbar"]["title"]["text"] == "Energy, eV/atom"


def test_a_head_that_ranks_a_badly_is_called_so_and_the_other_is_one_click_away(models):
    app = open_page(head="gated")
    assert "On the A site do not trust this head's ranking" in said(app) and "r = 0.900" in said(app)
    healthy(app.button(key="better A").click().run())
    assert app.radio(key="head").value == "linear"
    assert "do not trust" not in said(app)


def test_a_model_of_another_family_leads_to_one_that_fits(models):
    app = open_page(model="Inorganic")
    assert "needs a model trained on perovskites" in said(app) and not app.get("plotly_chart")
    healthy(app.button[0].click().run())
    assert app.selectbox(key="model").value == "perovskite" and heatmap(app)


def test_accuracy_of_built_cells_is_read_from_the_card(models):
    from cgcnn.model import Card, update_card

    folder = models / "abx-linear"
    accuracy = Card.read(folder / "card.json").accuracy | {
        "val, built cells": {"n": 7, "mae": 0.055, "rmse": 0.1, "r2": 0.8}
    }
    update_card(folder, accuracy=accuracy)
    assert "energies are good to 0.055 eV/atom (MAE, 7 crystals not trained on; relaxed cells 0.031)" in said(
        open_page()
    )


def test_dft_is_shown_compared_and_marked(models, data):
    app = open_page(dft=str(data), show="Model − DFT", cell="Li-Li")
    assert not app.error
    assert f"DFT: {DATA} of 18,928 from some\\.parquet, {DATA // 2} of them trained on" in said(app)
    values = np.array(heatmap(app)["z"], dtype=float)
    assert 20 < np.isfinite(values).sum() < DATA and np.allclose(values[np.isfinite(values)], -0.05)
    assert "Dots: the model was trained on this crystal." in said(app)
    app = open_page(dft=str(data), show="DFT")
    assert heatmap(app)["colorbar"]["title"]["text"] == "DFT, eV/atom"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.drop("heat"), "no column with numbers"),
        (lambda t: t.rename({"heat": "formation_energy_per_atom"}), "holds formation energy per atom, which is not"),
        (lambda t: t.with_columns(atomic_numbers=pl.Series([[11, 17, 8, 8, 8]] * len(t))), "is one of the 18,928"),
        (lambda t: t.head(0), "is one of the 18,928"),
    ],
)
def test_a_data_set_that_does_not_fit_gets_one_sentence(models, data, change, complaint):
    change(pl.read_parquet(data)).write_parquet(data)
    app = open_page(dft=str(data))
    assert len(app.error) == 1 and complaint in app.error[0].value.replace("\\", "")
    assert heatmap(app)


def test_missing_and_broken_files_get_one_sentence(models, tmp_path):
    app = open_page(dft=str(tmp_path / "nowhere.csv"))
    assert len(app.error) == 1 and "nowhere" in app.error[0].value
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    app = open_page(dft=str(tmp_path / "broken.parquet"))
    assert len(app.error) == 1 and "broken" in app.error[0].value


def test_a_data_set_of_one_crystal_with_broken_rows(models, data):
    table = pl.read_parquet(data).head(3)
    rows = table.rows(named=True)
    rows[1]["frac_coords"] = [0.0] * 14
    rows[2]["lattice"] = [0.0] * 9
    pl.DataFrame(rows, schema=table.schema).write_parquet(data)
    app = open_page(dft=str(data), part="Screening")
    assert not app.error and "1 of 18,928" in said(app) and "2 rows cannot be read" in said(app)
    for view in ("Compare elements", "Group rules", "A × B map"):
        assert not open_page(dft=str(data), part=view, show="DFT").error


def test_upload_of_dft(models, data):
    app = open_page()
    upload = ("some.parquet", data.read_bytes(), "application/octet-stream")
    healthy(app.file_uploader(key="dft_upload").set_value(upload).run())
    assert not app.error and f"DFT: {DATA} of 18,928" in said(app)


def test_column_is_asked_for_where_it_is_not_clear(models, data):
    pl.read_parquet(data).rename({"heat": "mine"}).with_columns(volume=pl.lit(60.0)).write_parquet(data)
    app = open_page(dft=str(data))
    assert app.selectbox(key="dft_column").options == ["mine", "volume"]
    healthy(app.selectbox(key="dft_column").set_value("volume").run())
    assert not app.error and "DFT:" in said(app)


def test_elements_compared(models, data):
    app = open_page(part="Compare elements", elements=["Li", "Bi"])
    bars = [t for t in figures(app)[0]["data"] if t["type"] == "bar"]
    diamonds = [t for t in figures(app)[0]["data"] if t["type"] == "scatter"]
    assert [t["x"] for t in bars] == [["Li", "Bi"]] * 2
    for trace, reference, factor in zip(bars, diamonds, (2, 4), strict=True):
        assert trace["y"] == pytest.approx(factor * np.array([-25.5, 25.5]) / 52)
        assert reference["y"] == pytest.approx(trace["y"])  # the invented energies are additive
        assert trace["error_y"]["array"] == pytest.approx([0, 0], abs=1e-9)  # a constant between members is no spread
    healthy(app.multiselect(key="elements").set_value(["Li"]).run())
    assert "two or more" in said(app) and not app.get("plotly_chart")
    assert "additive fit to DFT" in said(open_page(part="Compare elements", dft=str(data)))


def test_group_rules(models):
    app = open_page(part="Group rules")
    bars = [t for t in figures(app)[0]["data"] if t["type"] == "bar"]
    first = np.mean([ELEMENTS.index(s) / 52 - 0.5 for s in ("Li", "Na", "K", "Rb", "Cs")])
    assert [t["y"][0] for t in bars] == pytest.approx([2 * first, 4 * first])
    healthy(app.selectbox(key="anions_grouped").set_value("N3").run())
    assert not app.error


def test_screening_opens_with_the_rule_of_the_paper(models, data):
    app = open_page(part="Screening", dft=str(data))
    paper = rules()[0]
    assert app.selectbox(key="rule").value == paper.name
    found = screen(invented(None), paper.a, paper.b)
    text = said(app)
    assert f"Predicted {found.predicted.hits} of 378" in text
    assert f"{found.predicted_all.hits:,} of 18,928" in text
    assert "crystals with DFT that the model was not trained on" in text
    assert "no tilts of the octahedra, no phonons" in text


def test_screening_by_group_element_and_rule(models, data):
    app = open_page(part="Screening", dft=str(data))
    healthy(app.multiselect(key="a").set_value([]).run())
    healthy(app.multiselect(key="b").set_value([]).run())
    assert app.selectbox(key="rule").value == "All"
    everything = screen(invented(None))
    assert said(app).count(f"{everything.predicted.hits:,} of 18,928") == 2  # this choice and all
    healthy(app.button_group(key="groups_a").set_value([1]).run())
    assert set(app.multiselect(key="a").value) == {"Li", "Na", "K", "Rb", "Cs"}
    assert app.selectbox(key="rule").value == "Own choice"
    healthy(app.multiselect(key="anions").set_value(["O3"]).run())
    healthy(app.number_input(key="below").set_value(0.15).run())
    expected = screen(invented(None), ("Li", "Na", "K", "Rb", "Cs"), x=("O3",), threshold=0.15)
    assert f"Predicted {expected.predicted.hits:,} of 260" in said(app)
    table = app.dataframe[0].value
    assert len(table) == expected.predicted.hits and table["energy, eV/atom"].is_monotonic_increasing
    assert {"DFT", "trained on", "tolerance", "octahedral", "neutral", "sd"} <= set(table)
    trained = table[table["trained on"]]
    assert len(trained) and trained["DFT"].notna().all()
    healthy(app.button_group(key="groups_a").set_value([]).run())
    assert app.multiselect(key="a").value == []
    healthy(app.selectbox(key="rule").set_value("Oxynitrides").run())
    assert "La" in app.multiselect(key="a").value and app.multiselect(key="anions").value == ["O2N", "ON2"]
    paper = next(button for button in app.button if button.label == "Rule of the paper")
    healthy(paper.click().run())
    assert app.selectbox(key="rule").value == rules()[0].name and "378" in said(app)


def test_screening_without_candidates(models):
    app = open_page(part="Screening", below="-9.0")
    assert not app.error and "Raise the threshold" in said(app)


def test_candidate_leads_to_the_crystal_page(models):
    app = open_page(part="Screening", below="9")
    opener = next(button for button in app.button if button.label.startswith("Open "))
    formula = opener.label.split()[1]
    app = healthy(opener.click().run())
    assert f"{formula}" in said(app).replace(" ", "") and "not relaxed" in said(app)


def test_failure_inside_is_one_sentence(models, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("cgcnn.perovskite.maps.pair_map", broken)
    monkeypatch.setattr("pages.space.pairs.pair_map", broken)
    app = open_page()
    assert len(app.error) == 1 and "secret" not in app.error[0].value
