"""A browser without WebGL: the crystal is drawn flat, says so, and can still be clicked on."""

from __future__ import annotations

import pytest
from acting import PATIENCE, act, eventually, idle, marked_rows

from docs.screenshots import chromium_program


@pytest.fixture(scope="module")
def plain_chromium(chromium):
    """Beside the other one, since WebGL is switched off for a whole browser."""
    driver = chromium.browser_type
    browser = driver.launch(executable_path=chromium_program(), args=["--no-sandbox", "--disable-3d-apis"])
    yield browser
    browser.close()


@pytest.fixture
def flat_page(plain_chromium, app_url):
    context = plain_chromium.new_context(viewport=dict(width=1280, height=800))
    tab = context.new_page()
    tab.set_default_timeout(1000 * PATIENCE)
    tab.goto(app_url)
    yield tab
    context.close()


def test_drawn_flat_with_a_sentence_and_clickable(flat_page):
    page = flat_page
    page.get_by_text("Drawn flat: WebGL is switched off").wait_for()
    drawing = page.locator(".st-key-flat-scene .js-plotly-plot")
    drawing.wait_for()
    idle(page)
    points = drawing.locator(".scatterlayer .point")
    assert points.count() >= 5 and drawing.get_by_text("Ti").count() == 1
    assert page.evaluate("!document.createElement('canvas').getContext('webgl')")
    act(page, lambda: points.last.click(force=True), lambda: marked_rows(page), "a click marks the row")
    page.get_by_text("along c").click()
    idle(page)
    assert eventually(page, lambda: drawing.locator(".scatterlayer .point").count() >= 5)
