"""Checks that contributions come from what was learned: what must destroy a ranking, and what must leave it.

After J. Adebayo et al., Sanity checks for saliency maps, NeurIPS (2018), and W. Samek et al., Evaluating the
visualization of what a deep neural network has learned, IEEE Trans. Neural Netw. Learn. Syst. 28, 2660 (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..cell import HEAVIEST
from ..contributions import references
from ..datasets import Dataset
from ..graph import PackedGraphs, build_graph
from ..model import Model
from ..perovskite import ROLES, site_roles
from .ensemble import element_means
from .faithfulness import correlation, spearman
from .sites import Scored, a_few, score_crystals, site_rows

# Thresholds of the verdicts, all stated beside the values.
MOST_LEFT_OF_RANKING = 0.5
LEAST_STEADY = 0.95
LEAST_HEADS_AGREE = 0.9
_RANDOM_MODELS = 5
_ENOUGH = 4000  # crystals that random networks rank
_RANDOM_ORDERS = 8
_STEPS = 10
RATTLE = 0.01  # angstrom


def _rank_correlation(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """Spearman of the element means, (elements,) for each role that both have."""
    return {role or "all sites": spearman(one[role], other[role]) for role in one if role in other}


def with_randomised_weights(model: Model, seed: int) -> Model:
    """The model with the entries of every weight tensor in random order."""
    rng = torch.Generator().manual_seed(seed)
    members = []
    for member in model.members:
        copy = deepcopy(member)
        with torch.no_grad():
            for weight in copy.parameters():
                order = torch.randperm(weight.numel(), generator=rng)
                weight.copy_(weight.flatten()[order].reshape(weight.shape))
        members.append(copy)
    return replace(model, members=tuple(members))


def randomised_weights(model: Model, data: Dataset, scored: Scored, values: np.ndarray, by_role: bool) -> dict:
    """Spearman between element means of the trained members and of networks with shuffled weights, by role.

    -> "spearman": mean over five random networks; "largest": absolute value in one network, without X, on which there
    are few elements; passed if the mean of every other role is between -0.5 and 0.5
    """
    some = a_few(scored.crystals, _ENOUGH)
    chosen = np.isin(np.repeat(scored.crystals, data.graphs.sites[scored.crystals]), some)
    trained = {r: v.mean(0) for r, v in element_means(data, scored.rows[chosen], values[:, chosen], by_role).items()}
    one = replace(model, members=model.members[:1])
    found: dict[str, list[float]] = {}
    for seed in range(_RANDOM_MODELS):
        random = score_crystals(with_randomised_weights(one, seed), data, some)
        means = element_means(data, random.rows, random.values, by_role)
        for role, r in _rank_correlation(trained, {role: v.mean(0) for role, v in means.items()}).items():
            found.setdefault(role, []).append(r)
    mean = {role: float(np.mean(r)) for role, r in found.items()}
    return {
        "spearman": mean,
        "largest": float(max((np.abs(r).max() for role, r in found.items() if role != "X"), default=0.0)),
        "passed": all(abs(r) < MOST_LEFT_OF_RANKING for role, r in mean.items() if role != "X"),
    }


def shuffled_labels(
    shuffled: Model, data: Dataset, scored: Scored, values: np.ndarray, by_role: bool, mean_error: float
) -> dict:
    """The same between the model and one that was trained on shuffled labels; its MAE, and that of a constant."""
    other = score_crystals(shuffled, data, scored.crystals)
    ours, theirs = (
        {role: m.mean(0) for role, m in element_means(data, s.rows, v, by_role).items()}
        for s, v in ((scored, values), (other, other.values))
    )
    left = _rank_correlation(ours, theirs)
    return {
        "spearman": left,
        "mae": float(np.abs(other.energies.mean(0) - data.targets[scored.crystals]).mean()),
        "mae of a constant": mean_error,
        "passed": all(abs(r) < MOST_LEFT_OF_RANKING for role, r in left.items() if role != "X"),
    }


def rattled(model: Model, cells: Sequence[tuple], seed: int = 0) -> dict | None:
    """How many contributions change by less than their error bar when every atom moves by 0.01 angstrom.

    cells: (lattice, atomic_numbers, frac_coords) each; None for a model of one member or without cells
    -> "share", "change": median of |change| in eV, "sites"
    """
    if len(model.members) < 2 or not len(cells):
        return None
    rng = np.random.default_rng(seed)
    still, moved = [], []
    for lattice, numbers, frac in cells:
        lattice = np.reshape(lattice, (3, 3))
        step = rng.normal(size=(len(numbers), 3))
        step *= RATTLE / np.linalg.norm(step, axis=1, keepdims=True)
        frac = np.reshape(frac, (-1, 3))
        still.append(build_graph(lattice, numbers, frac, model.graph_settings))
        moved.append(build_graph(lattice, numbers, frac + step @ np.linalg.inv(lattice), model.graph_settings))
    before, after = (
        model.energies_and_contributions(PackedGraphs.from_graphs(g).select(dtype=model.dtype))[1].double().numpy()
        for g in (still, moved)
    )
    sd = _error_bars(model, cells, before)
    change = np.abs(after.mean(0) - before.mean(0))
    share = float(np.mean(change < sd))
    return {
        "share": share,
        "change": float(np.median(change)),
        "sites": len(change),
        "crystals": len(cells),
        "passed": share >= LEAST_STEADY,
    }


def _error_bars(model: Model, cells, values: np.ndarray) -> np.ndarray:
    """Those that the app shows of the raw contributions (M, S) of these cells, (S,)."""
    roles = np.array([ROLES.index(r) if r else -1 for cell in cells for r in site_roles(*cell)], dtype=np.int64)
    sites = np.array([len(numbers) for _, numbers, _ in cells])
    crystal = np.repeat(np.arange(len(cells)), sites)
    energies = np.stack([np.bincount(crystal, weights=v) / sites for v in values])
    numbers = np.concatenate([np.asarray(n, dtype=np.int64) for _, n, _ in cells])
    return (values - references(model, energies, roles, sites, numbers)).std(0, ddof=1)


@dataclass(frozen=True)
class _Average:
    """A model in which some atomic numbers stand for the average atom of a role. of_role: {role code: number}"""

    model: Model
    of_role: dict[int, int]


def _with_average_atoms(model: Model, data: Dataset, crystals: np.ndarray, by_role: bool) -> _Average | None:
    """Rows of elements that do not occur are given the mean features of the atoms of a role in these crystals.

    None where too many elements occur to leave such rows.
    """
    rows = site_rows(data, crystals)
    role, numbers = data.roles[rows], data.graphs.atomic_numbers[rows]
    occurring = set(np.unique(data.graphs.atomic_numbers).tolist())
    spare = [z for z in range(HEAVIEST, -1, -1) if z not in occurring]  # 0 is no element
    groups = {i: numbers[role == i] for i in range(len(ROLES)) if np.any(role == i)} if by_role else {-1: numbers}
    if len(spare) < len(groups):
        return None
    of_role = dict(zip(groups, spare, strict=False))
    members = []
    for member in model.members:
        copy = deepcopy(member)
        with torch.no_grad():
            for code, stand_in in of_role.items():
                share = torch.from_numpy(np.bincount(groups[code], minlength=HEAVIEST + 1) / len(groups[code]))
                for name in ("table", "free"):
                    rows_of = getattr(copy.embedding, name, None)
                    if rows_of is not None:
                        rows_of[stand_in] = share.to(rows_of.dtype) @ rows_of
        members.append(copy)
    return _Average(replace(model, members=tuple(members)), of_role)


def substitution_curve(
    model: Model, data: Dataset, scored: Scored, values: np.ndarray, by_role: bool, crystals: int = 150
) -> dict | None:
    """Atoms give way to the average atom of their role one after another: does the energy follow the ranking?

    The order is that of |contribution|, the largest first, against random orders. Shown is what is left of the way
    from the crystal's energy to that of average atoms only, |E_k - E_end| / |E_0 - E_end|, mean over the crystals.

    -> "replaced": share of the sites, "ranked", "random": what is left, "area": ratio of the areas under the two,
    "better": share of the crystals whose ranked area is the smaller; passed if the area is below 1 and better above
    half. None where there is nothing to replace.
    """
    some = np.linspace(0, len(scored.crystals) - 1, min(crystals, len(scored.crystals))).astype(int)
    average = _with_average_atoms(model, data, scored.crystals, by_role)
    if average is None:
        return None
    first = np.concatenate([[0], np.cumsum(data.graphs.sites[scored.crystals])])
    rng = np.random.default_rng(0)
    left_ranked, left_random = [], []
    size = np.abs(values.mean(0))
    for place in some.tolist():
        crystal = scored.crystals[place]
        role = data.roles[data.graphs.first_site[crystal] + np.arange(data.graphs.sites[crystal])].astype(int)
        if by_role and (role < 0).any():
            continue
        stand_in = np.array([average.of_role[r if by_role else -1] for r in role.tolist()])
        ranked = np.argsort(-size[first[place] : first[place + 1]], kind="stable")
        orders = [ranked, *(rng.permutation(len(ranked)) for _ in range(_RANDOM_ORDERS))]
        left = _left_of_the_way(average.model, data, crystal, stand_in, orders)
        if left is not None:
            left_ranked.append(left[0])
            left_random.append(left[1:].mean(0))
    if not left_ranked:
        return None
    ranked, random = np.array(left_ranked), np.array(left_random)  # (C, steps)
    area = np.trapezoid(ranked, axis=1), np.trapezoid(random, axis=1)
    ratio, better = float(area[0].mean() / area[1].mean()), float(np.mean(area[0] < area[1]))
    return {
        "replaced": np.linspace(0, 1, ranked.shape[1]).tolist(),
        "ranked": ranked.mean(0).tolist(),
        "random": random.mean(0).tolist(),
        "area": ratio,
        "better": better,
        "crystals": len(ranked),
        "passed": ratio < 1 and better > 0.5,
    }


def _left_of_the_way(model: Model, data: Dataset, crystal: int, stand_in, orders) -> np.ndarray | None:
    """|E_k - E_end| / |E_0 - E_end| at equal steps, (orders, steps); None where the ends are nearly the same."""
    numbers = data.graphs.numbers_of(crystal)
    n = len(numbers)
    steps = np.unique(np.linspace(0, n, min(n, _STEPS) + 1).round().astype(int))
    batch = data.graphs.select([crystal] * (len(orders) * len(steps)), model.dtype)
    variants = np.tile(numbers, (len(orders), len(steps), 1))
    for i, order in enumerate(orders):
        for j, k in enumerate(steps):
            variants[i, j, order[:k]] = stand_in[order[:k]]
    batch = replace(batch, atomic_numbers=torch.from_numpy(variants.reshape(-1)))
    energy = model.energies(batch).double().mean(0).numpy().reshape(len(orders), len(steps))
    way = np.abs(energy[0, 0] - energy[0, -1])
    if way < 0.05 * model.card.target.sd:
        return None
    left = np.abs(energy - energy[:, -1:]) / way
    grid = np.linspace(0, 1, _STEPS + 1)
    return np.stack([np.interp(grid, steps / n, line) for line in left])


def heads_agree(other: Model, data: Dataset, scored: Scored, values: np.ndarray, by_role: bool) -> dict:
    """Do the contributions of the other pooling head say the same? r over the sites, by role.

    -> {"other", "r": {role: r}, "spearman": {role: of the element means}}
    """
    theirs = score_crystals(other, data, scored.crystals)
    role = data.roles[scored.rows]
    one, two = values.mean(0), theirs.values.mean(0)
    groups = {r: role == i for i, r in enumerate(ROLES)} if by_role else {"all sites": role > -2}
    r = {name: correlation(one[chosen], two[chosen]) for name, chosen in groups.items()}
    ours, others = (
        {name: m.mean(0) for name, m in element_means(data, scored.rows, v, by_role).items()}
        for v in (values, theirs.values)
    )
    return {
        "other": other.card.name,
        "r": r,
        "spearman": _rank_correlation(ours, others),
        "passed": all(value >= LEAST_HEADS_AGREE for name, value in r.items() if name != "X"),
    }
