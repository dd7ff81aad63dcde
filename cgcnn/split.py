"""The loss that holds contributions to the Shapley values of the labels, where the data are a factorial of perovskites.

What A, B and the anions of ABX3 contribute is not a matter of taste when energies of most A x B x X combinations are
known: a main effect belongs to its site, a pair term to both by halves (`evaluation.additive.shapley_split`). The three
sums that a network books are drawn towards these values, which by themselves add up to the energy. Only labels of the
training crystals go into them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from .datasets import Dataset, DatasetError
from .distinct import DistinctSites
from .evaluation.additive import perovskite_cells, true_split
from .graph import GraphBatch, ranges
from .perovskite import ROLES

_SITES = (1, 1, 3)  # of A, B and X in ABX3


class RoleShares:
    """What A, B and the three X together should contribute in every training crystal.

    data: whole crystals; distinct: their distinct sites; targets: (C,) scaled, those of `train` are used
    train: indices of the training crystals
    Raises DatasetError for data that are no factorial of ABX3.
    """

    def __init__(self, data: Dataset, distinct: DistinctSites, targets: np.ndarray, train: np.ndarray):
        cells = perovskite_cells(data, train)
        labelled = replace(data, targets=targets)
        split = true_split(labelled, cells, train) if len(cells) else None
        if split is None:
            raise DatasetError(
                f"{data.name} holds too few of the ABX3 combinations of its elements for Shapley values of the labels; "
                "train without --shapley"
            )
        value = np.full((len(data), len(ROLES)), np.nan)
        value[cells.crystals] = np.stack([split[role] for role in ROLES], axis=1)
        # The split is of the energy about its mean over the table, which every site gets a fifth of.
        rest = 5 * targets[cells.crystals] - value[cells.crystals].sum(1)
        value[cells.crystals] += rest[:, None] * np.array(_SITES) / 5
        self.value = torch.as_tensor(value, dtype=torch.float32)
        self.distinct = distinct
        nodes = distinct.graphs
        role = np.full(nodes.sites.sum(), -1, dtype=np.int64)
        role[np.repeat(nodes.first_site, distinct.sites) + distinct.node] = data.roles
        self.role_of_node = role

    def select(self, crystals: np.ndarray, labelled: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Role of every node of a batch of these crystals (N,), and the shares of A, B and X (C, 3), nan for none.

        labelled: how many of the crystals come with their label; the others have an element exchanged
        """
        nodes = self.distinct.graphs
        rows = ranges(nodes.first_site[crystals], nodes.sites[crystals])
        share = self.value[crystals]
        share[labelled:] = torch.nan
        return torch.from_numpy(self.role_of_node[rows]), share


def split_error(
    contributions: torch.Tensor, batch: GraphBatch, role: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """Mean squared difference between what is booked on A, B and X and their shares.

    Shapes: contributions (N,) of the nodes of a batch of C crystals, role (N,), share (C, 3) -> scalar
    """
    booked = contributions.new_zeros(share.numel())
    known = role >= 0
    place = batch.crystal * len(ROLES) + role
    booked = booked.index_add_(0, place[known], (contributions * batch.multiplicity)[known])
    error = (booked.view_as(share) - share)[~share[:, 0].isnan()]
    return error.square().mean() if len(error) else contributions.sum() * 0
