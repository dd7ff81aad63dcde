"""Site contributions of many crystals, and the means over the training crystals that a model keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..datasets import Dataset
from ..model import Model
from ..perovskite import ROLES
from .accuracy import distinct_batches

# A model whose training crystals are perovskites to this share has its zero at the mean of each role. A few of them
# relax so far from the prototype that their sites have no roles.
_PEROVSKITES = 0.9
# Enough crystals of any chemistry for the end of a colour scale.
_ENOUGH = 4000


@dataclass(frozen=True)
class Scored:
    """What a model says of C crystals of a data set, S sites in all, by each of M members.

    crystals: (C,) their indices in the data set; energies: (M, C) in the unit of the target
    values: (M, S) raw contributions, one crystal after another; rows: (S,) of these sites in the data set
    """

    crystals: np.ndarray
    energies: np.ndarray
    values: np.ndarray
    rows: np.ndarray

    def in_dataset_order(self, data: Dataset) -> np.ndarray:
        """Mean contribution over the members of every site of the data set, nan for other crystals; (N,)."""
        contribution = np.full(len(data.roles), np.nan)
        contribution[self.rows] = self.values.mean(0)
        return contribution


def score_crystals(model: Model, data: Dataset, crystals: np.ndarray) -> Scored:
    """Energies and raw contributions of the crystals of these indices."""
    graphs, energies, values = data.graphs, [], []
    for piece in distinct_batches(graphs, crystals):
        energy, value = model.energies_and_contributions(piece.graphs.select(dtype=model.dtype))
        energies.append(energy.double().numpy())
        values.append(value.double().numpy()[:, piece.rows_of_all()])
    return Scored(crystals, np.concatenate(energies, axis=1), np.concatenate(values, axis=1), site_rows(data, crystals))


def site_rows(data: Dataset, crystals: np.ndarray) -> np.ndarray:
    """Rows of the sites of the crystals in the arrays of the data set, one crystal after another."""
    first, sites = data.graphs.first_site[crystals], data.graphs.sites[crystals]
    return np.repeat(first - (np.cumsum(sites) - sites), sites) + np.arange(sites.sum())


def site_contributions(model: Model, data: Dataset, crystals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raw contributions of all sites of the crystals, one crystal after another, by every member.

    -> contributions (M, S) in the unit of the target, rows (S,) of the sites in `data.graphs.atomic_numbers`
    """
    scored = score_crystals(model, data, crystals)
    return scored.values, scored.rows


def a_few(crystals: np.ndarray, number: int) -> np.ndarray:
    """About so many of the crystals, evenly from the whole list; all of a shorter one."""
    return crystals[:: max(1, -(-len(crystals) // number))]


def are_perovskites(data: Dataset, crystals: np.ndarray) -> bool:
    """Whether (nearly) all of the crystals are ABX3 perovskites."""
    return bool(np.mean(data.roles[data.graphs.first_site[crystals]] >= 0) >= _PEROVSKITES)


def role_references(model: Model, data: Dataset, crystals: np.ndarray) -> tuple[dict[str, list[float]], float]:
    """The zero of a model: mean contribution of each role over the crystals, one value a member, in eV.

    Also the 99th percentile of |contribution - reference|, a common end for colour scales. ({}, percentile about
    each crystal's own mean) for data that are not perovskites.
    """
    if not are_perovskites(data, crystals):
        some = a_few(crystals, _ENOUGH)
        scored = score_crystals(model, data, some)
        own_mean = np.repeat(scored.energies.mean(0), data.graphs.sites[some])
        return {}, float(np.quantile(np.abs(scored.values.mean(0) - own_mean), 0.99))
    values, rows = site_contributions(model, data, crystals)
    role = data.roles[rows]
    references = {name: values[:, role == i].mean(1) for i, name in enumerate(ROLES)}
    relative = np.concatenate(
        [(values[:, role == i] - ref[:, None]).mean(0) for i, ref in enumerate(references.values())]
    )
    return {name: ref.tolist() for name, ref in references.items()}, float(np.quantile(np.abs(relative), 0.99))


def pooled_reference(model: Model, data: Dataset, crystals: np.ndarray) -> list[torch.Tensor]:
    """Mean pooled vector v_c over the crystals, (F,) for every member; none for linear pooling, which needs none."""
    if model.members[0].head.exact:
        return []
    total = [torch.zeros(1)] * len(model.members)
    for piece in distinct_batches(data.graphs, crystals):
        batch = piece.graphs.select(dtype=model.dtype)
        for i, member in enumerate(model.members):
            with torch.no_grad():
                total[i] = total[i] + member.head.pooled(*member.site_features(batch), batch).sum(0)
    return [t / len(crystals) for t in total]
