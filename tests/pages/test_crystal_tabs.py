"""The tabs below the crystal, without a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from builders import small_model
from streamlit.testing.v1 import AppTest

from cgcnn.contributions import explain
from cgcnn.examples import examples
from cgcnn.model import load_model
from cgcnn.substitution import Swap, substitute

APP = str(Path(__file__).resolve().parents[2] / "app.py")


def opened(tab: str, **query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in {"head": "linear", "panel": tab, **query}.items():
        app.query_params[name] = value
    return healthy(app.run())


def healthy(app: AppTest) -> AppTest:
    assert not app.exception and not app.error
    return app


def headline(app: AppTest) -> str:
    body = next(e.proto.body for e in app.get("html") if "cg-line" in e.proto.body)
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", re.sub("</?sub>", "", body), flags=re.S).split())


def figures(app: AppTest) -> list[dict]:
    """Plotly figures, the bars above the tabs first."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def hover_texts(figure: dict) -> str:
    return " ".join(str(trace.get("hovertext", "")) for trace in figure["data"])


def test_swap_table_has_the_numbers_of_the_library():
    app = opened("Swap an atom")
    found = substitute(load_model("perovskite-linear"), examples()["SrTiO3"], [1])
    assert app.selectbox(key="site").value == "Ti1"  # B is what most people ask for
    text = hover_texts(figures(app)[1])
    k = found.elements.index("Ca")
    assert f"{found.change[k]:+.3f} ± {found.sd[k]:.3f} eV per cell" in text
    assert f"{found.change[k] / 5:+.3f} eV/atom" in text
    assert "not in training crystals on B" in captions(app)
    assert f"{100 * found.share_booked:.0f} % of the changes are booked" in captions(app)


def test_swap_of_all_equivalent_sites_and_with_the_cell():
    app = opened("Swap an atom", site="O1")
    assert app.selectbox(key="site").value == "O1"
    healthy(app.toggle(key="equivalent").set_value(True).run())
    assert "when 3 O on X becomes" in captions(app)
    healthy(app.toggle(key="follow").set_value(True).run())
    text = hover_texts(figures(app)[1])
    assert "no lattice parameter is known" in text and "a = 3." in text and "the cell follows" in captions(app)


def test_cell_follows_only_where_a_lattice_model_exists():
    app = opened("Swap an atom", example="CaTiO3 (Pnma)", follow="true")
    assert app.toggle(key="follow").disabled and "as they are" in captions(app)


def test_a_swap_in_the_address_and_the_way_back():
    app = opened("Swap an atom", swap="1:Zr:4.1413;0:Ba")
    assert "BaZrO3" in headline(app) and "SrTiO3 with Ti1 → Zr (a = 4.141 Å), then Sr1 → Ba" in captions(app)
    structure = Swap((0,), "Ba").of(Swap((1,), "Zr", 4.1413).of(examples()["SrTiO3"]))
    assert f"{explain(load_model('perovskite-linear'), [structure])[0].energy:.3f}"[1:] in headline(app)
    healthy(app.button(key="undo").click().run())
    assert "SrZrO3" in headline(app) and app.query_params["swap"] in ("1:Zr:4.1413", ["1:Zr:4.1413"])
    healthy(app.button(key="back").click().run())
    assert "SrTiO3" in headline(app) and "swap" not in app.query_params


def test_a_swap_belongs_to_its_crystal():
    app = opened("Swap an atom", swap="1:Zr")
    healthy(app.selectbox(key="example").set_value("KNbO3 (cubic)").run())
    assert "KNbO3" in headline(app) and "swap" not in app.query_params


@pytest.mark.parametrize("swap", ["9:Zr", "1:Xx", "nonsense", "0,1:Zr", "1:Zr:x", "1:Zr;</script>"])
def test_nonsense_in_the_address_is_one_sentence(swap):
    app = opened("Swap an atom", swap=swap)
    assert "SrTiO3" in headline(app) and len(app.warning) == 1 and "shown as it is" in app.warning[0].value


def test_heads_side_by_side():
    app = opened("Both heads side by side")
    bars = figures(app)[1]
    assert {trace["name"] for trace in bars["data"]} == {"linear", "gated"}
    said = " ".join(m.value for m in app.markdown)
    assert "Trust both heads on A and B" in said
    results = [explain(load_model(f"perovskite-{h}"), [examples()["SrTiO3"]])[0] for h in ("linear", "gated")]
    energies = app.dataframe[1].value["eV/atom"]
    assert list(energies) == [f"{r.energy:+.3f} ± {r.energy_sd:.3f}".replace("-", "−") for r in results]
    largest = max(abs(a - b) for a, b in zip(*(r.relative for r in results), strict=True))
    assert f"largest difference {largest:.2f} eV" in captions(app)
    other = captions(opened("Both heads side by side", example="NaCl (rock salt)"))
    assert "Zero is this crystal's own mean; the values add up to zero; whiskers are" in other


def test_bonds():
    app = opened("Bonds")
    table = app.dataframe[1].value
    assert list(table["neighbour"]) == ["O", "Sr1"] and list(table["number"]) == [6, 8]
    assert "No bond strength" in captions(app)
    before = list(table["gate"])
    healthy(app.selectbox(key="convolution").set_value(1).run())
    assert list(app.dataframe[1].value["gate"]) != before


def test_bonds_without_gates(monkeypatch):
    import pages.common
    import pages.crystal

    plain = small_model("linear", "eq4")
    card = load_model("perovskite-linear").card
    model = replace(plain, card=replace(card, network=plain.card.network, reference={}, members=1))
    for module in (pages.common, pages.crystal):
        monkeypatch.setattr(module, "model_named", lambda name: model)
    app = opened("Bonds", example="KNbO3 (cubic)")
    assert any("eq. 4" in info.value for info in app.info)
    pages.common.explained.clear()


def test_export_offers_every_format():
    app = opened("Export", example="BaTaO2N (ordered)")
    labels = [button.label for button in app.get("download_button")]
    assert labels[-4:] == ["CSV", "Extended XYZ", "pymatgen JSON", "HTML scene"]
    assert "works without internet" in captions(app)


@pytest.mark.parametrize("tab", ["Swap an atom", "Both heads side by side", "Bonds", "Export"])
@pytest.mark.parametrize("example", ["Ni3Al (intermetallic)", "YBa2Cu3O7 (layered cuprate)", "MgAl2O4 (spinel)"])
def test_tabs_of_crystals_that_are_no_perovskites(tab, example):
    assert opened(tab, example=example).selectbox(key="example").value == example
