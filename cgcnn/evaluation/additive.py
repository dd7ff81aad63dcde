"""What elements do to the energy by the labels alone: the additive fit, and the split of a factorial into its terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..datasets import Dataset

# A table of A x B x X with fewer labels than this is no factorial.
_FILLED = 0.3
# Ridge of the pair terms that fill the holes of the table, in crystals.
_RIDGE = 0.5


@dataclass(frozen=True)
class Cells:
    """The five-atom ABX3 cells among some crystals; P of them.

    crystals: (P,) indices in the data set; a, b: (P,) atomic numbers; x: (P,) index into `anion_sets`
    sites: (P, 5) rows of the sites in the data set; anion_sets: sorted atomic numbers of the three anions
    """

    crystals: np.ndarray
    a: np.ndarray
    b: np.ndarray
    x: np.ndarray
    sites: np.ndarray
    anion_sets: list[tuple[int, int, int]]

    def __len__(self) -> int:
        return len(self.crystals)

    def code(self, role: str) -> np.ndarray:
        """What is on a role in each crystal: atomic number on "A" and "B", index of the anion set on "X"; (P,)."""
        return {"A": self.a, "B": self.b, "X": self.x}[role]


def perovskite_cells(data: Dataset, crystals: np.ndarray) -> Cells:
    """Those of the crystals that are five-atom cells with roles."""
    crystals = crystals[data.graphs.sites[crystals] == 5]
    sites = data.graphs.first_site[crystals][:, None] + np.arange(5)
    role = data.roles[sites]
    keep = (np.sort(role, axis=1) == [0, 1, 2, 2, 2]).all(1)
    crystals, sites, role = crystals[keep], sites[keep], role[keep]
    numbers = data.graphs.atomic_numbers[sites]
    anions = np.sort(numbers[role == 2].reshape(-1, 3), axis=1)
    sets, x = np.unique(anions, axis=0, return_inverse=True)
    return Cells(
        crystals,
        numbers[role == 0],
        numbers[role == 1],
        x.ravel(),
        sites,
        [tuple(s) for s in sets.tolist()],
    )


@dataclass(frozen=True)
class AdditiveFit:
    """Least-squares E = A + B + anion set over labelled ABX3 crystals, the plain reference of every ranking.

    effect: {role: {atomic number: true effect of the element on that site}}, eV, five times the coefficient and
        centred over the elements; on "X" the keys are the sorted atomic numbers of the three anions
    prediction: of the crystals fitted, eV/atom; crystals: their indices
    """

    effect: dict[str, dict]
    prediction: np.ndarray
    crystals: np.ndarray


def additive_fit(data: Dataset, crystals: np.ndarray, weight: np.ndarray | None = None) -> AdditiveFit:
    """Fit the additive model to the labels of these crystals (those that are five-atom ABX3 cells).

    weight: (C,) of the crystals of the data set, one each by default
    """
    cells = perovskite_cells(data, crystals)
    blocks, labels = [], []
    for role in "ABX":
        code = cells.code(role)
        values = np.unique(code)
        blocks.append((code[:, None] == values).astype(float))
        labels.append(values.tolist() if role != "X" else [cells.anion_sets[i] for i in values])
    design = np.concatenate(blocks, axis=1)
    weighted = design if weight is None else design * weight[cells.crystals][:, None]
    # The normal equations, a hundred by a hundred; the roles share a constant, whose directions they leave at zero.
    normal, target = weighted.T @ design, weighted.T @ data.targets[cells.crystals]
    coefficient = np.linalg.lstsq(normal, target, rcond=1e-10)[0]
    effect, first = {}, 0
    for role, values in zip("ABX", labels, strict=True):
        part = 5 * coefficient[first : first + len(values)]
        effect[role] = dict(zip(values, (part - part.mean()).tolist(), strict=True))
        first += len(values)
    return AdditiveFit(effect, design @ coefficient, cells.crystals)


def composition_fit(data: Dataset, crystals: np.ndarray) -> tuple[dict[int, float], np.ndarray]:
    """Least-squares E = mean over the sites of one number an element: {atomic number: eV/atom}, prediction (C,)."""
    count = composition_counts(data, crystals)
    present = np.flatnonzero(count.any(0))
    share = count[:, present] / count.sum(1, keepdims=True)
    coefficient = np.linalg.lstsq(share, data.targets[crystals], rcond=None)[0]
    return dict(zip(present.tolist(), coefficient.tolist(), strict=True)), share @ coefficient


def composition_counts(data: Dataset, crystals: np.ndarray) -> np.ndarray:
    """How many atoms of each element are in each crystal, (C, 119)."""
    graphs = data.graphs
    crystal = np.repeat(np.arange(len(graphs)), graphs.sites)
    count = np.zeros((len(graphs), 119))
    np.add.at(count, (crystal, graphs.atomic_numbers), 1)
    return count[crystals]


def shapley_split(energy: np.ndarray) -> dict[str, np.ndarray]:
    """The energy of every cell of a full A x B x X table, split among the three.

    A main effect goes to whoever it belongs to, half of each pair term to either, a third of the triple term to each:
    the Shapley values of the three. They add up to the energy minus its mean, and as an atom can keep only what is
    its own when another is swapped, no split does better by all pairs alike.

    energy: (A, B, X) -> {"A", "B", "X": (A, B, X)} in the same unit
    """
    terms = {(): energy.mean()}
    for own in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        others = tuple(axis for axis in range(3) if axis not in own)
        mean = energy.mean(others, keepdims=True) if others else energy
        lower = sum(terms[part] for part in terms if set(part) < set(own))
        terms[own] = mean - lower
    return {
        role: np.broadcast_to(sum(t / len(own) for own, t in terms.items() if i in own), energy.shape)
        for i, role in enumerate("ABX")
    }


def true_split(data: Dataset, cells: Cells, labelled: np.ndarray | None = None) -> dict[str, np.ndarray] | None:
    """Shapley values of A, B and the anion set of every one of the cells, eV, by the labels alone; (P,) each.

    labelled: indices of the crystals whose labels go into the table, all of them by default; it must have the elements
        of the cells. A combination without a label is filled from a ridge fit with all pair terms
    None where the data are far from a full factorial.
    """
    everything = perovskite_cells(data, data.rows("all") if labelled is None else labelled)
    values = [np.unique(everything.code(role)) for role in "ABX"]
    shape = tuple(len(v) for v in values)
    if 0 in shape or len(everything) < _FILLED * np.prod(shape):
        return None
    index = tuple(np.searchsorted(v, everything.code(role)) for v, role in zip(values, "ABX", strict=True))
    target = 5 * data.targets[everything.crystals]
    table = _pair_model(index, shape, target)
    count, total = np.zeros(shape), np.zeros(shape)
    np.add.at(count, index, 1)
    np.add.at(total, index, target)
    table = np.where(count > 0, total / np.maximum(count, 1), table)
    split = shapley_split(table)
    sets = {s: i for i, s in enumerate(everything.anion_sets)}
    x = np.array([sets[cells.anion_sets[i]] for i in cells.x], dtype=np.int64)
    where = tuple(np.searchsorted(v, code) for v, code in zip(values, (cells.a, cells.b, x), strict=True))
    return {role: part[where] for role, part in split.items()}


def _pair_model(index: tuple, shape: tuple[int, int, int], target: np.ndarray) -> np.ndarray:
    """The full table from main effects and pair terms fitted to some of its cells: ridge regression, (A, B, X)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import lsqr

    a, b, x = index
    na, nb, nx = shape

    def columns(a, b, x):
        sizes = (na, nb, nx, na * nb, na * nx, nb * nx)
        first = np.cumsum([0, *sizes[:-1]])
        return np.stack([a, b, x, a * nb + b, a * nx + x, b * nx + x], axis=-1) + first, sum(sizes)

    column, width = columns(a, b, x)
    row = np.repeat(np.arange(len(target)), 6)
    design = coo_matrix((np.ones(column.size), (row, column.ravel())), (len(target), width)).tocsr()
    mean = target.mean()
    fitted = lsqr(design, target - mean, damp=_RIDGE**0.5, iter_lim=500)[0]
    everywhere, _ = columns(*np.indices(shape))
    return mean + fitted[everywhere].sum(-1)
