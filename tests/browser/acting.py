"""Clicks that hold on a slow, loaded machine: they wait for what they need, and are made again where they were lost."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Error

PATIENCE = 240  # s, for anything that has to happen; where software draws the scene, that alone can take a minute
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


def choose(page, label: str, option: str) -> None:
    """An option of the list with this label. A list that opens while the page still scrolls closes again."""
    box = page.get_by_test_id("stSelectbox").filter(has_text=label).get_by_role("combobox")
    entry = page.get_by_role("option", name=option, exact=True)

    def opened():
        still(page, box)
        box.click()

    act(page, opened, entry.is_visible, f"the list {label!r}")
    entry.click()


class Scene:
    """The scene of the Crystal page: an element of the page itself, which is changed in place."""

    def __init__(self, page):
        self.page = page
        self.box = page.locator(".st-key-scene #scene")

    def evaluate(self, expression: str, p=None):
        """JavaScript in which `drawn` is the scene, `viewer` that of 3Dmol, and `p` the argument."""
        inside = f"(box, p) => {{ const drawn = box.drawn, viewer = drawn.viewer; return ({expression}); }}"
        return self.box.evaluate(inside, p)

    def atoms(self) -> list[dict]:
        return self.evaluate(
            "viewer.getModel().selectedAtoms().map(a => ({elem: a.elem, site: a.properties.site, x: a.x, y: a.y, "
            "z: a.z, color: a.color, sphere: a.style.sphere.color}))"
        )

    def view(self) -> list[float]:
        """The camera: position, zoom, quaternion."""
        return self.evaluate("viewer.getView()")

    def selected(self) -> list[int]:
        return self.evaluate("drawn.highlighted")

    def depth(self, atom: dict) -> float:
        """How near an atom is to the viewer: z after the camera's rotation."""
        x, y, z, w = self.view()[4:8]
        across = 2 * (x * z - w * y) * atom["x"] + 2 * (y * z + w * x) * atom["y"]
        return across + (1 - 2 * (x * x + y * y)) * atom["z"]

    def front(self, site: int) -> dict:
        """The image of a site that is nearest to the viewer."""
        return max((atom for atom in self.atoms() if atom["site"] == site), key=self.depth)

    def on_screen(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Where a point of the crystal is in the window, px."""
        at = self.evaluate("viewer.modelToScreen(p)", dict(x=x, y=y, z=z))
        return at["x"], at["y"]

    def click(self, site: int, selected: list[int], **how) -> None:
        """Click an atom of a site, until these sites are selected."""

        def click():
            still(self.page, self.box)
            atom = self.front(site)
            x, y = self.on_screen(atom["x"], atom["y"], atom["z"])
            self.page.mouse.move(x - 2, y)
            self.page.mouse.move(x, y)
            self.page.mouse.click(x, y, **how)

        act(self.page, click, lambda: self.selected() == selected, f"the selection {selected}")

    def click_background(self, selected: list[int]) -> None:
        def click():
            box = still(self.page, self.box)
            self.page.mouse.click(box["x"] + 6, box["y"] + box["height"] / 2)

        act(self.page, click, lambda: self.selected() == selected, f"the selection {selected}")


def scene(page, condition: Callable[[Scene], object] = lambda _: True) -> Scene:
    """The scene, once it is drawn and `condition(scene)` holds."""
    found = Scene(page)
    found.box.wait_for(timeout=1000 * PATIENCE)
    assert eventually(page, lambda: found.evaluate("drawn.ready") and condition(found)), "the scene is not as expected"
    return found


def marked_rows(page) -> list[int]:
    """Rows that the first table shows as selected, read at once: a row that vanishes would be waited for."""
    rows = page.locator("[data-testid=stDataFrame]:visible").first.locator('tr[aria-selected="true"]')
    return [int(index) - 2 for index in rows.evaluate_all("rows => rows.map(row => row.ariaRowIndex)")]
