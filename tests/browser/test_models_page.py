"""The Models page in Chromium: a link to it, another head, a phone."""

from __future__ import annotations

import pytest

from cgcnn.model import bundled

CARDS = {card.head: card for card in bundled() if card.family == "perovskite"}


@pytest.mark.parametrize("page", [((1280, 800), "light"), ((390, 844), "dark")], indirect=True)
def test_a_link_shows_the_card_and_fits_the_screen(page, app_url):
    page.goto(f"{app_url}/models?model=perovskite&head=gated")
    page.get_by_text(f"MAE {CARDS['gated'].mae:.4f}").wait_for()
    page.locator(".js-plotly-plot").nth(1).wait_for()
    assert page.get_by_text("Page not found").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_another_head_shows_another_card(page, app_url):
    page.goto(f"{app_url}/models?model=perovskite&head=gated")
    page.get_by_text(f"MAE {CARDS['gated'].mae:.4f}").wait_for()
    page.get_by_text("linear", exact=True).first.click()
    page.get_by_text(f"MAE {CARDS['linear'].mae:.4f}").wait_for()
    assert "head=linear" in page.url or "head" not in page.url
