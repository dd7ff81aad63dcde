"""The colour scale and the figures."""

from __future__ import annotations

import numpy as np
import pytest

from cgcnn.plots import (
    CONTRIBUTION_STOPS,
    Distribution,
    booked_elsewhere,
    contribution_colours,
    css_gradient,
    distributions,
    element_colour,
    element_comparison,
    element_parity,
    energy_histogram,
    gate_lines,
    group_bars,
    head_bars,
    periodic_table,
    plotly_colour_scale,
    ranking,
    share_colours,
    signed,
    site_bars,
    space_map,
    swap_table,
    template,
    text_on,
    theme,
    tile_frame,
)


def linear_rgb(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lightness(rgb: np.ndarray) -> float:
    """CIE L* of linear RGB."""
    y = float(rgb @ [0.2126, 0.7152, 0.0722])
    return 116 * np.cbrt(y) - 16 if y > 0.008856 else 903.3 * y


def test_ends_middle_and_a_value_between():
    assert contribution_colours([-2, 0, 2], 2) == ["#1b5fa8", "#e8e8e6", "#ab1f2f"]
    # half-way between the stops at 0 (e8e8e6) and 0.3 (f3b99c)
    assert contribution_colours([0.15], 1) == ["#eed0c1"]


def test_beyond_the_limit_keeps_the_end_and_nan_is_grey():
    assert contribution_colours([-9, 9, float("nan")], 1) == ["#1b5fa8", "#ab1f2f", "#9b9b9b"]
    assert contribution_colours([], 1) == []
    with pytest.raises(ValueError, match="0"):
        contribution_colours([1.0], 0)


def test_scale_is_symmetric_and_reads_without_colour():
    positions = [position for position, _ in CONTRIBUTION_STOPS]
    assert positions == [-p for p in reversed(positions)]
    light = [lightness(linear_rgb(colour)) for _, colour in CONTRIBUTION_STOPS]
    middle = len(light) // 2
    assert np.all(np.diff(light[: middle + 1]) > 5) and np.all(np.diff(light[middle:]) < -5)
    assert abs(light[0] - light[-1]) < 6  # neither sign looks stronger


# A. Machado, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009), severity 1
DEFICIENCIES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_signs_stay_apart_for_every_colour_vision(deficiency):
    matrix = np.array(DEFICIENCIES[deficiency])
    for strength in (0.3, 0.65, 1.0):
        minus, plus = (matrix @ linear_rgb(c) for c in contribution_colours([-strength, strength], 1))
        assert lab_distance(minus, plus) > 20


def lab_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Distance in CIE Lab of two linear sRGB colours, white D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])

    def lab(rgb):
        f = np.cbrt(np.clip(to_xyz @ np.clip(rgb, 0, 1), 1e-6, None) / [0.9505, 1.0, 1.089])
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    return float(np.linalg.norm(lab(first) - lab(second)))


def test_the_same_scale_everywhere():
    assert plotly_colour_scale()[0] == [0.0, "#1b5fa8"] and plotly_colour_scale()[-1] == [1.0, "#ab1f2f"]
    assert all(colour in css_gradient() for _, colour in CONTRIBUTION_STOPS)
    assert template().layout.colorscale.diverging[3][1] == "#e8e8e6"


def test_element_colours_are_jmols():
    assert element_colour("O") == "#ff0d0d" and element_colour("Ca") == "#3dff00"
    assert element_colour("H") == element_colour("D") == "#ffffff"
    assert len({element_colour(e) for e in ("F", "N", "Sr", "Zr")}) == 4


def test_numbers_carry_a_sign():
    assert [signed(v) for v in (0.12, -0.3051, 0.0, -0.0001)] == ["+0.120", "−0.305", "0.000", "0.000"]
    assert signed(-61.4, 0) == "−61"


def test_symbols_are_readable_on_every_colour():
    for colour in contribution_colours(np.linspace(-1, 1, 41), 1):
        low, high = sorted(float(linear_rgb(c) @ [0.2126, 0.7152, 0.0722]) for c in (colour, text_on(colour)))
        assert (high + 0.05) / (low + 0.05) > 2.2


def test_bars_show_value_colour_and_error():
    figure = site_bars(["Sr (A)", "Ti (B)"], np.array([-0.4, 0.2]), 1.0, sd=np.array([0.05, 0.01]))
    bar = figure.data[0]
    assert bar.orientation == "h" and list(bar.x) == [-0.4, 0.2]
    assert list(bar.marker.color) == contribution_colours([-0.4, 0.2], 1.0)
    assert list(bar.error_x.array) == [0.05, 0.01]
    assert [a.text for a in figure.layout.annotations] == ["−0.400 ± 0.050", "+0.200 ± 0.010"]
    assert site_bars(["Sr"], np.array([0.1]), 1.0).data[0].error_x.array is None


def test_axis_is_as_long_as_the_scale_or_longer():
    assert site_bars(["Sr"], np.array([0.1]), 1.0).layout.xaxis.range[1] == pytest.approx(1.08)
    assert site_bars(["Sr"], np.array([-3.0]), 1.0).layout.xaxis.range[0] == pytest.approx(-3.24)


def test_spread_within_an_orbit_only_where_visible():
    same, different = np.full(3, 0.1), np.array([0.05, 0.1, 0.15])
    figure = site_bars(["3 O", "3 F"], np.array([0.1, 0.1]), 1.0, spread=[same, different])
    assert len(figure.data) == 2 and list(figure.data[1].x) == list(different) and list(figure.data[1].y) == [1] * 3


def test_many_sites_stand_upright():
    n = 60
    figure = site_bars([f"O{i}" for i in range(n)], np.linspace(-1, 1, n), 1.0, dark=True)
    assert figure.data[0].orientation == "v" and figure.layout.xaxis.showticklabels is False
    assert figure.layout.height == site_bars(["O"], np.array([1.0]), 1.0).layout.height


def test_map_has_a_marker_that_reports_its_cell_for_every_cell():
    names = np.array([["AB", "AC", "AD"], ["EB", "EC", "ED"]], dtype=object)
    values = np.array([[1.0, np.nan, -9.0], [0.0, 0.5, 2.0]])
    figure = space_map(
        (("A", "E"), ("B", "C", "D")), values, 2.0, names=names, hover=names, bar_title="energy, eV/atom",
        blocks=([(1, "1"), (1, "2")], [(3, "4")]), marked=values > 0.9, framed=values < 0, chosen=(1, 2),
    )  # fmt: skip
    heat, frames, markers = figure.data
    assert (heat.zmin, heat.zmax, heat.colorbar.title.text) == (-2.0, 2.0, "energy, eV/atom")
    assert heat.z[0][1] is None or np.isnan(heat.z[0][1])
    for x, y, name in zip(markers.x, markers.y, markers.customdata, strict=True):
        assert names[y, x] == name[0]
    shown = [name[0] for name, dot in zip(markers.customdata, markers.marker.color, strict=True) if dot]
    assert shown == ["AB", "ED"]
    x = [v for v in frames.x if v is not None]
    assert min(x) > 1.5 and max(x) < 2.5 and len(x) == 5  # around the one cell below 0
    chosen = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert {(s.x0, s.x1, s.y0, s.y1) for s in chosen} == {(1.5, 2.5, 0.5, 1.5)}
    assert [note.text for note in figure.layout.annotations] == ["1", "2", "4"]


def test_elements_side_by_side_on_one_scale():
    booked, effect = {"A": [1.0, -0.5], "B": [3.0, np.nan]}, {"A": [1.1, -0.4], "B": [2.9, 0.1]}
    figure = element_comparison(["Sr", "Ti"], booked, effect, 6.0, sd={"A": [0.1, 0.2], "B": [0.3, 0.4]})
    bars = [t for t in figure.data if t.type == "bar"]
    assert [list(t.error_y.array) for t in bars] == [[0.1, 0.2], [0.3, 0.4]]
    assert figure.layout.yaxis2.matches == "y"
    assert [list(t.y) for t in figure.data if t.type == "scatter"] == [effect["A"], effect["B"]]
    single = {"A": [1.0], "B": [2.0]}
    assert all(t.error_y.array is None for t in element_comparison(["Sr"], single, single, 6.0).data[::2])
    points = element_parity(["Sr", "Ti"], booked, effect, chosen=["Ti"]).data[1]
    assert (list(points.x), list(points.y), list(points.text)) == (effect["A"], booked["A"], ["", "Ti"])


def test_groups_write_their_elements_beside_the_bar_without_overlap():
    groups = {"A": [(1, 0.5, 0.1), (2, -1.0, 0.2)], "B": [(1, 2.0, 0.1)]}
    elements = {"A": [(1, "Li", 0.5), (1, "Na", 0.5), (2, "Mg", -1.0)], "B": [(1, "Li", 2.0), (1, "K", 9.0)]}
    figure = group_bars(groups, elements, 6.0)
    bar, text = figure.data[:2]
    assert list(bar.y) == [0.5, -1.0] and list(bar.error_y.array) == [0.1, 0.2]
    placed = dict(zip(text.text, text.x, strict=True))
    assert placed["Li"] != placed["Na"] and min(placed["Li"], placed["Na"]) > max(bar.x[0] + bar.width / 2, 1)
    assert placed["Mg"] < 2.5


def test_histogram_counts_shares():
    figure = energy_histogram(np.array([0.0, 0.1]), np.linspace(0, 6, 601), 0.2, axis_title="energy")
    everything, choice = figure.data
    assert sum(everything.customdata) == 601 and sum(choice.customdata) == 2
    assert sum(choice.y) == pytest.approx(100) and sum(everything.y) == pytest.approx(100)
    assert figure.layout.shapes[0].x0 == 0.2


def test_heads_stand_side_by_side_with_their_errors():
    values = {"linear": np.array([-1.0, 0.5]), "gated": np.array([-0.5, 0.7])}
    figure = head_bars(["Sr (A)", "Ti (B)"], values, {"linear": np.array([0.1, 0.2]), "gated": None}, 2.0)
    one, other = figure.data
    assert [one.name, other.name] == ["linear", "gated"] and one.marker.color != other.marker.color
    assert list(one.x) == [-1.0, 0.5] and list(one.error_x.array) == [0.1, 0.2] and other.error_x.array is None
    assert (np.array(one.y) < np.array(other.y)).all() and np.ptp(np.round(one.y)) == 1
    assert [a.text for a in figure.layout.annotations] == ["−1.000 ± 0.100", "+0.500 ± 0.200", "−0.500", "+0.700"]
    many = head_bars([f"O{i}" for i in range(60)], {"linear": np.linspace(-1, 1, 60)}, {"linear": None}, 1.0)
    assert many.data[0].orientation == "v" and many.layout.height < 400


def test_swap_table_marks_the_doubtful_and_leaves_out_the_unknown():
    figure = swap_table(
        {"Zr": -0.5, "N": 5.0, "Li": float("nan")}, 6.0, present="Ti", doubtful=["N"], hover={"Li": "no"}
    )
    text = {e: t for trace in figure.data[:2] for e, t in zip(trace.customdata, trace.hovertext, strict=True)}
    assert "not known" in text["He"] and text["Li"] == "no"
    numbers = [str(t) for trace in figure.data if trace.type == "scatter" and trace.text for t in trace.text]
    assert "−0.50" in numbers and "+5.00" in numbers and not any("nan" in n for n in numbers)
    plain = swap_table({"Zr": -0.5, "N": 5.0}, 6.0, present="Ti")
    assert len(figure.data) == len(plain.data) + 1 and len(figure.data[-1].x) == 1  # one circle


def test_what_is_booked_elsewhere():
    elements, change = ["Zr", "Hf", "N"], np.array([1.0, 2.0, np.nan])
    figure = booked_elsewhere(elements, change, np.array([0.9, 1.5, np.nan]), 6.0)
    assert list(figure.data[0].x) == [1.0, 2.0] and list(figure.data[0].y) == pytest.approx([0.1, 0.5])
    assert [c[0] for c in figure.data[0].customdata] == ["Zr", "Hf"] and "Hf" in figure.data[0].text
    crowd = booked_elsewhere([f"e{i}" for i in range(80)], np.linspace(0, 1, 80), np.linspace(0, 1, 80), 6.0)
    assert 0 < sum(map(bool, crowd.data[0].text)) < 15  # names never lie over each other


def test_gate_lines_have_one_line_a_kind():
    openings = {"6 O": ("O", np.array([0.4, 0.3]), np.array([0.01, 0.02])), "8 Sr": ("Sr", np.array([0.5, 0.45]), None)}
    figure = gate_lines(openings, dark=True)
    assert [trace.name for trace in figure.data] == ["6 O", "8 Sr"] and list(figure.data[0].y) == [0.4, 0.3]
    low, high = figure.layout.yaxis.range
    assert low < 0.28 and high > 0.5
    assert sorted(a.text for a in figure.layout.annotations) == ["6 O", "8 Sr"]


def test_shares_go_from_faint_to_accent():
    for dark in (False, True):
        assert share_colours([1.0], dark) == [theme(dark).accent]
        faint, strong = (contrast(c, theme(dark).background) for c in share_colours([0.0, 1.0], dark))
        assert 1.05 < faint < strong


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear_rgb(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def tiles(figure) -> dict:
    """(element, lower edge above its centre, height) -> colour, of all bars of a periodic table."""
    found = {}
    for trace in figure.data:
        if trace.type == "bar":
            colours = [trace.marker.color] * len(trace.x) if isinstance(trace.marker.color, str) else trace.marker.color
            for symbol, base, height, colour in zip(trace.customdata, trace.base, trace.y, colours, strict=True):
                found.setdefault(symbol, []).append((round(base, 3), round(height, 3), colour))
    return found


@pytest.mark.parametrize("dark", [False, True])
def test_periodic_table(dark):
    figure = periodic_table({"Ti": (0.5, -3.0), "O": 0.25, "Sr": (1.0, None)}, 1.0, title="energy, eV", dark=dark)
    parts = tiles(figure)
    assert len(parts) == 86 - 14  # H to Rn without the lanthanides, whose row holds no value
    upper, lower = parts["Ti"]
    assert upper[2] == contribution_colours([0.5], 1)[0] and lower[2] == contribution_colours([-1.0], 1)[0]
    assert upper[0] == pytest.approx(lower[0] + lower[1]) and len(parts["O"]) == 1 and len(parts["H"]) == 1
    assert parts["Sr"][1][2] == parts["H"][0][2] == theme(dark).panel
    text = [t for trace in figure.data if trace.type == "scatter" and trace.mode == "text" for t in trace.text]
    assert {"<b>Ti</b>", "H", "+0.50", "−3.00", "+0.25"} <= set(text)
    framed = periodic_table({"Ti": 1.0}, 1.0, dark=dark, selected="Ti")
    assert framed.layout.shapes[0].line.color == theme(dark).accent and not figure.layout.shapes
    assert tile_frame(figure, "Ti") == pytest.approx((3 / 18, 3 / 6, 1 / 18, 1 / 6))  # fourth of 18, fourth of 6
    bar = next(t for t in figure.data if t.type == "scatter" and t.marker.showscale)
    assert (bar.marker.cmin, bar.marker.cmax) == (-1, 1) and bar.marker.colorbar.title.text == "energy, eV"
    assert bar.marker.colorbar.ticktext[0].startswith("≤") and bar.marker.colorbar.ticktext[-1].startswith("≥")


def test_rows_of_heavy_elements_are_drawn_where_they_hold_any():
    light, heavy = (periodic_table({symbol: 1.0}, 1.0) for symbol in ("Ti", "U"))
    assert heavy.layout.height > light.layout.height
    assert "U" in tiles(heavy) and "U" not in tiles(light)


def test_ranking_has_error_bars_and_the_reference():
    figure = ranking(["Ti", "Zr"], [1.0, -2.0], 2.0, sd=[0.1, 0.2], reference=np.array([0.5, np.nan]))
    bars, diamonds = figure.data
    assert list(bars.customdata) == list(figure.layout.xaxis.ticktext) == ["Ti", "Zr"]
    assert list(bars.error_y.array) == [0.1, 0.2] and diamonds.y[0] == 0.5 and np.isnan(diamonds.y[1])
    assert "additive fit +0.500" in bars.hovertext[0] and "additive" not in bars.hovertext[1]
    assert len(ranking(["Ti"], [1.0], 2.0).data) == 1


def test_distributions():
    groups = [
        Distribution("CN 6", 6, 0.1, 0.02, -0.1, 0.2, -2, [1, 0, 5]),
        Distribution("CN 12", 3, 1.0, 0.03, 0.9, 1.1, 9, [3]),
    ]
    figure = distributions(groups, 0.1, 1.0, span=(-1, 2), rows=4)
    bars, points = figure.data[0], figure.data[-1]
    assert list(bars.x) == pytest.approx([-0.15, 0.05, 0.95]) and list(bars.base) == [0, 0, -1]
    assert list(bars.y) == pytest.approx([0.74 / 5, 0.74, 0.74])
    assert list(points.x) == [0.1, 1.0] and list(points.error_x.array) == [0.02, 0.03]
    assert figure.layout.height == distributions(groups[:1], 0.1, 1.0, span=(-1, 2), rows=4).layout.height
    alone = distributions([Distribution("all", 1, 0.0, None, 0.0, 0.0, 0, [1])], 0.1, 1.0, span=(-1, 1))
    assert alone.data[-1].error_x.array is None
