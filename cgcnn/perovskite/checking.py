"""Roles from geometry against the formulas of a data set."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from ..cell import StructureError
from ..sources import DatasetError, open_source, read_cells, row_names
from .roles import ANIONS, ROLES, find_perovskite

_ROWS_AT_ONCE = 1024
_ANIONS = frozenset({"N", "O", "F", "S", "Cl", "Se", "Br", "I"})  # that are never written first in A, B, X
_VERDICTS = ("right", "wrong", "not resolved", "resolved")


@dataclass(frozen=True)
class RolesCheck:
    """What geometry alone says of the ABX3 of a data set.

    name: of the data set; crystals: A, B and 3 X by composition; others: rows that are not, or cannot be read
    told: of how many the formula says what is A and what B; right and wrong: of these; unresolved: of all crystals
    listed: those not resolved or wrong, columns material_id, formula, verdict, A, B (elements found on these sites)
    """

    name: str
    crystals: int
    others: int
    told: int
    right: int
    wrong: int
    unresolved: int
    listed: pl.DataFrame


def check_roles(path: str | Path, seed: int = 0) -> RolesCheck:
    """Find the roles of every ABX3 of a data set after its sites were shuffled and its cell was shifted.

    Formulas written A, B, X (SrTiO3, in a column `formula`) say what is right; alphabetical ones (O3SrTi) do not, and a
    data set in which all are alphabetical says nothing. Raises DatasetError where there is no ABX3.
    """
    source = open_source(path)
    rng = np.random.default_rng(seed)
    rows = []
    alphabetical = True
    for chunk in source.chunks(_ROWS_AT_ONCE):
        names = row_names(chunk, len(rows))
        formulas = chunk["formula"].cast(pl.String).to_list() if "formula" in chunk.columns else [None] * len(chunk)
        for name, formula, cell in zip(names, formulas, read_cells(chunk), strict=True):
            parts = re.findall(r"([A-Z][a-z]?)([0-9.]*)", formula or "")
            symbols = [symbol for symbol, _ in parts]
            alphabetical &= symbols == sorted(symbols)
            rows.append((name, formula, symbols, None if isinstance(cell, StructureError) else _roles_of(*cell, rng)))
    counts, listed = dict.fromkeys(_VERDICTS, 0), []
    for name, formula, symbols, found in rows:
        if found is None:
            continue
        said = None if alphabetical else _said(symbols)
        verdict = _verdict(said, found)
        counts[verdict] += 1
        if verdict in ("wrong", "not resolved"):
            listed.append((name, formula, verdict, " ".join(found.get("A", ())), " ".join(found.get("B", ()))))
    crystals = sum(counts.values())
    if not crystals:
        raise DatasetError(f"no crystal of {source.name} is an ABX3; give a file of perovskites")
    schema = dict.fromkeys(("material_id", "formula", "verdict", "A", "B"), pl.String)
    return RolesCheck(
        name=source.name,
        crystals=crystals,
        others=len(rows) - crystals,
        told=sum(found is not None and not alphabetical and _said(s) is not None for _, _, s, found in rows),
        right=counts["right"],
        wrong=counts["wrong"],
        unresolved=counts["not resolved"],
        listed=pl.DataFrame(listed, schema=schema, orient="row"),
    )


def _said(symbols: list[str]) -> tuple[str, str] | None:
    """A and B, if the formula is written A, B, X."""
    if len(symbols) > 2 and _ANIONS.issuperset(symbols[2:]) and not _ANIONS & set(symbols[:2]):
        return symbols[0], symbols[1]
    return None


def _verdict(said: tuple[str, str] | None, found: dict[str, list[str]]) -> str:
    if not found:
        return "not resolved"
    if said is None:
        return "resolved"
    return "right" if (found["A"], found["B"]) == ([said[0]], [said[1]]) else "wrong"


def _three_fifths_anions(count: Counter[int]) -> bool:
    """Whether some of the nonmetals are three fifths of all sites; {atomic number: sites}."""
    anions = [n for z, n in count.items() if z in ANIONS]
    subsets = (subset for size in range(1, len(anions) + 1) for subset in combinations(anions, size))
    return any(5 * sum(subset) == 3 * count.total() for subset in subsets)


def _roles_of(
    lattice: np.ndarray, numbers: np.ndarray, coords: np.ndarray, rng: np.random.Generator
) -> dict[str, list[str]] | None:
    """{role: elements} of a crystal, {} where it is not resolved; None where it is no ABX3 with anions on X."""
    from pymatgen.core import Element

    numbers = np.asarray(numbers)
    if not _three_fifths_anions(Counter(numbers.tolist())):
        return None
    symbols = np.array([Element.from_Z(int(z)).symbol for z in numbers])
    order = rng.permutation(len(numbers))
    found = find_perovskite(lattice, numbers[order], np.asarray(coords).reshape(-1, 3)[order] + rng.random(3))
    if found is None or found.kind != "perovskite":
        return {}
    roles = np.array(found.roles)
    return {role: sorted(set(symbols[order][roles == role].tolist())) for role in ROLES}
