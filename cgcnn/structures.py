"""What users bring -> pymatgen Structure, or a one-sentence reason why not.

Files are recognised by their content first and their name second: CIF, VASP POSCAR and CONTCAR, extended XYZ, and
pymatgen's JSON, each also compressed with gzip, or pasted as text. Nothing here raises for bad content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from pymatgen.core import Element, IStructure, Lattice, SiteCollection, Structure

from .cell import (
    CLOSEST,
    HEAVIEST,
    SENTENCE,
    SYMBOLS,
    Cell,
    StructureError,
    check_coordinates,
    check_density,
    checked_lattice,
    printable,
    shortened,
    too_many_sites,
    whole_atom,
    whole_number,
    wrapped,
)
from .cif import read_cif
from .formats.poscar import looks_like_poscar, read_poscar
from .formats.pymatgen_json import read_json
from .formats.text import FORMATS, MAX_BYTES, file_text
from .formats.xyz import read_xyz

DEFAULT_MAX_SITES = 1000
_LONGEST_NAME = 255  # characters, of a file
_BEGINNING = 2**21  # characters, in which a CIF shows that it is one

_ELEMENT = [None] + [Element(symbol) for symbol in SYMBOLS[1 : HEAVIEST + 1]]


@dataclass(frozen=True)
class Crystal:
    """One ordered crystal.

    source: file name, followed by ' · block' or ' · frame 2' where a file holds several
    structure: plain elements without oxidation states or site properties, every site inside the cell
    notes: what was decided while reading
    """

    source: str
    structure: Structure
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """A file, or an entry of one, that gives no crystal, and one sentence on why and what to do."""

    source: str
    reason: str


def read_file(path: str | Path, max_sites: int = DEFAULT_MAX_SITES) -> list[Crystal | Unreadable]:
    """Every crystal of a file. Never raises; a file that cannot be opened is one `Unreadable`."""
    path = Path(path)
    try:
        if path.is_dir():
            return [_unreadable(path, f"{path} is a folder; name a file in it")]
        size = path.stat().st_size
        if size > MAX_BYTES:
            return [_unreadable(path, f"{path} has {size >> 20} MB; split it, {MAX_BYTES >> 20} MB is the limit")]
        data = path.read_bytes()
    except FileNotFoundError:
        return [_unreadable(path, f"there is no file {path}; check the path")]
    except (OSError, ValueError) as error:
        return [_unreadable(path, f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}")]
    return read_crystals(path.name, data, max_sites)


def _unreadable(path: Path, reason: str) -> Unreadable:
    return Unreadable(printable(path.name)[:_LONGEST_NAME], shortened(reason, SENTENCE))


def read_crystals(name: str, data: bytes | str, max_sites: int = DEFAULT_MAX_SITES) -> list[Crystal | Unreadable]:
    """Every crystal of an uploaded file or a pasted text, in the order of the file; never empty, never raises.

    name: file name, or what to call a pasted text
    max_sites: larger cells are refused with a sentence
    """
    shown = printable(name)[:_LONGEST_NAME] or "unnamed file"
    try:
        text = file_text(data)
        if not text or text.isspace():
            raise StructureError(f"the file is empty; bring {FORMATS}")
        entries = _reader(name, text)(text, max_sites)
    except StructureError as error:
        return [Unreadable(shown, str(error))]
    several = len(entries) > 1
    found = []
    for entry, cell in entries:
        source = f"{shown} · {shortened(entry)}" if several and entry else shown
        try:
            if isinstance(cell, StructureError):
                raise cell
            check_cell(cell, max_sites)
            notes = tuple(shortened(note, SENTENCE) for note in cell.notes)
            found.append(Crystal(source, cell_to_structure(cell), notes))
        except StructureError as error:
            found.append(Unreadable(source, str(error)))
    return found


def structures_from(what: object) -> tuple[list[Structure], bool]:
    """Crystals from Python: a pymatgen Structure, ASE Atoms, the name of a file, or a list of these.

    -> plain structures as those of `Crystal`, and whether `what` was a single one of them and no list
    Raises StructureError, in a sentence that names which of them gives no crystal.
    """
    if isinstance(what, (SiteCollection, str, PathLike)) or _is_atoms(what) or not isinstance(what, Iterable):
        found = _structures_of(what)
        if len(found) > 1:
            raise StructureError(f"{what} holds {len(found)} crystals; give it in a list, as [{str(what)!r}]")
        return found, True
    found = []
    for i, one in enumerate(what):
        try:
            found += _structures_of(one)
        except StructureError as error:
            name = one if isinstance(one, (str, PathLike)) else f"entry {i} of the list"
            raise StructureError(f"{name}: {error}") from None
    return found, False


def _structures_of(one: object) -> list[Structure]:
    if isinstance(one, (str, PathLike)):
        found = read_file(one)
        for item in found:
            if isinstance(item, Unreadable):
                raise StructureError(item.reason)
        return [item.structure for item in found]
    if _is_atoms(one):
        cell = _atoms_to_cell(one)
    elif isinstance(one, IStructure):
        cell = structure_to_cell(one)
    else:
        raise StructureError(
            f"{type(one).__name__} is no crystal; give a pymatgen Structure, ASE Atoms or the name of a file"
        )
    check_cell(cell)
    return [cell_to_structure(cell)]


def _is_atoms(what: object) -> bool:
    """Whether it is ASE's Atoms; without importing ASE, which only those need who have one."""
    return any(kind.__module__ == "ase.atoms" and kind.__name__ == "Atoms" for kind in type(what).__mro__)


def _atoms_to_cell(atoms) -> Cell:
    if not all(atoms.pbc):
        raise StructureError("these ASE Atoms are not periodic in all three directions; set pbc=True for a crystal")
    lattice = np.array(atoms.cell.array, dtype=np.float64)
    if not abs(np.linalg.det(lattice)) > 1e-6:
        raise StructureError("these ASE Atoms have no cell; set its three vectors")
    frac_coords = atoms.get_scaled_positions(wrap=False)
    numbers = np.array(atoms.numbers, dtype=np.int64)
    return Cell(lattice, numbers, wrapped(frac_coords), tuple(f"{s}{i + 1}" for i, s in enumerate(atoms.symbols)))


def cell_to_structure(cell: Cell) -> Structure:
    """The pymatgen structure of a cell; sites keep their order. No checks: see `check_cell`."""
    species = [_ELEMENT[z] for z in cell.atomic_numbers.tolist()]
    return Structure(Lattice(cell.lattice), species, cell.frac_coords)


def structure_to_cell(structure: Structure) -> Cell:
    """The plain cell of a pymatgen structure, oxidation states and site properties dropped.

    Raises StructureError for disordered sites and for species that are no element.
    """
    numbers = []
    for i, site in enumerate(structure):
        occupied = [(species.symbol, amount) for species, amount in site.species.items()]
        numbers.append(whole_atom(i, occupied))
    labels = tuple(f"{SYMBOLS[z]}{i + 1}" for i, z in enumerate(numbers))
    lattice = np.array(structure.lattice.matrix, dtype=np.float64)
    return Cell(lattice, np.array(numbers, dtype=np.int64), wrapped(np.array(structure.frac_coords)), labels)


def check_cell(cell: Cell, max_sites: int | None = None) -> None:
    """Raise StructureError for a cell that is no crystal: no atoms, no volume, atoms on top of each other, too many."""
    n = len(cell)
    if n == 0:
        raise StructureError("there are no atoms; a crystal needs at least one")
    if max_sites is not None and n > max_sites:
        raise StructureError(too_many_sites(n, max_sites))
    checked_lattice(cell.lattice)
    check_coordinates(cell.frac_coords, cell.labels)
    if cell.atomic_numbers.min() < 1 or cell.atomic_numbers.max() > HEAVIEST:
        z = next(z for z in cell.atomic_numbers.tolist() if not 1 <= z <= HEAVIEST)
        raise StructureError(f"Z = {z} is no element from H to Lr (Z = 103), the ones with features; replace it")
    check_density(cell.lattice, n)
    _check_distances(cell)


def _check_distances(cell: Cell) -> None:
    from .graph import neighbours_within  # imported late: it needs torch

    points = np.ascontiguousarray(cell.frac_coords @ cell.lattice)
    # A search within CLOSEST itself would sort the atoms into thousands of tiny boxes and take 30 times longer.
    i, j, distance = neighbours_within(np.ascontiguousarray(cell.lattice), points, max(1.5, CLOSEST))
    if distance.min(initial=np.inf) <= CLOSEST:
        k = int(distance.argmin())
        names = [cell.labels[s] if cell.labels else f"{SYMBOLS[cell.atomic_numbers[s]]}{s + 1}" for s in (i[k], j[k])]
        raise StructureError(
            f"sites {names[0]} and {names[1]} are {distance[k]:.3f} angstrom apart, nearer than any bond; "
            "remove one of them, or check the cell and the coordinates"
        )


# --- from text to a format --------------------------------------------------------------------------------------------


def _reader(name: str, text: str) -> Callable:
    """The function that reads this text: (text, max_sites) -> list of (entry name, Cell or StructureError)."""
    lines = text.split("\n", 8)
    if text.lstrip()[:1] in ("{", "["):
        return read_json
    if looks_like_poscar(lines):
        return read_poscar
    if whole_number(lines[0], digits=4000) is not None:
        return read_xyz
    if re.search(r"(?im)^[ \t]*(data_|loop_[ \t]*$|_cell[_.]|_atom_site[_.]|#\\#CIF)", text[:_BEGINNING]):
        return read_cif
    lower = name.lower().removesuffix(".gz")
    if lower.endswith((".cif", ".mcif", ".mmcif")):
        return read_cif
    if re.match(r"(poscar|contcar)", lower) or lower.endswith((".poscar", ".contcar", ".vasp")):
        return read_poscar
    if lower.endswith((".xyz", ".extxyz")):
        return read_xyz
    if lower.endswith(".json"):
        return read_json
    begins = shortened(text, 30)
    raise StructureError(f"'{begins}' does not begin like any format that is read here; bring {FORMATS}")
