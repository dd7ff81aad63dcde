"""A browser without WebGL: the crystal is drawn flat, says so, and can still be clicked on."""

from __future__ import annotations

import pytest
from acting import PATIENCE, act, eventually, idle, marked_rows

# What a browser answers where WebGL is switched off; Chromium's flags for that leave it to software on some machines.
NO_WEBGL = """
for (const { prototype } of [HTMLCanvasElement, OffscreenCanvas]) {
  const ask = prototype.getContext;
  prototype.getContext = function (kind, ...more) { return /webgl/.test(kind) ? null : ask.call(this, kind, ...more); };
}
"""


@pytest.fixture
def flat_page(chromium, app_url):
    """Not `page`: 3Dmol writes an error to the console when it finds no WebGL."""
    context = chromium.new_context(viewport=dict(width=1280, height=800))
    tab = context.new_page()
    tab.set_default_timeout(1000 * PATIENCE)
    tab.add_init_script(NO_WEBGL)
    tab.goto(app_url)
    yield tab
    context.close()


def test_drawn_flat_with_a_sentence_and_clickable(flat_page):
    page = flat_page
    page.get_by_text("Drawn flat: this browser has no WebGL").wait_for()
    drawing = page.locator(".st-key-flat-scene .js-plotly-plot")
    drawing.wait_for()
    idle(page)
    points = drawing.locator(".scatterlayer .point")
    assert points.count() >= 5 and drawing.get_by_text("Ti", exact=True).count() == 1
    assert page.evaluate("!document.createElement('canvas').getContext('webgl')")
    act(page, lambda: points.last.click(force=True), lambda: marked_rows(page), "a click marks the row")
    page.get_by_text("along c").click()
    idle(page)
    assert eventually(page, lambda: drawing.locator(".scatterlayer .point").count() >= 5)
