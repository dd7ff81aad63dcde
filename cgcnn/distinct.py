"""Crystal graph -> the graph of its distinct sites, on which a network computes the same with far fewer edges.

Sites of the same element whose neighbours are alike, shell by shell, get the same features from every convolution.
One of them can stand for all, with its multiplicity as weight in the pooling, and all neighbours of one kind at one
distance are one edge. Symmetry-equivalent sites are always alike; here they are found from the edges alone, by refining
the partition into elements until it no longer changes (colour refinement: B. Weisfeiler and A. Leman, 1968).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from .graph import CrystalGraph, PackedGraphs, merge_edges, ranges

# Data sets round coordinates, so equivalent sites differ a little. The Gaussians of the network are 0.2 angstrom wide.
TOLERANCE = 1e-3  # angstrom

_FEATURES = 12
_FASTEST = 40.0  # 1/angstrom, of the waves below
_ALIKE = 0.1  # largest difference of a feature between sites that are alike; 0.02 angstrom in one edge make about 0.5


def distinct_sites(graph: CrystalGraph, tolerance: float = TOLERANCE) -> tuple[CrystalGraph, np.ndarray]:
    """The graph with one node for all sites that are alike.

    tolerance: edges between the same two nodes whose lengths differ by less are one, angstrom
    -> graph of K <= N nodes with `multiplicity` (K,), the first site of each kind in the order of the sites
       node (N,) int64: the node that stands for each site
    """
    node = _partition(graph)
    _, representative, node, multiplicity = np.unique(node, return_index=True, return_inverse=True, return_counts=True)
    of_representative = representative[node[graph.centre]] == graph.centre
    edges = merge_edges(
        node[graph.centre[of_representative]],
        node[graph.neighbour[of_representative]],
        graph.distance[of_representative],
        graph.weight[of_representative],
        len(representative),
        tolerance,
    )
    return CrystalGraph(graph.atomic_numbers[representative], *edges, multiplicity=multiplicity), node


def _partition(graph: CrystalGraph) -> np.ndarray:
    """Sites that are alike have the same number, that of the first of them; (N,) int64.

    What a site sees is summed up in a few random waves over the distances of its neighbours, with a phase for each
    kind of neighbour: near-equal surroundings give near-equal sums, and no distance lies on the edge of a bin.
    """
    n = len(graph)
    frequency, phase = _waves(n)
    kind = np.unique(graph.atomic_numbers, return_index=True, return_inverse=True)
    kind = kind[1][kind[2]]  # the first site of each element
    waves = graph.distance[:, None] * frequency  # (E, K)
    with_edges, start = np.unique(graph.centre, return_index=True)
    count = len(np.unique(kind))
    while True:
        seen = np.zeros((n, _FEATURES))
        if len(start):
            seen[with_edges] = np.add.reduceat(
                graph.weight[:, None] * np.cos(waves + phase[kind[graph.neighbour]]), start
            )
        alike = kind[:, None] == kind
        for feature in seen.T:
            alike &= np.abs(feature[:, None] - feature) < _ALIKE
        kind = alike.argmax(1)
        refined = len(np.unique(kind))
        if refined == count:
            return kind
        count = refined


@cache
def _waves(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (K,) in 1/angstrom and phases (n, K), always the same."""
    random = np.random.default_rng(0)
    return random.uniform(_FASTEST / 4, _FASTEST, _FEATURES), random.uniform(0, 2 * np.pi, (n, _FEATURES))


class DistinctSites:
    """Graphs of the distinct sites of C crystals, S sites in all, and which node stands for each site.

    graphs: C graphs with multiplicities; node: (S,) index in the crystal's graph; sites: (C,) number of sites
    """

    def __init__(self, graphs: PackedGraphs, node: np.ndarray, sites: np.ndarray):
        self.graphs, self.node, self.sites = graphs, node, sites
        self.first_site = np.cumsum(sites) - sites

    @classmethod
    def of(cls, graphs: Iterable[CrystalGraph]) -> DistinctSites:
        """Those of whole crystal graphs."""
        found = [distinct_sites(graph) for graph in graphs]
        node = np.concatenate([node for _, node in found] or [np.empty(0, dtype=np.int64)])
        sites = np.array([len(node) for _, node in found], dtype=np.int64)
        return cls(PackedGraphs.from_graphs(graph for graph, _ in found), node, sites)

    @classmethod
    def all_sites(cls, graphs: PackedGraphs) -> DistinctSites:
        """Every site a node of its own."""
        return cls(graphs, ranges(np.zeros_like(graphs.sites), graphs.sites), graphs.sites)

    def rows(self, crystals: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Row of the node of every site of some crystals of a batch, one crystal after another.

        crystals: (B,) of the batch, as in `PackedGraphs.select`; places: (P,) of those wanted, in the batch
        """
        nodes = self.graphs.sites[crystals]
        first_node = np.cumsum(nodes) - nodes
        chosen = crystals[places]
        sites = self.sites[chosen]
        return np.repeat(first_node[places], sites) + self.node[ranges(self.first_site[chosen], sites)]

    def rows_of_all(self) -> np.ndarray:
        """Row of the node of every site of all crystals in a batch of them all, one crystal after another; (S,)."""
        everything = np.arange(len(self.sites))
        return self.rows(everything, everything)
