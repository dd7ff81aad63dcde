"""Crystal -> crystal graph: whole neighbour shells with a smooth edge.

A crystal graph has one node per site and one edge per neighbour under periodic images
(Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018)). Cutting at exactly 12 neighbours would slice
degenerate shells, and the energy would depend on the order of the sites; here every edge carries a weight
that is 1 up to the distance d12 of the 12th neighbour and falls smoothly to 0 behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import hypot, prod

import numpy as np
import torch
from vesin import NeighborList

# Edges of the same pair whose lengths differ by less carry the same message and are stored once.
_SAME_LENGTH = 1e-6  # angstrom
_MOST_BOXES = 100_000  # of the search for neighbours; vesin's own limit


@dataclass(frozen=True)
class GraphSettings:
    """How neighbours are chosen.

    radius: no neighbour lies farther away, angstrom
    neighbours: number of nearest neighbours that count in full
    edge_width: over this many angstrom behind the last of them the weight falls from 1 to 0
    truncate: exactly `neighbours` instead, as in the authors' code (see `_truncated`); the result then depends on
        the order of the sites wherever a shell is cut, so this is for opening their checkpoints only
    """

    radius: float = 8.0
    neighbours: int = 12
    edge_width: float = 0.3
    truncate: bool = False

    def __post_init__(self):
        if self.radius <= 0 or self.edge_width <= 0 or self.neighbours < 1:
            raise ValueError(
                f"radius={self.radius}, edge_width={self.edge_width} and neighbours={self.neighbours} must be positive"
            )

    def asdict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class CrystalGraph:
    """One crystal; N sites, E edges.

    atomic_numbers: (N,) int64
    centre, neighbour: (E,) int64, site indices; sorted by centre
    distance: (E,) float64, angstrom
    weight: (E,) float64, smooth-edge weight times the number of periodic images at this distance
    multiplicity: (N,) int64, the number of sites that each node stands for, see `distinct`; None for one each
    """

    atomic_numbers: np.ndarray
    centre: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray
    weight: np.ndarray
    multiplicity: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.atomic_numbers)


@dataclass(frozen=True)
class GraphBatch:
    """C crystals as one graph without connections between them; N sites and E edges in all.

    atomic_numbers: (N,) int64
    crystal: (N,) int64, index of the site's crystal, ascending
    sites: (C,) int64, number of sites of each crystal
    centre, neighbour: (E,) int64, rows of the site arrays; sorted by centre
    distance: (E,) angstrom
    weight: (E,)
    multiplicity: (N,) int64, the number of sites that each node stands for; None for one each. `sites` counts them all
    """

    atomic_numbers: torch.Tensor
    crystal: torch.Tensor
    sites: torch.Tensor
    centre: torch.Tensor
    neighbour: torch.Tensor
    distance: torch.Tensor
    weight: torch.Tensor
    multiplicity: torch.Tensor | None = None

    def to(self, *args) -> GraphBatch:
        """The batch on another device, or with distances and weights in another floating-point type."""
        return GraphBatch(
            *(
                t if t is None or (isinstance(args[0], torch.dtype) and not t.is_floating_point()) else t.to(*args)
                for t in (getattr(self, f.name) for f in fields(self))
            )
        )


def _fall(x: np.ndarray) -> np.ndarray:
    """1 for x <= 0, a half cosine down to 0 at x = 1, 0 beyond."""
    return 0.5 + 0.5 * np.cos(np.pi * np.minimum(np.maximum(x, 0.0), 1.0))


def neighbours_within(lattice: np.ndarray, cart_coords: np.ndarray, cutoff: float):
    """All pairs at a distance up to `cutoff` under periodic boundary conditions.

    Shapes: lattice (3, 3) rows a b c, cart_coords (N, 3), angstrom
    -> centre (E,), neighbour (E,) int64, distance (E,) angstrom
    """
    radius = _search_radius(lattice, cutoff)
    search = NeighborList(cutoff=radius, full_list=True, n_threads=1)
    centre, neighbour, distance = search.compute(points=cart_coords, box=lattice, periodic=True, quantities="ijd")
    if radius > cutoff:
        near = distance <= cutoff
        centre, neighbour, distance = centre[near], neighbour[near], distance[near]
    return centre.astype(np.int64), neighbour.astype(np.int64), distance


def _search_radius(lattice: np.ndarray, cutoff: float) -> float:
    """The cutoff, or more where vesin would sort a vast cell into more boxes of that size than it allows itself.

    It then widens them all in proportion, down to 0 of them along a short edge, and divides by that.
    """
    lengths = [hypot(*row) for row in lattice.tolist()]
    radius = cutoff
    while prod(max(1.0, length / radius) for length in lengths) > _MOST_BOXES:
        radius *= 1.5
    return radius


def build_graph(
    lattice: np.ndarray,
    atomic_numbers: Sequence[int],
    frac_coords: np.ndarray,
    settings: GraphSettings = GraphSettings(),
) -> CrystalGraph:
    """The crystal graph of one cell.

    Shapes: lattice (3, 3) rows a b c in angstrom, atomic_numbers (N,), frac_coords (N, 3)
    Raises ValueError for a cell without sites or without volume.
    """
    lattice = np.ascontiguousarray(lattice, dtype=np.float64).reshape(3, 3)
    frac_coords = np.asarray(frac_coords, dtype=np.float64).reshape(-1, 3)
    numbers = np.asarray(atomic_numbers, dtype=np.int64)
    n = len(numbers)
    volume = abs(np.linalg.det(lattice))
    if n == 0 or len(frac_coords) != n:
        raise ValueError(f"a crystal graph needs one position per site, got {n} sites and {len(frac_coords)} positions")
    if not volume > 1e-6:
        raise ValueError(f"the cell has volume {volume:.3g} cubic angstrom; check the lattice vectors")
    if settings.truncate:
        return CrystalGraph(numbers, *merge_edges(*_truncated(lattice, numbers, frac_coords, settings), n))
    points = np.ascontiguousarray((frac_coords - np.floor(frac_coords)) @ lattice)

    k = settings.neighbours
    # A sphere with 3 k neighbours at the mean density usually holds every d12 plus its edge; grown until it does.
    cutoff = min(settings.radius, (3 * k * volume / n * 3 / (4 * np.pi)) ** (1 / 3) + settings.edge_width)
    while True:
        centre, neighbour, distance = neighbours_within(lattice, points, cutoff)
        order = _by_centre_and_distance(centre, distance, n)
        centre, neighbour, distance = centre[order], neighbour[order], distance[order]
        count = np.bincount(centre, minlength=n)
        first = np.cumsum(count) - count
        complete = count >= k
        d12 = np.full(n, np.inf)
        d12[complete] = distance[first[complete] + k - 1]
        if cutoff >= settings.radius or d12.max() + settings.edge_width <= cutoff:
            break
        cutoff = min(settings.radius, 1.3 * cutoff)

    behind = (distance - d12[centre]) / settings.edge_width
    keep = np.flatnonzero(behind < 1)
    weight = _fall(behind[keep])
    if cutoff > settings.radius - settings.edge_width:
        weight *= _fall((distance[keep] - settings.radius) / settings.edge_width + 1)
    centre, neighbour, distance, weight = merge_edges(centre[keep], neighbour[keep], distance[keep], weight, n)
    return CrystalGraph(numbers, centre, neighbour, distance, weight)


def _truncated(
    lattice: np.ndarray, numbers: np.ndarray, frac_coords: np.ndarray, settings: GraphSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Exactly K = `neighbours` edges a site, those of the authors' code, as centre, neighbour, distance, weight (N K,).

    NOTE required to match their code: which of the equally near neighbours are kept follows from the order in which
    pymatgen lists them, sorted stably by distance; and where there are too few, site 0 fills up at radius + 1.
    """
    from pymatgen.core import Lattice, Structure  # imported late: only opening the authors' files needs it

    n, k = len(numbers), settings.neighbours
    structure = Structure(Lattice(lattice), numbers.tolist(), frac_coords)
    # What get_all_neighbors wraps into objects, in the same order.
    centre, neighbour, _, distance = structure.get_neighbor_list(settings.radius)
    order = np.lexsort((distance, centre))  # stable
    centre, neighbour, distance = centre[order], neighbour[order], distance[order]
    count = np.bincount(centre, minlength=n)
    place = np.arange(len(centre)) - (np.cumsum(count) - count)[centre]
    kept = place < k
    neighbours, distances = np.zeros((n, k), dtype=np.int64), np.full((n, k), settings.radius + 1)
    neighbours[centre[kept], place[kept]] = neighbour[kept]
    distances[centre[kept], place[kept]] = distance[kept]
    return np.repeat(np.arange(n), k), neighbours.ravel(), distances.ravel(), np.ones(n * k)


def _by_centre_and_distance(centre: np.ndarray, distance: np.ndarray, n: int) -> np.ndarray:
    """Order by centre, then by distance; numpy sorts floats and 16-bit integers far faster than by two keys."""
    if len(centre) < 500 or n > 2**16:
        return np.lexsort((distance, centre))
    order = np.argsort(distance)
    return order[np.argsort(centre[order].astype(np.uint16), kind="stable")]


def merge_edges(
    centre: np.ndarray,
    neighbour: np.ndarray,
    distance: np.ndarray,
    weight: np.ndarray,
    n: int,
    tolerance: float = _SAME_LENGTH,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges between the same two of n nodes with the same length become one, weights added.

    Arrays (E,) of `CrystalGraph` in any order; tolerance: between lengths that follow each other, angstrom
    -> the same arrays, sorted by centre, then neighbour, then distance
    """
    pair = centre * n + neighbour
    order = np.argsort(pair * (1 + distance.max(initial=0.0)) + distance)  # one key sorts faster than two
    pair, distance, weight = pair[order], distance[order], weight[order]
    new = np.ones(len(pair), dtype=bool)
    new[1:] = (pair[1:] != pair[:-1]) | (distance[1:] - distance[:-1] > tolerance)
    start = np.flatnonzero(new)
    if len(start) < len(pair):
        weight = np.add.reduceat(weight, start)
    pair = pair[start]
    centre = pair // n
    return centre, pair - centre * n, distance[start], weight


class PackedGraphs:
    """Many crystal graphs in flat arrays, so that a batch is cut out without a loop over crystals.

    The arrays are those of `CrystalGraph`, one crystal after another, with indices local to each crystal;
    sites, edges: (C,) number of nodes and of edges of each crystal.
    """

    _ARRAYS = ("sites", "edges", "atomic_numbers", "centre", "neighbour", "distance", "weight")

    def __init__(self, sites, edges, atomic_numbers, centre, neighbour, distance, weight, multiplicity=None):
        self.sites, self.edges = sites, edges
        self.atomic_numbers, self.centre, self.neighbour = atomic_numbers, centre, neighbour
        self.distance, self.weight, self.multiplicity = distance, weight, multiplicity
        self.first_site = np.cumsum(sites) - sites
        self.first_edge = np.cumsum(edges) - edges

    @classmethod
    def from_graphs(cls, graphs: Iterable[CrystalGraph]) -> PackedGraphs:
        graphs = list(graphs)

        def joined(name, dtype):
            return np.concatenate([getattr(g, name) for g in graphs] or [np.empty(0)]).astype(dtype)

        return cls(
            np.array([len(g) for g in graphs], dtype=np.int64),
            np.array([len(g.centre) for g in graphs], dtype=np.int64),
            joined("atomic_numbers", np.int64),
            joined("centre", np.int64),
            joined("neighbour", np.int64),
            joined("distance", np.float64),
            joined("weight", np.float64),
            joined("multiplicity", np.int64) if graphs and graphs[0].multiplicity is not None else None,
        )

    def __len__(self) -> int:
        return len(self.sites)

    def __iter__(self) -> Iterator[CrystalGraph]:
        return map(self.__getitem__, range(len(self)))

    def numbers_of(self, crystal: int) -> np.ndarray:
        """Atomic numbers of one crystal, (N,)."""
        first = self.first_site[crystal]
        return self.atomic_numbers[first : first + self.sites[crystal]]

    def __getitem__(self, crystal: int) -> CrystalGraph:
        """One of the graphs."""
        first, end = self.first_site[crystal], self.first_site[crystal] + self.sites[crystal]
        start, stop = self.first_edge[crystal], self.first_edge[crystal] + self.edges[crystal]
        edges = (x[start:stop] for x in (self.centre, self.neighbour, self.distance, self.weight))
        multiplicity = None if self.multiplicity is None else self.multiplicity[first:end]
        return CrystalGraph(self.atomic_numbers[first:end], *edges, multiplicity=multiplicity)

    def select(self, crystals: Sequence[int] | None = None, dtype: torch.dtype = torch.float64) -> GraphBatch:
        """The crystals of these indices, in this order, as one batch (all of them by default)."""
        crystals = np.arange(len(self)) if crystals is None else np.asarray(crystals, dtype=np.int64)
        sites, edges = self.sites[crystals], self.edges[crystals]
        rows = ranges(self.first_site[crystals], sites)
        edge_rows = ranges(self.first_edge[crystals], edges)
        shift = np.repeat(np.cumsum(sites) - sites, edges)
        crystal = np.repeat(np.arange(len(crystals)), sites)
        multiplicity = None if self.multiplicity is None else self.multiplicity[rows]
        if multiplicity is not None:
            sites = np.bincount(crystal, weights=multiplicity, minlength=len(crystals)).astype(np.int64)
        return GraphBatch(
            atomic_numbers=torch.from_numpy(self.atomic_numbers[rows]),
            crystal=torch.from_numpy(crystal),
            sites=torch.from_numpy(sites),
            centre=torch.from_numpy(self.centre[edge_rows] + shift),
            neighbour=torch.from_numpy(self.neighbour[edge_rows] + shift),
            distance=torch.from_numpy(self.distance[edge_rows]).to(dtype),
            weight=torch.from_numpy(self.weight[edge_rows]).to(dtype),
            multiplicity=None if multiplicity is None else torch.from_numpy(multiplicity),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, for `numpy.savez`."""
        return {name: getattr(self, name) for name in self._ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> PackedGraphs:
        """The graphs whose `arrays` these are."""
        return cls(**{name: arrays[name] for name in cls._ARRAYS})


def ranges(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """start[0], start[0] + 1, ... (length[0] of them), then start[1], ..."""
    return np.repeat(start - (np.cumsum(length) - length), length) + np.arange(length.sum())


def collate(graphs: Iterable[CrystalGraph], dtype: torch.dtype = torch.float64) -> GraphBatch:
    """Graphs -> one batch."""
    return PackedGraphs.from_graphs(graphs).select(dtype=dtype)
