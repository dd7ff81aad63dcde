"""The app where something around it is broken: model files, disk, home, network, WebGL, clock; and what it logs."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from builders import perovskite
from streamlit.testing.v1 import AppTest

from cgcnn.model import BUNDLED
from pages.logs import log_failure, log_warnings_by_kind

ROOT = Path(__file__).resolve().parents[2]
APP = str(ROOT / "app.py")
PAGES = ("pages/crystal.py", "pages/models.py")
SECRET = "Xq7-unpublished"


@pytest.fixture
def fresh():
    """Nothing kept from other tests, nor for them."""
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def copied_models(tmp_path, monkeypatch, fresh) -> Path:
    """The bundled models, to be damaged."""
    shutil.copytree(BUNDLED, tmp_path / "models")
    monkeypatch.setattr("cgcnn.model.BUNDLED", tmp_path / "models")
    return tmp_path / "models"


def open_app(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    return " | ".join(e.value for kind in (app.error, app.warning, app.caption, app.markdown) for e in kind)


def shows_a_crystal(app: AppTest) -> bool:
    return any("cg-line" in e.proto.body for e in app.get("html"))


# --- model files ------------------------------------------------------------------------------------------------------


def test_damaged_weights_are_one_sentence(copied_models):
    file = copied_models / "perovskite-linear" / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    app = open_app(head="linear")
    (error,) = app.error
    assert "weights" in error.value and "is damaged" in error.value and "copy the whole folder again" in error.value
    assert shows_a_crystal(app.radio(key="head").set_value("gated").run()), "the other model still works"


def test_missing_weights_are_one_sentence(copied_models):
    (copied_models / "perovskite-linear" / "weights.safetensors").unlink()
    (error,) = open_app(head="linear").error
    assert "cannot be read" in error.value and "copy the whole folder again" in error.value


def test_a_broken_card_is_named_and_the_other_models_work(copied_models):
    (copied_models / "perovskite-gated" / "card.json").write_text("{")
    app = open_app()
    assert shows_a_crystal(app) and not app.error
    assert "is not a model card" in words(app) and app.radio(key="head").options == ["linear"]


def test_no_card_can_be_read(copied_models):
    for card in copied_models.glob("*/card.json"):
        card.write_text("")
    app = open_app()
    assert len(app.error) == 4 and "There is no trained model" in words(app)


def test_a_damaged_atlas_is_left_out(copied_models):
    (copied_models / "perovskite-linear" / "atlas.parquet").write_bytes(b"nothing")
    from pages.data_set.choosing import atlas_of

    assert atlas_of("perovskite-linear") is None and atlas_of("perovskite-gated") is not None


# --- folders and disk -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["elements", "perovskites"])
def test_a_full_disk_is_one_sentence(page, monkeypatch, tmp_path, fresh):
    """What the system says of the cache, on the pages that need it."""
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))

    def full(file, content):
        raise OSError(28, os.strerror(28), str(file))

    monkeypatch.setattr("cgcnn.kept.write_whole", full)
    for module in ("folder", "chunk"):
        monkeypatch.setattr(f"cgcnn.scoring.{module}.write_whole", full)
    app = open_app().switch_page(f"pages/{page}.py").run()
    (error,) = app.error
    assert "No space left on device" in error.value and "make room there" in error.value and "CGCNN" in error.value
    assert not app.exception


READ_ONLY_RUN = """
import os, sys
from streamlit.testing.v1 import AppTest
try:
    open("here", "w")
    sys.exit("the folder can be written")
except OSError:
    pass
app = AppTest.from_file("app.py", default_timeout=120).run()
assert not app.exception and not app.error, (app.exception, app.error)
assert any("cg-line" in e.proto.body for e in app.get("html"))
from cgcnn.cache import cache_folder
print(cache_folder())
"""


def test_a_folder_and_a_home_that_cannot_be_written(tmp_path):
    """As a service runs it: code that it may only read, and no home to speak of."""
    there, home = tmp_path / "app", tmp_path / "home"
    for folder in (there, home, tmp_path / "tmp"):
        folder.mkdir()
    for name in ("app.py", "cgcnn", "pages", "models", ".streamlit", "node_modules"):
        if (ROOT / name).exists():
            (there / name).symlink_to(ROOT / name)
    environment = {k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "CGCNN_CACHE")}
    environment |= {"HOME": str(home), "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(there)}
    there.chmod(0o555)
    home.chmod(0o555)
    run = subprocess.run(
        [sys.executable, "-c", READ_ONLY_RUN], cwd=there, env=environment, capture_output=True, text=True,
        timeout=180, preexec_fn=_obey_permissions,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()) == tmp_path / "tmp" / f"cgcnn-{os.getuid()}"
    assert "CGCNN_CACHE names a folder that lasts" in run.stderr and not list(home.iterdir())


def _obey_permissions() -> None:
    """Take from root, if the tests run as that, the right to write where its permissions say no."""
    import ctypes

    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    for capability in (dac_override, dac_read_search):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


def test_paths_of_the_server_can_be_closed_to_its_users(monkeypatch, tmp_path):
    from cgcnn.datasets import DatasetError
    from pages.common import place_on_this_machine

    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "way-out").symlink_to("/etc")
    monkeypatch.setenv("CGCNN_DATA", str(tmp_path / "open"))
    assert place_on_this_machine(f"{tmp_path}/open/data.csv") == tmp_path / "open" / "data.csv"
    for path in ("/etc/passwd", f"{tmp_path}/open/../secret.csv", f"{tmp_path}/open/way-out/passwd", "~", ""):
        with pytest.raises(DatasetError, match="does not read .* to be had below"):
            place_on_this_machine(path)
    monkeypatch.setenv("CGCNN_DATA", "")
    with pytest.raises(DatasetError, match="by dropping a file"):
        place_on_this_machine(str(tmp_path))
    monkeypatch.delenv("CGCNN_DATA")
    assert place_on_this_machine("/etc/passwd") == Path("/etc/passwd")
    for path in ("~nobody-of-this-name/x", "a\0b"):
        with pytest.raises(DatasetError, match="no path of this machine"):
            place_on_this_machine(path)


# --- network, browser, clock ------------------------------------------------------------------------------------------


def test_no_network(monkeypatch, fresh):
    """No page asks for any address."""

    def refuse(self, address, *_):
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    app = open_app()
    assert shows_a_crystal(app) and not app.error
    app.switch_page("pages/models.py").run()
    assert not app.exception and not app.error


@pytest.mark.parametrize("why", ["webgl", "library"])
def test_without_webgl_the_crystal_is_drawn_flat(why):
    app = AppTest.from_file(APP, default_timeout=90)
    app.session_state["flat"] = why
    app.run()
    assert not app.exception and not app.error and "Drawn flat" in words(app)
    figures = [json.loads(e.proto.spec) for e in app.get("plotly_chart")]
    atoms = [t for f in figures for t in f["data"] if t.get("customdata") and t.get("mode", "").startswith("markers")]
    assert atoms and not any(trace["type"].endswith("3d") for f in figures for trace in f["data"])
    assert not [e for e in app.get("bidi_component") if "scene" in e.proto.component_name.split(".")[-1]]


def test_without_3dmol_the_browser_asks_the_internet_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr("cgcnn.scene.LIBRARY", Path("/nowhere"))
    app = open_app()
    assert "3Dmol.js comes from the internet; `npm install`" in words(app) and shows_a_crystal(app)


def test_the_clock_may_jump(monkeypatch, fresh):
    rng, clock, waiting = random.Random(0), time.time, threading.current_thread()

    def jumping() -> float:  # but for AppTest, which waits for the page by it
        return clock() + (0 if threading.current_thread() is waiting else rng.uniform(-1e8, 1e8))

    monkeypatch.setattr(time, "time", jumping)
    app = open_app()
    for head in ("gated", "linear"):
        app.radio(key="head").set_value(head).run()
        assert shows_a_crystal(app) and not app.exception and not app.error


# --- models are loaded once and stay as they are ----------------------------------------------------------------------


def test_models_are_loaded_once_and_never_changed(monkeypatch, fresh):
    from pages import common

    loads = []
    load = common.load_model
    monkeypatch.setattr(common, "load_model", lambda name: (loads.append(name), load(name))[1])
    for panel in ("Swap an atom", "Both heads side by side", "Bonds", "Export"):
        for head in ("linear", "gated"):
            app = open_app(head=head, panel=panel)
            assert shows_a_crystal(app) and not app.error
    assert sorted(loads) == ["perovskite-gated", "perovskite-linear"]
    for name in loads:
        used, fresh_one = common.model_named(name), load(name)
        assert replace(used, folder=None).hash == fresh_one.hash and used.card == fresh_one.card
        for member in used.members:
            assert not member.training and not any(p.requires_grad or p.grad is not None for p in member.parameters())


# --- logs -------------------------------------------------------------------------------------------------------------


def test_logs_name_kind_and_place_and_never_the_message(caplog):
    def read(text: str) -> None:
        try:
            float(text)
        except ValueError as error:
            raise KeyError(text) from error

    with caplog.at_level(logging.WARNING):
        try:
            read(SECRET)
        except KeyError as error:
            log_failure("crystal page", error)
        with warnings.catch_warnings():
            log_warnings_by_kind()
            warnings.simplefilter("always")
            warnings.warn(SECRET, UserWarning, stacklevel=1)
    assert SECRET not in caplog.text
    assert (
        "failed: crystal page: KeyError at tests/pages/test_surroundings.py" in caplog.text and " read" in caplog.text
    )
    assert "from ValueError at tests/pages/test_surroundings.py" in caplog.text
    assert "UserWarning at tests/pages/test_surroundings.py" in caplog.text


def test_a_page_that_fails_on_an_upload_logs_nothing_of_it(monkeypatch, caplog, capfd, fresh):
    def fail(_):
        raise RuntimeError(f"cannot work with {SECRET}")

    monkeypatch.setattr("pages.common.describe", fail)
    with caplog.at_level(logging.DEBUG):
        app = open_app()
        app.file_uploader(key="upload").set_value([(f"{SECRET}.cif", perovskite().to(fmt="cif").encode(), "")]).run()
    assert "could not be explained" in words(app) and not app.exception
    assert "failed: crystal page: RuntimeError at tests/pages/test_surroundings.py" in caplog.text
    told = capfd.readouterr()
    assert SECRET not in caplog.text + told.out + told.err


BROKEN = {
    "a.cif": f"data_{SECRET}\n_cell_length_a {SECRET}\nloop_\n_atom_site_label\n{SECRET}\n",
    "POSCAR": f"{SECRET}\n{SECRET}\n1 0 0\n0 1 0\n0 0 1\nK Ta O\n1 1 3\nDirect\n0 0 {SECRET}\n",
    "b.json": f'{{"@module": "pymatgen.core.structure", "@class": "Structure", "lattice": "{SECRET}"}}',
    "c.xyz": f'2\nLattice="1 0 0 {SECRET}" Properties=species:S:1:pos:R:3\nH 0 0 0\n{SECRET} 0 0 0\n',
    "d.json": f'{{"{SECRET}": ',
}


def test_files_that_cannot_be_read_leave_nothing_in_the_log(caplog, capfd, fresh):
    with caplog.at_level(logging.DEBUG):
        app = open_app()
        files = [(name, text.encode(), "") for name, text in BROKEN.items()]
        app.file_uploader(key="upload").set_value(files).run()
    said = words(app)
    assert not app.exception and all(f"**{name.split('.')[0]}" in said for name in BROKEN)
    told = capfd.readouterr()
    assert SECRET not in caplog.text + told.out + told.err
