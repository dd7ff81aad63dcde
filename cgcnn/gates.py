"""How open the gate of every neighbour is in the convolutions: what a site lets in of its surroundings.

In eq. 5 of Xie and Grossman every neighbour comes in through a gate sigmoid(z W_f + b_f), one value a feature. Its mean
says how much of what this neighbour offers gets through. It is no bond strength: what comes in is the gate times the
message, and the message has no sign or size that one could read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .contributions import structure_graph
from .graph import GraphBatch, collate
from .model import Model
from .network.convolution import neighbour_weights

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Structure

# Neighbours of one kind that are told apart in a table differ by more in length or gate.
_SAME_DISTANCE = 2e-3  # angstrom
_SAME_GATE = 2e-3
# Within this, a neighbour that the structure lists is the edge of the graph; edges are merged if closer by far.
_SAME_EDGE = 2e-5  # angstrom


@dataclass(frozen=True)
class Gates:
    """The gates of a crystal of N sites with P neighbours in all, periodic images counted one by one; R convolutions.

    site, neighbour: (P,) indices; image: (P, 3) the cell of the neighbour; distance: (P,) angstrom
    weight: (P,) how far it counts, 1 up to the 12th neighbour and falling to 0 behind it
    opening: (R, P) mean over features and members, 0 closed to 1 open; sd: (R, P) over the members, None for one
    mean, mean_sd: (P,) of the mean over the convolutions
    """

    structure: Structure
    model: str
    site: np.ndarray
    neighbour: np.ndarray
    image: np.ndarray
    distance: np.ndarray
    weight: np.ndarray
    opening: np.ndarray
    sd: np.ndarray | None
    mean: np.ndarray
    mean_sd: np.ndarray | None

    def of(self, convolution: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Openings (P,) and their sd, of one convolution counted from 0, or of the mean over all (None)."""
        if convolution is None:
            return self.mean, self.mean_sd
        return self.opening[convolution], None if self.sd is None else self.sd[convolution]

    def range(self, convolution: int | None = None) -> tuple[float, float]:
        """Ends of a colour scale that holds all openings of this crystal: the next steps of 0.05."""
        values = self.of(convolution)[0]
        if not len(values):
            return 0.0, 1.0
        low, high = np.floor(values.min() * 20) / 20, np.ceil(values.max() * 20) / 20
        return float(low), float(max(high, low + 0.05))


def has_gates(model: Model) -> bool:
    """Whether neighbours pass gates: in all convolutions but those of the form eq4."""
    return all(convolution.form != "eq4" for member in model.members for convolution in member.convolutions)


@torch.no_grad()
def gate_openings(model: Model, structure: Structure) -> Gates:
    """Gates of all neighbours. Raises ValueError for convolutions without gates."""
    if not has_gates(model):
        raise ValueError(
            f"the model {model.card.name} has convolutions of the form eq4, in which all neighbours come in alike "
            "and there are no gates; take a model of the form eq5"
        )
    graph = structure_graph(structure, model.graph_settings)
    batch = collate([graph], model.dtype)
    opening = torch.stack([_openings(member, batch) for member in model.members]).double().numpy()  # (M, R, E)
    edge, site, neighbour, image, distance, images = _neighbours(structure, graph)
    opening = opening[:, :, edge]
    several = len(opening) > 1
    return Gates(
        structure=structure,
        model=model.card.name,
        site=site,
        neighbour=neighbour,
        image=image,
        distance=distance,
        weight=graph.weight[edge] / images[edge],
        opening=opening.mean(0),
        sd=opening.std(0, ddof=1) if several else None,
        mean=opening.mean((0, 1)),
        mean_sd=opening.mean(1).std(0, ddof=1) if several else None,
    )


def _openings(member, batch: GraphBatch) -> torch.Tensor:
    """Of every convolution and edge of one network, (R, E)."""
    v = member.embedding(batch.atomic_numbers)
    u = member.expansion(batch.distance)
    weight = neighbour_weights(batch, member.settings.neighbours, v.dtype)
    found = []
    for convolution in member.convolutions:
        found.append(convolution.gate_opening(v, u, batch))
        v = convolution(v, u, weight, batch.centre, batch.neighbour)
    return torch.stack(found)


def _neighbours(structure: Structure, graph):
    """The edges of a graph, which stand for all images at one distance, image by image; P of them.

    -> edge, site, neighbour (P,), image (P, 3), distance (P,), number of images of each edge (E,)
    """
    if not len(graph.centre):
        none = np.empty(0, dtype=np.int64)
        return none, none, none, none.reshape(0, 3), none.astype(float), none
    reach = graph.distance.max() + _SAME_EDGE
    centre, neighbour, image, distance = structure.get_neighbor_list(reach)
    far = 1 + reach
    edges = (graph.centre * len(graph) + graph.neighbour) * far + graph.distance  # ascending
    keys = (centre * len(graph) + neighbour) * far + distance
    edge = np.searchsorted(edges, keys - _SAME_EDGE).clip(max=len(edges) - 1)
    found = np.abs(edges[edge] - keys) < 2 * _SAME_EDGE
    edge, site, neighbour, image, distance = (x[found] for x in (edge, centre, neighbour, image, distance))
    order = np.lexsort((neighbour, distance.round(4), site))
    images = np.maximum(np.bincount(edge, minlength=len(edges)), 1)
    image = image[order].astype(np.int64)
    return edge[order], site[order].astype(np.int64), neighbour[order].astype(np.int64), image, distance[order], images


@dataclass(frozen=True)
class GateRow:
    """Some neighbours of a site that belong together.

    neighbour: element, or the site's name where it stands for itself; number: how many
    nearest, farthest, distance: shortest, longest and mean distance, angstrom
    counts: weight of each; by_convolution, sd_by_convolution: (R,) opening and its spread over members
    edges: their rows in `Gates`
    """

    neighbour: str
    element: str
    number: int
    nearest: float
    farthest: float
    distance: float
    counts: float
    by_convolution: np.ndarray
    sd_by_convolution: np.ndarray | None
    edges: tuple[int, ...]


def gate_rows(gates: Gates, site: int, names: Sequence[str], orbit: np.ndarray | None = None) -> list[GateRow]:
    """Neighbours of one site, nearest first; equivalent ones at one distance and with one gate share a row.

    names: (N,) of the sites; orbit: (N,) equal for symmetry-equivalent sites, by default every site for itself
    """

    def alike(p: int, q: int) -> bool:
        return bool(
            _kind(gates, p, orbit) == _kind(gates, q, orbit)
            and abs(gates.distance[p] - gates.distance[q]) < _SAME_DISTANCE
            and np.abs(gates.opening[:, p] - gates.opening[:, q]).max() < _SAME_GATE
        )

    return _rows(gates, site, names, alike)


def gates_by_element(gates: Gates, site: int, names: Sequence[str]) -> list[GateRow]:
    """Neighbours of one site, all of an element together, the nearest element first."""
    number = np.array(gates.structure.atomic_numbers)[gates.neighbour]
    return _rows(gates, site, names, lambda p, q: number[p] == number[q])


def _rows(gates: Gates, site: int, names: Sequence[str], alike: Callable[[int, int], bool]) -> list[GateRow]:
    rows: list[list[int]] = []
    for p in np.flatnonzero(gates.site == site).tolist():  # nearest first
        row = next((row for row in rows if alike(p, row[0])), None)
        if row is None:
            rows.append([p])
        else:
            row.append(p)
    return [
        GateRow(
            neighbour=_row_name(gates, row, names),
            element=gates.structure[int(gates.neighbour[row[0]])].specie.symbol,
            number=len(row),
            nearest=float(gates.distance[row].min()),
            farthest=float(gates.distance[row].max()),
            distance=float(gates.distance[row].mean()),
            counts=float(gates.weight[row].mean()),
            by_convolution=gates.opening[:, row].mean(1),
            sd_by_convolution=None if gates.sd is None else gates.sd[:, row].mean(1),
            edges=tuple(row),
        )
        for row in rows
    ]


def gate_table(
    gates: Gates, site: int, names: Sequence[str], orbit: np.ndarray | None = None, convolution: int | None = None
) -> pd.DataFrame:
    """`gate_rows` as a table, with gate and sd of one convolution, or of the mean over all (None).

    Columns: neighbour, number, distance (angstrom), counts, gate, sd
    """
    import pandas as pd

    values, sd = gates.of(convolution)
    rows = gate_rows(gates, site, names, orbit)
    columns = {
        "neighbour": [row.neighbour for row in rows],
        "number": [row.number for row in rows],
        "distance": [row.distance for row in rows],
        "counts": [row.counts for row in rows],
        "gate": [values[list(row.edges)].mean() for row in rows],
    }
    if sd is not None:
        columns["sd"] = [sd[list(row.edges)].mean() for row in rows]
    return pd.DataFrame(columns)


def _kind(gates: Gates, p: int, orbit: np.ndarray | None) -> int:
    neighbour = gates.neighbour[p]
    return int(neighbour if orbit is None else orbit[neighbour])


def _row_name(gates: Gates, row: list[int], names: Sequence[str]) -> str:
    sites = {int(gates.neighbour[p]) for p in row}
    first = next(iter(sites))
    return names[first] if len(sites) == 1 else gates.structure[first].specie.symbol
