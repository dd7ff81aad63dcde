"""`models`: what is bundled."""

from __future__ import annotations

from dataclasses import asdict

from .options import AsJson
from .output import as_json


def models(json: AsJson = False) -> None:
    """List the bundled models."""
    from ..model import bundled

    cards = bundled()
    if json:
        print(as_json([asdict(card) for card in cards]))
        return
    for card in cards:
        error = f"validation MAE {card.mae:.4f} {card.target.unit}" if card.mae == card.mae else "errors not measured"
        print(f"{card.name:<20} {card.head:<7} {card.target.label} ({card.target.unit}), {error}")
