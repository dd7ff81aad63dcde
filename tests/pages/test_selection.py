"""The selection of sites on the Crystal page, without a browser; clicks are tested in tests/browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cgcnn.examples import examples
from cgcnn.plots import SELECTED
from cgcnn.structures import Crystal
from pages.common import fingerprint
from pages.crystal_scene import sites_picked

APP = str(Path(__file__).resolve().parents[2] / "app.py")


def key_of(name: str) -> str:
    return fingerprint(Crystal(name, examples()[name]))


def opened(selection: tuple | None = None, **query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in {"head": "linear", **query}.items():
        app.query_params[name] = value
    if selection is not None:
        app.session_state["selection"] = selection
    return healthy(app.run())


def healthy(app: AppTest) -> AppTest:
    assert not app.exception and not app.error
    return app


def scene(app: AppTest) -> dict:
    """What the browser draws."""
    (element,) = [e for e in app.get("bidi_component") if e.proto.component_name == "crystal_scene"]
    return json.loads(element.proto.json)["scene"]


def marked(app: AppTest) -> list[int]:
    return app.session_state[f"table {key_of(app.selectbox(key='example').value)}"]["selection"]["rows"]


def outlined(app: AppTest) -> list[bool]:
    bars = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]["marker"]
    assert set(zip(bars["opacity"], bars["line"]["color"], strict=True)) <= {
        (1, SELECTED), (0.35, "rgba(123, 133, 139, 0.55)"), (1, "rgba(123, 133, 139, 0.55)"),
    }  # fmt: skip
    return [colour == SELECTED for colour in bars["line"]["color"]]


def test_nothing_is_selected_at_first():
    app = opened()
    assert scene(app)["highlight"] == [] and marked(app) == [] and outlined(app) == [False] * 3


def test_scene_table_bars_and_swap_table_show_one_selection():
    app = opened((key_of("SrTiO3"), (0,)))
    assert scene(app)["highlight"] == [0] and marked(app) == [0] and outlined(app) == [True, False, False]
    assert app.selectbox(key="site").value == "Sr1"
    healthy(app.radio[0].set_value("gated").run())
    assert scene(app)["highlight"] == [0] and marked(app) == [0]
    app.session_state["selection"] = (key_of("SrTiO3"), (1, 4))
    healthy(app.run())
    assert scene(app)["highlight"] == [1, 4] and marked(app) == [1, 4] and outlined(app) == [False, True, True]
    assert app.selectbox(key="site").value == "Ti1"


def test_site_chosen_for_a_swap_is_selected():
    app = opened()
    healthy(app.selectbox(key="site").set_value("O1").run())
    assert scene(app)["highlight"] == [2] and marked(app) == [2] and outlined(app) == [False, False, True]


def test_selection_of_another_crystal_is_forgotten():
    app = opened((key_of("CaTiO3 (Pnma)"), (17,)))
    assert scene(app)["highlight"] == [] and marked(app) == []
    app.session_state["selection"] = (key_of("SrTiO3"), (3,))
    healthy(app.run())
    assert scene(app)["highlight"] == [3] and app.selectbox(key="site").value == "O2"
    healthy(app.selectbox(key="example").set_value("KNbO3 (cubic)").run())
    assert scene(app)["highlight"] == [] and marked(app) == []
    assert app.selectbox(key="site").value == "O1"  # the site that is like it
    healthy(app.selectbox(key="example").set_value("SrTiO3").run())
    assert scene(app)["highlight"] == [] and marked(app) == []


@pytest.mark.parametrize(
    ("pick", "sites"),
    [
        ({"crystal": "a", "sites": [2, 0]}, [2, 0]),
        ({"crystal": "a", "sites": []}, []),
        ({"crystal": "b", "sites": [0]}, None),  # clicked before the page had changed
        ({"crystal": "a", "sites": [5]}, None),
        ({"crystal": "a", "sites": [-1]}, None),
        ({"crystal": "a", "sites": ["0"]}, None),
        ({"crystal": "a", "sites": None}, None),
        ("a", None),
        (None, None),
    ],
)
def test_picks_of_other_crystals_and_nonsense_select_nothing(pick, sites):
    assert sites_picked(pick, "a", 5) == sites
