"""Contributions and crystallography of one crystal as tables: one row a site, one row a set of equivalent sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from .contributions import Contributions
    from .symmetry import Description


@dataclass(frozen=True)
class Orbit:
    """Symmetry-equivalent sites.

    sites: (n,) indices; mean: of their relative contributions, eV; values: (n,) the contributions themselves
    sd: spread over the members of an ensemble, mean over the sites, None for one member
    """

    name: str
    element: str
    wyckoff: str
    role: str | None
    sites: np.ndarray
    mean: float
    values: np.ndarray
    sd: float | None


def formula(contributions: Contributions) -> str:
    """Reduced formula; of a perovskite in the order A, B, X (PbTiO3), which electronegativity alone would not give."""
    return written_formula(contributions.structure, contributions.role)


def written_formula(structure: Structure, roles: Sequence[str | None]) -> str:
    """The same of a structure whose roles are known; (N,)."""
    if not all(roles):
        return structure.composition.reduced_formula
    count: dict[tuple[str, str], int] = {}
    for role, site in zip(roles, structure, strict=True):
        count[role, site.specie.symbol] = count.get((role, site.specie.symbol), 0) + 1
    divisor = math.gcd(*count.values())
    ordered = sorted(count.items(), key=lambda item: (item[0][0], -item[1]))
    return "".join(symbol + (str(n // divisor) if n > divisor else "") for (_, symbol), n in ordered)


def site_names(contributions: Contributions) -> list[str]:
    """Element and running number of every site within its element: Sr1, Ti1, O1, O2, O3."""
    count: dict[str, int] = {}
    names = []
    for site in contributions.structure:
        symbol = site.specie.symbol
        count[symbol] = count.get(symbol, 0) + 1
        names.append(f"{symbol}{count[symbol]}")
    return names


def with_unit(name: str, unit: str) -> str:
    """Name of a column: "raw, eV"; the name alone where the unit is not known."""
    return f"{name}, {unit}" if unit else name


def site_table(description: Description, contributions: Contributions) -> pd.DataFrame:
    """One row a site. Contributions in their unit, distances in angstrom; columns that say nothing are left out."""
    structure = contributions.structure
    columns = {
        "site": site_names(contributions),
        "element": [site.specie.symbol for site in structure],
        "Wyckoff": [f"{n}{w}" for n, w in zip(description.multiplicity, description.wyckoff, strict=True)],
        "role": list(contributions.role),
        with_unit("relative", contributions.unit): contributions.relative,
        with_unit("sd", contributions.unit): contributions.sd,
        with_unit("raw", contributions.unit): contributions.contribution,
        "gate": contributions.gate,
        "oxidation": description.oxidation,
        "neighbours": list(description.surroundings),
        "CN": description.coordination,
        "nearest, Å": description.nearest_distance,
    }
    kept = {name: values for name, values in columns.items() if values is not None}
    if not any(contributions.role):
        kept.pop("role")
    return pd.DataFrame(kept)


def orbits(description: Description, contributions: Contributions) -> list[Orbit]:
    """The distinct sites, A before B before X, otherwise in the order of the file."""
    index = np.asarray(description.orbit)
    found = []
    for label in dict.fromkeys(index.tolist()):
        sites = np.flatnonzero(index == label)
        first = int(sites[0])
        element = contributions.structure[first].specie.symbol
        found.append(
            Orbit(
                name=f"{len(sites)} {element}" if len(sites) > 1 else element,
                element=element,
                wyckoff=f"{description.multiplicity[first]}{description.wyckoff[first]}",
                role=contributions.role[first],
                sites=sites,
                mean=float(contributions.relative[sites].mean()),
                values=contributions.relative[sites],
                sd=None if contributions.sd is None else float(contributions.sd[sites].mean()),
            )
        )
    return sorted(found, key=lambda orbit: orbit.role or "")
