"""What users bring -> pymatgen Structure, or a one-sentence reason why not.

Files are recognised by their content first and their name second: CIF, VASP POSCAR and CONTCAR, extended XYZ, and
pymatgen's JSON, each also compressed with gzip, or pasted as text. Nothing here raises for bad content.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from .cif import (
    FULL_OCCUPANCY,
    HEAVIEST,
    SYMBOLS,
    Cell,
    StructureError,
    read_cif,
    shortened,
    too_many_sites,
    wrapped,
)

DEFAULT_MAX_SITES = 1000
# Two atoms closer than this are a mistake in the file; the shortest bond of all, H-H, measures 0.74.
CLOSEST = 0.4  # angstrom
_MAX_FRAMES = 1000
_MAX_BYTES = 64 * 2**20  # of one unpacked file

_ATOMIC_NUMBER = {symbol: z for z, symbol in enumerate(SYMBOLS) if z} | {"D": 1, "T": 1}
_ELEMENT = [None] + [Element(symbol) for symbol in SYMBOLS[1 : HEAVIEST + 1]]
_FORMATS = "a CIF, a POSCAR, an extended XYZ file or pymatgen's JSON"


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
            return [Unreadable(path.name, f"{path} is a folder; name a file in it")]
        if path.stat().st_size > _MAX_BYTES:
            return [Unreadable(path.name, f"{path} has {path.stat().st_size >> 20} MB; split it, 64 MB is the limit")]
        data = path.read_bytes()
    except FileNotFoundError:
        return [Unreadable(path.name, f"there is no file {path}; check the path")]
    except (OSError, ValueError) as error:
        return [Unreadable(path.name, f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}")]
    return read_crystals(path.name, data, max_sites)


def read_crystals(name: str, data: bytes | str, max_sites: int = DEFAULT_MAX_SITES) -> list[Crystal | Unreadable]:
    """Every crystal of an uploaded file or a pasted text, in the order of the file; never empty, never raises.

    name: file name, or what to call a pasted text
    max_sites: larger cells are refused with a sentence
    """
    try:
        text = data if isinstance(data, str) else _decode(data)
        if not text.strip():
            raise StructureError(f"the file is empty; bring {_FORMATS}")
        entries = _reader(name, text)(text, max_sites)
    except StructureError as error:
        return [Unreadable(name, str(error))]
    several = len(entries) > 1
    found = []
    for entry, cell in entries:
        source = f"{name} · {entry}" if several and entry else name
        try:
            if isinstance(cell, StructureError):
                raise cell
            check_cell(cell, max_sites)
            found.append(Crystal(source, cell_to_structure(cell), cell.notes))
        except StructureError as error:
            found.append(Unreadable(source, str(error)))
    return found


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
        numbers.append(_one_element(i, occupied))
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
    if not (np.isfinite(cell.lattice).all() and np.isfinite(cell.frac_coords).all()):
        raise StructureError("the cell or a coordinate is not a finite number; correct the file")
    if cell.atomic_numbers.min() < 1 or cell.atomic_numbers.max() > HEAVIEST:
        z = next(z for z in cell.atomic_numbers.tolist() if not 1 <= z <= HEAVIEST)
        raise StructureError(f"Z = {z} is no element from H to Lr (Z = 103), the ones with features; replace it")
    a, b, c = np.linalg.norm(cell.lattice, axis=1)
    volume = abs(np.linalg.det(cell.lattice))
    faces = np.linalg.norm(np.cross(cell.lattice[[1, 2, 0]], cell.lattice[[2, 0, 1]]), axis=1)
    lengths = f"a, b, c = {a:.4g}, {b:.4g}, {c:.4g} angstrom"
    if not volume > 1e-6 or not (volume / faces > CLOSEST / 2).all():
        raise StructureError(f"the cell ({lengths}, volume {volume:.3g} cubic angstrom) is flat; correct its vectors")
    if min(a, b, c) < CLOSEST:
        raise StructureError(f"the cell edges {lengths} are too short for atoms; lengths must be in angstrom")
    if max(a, b, c) > 1e4:
        raise StructureError(f"the cell edges {lengths} are too long for a crystal; lengths must be in angstrom")
    _check_distances(cell)


def _check_distances(cell: Cell) -> None:
    from .graph import neighbours_within  # imported late: it needs torch

    points = np.ascontiguousarray(cell.frac_coords @ cell.lattice)
    i, j, distance = neighbours_within(np.ascontiguousarray(cell.lattice), points, CLOSEST)
    if len(distance):
        k = int(distance.argmin())
        names = [cell.labels[s] if cell.labels else f"{SYMBOLS[cell.atomic_numbers[s]]}{s + 1}" for s in (i[k], j[k])]
        raise StructureError(
            f"sites {names[0]} and {names[1]} are {distance[k]:.3f} angstrom apart, nearer than any bond; "
            "remove one of them, or check the cell and the coordinates"
        )


# --- from bytes to a format -------------------------------------------------------------------------------------------

_SIGNATURES = {
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF8": "a GIF picture", b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive or an Office document", b"\xd0\xcf\x11\xe0": "an old Office document",
    b"BZh": "a bzip2 archive", b"\xfd7zXZ": "an xz archive", b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive",
    b"\x89HDF": "an HDF5 file", b"PAR1": "a Parquet table", b"CDF\x01": "a NetCDF file",
    b"- of Ulm": "an ASE trajectory",
}  # fmt: skip


def _decode(data: bytes) -> str:
    """Bytes -> text; UTF-8, UTF-16 with its mark, else Latin-1, which old crystallographic files use."""
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(_MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            raise StructureError("the gzip file is damaged; compress it again, or bring it unpacked") from None
        if len(data) > _MAX_BYTES:
            raise StructureError("the file unpacks to more than 64 MB; split it")
    for signature, what in _SIGNATURES.items():
        if data.startswith(signature):
            raise StructureError(f"this is {what}, not a crystal structure; bring {_FORMATS}")
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        if b"\0" in data:
            raise StructureError(f"this is a binary file, not a crystal structure; bring {_FORMATS}")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _reader(name: str, text: str) -> Callable:
    """The function that reads this text: (text, max_sites) -> list of (entry name, Cell or StructureError)."""
    text = text.lstrip("\ufeff")
    lines = text.split("\n", 8)
    start = text.lstrip()[:1]
    if start in "{[" and start:
        return _read_json
    if _looks_like_poscar(lines):
        return _read_poscar
    if re.fullmatch(r"\s*\d+\s*", lines[0]):
        return _read_xyz
    if re.search(r"(?im)^\s*(data_|loop_\s*$|_cell[_.]|_atom_site[_.]|#\\#CIF)", text):
        return read_cif
    lower = name.lower().removesuffix(".gz")
    if lower.endswith((".cif", ".mcif", ".mmcif")):
        return read_cif
    if re.match(r"(poscar|contcar)", lower) or lower.endswith((".poscar", ".contcar", ".vasp")):
        return _read_poscar
    if lower.endswith((".xyz", ".extxyz")):
        return _read_xyz
    if lower.endswith(".json"):
        return _read_json
    begins = " ".join(text.split())[:30]
    raise StructureError(f"'{begins}' does not begin like any format that is read here; bring {_FORMATS}")


# --- POSCAR -----------------------------------------------------------------------------------------------------------


def _floats(line: str, count: int) -> list[float] | None:
    """The first `count` numbers of a line (1.0d0 counts), None where there are fewer."""
    words = line.split()[:count]
    try:
        return [float(w.lower().replace("d", "e")) for w in words] if len(words) == count else None
    except ValueError:
        return None


def _looks_like_poscar(lines: list[str]) -> bool:
    return len(lines) > 5 and _floats(lines[1], 1) is not None and all(_floats(line, 3) for line in lines[2:5])


def _read_poscar(text: str, max_sites: int) -> list[tuple[str, Cell | StructureError]]:
    """VASP 4 and 5 format, scaled, selective dynamics, direct or cartesian."""
    lines = text.splitlines()

    def numbers_of(index: int, what: str, count: int = 3) -> list[float]:
        values = _floats(lines[index], count) if index < len(lines) else None
        if values is None:
            shown = f"'{lines[index].strip()[:40]}'" if index < len(lines) else "the end of the file"
            raise StructureError(f"line {index + 1} of the POSCAR should hold {what} but is {shown}; correct it")
        return values

    lattice = np.array([numbers_of(i, "a cell vector of three numbers") for i in (2, 3, 4)])
    scale = np.array(_floats(lines[1], 3) or numbers_of(1, "the scaling factor", 1))
    if len(scale) == 1 and scale[0] < 0:  # VASP: a negative factor is the volume
        volume = abs(np.linalg.det(lattice))
        scale = np.cbrt(-scale / volume) if volume > 0 else np.ones(1)
    if not (scale > 0).all():
        raise StructureError(f"the scaling factor in line 2 of the POSCAR is '{shortened(lines[1])}'; it must not be 0")
    lattice = lattice * scale

    at = 5
    words = _words(lines, at)
    names = None
    if words and not words[0].isdigit():
        names, at = words, at + 1
        words = _words(lines, at)
    if not words or not all(w.isdigit() for w in words):
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
    symbols, notes = _poscar_symbols(lines, names, counts, at)
    frac = np.linalg.solve(_with_volume(lattice).T, (coords * scale).T).T if cartesian else coords
    return [("", _cell(lattice, symbols, frac, notes))]


def _words(lines: list[str], index: int) -> list[str]:
    return re.split(r"[!#]", lines[index])[0].split() if index < len(lines) else []


def _first_letter(lines: list[str], index: int) -> str:
    return lines[index].strip()[:1].lower() if index < len(lines) else ""


def _poscar_symbols(lines, names, counts, first_atom) -> tuple[list[str], tuple[str, ...]]:
    """One symbol per atom: from the element line, else from the comment line, else from behind the coordinates."""
    if names is not None:
        names = [re.split(r"[_/.]", name)[0] for name in names]  # Ti_pv, Sr_sv/0a1b2c
        if len(names) != len(counts):
            raise StructureError(
                f"the POSCAR names {len(names)} elements ({shortened(' '.join(names))}) "
                f"but gives {len(counts)} numbers of atoms; write one number for each element"
            )
        return [s for s, count in zip(names, counts) for _ in range(count)], ()
    in_comment = [word for word in lines[0].split() if word in _ATOMIC_NUMBER]
    if len(in_comment) == len(counts):
        note = f"the elements {' '.join(in_comment)} were taken from the comment line"
        return [s for s, count in zip(in_comment, counts) for _ in range(count)], (note,)
    last = [line.split()[-1] for line in lines[first_atom : first_atom + sum(counts)]]
    if last and all(word in _ATOMIC_NUMBER and word != "T" for word in last):
        return last, ("the elements were taken from behind the coordinates",)
    raise StructureError(
        "the POSCAR does not name its elements (VASP 4 format); "
        f"write a line such as '{' '.join(['Sr', 'Ti', 'O', 'N'][: len(counts)])}' above the numbers of atoms"
    )


# --- extended XYZ -----------------------------------------------------------------------------------------------------


def _read_xyz(text: str, max_sites: int) -> list[tuple[str, Cell | StructureError]]:
    entries = []
    for number, frame in enumerate(_frames(text), start=1):
        name = f"frame {number}"
        if number > _MAX_FRAMES:
            entries.append((name, StructureError(f"only the first {_MAX_FRAMES} frames were read; split the file")))
            break
        try:
            entries.append((name, frame if isinstance(frame, StructureError) else _xyz_frame(frame, max_sites)))
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


def _xyz_frame(frame: str, max_sites: int) -> Cell:
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
    frac = np.linalg.solve(_with_volume(lattice).T, atoms.positions.T).T
    return _cell(lattice, atoms.get_chemical_symbols(), frac, notes)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120].rstrip(".;")


# --- pymatgen JSON ----------------------------------------------------------------------------------------------------


def _read_json(text: str, max_sites: int) -> list[tuple[str, Cell | StructureError]]:
    """Structures as pymatgen writes them, alone, in a list, or under "structure".

    Rebuilt from lattice, species and coordinates: pymatgen's own decoder imports any module that a file names.
    """
    try:
        content = json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        raise StructureError(f"JSON syntax error in line {error.lineno}: {error.msg}; export the file again") from None
    except (RecursionError, ValueError):
        raise StructureError("the JSON is nested too deeply or holds an absurd number; export it again") from None
    items = content if isinstance(content, list) else [content]
    if not items:
        raise StructureError("the JSON list is empty; it should hold structures as pymatgen writes them")
    entries = []
    for number, item in enumerate(items[:_MAX_FRAMES], start=1):
        try:
            entries.append((f"structure {number}", _json_cell(item, max_sites)))
        except StructureError as error:
            entries.append((f"structure {number}", error))
    if len(items) > _MAX_FRAMES:
        problem = StructureError(f"only the first {_MAX_FRAMES} of {len(items)} structures were read; split the file")
        entries.append((f"structure {_MAX_FRAMES + 1}", problem))
    return entries


def _json_cell(item: object, max_sites: int) -> Cell:
    if isinstance(item, dict) and "sites" not in item and isinstance(item.get("structure"), dict):
        item = item["structure"]
    if not isinstance(item, dict) or not isinstance(item.get("sites"), list):
        raise StructureError("this JSON holds no structure; bring what pymatgen's Structure.to_json() writes")
    if not isinstance(item.get("lattice"), dict):
        raise StructureError("this JSON has atoms but no lattice, so it is a molecule; a crystal needs a cell")
    lattice = _json_lattice(item["lattice"])
    sites = item["sites"]
    if len(sites) > max_sites:
        raise StructureError(too_many_sites(len(sites), max_sites))
    symbols, frac = [], []
    for i, site in enumerate(sites):
        if not isinstance(site, dict) or not isinstance(site.get("species"), list):
            raise StructureError(f'site {i + 1} of the JSON has no list "species"; export the structure again')
        occupied = [_json_species(i, species) for species in site["species"]]
        symbols.append(SYMBOLS[_one_element(i, occupied)])
        if "abc" in site:
            frac.append(_three(site["abc"], f'"abc" of site {i + 1}'))
        elif "xyz" in site:
            xyz = _three(site["xyz"], f'"xyz" of site {i + 1}')
            frac.append(np.linalg.solve(_with_volume(lattice).T, xyz))
        else:
            raise StructureError(f'site {i + 1} of the JSON has no coordinates "abc"; export the structure again')
    return _cell(lattice, symbols, np.array(frac).reshape(-1, 3), ())


def _json_lattice(lattice: dict) -> np.ndarray:
    if "matrix" in lattice:
        matrix = lattice["matrix"]
        if not isinstance(matrix, list) or len(matrix) != 3:
            raise StructureError('"matrix" of the lattice must be three vectors; export the structure again')
        return np.array([_three(row, "a lattice vector") for row in matrix])
    lengths = _three([lattice.get(k) for k in ("a", "b", "c")], "a, b, c of the lattice")
    angles = _three([lattice.get(k) for k in ("alpha", "beta", "gamma")], "the angles of the lattice")
    matrix = np.array(Lattice.from_parameters(*lengths, *angles).matrix)
    return _with_volume(matrix)


def _json_species(site: int, species: object) -> tuple[str, float]:
    name = species.get("element") if isinstance(species, dict) else None
    amount = species.get("occu", 1.0) if isinstance(species, dict) else None
    if not isinstance(name, str) or isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise StructureError(f'site {site + 1} of the JSON has a species without "element" and "occu"; export it again')
    return re.match(r"[A-Za-z]*", name)[0] or name, float(amount)


def _three(values: object, what: str) -> np.ndarray:
    numbers = isinstance(values, list) and len(values) == 3
    if not numbers or not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        raise StructureError(f"{what} must be three numbers; export the structure again")
    return np.array(values, dtype=np.float64)


# --- common to the formats --------------------------------------------------------------------------------------------


def _one_element(site: int, occupied: list[tuple[str, float]]) -> int:
    """Atomic number of a site that holds one whole atom of one element."""
    full = len({name for name, _ in occupied}) == 1 and sum(amount for _, amount in occupied) >= FULL_OCCUPANCY
    if not full:
        shown = " + ".join(f"{shortened(name)} {amount:g}" for name, amount in occupied[:5]) or "nothing"
        raise StructureError(
            f"the crystal is disordered: site {site + 1} holds {shown}; "
            "bring an ordered model in which every site holds one whole atom"
        )
    return _atomic_number(occupied[0][0])


def _atomic_number(symbol: str) -> int:
    z = _ATOMIC_NUMBER.get(symbol) or _ATOMIC_NUMBER.get(symbol.capitalize())
    if not z:
        raise StructureError(
            f"'{shortened(symbol)}' is no chemical element; name the element of this site, or remove the site"
        )
    if z > HEAVIEST:
        raise StructureError(f"element {symbol} (Z = {z}) is beyond Lr (Z = 103) and has no features; replace it")
    return z


def _with_volume(lattice: np.ndarray) -> np.ndarray:
    if not (np.isfinite(lattice).all() and abs(np.linalg.det(lattice)) > 1e-6):
        raise StructureError("the cell has no volume; correct its three vectors")
    return lattice


def _cell(lattice: np.ndarray, symbols: list[str], frac: np.ndarray, notes: tuple[str, ...]) -> Cell:
    numbers = np.array([_atomic_number(symbol) for symbol in symbols], dtype=np.int64)
    labels = tuple(f"{SYMBOLS[z]}{i + 1}" for i, z in enumerate(numbers.tolist()))
    for symbol, what in (("D", "deuterium"), ("T", "tritium")):
        if symbol in symbols:
            notes += (f"{what} was read as hydrogen",)
    finite = np.isfinite(frac).all()
    return Cell(np.asarray(lattice, dtype=np.float64), numbers, wrapped(frac) if finite else frac, labels, notes)
