"""Which of the bundled models fits a crystal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .model import bundled
from .perovskite import site_roles

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from .model import Card

PEROVSKITE, GENERAL = "perovskite", "inorganic"


@dataclass(frozen=True)
class Choice:
    """A family of models, and why, in words."""

    family: str
    reason: str


def by_family(cards: Iterable[Card]) -> dict[str, dict[str, Card]]:
    """Family -> head -> card, in the order of the cards."""
    families: dict[str, dict[str, Card]] = {}
    for card in cards:
        families.setdefault(card.family, {})[card.head] = card
    return families


def fitting_family(structure: Structure | None, families: Mapping[str, Card]) -> Choice:
    """The family for a crystal: that of the perovskites for an ABX3 of its elements, otherwise the general one.

    structure: None for a view without one crystal, which is about perovskites
    families: one card of each family at hand; where only one of the two is there, it is the choice
    Raises ValueError if there is none at all.
    """
    if not families:
        raise ValueError("there is no model to choose from; `python -m cgcnn train` makes one")
    special, general = (name if name in families else None for name in (PEROVSKITE, GENERAL))
    if structure is None:
        return Choice(special or general or next(iter(families)), "this page shows no single crystal")
    reason, fits = _perovskite_of(structure, families.get(PEROVSKITE))
    if special and (fits or not general):
        return Choice(special, reason if fits else f"{reason}; there is no other model")
    return Choice(general or next(iter(families)), reason)


def fitting_model(structure: Structure) -> str:
    """Name of the bundled model for a crystal: of the fitting family the linear head, if there is one.

    Raises ValueError if there is no bundled model.
    """
    families = by_family(bundled())
    choice = fitting_family(structure, {name: next(iter(cards.values())) for name, cards in families.items()})
    cards = families[choice.family]
    return cards.get("linear", next(iter(cards.values()))).name


def _perovskite_of(structure: Structure, card: Card | None) -> tuple[str, bool]:
    """In words, what kind of crystal it is for the perovskite models, and whether they know it."""
    roles = site_roles(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)
    if not all(roles):
        return "this is no ABX3 perovskite", False
    unseen = sorted({e.symbol for e in structure.elements} - set(card.elements)) if card and card.elements else []
    if unseen:
        return f"an ABX3 perovskite, but with {', '.join(unseen)}, which the perovskite models never saw", False
    return "this is an ABX3 perovskite of elements that the models know", True
