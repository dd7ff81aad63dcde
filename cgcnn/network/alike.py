"""Site features of several networks, with every distinct surroundings computed once.

After r convolutions a site knows its neighbours of neighbours up to r steps away and nothing else, so sites whose
surroundings are alike so far have equal features: symmetry-equivalent ones, and those of two crystals that a swapped
atom does not reach yet. They are found by hashing (Weisfeiler and Leman's refinement of colours) and each kind goes
through the convolution once. The numbers are those of `CrystalNetwork.site_features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..graph import GraphBatch, ranges
from .convolution import neighbour_weights
from .network import CrystalNetwork

# Lengths in angstrom and weights that agree to this are alike: what equivalent sites differ by in each type. A finer
# difference only costs time, a coarser one would cost accuracy.
_SAME = {torch.float32: 1e-6, torch.float64: 1e-10}
# Edges that go through a convolution together, times the bytes of a number: the arrays stay in the processor's cache.
_EDGE_BYTES = 10_000


@dataclass(frozen=True)
class _Part:
    """A convolution of S kinds of sites with E edges, whose features are rows of those of the round before.

    own: (S,) rows of the sites; others: (M,) rows of their neighbours; edges: (E,) which of the whole batch
    centre, neighbour: (E,) index in `own` and in `others`
    """

    own: torch.Tensor
    others: torch.Tensor
    edges: torch.Tensor
    centre: torch.Tensor
    neighbour: torch.Tensor


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
def site_features(networks: Sequence[CrystalNetwork], batch: GraphBatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """`CrystalNetwork.site_features` of every network, without derivatives; (N, F) twice, for a batch of N sites.

    networks: of the same settings, in evaluation mode
    """
    one = networks[0]
    plan = _plan(batch, len(one.convolutions))
    features = [network.embedding(plan.numbers) for network in networks]
    first = [v[plan.first] for v in features]
    weight = neighbour_weights(batch, one.settings.neighbours, batch.distance.dtype)  # (E,)
    for r, parts in enumerate(plan.rounds):
        new: list[list[torch.Tensor]] = [[] for _ in features]
        for part in parts:
            # The expansion has no weights: it is the same in all networks.
            u = one.expansion(batch.distance[part.edges])  # (E, T)
            edges = u, weight[part.edges], part.centre, part.neighbour
            for network, v, out in zip(networks, features, new, strict=True):
                out.append(network.convolutions[r](v[part.own], *edges, v[part.others]))
        features = [torch.cat(out) for out in new]
    last = [
        network.site_layers(network.dropout(network.norm(v))) for network, v in zip(networks, features, strict=True)
    ]
    return [(v[plan.last], v0) for v, v0 in zip(last, first, strict=True)]


def _plan(batch: GraphBatch, rounds: int) -> _Plan:
    numbers, centre, neighbour = (t.numpy() for t in (batch.atomic_numbers, batch.centre, batch.neighbour))
    edges = np.bincount(centre, minlength=len(numbers))
    start = np.cumsum(edges) - edges
    same = _SAME[batch.distance.dtype]
    length, weight = (np.rint(t.double().numpy() / same).astype(np.uint64) for t in (batch.distance, batch.weight))
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
    total = np.cumsum(edges[representative]) * batch.distance.element_size()
    cuts = np.flatnonzero(np.diff(total // _EDGE_BYTES)) + 1
    return [_part(batch, sites, kind, start, edges) for sites in np.split(representative, cuts) if len(sites)]


def _part(batch: GraphBatch, sites: np.ndarray, kind, start, edges) -> _Part:
    """The convolution of these sites, from the kinds of the round before."""
    count = edges[sites]
    rows = ranges(start[sites], count)
    others, neighbour = np.unique(kind[batch.neighbour.numpy()[rows]], return_inverse=True)
    centre = np.repeat(np.arange(len(sites)), count)
    return _Part(*map(torch.from_numpy, (kind[sites], others, rows, centre, neighbour.ravel())))


def _mixed(x: np.ndarray) -> np.ndarray:
    """Well-mixed 64-bit hashes of 64-bit numbers: the finaliser of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
