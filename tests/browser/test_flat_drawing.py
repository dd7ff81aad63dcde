"""A browser without WebGL, or without 3Dmol.js: the crystal is drawn flat, says so, and can still be clicked on."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

import pytest
from acting import PATIENCE, act, eventually, idle, marked_rows

from docs.screenshots import ROOT, app_process

# What a browser answers where WebGL is switched off; Chromium's flags for that leave it to software on some machines.
NO_WEBGL = """
for (const { prototype } of [HTMLCanvasElement, OffscreenCanvas]) {
  const ask = prototype.getContext;
  prototype.getContext = function (kind, ...more) { return /webgl/.test(kind) ? null : ask.call(this, kind, ...more); };
}
"""


@pytest.fixture
def tab(chromium):
    """Not `page`: of what is missing, the browser writes an error to the console."""
    context = chromium.new_context(viewport=dict(width=1280, height=800))
    tab = context.new_page()
    tab.set_default_timeout(1000 * PATIENCE)
    yield tab
    context.close()


@pytest.fixture(scope="module")
def url_without_library(tmp_path_factory):
    """URL of an app where `npm install` was left out."""
    folder = tmp_path_factory.mktemp("without") / "app"
    for name in ("cgcnn", "pages", ".streamlit"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", folder)
    (folder / "models").symlink_to(ROOT / "models")
    log = folder.parent / "terminal.txt"
    with app_process(log, folder=folder, PYTHONPATH=str(folder)) as (url, _):
        yield url
    assert "Traceback" not in log.read_text() and "failed: " not in log.read_text(), log.read_text()


def test_without_webgl(tab, app_url):
    tab.add_init_script(NO_WEBGL)
    tab.goto(app_url)
    tab.get_by_text("Drawn flat: this browser has no WebGL").wait_for()
    assert tab.evaluate("!document.createElement('canvas').getContext('webgl')")
    drawn_and_clickable(tab)


def test_without_library_and_without_internet(tab, url_without_library):
    asked = []

    def offline(route):
        here = urlsplit(route.request.url).hostname == "localhost"
        if not here:
            asked.append(route.request.url)
        return route.continue_() if here else route.abort("internetdisconnected")

    tab.route("**/*", offline)
    tab.goto(url_without_library)
    tab.get_by_text("Drawn flat: there is no 3Dmol.js; npm install in the app's folder brings it.").wait_for()
    assert {url.rpartition("/")[2] for url in asked} == {"3Dmol-min.js"}  # once found out, it is not asked for again
    drawn_and_clickable(tab)


def drawn_and_clickable(page) -> None:
    drawing = page.locator(".st-key-flat-scene .js-plotly-plot")
    drawing.wait_for()
    idle(page)
    points = drawing.locator(".scatterlayer .point")
    assert points.count() >= 5 and drawing.get_by_text("Ti", exact=True).count() == 1
    act(page, lambda: points.last.click(force=True), lambda: marked_rows(page), "a click marks the row")
    page.get_by_text("along c").click()
    idle(page)
    assert eventually(page, lambda: drawing.locator(".scatterlayer .point").count() >= 5)
