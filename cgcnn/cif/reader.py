"""CIF text -> data blocks -> cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import cos, inf, radians

import numpy as np
from gemmi import cif

from ..cell import Cell, StructureError, check_density, checked_lattice, shortened
from ..formats import MAX_ENTRIES
from .expansion import expand
from .formula import formula_notes
from .sites import atom_columns, no_atoms, read_rows
from .symmetry import read_symmetry
from .values import to_number

_MOST_WORDS = 10_000_000  # gemmi takes 33 bytes for each
_MOST_BLOCKS = 10_000  # with and without atoms; a journal's file has a hundred
# Exact where cos(radians(x)) is off in the last digit.
_COSINE = {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}


def read_cif(
    text: str, max_sites: int | None = None, most: int = MAX_ENTRIES
) -> list[tuple[str, Cell | StructureError]]:
    """All crystals of a CIF: one (block name, cell or reason why not) per data block that lists atoms.

    Blocks without atoms, such as the `data_global` of a journal, are left out unless there is no other. Never raises:
    where the text as a whole is no CIF, the only entry is ("", StructureError).
    max_sites: cells with more sites than this are refused before they cost time; None for no limit
    most: crystals that are read, a sentence says where there are more
    """
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > _MOST_BLOCKS and (problem := _beyond_limits(text)):
        return [("", StructureError(problem))]
    try:
        blocks = [(block.name.strip(), block) for block in cif.read_string(text, 0)]
    except (ValueError, RuntimeError):
        return _read_piecewise(text, max_sites, most)
    return _read_blocks(blocks, max_sites, most)


def _beyond_limits(text: str) -> str:
    if text.count(" ") + text.count("\n") > _MOST_WORDS:
        return f"the CIF has over {_MOST_WORDS} words, which is the limit; split the file"
    if text.count("data_") + text.count("DATA_") > _MOST_BLOCKS:
        return f"the CIF has over {_MOST_BLOCKS} blocks, which is the limit; split the file"
    return ""


def read_first_cell(text: str, max_sites: int | None = None) -> Cell:
    """The first crystal of a CIF, for tables that hold one crystal per row.

    Raises StructureError where its first crystal is unreadable.
    """
    entries = read_cif(text, max_sites, most=1)
    if not entries:
        raise StructureError("the CIF text is empty")
    cell = entries[0][1]
    if isinstance(cell, StructureError):
        raise cell
    return cell


# --- data blocks ------------------------------------------------------------------------------------------------------


def _read_blocks(
    blocks: list[tuple[str, cif.Block | StructureError]], max_sites: int | None, most: int
) -> list[tuple[str, Cell | StructureError]]:
    entries, empty = [], []
    for name, block in blocks:
        if len(entries) == most:
            if most > 1:
                entries.append((name, StructureError(f"only the first {most} crystals were read; split the file")))
            break
        if isinstance(block, StructureError):
            entries.append((name, block))
            continue
        try:
            columns = atom_columns(block, max_sites)
            if columns is None:
                empty.append((name, no_atoms(block)))
                continue
            entries.append((name, _read_block(block, columns, max_sites)))
        except StructureError as error:
            entries.append((name, error))
    nothing = StructureError("the CIF holds no data block, only remarks; bring a .cif file with a cell and atoms")
    return entries or empty[:1] or [("", nothing)]


def _read_block(block: cif.Block, columns: dict[str, list[str]], max_sites: int | None) -> Cell:
    notes: list[str] = []
    lattice = _lattice(block, notes)
    rows = read_rows(block, columns, lattice, notes)
    check_density(lattice, len(rows), at_least=True)
    expanded = expand(block, read_symmetry(block, lattice, notes), rows, lattice, max_sites, notes)
    numbers = rows.numbers[expanded.row]
    labels = tuple([rows.labels[row] for row in expanded.row.tolist()])
    notes += expanded.notes
    notes += formula_notes(block, numbers)
    return Cell(lattice, numbers, expanded.frac, labels, tuple(dict.fromkeys(notes)))


def _lattice(block: cif.Block, notes: list[str]) -> np.ndarray:
    """(3, 3) angstrom, a along x and b in the xy plane."""
    lengths, angles = [], []
    for name in "abc":
        raw = block.find_value(f"_cell_length_{name}") or block.find_value(f"_cell.length_{name}")
        if not raw or cif.is_null(raw):
            raise StructureError(f"the cell is missing: _cell_length_{name} is not given; add the three cell lengths")
        lengths.append(to_number(raw, f"_cell_length_{name}"))
    for name in ("alpha", "beta", "gamma"):
        raw = block.find_value(f"_cell_angle_{name}") or block.find_value(f"_cell.angle_{name}")
        if not raw or cif.is_null(raw):
            notes.append(f"_cell_angle_{name} is not given and was taken as 90 degrees")
            angles.append(90.0)
        else:
            angles.append(to_number(raw, f"_cell_angle_{name}"))
    cos_a, cos_b, cos_g = [_COSINE[angle] if angle in _COSINE else cos(radians(angle)) for angle in angles]
    sin_g = (1 - cos_g * cos_g) ** 0.5
    cy = (cos_a - cos_b * cos_g) / sin_g if sin_g > 1e-6 else inf
    cz2 = 1 - cos_b * cos_b - cy * cy
    if min(lengths) <= 0 or not cz2 > 1e-8 or not all([0 < angle < 180 for angle in angles]):
        shown = "a, b, c = {:g}, {:g}, {:g} angstrom and {:g}, {:g}, {:g} degrees".format(*lengths, *angles)
        if min(lengths) <= 0:
            raise StructureError(f"the cell {shown} has a length that is not positive; correct it")
        raise StructureError(f"the cell {shown} has no volume; correct the angles")
    a, b, c = lengths
    return checked_lattice(np.array(((a, 0.0, 0.0), (b * cos_g, b * sin_g, 0.0), (c * cos_b, c * cy, c * cz2**0.5))))


# --- syntax errors ----------------------------------------------------------------------------------------------------


def _read_piecewise(text: str, max_sites: int | None, most: int) -> list[tuple[str, Cell | StructureError]]:
    """The readable data blocks of a file with a syntax error, and a sentence for each of the others."""
    if not re.search(r"(?im)^[ \t]*(data_|loop_|_\w)", text):
        start = shortened(text, 30)
        problem = f"this is not a CIF: it starts with '{start}' and has no data_ line" if start else "the file is empty"
        return [("", StructureError(f"{problem}; bring a .cif file with a cell and atoms"))]
    blocks = []
    for name, first_line, piece in _pieces(text):
        try:
            blocks.append((name, cif.read_string(piece, 0)[0]))
        except (ValueError, RuntimeError) as problem:
            blocks.append((name, StructureError(_syntax_sentence(str(problem), first_line, piece))))
    return _read_blocks(blocks, max_sites, most)


def _pieces(text: str) -> Iterator[tuple[str, int, str]]:
    """(block name, number of lines before it, text) per data block; text fields between semicolons are not searched."""
    lines = text.split("\n")
    starts, in_text = [], False
    for number, line in enumerate(lines):
        if line.startswith(";"):
            in_text = not in_text
        elif not in_text and line[:5].lower() == "data_":
            starts.append(number)
    if not starts:  # a file whose header was lost; it goes on the first line so that line numbers stay true
        yield "", 0, "data_ " + text
        return
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start].split()[0][5:], start, "\n".join(lines[start:end])


def _syntax_sentence(problem: str, lines_before: int, piece: str) -> str:
    found = re.match(r"string:(\d+)(?::\d+\(\d+\))?[:\s]*(.*)", problem, re.DOTALL)
    line, what = (int(found[1]), shortened(found[2], 100)) if found else (1, shortened(problem, 100))
    if "number of values in loop" in what:
        loop = re.match(r"\s*loop_((?:\s+_\S+)+)", "\n".join(piece.split("\n")[line - 1 :]), re.IGNORECASE)
        columns = f"its {len(loop[1].split())} columns" if loop else "its columns"
        what = f"the loop that starts here has a number of values that is no multiple of {columns}"
    elif what == "parse error":
        shown = shortened(piece.split("\n")[line - 1]) if line <= piece.count("\n") + 1 else ""
        what = f"'{shown}' is out of place" if shown else "a value or a loop is incomplete"
    return (
        f"CIF syntax error in line {lines_before + line}: {what}; "
        "the file may be cut short, so download or export it again, or mend that line"
    )
