"""The Elements page in Chromium: clicks on tiles, bars and crystals, what is saved, the URL, a phone."""

from __future__ import annotations

import itertools
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from acting import act, idle, still
from builders import perovskite

A, B = ["Ca", "Sr", "Ba"], ["Ti", "Zr", "Nb", "Ta"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Twelve perovskites as CIF text."""
    choice = list(itertools.product(A, B))
    cifs = [perovskite(a, b, edge=4.0).to(fmt="cif") for a, b in choice]
    file = tmp_path_factory.mktemp("elements") / "twelve.csv"
    pl.DataFrame({"id": [f"{a}{b}O3 of ours" for a, b in choice], "cif": cifs}).write_csv(file)
    return file


def open_page(page, app_url: str, data: Path, query: str = ""):
    """The page on a small data set, once its periodic table stands."""
    page.goto(f"{app_url}/elements?data=Path+on+this+machine&path={quote(str(data))}&head=linear{query}")
    table = figure(page, "periodic-table")
    table.wait_for(timeout=60_000)
    idle(page)
    return table


def figure(page, key: str):
    return page.locator(f".st-key-figure-{key} .js-plotly-plot:visible")


def click_tile(page, table, column: int, row: int) -> None:
    box = still(page, table)
    x, y = box["x"] + (column - 0.5) / 18 * box["width"], box["y"] + (row - 0.25) / 6 * box["height"]
    page.mouse.move(x - 2, y)  # plotly knows what it is clicked on from the last hover
    page.mouse.move(x, y)
    page.mouse.click(x, y)


def open_first_crystal(page, shown) -> None:
    """A cell of the first table, which is a canvas; until `shown()`."""

    def click():
        grid = page.locator("[data-testid=stDataFrame]:visible").first
        box = still(page, grid)
        page.mouse.move(box["x"] + 60, box["y"] + 50)  # the canvas finds its place again when the pointer moves
        page.mouse.click(box["x"] + 60, box["y"] + 53)

    act(page, click, shown, "the crystal")


def test_click_on_a_tile_opens_the_element_and_its_crystals(page, app_url, data):
    table = open_page(page, app_url, data)
    for column, row, element in ((4, 4, "Ti"), (5, 5, "Nb")):
        lowest = page.get_by_text(f"Lowest {element} on B")
        act(page, lambda c=column, r=row: click_tile(page, table, c, r), lowest.is_visible, f"the choice of {element}")
        page.wait_for_url(f"**element={element}**")
    click_tile(page, table, 14, 3)  # silicon, which is not in these crystals
    page.wait_for_timeout(500)
    idle(page)
    assert page.get_by_text("Lowest Nb on B").is_visible()
    figure(page, "distribution-nearest-anion").wait_for()
    open_first_crystal(page, page.get_by_text("5 atoms", exact=True).is_visible)
    assert "/elements" not in page.url
    assert page.get_by_text("NbO3").first.is_visible()
    page.get_by_role("link", name="Elements").click()  # and the page is as it was
    page.get_by_text("Lowest Nb on B").wait_for()
    assert page.get_by_label("Path", exact=True).input_value() == str(data)


def test_click_on_a_bar(page, app_url, data):
    open_page(page, app_url, data, "&role=B&order=by+value")
    bars = figure(page, "ranking")
    last = bars.locator(".xtick text").last.text_content()

    def click():
        bar = still(page, bars.locator(".bars .point path").last)
        x, y = bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2
        page.mouse.move(x - 2, y)
        page.mouse.click(x, y)

    act(page, click, lambda: f"element={last}" in page.url, f"the choice of {last}")


def test_saved_files(page, app_url, data, tmp_path):
    open_page(page, app_url, data)
    seen = {}
    menu = page.locator(".st-key-figure-periodic-table").get_by_test_id("stPopoverButton").first
    for name in ("PNG picture", "SVG drawing", "HTML, interactive", "CSV, the numbers"):
        if not page.get_by_role("button", name=name).count():  # a picture that was saved has closed the menu
            menu.click()
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        seen[file.suffix] = file.read_bytes()
    assert seen[".png"].startswith(b"\x89PNG") and seen[".svg"].startswith(b"<svg")
    assert b"Ti" in seen[".svg"] and b"plotly" in seen[".html"][:5_000_000].lower()
    table = pl.read_csv(seen[".csv"])
    assert {"element", "role", "count", "mean", "sd"} <= set(table.columns) and table["count"].sum() == 60


def test_filter_and_link(page, app_url, data):
    open_page(page, app_url, data, "&contains=Nb")
    page.get_by_text("3 of 12 crystals").wait_for()


@pytest.mark.parametrize("page", [((390, 844), "dark")], indirect=True)
def test_a_phone_scrolls_the_table_and_not_the_page(page, app_url, data):
    table = open_page(page, app_url, data)
    assert table.bounding_box()["width"] >= 880
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_space_is_scored_at_first_use(page, app_url):
    page.goto(app_url)
    page.get_by_role("link", name="Elements").click()
    figure(page, "periodic-table").wait_for(timeout=180_000)
    page.get_by_text("18,928 crystals").wait_for()
    page.get_by_role("tab", name="Element").click()
    page.get_by_text("Lowest").wait_for()
    open_first_crystal(page, lambda: "perovskite=" in page.url)
    page.get_by_text("not relaxed").wait_for()
