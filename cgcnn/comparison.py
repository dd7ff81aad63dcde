"""Two or more pooling heads on one crystal: how far they agree, and which of them to trust where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .model import Card
from .perovskite import ROLES

# Contributions of a head are called faithful on a role within these limits of its card.
FAITHFUL_R, FAITHFUL_SLOPE = 0.9, (0.8, 1.25)
# What a card calls the measurement for a role; the first that is there counts.
_MEASURED = {
    "A": ("elements A", "pairs A"),
    "B": ("elements B", "pairs B"),
    "X": ("anion sets", "elements X", "pairs X"),
}


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's r between the contributions of two heads over the sites of a crystal, (N,) each; nan if undefined."""
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if len(one) < 3 or np.ptp(one) < 1e-9 or np.ptp(other) < 1e-9:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def whom_to_trust(cards: Mapping[str, Card], roles: Sequence[str | None]) -> tuple[str, str]:
    """In a sentence, which head's contributions can be read as causes on the roles of a crystal; and the evidence.

    From the cards: contribution of an element against its true effect, r and slope, where that could be measured.
    cards: head -> card; roles: of the sites of the crystal -> verdict, figures (empty where nothing was measured)
    """
    measured = {role: _measured(cards, role) for role in ROLES if role in roles}
    if not any(measured.values()):
        return (
            "How faithful the heads are is not measured for such crystals: where they differ by more than their error "
            "bars, trust neither."
        ), ""
    trusted: dict[tuple[str, ...], list[str]] = {}
    for role, lines in measured.items():
        good = tuple(head for head, (r, slope) in lines.items() if _is_faithful(r, slope))
        trusted.setdefault(good, []).append(role)
    parts = []
    for good, where in trusted.items():
        which = f"the {' and '.join(good)} head" if good else "neither" if len(cards) == 2 else "none"
        if len(good) == len(cards) > 1:
            which = "both heads" if len(cards) == 2 else "all heads"
        parts.append(f"{which} on {' and '.join(where)}")
    figures = "; ".join(
        f"{role} " + ", ".join(f"{head} {r:.3f} and {slope:.2f}" for head, (r, slope) in lines.items())
        for role, lines in measured.items()
        if lines
    )
    return f"Trust {', '.join(parts)}.", f"r and slope of contributions against true effects: {figures}."


def _measured(cards: Mapping[str, Card], role: str) -> dict[str, tuple[float, float]]:
    """Head -> r and slope on a role, of the cards that have them."""
    found = {}
    for head, card in cards.items():
        line = next((card.faithfulness[name] for name in _MEASURED[role] if name in card.faithfulness), None)
        if line:
            found[head] = (line["r"], line["slope"])
    return found


def _is_faithful(r: float, slope: float) -> bool:
    return r >= FAITHFUL_R and FAITHFUL_SLOPE[0] <= slope <= FAITHFUL_SLOPE[1]
