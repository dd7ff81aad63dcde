"""The flat drawing of a scene: places, order, colours, words."""

from __future__ import annotations

import numpy as np
import pytest
from builders import perovskite

from cgcnn.plots import flat_scene, signed
from cgcnn.viewer import ColourBar, crystal_view


def scene(structure, *, bar=True, **how) -> dict:
    labels = [[f"{site.specie.symbol} <b>{i}</b>", ""] for i, site in enumerate(structure)]
    colours = [f"#{i:02x}0000" for i in range(len(structure))]
    meaning = ColourBar("contribution", "eV", 2.0) if bar else None
    return crystal_view(structure, colours, labels, bar=meaning, **how).scene


def atoms(figure):
    (trace,) = [t for t in figure.data if t.customdata is not None]
    return trace


def test_atoms_lie_where_the_view_along_an_axis_has_them():
    structure = perovskite(edge=4.0)
    data = scene(structure)
    drawn = np.array(data["atoms"]["position"])
    for turn, axes in (("a", (1, 2)), ("b", (2, 0)), ("c", (0, 1))):
        trace = atoms(flat_scene(data, turn))
        here = np.stack([trace.x, trace.y], axis=1)
        seen = {tuple(p) for p in np.round(here - here.mean(0), 3) + 0.0}
        wanted = drawn[:, axes] - drawn[:, axes].mean(0)
        # right and up of a view are two of the axes, in one of their orders and directions
        turned = [{tuple(p) for p in np.round(w, 3) + 0.0} for w in (wanted, wanted[:, ::-1])]
        assert seen in turned, turn


def test_nearer_atoms_are_drawn_last_and_keep_site_and_colour():
    data = scene(perovskite(edge=4.0), highlight=[1])
    trace = atoms(flat_scene(data, "c"))
    position, site = np.array(data["atoms"]["position"]), np.array(data["atoms"]["site"])
    height = {i: z for i, z in zip(site.tolist(), position[:, 2], strict=True) if i == 1}
    assert len(trace.x) == len(site) and sorted(trace.customdata) == sorted(site.tolist())
    assert [data["sites"]["colour"][i] for i in trace.customdata] == list(trace.marker.color)
    # along c the titanium in the middle of the cell lies above the layer z = 0 and below z = 1
    place = list(trace.customdata).index(1)
    assert (position[:, 2] < height[1] - 0.1).sum() <= place < len(site) - (position[:, 2] > height[1] + 0.1).sum()
    assert trace.marker.line.width[place] > 2 and set(np.delete(np.array(trace.marker.line.width), place)) == {1}


def test_words_are_text_and_colours_are_explained():
    data = scene(perovskite())
    figure = flat_scene(data)
    assert all("&lt;b&gt;" in text and "<b>" not in text for text in atoms(figure).hovertext)
    (bar,) = [t.marker.colorbar for t in figure.data if t.marker and t.marker.showscale]
    assert list(bar.ticktext) == [signed(x, 2) for x in (-2, -1, 0, 1, 2)] and bar.title.text == "contribution, eV"
    legend = flat_scene(scene(perovskite(), bar=False))
    assert not any(t.marker and t.marker.showscale for t in legend.data)
    assert all(symbol in legend.layout.annotations[0].text for symbol in ("Sr", "Ti", "O"))


@pytest.mark.parametrize("dark", [False, True])
def test_supercells_stay_few_traces_of_plain_plotly(dark):
    data = scene(perovskite(), supercell=(3, 3, 3))
    figure = flat_scene(data, dark=dark)
    assert len(figure.data) <= 5 and {t.type for t in figure.data} == {"scatter"}
    assert atoms(figure).mode == "markers", "too many for their symbols"
