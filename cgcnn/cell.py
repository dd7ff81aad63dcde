"""What every reader of structures ends in: the cell of an ordered crystal, or one sentence on why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf

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
LONGEST = 1e4  # angstrom, of a cell vector
# Metals under the pressure of a star's core come to 1; a cell in nanometres lies far below, and its graph has no end.
DENSEST = 0.5  # cubic angstrom an atom
EMPTIEST = 1e5  # cubic angstrom an atom; searches for neighbours divide all of a cell into boxes
LARGEST_COORDINATE = 1e6  # fractional or angstrom; beyond, its digits no longer say where in the cell the atom is
# Occupancies from here on count as full: refined values such as 0.995(4) are no disorder.
FULL_OCCUPANCY = 0.99
SENTENCE = 380  # characters, of a message


class StructureError(ValueError):
    """A file or an entry that is no ordered crystal; the message is one sentence for the person who brought it."""

    def __init__(self, message: str):
        super().__init__(shortened(message, SENTENCE))


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
    check_coordinates(frac, labels)
    frac = wrapped(frac)
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


def checked_lattice(lattice: np.ndarray) -> np.ndarray:
    """The same lattice; StructureError for one that is no cell of a crystal: no numbers, flat, too short or too long.

    In plain Python: data sets have 100,000 of them, and numpy takes longer over nine numbers.
    """
    rows = lattice.tolist()
    lengths = [hypot(x, y, z) for x, y, z in rows]
    if not lengths[0] + lengths[1] + lengths[2] < inf:
        raise StructureError("the cell is not made of finite numbers; correct its lengths and angles, or its vectors")
    if max(lengths) > LONGEST:
        raise StructureError(
            f"the cell edges {_shown(lengths)} are too long for a crystal, the limit is {LONGEST:g}; "
            "lengths must be in angstrom"
        )
    faces = _faces(rows)
    volume = _volume(rows, faces)
    widest = max([hypot(x, y, z) for x, y, z in faces])
    if not volume > 1e-6 or not volume > widest * CLOSEST / 2:
        raise StructureError(
            f"the cell ({_shown(lengths)}, volume {volume:.3g} cubic angstrom) is flat; correct its vectors"
        )
    if min(lengths) < CLOSEST:
        raise StructureError(f"the cell edges {_shown(lengths)} are too short for atoms; lengths must be in angstrom")
    return lattice


def _shown(lengths: list[float]) -> str:
    return "a, b, c = {:.4g}, {:.4g}, {:.4g} angstrom".format(*lengths)


def _faces(rows: list[list[float]]) -> list[tuple[float, float, float]]:
    """Products b x c, c x a, a x b."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = rows
    return [
        (by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx),
        (cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax),
        (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx),
    ]


def _volume(rows: list[list[float]], faces: list[tuple[float, float, float]]) -> float:
    (ax, ay, az), (fx, fy, fz) = rows[0], faces[0]
    return abs(ax * fx + ay * fy + az * fz)


def check_density(lattice: np.ndarray, atoms: int, at_least: bool = False) -> None:
    """Raise StructureError where more atoms share a cell than fit into any crystal, or as good as none.

    at_least: there may be more of them than this
    """
    rows = lattice.tolist()
    volume = _volume(rows, _faces(rows))
    if volume < DENSEST * atoms:
        raise StructureError(
            f"{atoms} atoms in {volume:.3g} cubic angstrom are more than any crystal holds, "
            f"{DENSEST:g} an atom is the limit; lengths must be in angstrom"
        )
    if volume > EMPTIEST * atoms and not at_least:
        raise StructureError(
            f"{'one atom' if atoms == 1 else f'{atoms} atoms'} in {volume:.3g} cubic angstrom are no crystal, "
            f"{EMPTIEST:g} an atom is the limit; lengths must be in angstrom"
        )


def check_coordinates(coords: np.ndarray, names: Sequence[str] | None = None) -> None:
    """Raise StructureError for a coordinate that is no number or beyond every cell; (N, 3)."""
    if np.abs(coords).max(initial=0.0) <= LARGEST_COORDINATE:  # not so for nan
        return
    row, axis = np.argwhere(~(np.abs(coords) <= LARGEST_COORDINATE))[0].tolist()
    name = shortened(names[row]) if names else str(row + 1)
    raise StructureError(
        f"coordinate {'xyz'[axis]} of site {name} is {coords[row, axis]:g}, not a finite number up to "
        f"{LARGEST_COORDINATE:g}; correct it"
    )


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
    """A value from a file, fit to be quoted in a sentence: one line of printable letters, not too long."""
    text = printable(" ".join(text[: 10 * limit + 1000].split()))
    return text if len(text) <= limit else text[: limit - 3] + "..."


def printable(text: str) -> str:
    """The same text with a mark for each letter that moves the cursor, turns the writing, or cannot be encoded."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def is_number(value: object) -> bool:
    """Whether a value of JSON or of a table is a number that numpy can hold; JSON knows whole numbers without end."""
    return isinstance(value, float) or isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**300


def whole_number(text: str, digits: int = 18) -> int | None:
    """A number of atoms or of a space group as written in a file; None for what is none, or has more digits."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
