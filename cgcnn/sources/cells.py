"""Rows of a chunk -> lattice, atomic numbers and fractional coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from ..cell import (
    HEAVIEST,
    Cell,
    StructureError,
    check_coordinates,
    check_density,
    checked_lattice,
    too_many_sites,
)
from ..cif import read_first_cell
from ..formats.text import MAX_BYTES
from .source import ARRAY_COLUMNS

LARGEST = 5000  # sites of a cell, where nobody gave another limit
RawCell = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_cells(chunk: pl.DataFrame, max_sites: int | None = None) -> Iterator[RawCell | StructureError]:
    """lattice (3, 3) angstrom, atomic numbers (N,), fractional coordinates (N, 3) of each row, or why not.

    max_sites: cells with more sites are refused; None for `LARGEST`
    """
    max_sites = max_sites or LARGEST
    found = _from_arrays(chunk) if "lattice" in chunk.columns else _from_text(chunk, max_sites)
    problems = chunk["problem"].to_list() if "problem" in chunk.columns else [None] * len(chunk)
    for problem, cell in zip(problems, found, strict=True):
        if problem is not None:
            yield StructureError(problem)
        elif isinstance(cell, StructureError):
            yield cell
        else:
            yield _checked(cell, max_sites)


def _from_text(chunk: pl.DataFrame, max_sites: int) -> Iterator[RawCell | StructureError]:
    column, read = next((c, r) for c, r in _READERS.items() if c in chunk.columns)
    for text in chunk[column]:
        try:
            if text and len(text) > MAX_BYTES:
                raise StructureError(
                    f"the text of this row has {len(text) >> 20} MB, and {MAX_BYTES >> 20} MB is the limit; shorten it"
                )
            cell = read(text or "", max_sites)
            yield cell.lattice, cell.atomic_numbers, cell.frac_coords
        except StructureError as error:
            yield error


def _from_arrays(chunk: pl.DataFrame) -> Iterator[RawCell | StructureError]:
    (lattice, nine), (numbers, n), (frac, three_n) = (_flat(chunk[name]) for name in ARRAY_COLUMNS)
    at = [np.cumsum(length) - length for length in (nine, n, three_n)]
    for l0, n0, f0, a, b, c in zip(*(x.tolist() for x in (*at, nine, n, three_n)), strict=True):
        if a != 9 or c != 3 * b:
            yield StructureError("lattice must hold 9 numbers and frac_coords 3 for each of atomic_numbers")
        else:
            yield lattice[l0 : l0 + 9].reshape(3, 3), numbers[n0 : n0 + b], frac[f0 : f0 + c].reshape(-1, 3)


def _flat(column: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Lists of numbers, or of lists of three -> all numbers (float64, nan for nulls), how many each row has."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List):
        return np.empty(0), np.zeros(len(column), dtype=np.int64)
    if isinstance(column.dtype.inner, (pl.List, pl.Array)):
        column = column.list.eval(pl.element().explode())
    length = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = column.filter(pl.Series(length > 0)).explode().cast(pl.Float64, strict=False)
    return flat.fill_null(np.nan).to_numpy(), length


def _checked(cell: RawCell, max_sites: int) -> RawCell | StructureError:
    lattice, numbers, frac = cell
    n = len(numbers)
    if n == 0:
        return StructureError("there are no atoms; a crystal needs at least one")
    if n > max_sites:
        return StructureError(too_many_sites(n, max_sites))
    known = (numbers >= 1) & (numbers <= HEAVIEST) & (numbers % 1 == 0)
    if not known.all():
        bad = numbers[~known][0]
        return StructureError(f"Z = {bad:g} is no element from H to Lr (Z = 103), the ones with features; replace it")
    try:
        check_coordinates(frac)
        check_density(checked_lattice(lattice), n)
    except StructureError as error:
        return error
    return lattice, numbers.astype(np.int64), frac


def _read_cif(text: str, max_sites: int) -> Cell:
    return read_first_cell(text, max_sites)


def _read_structure(text: str, max_sites: int) -> Cell:
    from ..formats.pymatgen_json import read_json  # imported late: it needs pymatgen

    return _first(read_json(text, max_sites))


def _read_xyz(text: str, max_sites: int) -> Cell:
    from ..formats.xyz import read_xyz

    return _first(read_xyz(text, max_sites))


def _first(entries: list[tuple[str, Cell | StructureError]]) -> Cell:
    if not entries:
        raise StructureError("there is no crystal in this row")
    if isinstance(entries[0][1], StructureError):
        raise entries[0][1]
    return entries[0][1]


_READERS: dict[str, Callable[[str, int], Cell]] = {
    "cif": _read_cif,
    "structure": _read_structure,
    "xyz": _read_xyz,
}
