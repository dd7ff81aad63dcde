"""pymatgen's JSON."""

from __future__ import annotations

import json
import re

import numpy as np
from pymatgen.core import Lattice

from ..cell import SYMBOLS, Cell, StructureError, cell_of, checked_lattice, is_number, too_many_sites, whole_atom
from . import MAX_ENTRIES

_MOST_VALUES = 5_000_000  # in a file; as Python's objects they take some 50 bytes each


def read_json(text: str, max_sites: int) -> list[tuple[str, Cell | StructureError]]:
    """Structures as pymatgen writes them, alone, in a list, or under "structure".

    Rebuilt from lattice, species and coordinates: pymatgen's own decoder imports any module that a file names.
    """
    if sum(map(text.count, "[{,:")) > _MOST_VALUES:
        raise StructureError(f"the JSON holds over {_MOST_VALUES} values, which is the limit; split the file")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise StructureError(f"JSON syntax error in line {error.lineno}: {error.msg}; export the file again") from None
    except RecursionError:
        raise StructureError("the JSON is nested deeper than the limit of some 1000 levels; export it again") from None
    except ValueError:  # Python reads no longer ones
        raise StructureError(
            "the JSON holds a number of over 4300 digits, which is the limit; export it again"
        ) from None
    items = content if isinstance(content, list) else [content]
    if not items:
        raise StructureError("the JSON list is empty; it should hold structures as pymatgen writes them")
    entries = []
    for number, item in enumerate(items[:MAX_ENTRIES], start=1):
        try:
            entries.append((f"structure {number}", _cell(item, max_sites)))
        except StructureError as error:
            entries.append((f"structure {number}", error))
    if len(items) > MAX_ENTRIES:
        problem = StructureError(f"only the first {MAX_ENTRIES} of {len(items)} structures were read; split the file")
        entries.append((f"structure {MAX_ENTRIES + 1}", problem))
    return entries


def _cell(item: object, max_sites: int) -> Cell:
    if isinstance(item, dict) and "sites" not in item and isinstance(item.get("structure"), dict):
        item = item["structure"]
    if not isinstance(item, dict) or not isinstance(item.get("sites"), list):
        raise StructureError("this JSON holds no structure; bring what pymatgen's Structure.to_json() writes")
    if not isinstance(item.get("lattice"), dict):
        raise StructureError("this JSON has atoms but no lattice, so it is a molecule; a crystal needs a cell")
    lattice = _lattice(item["lattice"])
    sites = item["sites"]
    if len(sites) > max_sites:
        raise StructureError(too_many_sites(len(sites), max_sites))
    symbols, frac = [], []
    for i, site in enumerate(sites):
        if not isinstance(site, dict) or not isinstance(site.get("species"), list):
            raise StructureError(f'site {i + 1} of the JSON has no list "species"; export the structure again')
        occupied = [_species(i, species) for species in site["species"]]
        symbols.append(SYMBOLS[whole_atom(i, occupied)])
        if "abc" in site:
            frac.append(_three(site["abc"], f'"abc" of site {i + 1}'))
        elif "xyz" in site:
            xyz = _three(site["xyz"], f'"xyz" of site {i + 1}')
            frac.append(np.linalg.solve(lattice.T, xyz))
        else:
            raise StructureError(f'site {i + 1} of the JSON has no coordinates "abc"; export the structure again')
    return cell_of(lattice, symbols, np.array(frac).reshape(-1, 3))


def _lattice(lattice: dict) -> np.ndarray:
    if "matrix" in lattice:
        matrix = lattice["matrix"]
        if not isinstance(matrix, list) or len(matrix) != 3:
            raise StructureError('"matrix" of the lattice must be three vectors; export the structure again')
        return checked_lattice(np.array([_three(row, "a lattice vector") for row in matrix]))
    lengths = _three([lattice.get(k) for k in ("a", "b", "c")], "a, b, c of the lattice")
    angles = _three([lattice.get(k) for k in ("alpha", "beta", "gamma")], "the angles of the lattice")
    if not all(0 < angle < 180 for angle in angles.tolist()):
        raise StructureError("the angles of the lattice must lie between 0 and 180 degrees; export the structure again")
    matrix = np.array(Lattice.from_parameters(*lengths, *angles).matrix)
    return checked_lattice(matrix)


def _species(site: int, species: object) -> tuple[str, float]:
    name = species.get("element") if isinstance(species, dict) else None
    amount = species.get("occu", 1.0) if isinstance(species, dict) else None
    if not isinstance(name, str) or not is_number(amount):
        raise StructureError(f'site {site + 1} of the JSON has a species without "element" and "occu"; export it again')
    return re.match(r"[A-Za-z]{0,9}", name)[0] or name, float(amount)


def _three(values: object, what: str) -> np.ndarray:
    numbers = isinstance(values, list) and len(values) == 3
    if not numbers or not all(map(is_number, values)):
        raise StructureError(f"{what} must be three numbers; export the structure again")
    return np.array(values, dtype=np.float64)
