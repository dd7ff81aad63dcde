"""Is a crystal like those that a model was trained on? If not, one or two plain sentences say in what way.

What the training crystals look like is kept on the card, a few numbers for each element on each role: on how many
sites it occurs, how near its nearest neighbour comes, how dense the crystals are that hold it. A crystal beyond these
ranges, or on which the members disagree more than on nearly all crystals of `val`, gets a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .cell import ATOMIC_NUMBER, SYMBOLS
from .perovskite import ROLES

if TYPE_CHECKING:
    from .graph import PackedGraphs
    from .model import Model

# How far beyond the training crystals a crystal may be: of a volume, of a distance.
_VOLUME_MARGIN, _DISTANCE_MARGIN = 0.05, 0.04
# Crystals of `val` with a larger spread over the members are told.
_SPREAD_QUANTILE = 0.98
_GUESS = "the numbers are a guess."
_MOST_SENTENCES = 2


@dataclass(frozen=True)
class Domain:
    """The training crystals, by role (A, B, X, last: none or any) and atomic number.

    perovskites: share of the crystals whose sites have roles
    sites: (4, 119) on how many sites an element occurs; nearest, farthest: (4, 119) the shortest and the longest
        distance to its nearest neighbour, angstrom, nan where it does not occur
    volume: (119,) of one atom of an element, cubic angstrom; a cell is compared with the sum over its atoms
    densest, loosest: (119,) the smallest and the largest ratio of the two of the crystals with an element
    spread: of the members, eV/atom, that nearly all crystals of `val` stay below; nan without
    """

    perovskites: float
    sites: np.ndarray
    nearest: np.ndarray
    farthest: np.ndarray
    volume: np.ndarray
    densest: np.ndarray
    loosest: np.ndarray
    spread: float


def nearest_distance(graphs: PackedGraphs) -> np.ndarray:
    """Distance of every site to its nearest neighbour, angstrom; inf for a site without; (S,)."""
    found = np.full(len(graphs.atomic_numbers), np.inf)
    np.minimum.at(found, graphs.centre + np.repeat(graphs.first_site, graphs.edges), graphs.distance)
    return found


def describe_domain(graphs: PackedGraphs, roles: np.ndarray, volume: np.ndarray) -> dict:
    """The entry of a card for training crystals: roles (S,) index into `ROLES`, volume (C,) cubic angstrom."""
    distance, numbers = nearest_distance(graphs), graphs.atomic_numbers
    card: dict = {"perovskites": round(float(np.mean(roles[graphs.first_site] >= 0)), 4), "sites": {}}
    for code, role in [*enumerate(ROLES), (-1, "")]:
        chosen = roles == code
        elements = np.unique(numbers[chosen])
        if not len(elements):
            continue
        own = [distance[chosen & (numbers == z)] for z in elements]
        own = [d[np.isfinite(d)] for d in own]
        card["sites"][role] = {
            "elements": [SYMBOLS[z] for z in elements],
            "sites": [int(np.sum(chosen & (numbers == z))) for z in elements],
            "nearest": [round(float(d.min()), 3) if len(d) else 0.0 for d in own],
            "farthest": [round(float(d.max()), 3) if len(d) else 99.0 for d in own],
        }
    crystal = np.repeat(np.arange(len(graphs)), graphs.sites)
    elements, index = np.unique(numbers, return_inverse=True)
    count = np.zeros((len(graphs), len(elements)))
    np.add.at(count, (crystal, index.ravel()), 1)
    atom = np.linalg.lstsq(count, volume, rcond=None)[0]
    ratio = volume / (count @ atom)
    card["volume"] = {
        "elements": [SYMBOLS[z] for z in elements],
        "volume": np.round(atom, 3).tolist(),
        "densest": [round(float(ratio[count[:, k] > 0].min()), 4) for k in range(len(elements))],
        "loosest": [round(float(ratio[count[:, k] > 0].max()), 4) for k in range(len(elements))],
    }
    return card


def spread_limit(sd: np.ndarray) -> float:
    """The spread that nearly all crystals of `val` stay below, from theirs (C,)."""
    return float(np.quantile(sd, _SPREAD_QUANTILE))


def read_domain(card: dict) -> Domain | None:
    """The entry of a card; None for a card without."""
    if "sites" not in card:
        return None
    sites = np.zeros((len(ROLES) + 1, 119), dtype=np.int64)
    nearest, farthest = (np.full(sites.shape, np.nan) for _ in range(2))
    for role, entry in card["sites"].items():
        at = (ROLES.index(role) if role else len(ROLES), [ATOMIC_NUMBER[symbol] for symbol in entry["elements"]])
        sites[at], nearest[at], farthest[at] = entry["sites"], entry["nearest"], entry["farthest"]
    volume, densest, loosest = (np.full(119, np.nan) for _ in range(3))
    at = [ATOMIC_NUMBER[symbol] for symbol in card["volume"]["elements"]]
    volume[at], densest[at], loosest[at] = (card["volume"][name] for name in ("volume", "densest", "loosest"))
    spread = card.get("spread", float("nan"))
    return Domain(card["perovskites"], sites, nearest, farthest, volume, densest, loosest, spread)


def doubts(
    model: Model, graphs: PackedGraphs, roles: np.ndarray, volume: np.ndarray, sd: np.ndarray | None
) -> list[str]:
    """For each of C crystals why its prediction is to be doubted, in a sentence or two; "" for one in the domain.

    roles: (S,) index into `perovskite.ROLES`, -1 for none; volume: (C,) of the cells, cubic angstrom
    sd: (C,) calibrated error bar of the energy, eV/atom; None for one member
    """
    domain = read_domain(model.card.domain)
    distance = nearest_distance(graphs)
    found = []
    for crystal, first in enumerate(graphs.first_site.tolist()):
        sites = slice(first, first + int(graphs.sites[crystal]))
        numbers, role = graphs.atomic_numbers[sites], roles[sites]
        if domain is None:
            reasons = _by_elements(model.card.elements, bool(model.card.reference), numbers, role)
        else:
            spread = None if sd is None else float(sd[crystal])
            reasons = _reasons(domain, numbers, role, distance[sites], float(volume[crystal]), spread)
        found.append(" ".join(reasons[:_MOST_SENTENCES]))
    return found


def _by_elements(trained: Sequence[str], perovskites: bool, numbers: np.ndarray, role: np.ndarray) -> list[str]:
    """All that a card without a domain can tell."""
    unseen = sorted({SYMBOLS[z] for z in numbers.tolist()} - set(trained)) if trained else []
    if unseen:
        return [_never_seen(unseen)]
    if perovskites and (role < 0).all():
        return [_no_perovskite(1.0)]
    return []


def _never_seen(symbols: Sequence[str]) -> str:
    symbols = ["I (iodine)" if symbol == "I" else symbol for symbol in symbols]  # no pronoun
    return f"{_listed(symbols)} {'were' if len(symbols) > 1 else 'was'} never seen in training: {_GUESS}"


def _no_perovskite(share: float) -> str:
    every = "All training crystals" if share == 1 else f"{100 * share:.0f} % of the training crystals"
    return f"{every} are ABX3 perovskites and this is none: {_GUESS}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _reasons(domain: Domain, numbers, role, distance, volume: float, sd: float | None) -> list[str]:
    """Sentences, the gravest first."""
    elements = np.unique(numbers)
    unseen = [SYMBOLS[z] for z in elements if not domain.sites[:, z].any()]
    if unseen:
        return [_never_seen(unseen)]
    if (role < 0).all() and domain.perovskites > 0.9:
        return [_no_perovskite(domain.perovskites)]
    found = []
    column = (role, numbers)  # the last role, -1, is that of sites without
    seen = domain.sites[column] > 0
    if not seen.all():
        place = dict.fromkeys(
            (ROLES[r], SYMBOLS[z]) for r, z in zip(role[~seen], numbers[~seen], strict=True) if r >= 0
        )
        found += [f"{symbol} was never on {r} in training: {_GUESS}" for r, symbol in place]
    found += _volume_reason(domain, numbers, elements, volume)
    found += _distance_reason(domain, column, distance)
    if sd is not None and sd > domain.spread:
        found.append(
            f"The networks disagree more than on {100 * _SPREAD_QUANTILE:.0f} % of the crystals that they were "
            "tested on."
        )
    return found


def _volume_reason(domain: Domain, numbers, elements, volume: float) -> list[str]:
    ratio = volume / domain.volume[numbers].sum()
    low, high = domain.densest[elements], domain.loosest[elements]
    if ratio < low.max() * (1 - _VOLUME_MARGIN):
        off, symbol, word = 1 - ratio / low.max(), SYMBOLS[elements[low.argmax()]], "smaller"
    elif ratio > high.min() * (1 + _VOLUME_MARGIN):
        off, symbol, word = ratio / high.min() - 1, SYMBOLS[elements[high.argmin()]], "larger"
    else:
        return []
    return [
        f"For its elements, the cell is {100 * off:.0f} % {word} in volume than that of any training crystal with "
        f"{symbol}."
    ]


def _distance_reason(domain: Domain, column, distance: np.ndarray) -> list[str]:
    low, high = domain.nearest[column], domain.farthest[column]
    short = np.flatnonzero(distance < low * (1 - _DISTANCE_MARGIN))
    long = np.flatnonzero(distance > high * (1 + _DISTANCE_MARGIN))
    for off, limit, word in ((short, low, "closer"), (long, high, "farther")):
        if len(off):
            worst = off[np.abs(np.log(distance[off] / limit[off])).argmax()]
            symbol = SYMBOLS[column[1][worst]]
            if not np.isfinite(distance[worst]):
                return [f"An atom of {symbol} has no neighbours."]
            return [
                f"{symbol} has its nearest neighbour at {distance[worst]:.2f} Å; in training it was never {word} than "
                f"{limit[worst]:.2f} Å."
            ]
    return []
