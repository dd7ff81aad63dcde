"""Single values of a CIF data block."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gemmi import cif

from ..cell import StructureError, shortened


def known_value(block: cif.Block, *tags: str) -> str:
    """The first known value among these tags, quotes removed; empty where there is none."""
    for tag in tags:
        raw = block.find_value(tag)
        if raw and raw not in "?.":
            text = cif.as_string(raw).strip()
            if text and text not in "?.":
                return text
    return ""


def to_number(raw: str, what: str) -> float:
    """A CIF number, uncertainty dropped; simple fractions such as 1/3 are accepted."""
    number = cif.as_number(raw)
    if number == number:
        return number
    text = cif.as_string(raw).strip() if raw else ""
    if text in ("", "?", "."):
        raise StructureError(f"{what} is not known ('{text or '?'}' in the file); fill it in, or remove the site")
    number = cif.as_number(text)
    if number == number:
        return number
    fraction = re.fullmatch(r"([+-]?\d{1,9})/(\d{1,9})", text, re.ASCII)
    if fraction and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    comma = re.fullmatch(r"[+-]?\d{0,20},\d{1,20}(\(\d{1,9}\))?", text)
    hint = "use a point as decimal sign" if comma else "write a decimal number"
    raise StructureError(f"{what} is '{shortened(text)}', which is not a number; {hint}")


def first_few(names: Iterable[str], limit: int = 5) -> str:
    """'A, B', or 'A, B, C, D, E and 3 more'."""
    names = list(names)
    return ", ".join(map(shortened, names[:limit])) + (f" and {len(names) - limit} more" if len(names) > limit else "")
