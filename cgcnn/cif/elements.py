"""Type symbols and labels of sites -> atomic numbers."""

from __future__ import annotations

import re
from functools import lru_cache

from gemmi import cif

from ..cell import ATOMIC_NUMBER, HEAVIEST, HYDROGEN_ISOTOPES, StructureError, atomic_number, shortened
from .formula import read_formula

# Names of vacancies, lone pairs, centroids and "some metal": their first letters would pass for V, C, H or W.
_DUMMIES = {"x", "xx", "va", "vac", "vc", "lp", "du", "dum", "dummy", "q", "m", "me", "ln", "a", "r", "cg", "cnt",
            "bq", "gh"}  # fmt: skip
_WATER_OXYGEN = {"wat", "ow", "owat", "oh", "oh2"}  # groups named for their oxygen, hydrogens not located


def atomic_numbers(block: cif.Block, types: list[str] | None, labels: list[str] | None, notes: list[str]) -> list[int]:
    """Atomic numbers from the type symbols, from the labels where those are missing."""
    numbers, formula = [], None
    for i, text in enumerate(types or labels):
        z = ATOMIC_NUMBER.get(text, 0)
        if not z or z > HEAVIEST:
            is_type = types is not None
            if is_type and text in ("?", ".") and labels is not None:
                text, is_type = labels[i], False
            if formula is None:
                formula = frozenset(read_formula(block) or ())
            z, note = _element(cif.as_string(text)[:100], is_type, formula)
            if note:
                notes.append(note)
        numbers.append(z)
    return numbers


@lru_cache(maxsize=4096)
def _element(text: str, is_type: bool, formula: frozenset[str]) -> tuple[int, str]:
    """Atomic number of a type symbol (Sr2+, SR, 18O) or a label (Sr1, O1A), and a note where it took a guess.

    formula: elements of the file's formula, which tell Co from C and O, or Ho from H
    Raises StructureError for dummies, unknown names and elements beyond Lr.
    """
    found = re.match(r"\s*\d*([A-Za-z]+)", text)
    letters = found[1] if found else ""
    low = letters.lower()
    if low in _WATER_OXYGEN:
        return 8, f"{shortened(text)} was read as O; its hydrogen atoms are not listed"
    if low in ("d", "t") or (not is_type and re.match(r"[DdTt]\d", text)):
        return 1, f"{HYDROGEN_ISOTOPES[letters[0].upper()]} was read as hydrogen"
    two, one = letters[:2].capitalize(), letters[:1].upper()
    if not letters or low in _DUMMIES:
        raise StructureError(_unknown_element(text))
    choices = [s for s in (two, one) if s in ATOMIC_NUMBER]
    if len(choices) == 2 and two != one and is_type and len(letters) <= 2:
        choices = [two]
    elif len(choices) == 2 and two != one:  # a label such as CO1 or HO1
        known = [s for s in choices if s in formula]
        choices = known if len(known) == 1 else choices
    if is_type and len(letters) > 2 or not choices:
        raise StructureError(_unknown_element(text))
    guessed = is_type and len(letters) != len(choices[0])
    return atomic_number(choices[0]), f"{shortened(text)} was read as {choices[0]}" if guessed else ""


def _unknown_element(text: str) -> str:
    return (
        f"'{shortened(text)}' is no chemical element; "
        "name the element of this site, or remove the site if nothing is there"
    )
