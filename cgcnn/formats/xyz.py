"""Extended XYZ, one or many frames.

Read here and not by ASE, which takes what a file asks for: an array for every column that the comment line names.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TextIO

import numpy as np

from ..cell import SYMBOLS, Cell, StructureError, cell_of, checked_lattice, shortened, too_many_sites, whole_number
from . import MAX_ENTRIES, MAX_LINE
from .text import MAX_BYTES

_MOST_BLANK = 1000  # lines between two frames
_PROPERTIES = "species:S:1:pos:R:3"  # where the comment line names none
_SPECIES, _NUMBERS, _POSITIONS = ("species", "symbols"), ("z", "numbers"), ("pos", "positions")

# Each ends where its text ends, if nothing closes it, so that a comment line is read once from left to right.
_KEY = re.compile(r"\s*([^\s=]*)\s*(=?)\s*")
_PLAIN = re.compile(r"()\S*")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\\?$)'), "'": re.compile(r"'([^']*)'?"),
    "{": re.compile(r"\{([^}]*)\}?"), "[": re.compile(r"\[([^\]]*)\]?"),
}  # fmt: skip


def read_xyz(text: str, max_sites: int) -> list[tuple[str, Cell | StructureError]]:
    entries = []
    for number, frame in enumerate(frames(io.StringIO(text), max_sites), start=1):
        name = f"frame {number}"
        if number > MAX_ENTRIES:
            entries.append((name, StructureError(f"only the first {MAX_ENTRIES} frames were read; split the file")))
            break
        try:
            entries.append((name, frame if isinstance(frame, StructureError) else _cell(*frame)))
        except StructureError as error:
            entries.append((name, error))
    return entries


def frames(file: TextIO, max_sites: int) -> Iterator[tuple[int, list[str]] | StructureError]:
    """The frames of an XYZ file one by one, so that a broken one does not take the others with it.

    -> number of the line that a frame begins in, counted from 1, and its lines: number of atoms, comment, atoms; or why
    there is none. Where it cannot be told where the next frame begins, there is no further one.
    """
    at = blank = 0
    while line := file.readline(MAX_LINE + 1):
        at += 1
        if not line.strip():
            blank += 1
            if blank > _MOST_BLANK:
                yield StructureError(f"over {_MOST_BLANK} empty lines end in line {at}; nothing behind it is read")
                return
            continue
        blank = 0
        count = whole_number(line)
        if count is None:
            yield StructureError(
                f"line {at} of the XYZ file should hold a number of atoms but is '{shortened(line)}'; correct it, "
                "nothing behind it is read"
            )
            return
        begin, lines, size = at, [line], 0
        for _ in range(count + 1):
            line = file.readline(MAX_LINE + 1)
            at += 1
            size += len(line)
            if not line or len(line) > MAX_LINE or size > MAX_BYTES:
                break
            if count <= max_sites:
                lines.append(line)
        if count > max_sites:
            yield StructureError(too_many_sites(count, max_sites))
        elif len(lines) == count + 2:
            yield begin, lines
        elif not line:
            yield StructureError(
                f"the frame in line {begin} should have {count} atoms "
                f"but the file ends after {max(len(lines) - 2, 0)}; it may be cut short"
            )
        if line and len(line) <= MAX_LINE and size <= MAX_BYTES:
            continue
        if line:
            what = f"line {at}" if len(line) > MAX_LINE else f"the frame in line {begin}"
            limit = MAX_LINE if len(line) > MAX_LINE else MAX_BYTES
            yield StructureError(f"{what} has over {limit} characters, which is the limit; nothing behind it is read")
        return


def comment_fields(comment: str) -> dict[str, str]:
    """The fields of a comment line as text: key=value, values also in quotes or brackets; "T" for a key alone."""
    fields, at = {}, 0
    while at < len(comment):
        key = _KEY.match(comment, at)
        at = key.end()
        value = "T"
        if key[2]:
            found = _QUOTED.get(comment[at : at + 1], _PLAIN).match(comment, at)
            value = found[1] or (found[0] if found.re is _PLAIN else "")
            at = found.end()
            if found.re is _QUOTED['"']:
                value = re.sub(r"\\(.)", r"\1", value)
        if key[1]:
            fields[key[1].strip("\"'")] = value
    return fields


def _cell(begin: int, lines: list[str]) -> Cell:
    fields = {name.lower(): value for name, value in comment_fields(lines[1]).items()}
    if "lattice" not in fields:
        raise StructureError(
            "this XYZ file has no cell, so it is a molecule and no crystal; "
            'write Lattice="ax ay az bx by bz cx cy cz" in its second line'
        )
    vectors = fields["lattice"].replace(",", " ").split(None, 9)
    if len(vectors) != 9:
        raise StructureError(
            f"Lattice in line {begin + 1} of the XYZ file should hold nine numbers "
            f"but is '{shortened(fields['lattice'])}'; correct it"
        )
    lattice = checked_lattice(np.array([_number(word, begin + 1) for word in vectors]).reshape(3, 3))
    symbol, is_number, position, width = _columns(fields.get("properties") or _PROPERTIES, begin + 1)
    symbols, points = [], []
    for number, line in enumerate(lines[2:], start=begin + 2):
        words = line.split(None, width)
        if len(words) < width:
            raise StructureError(
                f"line {number} of the XYZ file should hold the {width} columns of an atom but is '{shortened(line)}'; "
                "correct it"
            )
        symbols.append(_symbol(words[symbol], number) if is_number else words[symbol])
        points.append([_number(word, number) for word in words[position : position + 3]])
    off = re.search(r"(?i)\bf(alse)?\b", fields.get("pbc", ""))
    notes = ("the file says pbc is off along some axes; it was read as a periodic crystal",) if off else ()
    frac = np.linalg.solve(lattice.T, np.array(points).reshape(-1, 3).T).T
    return cell_of(lattice, symbols, frac, notes)


def _columns(properties: str, line: int) -> tuple[int, bool, int, int]:
    """Column of the element, whether it holds atomic numbers, first column of the position, columns in use."""
    parts = properties.split(":")
    place, at = {}, 0
    for name, width in zip(parts[::3], parts[2::3], strict=False):
        place.setdefault(name.lower(), (at, whole_number(width)))
        at += whole_number(width, digits=3) or MAX_LINE
    symbol, number, position = (next((place[n] for n in names if n in place), None)
                                for names in (_SPECIES, _NUMBERS, _POSITIONS))  # fmt: skip
    element = symbol or number
    if not element or not position or element[1] != 1 or position[1] != 3 or max(element[0], position[0]) > 1000:
        raise StructureError(
            f"Properties in line {line} of the XYZ file should name species:S:1 and pos:R:3 "
            f"but is '{shortened(properties)}'; correct it"
        )
    return element[0], symbol is None, position[0], max(element[0] + 1, position[0] + 3)


def _symbol(word: str, line: int) -> str:
    z = whole_number(word) or 0
    if not 0 < z < len(SYMBOLS):
        raise StructureError(f"line {line} of the XYZ file has the atomic number '{shortened(word)}'; correct it")
    return SYMBOLS[z]


def _number(word: str, line: int) -> float:
    try:
        return float(word)
    except ValueError:
        raise StructureError(
            f"line {line} of the XYZ file holds '{shortened(word)}' where a number should be; correct it"
        ) from None
