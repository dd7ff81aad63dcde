"""An explained crystal as one sees it: the scene coloured by contribution, and the whole result in a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .plots import contribution_colours, element_colour, signed
from .tables import formula, site_names, with_unit
from .viewer import ColourBar, CrystalView, crystal_view, site_label

if TYPE_CHECKING:
    from .contributions import Contributions
    from .symmetry import Description

_HEIGHT = 380  # px, of a scene in a notebook
_MOST_ROWS = 60  # of its table; the rest is in `to_pandas`


def contribution_view(
    result: Contributions,
    facts: Description,
    limit: float,
    *,
    by_element: bool = False,
    supercell: tuple[int, int, int] = (1, 1, 1),
    polyhedra: bool = False,
    highlight: Sequence[int] = (),
    dark: bool = False,
    height: int | str = 480,
    key: str = "",
) -> CrystalView:
    """The scene of a crystal, its sites coloured by what they contribute, or by element.

    limit: end of the colour scale; the rest as in `viewer.crystal_view`
    """
    elements = [site.specie.symbol for site in result.structure]
    sd = result.sd if result.sd is not None else [None] * len(elements)
    known = [
        [f"{role} site" if role else "", f"Wyckoff {count}{letter}"]
        for role, count, letter in zip(result.role, facts.multiplicity, facts.wyckoff, strict=True)
    ]
    labels = [
        site_label(name, [fact for fact in about if fact], relative, raw, spread, result.unit)
        for name, about, relative, raw, spread in zip(
            site_names(result), known, result.relative, result.contribution, sd, strict=True
        )
    ]
    colours = list(map(element_colour, elements)) if by_element else contribution_colours(result.relative, limit)
    return crystal_view(
        result.structure, colours, labels, roles=result.role, supercell=supercell, polyhedra=polyhedra,
        highlight=highlight, dark=dark, height=height, key=key,
        bar=None if by_element else ColourBar("contribution per site", result.unit or "unit not known", limit),
    )  # fmt: skip


def contributions_html(result: Contributions) -> str:
    """Formula and prediction, the scene with its colour bar, and the table of the sites; for notebooks.

    The scene lives in a frame of its own, so that neither its style nor its script meets those of the notebook.
    """
    view = contribution_view(
        result, result.facts, result.colour_limit, height="100vh", key=f"notebook {formula(result)}"
    )
    scene = html.escape(view.page(formula(result)), quote=True)
    spread = "" if result.energy_sd is None else f" ± {result.energy_sd:.3f}"
    group = html.escape(result.facts.space_group)
    doubt = f"<div>{html.escape(result.doubt)}</div>" if result.doubt else ""
    return f"""<div style="max-width: 980px">
<div><b style="font-size: 1.25em">{html.escape(formula(result))}</b> &nbsp; {group} ({result.facts.number}) &nbsp;
<b>{signed(result.energy)}{spread}</b> {html.escape(result.energy_unit)} &nbsp;
<span style="opacity: .7">{html.escape(result.quantity)}, {html.escape(result.model)}</span></div>{doubt}
<div style="display: flex; flex-wrap: wrap; gap: 18px; align-items: flex-start; margin-top: 6px">
<iframe srcdoc="{scene}" title="{html.escape(formula(result))}, coloured by contribution" loading="lazy"
 style="flex: 1 1 420px; height: {_HEIGHT}px; border: 1px solid rgba(128, 128, 128, .35); border-radius: 6px"></iframe>
<div style="flex: 0 1 auto; max-height: {_HEIGHT}px; overflow: auto">{_table(result)}</div></div>
<div style="opacity: .7; font-size: .92em">{html.escape(result.reference_note)}</div></div>"""


def _table(result: Contributions) -> str:
    """The sites and their contributions; a swatch has the colour of the atom in the scene."""
    colours = contribution_colours(result.relative, result.colour_limit)
    roles = any(result.role)
    names = ["site", *(["role"] if roles else []), with_unit("relative", result.unit), with_unit("raw", result.unit)]
    head = "".join(
        f'<th style="text-align: {"left" if i < 1 + roles else "right"}; padding: 2px 9px">{html.escape(text)}</th>'
        for i, text in enumerate(names)
    )
    rows = []
    for i, name in enumerate(site_names(result)[:_MOST_ROWS]):
        swatch = (
            '<i style="display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 7px; '
            f'box-shadow: inset 0 0 0 1px rgba(128, 128, 128, .5); background: {colours[i]}"></i>'
        )
        spread = "" if result.sd is None else f" ± {result.sd[i]:.3f}"
        cells = [f'<td style="text-align: left; padding: 2px 9px">{swatch}{html.escape(name)}</td>']
        if roles:
            cells.append(f'<td style="text-align: left; padding: 2px 9px">{result.role[i] or ""}</td>')
        for text in (f"{signed(result.relative[i])}{spread}", signed(result.contribution[i])):
            cells.append(f'<td style="text-align: right; padding: 2px 9px; white-space: nowrap">{text}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    hidden = len(result.structure) - _MOST_ROWS
    more = f"<div>and {hidden} more sites: see to_pandas()</div>" if hidden > 0 else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return (
        f'<table style="font-variant-numeric: tabular-nums; border-collapse: collapse; margin: 0">{body}</table>{more}'
    )


def in_words(result: Contributions) -> str:
    """One line: what, how much, by which model."""
    spread = "" if result.energy_sd is None or math.isnan(result.energy_sd) else f" ± {result.energy_sd:.3f}"
    unit = f" {result.energy_unit}" if result.energy_unit else ""
    return f"<{formula(result)}: {result.energy:+.3f}{spread}{unit} by {result.model}, {len(result.structure)} sites>"
