"""Clicks that hold on a slow, loaded machine: they wait for what they need, and are made again where they were lost."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Error

PATIENCE = 90  # s, for anything that has to happen
_HEADER, _ROW = 38, 29  # px, of the tables of the app


def eventually(page, happened: Callable[[], object], seconds: float = PATIENCE):
    """What `happened()` answers once that is true; its last answer after `seconds`. Parts that vanish while it looks
    are looked for again."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = happened()
        except Error:
            answer = None
        if answer or time.monotonic() > end:
            return answer
        page.wait_for_timeout(50)


def idle(page) -> None:
    """Wait until the app has answered everything: no script runs and no part of the page waits to be replaced."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=1000 * PATIENCE)
    page.locator("[data-stale=true]").first.wait_for(state="detached", timeout=1000 * PATIENCE)


def still(page, locator) -> dict[str, float]:
    """The box of an element in the window, px, once the app is idle and the element has stopped moving."""
    seen = [None]

    def at_rest():
        seen.append(locator.bounding_box())
        page.wait_for_timeout(100)
        return seen[-1] is not None and seen[-1] == seen[-2] and seen[-1]

    idle(page)
    locator.wait_for()
    locator.scroll_into_view_if_needed()
    box = eventually(page, at_rest)
    assert box, f"{locator} does not come to rest: {seen[-3:]}"
    return box


def act(page, action: Callable[[], object], happened: Callable[[], object], what: str = "what the action is for"):
    """Do something until it has its effect: an action on a page that is being laid out can be lost.

    An action that came late is waited for, so that it is not made twice where a second one would undo the first.
    """
    end = time.monotonic() + PATIENCE
    while True:
        idle(page)
        action()
        answer = eventually(page, happened, 3)
        if not answer:
            idle(page)
            answer = eventually(page, happened, 2)
        if answer:
            return answer
        assert time.monotonic() < end, f"{what} did not happen"


def click_row(page, row: int, table=None) -> None:
    """Mark a row of a table, which is drawn on a canvas, counted from 0; the first visible table if none is given."""
    table = page.locator("[data-testid=stDataFrame]:visible").first if table is None else table
    marked = table.locator(f'tr[aria-rowindex="{row + 2}"][aria-selected="true"]')

    def click():
        box = still(page, table)
        x, y = box["x"] + 16, box["y"] + _HEADER + _ROW * (row + 0.5)
        page.mouse.move(x, y - 3)  # after the page has moved, the canvas finds its place again when the pointer moves
        page.mouse.move(x, y)
        page.mouse.click(x, y)

    act(page, click, marked.count, f"the mark of row {row}")
