"""Crystals from files and from standard input."""

from __future__ import annotations

import sys

STANDARD_INPUT = "-"


def read(file: str, max_sites: int | None = None) -> list:
    """`structures.read_file`; of standard input for "-", whose format is found as that of a pasted text."""
    from ..formats.text import MAX_BYTES
    from ..structures import DEFAULT_MAX_SITES, read_crystals, read_file

    limit = max_sites or DEFAULT_MAX_SITES
    if file == STANDARD_INPUT:
        return read_crystals("standard input", sys.stdin.buffer.read(MAX_BYTES + 1), limit)
    return read_file(file, limit)
