"""Milliseconds per crystal for every step from a CIF to contributions, next to the field's usual way.

    python -m benchmarks.run            a few minutes
    python -m benchmarks.run --quick    fewer repeats, less sure

The comparison of networks needs PyTorch Geometric: pip install -r benchmarks/requirements.txt
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from textwrap import wrap

import numpy as np
import torch
from pymatgen.core import Structure

from cgcnn.cif import read_first_cell
from cgcnn.contributions import explain, structure_graph
from cgcnn.distinct import DistinctSites
from cgcnn.examples import examples
from cgcnn.graph import CrystalGraph, GraphSettings, PackedGraphs, build_graph, collate
from cgcnn.model import Card, Model, Target, bundled, load_model
from cgcnn.network import CrystalNetwork, NetworkSettings
from cgcnn.network.convolution import Convolution, GaussianExpansion
from cgcnn.structures import read_crystals
from cgcnn.symmetry import describe

from . import field
from .timing import Timing, no_garbage_collection

EXACTLY_12 = GraphSettings(truncate=True)
# 64 cells in a batch, as in training, and fewer of large ones, for the sake of memory: 32 of 40 atoms, 6 of 200.
SITES_IN_BATCH = 1280
LARGEST_BATCH = 64


@dataclass(frozen=True)
class Row:
    """One line of the table. ours, field: milliseconds per crystal; field is None where there is no counterpart."""

    step: str
    cell: str
    ours: float
    field: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.field is None else self.field / self.ours


@dataclass(frozen=True)
class Cell:
    """One of the crystals that everything is timed on."""

    name: str
    structure: Structure
    text: str  # CIF

    @property
    def batch(self) -> int:
        """Crystals in a batch."""
        return max(1, min(LARGEST_BATCH, SITES_IN_BATCH // len(self.structure)))


def cells(supercells: Iterable[tuple[int, int, int]] = ((1, 1, 1), (2, 2, 2), (5, 4, 2))) -> list[Cell]:
    """SrTiO3 in supercells, ideal and rattled.

    In the ideal cell of five atoms many periodic images of a neighbour are equally far and merge into one edge; when
    it is rattled hardly any do, and in a large cell the images are other sites.
    """
    found = []
    for supercell in supercells:
        ideal = examples()["SrTiO3"].make_supercell(supercell, in_place=False)
        for name, structure in (("ideal", ideal), ("rattled", rattled(ideal))):
            found.append(Cell(f"{len(structure)} atoms, {name}", structure, structure.to(fmt="cif")))
    return found


def rattled(structure: Structure, scale: float = 0.02) -> Structure:
    """Every coordinate displaced by a normal deviate of `scale` angstrom, always the same ones."""
    displaced = structure.cart_coords + np.random.default_rng(0).normal(scale=scale, size=structure.cart_coords.shape)
    return Structure(structure.lattice, structure.species, displaced, coords_are_cartesian=True)


# --- the steps --------------------------------------------------------------------------------------------------------


def reading(cell: Cell, timing: Timing) -> Iterator[Row]:
    """CIF text -> crystal."""
    field.check_reading(read_crystals("benchmark.cif", cell.text)[0].structure, field.read_with_pymatgen(cell.text))
    to_cell, to_structure, theirs = timing.milliseconds(
        [
            lambda: read_first_cell(cell.text),
            lambda: read_crystals("benchmark.cif", cell.text),
            lambda: field.read_with_pymatgen(cell.text),
        ]
    )
    yield Row("read to Cell", cell.name, to_cell, theirs)
    yield Row("read to Structure", cell.name, to_structure, theirs)


def graphs(cell: Cell, timing: Timing) -> Iterator[Row]:
    """Crystal -> finished graph, and -> what a network takes in."""
    s = cell.structure
    field.check_graph(structure_graph(s, EXACTLY_12), s)
    lattice, numbers, frac = s.lattice.matrix, np.array(s.atomic_numbers), s.frac_coords
    expansion = GaussianExpansion(field.RADIUS)

    def as_tensors() -> tuple:
        batch = collate([build_graph(lattice, numbers, frac)], torch.float32)
        return batch, expansion(batch.distance)

    def theirs_as_tensors() -> tuple:
        index, _, gaussians = field.graph_with_pymatgen(s)
        return torch.from_numpy(numbers), torch.from_numpy(index), torch.from_numpy(gaussians).float()

    ours, theirs, ours_as_tensors, field_as_tensors = timing.milliseconds(
        [
            lambda: build_graph(lattice, numbers, frac),
            lambda: field.graph_with_pymatgen(s),
            as_tensors,
            theirs_as_tensors,
        ]
    )
    yield Row("finished graph", cell.name, ours, theirs)
    yield Row("graph as tensors", cell.name, ours_as_tensors, field_as_tensors)


def networks(cell: Cell, timing: Timing) -> Iterator[Row]:
    """Forward passes."""
    network = default_network("linear")
    merged, single = truncated_graphs(cell)
    theirs = checked_cgconv_network(network, merged)
    whole = structure_graph(cell.structure, GraphSettings())

    def forward(net: CrystalNetwork, graph: CrystalGraph, crystals: int) -> Callable[[], object]:
        batch = collate([graph] * crystals, torch.float32)
        return lambda: net(batch)

    with torch.no_grad():
        for step, crystals in (("network, one crystal", 1), ("network, batch", cell.batch)):
            tasks = [forward(network, merged, crystals), forward(network, whole, crystals)]
            if theirs is not None:
                tasks.append(forward(theirs, single, crystals))
            ours, ours_whole, *others = [t / crystals for t in timing.milliseconds(tasks)]
            yield Row(step, cell.name, ours, *others)
            yield Row(f"{step}, whole shells", cell.name, ours_whole)


def training(cell: Cell, timing: Timing, batches: int = 8) -> Iterator[Row]:
    """Training epochs."""
    network = default_network("linear")
    merged, single = truncated_graphs(cell)
    theirs = checked_cgconv_network(network, merged)
    runs = [(network, merged), (network, structure_graph(cell.structure, GraphSettings()))]
    if theirs is not None:
        runs.append((theirs, single))
    seconds: list[list[float]] = [[] for _ in runs]
    with no_garbage_collection():
        for _ in range((timing.at_least + 1) // 2):
            for (net, graph), found in zip(runs, seconds, strict=True):
                found.append(epoch_seconds(net, graph, cell.batch, batches, timing))
    ours, ours_whole, *others = [1e3 * median(found) / (batches * cell.batch) for found in seconds]
    yield Row("training epoch", cell.name, ours, *others)
    yield Row("training epoch, whole shells", cell.name, ours_whole)


def contributions(cell: Cell, timing: Timing) -> Iterator[Row]:
    """What the app does with an upload, in pieces and in all."""
    linear, gated = (explaining_model(head) for head in ("linear", "gated"))

    def upload(model: Model) -> tuple:
        crystal = read_crystals("benchmark.cif", cell.text)[0]
        return describe(crystal.structure), explain(model, [crystal.structure])

    tasks = {
        f"contributions, {_named(linear)}": lambda: explain(linear, [cell.structure]),
        f"contributions, {_named(gated)}": lambda: explain(gated, [cell.structure]),
        "describe": lambda: describe(cell.structure),
        f"upload to result, {_named(linear)}": lambda: upload(linear),
        f"upload to result, {_named(gated)}": lambda: upload(gated),
    }
    for step, ours in zip(tasks, timing.milliseconds(list(tasks.values())), strict=True):
        yield Row(step, cell.name, ours)


def ensembles(cell: Cell, timing: Timing) -> Iterator[Row]:
    """Five networks that explain a crystal against five times one."""
    for head in ("linear", "gated"):
        model = explaining_model(head)
        members = tuple(model.members[i % len(model.members)] for i in range(5))
        # The reference of a card has as many values as its model has members.
        card = replace(model.card, reference={role: (v * 5)[:5] for role, v in model.card.reference.items()}, gauge={})
        five, one = replace(model, members=members, card=card), replace(model, members=members[:1])
        one = replace(one, card=replace(card, reference={role: v[:1] for role, v in card.reference.items()}))
        ours, once = timing.milliseconds(
            [lambda five=five: explain(five, [cell.structure]), lambda one=one: explain(one, [cell.structure])]
        )
        yield Row(f"five networks explain a crystal, {head} head", cell.name, ours, 5 * once)


@dataclass(frozen=True)
class Group:
    """Steps that belong together.

    compared: ours and the field's, in words; rows: the function that times them on one cell
    """

    name: str
    compared: str
    rows: Callable[[Cell, Timing], Iterator[Row]]


GROUPS = (
    Group(
        "Reading",
        "P1 CIF text to a Cell (plain arrays) and to a checked Structure; field: pymatgen's CifParser to a Structure",
        reading,
    ),
    Group(
        "Graph",
        "whole shells as a CrystalGraph, and as tensors with expanded distances; field: 12 neighbours by pymatgen's "
        "get_all_neighbors within 8 angstrom, sorted and cut, as arrays with 41 Gaussians a neighbour, and as tensors",
        graphs,
    ),
    Group(
        "Network",
        "forward pass at default width, linear head, float32, 12 neighbours, edges of one length merged, distances "
        "expanded on the way; field: the same network and weights with PyTorch Geometric's CGConv, one edge an image",
        networks,
    ),
    Group(
        "Training",
        "an epoch of training by Lightning (no validation), which is also seconds per 1000 crystals; field: the same "
        "with CGConv",
        training,
    ),
    Group(
        "Contributions",
        "one crystal explained by the bundled models in float64, its symmetry and surroundings described, and all "
        "from its CIF on (read, describe, explain)",
        contributions,
    ),
    Group(
        "Ensembles",
        "five networks explain one crystal; in the place of the field: five times one network",
        ensembles,
    ),
)


# --- what the steps work with -----------------------------------------------------------------------------------------


def default_network(head: str) -> CrystalNetwork:
    """An untrained network of default width and depth, the same weights every time."""
    torch.manual_seed(0)
    return CrystalNetwork(NetworkSettings(head))


def truncated_graphs(cell: Cell) -> tuple[CrystalGraph, CrystalGraph]:
    """Exactly 12 neighbours: edges of the same length merged, and one edge for every periodic image."""
    merged = structure_graph(cell.structure, EXACTLY_12)
    return merged, field.single_images(merged)


def checked_cgconv_network(network: CrystalNetwork, truncated: CrystalGraph) -> CrystalNetwork | None:
    """The network with CGConv in it, None without PyTorch Geometric. Raises Mismatch if the two do not agree."""
    if not field.has_cgconv():
        return None
    convolution = Convolution(network.settings.width, len(network.expansion.centres), norm=False)
    field.check_convolution(convolution, field.cgconv(convolution), truncated)
    theirs = field.cgconv_network(network)
    field.check_network(network, theirs, truncated)
    return theirs


def epoch_seconds(network: CrystalNetwork, graph: CrystalGraph, batch: int, batches: int, timing: Timing) -> float:
    """Seconds of a training epoch over copies of one crystal; an epoch before it warms up."""
    import lightning.pytorch as pl  # takes seconds

    from cgcnn.swap import NoMates
    from cgcnn.training import Trainee, TrainingSettings

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # hardware and advertisements

    class Watch(pl.Callback):
        def on_train_epoch_start(self, *_):
            self.start = timing.clock()

        def on_train_epoch_end(self, *_):
            self.seconds = timing.clock() - self.start

    n, watch = batch * batches, Watch()
    targets = np.random.default_rng(0).normal(size=n)
    settings = TrainingSettings(epochs=2, batch=batch)
    distinct = DistinctSites.all_sites(PackedGraphs.from_graphs([graph] * n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on loader workers
        batches = NoMates(np.arange(n))
        trainee = Trainee(deepcopy(network), settings, distinct, batches, targets, np.arange(0), unit=1.0)
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            limit_val_batches=0,
            reload_dataloaders_every_n_epochs=1,
            callbacks=[watch],
        )
        trainer.fit(trainee)
    return watch.seconds


def explaining_model(head: str) -> Model:
    """The bundled model with this head and the most networks, else an untrained network of default width; float64."""
    found = [card for card in bundled() if card.head == head]
    if found:
        return load_model(max(found, key=lambda card: card.members).name)
    network = default_network(head).double().eval().requires_grad_(False)
    target = Target("energy", "energy", "energy", "eV/atom")
    card = Card("untrained", "untrained", head, target, GraphSettings().asdict(), network.settings.asdict())
    return Model((network,), card)


def _named(model: Model) -> str:
    members = len(model.members)
    return f"{model.card.head} head, {members} network{'s' if members > 1 else ''}"


# --- the table --------------------------------------------------------------------------------------------------------


def measured(group: Group, chosen: Sequence[Cell], timing: Timing) -> list[Row]:
    """The rows of one group, sorted by step."""
    rows = [row for cell in chosen for row in group.rows(cell, timing)]
    order = list(dict.fromkeys(row.step for row in rows))
    return sorted(rows, key=lambda row: order.index(row.step))


def group_text(group: Group, rows: Sequence[Row]) -> str:
    """One group of the table."""
    lines = ["", *wrap(f"{group.name}: {group.compared}", 74), f"{'':42}{'ours ms':>12}{'field ms':>12}{'ratio':>8}"]
    step = None
    for row in rows:
        if row.step != step:
            step = row.step
            lines.append(f"  {step}")
        theirs = f"{'-':>12}{'-':>8}" if row.field is None else f"{row.field:12.3f}{row.ratio:8.1f}"
        lines.append(f"    {row.cell:38}{row.ours:12.3f}{theirs}")
    return "\n".join(lines)


def machine(timing: Timing) -> str:
    """What was measured with what."""
    packages = ("numpy", "torch", "pymatgen", "vesin", "gemmi", "lightning", "torch_geometric")
    clock = "processor time" if timing.clock is time.process_time else "wall time"
    return "\n".join(
        [
            f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            f"threads {torch.get_num_threads()}, {clock}, medians, milliseconds per crystal, garbage collector off",
            f"Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in packages),
        ]
    )


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True)
class Expectation:
    """How many times faster a step should be, and what keeps it from being so where it is not."""

    step: str
    times: float
    limit: str


_PER_EDGE = (
    "merging and factorising save edges and matrix products; sigmoid, softplus, gathers and sums over every edge that "
    "is left cost both the same, and in a small graph so do the calls into torch"
)
EXPECTATIONS = (
    Expectation("finished graph", 30, "a small cell is bound by the fixed cost of some 40 calls into numpy and vesin"),
    Expectation("network, one crystal", 2, _PER_EDGE),
    Expectation("network, batch", 2, _PER_EDGE),
    Expectation("training epoch", 2, _PER_EDGE),
)


def verdict(rows: Iterable[Row], expectations: Sequence[Expectation] = EXPECTATIONS) -> str:
    """Which expectations are met, and where they are not, why."""
    lines, limits = ["", "Expected"], []
    rows = list(rows)
    for expected in expectations:
        compared = [row for row in rows if row.step == expected.step and row.ratio is not None]
        text = f"  {expected.step}: {expected.times:g} times faster; "
        if not compared:
            lines.append(text + "not compared")
            continue
        missed = [f"{row.cell} ({row.ratio:.1f})" for row in compared if row.ratio < expected.times]
        slowest, fastest = min(row.ratio for row in compared), max(row.ratio for row in compared)
        outcome = "met" if not missed else "missed" if len(missed) == len(compared) else "missed in part"
        lines.append(f"{text}found {slowest:.1f} to {fastest:.1f}, {outcome}")
        if missed:
            lines += wrap("missed for " + "; ".join(missed), 74, initial_indent="    ", subsequent_indent="    ")
            limits.append(expected.limit)
    for limit in dict.fromkeys(limits):
        lines += wrap(f"Limit: {limit}", 74, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def prepare(threads: int) -> None:
    """Set the threads of torch and vesin, and bring the memory allocator into its lasting state."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # vesin looks here at every call
    torch.set_num_threads(threads)
    # glibc hands large arrays back to the system until it has seen one of this size freed; every process that works
    # for a while gets there, and before that a network takes up to twice as long.
    torch.zeros(30 * 2**18)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--threads", type=int, default=1, help="with more than 1 the wall time is taken (default: 1)")
    options = parser.parse_args(arguments)
    prepare(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    timing = Timing(seconds=0.15, at_least=3, clock=clock) if options.quick else Timing(clock=clock)
    print(machine(timing))
    if not field.has_cgconv():
        print("Without PyTorch Geometric networks are not compared: pip install -r benchmarks/requirements.txt")
    rows: list[Row] = []
    try:
        for group in GROUPS:
            found = measured(group, cells(), timing)
            print(group_text(group, found), flush=True)
            rows += found
    except field.Mismatch as mismatch:
        print(f"stopped: {mismatch}", file=sys.stderr)
        return 1
    print(verdict(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
