"""What every chemist knows of formation energies, checked on a model of any inorganic crystal."""

from __future__ import annotations

import numpy as np

from ..cell import SYMBOLS
from ..datasets import Dataset
from ..model import Model
from .accuracy import predict
from .sites import Scored

# From the least to the most electronegative: the contribution must fall along each.
ANIONS = (("Te", "Se", "S", "O"), ("I", "Br", "Cl", "F"))
NEAR_ZERO = 0.1  # eV/atom
LEAST_NEAR_ZERO = 0.9
_GROUND_STATE = 1e-3  # eV/atom; the data may lack the true one, which has 0
_ELEMENTS = 20  # with a ground state; fewer say nothing
_SITES_OF_AN_ANION = 20


def predicts_formation_energy(model: Model) -> bool:
    return "formation energy" in model.card.target.label


def ground_states(model: Model, data: Dataset) -> dict | None:
    """Prediction for the ground state of every element in the data, which is 0 by definition of a formation energy.

    None for data with few crystals of one element.
    -> "elements": how many; "share" of them within 0.1 eV/atom of 0; "mae"; "worst": {symbol: prediction} of the three
    farthest off; passed from 90 %
    """
    rows = data.rows("all")
    numbers = np.array([_only_element(data, crystal) for crystal in rows])
    chosen = (numbers > 0) & (np.abs(data.targets[rows]) < _GROUND_STATE)
    rows, numbers = rows[chosen], numbers[chosen]
    order = np.lexsort((data.targets[rows], numbers))
    numbers, first = np.unique(numbers[order], return_index=True)
    if len(numbers) < _ELEMENTS:
        return None
    energy = predict(model, data.graphs, rows[order][first])
    worst = np.argsort(-np.abs(energy))[:3]
    share = float(np.mean(np.abs(energy) < NEAR_ZERO))
    return {
        "elements": len(numbers),
        "share": share,
        "mae": float(np.abs(energy).mean()),
        "worst": {SYMBOLS[numbers[i]]: float(energy[i]) for i in worst},
        "passed": share >= LEAST_NEAR_ZERO,
    }


def _only_element(data: Dataset, crystal: int) -> int:
    """Atomic number of a crystal of one element, 0 for a compound."""
    numbers = data.graphs.numbers_of(crystal)
    return int(numbers[0]) if (numbers == numbers[0]).all() else 0


def anions(data: Dataset, scored: Scored) -> dict | None:
    """Mean raw contribution of chalcogens and halogens over all their sites in compounds, eV.

    It must become more negative from Te to O and from I to F. None where one of them is rare.
    -> "mean": {symbol: eV}; passed if both series fall
    """
    numbers = data.graphs.atomic_numbers[scored.rows]
    value = scored.values.mean(0)
    compound = np.array([_only_element(data, crystal) == 0 for crystal in scored.crystals])
    in_compound = np.repeat(compound, data.graphs.sites[scored.crystals])
    mean = {}
    for symbol in (symbol for series in ANIONS for symbol in series):
        chosen = in_compound & (numbers == SYMBOLS.index(symbol))
        if chosen.sum() < _SITES_OF_AN_ANION:
            return None
        mean[symbol] = float(value[chosen].mean())
    falls = all(mean[s[i + 1]] < mean[s[i]] for s in ANIONS for i in range(len(s) - 1))
    return {"mean": mean, "passed": falls}
