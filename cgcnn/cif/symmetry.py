"""Listed operations, Hall and Hermann-Mauguin symbols and group numbers -> symmetry operations that fit the cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from gemmi import cif

from ..cell import StructureError, shortened, whole_number
from .values import known_value

_LISTED_OPERATIONS = (
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_operation_xyz",
    "_space_group_symop.operation_xyz",
    "_symmetry_equiv.pos_as_xyz",
    "_space_group_symop_magn_operation.xyz",
    "_space_group_symop.magn_operation_xyz",
)
_HALL = (
    "_symmetry_space_group_name_Hall",
    "_space_group_name_Hall",
    "_space_group.name_Hall",
    "_symmetry.space_group_name_Hall",
)
_HERMANN_MAUGUIN = (
    "_symmetry_space_group_name_H-M",
    "_space_group_name_H-M_alt",
    "_space_group_name_H-M",
    "_space_group.name_H-M_alt",
    "_symmetry.space_group_name_H-M",
    "_space_group_name_H-M_full",
    "_space_group_name_H-M_ref",
)
_NUMBER = (
    "_symmetry_Int_Tables_number",
    "_space_group_IT_number",
    "_space_group.IT_number",
    "_symmetry.Int_Tables_number",
)

# Their images are compared pair by pair: a list without end must cost neither time nor memory.
_MOST_OPERATIONS = 1000
_LONGEST_OPERATION = 200  # characters


@dataclass(frozen=True, eq=False)
class Operations:
    """M operations x' = rotation x + translation on fractional coordinates: (M, 3, 3), (M, 3) float64."""

    name: str
    rotation: np.ndarray
    translation: np.ndarray

    def __len__(self) -> int:
        return len(self.rotation)


def read_symmetry(block: cif.Block, lattice: np.ndarray, notes: list[str]) -> list[Operations]:
    """The group to expand with; several candidates where the file leaves the origin open.

    Listed operations come first, then the Hall symbol, the Hermann-Mauguin symbol, the number; P1 where nothing is
    given. Raises StructureError for operations that cannot be read or do not fit the cell.
    """
    for tag in _LISTED_OPERATIONS:
        column = block.find_values(tag)
        centring = block.find_values("_space_group_symop_magn_centering.xyz") if "magn" in tag else ()
        _check_count(len(column) * max(1, len(centring)))
        listed = [v for v in column if not cif.is_null(v)]
        if not listed:
            continue
        if max(map(len, listed)) > _LONGEST_OPERATION:
            raise StructureError(
                f"a symmetry operation has over {_LONGEST_OPERATION} characters, which is the limit; "
                "write it like -x,y+1/2,-z"
            )
        if len(listed) > 1 or listed[0].replace(" ", "").strip("'\"").lower() != "x,y,z":
            operations = _parsed_operations(tuple(listed), tuple(centring))
            _check_metric(operations, lattice, notes)
        else:
            operations = _IDENTITY
        _compare_with_symbol(block, operations, notes)
        return [operations]
    fitting, problem = [], None
    for operations in _from_symbol(block, lattice):
        try:
            _check_metric(operations, lattice, notes)
            fitting.append(operations)
        except StructureError as error:
            problem = error
    if not fitting:
        raise problem
    return fitting


# --- listed operations ------------------------------------------------------------------------------------------------


def _check_count(operations: int) -> None:
    if operations > _MOST_OPERATIONS:
        raise StructureError(
            f"the file lists {operations} symmetry operations and the limit is {_MOST_OPERATIONS}; no group of a "
            "conventional cell has more than 192, so list those, or the atoms of the whole cell"
        )


@lru_cache(maxsize=256)
def _parsed_operations(listed: tuple[str, ...], centring: tuple[str, ...] = ()) -> Operations:
    ops = [_triplet(text) for text in listed]
    if centring:
        ops = [c * op for c in map(_triplet, centring) for op in ops]
    ops = list(dict.fromkeys(ops))
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
        if re.search(r"[hklabc]", text, re.IGNORECASE):  # gemmi reads these too: reciprocal space, changes of basis
            raise ValueError(text)
        return gemmi.Op(",".join(parts).lower())
    except (RuntimeError, ValueError):
        raise StructureError(f"'{shortened(text)}' is no symmetry operation; write it like -x,y+1/2,-z") from None


def _as_arrays(name: str, ops: list[gemmi.Op]) -> Operations:
    rotation = np.array([op.rot for op in ops], dtype=np.float64) / gemmi.Op.DEN
    translation = np.array([op.tran for op in ops], dtype=np.float64) / gemmi.Op.DEN
    return Operations(name, rotation, translation)


_IDENTITY = _as_arrays("P 1", [gemmi.Op("x,y,z")])


def _compare_with_symbol(block: cif.Block, operations: Operations, notes: list[str]) -> None:
    """Note a number of listed operations that contradicts the symbol beside them."""
    symbol = known_value(block, *_HERMANN_MAUGUIN)
    if not symbol or symbol in ("P 1", "P1"):
        return
    settings = _settings(symbol[:100])
    orders = {len(list(group.operations())) for group in settings}
    if orders and len(operations) not in orders:
        notes.append(
            f"the file names {shortened(symbol)}, which has {max(orders)} symmetry operations, "
            f"but lists {len(operations)}; the listed ones were used"
        )


# --- symbols ----------------------------------------------------------------------------------------------------------


def _from_symbol(block: cif.Block, lattice: np.ndarray) -> list[Operations]:
    """The groups that symbols and number of the block may mean, P 1 where it has none."""
    hall = known_value(block, *_HALL)
    if hall:
        operations = _from_hall(hall[:100].replace("_", " "), shortened(hall))
        if operations is not None:
            return [operations]
    symbol, number = known_value(block, *_HERMANN_MAUGUIN), known_value(block, *_NUMBER)
    settings = _settings(symbol[:100]) if symbol else ()
    if not settings and number:
        if not 1 <= (whole_number(number) or 0) <= 230:
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


@lru_cache(maxsize=256)
def _from_hall(hall: str, name: str) -> Operations | None:
    try:
        return _as_arrays(name, list(gemmi.symops_from_hall(hall)))
    except (RuntimeError, ValueError):
        return None


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
    whole = gemmi.find_spacegroup_by_name(text) if suffix else None  # 'P 3 2 1': its end only looks like a suffix
    return (whole,) if whole else ()


def _spellings(text: str) -> Iterator[str]:
    """A symbol as written, without spaces, and with its full parts shortened, as gemmi's table has it."""
    yield text
    yield re.sub(r"\s+", "", text)
    parts = text.split()
    short = [re.sub(r"^(2|21|2_1|4|41|42|43|4_[123])/(?=[mabcnd])", "", part) for part in parts]
    yield " ".join(short)  # 'P 21/n 21/m 21/a' -> 'P n m a'
    yield " ".join(parts[:2] + short[2:])  # 'P 63/m 2/m 2/c' -> 'P 63/m m c'


# --- the cell ---------------------------------------------------------------------------------------------------------


def _is_rhombohedral(lattice: np.ndarray) -> bool:
    """Three equal edges and three equal angles, and not the 90, 90, 120 degrees of hexagonal axes."""
    metric = lattice @ lattice.T
    edges, products = np.diag(metric), metric[[0, 0, 1], [1, 2, 2]]
    scale = edges.mean()
    return bool(np.ptp(edges) < 0.02 * scale and np.ptp(products) < 0.02 * scale)


def _check_metric(operations: Operations, lattice: np.ndarray, notes: list[str]) -> None:
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
