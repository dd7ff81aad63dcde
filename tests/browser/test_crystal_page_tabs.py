"""The tabs of the Crystal page in Chromium: clicks, downloads, pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from acting import act, click_row, idle, scene, still
from PIL import Image
from test_crystal_page import colours

from cgcnn.examples import examples


def open_tab(page, app_url, tab: str, query: str = ""):
    page.goto(f"{app_url}/?panel={tab.replace(' ', '+')}{query}")
    return scene(page)


def click_element(page, symbol: str) -> None:
    """Click the tile of an element in the periodic table, where the browser has drawn its name, until the page has
    taken it."""
    chart = page.locator('[class*="st-key-figure-swap"] .js-plotly-plot').first
    tile = chart.locator("text.bartext, .textpoint text").filter(has_text=symbol).first

    def click():
        box = still(page, tile)
        page.mouse.move(box["x"] + 8, box["y"] + 8)  # plotly knows what it is clicked on from the last hover
        page.mouse.move(box["x"] + 10, box["y"] + 10)
        page.mouse.click(box["x"] + 10, box["y"] + 10)

    act(page, click, lambda: "swap=" in page.url, f"the swap for {symbol}")


def test_click_on_an_element_shows_that_crystal_and_back(page, app_url):
    open_tab(page, app_url, "Swap an atom")
    click_element(page, "Zr")
    scene(page, lambda frame: "Zr" in colours(frame) and "Ti" not in colours(frame))
    assert "swap=1%3AZr" in page.url or "swap=1:Zr" in page.url
    assert "SrTiO3 with Ti1 → Zr" in page.get_by_test_id("stMain").inner_text()
    page.reload()  # the address is enough
    scene(page, lambda frame: "Zr" in colours(frame))
    page.get_by_role("button", name="Back to SrTiO3").click()
    scene(page, lambda frame: "Ti" in colours(frame))
    idle(page)
    page.wait_for_timeout(800)
    idle(page)
    assert "Ti" in colours(scene(page)) and "swap" not in page.url  # the click is not made again


def test_row_of_the_table_chooses_the_site_to_swap(page, app_url):
    open_tab(page, app_url, "Swap an atom")
    click_row(page, 0)  # the strontium
    page.get_by_text("when Sr1 on A becomes another element").wait_for()


def test_picture_of_the_scene_holds_crystal_and_colour_bar(page, app_url):
    box = open_tab(page, app_url, "Export").box
    still(page, box)
    with page.expect_download() as waiting:
        box.get_by_role("button", name="PNG").click()
    picture = Image.open(waiting.value.path())
    assert waiting.value.suggested_filename == "SrTiO3.png"
    box = box.bounding_box()
    assert picture.size == pytest.approx((4 * box["width"], 4 * box["height"]), abs=8)
    pixels = np.asarray(picture.convert("RGB"), dtype=int)
    corner = pixels[2, 2]
    assert (np.abs(pixels - corner).sum(-1) > 60).mean() > 0.1  # the crystal
    height = pixels.shape[0]
    bar = pixels[height - 4 * 47]  # a line through the colour bar
    assert (bar[:, 0] - bar[:, 2]).max() > 80 and (bar[:, 2] - bar[:, 0]).max() > 80  # red and blue ends
    with page.expect_download() as waiting:  # the button of the tab presses that of the scene
        page.get_by_role("button", name="PNG picture").click()
    assert waiting.value.suggested_filename == "SrTiO3.png"


def test_saved_scene_works_without_server_and_internet(page, app_url, chromium, tmp_path):
    open_tab(page, app_url, "Export", "&example=BaTaO2N+%28ordered%29")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="HTML scene").click()
    saved = tmp_path / "scene.html"
    waiting.value.save_as(saved)
    context = chromium.new_context(offline=True)
    tab = context.new_page()
    tab.goto(saved.as_uri())
    tab.wait_for_function("window.sceneReady === true")
    drawn = tab.evaluate("viewer.getModel().selectedAtoms().map(atom => atom.elem)")
    assert set(drawn) == set(map(str, examples()["BaTaO2N (ordered)"].symbol_set))
    shot = io.BytesIO(base64.b64decode(tab.evaluate("viewer.pngURI()").split(",")[1]))
    assert len(np.unique(np.asarray(Image.open(shot).convert("L")))) > 30
    context.close()


def test_bonds_are_drawn_as_wide_as_their_gates(page, app_url):
    open_tab(page, app_url, "Bonds")
    page.locator("iframe").first.wait_for()
    page.locator("iframe").first.scroll_into_view_if_needed()
    frame = page.locator("iframe").first.element_handle().content_frame()
    frame.wait_for_function("window.sceneReady === true")
    drawn = frame.evaluate("viewer.getModel().selectedAtoms().map(atom => atom.elem)")
    assert sorted(drawn) == ["O"] * 6 + ["Sr"] * 8 + ["Ti"]  # the site, its octahedron and its cage
    text = frame.locator("#bar").inner_text()
    assert "gate" in text and "closed" in text


@pytest.mark.parametrize("page", [((390, 844), "dark"), ((1280, 800), "light")], indirect=True)
def test_tabs_fit_the_window(page, app_url):
    open_tab(page, app_url, "Swap an atom")
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    if width >= 1280:  # the main result and the names of the tabs need no scrolling
        table = page.get_by_test_id("stDataFrame").first.bounding_box()
        assert table["y"] + table["height"] < height
        bar = page.get_by_role("tab").first.bounding_box()
        assert bar["y"] + bar["height"] < height
    for tab, sign in {
        "Swap an atom": "Click an element",
        "Both heads side by side": "Trust both heads",
        "Bonds": "No bond strength",
        "Export": "works without internet",
    }.items():
        page.get_by_role("tab", name=tab).click()
        page.get_by_text(sign).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
