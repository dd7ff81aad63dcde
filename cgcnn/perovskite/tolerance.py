"""Radii and charges: Goldschmidt tolerance factor, octahedral factor, charge neutrality of ABX3.

Goldschmidt, Naturwissenschaften 14, 477 (1926); radii of Shannon, Acta Cryst. A32, 751 (1976), as pymatgen lists them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from math import sqrt

import polars as pl

from .lattice import ANION_SETS, ELEMENTS
from .space import formulas, space_codes

_CHARGE = {"H": -1, "F": -1, "Cl": -1, "Br": -1, "I": -1, "O": -2, "S": -2, "Se": -2, "Te": -2, "N": -3, "P": -3}
# Coordination numbers in the order of preference. Shannon has no 12-fold radius for many ions; below eight the radius
# says nothing of the cage. He has nitride fourfold only.
_A_COORDINATION = ("XII", "XI", "X", "IX", "VIII")
_B_COORDINATION = ("VI",)
_X_COORDINATION = ("VI", "IV")


@dataclass(frozen=True)
class Goldschmidt:
    """What ionic radii and charges say of one ABX3.

    neutral: whether common oxidation states of A and B balance the anions
    charge_a, charge_b: such states or, if there are none, rarer ones that do (seen ten times or more in the ICSD);
        those with the lowest charge on A if there are several; None if there are none
    tolerance: (r_A + r_X) / (sqrt(2) (r_B + r_X)), 1 for ideal contact, about 0.8 to 1.05 in known perovskites
    octahedral: r_B / r_X, about 0.41 to 0.73 for a stable octahedron; r_X is the mean over the three anions
        Both are None where no such states or not all radii are known.
    """

    neutral: bool
    charge_a: int | None = None
    charge_b: int | None = None
    tolerance: float | None = None
    octahedral: float | None = None


@cache
def oxidation_states(symbol: str, rare: bool = False) -> tuple[int, ...]:
    """Common oxidation states above zero, ascending; rare: also those with ten or more entries in the ICSD."""
    from pymatgen.core import Element

    element = Element(symbol)
    states = set(element.common_oxidation_states) | (set(element.icsd_oxidation_states) if rare else set())
    return tuple(sorted(state for state in states if state > 0))


def _balanced(a: str, b: str, charge: int, rare: bool) -> list[tuple[int, int]]:
    """Charges of A and B that add up, those with the lowest on A first."""
    of_b = oxidation_states(b, rare)
    return [(qa, charge - qa) for qa in oxidation_states(a, rare) if charge - qa in of_b]


@cache
def shannon_radius(symbol: str, charge: int, coordinations: tuple[str, ...]) -> float | None:
    """Ionic radius in angstrom in the first of these coordination numbers that is listed; None if none is.

    Of ions with two spin states that of the high spin.
    """
    from pymatgen.core import Species

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where an ion has only one spin state
        for coordination in coordinations:
            for spin in ("High Spin", ""):
                try:
                    return float(Species(symbol, charge).get_shannon_radius(coordination, spin, "ionic"))
                except (KeyError, ValueError):
                    continue
    return None


@cache
def _anion_radius(anions: tuple[str, ...]) -> float | None:
    radii = [shannon_radius(x, _CHARGE[x], _X_COORDINATION) for x in anions]
    return None if None in radii else sum(radii) / len(radii)


@cache
def goldschmidt(a: str, b: str, anions: tuple[str, str, str]) -> Goldschmidt:
    """Of one crystal, by element symbols; anions are halides, chalcogenides, N, P or H."""
    charge = -sum(_CHARGE[x] for x in anions)
    pairs = _balanced(a, b, charge, rare=False)
    neutral = bool(pairs)
    pairs = pairs or _balanced(a, b, charge, rare=True)
    if not pairs:
        return Goldschmidt(False)
    charge_a, charge_b = pairs[0]
    r_a, r_b = shannon_radius(a, charge_a, _A_COORDINATION), shannon_radius(b, charge_b, _B_COORDINATION)
    r_x = _anion_radius(tuple(sorted(anions)))
    if r_a is None or r_b is None or r_x is None:
        return Goldschmidt(neutral, charge_a, charge_b)
    return Goldschmidt(neutral, charge_a, charge_b, (r_a + r_x) / (sqrt(2) * (r_b + r_x)), r_b / r_x)


@cache
def space_factors() -> pl.DataFrame:
    """Of all crystals of the space: columns formula, neutral, charge_a, charge_b, tolerance, octahedral."""
    anions = list(ANION_SETS.values())
    a, b, x = (code.tolist() for code in space_codes())
    found = [goldschmidt(ELEMENTS[i], ELEMENTS[j], anions[k]) for i, j, k in zip(a, b, x, strict=True)]
    return pl.DataFrame({"formula": formulas()}).with_columns(
        pl.Series("neutral", [f.neutral for f in found], dtype=pl.Boolean),
        pl.Series("charge_a", [f.charge_a for f in found], dtype=pl.Int8),
        pl.Series("charge_b", [f.charge_b for f in found], dtype=pl.Int8),
        pl.Series("tolerance", [f.tolerance for f in found], dtype=pl.Float64),
        pl.Series("octahedral", [f.octahedral for f in found], dtype=pl.Float64),
    )
