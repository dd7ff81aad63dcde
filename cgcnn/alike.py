"""Energies and contributions of crystals that differ little, with every distinct surroundings computed once.

After r convolutions a site knows its neighbours of neighbours up to r steps away and nothing else, so sites whose
surroundings are alike so far have equal features: symmetry-equivalent ones, and those of two crystals that a swapped
atom does not reach yet. They are found by hashing (Weisfeiler and Leman's refinement of colours) and each kind goes
through the convolution once. The numbers are those of `Model.energies_and_contributions`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .graph import GraphBatch, ranges
from .model import Model
from .network.convolution import neighbour_weights

# Lengths and weights that agree to these are alike; finer differences only cost time, coarser ones would cost accuracy.
_SAME_LENGTH, _SAME_WEIGHT = 1e-6, 1e-6  # angstrom, 1
# Edges that go through a convolution together; the arrays then stay in the processor's cache.
_EDGES_AT_ONCE = 4000


@dataclass(frozen=True)
class _Part:
    """A convolution of some kinds of sites: R rows of features in, the first `kinds` rows of the result are theirs.

    rows: (R,) kinds of the round before; batch: the edges, between these rows; edges: which of the whole batch
    """

    rows: torch.Tensor
    kinds: int
    edges: torch.Tensor
    batch: GraphBatch


@dataclass(frozen=True)
class _Plan:
    """What to compute of a batch of N sites.

    numbers: atomic number of each kind of site before the convolutions
    rounds: the parts of each convolution, in the order of its kinds
    first, last: (N,) kind of every site before and after the convolutions
    """

    numbers: torch.Tensor
    rounds: list[list[_Part]]
    first: torch.Tensor
    last: torch.Tensor


@torch.no_grad()
def energies_and_contributions(model: Model, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction (M, C) and raw contributions (M, N) of every member for a batch of C crystals of N sites in all.

    As `Model.energies_and_contributions`, and much faster where many sites of the crystals are alike.
    """
    plan = _plan(batch, len(model.members[0].convolutions))
    features = [member.embedding(plan.numbers) for member in model.members]
    first = [v[plan.first] for v in features]
    weight = neighbour_weights(batch, model.members[0].settings.neighbours, model.dtype)  # (E,)
    for r, parts in enumerate(plan.rounds):
        new: list[list[torch.Tensor]] = [[] for _ in features]
        for part in parts:
            # The expansion has no weights: it is the same in all members.
            u = model.members[0].expansion(part.batch.distance)  # (E, T)
            for member, v, out in zip(model.members, features, new, strict=True):
                out.append(member.convolutions[r](v[part.rows], u, weight[part.edges], part.batch)[: part.kinds])
        features = [torch.cat(out) for out in new]
    energies, sites = [], []
    for member, v, v0 in zip(model.members, features, first, strict=True):
        v = member.site_layers(member.dropout(member.norm(v)))[plan.last]
        energy, site = member.head.energy_and_contributions(v, v0, batch)
        energies.append(energy)
        sites.append(site)
    return model.scaled(torch.stack(energies)), model.scaled(torch.stack(sites))


def _plan(batch: GraphBatch, rounds: int) -> _Plan:
    numbers, centre, neighbour = (t.numpy() for t in (batch.atomic_numbers, batch.centre, batch.neighbour))
    edges = np.bincount(centre, minlength=len(numbers))
    start = np.cumsum(edges) - edges
    length = np.rint(batch.distance.double().numpy() / _SAME_LENGTH).astype(np.uint64)
    weight = np.rint(batch.weight.double().numpy() / _SAME_WEIGHT).astype(np.uint64)
    label = _mixed(_mixed(length) + weight)  # (E,)

    colour = _mixed(numbers.astype(np.uint64))  # (N,), equal for sites that are alike so far
    _, representative, kind = np.unique(colour, return_index=True, return_inverse=True)
    numbers_of_kinds, first, planned = torch.from_numpy(numbers[representative]), kind, []
    for _ in range(rounds):
        message = np.concatenate([[np.uint64(0)], np.cumsum(_mixed(colour[neighbour] + label))])  # modulo 2^64
        colour = _mixed(_mixed(colour) + message[start + edges] - message[start])
        _, representative, new_kind = np.unique(colour, return_index=True, return_inverse=True)
        # Neighbouring kinds together, in the order of the sites: then they share what they need of the round before.
        order = np.argsort(representative)
        representative, new_kind = representative[order], np.argsort(order)[new_kind.ravel()]
        planned.append(_parts(batch, representative, kind, start, edges))
        kind = new_kind
    return _Plan(numbers_of_kinds, planned, torch.from_numpy(first), torch.from_numpy(kind))


def _parts(batch: GraphBatch, representative, kind, start, edges) -> list[_Part]:
    total = np.cumsum(edges[representative])
    cuts = np.flatnonzero(np.diff(total // _EDGES_AT_ONCE)) + 1
    return [_part(batch, sites, kind, start, edges) for sites in np.split(representative, cuts) if len(sites)]


def _part(batch: GraphBatch, sites: np.ndarray, kind, start, edges) -> _Part:
    """The convolution of these sites, from the kinds of the round before."""
    count = edges[sites]
    rows = ranges(start[sites], count)
    needed, place = np.unique(kind[batch.neighbour.numpy()[rows]], return_inverse=True)
    own = kind[sites]
    n = len(sites) + len(needed)
    return _Part(
        rows=torch.from_numpy(np.concatenate([own, needed])),
        kinds=len(sites),
        edges=torch.from_numpy(rows),
        batch=GraphBatch(
            atomic_numbers=torch.zeros(n, dtype=torch.int64),
            crystal=torch.zeros(n, dtype=torch.int64),
            sites=torch.tensor([n]),
            centre=torch.from_numpy(np.repeat(np.arange(len(sites)), count)),
            neighbour=torch.from_numpy(len(sites) + place.ravel()),
            distance=batch.distance[rows],
            weight=batch.weight[rows],
        ),
    )


def _mixed(x: np.ndarray) -> np.ndarray:
    """Well-mixed 64-bit hashes of 64-bit numbers: the finaliser of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
