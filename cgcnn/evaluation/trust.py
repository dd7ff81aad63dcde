"""Everything that is measured of a model -> the fields of its card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..cards import booked_error
from ..cell import StructureError
from ..datasets import Dataset, split_by_formula
from ..domain import describe_domain, doubts, spread_limit
from ..graph import PackedGraphs
from ..model import Model
from ..perovskite import ROLES
from ..sources import open_source, read_cells, row_names
from . import chemistry, sanity
from .accuracy import accuracy, error_quantiles, errors, parity_map
from .additive import additive_fit, composition_counts, composition_fit
from .ensemble import agreement, aligned, calibration, fix_gauge
from .faithfulness import booked_against_true, faithfulness
from .sites import Scored, a_few, are_perovskites, role_references, score_crystals

_RATTLED = 200  # crystals
# Enough crystals of any chemistry: for the end of a colour scale, for the ranking by random networks.
_ENOUGH = 4000


def measure(model: Model, data: Dataset) -> dict[str, dict]:
    """Fields of a card that a training ends with: accuracy and faithfulness on `val`, reference and colour limit."""
    reference, limit = role_references(model, data, data.rows("train"))
    return {
        "accuracy": {"val": accuracy(model, data, "val").asdict()},
        "faithfulness": faithfulness(model, data, "val"),
        "reference": reference,
        "colour_limit": float(f"{limit:.1g}"),
    }


def trust(
    model: Model,
    data: Dataset,
    path: Path,
    *,
    without: Model | None = None,
    shuffled: Model | None = None,
    other: Model | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, dict]:
    """All fields of a card that are measured, on crystals of `val` unless said otherwise.

    path: file of the data set, to rattle some of its cells
    without: the same training without a loss on contributions; shuffled: a training on shuffled labels
    other: the other pooling head of the family; progress: told what is being done
    Raises DatasetError for data without the splits.
    """
    if not data.split.any():
        data = split_by_formula(data)
    train, val = data.rows("train"), data.rows("val")
    by_role = are_perovskites(data, train)
    progress("training crystals: zero and gauge of contributions")
    trained = score_crystals(model, data, train if by_role else a_few(train, _ENOUGH))
    reference, limit = _zero(data, trained, by_role)
    gauge = fix_gauge(data, train, trained)
    progress("validation crystals: accuracy, faithfulness, calibration")
    scored = score_crystals(model, data, val)
    target = data.targets[val]
    predicted = scored.energies.mean(0)
    values = aligned(data, scored, reference, gauge)
    found = {
        "accuracy": model.card.accuracy | {
            "val": {**errors(predicted, target).asdict(), "quantiles": error_quantiles(predicted, target),
                    "plain": plain_error(data, train, val), "parity": parity_map(predicted, target)}},
        "faithfulness": booked_against_true(data, scored),
        "reference": reference,
        "colour_limit": float(f"{limit:.1g}"),
        "calibration": calibration(scored.energies, target),
        "gauge": gauge,
        "agreement": agreement(data, scored, values, by_role),
    }  # fmt: skip
    if without is not None:
        progress("the training without the loss on contributions")
        theirs = score_crystals(without, data, val)
        found["comparison"] = {
            "without the loss": {
                "accuracy": {"val": errors(theirs.energies.mean(0), target).asdict()},
                "faithfulness": booked_against_true(data, theirs),
            }
        }
    updated = _with_card(model, found)
    progress("domain")
    found["domain"] = _domain(updated, data, train, scored)
    progress("sanity checks")
    checks = {
        "randomised weights": sanity.randomised_weights(model, data, scored, values, by_role),
        "rattled by 0.01 Å": sanity.rattled(updated, some_cells(path, data.ids[val], _RATTLED)),
        "substitution": sanity.substitution_curve(model, data, scored, values, by_role),
    }
    if chemistry.predicts_formation_energy(model):
        progress("known chemistry")
        checks |= {
            "ground states": chemistry.ground_states(model, data),
            "anions": chemistry.anions(data, scored),
        }
    if shuffled is not None:
        constant = float(np.abs(target - np.median(data.targets[train])).mean())
        checks["shuffled labels"] = sanity.shuffled_labels(shuffled, data, scored, values, by_role, constant)
    if other is not None:
        checks["both heads"] = sanity.heads_agree(other, data, scored, values, by_role)
    found["sanity"] = {name: value for name, value in checks.items() if value}
    return {name: rounded(value, 8 if name == "reference" else 5) for name, value in found.items()}


def _with_card(model: Model, found: dict) -> Model:
    return replace(model, card=replace(model.card, **found))


def _zero(data: Dataset, scored: Scored, by_role: bool) -> tuple[dict[str, list[float]], float]:
    """`role_references` of crystals that are scored already."""
    role = data.roles[scored.rows]
    if not by_role:
        own = np.repeat(scored.energies.mean(0), data.graphs.sites[scored.crystals])
        return {}, float(np.quantile(np.abs(scored.values.mean(0) - own), 0.99))
    mean = {name: scored.values[:, role == i].mean(1) for i, name in enumerate(ROLES)}
    off = np.concatenate([(scored.values[:, role == i] - mean[r][:, None]).mean(0) for i, r in enumerate(ROLES)])
    return {name: m.tolist() for name, m in mean.items()}, float(np.quantile(np.abs(off), 0.99))


def plain_error(data: Dataset, train: np.ndarray, val: np.ndarray) -> float:
    """MAE on `val` of the plain reference: the additive fit of perovskites, else the fit to compositions."""
    if are_perovskites(data, val):
        fit = additive_fit(data, data.rows("all"))
        chosen = np.isin(fit.crystals, val)
        return float(np.abs(fit.prediction - data.targets[fit.crystals])[chosen].mean())
    coefficient, _ = composition_fit(data, train)
    count = composition_counts(data, val)
    value = np.array([coefficient.get(z, 0.0) for z in range(count.shape[1])])
    return float(np.abs(count @ value / count.sum(1) - data.targets[val]).mean())


def _domain(model: Model, data: Dataset, train: np.ndarray, scored: Scored) -> dict:
    """The training crystals in numbers, and what warnings are worth on `val`."""
    graphs, roles = _chosen(data, train)
    card = describe_domain(graphs, roles, data.volume[train])
    sd = model.energy_sd(scored.energies)
    if sd is not None:
        card["spread"] = spread_limit(sd)
    graphs, roles = _chosen(data, scored.crystals)
    model = _with_card(model, {"domain": card})
    warned = np.array([bool(d) for d in doubts(model, graphs, roles, data.volume[scored.crystals], sd)])
    error = np.abs(scored.energies.mean(0) - data.targets[scored.crystals])
    card["val"] = {"warned": float(warned.mean())}
    if warned.any() and not warned.all():
        card["val"] |= {"mae warned": float(error[warned].mean()), "mae others": float(error[~warned].mean())}
    return card


def _chosen(data: Dataset, crystals: np.ndarray) -> tuple[PackedGraphs, np.ndarray]:
    """Graphs and roles of some crystals of a data set."""
    wanted = np.isin(np.arange(len(data)), crystals)
    of_site, of_edge = np.repeat(wanted, data.graphs.sites), np.repeat(wanted, data.graphs.edges)
    length = {"sites": wanted, "edges": wanted, "atomic_numbers": of_site}
    part = {name: a[length.get(name, of_edge)] for name, a in data.graphs.arrays().items()}
    return PackedGraphs.from_arrays(part), data.roles[of_site].astype(np.int64)


def some_cells(path: Path, names: np.ndarray, number: int) -> list[tuple]:
    """(lattice, atomic_numbers, frac_coords) of about so many crystals of a data set with these names."""
    return list(_cells(path, set(a_few(names, number).tolist())))


def _cells(path: Path, wanted: set) -> Iterator[tuple]:
    start = 0
    for chunk in open_source(path).chunks(1024):
        names = row_names(chunk, start)
        start += len(chunk)
        chosen = [i for i, name in enumerate(names) if name in wanted]
        for cell in read_cells(chunk[chosen]):
            if not isinstance(cell, StructureError):
                yield tuple(cell)


def tradeoff_point(model: Model, data: Dataset) -> dict[str, float | str]:
    """Accuracy and faithfulness of a training on `val`, one point of the trade-off curve.

    "booked": see `cards.booked_error`
    """
    if not data.split.any():
        data = split_by_formula(data)
    lines = faithfulness(model, data, "val")
    return rounded(
        {
            "name": model.card.name,
            "head": model.card.head,
            "swap_consistency": model.card.training.get("swap_consistency", 0.0),
            "shapley": model.card.training.get("shapley", 0.0),
            "epochs": model.card.training.get("epochs", 0),
            "members": len(model.members),
            "mae": accuracy(model, data, "val").mae,
            "booked": booked_error(lines),
            **{k: [lines[k]["r"], lines[k]["slope"]] for k in lines if k in ("elements A", "elements B", "anion sets")},
        }
    )


def rounded(value, digits: int = 5):
    """Floats of nested dictionaries and lists to so many significant digits; a card is read by people too."""
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry, digits) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if np.isfinite(value) else None
    return value
