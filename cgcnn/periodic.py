"""Order and place of the elements: the periodic table, and Mendeleev numbers for axes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from .cell import HEAVIEST, SYMBOLS

ELEMENTS = SYMBOLS[1 : HEAVIEST + 1]  # H to Lr
COLUMNS = 18


@cache
def place(symbol: str) -> tuple[int, int]:
    """Column (1 to 18) and row (1 to 7; 8 for Ce to Lu, 9 for Th to Lr, from column 4 on) of an element."""
    from pymatgen.core import Element

    z, period = Element(symbol).Z, Element(symbol).row
    if 58 <= z <= 71:
        return z - 54, 8
    if 90 <= z <= 103:
        return z - 86, 9
    return Element(symbol).group, period


@cache
def mendeleev_number(symbol: str) -> float:
    """Pettifor's number, by which chemically similar elements are neighbours; inf for what has none."""
    from pymatgen.core import Element

    try:
        return float(Element(symbol).mendeleev_no)
    except (TypeError, ValueError):
        return float("inf")


def by_mendeleev_number(symbols: Iterable[str]) -> list[str]:
    """Element symbols in the order of their Mendeleev numbers."""
    return sorted(symbols, key=lambda symbol: (mendeleev_number(symbol), symbol))


@cache
def element_name(symbol: str) -> str:
    """Titanium for Ti."""
    from pymatgen.core import Element

    return Element(symbol).long_name
