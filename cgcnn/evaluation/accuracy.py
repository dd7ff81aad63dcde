"""Errors of a model against the targets of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ..datasets import Dataset
from ..distinct import DistinctSites
from ..graph import PackedGraphs
from ..model import Model

_SITES_AT_ONCE = 2000  # which bounds the memory
QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.99)
_PARITY_BINS = 48


@dataclass(frozen=True)
class Accuracy:
    """Errors on n crystals; mae and rmse in the unit of the target, r2 the coefficient of determination."""

    n: int
    mae: float
    rmse: float
    r2: float

    def asdict(self) -> dict:
        return asdict(self)


def batches(graphs: PackedGraphs, crystals: np.ndarray) -> Iterator[np.ndarray]:
    """The crystals in their order, in pieces of not too many sites."""
    if len(crystals):
        piece = (np.cumsum(graphs.sites[crystals]) - 1) // _SITES_AT_ONCE
        yield from np.split(crystals, np.flatnonzero(np.diff(piece)) + 1)


def distinct_batches(graphs: PackedGraphs, crystals: np.ndarray) -> Iterator[DistinctSites]:
    """The crystals in their order, in such pieces, with sites that are alike computed once."""
    for piece in batches(graphs, crystals):
        yield DistinctSites.of([graphs[crystal] for crystal in piece])


def member_energies(model: Model, graphs: PackedGraphs, crystals: np.ndarray) -> np.ndarray:
    """Prediction of every member for the crystals of these indices, (M, C)."""
    found = [
        model.energies(piece.graphs.select(dtype=model.dtype)).double().numpy()
        for piece in distinct_batches(graphs, crystals)
    ]
    return np.concatenate(found, axis=1)


def predict(model: Model, graphs: PackedGraphs, crystals: np.ndarray) -> np.ndarray:
    """Prediction for the crystals of these indices, mean over the members, (C,)."""
    return member_energies(model, graphs, crystals).mean(0)


def accuracy(model: Model, data: Dataset, split: str = "all") -> Accuracy:
    """Errors of the prediction on a split of a data set. Raises DatasetError if the split is empty."""
    rows = data.rows(split)
    return errors(predict(model, data.graphs, rows), data.targets[rows])


def errors(predicted: np.ndarray, target: np.ndarray) -> Accuracy:
    """Errors of predictions (C,) against targets (C,)."""
    error = predicted - target
    spread = np.square(target - target.mean()).sum()
    return Accuracy(
        n=len(target),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.square(error).mean())),
        r2=float(1 - np.square(error).sum() / spread) if spread > 0 else float("nan"),
    )


def shifted(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """{"shift", "mae shifted"}: the constant that added to all predictions makes the mean absolute error least.

    Energies of other calculations have other references; what is left after it is not their offset.
    """
    shift = float(np.median(target - predicted))
    return {"shift": shift, "mae shifted": float(np.abs(predicted + shift - target).mean())}


def error_quantiles(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """{share of the crystals, as text: largest absolute error among them}."""
    found = np.quantile(np.abs(predicted - target), QUANTILES)
    return {str(q): float(value) for q, value in zip(QUANTILES, found, strict=True)}


def parity_map(predicted: np.ndarray, target: np.ndarray) -> dict[str, list]:
    """How many crystals have which target and which prediction: a histogram of squares, of which the filled are kept.

    -> {"low", "high": ends of both axes, "bins": squares along each, "target", "predicted": (K,) column and row of a
    filled square, "crystals": (K,) how many}
    """
    low, high = float(min(target.min(), predicted.min())), float(max(target.max(), predicted.max()))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    count, _, _ = np.histogram2d(target, predicted, bins=_PARITY_BINS, range=[[low, high], [low, high]])
    column, row = np.nonzero(count)
    return {
        "low": low,
        "high": high,
        "bins": _PARITY_BINS,
        "target": column.tolist(),
        "predicted": row.tolist(),
        "crystals": count[column, row].astype(int).tolist(),
    }
