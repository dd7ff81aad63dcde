"""`models`: what is bundled."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from .command import BAD_INPUT
from .options import AsJson, flag
from .output import as_json, note

Check = Annotated[bool, flag("--check", "check every file against the checksum on its card")]
WriteCard = Annotated[bool, flag("--write-card", "with --check: note the checksums that a card lacks")]


def models(json: AsJson = False, check: Check = False, write_card: WriteCard = False) -> int | None:
    """List the bundled models."""
    from ..model import bundled

    if check:
        return _check(write_card)
    cards = bundled()
    if json:
        print(as_json([asdict(card) for card in cards]))
        return
    for card in cards:
        error = f"validation MAE {card.mae:.4f} {card.target.unit}" if card.mae == card.mae else "errors not measured"
        print(f"{card.name:<20} {card.head:<7} {card.target.label} ({card.target.unit}), {error}")


def _check(write_card: bool) -> int:
    """Say of every bundled model whether its files are whole; exit code."""
    from ..model import BUNDLED, CARD, Card, ModelError, note_checksums, read_checked

    broken = 0
    for folder in sorted(path.parent for path in BUNDLED.glob(f"*/{CARD}")):
        try:
            noted = note_checksums(folder) if write_card else []
            card = Card.read(folder / CARD)
            for name in card.files:
                read_checked(folder, card, name)
        except ModelError as error:
            note(f"error: {error}")
            broken += 1
            continue
        said = f"{', '.join(card.files)} as on the card" if card.files else "no checksums on the card"
        print(f"{folder.name:<20} {said}{' (noted now)' if noted else ''}")
    return BAD_INPUT if broken else 0
