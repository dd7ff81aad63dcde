"""The Crystal page in Chromium: what is on the screen, not what the code meant to draw."""

from __future__ import annotations

import numpy as np
import pytest
from acting import act, choose, click_row, eventually, idle, marked_rows, scene, still
from pymatgen.core import Lattice, Structure

from cgcnn.contributions import explain
from cgcnn.model import bundled, load_model

# The scale as published in the colour bar, copied here so that the test does not use the app's own function.
SCALE = [
    (-1.0, (0x1B, 0x5F, 0xA8)), (-0.65, (0x4A, 0x94, 0xCA)), (-0.3, (0xA8, 0xCD, 0xE6)), (0.0, (0xE8, 0xE8, 0xE6)),
    (0.3, (0xF3, 0xB9, 0x9C)), (0.65, (0xDC, 0x6D, 0x54)), (1.0, (0xAB, 0x1F, 0x2F)),
]  # fmt: skip

CIF = """data_KTaO3
_symmetry_space_group_name_H-M 'P m -3 m'
_cell_length_a 3.9885(2)
_cell_length_b 3.9885(2)
_cell_length_c 3.9885(2)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
'y, z, x'
'z, x, y'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
K1 K+ 0 0 0
Ta1 Ta5+ 0.5 0.5 0.5
O1 O2- 0.5 0.5 0
"""


def by_hand(fraction: float) -> tuple[float, float, float]:
    """Colour of a contribution over the limit, straight lines between the stops."""
    fraction = min(1.0, max(-1.0, fraction))
    for (left, low), (right, high) in zip(SCALE[:-1], SCALE[1:], strict=True):
        if fraction <= right:
            t = (fraction - left) / (right - left)
            return tuple(a + t * (b - a) for a, b in zip(low, high, strict=True))
    raise AssertionError(fraction)


def expected_colours(head: str) -> dict[str, tuple[float, float, float]]:
    """Element -> colour in KTaO3; every element is one orbit there."""
    edge = 3.9885
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]
    structure = Structure(Lattice.cubic(edge), ["K", "Ta", "O", "O", "O"], sites)
    family = [card for card in bundled() if card.family == "perovskite"]
    limit = max(card.colour_limit for card in family)
    name = next(card.name for card in family if card.head == head)
    result = explain(load_model(name), [structure])[0]
    return {site.specie.symbol: by_hand(value / limit) for site, value in zip(structure, result.relative, strict=True)}


def colours(drawn) -> dict[str, str]:
    return {atom["elem"]: atom["sphere"] for atom in drawn.atoms()}


def shapes(drawn) -> int:
    """How many shapes besides the atoms are drawn: edges of the cell, and a mark around every selected atom."""
    return drawn.evaluate("viewer.shapes.filter(Boolean).length")


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)


def pixel(page, x: float, y: float) -> np.ndarray:
    """Mean colour of a 3 x 3 px patch of the screen."""
    from io import BytesIO

    from PIL import Image

    picture = page.screenshot(clip=dict(x=x - 1, y=y - 1, width=3, height=3))
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB"), dtype=float).reshape(-1, 3).mean(0)


def upload(page, app_url):
    page.goto(app_url)
    assert set(colours(scene(page))) == {"Sr", "Ti", "O"}  # the example of the first visit
    page.locator('input[type="file"]').set_input_files(
        dict(name="KTaO3.cif", mimeType="chemical/x-cif", buffer=CIF.encode())
    )
    return scene(page, lambda drawn: "Ta" in colours(drawn))


def is_coloured(drawn, wanted) -> bool:
    """Whether every drawn atom has the wanted colour of its element, to one step of a channel."""
    return all(np.abs(rgb(colour) - wanted[element]).max() <= 1 for element, colour in colours(drawn).items())


def test_uploaded_cif_is_coloured_as_worked_out_by_hand(page, app_url):
    upload(page, app_url)
    for head in ("gated", "linear"):
        expected = expected_colours(head)
        page.get_by_test_id("stRadio").get_by_text(head, exact=True).click()
        drawn = scene(page, lambda s, wanted=expected: is_coloured(s, wanted))
        atoms = drawn.atoms()
        assert all(atom["color"] == atom["sphere"] for atom in atoms)
        assert sorted(atom["elem"] for atom in atoms) == ["K"] * 8 + ["O"] * 6 + ["Ta"]  # images on all faces
        # a lit sphere is a scaled version of its colour, so the proportions of the channels survive the shading;
        # an oxygen at the front shows besides its symbol
        front, wanted = drawn.front(0), np.array(expected["K"])

        def shows(drawn=drawn, front=front, wanted=wanted):
            still(page, drawn.box)
            x, y = drawn.on_screen(front["x"], front["y"], front["z"])
            seen = pixel(page, x - 12, y - 12)
            cosine = seen @ wanted / np.linalg.norm(seen) / np.linalg.norm(wanted)
            return cosine > 0.99 and np.linalg.norm(seen - 255) > 20  # not the background

        assert eventually(page, shows, 20), wanted


def turn(page, drawn) -> list[float]:
    """Turn the crystal with the mouse; the camera afterwards."""
    start = np.array(drawn.view())

    def drag():
        box = still(page, drawn.box)
        page.mouse.move(box["x"] + 200, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 290, box["y"] + 110, steps=6)
        page.mouse.up()

    act(page, drag, lambda: np.abs(np.array(drawn.view()) - start).max() > 0.05, "turning")
    return drawn.view()


def flip_head(page) -> None:
    other = "gated" if page.get_by_role("radio", name="linear").is_checked() else "linear"
    page.get_by_test_id("stRadio").get_by_text(other, exact=True).click()


def test_flipping_the_head_recolours_in_place_and_keeps_the_camera(page, app_url):
    page.goto(app_url)
    idle(page)
    drawn = scene(page)
    before, start = colours(drawn), drawn.view()
    drawn.evaluate("viewer.getCanvas().before = true")
    turned = turn(page, drawn)
    flip_head(page)
    drawn = scene(page, lambda s: colours(s) != before)
    assert drawn.view() == pytest.approx(turned, abs=1e-6)
    assert drawn.evaluate("viewer.getCanvas().before")  # the same canvas
    # another crystal starts from its own first view
    choose(page, "Example", "KNbO3 (cubic)")
    drawn = scene(page, lambda s: "Nb" in colours(s))
    assert drawn.view()[4:] == pytest.approx(start[4:], abs=1e-3)


def test_hover_label_and_views(page, app_url):
    page.goto(app_url)
    idle(page)
    drawn = scene(page)
    edge = 3.901

    def hidden_by_another() -> bool:  # one atom hides the other along c
        top, below = (drawn.on_screen(edge / 2, edge / 2, z) for z in (edge, 0))
        return top == pytest.approx(below, abs=1)

    assert not hidden_by_another()
    act(page, drawn.box.get_by_role("button", name="c", exact=True).click, hidden_by_another)
    act(page, drawn.box.get_by_role("button", name="reset").click, lambda: not hidden_by_another())
    label = drawn.box.locator("#label")

    def point():
        still(page, drawn.box)
        x, y = drawn.on_screen(edge / 2, edge / 2, edge / 2)
        page.mouse.move(x - 80, y - 50)
        page.mouse.move(x, y, steps=4)
        return x, y

    act(page, point, label.is_visible, "a label")
    text = label.inner_text()
    assert text.startswith("Ti1") and "B site" in text and "Wyckoff 1" in text and " eV" in text
    x, y = point()
    page.mouse.move(x - 150, y - 150, steps=4)
    label.wait_for(state="hidden")


def test_row_of_the_table_is_marked_in_the_scene(page, app_url):
    page.goto(app_url)
    assert scene(page).selected() == []
    click_row(page, 1)  # the titanium
    scene(page, lambda s: s.selected() == [1])
    assert shapes(scene(page)) == 12 + 1  # edges of the cell, and the mark
    click_row(page, 3)  # and one more
    scene(page, lambda s: s.selected() == [1, 3])


def outlined(page) -> list[int]:
    """Bars of the distinct sites that stand out, the others being pale."""
    shown = page.locator(".js-plotly-plot").first.evaluate(
        "p => [...p.querySelectorAll('.bars .point path')].map(b => [+getComputedStyle(b).opacity, "
        "getComputedStyle(b).stroke])"
    )
    assert {opacity for opacity, _ in shown} in ({1}, {0.35, 1})
    return [k for k, (opacity, stroke) in enumerate(shown) if opacity == 1 and stroke == "rgb(240, 165, 0)"]


def follows(page, sites: list[int], bars: list[int], swapped: str) -> None:
    """Rows, bars and the swap table show this selection."""
    assert eventually(page, lambda: marked_rows(page) == sites), (marked_rows(page), sites)
    assert eventually(page, lambda: outlined(page) == bars), (outlined(page), bars)
    page.get_by_text(f"when {swapped} becomes another element").wait_for()
    assert scene(page).selected() == sites


def test_click_on_an_atom_is_followed_by_row_bar_and_swap_table(page, app_url):
    page.goto(app_url)
    drawn = scene(page)
    follows(page, [], [], "Ti1 on B")
    drawn.click(0, [0])  # a corner, one of eight images of the strontium
    follows(page, [0], [0], "Sr1 on A")
    assert shapes(drawn) == 12 + 8  # every image is marked
    drawn.click(2, [2])
    follows(page, [2], [2], "O1 on X")
    page.keyboard.down("Shift")
    drawn.click(0, [0, 2])
    page.keyboard.up("Shift")
    follows(page, [0, 2], [0, 2], "Sr1 on A")
    drawn.click(2, [2])
    drawn.click(2, [])  # a second click on it
    follows(page, [], [], "O1 on X")  # the swap table stays where it was
    drawn.click(0, [0])
    drawn.click_background([])
    follows(page, [], [], "Sr1 on A")
    click_row(page, 1)  # and the table still works
    follows(page, [1], [1], "Ti1 on B")


def test_site_chosen_for_a_swap_lights_up(page, app_url):
    page.goto(app_url)
    scene(page)
    idle(page)
    choose(page, "Site", "Sr1")
    scene(page, lambda s: s.selected() == [0])
    follows(page, [0], [0], "Sr1 on A")


def test_selection_and_camera_survive_head_supercell_and_another_page(page, app_url):
    page.goto(app_url)
    idle(page)
    drawn = scene(page)
    before = colours(drawn)
    turned = turn(page, drawn)
    drawn.click(0, [0])
    assert drawn.view() == pytest.approx(turned, abs=1e-6)
    flip_head(page)
    drawn = scene(page, lambda s: colours(s) != before)
    idle(page)
    follows(page, [0], [0], "Sr1 on A")
    assert drawn.view() == pytest.approx(turned, abs=1e-6)

    choose(page, "Supercell", "2×2×2")
    drawn = scene(page, lambda s: len(s.atoms()) == 27 + 8 + 36)
    assert drawn.view()[4:] == pytest.approx(turned[4:], abs=1e-3)  # as it was turned, but all of it must fit in
    assert drawn.selected() == [0] and shapes(drawn) == 27 + 27  # edges; marks of all images
    drawn.click(0, [])  # a copy of it is the same site
    drawn.click(0, [0])

    page.get_by_role("link", name="Models").click()
    page.get_by_role("link", name="Crystal").click()
    drawn = scene(page, lambda s: s.selected() == [0])
    idle(page)
    follows(page, [0], [0], "Sr1 on A")
    assert drawn.view()[4:] == pytest.approx(turned[4:], abs=1e-3)

    choose(page, "Example", "KNbO3 (cubic)")  # another crystal has no selection, nor has this one afterwards
    scene(page, lambda s: "Nb" in colours(s) and s.selected() == [])
    assert eventually(page, lambda: marked_rows(page) == [])
    choose(page, "Example", "SrTiO3")
    scene(page, lambda s: "Ti" in colours(s) and s.selected() == [])


def test_bad_file_next_to_good_one(page, app_url):
    page.goto(app_url)
    scene(page)
    page.locator('input[type="file"]').set_input_files(
        [
            dict(name="notes.txt", mimeType="text/plain", buffer=b"</script><script>alert(1)</script> not a crystal"),
            dict(name="KTaO3.cif", mimeType="chemical/x-cif", buffer=CIF.encode()),
        ]
    )
    scene(page, lambda drawn: "Ta" in colours(drawn))
    alert = page.get_by_test_id("stAlert")
    assert alert.count() == 1 and "notes.txt" in alert.inner_text()


@pytest.mark.parametrize(
    "page", [((390, 844), "light"), ((390, 844), "dark"), ((1280, 800), "dark"), ((1600, 1000), "light")], indirect=True
)
def test_fits_the_window(page, app_url):
    page.goto(app_url)
    still(page, page.get_by_test_id("stDataFrame"))
    drawn = scene(page)
    box = still(page, drawn.box)
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert box["x"] >= 0 and box["x"] + box["width"] <= width + 1

    def whole() -> bool:  # nothing of the crystal is cut off
        places = [drawn.on_screen(atom["x"], atom["y"], atom["z"]) for atom in drawn.atoms()]
        return all(0 < x - box["x"] < box["width"] and 0 < y - box["y"] < box["height"] for x, y in places)

    assert eventually(page, whole, 10)
    if width >= 1280:  # the main result needs no scrolling
        table = page.get_by_test_id("stDataFrame").bounding_box()
        assert box["y"] + box["height"] < height and table["y"] + table["height"] < height
    background = drawn.box.evaluate("box => getComputedStyle(box).backgroundColor")
    assert background == page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
