"""The file's own formula, and whether the atoms agree with it."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from gemmi import cif

from ..cell import ATOMIC_NUMBER, HYDROGEN_ISOTOPES, SYMBOLS, shortened
from .values import known_value

_FORMULA = ("_chemical_formula_sum", "_chemical_formula.sum")


def read_formula(block: cif.Block) -> dict[str, float] | None:
    """Elements and amounts of the file's formula, D counted as H; None where it has none."""
    text = known_value(block, *_FORMULA)
    if not text:
        return None
    formula: Counter[str] = Counter()
    for part in text.replace("'", "").split():
        found = re.fullmatch(r"([A-Z][a-z]?)(\d{0,9}\.?\d{0,9})", part)
        symbol = found[1] if found else ""
        if symbol in HYDROGEN_ISOTOPES:
            symbol = "H"
        if symbol not in ATOMIC_NUMBER:
            return None
        formula[symbol] += float(found[2]) if found[2] not in ("", ".") else 1.0
    return dict(formula)


def formula_notes(block: cif.Block, numbers: np.ndarray) -> list[str]:
    """A note where the file's formula, or its number of formula units, disagrees with the atoms."""
    formula = read_formula(block)
    if not formula:
        return []
    atoms = Counter(SYMBOLS[z] for z in numbers.tolist())
    units = {symbol: atoms[symbol] / amount if amount else 0.0 for symbol, amount in formula.items()}
    z = max(units.values())
    if set(atoms) != set(formula) or min(units.values()) < 0.99 * z:
        text = shortened(known_value(block, *_FORMULA), 80)
        return [f"the file's formula is {text} but the listed atoms give {_formula_text(atoms)}"]
    stated = cif.as_number(known_value(block, "_cell_formula_units_Z", "_cell.formula_units_Z"))
    if not stated > 0 or abs(stated - z) <= 0.01 * z:
        return []
    # The Materials Project writes the formula of the whole cell, so that it is there once, whatever Z says.
    if abs(z - 1) > 0.01 or any(amount % stated for amount in formula.values()):
        return [f"the file says {stated:g} formula units in the cell but the listed atoms give {z:g}"]
    return []


def _formula_text(atoms: Counter[str]) -> str:
    divisor = int(np.gcd.reduce(list(atoms.values())))
    return " ".join(f"{s}{n // divisor if n > divisor else ''}" for s, n in sorted(atoms.items()))
