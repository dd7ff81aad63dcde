"""What every reader of structures ends in: the cell of an ordered crystal, or one sentence on why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SYMBOLS = (  # noqa: SIM905
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
ATOMIC_NUMBER = {symbol: z for z, symbol in enumerate(SYMBOLS) if z}
HYDROGEN_ISOTOPES = {"D": "deuterium", "T": "tritium"}
# Two atoms closer than this are a mistake in the file; the shortest bond of all, H-H, measures 0.74.
CLOSEST = 0.4  # angstrom
HEAVIEST = 103  # Lr, the last element with features
# Occupancies from here on count as full: refined values such as 0.995(4) are no disorder.
FULL_OCCUPANCY = 0.99


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


def cell_of(lattice: np.ndarray, symbols: list[str], frac: np.ndarray, notes: tuple[str, ...] = ()) -> Cell:
    """The cell of atoms given by element symbols, labelled in their order."""
    numbers = [atomic_number(symbol) for symbol in symbols]
    notes += tuple(f"{name} was read as hydrogen" for symbol, name in HYDROGEN_ISOTOPES.items() if symbol in symbols)
    labels = tuple(f"{SYMBOLS[z]}{i + 1}" for i, z in enumerate(numbers))
    frac = wrapped(frac) if np.isfinite(frac).all() else frac
    return Cell(np.asarray(lattice, dtype=np.float64), np.array(numbers, dtype=np.int64), frac, labels, notes)


def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol in any case, 1 for D and T; StructureError for others and beyond Lr."""
    name = symbol if symbol in ATOMIC_NUMBER else symbol.capitalize()
    z = 1 if name in HYDROGEN_ISOTOPES else ATOMIC_NUMBER.get(name)
    if not z:
        raise StructureError(
            f"'{shortened(symbol)}' is no chemical element; name the element of this site, or remove the site"
        )
    if z > HEAVIEST:
        raise StructureError(f"element {symbol} (Z = {z}) is beyond Lr (Z = 103) and has no features; replace it")
    return z


def whole_atom(site: int, occupied: list[tuple[str, float]]) -> int:
    """Atomic number of the one element that fills a site, given as (symbol, occupancy); site counts from 0.

    Raises StructureError for a site that is disordered.
    """
    full = len({name for name, _ in occupied}) == 1 and sum(amount for _, amount in occupied) >= FULL_OCCUPANCY
    if not full:
        shown = " + ".join(f"{shortened(name)} {amount:g}" for name, amount in occupied[:5]) or "nothing"
        raise StructureError(
            f"the crystal is disordered: site {site + 1} holds {shown}; "
            "bring an ordered model in which every site holds one whole atom"
        )
    return atomic_number(occupied[0][0])


def with_volume(lattice: np.ndarray) -> np.ndarray:
    """The same lattice; StructureError where its vectors span no volume."""
    if not (np.isfinite(lattice).all() and abs(np.linalg.det(lattice)) > 1e-6):
        raise StructureError("the cell has no volume; correct its three vectors")
    return lattice


def wrapped(frac: np.ndarray) -> np.ndarray:
    """Fractional coordinates in [0, 1); a value a rounding error below 1 becomes 0."""
    frac = frac - np.floor(frac)
    frac[frac > 1 - 1e-10] = 0.0
    return frac


def too_many_sites(count: int, max_sites: int, at_least: bool = False) -> str:
    """The sentence for a cell over the limit."""
    more = "at least " if at_least else ""
    return (
        f"the cell has {more}{count} atoms and the limit is {max_sites}; "
        "use the primitive cell, or raise the limit (--max-sites on the command line)"
    )


def shortened(text: str, limit: int = 40) -> str:
    """A value from a file, fit to be quoted in a sentence: one line, not too long."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
