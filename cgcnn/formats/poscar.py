"""VASP's POSCAR and CONTCAR."""

from __future__ import annotations

import re

import numpy as np

from ..cell import (
    ATOMIC_NUMBER,
    HYDROGEN_ISOTOPES,
    Cell,
    StructureError,
    cell_of,
    checked_lattice,
    shortened,
    too_many_sites,
    whole_number,
)
from . import check_line

_HEAD = 50  # more lines than stand before the atoms


def looks_like_poscar(lines: list[str]) -> bool:
    return len(lines) > 5 and _floats(lines[1], 1) is not None and all(_floats(line, 3) for line in lines[2:5])


def read_poscar(text: str, max_sites: int) -> list[tuple[str, Cell | StructureError]]:
    """VASP 4 and 5 format, scaled, selective dynamics, direct or cartesian."""
    lines = text.split("\n", max_sites + _HEAD)[: max_sites + _HEAD]
    for number, line in enumerate(lines, start=1):
        check_line(number, line)

    def numbers_of(index: int, what: str, count: int = 3) -> list[float]:
        values = _floats(lines[index], count) if index < len(lines) else None
        if values is None:
            shown = f"'{shortened(lines[index])}'" if index < len(lines) else "the end of the file"
            raise StructureError(f"line {index + 1} of the POSCAR should hold {what} but is {shown}; correct it")
        return values

    lattice = np.array([numbers_of(i, "a cell vector of three numbers") for i in (2, 3, 4)])
    scale = np.array(_floats(lines[1], 3) or numbers_of(1, "the scaling factor", 1))
    if len(scale) == 1 and scale[0] < 0:  # VASP: a negative factor is the volume
        volume = abs(np.linalg.det(lattice))
        scale = np.cbrt(-scale / volume) if volume > 0 else np.ones(1)
    if not (scale > 0).all():
        raise StructureError(f"the scaling factor in line 2 of the POSCAR is '{shortened(lines[1])}'; it must not be 0")
    lattice = checked_lattice(lattice * scale)

    at = 5
    words = _words(lines, at)
    names = None
    if words and not _is_count(words[0]):
        names, at = words, at + 1
        words = _words(lines, at)
    if not words or not all(map(_is_count, words)):
        raise StructureError(f"line {at + 1} of the POSCAR should hold numbers of atoms, such as '1 1 3'; correct it")
    counts = [int(w) for w in words]
    total = sum(counts)
    if total > max_sites:
        raise StructureError(too_many_sites(total, max_sites))
    at += 1
    if _first_letter(lines, at) == "s":  # selective dynamics
        at += 1
    cartesian = _first_letter(lines, at) in ("c", "k")
    at += 1
    coords = np.array([numbers_of(at + i, "the coordinates of an atom") for i in range(total)]).reshape(-1, 3)
    symbols, notes = _symbols(lines, names, counts, at)
    frac = np.linalg.solve(lattice.T, (coords * scale).T).T if cartesian else coords
    return [("", cell_of(lattice, symbols, frac, notes))]


def _symbols(lines, names, counts, first_atom) -> tuple[list[str], tuple[str, ...]]:
    """One symbol per atom: from the element line, else from the comment line, else from behind the coordinates."""
    if names is not None:
        names = [re.split(r"[_/.]", name)[0] for name in names]  # Ti_pv, Sr_sv/0a1b2c
        if len(names) != len(counts):
            raise StructureError(
                f"the POSCAR names {len(names)} elements ({shortened(' '.join(names))}) "
                f"but gives {len(counts)} numbers of atoms; write one number for each element"
            )
        return [s for s, count in zip(names, counts, strict=True) for _ in range(count)], ()
    in_comment = [word for word in lines[0].split() if word in ATOMIC_NUMBER or word in HYDROGEN_ISOTOPES]
    if len(in_comment) == len(counts):
        note = f"the elements {' '.join(in_comment)} were taken from the comment line"
        return [s for s, count in zip(in_comment, counts, strict=True) for _ in range(count)], (note,)
    last = [line.split()[-1] for line in lines[first_atom : first_atom + sum(counts)]]
    if last and all(word in ATOMIC_NUMBER or word == "D" for word in last):
        return last, ("the elements were taken from behind the coordinates",)
    raise StructureError(
        "the POSCAR does not name its elements (VASP 4 format); "
        f"write a line such as '{' '.join(['Sr', 'Ti', 'O', 'N'][: len(counts)])}' above the numbers of atoms"
    )


def _floats(line: str, count: int) -> list[float] | None:
    """The first `count` numbers of a line (1.0d0 counts), None where there are fewer."""
    words = line[:1000].split(None, count)[:count]
    try:
        return [float(w.lower().replace("d", "e")) for w in words] if len(words) == count else None
    except ValueError:
        return None


def _words(lines: list[str], index: int) -> list[str]:
    return re.split(r"[!#]", lines[index], maxsplit=1)[0].split() if index < len(lines) else []


def _is_count(word: str) -> bool:
    return whole_number(word) is not None


def _first_letter(lines: list[str], index: int) -> str:
    return lines[index].strip()[:1].lower() if index < len(lines) else ""
