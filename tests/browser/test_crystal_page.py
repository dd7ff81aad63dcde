"""The Crystal page in Chromium: what is on the screen, not what the code meant to draw."""

from __future__ import annotations

import numpy as np
import pytest
from acting import act, click_row, eventually, idle, still
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


def scene(page):
    """The frame of the 3D scene, once it is drawn."""
    page.locator("iframe").first.wait_for()

    def ready():
        return next((f for f in page.frames[1:] if f.evaluate("window.sceneReady === true")), None)

    frame = eventually(page, ready)
    assert frame, "no 3D scene appeared"
    return frame


def atoms(frame) -> list[dict]:
    return frame.evaluate(
        "viewer.getModel().selectedAtoms().map(a => ({elem: a.elem, x: a.x, y: a.y, z: a.z, color: a.color,"
        " sphere: a.style.sphere.color}))"
    )


def colours(frame) -> dict[str, str]:
    return {atom["elem"]: atom["sphere"] for atom in atoms(frame)}


def wait_for_scene(page, condition):
    """The scene, once `condition(frame)` holds; Streamlit swaps the frame in its own time."""

    def as_expected():
        frame = scene(page)
        return frame if condition(frame) else None

    frame = eventually(page, as_expected)
    assert frame, "the scene did not change as expected"
    return frame


def on_screen(page, frame, position) -> tuple[float, float]:
    """Where a point of the crystal is in the window, px."""
    at = frame.evaluate("p => viewer.modelToScreen(p)", dict(zip("xyz", position, strict=True)))
    box = frame.frame_element().bounding_box()
    return box["x"] + at["x"], box["y"] + at["y"]


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
    first = scene(page)
    assert {atom["elem"] for atom in atoms(first)} == {"Sr", "Ti", "O"}  # the example of the first visit
    page.locator('input[type="file"]').set_input_files(
        dict(name="KTaO3.cif", mimeType="chemical/x-cif", buffer=CIF.encode())
    )
    return wait_for_scene(page, lambda frame: "Ta" in colours(frame))


def is_coloured(frame, wanted) -> bool:
    """Whether every drawn atom has the wanted colour of its element, to one step of a channel."""
    return all(np.abs(rgb(colour) - wanted[element]).max() <= 1 for element, colour in colours(frame).items())


def test_uploaded_cif_is_coloured_as_worked_out_by_hand(page, app_url):
    frame = upload(page, app_url)
    for head in ("gated", "linear"):
        expected = expected_colours(head)
        page.get_by_test_id("stRadio").get_by_text(head, exact=True).click()
        frame = wait_for_scene(page, lambda f, wanted=expected: is_coloured(f, wanted))
        drawn = atoms(frame)
        assert all(atom["color"] == atom["sphere"] for atom in drawn)
        assert sorted(atom["elem"] for atom in drawn) == ["K"] * 8 + ["O"] * 6 + ["Ta"]  # images on all faces
        # a lit sphere is a scaled version of its colour, so the proportions of the channels survive the shading;
        # an oxygen at the front shows besides its symbol
        front = max((atom for atom in drawn if atom["elem"] == "K"), key=lambda atom: depth(frame, atom))
        wanted = np.array(expected["K"])

        def shows(frame=frame, front=front, wanted=wanted):
            still(page, page.locator("iframe").first)
            x, y = on_screen(page, frame, (front["x"], front["y"], front["z"]))
            seen = pixel(page, x - 12, y - 12)
            cosine = seen @ wanted / np.linalg.norm(seen) / np.linalg.norm(wanted)
            return cosine > 0.99 and np.linalg.norm(seen - 255) > 20  # not the background

        assert eventually(page, shows, 20), wanted


def depth(frame, atom) -> float:
    """How near an atom is to the viewer: z after the camera's rotation."""
    x, y, z, w = frame.evaluate("viewer.getView()")[4:8]
    return 2 * (x * z - w * y) * atom["x"] + 2 * (y * z + w * x) * atom["y"] + (1 - 2 * (x * x + y * y)) * atom["z"]


def test_flipping_the_head_recolours_and_keeps_the_camera(page, app_url):
    page.goto(app_url)
    frame = scene(page)
    idle(page)
    frame = scene(page)
    before, start = colours(frame), frame.evaluate("viewer.getView()")

    def drag():
        box = still(page, page.locator("iframe").first)
        page.mouse.move(box["x"] + 200, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 290, box["y"] + 110, steps=6)
        page.mouse.up()

    act(page, drag, lambda: np.abs(np.array(frame.evaluate("viewer.getView()")) - start).max() > 0.05, "turning")
    turned = frame.evaluate("viewer.getView()")
    other = "gated" if page.get_by_role("radio", name="linear").is_checked() else "linear"
    page.get_by_test_id("stRadio").get_by_text(other, exact=True).click()
    frame = wait_for_scene(page, lambda f: colours(f) != before)
    assert frame.evaluate("viewer.getView()") == pytest.approx(turned, abs=1e-6)
    # another crystal starts from its own first view
    page.get_by_test_id("stSelectbox").filter(has_text="Example").get_by_role("combobox").click()
    page.get_by_role("option", name="KNbO3 (cubic)").click()
    frame = wait_for_scene(page, lambda f: "Nb" in colours(f))
    assert frame.evaluate("viewer.getView()")[4:] == pytest.approx(start[4:], abs=1e-3)


def test_hover_label_and_views(page, app_url):
    page.goto(app_url)
    idle(page)
    frame = scene(page)
    edge = 3.901

    def hidden_by_another() -> bool:  # one atom hides the other along c
        top, below = (on_screen(page, frame, (edge / 2, edge / 2, z)) for z in (edge, 0))
        return top == pytest.approx(below, abs=1)

    assert not hidden_by_another()
    act(page, frame.get_by_role("button", name="c", exact=True).click, hidden_by_another)
    act(page, frame.get_by_role("button", name="reset").click, lambda: not hidden_by_another())
    label = frame.locator("#label")

    def point():
        still(page, page.locator("iframe").first)
        x, y = on_screen(page, frame, (edge / 2, edge / 2, edge / 2))
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
    frame = scene(page)
    assert frame.evaluate("window.highlighted.length") == 0
    click_row(page, 1)  # the titanium
    frame = wait_for_scene(page, lambda f: f.evaluate("window.highlighted.join()") == "1")


def test_bad_file_next_to_good_one(page, app_url):
    page.goto(app_url)
    scene(page)
    page.locator('input[type="file"]').set_input_files(
        [
            dict(name="notes.txt", mimeType="text/plain", buffer=b"</script><script>alert(1)</script> not a crystal"),
            dict(name="KTaO3.cif", mimeType="chemical/x-cif", buffer=CIF.encode()),
        ]
    )
    wait_for_scene(page, lambda frame: "Ta" in colours(frame))
    alert = page.get_by_test_id("stAlert")
    assert alert.count() == 1 and "notes.txt" in alert.inner_text()


@pytest.mark.parametrize(
    "page", [((390, 844), "light"), ((390, 844), "dark"), ((1280, 800), "dark"), ((1600, 1000), "light")], indirect=True
)
def test_fits_the_window(page, app_url):
    page.goto(app_url)
    still(page, page.get_by_test_id("stDataFrame"))
    frame = scene(page)
    still(page, page.locator("iframe").first)
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = frame.frame_element().bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width + 1

    def whole() -> bool:  # nothing of the crystal is cut off
        places = [on_screen(page, frame, (atom["x"], atom["y"], atom["z"])) for atom in atoms(frame)]
        return all(0 < x - box["x"] < box["width"] and 0 < y - box["y"] < box["height"] for x, y in places)

    assert eventually(page, whole, 10)
    if width >= 1280:  # the main result needs no scrolling
        table = page.get_by_test_id("stDataFrame").bounding_box()
        assert box["y"] + box["height"] < height and table["y"] + table["height"] < height
    background = frame.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
