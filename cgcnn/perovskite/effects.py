"""Elements of a site compared: contributions of a model beside the plain additive reference."""

from __future__ import annotations

import numpy as np
import polars as pl

from .lattice import ANION_SETS, ELEMENTS

_CODE = {
    "a": {symbol: i for i, symbol in enumerate(ELEMENTS)},
    "b": {symbol: i for i, symbol in enumerate(ELEMENTS)},
    "x": {name: i for i, name in enumerate(ANION_SETS)},
}
TRUSTED_ABOVE = 0.9  # r of element means against true effects
# Keeps the fit solvable where an element is missing, and gives that element no effect.
_RIDGE = 1e-6


def additive_effects(crystals: pl.DataFrame, energy: np.ndarray) -> dict[str, np.ndarray]:
    """Effect of every element on its site: five times its coefficient in a least-squares E = A + B + anion set.

    crystals: columns a, b, x; energy: (C,) eV/atom
    -> {"A": (52,), "B": (52,)} eV, in the order of `ELEMENTS`, centred over the elements that occur; nan for others
    """
    codes = [crystals[name].replace_strict(_CODE[name], return_dtype=pl.Int64).to_numpy() for name in "abx"]
    sizes = [len(_CODE[name]) for name in "abx"]
    first = np.cumsum([0, *sizes])
    column = np.stack(codes, axis=1) + first[:-1]  # (C, 3)
    normal, right = np.zeros((first[-1], first[-1])), np.zeros(first[-1])
    for i in range(3):
        np.add.at(right, column[:, i], energy - energy.mean())
        for j in range(3):
            np.add.at(normal, (column[:, i], column[:, j]), 1.0)
    count = np.diag(normal).copy()
    normal[np.diag_indices_from(normal)] += _RIDGE
    coefficient = np.where(count > 0, np.linalg.solve(normal, right), np.nan)
    effects = {site: 5 * coefficient[first[i] : first[i + 1]] for i, site in enumerate("AB")}
    return {site: effect - np.nanmean(effect) for site, effect in effects.items()}


def element_effects(table: pl.DataFrame, site: str, labels: pl.DataFrame | None = None) -> pl.DataFrame:
    """What the elements contribute on site "A" or "B", beside the plain additive reference, both from the same zero:
    the mean of all elements on that site.

    table: of `scored_space`, or the rows of it for some anion sets; labels: columns formula and target
    -> one row an element, in the order of `ELEMENTS`: element, crystals, booked (mean contribution) and sd (standard
    deviation over the members, null for a single one), effect (of the additive model, see `additive_effects`, fitted to
    the targets of the labels that are in the table; to the predicted energies without labels), eV per site
    """
    if site not in ("A", "B"):
        raise ValueError(f"site={site!r} must be 'A' or 'B'")
    members = np.stack(table[f"members_{site.lower()}"].to_list())  # (C, M)
    code = table[site.lower()].replace_strict(_CODE["a"], return_dtype=pl.Int64).to_numpy()
    count = np.bincount(code, minlength=len(ELEMENTS))
    total = np.stack([np.bincount(code, weights, len(ELEMENTS)) for weights in members.T], axis=1)
    with np.errstate(invalid="ignore"):
        mean = total / count[:, None]  # (52, M)
    mean -= np.nanmean(mean, axis=0)
    fitted, energy = table, "energy"
    if labels is not None:
        fitted, energy = table.join(labels.select("formula", "target"), on="formula"), "target"
    effect = (
        additive_effects(fitted, fitted[energy].to_numpy())[site] if len(fitted) else np.full(len(ELEMENTS), np.nan)
    )
    return pl.DataFrame(
        {
            "element": ELEMENTS,
            "crystals": count,
            "booked": mean.mean(1),
            "sd": mean.std(1, ddof=1) if mean.shape[1] > 1 else None,
            "effect": effect,
        },
        schema_overrides={"sd": pl.Float64},
    )


def trusted(faithfulness: dict[str, dict[str, float]], site: str) -> bool | None:
    """Whether a model's ranking of elements on site "A" or "B" can be trusted; None if it was not measured.

    faithfulness: of a card. r of 0.90 in two digits is not enough: 0.8996 and 0.9003 are the same measurement.
    """
    line = faithfulness.get(f"elements {site}")
    return None if line is None else round(line["r"], 2) > TRUSTED_ABOVE
