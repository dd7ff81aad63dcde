"""The Crystal page without a browser: what it says, and that it never breaks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cgcnn.contributions import explain
from cgcnn.examples import examples
from cgcnn.model import bundled, load_model
from cgcnn.structures import Crystal

APP = str(Path(__file__).resolve().parents[2] / "app.py")
POSCAR = b"KTaO3\n3.9885\n1 0 0\n0 1 0\n0 0 1\nK Ta O\n1 1 3\nDirect\n0 0 0\n.5 .5 .5\n.5 .5 0\n.5 0 .5\n0 .5 .5\n"
CIF = examples()["KNbO3 (cubic)"].to(fmt="cif").encode()
BAD = b"</script><script>alert(1)</script> [nothing](http://example.com) *here*"


@pytest.fixture
def app() -> AppTest:
    return healthy(AppTest.from_file(APP, default_timeout=60).run())


def healthy(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def headline(app: AppTest) -> str:
    """The line with formula and energy, without its markup."""
    body = next(e.proto.body for e in app.get("html") if "cg-line" in e.proto.body)
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", re.sub("</?sub>", "", body), flags=re.S).split())


def energy(app: AppTest) -> float:
    return float(re.search(r"([+\N{MINUS SIGN}]?\d+\.\d+)[^/]* eV/atom", headline(app))[1].replace("−", "-"))


def card_of(app: AppTest):
    """The card of the model that the page uses."""
    family = app.selectbox(key="model").value
    family = "perovskite" if family == "automatic" else family  # all crystals of these tests but salt are perovskites
    return next(c for c in bundled() if (c.family, c.head) == (family, app.radio[0].value))


def test_first_visit_shows_an_example_with_its_energy(app):
    result = explain(load_model(card_of(app).name), [examples()["SrTiO3"]])[0]
    assert "SrTiO3" in headline(app) and "(221)" in headline(app) and "5 atoms" in headline(app)
    assert energy(app) == pytest.approx(result.energy, abs=6e-4)
    table = app.dataframe[0].value
    assert list(table["site"]) == ["Sr1", "Ti1", "O1", "O2", "O3"] and list(table["role"]) == list("ABXXX")
    assert table["raw, eV"].mean() == pytest.approx(result.energy, abs=1e-6)
    assert any(result.reference_note == caption.value for caption in app.caption)
    assert not app.error


def test_units_of_the_headline_agree(app):
    text = headline(app).replace("−", "-")
    formula_unit = float(re.search(r"([+-]?\d+\.\d+) eV/f.u.", text)[1])
    kj = float(re.search(r"([+-]?\d+) kJ/mol", text)[1])
    assert formula_unit == pytest.approx(5 * energy(app), abs=0.008)
    assert kj == pytest.approx(96.485 * 5 * energy(app), abs=0.8)


def test_every_head_shows_its_error_and_its_own_numbers(app):
    heads = app.radio[0].options
    assert len(app.radio[0].proto.captions) == len(heads)
    assert all(re.search(r"MAE \d+ meV/atom", caption) for caption in app.radio[0].proto.captions)
    seen = {}
    for head in heads:
        healthy(app.radio[0].set_value(head).run())
        seen[head] = tuple(app.dataframe[0].value["relative, eV"])
    assert len(set(seen.values())) == len(heads)


@pytest.mark.parametrize("name", list(examples()))
def test_examples(app, name):
    healthy(app.selectbox(key="example").set_value(name).run())
    assert not app.error
    assert len(app.dataframe[0].value) == len(examples()[name])


def test_several_files_one_of_them_bad(app):
    files = [
        ("POSCAR", POSCAR, "application/octet-stream"),
        ("notes.txt", BAD, "text/plain"),
        ("a.cif", CIF, "chemical/x-cif"),
    ]
    healthy(app.file_uploader(key="upload").set_value(files).run())
    assert len(app.error) == 1
    said = app.error[0].value
    assert "notes" in said and "\n" not in said and "](http" not in said and "<script" not in said.replace(r"\<", "")
    assert app.selectbox(key="crystal").options == ["POSCAR (KTaO3)", "a.cif (KNbO3)"]
    assert "KTaO3" in headline(app)
    healthy(app.selectbox(key="crystal").set_value(1).run())
    assert "KNbO3" in headline(app)


def test_hundreds_of_reasons_leave_the_page_to_the_crystal(app):
    frames = "".join(f"1\nno cell {i}\nC 0 0 0\n" for i in range(300)) + '1\nLattice="3 0 0 0 3 0 0 0 3"\nPo 0 0 0\n'
    healthy(app.file_uploader(key="upload").set_value([("x.xyz", frames.encode(), "text/plain")]).run())
    assert len(app.error) == 1 and app.error[0].value.count("no cell") == 4
    listed = app.expander[0]
    assert listed.label == "296 more cannot be read" and listed.caption[0].value.count("no cell") == 196
    assert listed.caption[1].value == "and 100 others" and headline(app).startswith("Po")


def test_text_that_is_not_ours_is_escaped_for_markdown():
    from pages.common import plain

    shown = plain("a\n**b** [c](d) <e> $f$ :red[g] `h` \u202e\x1b \ud800")
    assert "\n" not in shown and shown.replace("\\", "").startswith("a **b** [c](d) <e> $f$ :red[g] `h` ")
    assert all(shown[at - 1] == "\\" for at, letter in enumerate(shown) if letter in "*[]()<>$:`")
    assert shown.count("\N{REPLACEMENT CHARACTER}") == 3
    joined = "\N{WORD JOINER}"
    for text in (
        ":material/home:",
        ":streamlit:",
        "a -> b",
        "a <- b",
        "a -- b",
        "a >= b",
        "https://x.y",
        "www.x.y",
        "a@b.c",
    ):
        assert joined in plain(text) and plain(text).replace(joined, "").replace("\\", "") == text
    assert joined not in plain("https://doi.org/10.1103", links=True)
    assert len(plain("*" * 1000)) == 800


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02", BAD, b"\x89PNG\r\n", CIF[:200], b"[" * 5000])
def test_a_bad_file_gets_one_sentence(app, data):
    healthy(app.file_uploader(key="upload").set_value([("x.cif", data, "text/plain")]).run())
    assert len(app.error) == 1 and len(app.error[0].value) > 20
    healthy(app.selectbox(key="example").set_value("KNbO3 (cubic)").run())  # and an example brings the page back
    assert not app.error and "KNbO3" in headline(app)


def test_pasted_text(app):
    healthy(app.text_area(key="paste").set_value(POSCAR.decode()).run())
    assert "KTaO3" in headline(app)


def test_crystals_outside_the_training_domain_are_flagged(app):
    def flags():
        return [m.value for m in app.markdown if "the numbers are a guess" in m.value]

    healthy(app.selectbox(key="model").set_value("perovskite").run())
    assert not flags() and "in domain" in headline(app)
    salt = b"NaCl\n5.64\n0 .5 .5\n.5 0 .5\n.5 .5 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    healthy(app.file_uploader(key="upload").set_value([("POSCAR", salt, "text/plain")]).run())
    assert len(flags()) == 1 and "in domain" not in headline(app)


def test_scene_options(app):
    healthy(app.toggle(key="polyhedra").set_value(True).run())
    healthy(app.selectbox(key="supercell").set_value("2×2×2").run())
    healthy(app.button_group(key="colour_by").set_value(["element"]).run())
    assert not app.error


def test_link_to_an_example_and_nonsense_in_the_link():
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["example"] = "CaTiO3 (Pnma)"
    app.query_params["head"] = "linear"
    healthy(app.run())
    assert "CaTiO3" in headline(app) and app.radio[0].value == "linear"
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["example"] = "<script>"
    app.query_params["head"] = "none"
    app.query_params["model"] = "none"
    healthy(app.run())
    assert "SrTiO3" in headline(app)


def test_failure_inside_is_one_sentence(app, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret detail")

    import pages.common

    pages.common.explained.clear()
    monkeypatch.setattr("pages.common.explain", broken)
    healthy(app.run())
    assert len(app.error) == 1 and "secret" not in app.error[0].value


def test_member_of_the_perovskite_space_from_the_url():
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["perovskite"] = "TlNbO3"
    healthy(app.run())
    assert "TlNbO3" in headline(app) and "not relaxed" in " ".join(c.value for c in app.caption)
    healthy(app.selectbox(key="example").set_value("KNbO3 (cubic)").run())
    assert "KNbO3" in headline(app) and "perovskite" not in app.query_params


def test_unknown_member_of_the_perovskite_space():
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["perovskite"] = "XeNbO3"
    healthy(app.run())
    assert "is not one of the 18,928" in app.error[0].value


def test_crystal_handed_over_by_another_page():
    app = AppTest.from_file(APP, default_timeout=60)
    app.session_state["handed"] = Crystal("row 7 of a table", examples()["CsPbI3 (cubic)"])
    app.session_state["source"] = "handed"
    healthy(app.run())
    assert "CsPbI3" in headline(app)


def test_automatic_choice_of_the_model_goes_by_the_crystal(monkeypatch):
    import pages.common

    cards = [c for c in bundled() if c.family == "perovskite"]
    other = [replace(c, family="inorganic", reference={}) for c in cards]
    monkeypatch.setattr(pages.common, "model_cards", lambda: cards + other)
    app = healthy(AppTest.from_file(APP, default_timeout=60).run())
    assert app.selectbox(key="model").value == "automatic"
    said = [c.value for c in app.sidebar.caption]
    assert "**Perovskite** models: this is an ABX3 perovskite of elements that the models know." in said
    healthy(app.selectbox(key="example").set_value("CsPbI3 (cubic)").run())  # no training crystal holds iodine
    assert any("**Inorganic** models" in c.value and "with I," in c.value for c in app.sidebar.caption)
    assert not [m for m in app.markdown if "guess" in m.value and "ABX3 perovskites and this" in m.value]
    healthy(app.selectbox(key="model").set_value("perovskite").run())
    assert not any("Inorganic" in c.value for c in app.sidebar.caption)
    healthy(app.selectbox(key="model").set_value("automatic").run())
    healthy(app.selectbox(key="example").set_value("KNbO3 (cubic)").run())
    assert any("**Perovskite** models" in c.value for c in app.sidebar.caption)
