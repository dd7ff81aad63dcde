"""CIF text -> cells of ordered crystals, or one sentence on why not.

Written for two users at once: files as databases, journals and drawing programs write them (symmetry operations or only
a space-group symbol, uncertainties, labels instead of elements), and tables with thousands of P1 cells, where a cell
of five atoms should cost well under 0.1 ms. Hence gemmi for the syntax and the group tables, and numpy for the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import cos, inf, radians

import gemmi
import numpy as np
from gemmi import cif

# Images of one site closer than this are one atom: a special position, written with rounded coordinates.
SAME_POSITION = 0.05  # angstrom
# Occupancies from here on count as full: refined values such as 0.995(4) are no disorder.
FULL_OCCUPANCY = 0.99
HEAVIEST = 103  # Lr, the last element with features

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
_ATOMIC_NUMBER = {symbol: z for z, symbol in enumerate(SYMBOLS) if z}
# Names of vacancies, lone pairs, centroids and "some metal": their first letters would pass for V, C, H or W.
_DUMMIES = {
    "x", "xx", "va", "vac", "vc", "lp", "du", "dum", "dummy", "q", "m", "me", "ln", "a", "r", "cg", "cnt", "bq", "gh"
}
_WATER_OXYGEN = {"wat", "ow", "owat", "oh", "oh2"}  # groups named for their oxygen, hydrogens not located


class StructureError(ValueError):
    """A file or an entry that is no ordered crystal; the message is one sentence for the person who brought it."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One unit cell of an ordered crystal, N sites.

    lattice: (3, 3) float64, rows a b c, angstrom; from a CIF with a along x and b in the xy plane
    atomic_numbers: (N,) int64
    frac_coords: (N, 3) float64, in [0, 1)
    labels: (N,) names of the sites in the file, images of one site share it
    notes: what was decided on the way and the reader may want to know
    """

    lattice: np.ndarray
    atomic_numbers: np.ndarray
    frac_coords: np.ndarray
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.atomic_numbers)


def read_cif(text: str, max_sites: int | None = None) -> list[tuple[str, Cell | StructureError]]:
    """All crystals of a CIF: one (block name, cell or reason why not) per data block that lists atoms.

    Blocks without atoms, such as the `data_global` of a journal, are left out unless there is no other. Never raises:
    where the text as a whole is no CIF, the only entry is ("", StructureError).
    max_sites: cells with more sites than this are refused before they cost time; None for no limit
    """
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        blocks = [(block.name.strip(), block) for block in cif.read_string(text, 0)]
    except (ValueError, RuntimeError) as error:
        return _read_piecewise(text, error, max_sites)
    return _read_blocks(blocks, max_sites)


def read_first_cell(text: str, max_sites: int | None = None) -> Cell:
    """The first crystal of a CIF, for tables that hold one crystal per row.

    Raises StructureError where its first crystal is unreadable.
    """
    entries = read_cif(text, max_sites)
    if not entries:
        raise StructureError("the CIF text is empty")
    cell = entries[0][1]
    if isinstance(cell, StructureError):
        raise cell
    return cell


def _read_blocks(blocks, max_sites) -> list[tuple[str, Cell | StructureError]]:
    entries, empty = [], []
    for name, block in blocks:
        if isinstance(block, StructureError):
            entries.append((name, block))
            continue
        columns = _atom_columns(block)
        if columns is None:
            empty.append((name, _no_atoms(block)))
            continue
        try:
            entries.append((name, _read_block(block, columns, max_sites)))
        except StructureError as error:
            entries.append((name, error))
    return entries or empty[:1]


# --- syntax -----------------------------------------------------------------------------------------------------------


def _read_piecewise(text: str, error: Exception, max_sites: int | None) -> list[tuple[str, Cell | StructureError]]:
    """The readable data blocks of a file with a syntax error, and a sentence for each of the others."""
    if not re.search(r"(?im)^\s*(data_|loop_|_\w)", text):
        start = " ".join(text.split())[:30]
        problem = f"this is not a CIF: it starts with '{start}' and has no data_ line" if start else "the file is empty"
        return [("", StructureError(f"{problem}; bring a .cif file with a cell and atoms"))]
    blocks = []
    for name, first_line, piece in _pieces(text):
        try:
            blocks.append((name, cif.read_string(piece, 0)[0]))
        except (ValueError, RuntimeError) as problem:
            blocks.append((name, StructureError(_syntax_sentence(str(problem), first_line, piece))))
    return _read_blocks(blocks, max_sites)


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
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        yield lines[start].split()[0][5:], start, "\n".join(lines[start:end])


def _syntax_sentence(problem: str, lines_before: int, piece: str) -> str:
    found = re.match(r"string:(\d+)(?::\d+\(\d+\))?[:\s]*(.*)", problem, re.DOTALL)
    line, what = (int(found[1]), found[2].strip()) if found else (1, problem)
    if "number of values in loop" in what:
        loop = re.match(r"\s*loop_((?:\s+_\S+)+)", "\n".join(piece.split("\n")[line - 1 :]), re.IGNORECASE)
        columns = f"its {len(loop[1].split())} columns" if loop else "its columns"
        what = f"the loop that starts here has a number of values that is no multiple of {columns}"
    elif what == "parse error":
        shown = piece.split("\n")[line - 1].strip()[:40] if line <= piece.count("\n") + 1 else ""
        what = f"'{shown}' is out of place" if shown else "a value or a loop is incomplete"
    return (
        f"CIF syntax error in line {lines_before + line}: {what}; "
        "the file may be cut short, so download or export it again, or mend that line"
    )


# --- one data block ---------------------------------------------------------------------------------------------------


def _read_block(block: cif.Block, columns: dict[str, list[str]], max_sites: int | None) -> Cell:
    notes: list[str] = []
    lattice = _lattice(block, notes)
    rows = _Rows(block, columns, lattice, notes)
    candidates = _symmetry(block, lattice, notes)
    expanded = _choose_origin(block, candidates, rows, lattice, max_sites, notes)
    labels = tuple([rows.labels[row] for row in expanded.row.tolist()])
    cell = Cell(lattice, rows.numbers[expanded.row], expanded.frac, labels, ())
    notes += expanded.notes
    notes += _formula_notes(block, cell.atomic_numbers)
    return replace(cell, notes=tuple(dict.fromkeys(notes))) if notes else cell


def _value(block: cif.Block, *tags: str) -> str:
    """The first known value among these tags, quotes removed; empty where there is none."""
    for tag in tags:
        raw = block.find_value(tag)
        if raw and raw not in "?.":
            text = cif.as_string(raw).strip()
            if text and text not in "?.":
                return text
    return ""


def _number(raw: str, what: str) -> float:
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
    fraction = re.fullmatch(r"([+-]?\d+)/(\d+)", text)
    if fraction and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    hint = "use a point as decimal sign" if re.fullmatch(r"[+-]?\d*,\d+(\(\d+\))?", text) else "write a decimal number"
    raise StructureError(f"{what} is '{shortened(text)}', which is not a number; {hint}")


def shortened(text: str, limit: int = 40) -> str:
    """A value from a file, fit to be quoted in a sentence: one line, not too long."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _lattice(block: cif.Block, notes: list[str]) -> np.ndarray:
    """(3, 3) angstrom, a along x and b in the xy plane."""
    lengths, angles = [], []
    for name in "abc":
        raw = block.find_value(f"_cell_length_{name}") or block.find_value(f"_cell.length_{name}")
        if not raw or cif.is_null(raw):
            raise StructureError(f"the cell is missing: _cell_length_{name} is not given; add the three cell lengths")
        lengths.append(_number(raw, f"_cell_length_{name}"))
    for name in ("alpha", "beta", "gamma"):
        raw = block.find_value(f"_cell_angle_{name}") or block.find_value(f"_cell.angle_{name}")
        if not raw or cif.is_null(raw):
            notes.append(f"_cell_angle_{name} is not given and was taken as 90 degrees")
            angles.append(90.0)
        else:
            angles.append(_number(raw, f"_cell_angle_{name}"))
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
    return np.array(((a, 0.0, 0.0), (b * cos_g, b * sin_g, 0.0), (c * cos_b, c * cy, c * cz2**0.5)))


# Exact where cos(radians(x)) is off in the last digit.
_COSINE = {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}


# --- the list of atoms ------------------------------------------------------------------------------------------------

_ATOM_ITEMS = ("label", "type_symbol", "occupancy", "calc_flag", "fract_x", "fract_y", "fract_z")


def _atom_columns(block: cif.Block) -> dict[str, list[str]] | None:
    """The atom list as columns of raw values, keys in lower case without `_atom_site_`; None where there is none."""
    for coordinate in ("_atom_site_fract_x", "_atom_site.fract_x", "_atom_site_Cartn_x", "_atom_site.Cartn_x"):
        column = block.find_loop(coordinate)
        if column:
            loop = column.get_loop()
            tags, values = loop.tags, loop.values
            return {tag[11:].lower(): values[i :: len(tags)] for i, tag in enumerate(tags)} if values else None
        if block.find_value(coordinate):  # one atom, written without a loop
            prefix = coordinate[:11]
            found = {item: block.find_value(prefix + item) for item in _ATOM_ITEMS}
            return {item: [value] for item, value in found.items() if value}
    return None


def _no_atoms(block: cif.Block) -> StructureError:
    name = f"data_{block.name.strip()}"
    if block.find_loop("_atom_site_label") or block.find_loop("_atom_site_type_symbol"):
        return StructureError(f"the atoms in {name} have no coordinates; _atom_site_fract_x, _y and _z are needed")
    return StructureError(f"{name} lists no atoms; a crystal needs a loop with _atom_site_fract_x, _y and _z")


class _Rows:
    """The listed sites, n rows: labels (n,), numbers (n,) int64, frac (n, 3)."""

    def __init__(self, block: cif.Block, columns: dict[str, list[str]], lattice: np.ndarray, notes: list[str]):
        types, labels = columns.get("type_symbol"), columns.get("label")
        if types is None and labels is None:
            raise StructureError(
                "the atoms have neither _atom_site_type_symbol nor _atom_site_label; add a column with their elements"
            )
        occupancy = columns.get("occupancy")
        flags = columns.get("calc_flag")
        if flags and any(flag.strip("'\"").lower() == "dum" for flag in flags):
            real = [i for i, flag in enumerate(flags) if flag.strip("'\"").lower() != "dum"]
            dummies = [i for i in range(len(flags)) if i not in set(real)]
            names = ", ".join((labels or types)[i] for i in dummies[:5])
            notes.append(f"dummy atoms left out: {names}")
            columns = {key: [values[i] for i in real] for key, values in columns.items()}
            types, labels, occupancy = columns.get("type_symbol"), columns.get("label"), columns.get("occupancy")
            if not real:
                raise StructureError("the file lists dummy atoms only; a crystal needs at least one real atom")
        self.labels = [cif.as_string(label) for label in labels or types]  # quotes removed
        self.numbers = np.array(_elements(block, types, labels, notes), dtype=np.int64)
        self.frac = self._coordinates(block, columns, lattice, notes)
        if occupancy is not None:
            self._check_occupancy(occupancy, lattice, notes)

    def _coordinates(self, block, columns, lattice, notes) -> np.ndarray:
        kind = "fract" if "fract_x" in columns else "cartn"
        as_number = cif.as_number
        try:
            raw = [columns[f"{kind}_{axis}"] for axis in "xyz"]
        except KeyError:
            raise StructureError(f"the atoms lack one of _atom_site_{kind}_x, _y and _z; add that column") from None
        coords = np.array([[as_number(v) for v in column] for column in raw]).T
        unread = np.argwhere(np.isnan(coords)) if np.isnan(coords.sum()) else ()
        for row, axis in unread:
            what = f"coordinate {'xyz'[axis]} of site {self.labels[row]}"
            coords[row, axis] = _number(raw[axis][row], what)
        if kind == "cartn":
            return _cartesian_to_fractional(block, coords, lattice, notes)
        return _snap_sixths(coords, raw)

    def _check_occupancy(self, raw: list[str], lattice: np.ndarray, notes: list[str]) -> None:
        """Refuse disorder; leave out empty sites; join rows that share a position and an element."""
        as_number = cif.as_number
        occupancy = [as_number(v, 1.0) for v in raw]
        if min(occupancy) >= FULL_OCCUPANCY:
            return
        occupancy = np.array(occupancy)
        drop = set(np.flatnonzero(occupancy == 0).tolist())
        if drop:
            notes.append("sites with occupancy 0 left out: " + _some(self.labels[i] for i in sorted(drop)))
        partial = [i for i in np.flatnonzero(occupancy < FULL_OCCUPANCY).tolist() if i not in drop]
        for k, i in enumerate(partial):  # Fe2+ and Fe3+, or H and D, on one position are one element
            if i in drop:
                continue
            shared = [
                j for j in partial[k:]
                if j not in drop and self.numbers[j] == self.numbers[i]
                and _distance(self.frac[j] - self.frac[i], lattice) < SAME_POSITION
            ]
            if len(shared) > 1 and occupancy[shared].sum() >= FULL_OCCUPANCY:
                occupancy[i] = 1.0
                drop.update(shared[1:])
                notes.append(f"{_some(self.labels[j] for j in shared)} share one position and were joined")
        partial = [i for i in partial if i not in drop and occupancy[i] < FULL_OCCUPANCY]
        if partial:
            sites = _some(f"{self.labels[i]} ({SYMBOLS[self.numbers[i]]} {occupancy[i]:g})" for i in partial)
            raise StructureError(
                f"the crystal is disordered, with partly occupied sites {sites}; "
                "bring an ordered model in which every site holds one whole atom"
            )
        keep = [i for i in range(len(self.labels)) if i not in drop]
        if not keep:
            raise StructureError("all sites have occupancy 0; a crystal needs at least one atom")
        self.labels = [self.labels[i] for i in keep]
        self.numbers, self.frac = self.numbers[keep], self.frac[keep]


def _some(names, limit: int = 5) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _distance(frac_difference: np.ndarray, lattice: np.ndarray) -> float:
    return float(np.linalg.norm((frac_difference - np.rint(frac_difference)) @ lattice))


def _cartesian_to_fractional(block, coords, lattice, notes) -> np.ndarray:
    """frac = M cart + v where the file gives M and v, else with a along x and b in the xy plane."""
    tag = "_atom_sites_Cartn_tran_"
    raw = [[block.find_value(f"{tag}matrix_{i}{j}") for j in "123"] for i in "123"]
    if all(all(row) for row in raw):
        matrix = np.array([[_number(v, f"{tag}matrix") for v in row] for row in raw])
        shift = np.array([_number(block.find_value(f"{tag}vector_{i}") or "0", f"{tag}vector") for i in "123"])
        if abs(np.linalg.det(matrix)) > 1e-9:  # the file defines cart = M frac + v
            return np.linalg.solve(matrix, (coords - shift).T).T
    notes.append("cartesian coordinates were read with a along x and b in the xy plane")
    return np.linalg.solve(lattice.T, coords.T).T


def _snap_sixths(frac: np.ndarray, raw: list[list[str]]) -> np.ndarray:
    """0.3333, 0.6667 or 0.1666 -> k/6, or the images of a special position would not meet.

    Only values with 3 or more decimals and no uncertainty that are k/6 rounded, or cut, in their last place.
    """
    sixths = np.rint(frac * 6) / 6
    gap = np.abs(frac - sixths)
    close = (gap < 7e-4) & (gap > 1e-12)
    if not close.any():
        return frac
    for row, axis in np.argwhere(close).tolist():
        decimals = re.fullmatch(r"[+-]?\d*\.(\d{3,})", raw[axis][row].strip("'\""))
        if decimals:
            unit = 10.0 ** -len(decimals[1])
            excess = abs(frac[row, axis]) - abs(sixths[row, axis])
            if -0.7 * unit <= excess <= 0.51 * unit:
                frac[row, axis] = sixths[row, axis]
    return frac


# --- elements ---------------------------------------------------------------------------------------------------------


def _elements(block: cif.Block, types: list[str] | None, labels: list[str] | None, notes: list[str]) -> list[int]:
    """Atomic numbers from the type symbols, from the labels where those are missing."""
    numbers, formula = [], None
    for i, text in enumerate(types or labels):
        z = _ATOMIC_NUMBER.get(text, 0)
        if not z or z > HEAVIEST:
            is_type = types is not None
            if is_type and text in ("?", ".") and labels is not None:
                text, is_type = labels[i], False
            if formula is None:
                formula = frozenset(_formula(block) or ())
            z, note = _element(cif.as_string(text), is_type, formula)
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
        return 8, f"{text} was read as O; its hydrogen atoms are not listed"
    if low in ("d", "t") or (not is_type and re.match(r"[DdTt]\d", text)):
        return 1, f"{'deuterium' if low[0] == 'd' else 'tritium'} was read as hydrogen"
    two, one = letters[:2].capitalize(), letters[:1].upper()
    if not letters or low in _DUMMIES:
        raise StructureError(_unknown_element(text))
    choices = [s for s in (two, one) if s in _ATOMIC_NUMBER]
    if len(choices) == 2 and two != one and is_type and len(letters) <= 2:
        choices = [two]
    elif len(choices) == 2 and two != one:  # a label such as CO1 or HO1
        known = [s for s in choices if s in formula]
        choices = known if len(known) == 1 else choices
    if is_type and len(letters) > 2 or not choices:
        raise StructureError(_unknown_element(text))
    z = _ATOMIC_NUMBER[choices[0]]
    if z > HEAVIEST:
        raise StructureError(f"element {choices[0]} (Z = {z}) is beyond Lr (Z = 103) and has no features; replace it")
    guessed = is_type and len(letters) != len(choices[0])
    return z, f"{text} was read as {choices[0]}" if guessed else ""


def _unknown_element(text: str) -> str:
    return (
        f"'{shortened(text)}' is no chemical element; "
        "name the element of this site, or remove the site if nothing is there"
    )


# --- symmetry ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Operations:
    """M operations x' = rotation x + translation on fractional coordinates: (M, 3, 3), (M, 3) float64."""

    name: str
    rotation: np.ndarray
    translation: np.ndarray

    def __len__(self) -> int:
        return len(self.rotation)


_LISTED_OPERATIONS = (
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_operation_xyz",
    "_space_group_symop.operation_xyz",
    "_symmetry_equiv.pos_as_xyz",
    "_space_group_symop_magn_operation.xyz",
    "_space_group_symop.magn_operation_xyz",
)
_HALL = ("_symmetry_space_group_name_Hall", "_space_group_name_Hall", "_space_group.name_Hall",
         "_symmetry.space_group_name_Hall")
_HERMANN_MAUGUIN = (
    "_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt", "_space_group_name_H-M", "_space_group.name_H-M_alt",
    "_symmetry.space_group_name_H-M", "_space_group_name_H-M_full", "_space_group_name_H-M_ref",
)
_NUMBER = ("_symmetry_Int_Tables_number", "_space_group_IT_number", "_space_group.IT_number",
           "_symmetry.Int_Tables_number")


def _symmetry(block: cif.Block, lattice: np.ndarray, notes: list[str]) -> list[_Operations]:
    """The group to expand with; several candidates where the file leaves the origin open.

    Listed operations come first, then the Hall symbol, the Hermann-Mauguin symbol, the number; P1 where nothing is
    given. Raises StructureError for operations that cannot be read or do not fit the cell.
    """
    for tag in _LISTED_OPERATIONS:
        listed = [v for v in block.find_values(tag) if not cif.is_null(v)]
        if not listed:
            continue
        if len(listed) > 1 or listed[0].replace(" ", "").strip("'\"").lower() != "x,y,z":
            centring = block.find_values("_space_group_symop_magn_centering.xyz") if "magn" in tag else ()
            operations = _parsed_operations(tuple(listed), tuple(centring))
            _check_metric(operations, lattice, notes)
        else:
            operations = _IDENTITY
        _compare_with_symbol(block, operations, notes)
        return [operations]
    candidates = _from_symbol(block, lattice)
    fitting, problem = [], None
    for operations in candidates:
        try:
            _check_metric(operations, lattice, notes)
            fitting.append(operations)
        except StructureError as error:
            problem = error
    if not fitting:
        raise problem
    return fitting


@lru_cache(maxsize=256)
def _parsed_operations(listed: tuple[str, ...], centring: tuple[str, ...] = ()) -> _Operations:
    ops = [_triplet(text) for text in listed]
    if centring:
        ops = [c * op for c in map(_triplet, centring) for op in ops]
    identity = gemmi.Op("x,y,z")
    if identity not in ops:
        ops.insert(0, identity)
    return _as_arrays("the listed operations", ops)


def _triplet(raw: str) -> gemmi.Op:
    text = cif.as_string(raw).replace(" ", "")
    parts = text.split(",")
    if len(parts) == 4 and re.fullmatch(r"[+-]?1", parts[3]):  # time reversal of a magnetic group
        parts.pop()
    try:
        return gemmi.Op(",".join(parts).lower())
    except (RuntimeError, ValueError):
        raise StructureError(f"'{shortened(text)}' is no symmetry operation; write it like -x,y+1/2,-z") from None


def _as_arrays(name: str, ops: list[gemmi.Op]) -> _Operations:
    rotation = np.array([op.rot for op in ops], dtype=np.float64) / gemmi.Op.DEN
    translation = np.array([op.tran for op in ops], dtype=np.float64) / gemmi.Op.DEN
    return _Operations(name, rotation, translation)


_IDENTITY = _as_arrays("P 1", [gemmi.Op("x,y,z")])


@lru_cache(maxsize=256)
def _from_hall(hall: str, name: str) -> _Operations | None:
    try:
        return _as_arrays(name, list(gemmi.symops_from_hall(hall)))
    except (RuntimeError, ValueError):
        return None


def _from_symbol(block: cif.Block, lattice: np.ndarray) -> list[_Operations]:
    hall = _value(block, *_HALL)
    if hall:
        operations = _from_hall(hall.replace("_", " "), hall)
        if operations is not None:
            return [operations]
    symbol, number = _value(block, *_HERMANN_MAUGUIN), _value(block, *_NUMBER)
    settings = _settings(symbol) if symbol else ()
    if not settings and number:
        if not number.isdigit() or not 1 <= int(number) <= 230:
            raise StructureError(f"space group number '{shortened(number)}' does not exist; it must be 1 to 230")
        settings = _settings(gemmi.find_spacegroup_by_number(int(number)).hm)
    if not settings:
        if symbol:
            raise StructureError(
                f"space group '{shortened(symbol)}' is not known; "
                "write it like 'P 1 21/c 1', or list the symmetry operations"
            )
        return [_IDENTITY]
    if {group.ext for group in settings} == {"H", "R"}:
        wanted = "R" if _is_rhombohedral(lattice) else "H"
        settings = tuple(group for group in settings if group.ext == wanted)
    return [_from_hall(group.hall, group.xhm()) for group in settings]


@lru_cache(maxsize=1024)
def _settings(symbol: str) -> tuple[gemmi.SpaceGroup, ...]:
    """Settings that a Hermann-Mauguin symbol may mean: two where it leaves the origin or the axes open."""
    text = re.sub(r"(\d)\u0305", r"-\1", symbol)  # 3 with an overline
    text = re.sub(r"[\\{}$]", "", text).replace("(1)", "1").strip()
    suffix = re.search(r"(?:\s*:\s*|\s+)([12SZHR]|HR|RS|O[12])$", text, re.IGNORECASE)
    for candidate in _spellings(text[: suffix.start()] if suffix else text):
        group = gemmi.find_spacegroup_by_name(candidate)
        if group:
            family = [g for g in gemmi.spacegroup_table() if g.hm == group.hm and g.number == group.number]
            exts = {g.ext for g in family}
            if len(family) == 1 or exts not in ({"1", "2"}, {"H", "R"}):
                return (group,)
            named = re.search(r"[:]\s*\w$", candidate)
            wanted = group.ext if named else suffix[1].upper() if suffix else ""
            wanted = {"S": "1", "Z": "2", "O1": "1", "O2": "2"}.get(wanted, wanted)
            return tuple(g for g in family if g.ext == wanted) or tuple(family)
    return _settings_of_whole(text) if suffix else ()


def _settings_of_whole(text: str) -> tuple[gemmi.SpaceGroup, ...]:
    """The symbol as it stands, for those whose last part only looks like a suffix ('P 3 2 1')."""
    group = gemmi.find_spacegroup_by_name(text)
    return (group,) if group else ()


def _spellings(text: str) -> Iterator[str]:
    yield text
    yield re.sub(r"\s+", "", text)
    parts = text.split()
    short = [re.sub(r"^(2|21|2_1|4|41|42|43|4_[123])/(?=[mabcnd])", "", part) for part in parts]
    yield " ".join(short)  # 'P 21/n 21/m 21/a' -> 'P n m a'
    yield " ".join(parts[:2] + short[2:])  # 'P 63/m 2/m 2/c' -> 'P 63/m m c'


def _is_rhombohedral(lattice: np.ndarray) -> bool:
    """Three equal edges and three equal angles, and not the 90, 90, 120 degrees of hexagonal axes."""
    metric = lattice @ lattice.T
    edges, products = np.diag(metric), metric[[0, 0, 1], [1, 2, 2]]
    scale = edges.mean()
    return bool(np.ptp(edges) < 0.02 * scale and np.ptp(products) < 0.02 * scale)


def _check_metric(operations: _Operations, lattice: np.ndarray, notes: list[str]) -> None:
    """Every rotation must leave the cell's metric unchanged, or the images are nonsense."""
    if len(operations) == 1:
        return
    metric = lattice @ lattice.T
    moved = np.einsum("mji,jk,mkl->mil", operations.rotation, metric, operations.rotation)
    misfit = np.abs(moved - metric).max() / metric.max()
    if misfit > 0.1:
        raise StructureError(
            f"the symmetry ({operations.name}) does not fit the cell; correct the cell lengths and angles, "
            "or give the operations for this choice of axes"
        )
    if misfit > 0.01:
        notes.append(f"the cell deviates from the symmetry of {operations.name} by {100 * misfit:.1f} %")


def _compare_with_symbol(block: cif.Block, operations: _Operations, notes: list[str]) -> None:
    symbol = _value(block, *_HERMANN_MAUGUIN)
    if not symbol or symbol in ("P 1", "P1"):
        return
    settings = _settings(symbol)
    orders = {len(list(group.operations())) for group in settings} if settings else set()
    if orders and len(operations) not in orders:
        notes.append(
            f"the file names {symbol}, which has {max(orders)} symmetry operations, but lists {len(operations)}; "
            "the listed ones were used"
        )


# --- expansion --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Expanded:
    """N atoms of the cell: frac (N, 3) in [0, 1), row (N,) index of the listed site."""

    frac: np.ndarray
    row: np.ndarray
    notes: tuple[str, ...] = ()


def _choose_origin(block, candidates, rows: _Rows, lattice, max_sites, notes: list[str]) -> _Expanded:
    """Expand; where the origin is open, take the one that agrees with the file's formula and keeps atoms apart.

    A spinel has 56 atoms with either origin of F d -3 m, but with the wrong one two O come within 0.3 angstrom.
    """
    if len(candidates) == 1:
        return _expand(rows, candidates[0], lattice, max_sites)
    results, problem = [], None
    for operations in candidates:
        try:
            expanded = _expand(rows, operations, lattice, max_sites)
        except StructureError as error:
            problem = error
            continue
        disagreement = len(_formula_notes(block, rows.numbers[expanded.row]))
        results.append((disagreement, -_shortest_distance(expanded, lattice), operations.name, expanded))
    if not results:
        raise problem
    results.sort(key=lambda result: result[:2])
    disagreement, shortest, name, best = results[0]
    if len(results) > 1 and results[1][0] == disagreement:
        if results[1][1] - shortest < 1e-3:  # the same crystal, shifted
            return best
        why = f"the other puts atoms {-results[1][1]:.2f} angstrom apart, this one {-shortest:.2f}"
    else:
        why = "the other contradicts the file's formula or puts different atoms on one position"
    notes.append(f"the file does not say which origin it uses; {name} was taken because {why}")
    return best


def _shortest_distance(expanded: _Expanded, lattice: np.ndarray) -> float:
    """From one site of each row to any other atom, angstrom."""
    shortest = inf
    for first in np.unique(expanded.row, return_index=True)[1]:
        gap = expanded.frac - expanded.frac[first]
        gap -= np.rint(gap)
        distance = np.linalg.norm(gap @ lattice, axis=1)
        distance[first] = inf
        shortest = min(shortest, float(distance.min()))
    return shortest


def _expand(rows: _Rows, operations: _Operations, lattice: np.ndarray, max_sites: int | None) -> _Expanded:
    if len(operations) == 1:
        frac, row = rows.frac, np.arange(len(rows.frac))
    else:
        images, total = [], 0
        for position in rows.frac:
            images.append(_orbit(position, operations, lattice))
            total += len(images[-1])
            if max_sites is not None and total > max_sites:
                break
        frac = np.concatenate(images)
        row = np.repeat(np.arange(len(images)), [len(orbit) for orbit in images])
    if max_sites is not None and len(frac) > max_sites:
        raise StructureError(too_many_sites(len(frac), max_sites, at_least=len(operations) > 1))
    frac = wrapped(frac)
    repeated, notes = _repeated_rows(frac, row, rows, lattice)
    if repeated:
        keep = ~np.isin(row, list(repeated))
        frac, row = frac[keep], row[keep]
    return _Expanded(frac, row, notes)


def too_many_sites(count: int, max_sites: int, at_least: bool = False) -> str:
    """The sentence for a cell over the limit."""
    more = "at least " if at_least else ""
    return (
        f"the cell has {more}{count} atoms and the limit is {max_sites}; "
        "use the primitive cell, or raise the limit (--max-sites on the command line)"
    )


def wrapped(frac: np.ndarray) -> np.ndarray:
    """Fractional coordinates in [0, 1); a value a rounding error below 1 becomes 0."""
    frac = frac - np.floor(frac)
    frac[frac > 1 - 1e-10] = 0.0
    return frac


def _orbit(position: np.ndarray, operations: _Operations, lattice: np.ndarray) -> np.ndarray:
    """All images of one site in the cell, (multiplicity, 3).

    Images that fall on the site itself mark a special position; the site moves to their mean, which lies on it exactly.
    """
    before = 0
    while True:
        images = operations.rotation @ position + operations.translation
        shift = images - position
        shift -= np.rint(shift)
        stabiliser = np.linalg.norm(shift @ lattice, axis=1) < SAME_POSITION
        if stabiliser.sum() <= max(1, before):
            break
        before = stabiliser.sum()
        position = position + shift[stabiliser].mean(axis=0)
    if before < 2:
        return images
    gap = images[:, None] - images[None]
    gap -= np.rint(gap)
    same = np.linalg.norm(gap @ lattice, axis=2) < SAME_POSITION
    return images[same.argmax(axis=1) == np.arange(len(images))]


def _repeated_rows(frac, row, rows: _Rows, lattice) -> tuple[set[int], tuple[str, ...]]:
    """Rows that list an atom which an earlier row already gave; two elements on one position are refused."""
    n = len(rows.frac)
    first = np.arange(n) if len(frac) == n else np.searchsorted(row, np.arange(n))
    step = max(1, 1_000_000 // len(frac))
    pairs = []
    for start in range(0, n, step):
        gap = frac[first[start : start + step], None] - frac
        gap -= np.rint(gap)
        gap = gap @ lattice
        near = (gap * gap).sum(2) < SAME_POSITION**2
        if np.count_nonzero(near) > len(near):  # more than every site with itself
            i, j = np.nonzero(near)
            pairs += [(i + start, row[j]) for i, j in zip(i.tolist(), j.tolist()) if row[j] < i + start]
    if not pairs:
        return set(), ()
    repeated, notes = set(), []
    for i, j in pairs:
        if rows.numbers[i] != rows.numbers[j]:
            raise StructureError(
                f"sites {rows.labels[j]} ({SYMBOLS[rows.numbers[j]]}) and {rows.labels[i]} "
                f"({SYMBOLS[rows.numbers[i]]}) lie on the same position; "
                "bring an ordered model with one atom on each site"
            )
        if i not in repeated:
            repeated.add(int(i))
    if repeated:
        listed = _some(rows.labels[i] for i in sorted(repeated))
        notes.append(f"listed twice, or an image of another site, and counted once: {listed}")
    return repeated, tuple(notes)


# --- the file's own formula -------------------------------------------------------------------------------------------


def _formula(block: cif.Block) -> dict[str, float] | None:
    """Elements and amounts of the file's formula, D counted as H; None where it has none."""
    text = _value(block, "_chemical_formula_sum", "_chemical_formula.sum")
    if not text:
        return None
    formula: Counter[str] = Counter()
    for part in text.replace("'", "").split():
        found = re.fullmatch(r"([A-Z][a-z]?)(\d*\.?\d*)", part)
        symbol = {"D": "H", "T": "H"}.get(found[1], found[1]) if found else ""
        if symbol not in _ATOMIC_NUMBER:
            return None
        formula[symbol] += float(found[2]) if found[2] not in ("", ".") else 1.0
    return dict(formula)


def _formula_notes(block: cif.Block, numbers: np.ndarray) -> list[str]:
    """A note where the file's formula, or its number of formula units, disagrees with the atoms."""
    formula = _formula(block)
    if not formula:
        return []
    atoms = Counter(SYMBOLS[z] for z in numbers.tolist())
    units = {symbol: atoms[symbol] / amount if amount else 0.0 for symbol, amount in formula.items()}
    z = max(units.values())
    if set(atoms) != set(formula) or min(units.values()) < 0.99 * z:
        text = _value(block, "_chemical_formula_sum", "_chemical_formula.sum")
        return [f"the file's formula is {text} but the listed atoms give {_formula_text(atoms)}"]
    stated = cif.as_number(_value(block, "_cell_formula_units_Z", "_cell.formula_units_Z"))
    if stated == stated and abs(stated - z) > 0.01 * z:
        return [f"the file says {stated:g} formula units in the cell but the listed atoms give {z:g}"]
    return []


def _formula_text(atoms: Counter[str]) -> str:
    divisor = int(np.gcd.reduce(list(atoms.values())))
    return " ".join(f"{s}{n // divisor if n > divisor else ''}" for s, n in sorted(atoms.items()))
