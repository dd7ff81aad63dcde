"""The field's usual way to each step, built on the public packages, and the checks that both ways agree."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import numpy as np
import torch
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from torch import nn

from cgcnn.graph import CrystalGraph, GraphBatch, collate
from cgcnn.network import CrystalNetwork
from cgcnn.network.convolution import Convolution, GaussianExpansion, neighbour_weights

RADIUS = 8.0  # angstrom
NEIGHBOURS = 12
_CENTRES = np.arange(0.0, RADIUS + 0.1, 0.2)  # of the 41 Gaussians, angstrom
_TOLERANCE = 1e-5


class Mismatch(RuntimeError):
    """The two ways give different numbers, so that their times must not be compared."""


# --- reading ----------------------------------------------------------------------------------------------------------


def read_with_pymatgen(text: str) -> Structure:
    """The first crystal of a CIF, by pymatgen's parser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CifParser(io.StringIO(text)).parse_structures(primitive=False)[0]


def check_reading(ours: Structure, theirs: Structure) -> None:
    """Raise Mismatch unless both are the same crystal, sites in the same order."""
    if len(ours) != len(theirs):
        raise Mismatch(f"pymatgen reads {theirs.formula} from a CIF that we read as {ours.formula}")
    shift = ours.frac_coords - theirs.frac_coords
    same = (
        ours.atomic_numbers == theirs.atomic_numbers
        and np.allclose(ours.lattice.parameters, theirs.lattice.parameters, atol=_TOLERANCE)
        and np.allclose(shift - np.rint(shift), 0, atol=_TOLERANCE)
    )
    if not same:
        raise Mismatch(f"pymatgen places other elements, or atoms elsewhere, than we do in the CIF of {ours.formula}")


# --- graph ------------------------------------------------------------------------------------------------------------


def graph_with_pymatgen(structure: Structure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A finished graph with exactly 12 neighbours, the way the authors' loader makes it.

    Shapes: neighbour (N, 12), distance (N, 12) angstrom, Gaussians (N, 12, 41)
    """
    shells = structure.get_all_neighbors(RADIUS, include_index=True)
    nearest = [sorted(shell, key=lambda neighbour: neighbour[1])[:NEIGHBOURS] for shell in shells]
    index = np.array([[neighbour[2] for neighbour in shell] for shell in nearest])
    distance = np.array([[neighbour[1] for neighbour in shell] for shell in nearest])
    return index, distance, np.exp(-(((distance[..., None] - _CENTRES) / 0.2) ** 2))


def single_images(graph: CrystalGraph) -> CrystalGraph:
    """One edge for every periodic image, for a graph built with `truncate`, whose weights count them."""
    images = np.rint(graph.weight).astype(np.int64)
    if np.any(np.abs(images - graph.weight) > 1e-9):
        raise ValueError("smooth edges cannot be taken apart; build the graph with GraphSettings(truncate=True)")
    repeated = {name: np.repeat(getattr(graph, name), images) for name in ("centre", "neighbour", "distance")}
    return replace(graph, **repeated, weight=np.ones(images.sum()))


def check_graph(truncated: CrystalGraph, structure: Structure) -> None:
    """Raise Mismatch unless the distances to the 12 nearest neighbours of every site are pymatgen's."""
    single = single_images(truncated)
    ours = single.distance[np.lexsort((single.distance, single.centre))].reshape(len(structure), NEIGHBOURS)
    gap = np.abs(ours - graph_with_pymatgen(structure)[1]).max()
    if gap > _TOLERANCE:
        raise Mismatch(f"neighbour distances of {structure.formula} differ from pymatgen's by {gap:.1e} angstrom")


# --- network ----------------------------------------------------------------------------------------------------------


def has_cgconv() -> bool:
    """Whether PyTorch Geometric is installed."""
    try:
        import torch_geometric  # noqa: F401
    except ImportError:
        return False
    return True


def cgconv(convolution: Convolution) -> nn.Module:
    """PyTorch Geometric's CGConv with the weights of one of our convolutions.

    Its weight matrices act on the concatenation z = v_i (+) v_j (+) u; ours are the three parts of them.
    """
    from torch_geometric.nn import CGConv

    if convolution.form != "eq5":
        raise ValueError(f"CGConv computes the form 'eq5', not {convolution.form!r}")
    parts = (convolution.from_centre, convolution.from_neighbour, convolution.from_edge)
    gate_weight, core_weight = torch.cat([part.weight for part in parts], dim=1).chunk(2)
    gate_bias, core_bias = convolution.from_centre.bias.chunk(2)
    operator = CGConv(parts[0].in_features, parts[2].in_features, aggr="add", batch_norm=False)
    with torch.no_grad():
        operator.lin_f.weight.copy_(gate_weight)
        operator.lin_f.bias.copy_(gate_bias)
        operator.lin_s.weight.copy_(core_weight)
        operator.lin_s.bias.copy_(core_bias)
    return operator


def edge_index(batch: GraphBatch) -> torch.Tensor:
    """(2, E), from the neighbour to the centre, as PyTorch Geometric wants it."""
    return torch.stack([batch.neighbour, batch.centre])


class CGConvolution(nn.Module):
    """CGConv in the place of our convolution, behind the same layer normalisation; for single images only.

    Shapes: site features (N, F), edge features (E, T); weight is 1 for single images -> (N, F)
    """

    def __init__(self, convolution: Convolution):
        super().__init__()
        self.norm = convolution.norm
        self.operator = cgconv(convolution)

    def forward(self, v, u, weight, centre, neighbour) -> torch.Tensor:
        x = self.norm(v)
        # CGConv.forward adds x to the messages, but with a normalisation before it, v is what must be added.
        return v + self.operator.propagate(torch.stack([neighbour, centre]), x=(x, x), edge_attr=u)


def cgconv_network(network: CrystalNetwork) -> CrystalNetwork:
    """A copy of the network whose convolutions are CGConv, with the same weights."""
    copy = CrystalNetwork(network.settings)
    copy.load_state_dict(network.state_dict())
    copy.convolutions = nn.ModuleList(CGConvolution(convolution) for convolution in copy.convolutions)
    return copy


@torch.no_grad()
def check_convolution(convolution: Convolution, operator: nn.Module, truncated: CrystalGraph) -> None:
    """Raise Mismatch unless our convolution on merged edges is CGConv on single images, to 1e-5 of the largest value.

    convolution: without normalisation; truncated: exactly 12 neighbours, for which the normalised sum is the plain sum
    """
    merged, single = collate([truncated], torch.float32), collate([single_images(truncated)], torch.float32)
    width = convolution.from_centre.in_features
    v = torch.randn(len(truncated), width, generator=torch.Generator().manual_seed(0))
    expansion = GaussianExpansion(RADIUS)
    weight = neighbour_weights(merged, 12, v.dtype)
    ours = convolution(v, expansion(merged.distance), weight, merged.centre, merged.neighbour)
    theirs = operator(v, edge_index(single), expansion(single.distance))
    _check_close(ours, theirs, "the convolution")


@torch.no_grad()
def check_network(ours: CrystalNetwork, theirs: CrystalNetwork, truncated: CrystalGraph) -> None:
    """Raise Mismatch unless both networks give the same site features, to 1e-5 of the largest."""
    features, _ = ours.site_features(collate([truncated], torch.float32))
    expected, _ = theirs.site_features(collate([single_images(truncated)], torch.float32))
    _check_close(features, expected, "the network")


def _check_close(ours: torch.Tensor, theirs: torch.Tensor, what: str) -> None:
    gap = float((ours - theirs).abs().max() / theirs.abs().max())
    if not gap <= _TOLERANCE:
        raise Mismatch(f"{what} and CGConv with the same weights differ by {gap:.1e} of the largest value")
