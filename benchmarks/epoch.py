"""Seconds of a training epoch on a data set: plain concatenated convolutions on whole graphs, against ours.

    python -m benchmarks.epoch DATASET [--crystals 1000] [--head linear]

Every step is that of a training: batch, forward pass, loss, backward pass, AdamW. The plain convolution concatenates
v_i, v_j and u for every edge, has one linear layer, and leaves its derivatives to autograd. Both must give one energy.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cgcnn.datasets import DatasetError, build_rows
from cgcnn.distinct import DistinctSites
from cgcnn.graph import GraphSettings, PackedGraphs
from cgcnn.network import CrystalNetwork, NetworkSettings
from cgcnn.network.convolution import Convolution
from cgcnn.sources import open_source

from .run import prepare, processor

BATCH = 64


class PlainConvolution(nn.Module):
    """Eq. 5 of the paper as it is written down: z = v_i (+) v_j (+) u for every edge, with the weights of ours."""

    def __init__(self, convolution: Convolution):
        super().__init__()
        parts = convolution.from_centre, convolution.from_neighbour, convolution.from_edge
        self.norm = convolution.norm
        self.full = nn.Linear(sum(part.in_features for part in parts), parts[0].out_features)
        with torch.no_grad():
            self.full.weight.copy_(torch.cat([part.weight for part in parts], dim=1))
            self.full.bias.copy_(convolution.from_centre.bias)

    def forward(self, v, u, weight, centre, neighbour) -> torch.Tensor:
        x = self.norm(v)
        z = self.full(torch.cat([x[centre], x[neighbour], u], dim=1))  # (E, 2F)
        gate, core = z.chunk(2, dim=1)
        messages = torch.sigmoid(gate) * F.softplus(core) * weight[:, None]  # (E, F)
        return v + torch.zeros_like(v).index_add_(0, centre, messages)


def with_plain_convolutions(network: CrystalNetwork) -> CrystalNetwork:
    copy = CrystalNetwork(network.settings)
    copy.load_state_dict(network.state_dict())
    copy.convolutions = nn.ModuleList(PlainConvolution(convolution) for convolution in copy.convolutions)
    return copy


def epoch(network: CrystalNetwork, graphs: PackedGraphs) -> Callable[[], float]:
    """A function that trains for one epoch and returns the seconds."""
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    order = np.random.default_rng(0).permutation(len(graphs))

    def run() -> float:
        start = process_time()
        for first in range(0, len(order), BATCH):
            loss = network(graphs.select(order[first : first + BATCH], torch.float32)).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return process_time() - start

    return run


def sample(dataset: str, crystals: int) -> PackedGraphs:
    """Whole graphs of about so many crystals from all over a data set."""
    source = open_source(dataset)
    pieces, rows = 25, max(1, crystals // 25)
    parts = []
    for start in np.linspace(0, max(0, source.rows - rows), pieces).astype(int).tolist():
        built = build_rows(next(iter(source.chunks(rows, start))), GraphSettings())
        parts += [built.graphs[i] for i in range(len(built.graphs))]
    return PackedGraphs.from_graphs(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.epoch", description=__doc__.split("\n")[0])
    parser.add_argument("dataset", metavar="DATASET", type=Path)
    parser.add_argument("--crystals", type=int, default=1000)
    parser.add_argument("--head", choices=("gated", "linear"), default="linear")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    prepare(threads=1)
    try:
        whole = sample(options.dataset, options.crystals)
    except DatasetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    distinct = DistinctSites.of(whole).graphs
    torch.manual_seed(0)
    network = CrystalNetwork(NetworkSettings(options.head))
    ways = {
        "plain, whole graphs": (with_plain_convolutions(network), whole),
        "ours, whole graphs": (network, whole),
        "ours, distinct sites": (network, distinct),
    }
    with torch.no_grad():
        first, *others = (net(graphs.select(np.arange(50), torch.float32)) for net, graphs in ways.values())
    for other in others:
        if (first - other).abs().max() > 1e-3 * first.std():
            print("stopped: the networks do not compute the same energies", file=sys.stderr)
            return 1
    runs = {name: epoch(*way) for name, way in ways.items()}
    seconds = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, run in runs.items():
            seconds[name].append(run())
    print(f"{processor()}, one core, processor time; {len(whole)} crystals of {options.dataset.name}")
    print(f"{'':24}{'nodes':>10}{'edges':>10}{'s/1000 crystals':>18}{'us/edge':>10}{'times faster':>15}")
    plain = np.median(seconds["plain, whole graphs"])
    for name, (_, graphs) in ways.items():
        best, edges = np.median(seconds[name]), int(graphs.edges.sum())
        print(
            f"{name:24}{graphs.sites.sum():10d}{edges:10d}{1e3 * best / len(graphs):18.2f}{1e6 * best / edges:10.2f}"
            f"{plain / best:15.1f}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
