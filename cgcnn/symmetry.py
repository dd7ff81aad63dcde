"""What a chemist looks for beside the picture of a crystal: space group, equivalent sites, surroundings, valences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb

import numpy as np
import spglib
from pymatgen.core import Composition, Element, Structure

# A neighbour belongs to the coordination shell up to this many times the distance of the nearest one.
SHELL = 1.25
# Elements whose electronegativities lie closer together than this are not told apart as cations and anions.
_POLAR = 0.5  # Pauling scale
_FARTHEST = 12.0  # angstrom, where the search for neighbours ends
_LOOSE = 0.1  # angstrom, the tolerance for "nearly of higher symmetry"
_LONGEST_GUESS = 30_000  # steps of the search for oxidation states, about 0.15 s

_SYSTEMS = ((2, "triclinic"), (15, "monoclinic"), (74, "orthorhombic"), (142, "tetragonal"), (167, "trigonal"),
            (194, "hexagonal"), (230, "cubic"))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Description:
    """One crystal of N sites as a chemist describes it.

    formula: reduced formula; formula_units: how many of them the given cell holds
    density: g/cm3; volume: of the given cell, cubic angstrom
    space_group, number: Hermann-Mauguin symbol and number; crystal_system; point_group
    symprec: tolerance on positions with which they were found, angstrom
    wyckoff, site_symmetry: (N,) letter such as 'a' and point group such as '4/mm.m'
    orbit: (N,) int64, counted from 0 in the order of the sites; symmetry-equivalent sites share one
    multiplicity: (N,) int64, of the site in the conventional cell, so that 4a reads multiplicity 4, wyckoff 'a'
    oxidation: (N,) float64 oxidation states, a mean where an element has several; None where none could be guessed
    nearest_distance: (N,) angstrom, nan without a neighbour within 12 angstrom
    nearest_element: (N,) element symbols, empty without neighbour
    coordination: (N,) int64, number of neighbours in the coordination shell, see `coordination_shells`
    surroundings: (N,) text such as '6 O', '2 Ti + 4 Sr'
    notes: what could not be done in the usual way
    """

    formula: str
    formula_units: int
    density: float
    volume: float
    space_group: str
    number: int
    crystal_system: str
    point_group: str
    symprec: float
    wyckoff: tuple[str, ...]
    site_symmetry: tuple[str, ...]
    orbit: np.ndarray
    multiplicity: np.ndarray
    oxidation: np.ndarray | None
    nearest_distance: np.ndarray
    nearest_element: tuple[str, ...]
    coordination: np.ndarray
    surroundings: tuple[str, ...]
    notes: tuple[str, ...] = ()


def describe(structure: Structure, symprec: float = 0.01) -> Description:
    """Describe an ordered crystal. symprec: tolerance on positions in the search for symmetry, angstrom.

    Does not fail where a part cannot be found: without symmetry the crystal is described in P1, with a note.
    """
    notes: list[str] = []
    group = _space_group(structure, symprec, notes)
    oxidation = oxidation_states(structure)
    shells = coordination_shells(structure, oxidation)
    formula, units = structure.composition.get_reduced_formula_and_factor()
    return Description(
        formula=formula,
        formula_units=int(units),
        density=float(structure.density),
        volume=float(structure.volume),
        symprec=symprec,
        oxidation=oxidation,
        notes=tuple(notes),
        **group,
        **shells,
    )


# --- space group ------------------------------------------------------------------------------------------------------


def _space_group(structure: Structure, symprec: float, notes: list[str]) -> dict:
    """spglib's dataset as the fields of `Description`.

    spglib is asked directly: pymatgen's SpacegroupAnalyzer does the same and then converts all operations.
    """
    n = len(structure)
    found = _dataset(structure, symprec)
    if found is None:
        notes.append(f"no symmetry could be found within {symprec:g} angstrom; described in P1")
        return dict(
            space_group="P1", number=1, crystal_system="triclinic", point_group="1", wyckoff=("a",) * n,
            site_symmetry=("1",) * n, orbit=np.arange(n), multiplicity=np.ones(n, dtype=np.int64),
        )  # fmt: skip
    if symprec < _LOOSE:
        loose = _dataset(structure, _LOOSE)
        if loose is not None and loose.number > found.number:
            notes.append(f"nearly {loose.international}: its symmetry holds within {_LOOSE:g} angstrom")
    _, orbit, count = np.unique(found.crystallographic_orbits, return_inverse=True, return_counts=True)
    orbit = orbit.reshape(-1)
    return dict(
        space_group=found.international,
        number=int(found.number),
        crystal_system=next(name for last, name in _SYSTEMS if found.number <= last),
        point_group=found.pointgroup.strip(),
        wyckoff=tuple(found.wyckoffs),
        site_symmetry=tuple(found.site_symmetry_symbols),
        orbit=_in_order_of_appearance(orbit),
        multiplicity=np.round(count[orbit] * len(found.std_types) / n).astype(np.int64),
    )


def _dataset(structure: Structure, symprec: float):
    lattice, frac = np.array(structure.lattice.matrix), np.array(structure.frac_coords)
    if np.linalg.det(lattice) < 0:  # spglib wants right-handed axes; swapping two keeps the crystal and its hand
        lattice, frac = lattice[[1, 0, 2]], frac[:, [1, 0, 2]]
    try:
        return spglib.get_symmetry_dataset((lattice, frac, structure.atomic_numbers), symprec=symprec)
    except Exception:  # its error class depends on the version and on an environment variable
        return None


def _in_order_of_appearance(index: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(index, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)].astype(np.int64)


# --- oxidation states -------------------------------------------------------------------------------------------------


def oxidation_states(structure: Structure) -> np.ndarray | None:
    """The likeliest neutral assignment by composition, (N,); None where there is none, as in an alloy.

    Every atom of an element gets the same value, so mixed valences come out as their mean (Fe3O4: 2.67). Formulas
    with too many possibilities are left out: the search would take longer than a reader waits.
    """
    composition = Composition(structure.composition.reduced_composition)
    symbols = [str(e) for e in composition.elements]
    if len(symbols) == 1:
        return np.zeros(len(structure))
    if not _has_anion(composition.elements) or _search_steps(composition) > _LONGEST_GUESS:
        return None
    guesses = composition.oxi_state_guesses()
    if not guesses:
        return None
    return np.array([float(guesses[0][site.specie.symbol]) for site in structure])


def _has_anion(elements: list[Element]) -> bool:
    """Some element is a non-metal that takes electrons; intermetallics have no meaningful oxidation states."""
    return any(e.symbol in {"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "As", "Se", "Br", "Sb", "Te", "I"}
               for e in elements)  # fmt: skip


def _search_steps(composition: Composition) -> int:
    """How long pymatgen's search takes: it lists the multisets of states of every element, atom by atom, and then all
    combinations of their sums."""
    steps, sums = 0, 1
    for element, amount in composition.items():
        states = element.icsd_oxidation_states or element.oxidation_states
        if states:
            n = int(amount)
            multisets = comb(n + len(states) - 1, n)
            steps += n * multisets
            sums *= min(multisets, n * (max(states) - min(states)) + 1)
    return steps + 2 * sums


# --- surroundings -----------------------------------------------------------------------------------------------------


def coordination_shells(structure: Structure, oxidation: np.ndarray | None) -> dict:
    """Nearest neighbours and coordination numbers, as the fields of `Description`.

    The shell of a cation holds the anions up to 1.25 times as far as its nearest anion; SrTiO3: Ti 6 O, Sr 12 O.
    The shell of an anion holds the cations by the same rule (O: 2 Ti); cations farther away that have this anion in
    *their* shell follow in brackets (+ 4 Sr) and are not counted. Cations and anions are told apart by oxidation state,
    else by the widest gap in electronegativity; where that is under 0.5, every atom counts for every other.
    """
    n = len(structure)
    symbols = np.array([site.specie.symbol for site in structure])
    charge = _charges(structure, oxidation)
    centre, neighbour, distance = _all_pairs(structure, charge)
    order = np.argsort(distance, kind="stable")
    centre, neighbour, distance = centre[order], neighbour[order], distance[order]

    nearest, nearest_element = np.full(n, np.nan), np.full(n, "", dtype=symbols.dtype)
    with_any, first = np.unique(centre, return_index=True)
    nearest[with_any] = distance[first]
    nearest_element[with_any] = symbols[neighbour[first]]

    bonding = charge[centre] * charge[neighbour] < 0 if charge.any() else np.ones(len(centre), dtype=bool)
    centre, neighbour, distance = centre[bonding], neighbour[bonding], distance[bonding]
    edge = np.full(n, -np.inf)
    with_shell, first = np.unique(centre, return_index=True)
    edge[with_shell] = SHELL * distance[first]
    inside = distance <= edge[centre] + 1e-6
    counted_back = ~inside & (distance <= edge[neighbour] + 1e-6) & (charge[centre] < 0)
    text = []
    for i in range(n):
        own = _counted(symbols[neighbour[inside & (centre == i)]])
        outer = _counted(symbols[neighbour[counted_back & (centre == i)]])
        text.append(f"{own} (+ {outer})" if outer else own)
    return dict(
        nearest_distance=nearest,
        nearest_element=tuple(nearest_element.tolist()),
        coordination=np.bincount(centre[inside], minlength=n).astype(np.int64),
        surroundings=tuple(text),
    )


def _charges(structure: Structure, oxidation: np.ndarray | None) -> np.ndarray:
    """+1 for cations, -1 for anions, 0 for all where there is no such difference; (N,)."""
    if oxidation is not None and oxidation.min() < 0 < oxidation.max():
        return np.sign(oxidation)
    scale = {element: element.X for element in set(structure.species) if not element.is_noble_gas or element.Z > 18}
    values = np.unique([x for x in scale.values() if x == x])
    if len(values) < 2 or np.diff(values).max() < _POLAR:
        return np.zeros(len(structure))
    k = int(np.diff(values).argmax())
    middle = (values[k] + values[k + 1]) / 2
    return np.array([np.sign(middle - scale.get(element, middle)) for element in structure.species])


def _all_pairs(structure: Structure, charge: np.ndarray):
    """Neighbour pairs far enough to hold the shell of every atom: centre, neighbour, distance (E,)."""
    from .graph import neighbours_within  # imported late: it needs torch

    n = len(structure)
    lattice = np.array(structure.lattice.matrix)
    points = np.ascontiguousarray(structure.cart_coords)
    cutoff = 4.0
    while True:
        centre, neighbour, distance = neighbours_within(lattice, points, cutoff)
        wanted = charge[centre] * charge[neighbour] < 0 if charge.any() else np.ones(len(centre), dtype=bool)
        nearest = np.full(n, np.inf)
        np.minimum.at(nearest, centre[wanted], distance[wanted])
        if cutoff >= _FARTHEST or SHELL * nearest.max() <= cutoff:
            return centre, neighbour, distance
        cutoff = min(_FARTHEST, 1.5 * cutoff)


def _counted(symbols: np.ndarray) -> str:
    """['Ti', 'Sr', 'Ti'] -> '2 Ti + 1 Sr', in the order of first appearance, the nearest first."""
    return " + ".join(f"{count} {symbol}" for symbol, count in Counter(symbols.tolist()).items())
