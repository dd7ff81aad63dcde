"""Names, labels and values from files that look like HTML, Markdown or LaTeX: Chromium shows them letter by letter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from acting import act, eventually, idle, still
from builders import perovskite, small_model

from cgcnn.contributions import explain
from cgcnn.plots import literal, site_bars
from cgcnn.plots.accuracy import compared_errors
from cgcnn.viewer import ColourBar, crystal_view

HIT = "document.title='hit'"
TEXTS = (
    f"<script>{HIT}</script>", f"<img src=x onerror={HIT}>", "</script><b>b</b>", "<a href=//evil.org>a</a>",
    "**bold** _it_ ~~no~~ `code`", "[x](javascript:alert(1))", "![x](//evil.org/i.png)", "a|b|c", "$x^2$ $$y$$",
    ":red[x] :blue-badge[y]", ":material/warning: :streamlit:", ":smile:", "a -> b <- c -- d >= e", "&lt;b&gt; &amp;",
    "https://evil.org www.evil.org", "a@evil.org", "# head", "=1+1", "\\frac{a}{b} \\*", "%{x} %{customdata}",
)  # fmt: skip
CELL = "".join(f"_cell_length_{k} 3\n" for k in "abc")
ATOMS = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"


@pytest.fixture
def page(page):
    """Fails for a dialog, or where a script of a text has run; requests to others are seen by the fixture below it."""
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield page
    assert not dialogs and page.title() != "hit"


def shown(locator) -> str:
    """What a person reads, without the joiners that keep Streamlit from replacing."""
    return " ".join(locator.inner_text().replace("\N{WORD JOINER}", "").split())


def assert_only_text(locator) -> None:
    """Nothing but text and the emphasis that the app itself gives to names."""
    inside = locator.evaluate_all("all => all.flatMap(one => [...one.querySelectorAll('*')].map(e => e.localName))")
    assert not set(inside) & {"script", "img", "a", "b", "em", "del", "code", "h1", "table", "math", "svg", "li"}, (
        inside
    )


def served(page, body: str) -> None:
    page.route("http://localhost/hostile.html", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto("http://localhost/hostile.html")


def test_reasons_names_and_notes_of_uploads(page, app_url):
    bad = [
        {"name": f"{text.replace('/', '∕')}.cif", "mimeType": "text/plain",
         "buffer": (f"data_x\n{CELL}{ATOMS}C1 0 \"{text}\" 0\n").encode()}
        for text in TEXTS
    ]  # fmt: skip
    blocks = "".join(f"data_{text.replace(' ', '_')}\n{CELL}{ATOMS}'{text}' 0 0 0\nPo1 0 0 0\n" for text in TEXTS)
    dummies = f"data_d\n{CELL}{ATOMS}_atom_site_calc_flag\nPo1 0 0 0 d\n"
    dummies += "".join(f'"{text}" 0 0 0 dum\n' for text in TEXTS[:5])
    files = [{"name": "blocks.cif", "mimeType": "text/plain", "buffer": blocks.encode()},
             {"name": "dummies.cif", "mimeType": "text/plain", "buffer": dummies.encode()}]  # fmt: skip
    page.goto(app_url)
    idle(page)
    page.locator("input[type=file]").first.set_input_files(bad + files)
    alerts = page.locator("[data-testid=stAlert] p, [data-testid=stExpander] details p")
    page.locator("[data-testid=stExpander] summary").click()
    assert eventually(page, lambda: alerts.count() == 2 * len(TEXTS) + 1)
    idle(page)
    read = [line for alert in alerts.all() if "more cannot be read" not in (line := shown(alert))]
    assert len(read) == 2 * len(TEXTS)
    for text, said in zip(TEXTS, read, strict=False):
        assert said == f"{text.replace('/', '∕')}.cif: coordinate y of site C1 is '{text}', which is not a number; " \
                       "write a decimal number", said  # fmt: skip
    for text, said in zip(TEXTS, read[len(TEXTS) :], strict=True):
        assert said.startswith(f"blocks.cif · {text.replace(' ', '_')}: "), said
    assert_only_text(alerts)
    note = page.locator("[data-testid=stCaptionContainer]").filter(has_text="dummy atoms left out")
    for text in TEXTS[:5]:
        assert text in shown(note), shown(note)
    assert_only_text(note)


def test_names_and_formulas_of_a_data_set(page, app_url, tmp_path):
    hostile = f"<img src=x onerror={HIT}> **b** $x$ :red[y] [z](javascript:alert(1))"
    path = tmp_path / "<b>data** $x$ :material_x: %{x}.csv"
    pairs = [(a, b) for a in ("Ca", "Sr", "Ba") for b in ("Ti", "Zr")]
    pl.DataFrame(
        {
            "id": [f"{hostile} {i}" for i in range(len(pairs))], "formula": [hostile] * len(pairs),
            "<b>$E$": [0.1 * i for i in range(len(pairs))],
            "cif": [perovskite(a, b, edge=4.0).to(fmt="cif") for a, b in pairs],
        }
    ).write_csv(path)  # fmt: skip
    page.set_viewport_size(dict(width=2400, height=1000))
    page.goto(
        f"{app_url}/elements?data=Path+on+this+machine&path={quote(str(path))}&head=linear&tab=Element&element=Ti"
    )
    name = page.get_by_text(path.name, exact=True)
    name.wait_for()
    lowest = page.get_by_text("Lowest Ti on B")
    lowest.wait_for()
    idle(page)
    grid = page.locator("[data-testid=stDataFrame]:visible").first

    def click():
        box = still(page, grid)
        page.mouse.move(box["x"] + 60, box["y"] + 50)
        page.mouse.click(box["x"] + 60, box["y"] + 53)

    still(page, grid)
    cells = lambda: " ".join(grid.locator("[role=gridcell], [role=columnheader]").all_text_contents())  # noqa: E731
    assert eventually(page, lambda: f"{hostile} 0" in cells() and "<b>$E$" in cells(), 20), cells()
    act(page, click, page.get_by_text("5 atoms", exact=True).is_visible, "the crystal")
    assert not page.locator("[data-testid=stMain] img, [data-testid=stMain] a[href*=javascript]").count()


def test_a_file_that_is_no_data_set_and_an_address(page, app_url, tmp_path):
    text = f"<img src=x onerror={HIT}> **b** :red[y] $x$"
    path = tmp_path / f"{text}.csv"
    path.write_text("a\n1\n")
    page.goto(f"{app_url}/elements?data=Path+on+this+machine&path={quote(str(path))}")
    alert = page.locator("[data-testid=stAlert] [data-testid=stMarkdownContainer]")
    alert.first.wait_for()
    assert text in shown(alert.first)
    assert_only_text(alert)
    page.goto(f"{app_url}/?perovskite={quote(text)}")
    alert.first.wait_for()
    assert text in shown(alert.first)
    assert_only_text(alert)


def test_hover_labels_of_the_scene_and_its_file(page):
    structure = perovskite()
    labels = [[text for text in TEXTS[:4]], *[[text] for text in TEXTS[4:8]]]
    view = crystal_view(structure, ["#336699"] * 5, labels, bar=ColourBar(TEXTS[0], TEXTS[1], 1.0), key=TEXTS[0])
    served(page, view.page(TEXTS[0]))
    assert eventually(page, lambda: page.evaluate("window.sceneReady"))
    assert page.title() == TEXTS[0]
    assert f"{TEXTS[0]}, {TEXTS[1]}" in page.locator("#scene").inner_text()
    at = page.evaluate(
        "viewer.modelToScreen(viewer.getModel().selectedAtoms({}).filter(a => a.properties.site == 0)"
        ".sort((a, b) => viewer.modelToScreen(b).x - viewer.modelToScreen(a).x)[0])"
    )

    def hover():
        page.mouse.move(at["x"] - 3, at["y"])
        page.mouse.move(at["x"], at["y"])

    hover()
    seen = eventually(page, lambda: hover() or all(t in page.locator("#scene").inner_text() for t in TEXTS[:4]), 20)
    assert seen, page.locator("#scene").inner_text()
    assert not page.locator("#scene b, #scene img, #scene a, #scene script").count()


def test_results_in_a_notebook(page):
    result = replace(
        explain(small_model("linear"), [perovskite()])[0], model=TEXTS[1], doubt=TEXTS[0], quantity=TEXTS[2],
        unit=TEXTS[3], energy_unit=TEXTS[5], reference_note=TEXTS[10],
    )  # fmt: skip
    served(page, f"<html><body>{result._repr_html_()}</body></html>")
    text = page.locator("body").inner_text()
    assert all(TEXTS[i] in text for i in (0, 1, 2, 3, 5, 10))
    assert not page.locator("body img, body a, body script, table b").count()


def test_figures(page):
    unit = TEXTS[3]
    names = [text for text in TEXTS if "customdata" not in text]
    figures = [
        compared_errors(names, np.linspace(0.02, 0.5, len(names)), [True] * len(names), [False] * len(names), unit),
        site_bars(["a", "b"], np.array([0.1, 0.2]), 1.0, unit=TEXTS[3], axis_title=TEXTS[-1]),
        go.Figure(
            go.Scatter(x=[1], y=[1], name=literal(TEXTS[3])), dict(showlegend=True, title_text=literal(TEXTS[0]))
        ),
    ]
    more = [figure.to_html(include_plotlyjs=False, full_html=False) for figure in figures[1:]]
    served(page, figures[0].to_html(include_plotlyjs=True) + "".join(more))
    plots = page.locator(".js-plotly-plot")
    assert eventually(page, lambda: plots.count() == 3 and plots.last.locator("svg").count())
    drawn = [" ".join(text.split()) for text in page.locator("svg text").all_text_contents()]
    for text in (*names, f"MAE, {unit}", TEXTS[-1], unit, TEXTS[0]):
        assert " ".join(text.split()) in drawn, (text, drawn)
    assert not page.locator(".js-plotly-plot svg a, .js-plotly-plot svg img, .js-plotly-plot svg foreignObject").count()


def test_the_traps_snap(page):
    """The same texts, not escaped, are seen by what this file looks for."""
    served(page, f"<html><head></head><body><div id=x>{TEXTS[3]}</div>{TEXTS[0]}</body></html>")
    with pytest.raises(AssertionError):
        assert_only_text(page.locator("#x"))
    assert page.title() == "hit"
    page.evaluate("document.title = ''")


def test_csv_keeps_names_as_they_are(tmp_path):
    """A value is never altered: a name that a spreadsheet takes for a formula is still the name."""
    from pages.common import to_csv

    table = pl.DataFrame({"id": ["=1+1", "-2", "+x", "@y", 'a"b', "c,d"], "energy": [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]})
    Path(tmp_path / "x.csv").write_text(to_csv(table))
    assert pl.read_csv(tmp_path / "x.csv").equals(table)
