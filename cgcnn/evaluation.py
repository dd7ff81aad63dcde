"""How accurate a model is, and how far its contributions can be trusted."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
import torch

from .datasets import Dataset
from .graph import PackedGraphs
from .model import Model
from .perovskite import ROLES
from .swap import SwapPairs

_CRYSTALS_AT_ONCE = 512


@dataclass(frozen=True)
class Accuracy:
    """Errors on n crystals; mae and rmse in the unit of the target, r2 the coefficient of determination."""

    n: int
    mae: float
    rmse: float
    r2: float

    def asdict(self) -> dict:
        return asdict(self)


def predict(model: Model, graphs: PackedGraphs, crystals: np.ndarray) -> np.ndarray:
    """Prediction for the crystals of these indices, mean over the members, (C,)."""
    chunks = [crystals[i : i + _CRYSTALS_AT_ONCE] for i in range(0, len(crystals), _CRYSTALS_AT_ONCE)]
    return np.concatenate([model.energies(graphs.select(c)).mean(0).double().numpy() for c in chunks])


def accuracy(model: Model, data: Dataset, split: str = "all") -> Accuracy:
    """Errors of the prediction on a split of a data set. Raises DatasetError if the split is empty."""
    rows = data.rows(split)
    target = data.targets[rows]
    error = predict(model, data.graphs, rows) - target
    spread = np.square(target - target.mean()).sum()
    return Accuracy(
        n=len(rows),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.square(error).mean())),
        r2=float(1 - np.square(error).sum() / spread) if spread > 0 else float("nan"),
    )


def site_contributions(model: Model, data: Dataset, crystals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raw contributions of all sites of the crystals, one crystal after another, by every member.

    -> contributions (M, S) in the unit of the target, rows (S,) of the sites in `data.graphs.atomic_numbers`
    """
    values, rows = [], []
    for start in range(0, len(crystals), _CRYSTALS_AT_ONCE):
        chunk = crystals[start : start + _CRYSTALS_AT_ONCE]
        values.append(model.energies_and_contributions(data.graphs.select(chunk))[1].double().numpy())
        rows += [np.arange(data.graphs.first_site[c], data.graphs.first_site[c] + data.graphs.sites[c]) for c in chunk]
    return np.concatenate(values, axis=1), np.concatenate(rows)


def role_references(model: Model, data: Dataset, crystals: np.ndarray) -> tuple[dict[str, list[float]], float]:
    """The gauge of a model: mean contribution of each role over the crystals, one value a member, in eV.

    Also the 99th percentile of |contribution - reference|, a common end for colour scales. ({}, percentile about
    each crystal's mean) for data without perovskites.
    """
    values, rows = site_contributions(model, data, crystals)
    role = data.roles[rows]
    references = {name: values[:, role == i].mean(1) for i, name in enumerate(ROLES) if np.any(role == i)}
    if set(references) != set(ROLES):
        return {}, float(np.quantile(np.abs(values.mean(0) - values.mean()), 0.99))
    relative = np.concatenate(
        [(values[:, role == i] - ref[:, None]).mean(0) for i, ref in enumerate(references.values())]
    )
    return {name: ref.tolist() for name, ref in references.items()}, float(np.quantile(np.abs(relative), 0.99))


@dataclass(frozen=True)
class AdditiveFit:
    """Least-squares E = A + B + anion set over labelled ABX3 crystals, the plain reference of every ranking.

    effect: {role: {atomic number: true effect of the element on that site}}, eV, five times the coefficient and
        centred over the elements
    prediction: of the crystals fitted, eV/atom; crystals: their indices
    """

    effect: dict[str, dict[int, float]]
    prediction: np.ndarray
    crystals: np.ndarray


def _perovskite_sites(data: Dataset, crystals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five-atom crystals with roles -> their indices, element on A, element on B, anions (sorted); (P,), .., (P, 3)."""
    crystals = crystals[data.graphs.sites[crystals] == 5]
    rows = data.graphs.first_site[crystals][:, None] + np.arange(5)
    role, numbers = data.roles[rows], data.graphs.atomic_numbers[rows]
    complete = np.sort(role, axis=1).tolist()
    keep = np.array([r == [0, 1, 2, 2, 2] for r in complete], dtype=bool)
    crystals, role, numbers = crystals[keep], role[keep], numbers[keep]
    anions = np.sort(numbers[role == 2].reshape(-1, 3), axis=1)
    return crystals, np.stack([numbers[role == 0], numbers[role == 1]], axis=1), anions


def additive_fit(data: Dataset, crystals: np.ndarray) -> AdditiveFit:
    """Fit the additive model to the labels of these crystals (those that are five-atom ABX3 cells)."""
    crystals, cations, anions = _perovskite_sites(data, crystals)
    codes = [cations[:, 0], cations[:, 1], np.unique(anions, axis=0, return_inverse=True)[1].ravel()]
    blocks, labels = [], []
    for code in codes:
        values = np.unique(code)
        blocks.append((code[:, None] == values).astype(float))
        labels.append(values)
    design = np.concatenate(blocks, axis=1)
    coefficient = np.linalg.lstsq(design, data.targets[crystals], rcond=None)[0]
    effect, first = {}, 0
    for role, values in zip("AB", labels, strict=False):
        part = 5 * coefficient[first : first + len(values)]
        effect[role] = dict(zip(values.tolist(), (part - part.mean()).tolist(), strict=True))
        first += len(values)
    return AdditiveFit(effect, design @ coefficient, crystals)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 on; equal values share the mean of theirs."""
    return pl.Series(values).rank("average").to_numpy()


def _lines(points: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, float]]:
    """{name: (true, booked)} -> n, Pearson r, Spearman's rank correlation and slope of booked on true, of those with a
    line to draw."""
    return {
        name: {
            "n": len(true),
            "r": float(np.corrcoef(true, booked)[0, 1]),
            "spearman": float(np.corrcoef(_ranks(true), _ranks(booked))[0, 1]),
            "slope": float(np.polyfit(true, booked, 1)[0]),
        }
        for name, (true, booked) in points.items()
        if len(true) > 2 and np.ptp(true) > 0 and np.ptp(booked) > 0
    }


def faithfulness(model: Model, data: Dataset, split: str = "val") -> dict[str, dict[str, float]]:
    """Are contributions booked on the atom that causes them? Measured on a factorial of five-atom perovskites.

    "elements A", "elements B": mean contribution of each element on the site over `split`, against its true effect,
        five times its coefficient in a least-squares A + B + anion-set fit to all labels
    "pairs A", "pairs B", "pairs X", "pairs" (all of them): over pairs of `split` crystals that differ in one site,
        the change of the contribution of that site against five times the change of the label

    -> {name: {"n", "r", "spearman", "slope" of booked on true}}; {} for data without five-atom perovskites
    """
    crystals, cations, _ = _perovskite_sites(data, data.rows(split))
    if len(crystals) < 3:
        return {}
    values, rows = site_contributions(model, data, crystals)
    contribution = np.full(len(data.roles), np.nan)
    contribution[rows] = values.mean(0)
    fit = additive_fit(data, data.rows("all"))
    points = {}
    sites = data.graphs.first_site[crystals][:, None] + np.arange(5)
    for column, role in enumerate("AB"):
        booked = contribution[sites][data.roles[sites] == column]
        elements = np.unique(cations[:, column])
        mean = np.array([booked[cations[:, column] == z].mean() for z in elements])
        points[f"elements {role}"] = (np.array([fit.effect[role][z] for z in elements.tolist()]), mean)
    return _lines(points) | _pair_faithfulness(data, crystals, contribution)


def _pair_faithfulness(data: Dataset, crystals: np.ndarray, contribution: np.ndarray) -> dict[str, dict[str, float]]:
    first, second, site = SwapPairs(data.graphs, crystals).all_pairs()
    row = data.graphs.first_site[first] + site
    mate = data.graphs.first_site[second] + site
    # A pair that relaxed into different roles was not swapped on one site.
    same = data.roles[row] == data.roles[mate]
    row, mate = row[same], mate[same]
    true = 5 * (data.targets[second] - data.targets[first])[same]
    booked = contribution[mate] - contribution[row]
    # A pair has no order; counted both ways round, the line goes through zero.
    role, true, booked = np.tile(data.roles[row], 2), np.concatenate([true, -true]), np.concatenate([booked, -booked])
    points = {f"pairs {name}": (true[role == i], booked[role == i]) for i, name in enumerate(ROLES)}
    lines = _lines({**points, "pairs": (true, booked)})
    return {name: {**line, "n": line["n"] // 2} for name, line in lines.items()}


def measure(model: Model, data: Dataset) -> dict[str, dict]:
    """Fields of a card: accuracy and faithfulness on `val`, reference and colour limit from `train`."""
    reference, limit = role_references(model, data, data.rows("train"))
    return {
        "accuracy": {"val": accuracy(model, data, "val").asdict()},
        "faithfulness": faithfulness(model, data, "val"),
        "reference": reference,
        "colour_limit": float(f"{limit:.1g}"),
    }


def pooled_reference(model: Model, data: Dataset, crystals: np.ndarray) -> list[torch.Tensor]:
    """Mean pooled vector v_c over the crystals, (F,) for every member; none for linear pooling, which needs none."""
    if model.members[0].head.exact:
        return []
    total = [torch.zeros(1)] * len(model.members)
    for start in range(0, len(crystals), _CRYSTALS_AT_ONCE):
        batch = data.graphs.select(crystals[start : start + _CRYSTALS_AT_ONCE], model.dtype)
        for i, member in enumerate(model.members):
            with torch.no_grad():
                total[i] = total[i] + member.head.pooled(*member.site_features(batch), batch).sum(0)
    return [t / len(crystals) for t in total]
