"""The list of atoms of a CIF data block: one row per listed site, dummies and disorder dealt with."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from gemmi import cif

from ..cell import FULL_OCCUPANCY, SYMBOLS, StructureError, check_coordinates, shortened, too_many_sites
from .elements import atomic_numbers
from .values import first_few, to_number

# Images of one site closer than this are one atom: a special position, written with rounded coordinates.
SAME_POSITION = 0.05  # angstrom
_ITEMS = ("label", "type_symbol", "occupancy", "calc_flag", "fract_x", "fract_y", "fract_z")


@dataclass(frozen=True, eq=False)
class Rows:
    """The listed sites, n rows.

    labels: (n,) names as in the file
    numbers: (n,) int64, atomic numbers
    frac: (n, 3) float64, fractional coordinates as in the file
    """

    labels: list[str]
    numbers: np.ndarray
    frac: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def atom_columns(block: cif.Block, max_sites: int | None = None) -> dict[str, list[str]] | None:
    """The atom list as columns of raw values, keys in lower case without `_atom_site_`; None where there is none.

    Raises StructureError where it is longer than max_sites.
    """
    for coordinate in ("_atom_site_fract_x", "_atom_site.fract_x", "_atom_site_Cartn_x", "_atom_site.Cartn_x"):
        column = block.find_loop(coordinate)
        if column:
            loop = column.get_loop()
            if max_sites is not None and loop.length() > max_sites:
                raise StructureError(too_many_sites(loop.length(), max_sites))
            tags, values = loop.tags, loop.values
            return {tag[11:].lower(): values[i :: len(tags)] for i, tag in enumerate(tags)} if values else None
        if block.find_value(coordinate):  # one atom, written without a loop
            found = {item: block.find_value(coordinate[:11] + item) for item in _ITEMS}
            return {item: [value] for item, value in found.items() if value}
    return None


def no_atoms(block: cif.Block) -> StructureError:
    """Why a block has no `atom_columns`."""
    name = shortened(f"data_{block.name.strip()}")
    if block.find_loop("_atom_site_label") or block.find_loop("_atom_site_type_symbol"):
        return StructureError(f"the atoms in {name} have no coordinates; _atom_site_fract_x, _y and _z are needed")
    return StructureError(f"{name} lists no atoms; a crystal needs a loop with _atom_site_fract_x, _y and _z")


def read_rows(block: cif.Block, columns: dict[str, list[str]], lattice: np.ndarray, notes: list[str]) -> Rows:
    """The sites of `atom_columns`. Raises StructureError where they are unreadable or disordered."""
    if "type_symbol" not in columns and "label" not in columns:
        raise StructureError(
            "the atoms have neither _atom_site_type_symbol nor _atom_site_label; add a column with their elements"
        )
    columns = _without_dummies(columns, notes)
    types, labels = columns.get("type_symbol"), columns.get("label")
    names = [cif.as_string(name) for name in labels or types]  # quotes removed
    numbers = np.array(atomic_numbers(block, types, labels, notes), dtype=np.int64)
    rows = Rows(names, numbers, _coordinates(block, columns, names, lattice, notes))
    return _whole_atoms(rows, columns["occupancy"], lattice, notes) if "occupancy" in columns else rows


def _without_dummies(columns: dict[str, list[str]], notes: list[str]) -> dict[str, list[str]]:
    dummy = [flag.strip("'\"").lower() == "dum" for flag in columns.get("calc_flag", ())]
    if not any(dummy):
        return columns
    if all(dummy):
        raise StructureError("the file lists dummy atoms only; a crystal needs at least one real atom")
    names = map(cif.as_string, columns.get("label") or columns["type_symbol"])
    notes.append("dummy atoms left out: " + first_few(name for name, out in zip(names, dummy, strict=True) if out))
    return {key: [v for v, out in zip(column, dummy, strict=True) if not out] for key, column in columns.items()}


# --- coordinates ------------------------------------------------------------------------------------------------------


def _coordinates(block, columns, labels, lattice, notes) -> np.ndarray:
    kind = "fract" if "fract_x" in columns else "cartn"
    try:
        raw = [columns[f"{kind}_{axis}"] for axis in "xyz"]
    except KeyError:
        raise StructureError(f"the atoms lack one of _atom_site_{kind}_x, _y and _z; add that column") from None
    as_number = cif.as_number
    coords = np.array([[as_number(v) for v in column] for column in raw]).T
    if np.isnan(coords.sum()):
        for row, axis in np.argwhere(np.isnan(coords)):
            coords[row, axis] = to_number(raw[axis][row], f"coordinate {'xyz'[axis]} of site {shortened(labels[row])}")
    check_coordinates(coords, labels)
    if kind == "cartn":
        return _cartesian_to_fractional(block, coords, lattice, notes)
    return _snap_sixths(coords, raw)


def _cartesian_to_fractional(block, coords, lattice, notes) -> np.ndarray:
    """frac = M cart + v where the file gives M and v, else with a along x and b in the xy plane."""
    tag = "_atom_sites_Cartn_tran_"
    raw = [[block.find_value(f"{tag}matrix_{i}{j}") for j in "123"] for i in "123"]
    if all(all(row) for row in raw):
        matrix = np.array([[to_number(v, f"{tag}matrix") for v in row] for row in raw])
        shift = np.array([to_number(block.find_value(f"{tag}vector_{i}") or "0", f"{tag}vector") for i in "123"])
        if abs(np.linalg.det(matrix)) > 1e-9:  # the file defines cart = M frac + v
            return _fractional(matrix, coords - shift)
    notes.append("cartesian coordinates were read with a along x and b in the xy plane")
    return _fractional(lattice.T, coords)


def _fractional(matrix: np.ndarray, coords: np.ndarray) -> np.ndarray:
    frac = np.linalg.solve(matrix, coords.T).T
    check_coordinates(frac)
    return frac


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
        decimals = re.fullmatch(r"[+-]?\d*\.(\d{3,99})", raw[axis][row].strip("'\""))
        if decimals:
            unit = 10.0 ** -len(decimals[1])
            excess = abs(frac[row, axis]) - abs(sixths[row, axis])
            if -0.7 * unit <= excess <= 0.51 * unit:
                frac[row, axis] = sixths[row, axis]
    return frac


# --- occupancies ------------------------------------------------------------------------------------------------------


def _whole_atoms(rows: Rows, raw: list[str], lattice: np.ndarray, notes: list[str]) -> Rows:
    """Refuse disorder; leave out empty sites; join rows that share a position and an element."""
    as_number = cif.as_number
    occupancy = [as_number(v, 1.0) for v in raw]
    if min(occupancy) >= FULL_OCCUPANCY:
        return rows
    empty = [i for i, amount in enumerate(occupancy) if amount == 0]
    if empty:
        notes.append("sites with occupancy 0 left out: " + first_few(rows.labels[i] for i in empty))
    left_out, partial = set(empty), []
    for i, amount in enumerate(occupancy):
        if amount >= FULL_OCCUPANCY or i in left_out:
            continue
        shared = _on_same_position(rows, i, occupancy, left_out, lattice)
        if len(shared) > 1 and sum(occupancy[j] for j in shared) >= FULL_OCCUPANCY:
            left_out.update(shared[1:])
            notes.append(f"{first_few(rows.labels[j] for j in shared)} share one position and were joined")
        else:
            partial.append(i)
    if partial:
        sites = first_few(f"{rows.labels[i]} ({SYMBOLS[rows.numbers[i]]} {occupancy[i]:g})" for i in partial)
        raise StructureError(
            f"the crystal is disordered, with partly occupied sites {sites}; "
            "bring an ordered model in which every site holds one whole atom"
        )
    keep = [i for i in range(len(rows)) if i not in left_out]
    if not keep:
        raise StructureError("all sites have occupancy 0; a crystal needs at least one atom")
    return Rows([rows.labels[i] for i in keep], rows.numbers[keep], rows.frac[keep])


def _on_same_position(rows: Rows, i: int, occupancy: list[float], left_out: set[int], lattice) -> list[int]:
    """Row i and the later partial rows with its element on its position: Fe2+ and Fe3+, or H and D."""
    gap = rows.frac[i:] - rows.frac[i]
    distance = np.linalg.norm((gap - np.rint(gap)) @ lattice, axis=1)
    near = np.flatnonzero((distance < SAME_POSITION) & (rows.numbers[i:] == rows.numbers[i])) + i
    return [j for j in near.tolist() if occupancy[j] < FULL_OCCUPANCY and j not in left_out]
