"""The Perovskites page in Chromium: hover, clicks on cells and rows, downloads."""

from __future__ import annotations

import re

import pytest
from acting import act, click_row, idle, scene, still

from cgcnn.model import load_model
from cgcnn.perovskite.maps import mendeleev_order
from cgcnn.perovskite.scores import scored_space
from cgcnn.perovskite.screening import rules, screen

SCORING = 120_000  # ms, once


@pytest.fixture(scope="module")
def table():
    """The space as the app scores it; from the cache if the app was first."""
    return scored_space(load_model("perovskite-linear"))


def open_perovskites(page, app_url, tab: str | None = None):
    page.goto(app_url)
    page.get_by_role("link", name="Perovskites").click()
    page.get_by_role("tab", name="Screening").wait_for(timeout=SCORING)
    if tab:
        page.get_by_role("tab", name=tab).click()


def cell(page, a: str, b: str) -> tuple[float, float]:
    """Where a cell of the map is on the screen, px."""
    page.locator(".heatmaplayer image").first.wait_for(timeout=SCORING)
    i, j = mendeleev_order().index(a), mendeleev_order().index(b)
    return page.evaluate(
        """([i, j]) => {
          const plots = [...document.querySelectorAll('.js-plotly-plot')];
          const map = plots.find(p => p.data.some(t => t.type === 'heatmap'));
          const { xaxis, yaxis, _size } = map._fullLayout, box = map.getBoundingClientRect();
          return [box.x + _size.l + xaxis.d2p(j), box.y + _size.t + yaxis.d2p(i)];
        }""",
        [i, j],
    )


def heading(page, text: str):
    """The crystal beside the map, where it is this one."""
    return page.locator(".sp-head b", has_text=re.compile(f"^{text}$"))


def click_cell(page, a: str, b: str) -> None:
    """Choose a cell of the map."""

    def click():
        still(page, page.locator(".js-plotly-plot", has=page.locator(".heatmaplayer")).first)
        x, y = cell(page, a, b)
        page.mouse.move(x - 2, y)  # plotly knows what it is clicked on from the last hover
        page.mouse.move(x, y)
        page.mouse.click(x, y)

    act(page, click, heading(page, f"{a}{b}O3").is_visible, f"the choice of {a}{b}O3")


def test_hover_click_and_the_crystal_in_3d(page, app_url, table):
    open_perovskites(page, app_url)
    label = page.locator(".hoverlayer .hovertext")

    def point():
        still(page, page.locator(".js-plotly-plot", has=page.locator(".heatmaplayer")).first)
        x, y = cell(page, "Ba", "Zr")
        page.mouse.move(x - 2, y)
        page.mouse.move(x, y)

    act(page, point, label.count, "a label")
    row = table.filter(formula="BaZrO3").row(0, named=True)
    said = label.text_content().replace("−", "-")
    assert "BaZrO3" in said and f"{row['energy']:+.3f} ± {row['sd']:.3f}" in said
    assert f"Zr on B  {row['contribution_b']:+.3f}" in said
    click_cell(page, "Ba", "Zr")
    page.wait_for_url(re.compile("cell=Ba-Zr"))
    click_cell(page, "Pb", "Nb")  # a second click, on the map drawn anew
    page.get_by_role("button", name="Open in 3D").click()
    scene(page)
    page.locator(".cg-line", has_text="PbNbO3").wait_for()
    assert "perovskite=PbNbO3" in page.url


def test_a_link_shows_the_same_again(page, app_url, chromium):
    open_perovskites(page, app_url)
    click_cell(page, "Sr", "Hf")
    page.wait_for_url(re.compile("cell=Sr-Hf"))
    page.get_by_text("B contribution").click()
    page.wait_for_url(re.compile("show=B"))
    context = chromium.new_context(viewport=dict(width=1280, height=800))  # whoever got the link
    other = context.new_page()
    other.goto(page.url)
    heading(other, "SrHfO3").wait_for(timeout=SCORING)
    assert other.get_by_role("radio", name="B contribution").is_checked()
    context.close()


def test_row_of_the_candidates_leads_to_the_crystal_page(page, app_url, table):
    open_perovskites(page, app_url, "Screening")
    page.locator(".sp-rates", has_text="of 378").wait_for()
    click_row(page, 1)
    second = screen(table, rules()[0].a, rules()[0].b).candidates["formula"][1]
    button = page.get_by_role("button", name=f"Open {second} in 3D")
    button.wait_for()
    button.click()
    scene(page)
    assert f"perovskite={second}" in page.url


def test_candidates_download(page, app_url, table):
    open_perovskites(page, app_url, "Screening")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").first.click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("material_id,formula,a,b,x,edge,energy,sd")
    hits = screen(table, rules()[0].a, rules()[0].b).predicted.hits
    assert len(lines) == 1 + hits


@pytest.mark.parametrize("page", [((390, 844), "dark")], indirect=True)
def test_phone(page, app_url):
    page.goto(app_url)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Perovskites").click()
    page.locator(".heatmaplayer image").first.wait_for(timeout=SCORING)
    idle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".js-plotly-plot").first.bounding_box()["width"] >= 600  # moved sideways, not squeezed
