"""Extended XYZ, one or many frames."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np

from ..cell import Cell, StructureError, cell_of, too_many_sites, with_volume
from . import MAX_ENTRIES


def read_xyz(text: str, max_sites: int) -> list[tuple[str, Cell | StructureError]]:
    entries = []
    for number, frame in enumerate(_frames(text), start=1):
        name = f"frame {number}"
        if number > MAX_ENTRIES:
            entries.append((name, StructureError(f"only the first {MAX_ENTRIES} frames were read; split the file")))
            break
        try:
            entries.append((name, frame if isinstance(frame, StructureError) else _frame(frame, max_sites)))
        except StructureError as error:
            entries.append((name, error))
    return entries


def _frames(text: str) -> Iterator[str | StructureError]:
    """The frames of an XYZ file one by one, so that a broken frame does not take the others with it."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        if not lines[at].strip().isdigit():
            yield StructureError(
                f"line {at + 1} of the XYZ file should hold a number of atoms "
                f"but is '{lines[at].strip()[:40]}'; correct it"
            )
            return
        count = int(lines[at])
        frame = lines[at : at + count + 2]
        if len(frame) < count + 2:
            yield StructureError(
                f"the frame in line {at + 1} should have {count} atoms "
                f"but the file ends after {max(len(frame) - 2, 0)}; it may be cut short"
            )
            return
        yield "\n".join(frame) + "\n"
        at += count + 2


def _frame(frame: str, max_sites: int) -> Cell:
    count, comment = frame.split("\n", 2)[:2]
    if int(count) > max_sites:
        raise StructureError(too_many_sites(int(count), max_sites))
    if not re.search(r"\blattice\s*=", comment, re.IGNORECASE):
        raise StructureError(
            "this XYZ file has no cell, so it is a molecule and no crystal; "
            'write Lattice="ax ay az bx by bz cx cy cz" in its second line'
        )
    from ase.io import read  # imported late: most users bring other formats

    try:
        atoms = read(io.StringIO(frame), format="extxyz")
    except Exception as error:  # ASE lets through whatever its parsing steps raise
        raise StructureError(f"the XYZ frame cannot be read: {_first_line(error)}; correct that value") from None
    lattice = np.array(atoms.cell.array, dtype=np.float64)
    notes = () if atoms.pbc.all() else ("the file says pbc is off along some axes; it was read as a periodic crystal",)
    frac = np.linalg.solve(with_volume(lattice).T, atoms.positions.T).T
    return cell_of(lattice, atoms.get_chemical_symbols(), frac, notes)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120].rstrip(".;")
