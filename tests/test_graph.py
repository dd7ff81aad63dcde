"""Crystal graphs against a search by brute force."""

import itertools

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from cgcnn.contributions import structure_graph
from cgcnn.graph import GraphSettings, PackedGraphs, build_graph, collate


def brute_force(structure: Structure, radius: float):
    """Every pair (centre, neighbour, distance) within the radius, from the images of a generous box."""
    lattice = structure.lattice.matrix
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)  # between opposite faces of the cell
    reach = [int(np.ceil(radius / h)) + 1 for h in heights]
    images = np.array(list(itertools.product(*(range(-r, r + 1) for r in reach)))) @ lattice
    points = structure.cart_coords
    for i, j in itertools.product(range(len(structure)), repeat=2):
        for d in np.linalg.norm(points[j] + images - points[i], axis=1):
            if 1e-8 < d <= radius:
                yield i, j, float(d)


def expected_edges(structure: Structure, settings: GraphSettings) -> list[tuple[int, int, float, float]]:
    """(centre, neighbour, distance, weight) of every single periodic image, by the definition."""
    pairs = list(brute_force(structure, settings.radius))
    edges = []
    for i in range(len(structure)):
        mine = sorted((d, j) for centre, j, d in pairs if centre == i)
        d12 = mine[settings.neighbours - 1][0] if len(mine) >= settings.neighbours else settings.radius
        for d, j in mine:
            shell = np.clip((d - d12) / settings.edge_width, 0, 1)
            rim = np.clip((d - settings.radius) / settings.edge_width + 1, 0, 1)
            weight = (0.5 + 0.5 * np.cos(np.pi * shell)) * (0.5 + 0.5 * np.cos(np.pi * rim))
            if weight > 1e-12:
                edges.append((i, j, d, weight))
    return edges


def table(edges):
    """Weight by (centre, neighbour, distance), periodic images of the same length added up."""
    total = {}
    for i, j, d, w in edges:
        key = (int(i), int(j), round(float(d), 4))
        total[key] = total.get(key, 0.0) + float(w)
    return total


@pytest.mark.parametrize("settings", [GraphSettings(), GraphSettings(radius=4.0), GraphSettings(neighbours=4)])
def test_equals_brute_force(crystals, settings):
    for name, structure in crystals.items():
        graph = structure_graph(structure, settings)
        found = table(zip(graph.centre, graph.neighbour, graph.distance, graph.weight, strict=True))
        expected = table(expected_edges(structure, settings))
        # Rounded keys may fall on either side of a rounding limit: compare through sorted lists.
        assert sum(found.values()) == pytest.approx(sum(expected.values()), abs=1e-6), name
        for key, weight in expected.items():
            near = [w for k, w in found.items() if k[:2] == key[:2] and abs(k[2] - key[2]) < 3e-4]
            assert near or weight < 1e-6, (name, key)
        if len(found) == len(expected):
            assert np.allclose(sorted(found.values()), sorted(expected.values()), atol=1e-6), name


def test_whole_shells_of_the_ideal_perovskite(crystals):
    graph = structure_graph(crystals["SrTiO3"], GraphSettings(edge_width=0.01))
    # Sr: 12 O. Ti: 6 O, then all 8 Sr. O: 2 Ti, then the shell of 4 Sr and 8 O.
    assert np.bincount(graph.centre, weights=graph.weight).tolist() == pytest.approx([12, 14, 14, 14, 14])


def test_truncate_keeps_exactly_twelve(crystals):
    for structure in crystals.values():
        graph = structure_graph(structure, GraphSettings(truncate=True))
        counts = np.bincount(graph.centre, weights=graph.weight, minlength=len(structure))
        complete = np.bincount([i for i, _, _ in brute_force(structure, 8.0)], minlength=len(structure)) >= 12
        assert np.all(counts[complete] == 12)


def test_atoms_with_few_or_no_neighbours():
    lonely = Structure(Lattice.cubic(20), ["He"], [[0, 0, 0]])
    graph = structure_graph(lonely, GraphSettings())
    assert len(graph) == 1 and len(graph.centre) == 0
    pair = Structure(Lattice.cubic(20), ["O", "O"], [[0, 0, 0], [0.06, 0, 0]])
    graph = structure_graph(pair, GraphSettings())
    assert graph.centre.tolist() == [0, 1] and graph.distance == pytest.approx([1.2, 1.2])
    assert graph.weight == pytest.approx([1, 1])


def test_large_cell_equals_its_primitive_cell(crystals):
    small = structure_graph(crystals["PbTiO3, tetragonal"], GraphSettings())
    large = structure_graph(crystals["PbTiO3, tetragonal"] * (3, 3, 3), GraphSettings())
    for graph, copies in ((small, 27), (large, 1)):
        assert copies * graph.weight.sum() == pytest.approx(27 * small.weight.sum(), abs=1e-8)


def test_weights_are_continuous_through_the_edge_of_a_shell():
    """A neighbour that wanders from inside d12 to beyond the edge never makes the weight jump."""

    def total(shift: float) -> np.ndarray:
        structure = Structure(
            Lattice.cubic(3.905), ["Sr", "Ti", "O", "O", "O"],
            [[shift, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]],
        )  # fmt: skip
        graph = structure_graph(structure, GraphSettings())
        return np.bincount(graph.centre, weights=graph.weight)

    steps = np.array([total(s) for s in np.arange(0, 0.1, 1e-4 / 3.905)])
    assert np.abs(np.diff(steps, axis=0)).max() < 0.02  # 8 neighbours, slope pi / 2 / 0.3 an angstrom, 1e-4 angstrom


def test_bad_cells():
    with pytest.raises(ValueError, match="volume 0"):
        build_graph(np.ones((3, 3)), [1], [[0, 0, 0]])
    with pytest.raises(ValueError, match="0 sites"):
        build_graph(np.eye(3), [], np.empty((0, 3)))
    with pytest.raises(ValueError, match="radius=-1"):
        GraphSettings(radius=-1)


def test_selecting_from_packed_graphs(crystals):
    graphs = [structure_graph(s, GraphSettings()) for s in crystals.values()]
    packed = PackedGraphs.from_graphs(graphs)
    chosen = [4, 0, 4, 2]
    batch, expected = packed.select(chosen), collate(graphs[i] for i in chosen)
    for name in vars(batch):
        assert np.array_equal(getattr(batch, name), getattr(expected, name)), name
    assert batch.sites.tolist() == [len(graphs[i]) for i in chosen]
    assert batch.crystal[batch.centre].tolist() == batch.crystal[batch.neighbour].tolist()
