"""`train`: a model from a data set."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import DATA, NETWORK, TRAINING, Quiet, Target, flag, option
from .output import note, report_unreadable

Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="crystals and a target; see `score --help`")]
Head = Annotated[Literal["gated", "linear", "mean"], option("pooling head: gated, linear or mean", "HEAD")]
Out = Annotated[Path, option("folder of the model", "DIR")]
Name = Annotated[str | None, option("of the model; default: that of the folder", "NAME")]
Threads = Annotated[int | None, option("processor cores to use", "N")]
Devices = Annotated[int, option("processes here, one a GPU if there are; they share each step", "N")]
Nodes = Annotated[int, option("machines: give the command on each, with NODE_RANK, MASTER_ADDR", "M")]

Unit = Annotated[str | None, option("of the target, for the card", "UNIT", DATA)]
Credit = Annotated[str | None, option("source of the data, for the card", "TEXT", DATA)]
Also = Annotated[Path | None, option("train on the split train of this one as well", "DATASET", DATA)]

# "default:" in the help below is what the settings say, which cannot be asked without torch; a test compares them.
Form = Annotated[
    Literal["eq4", "eq5"] | None, option("form of it: eq4 or eq5; default: eq5", "FORM", NETWORK, "--convolution")
]
Elements = Annotated[
    Literal["properties", "learned", "both"] | None,
    option("properties, learned or both; default: both", "FEATURES", NETWORK),
]
Width = Annotated[int | None, option("of a site's feature vector; default: 96", "N", NETWORK)]
Convolutions = Annotated[int | None, option("how many; default: 4", "N", NETWORK)]
SiteHidden = Annotated[int | None, option("layers per atom after them; default: 1", "N", NETWORK)]
CrystalHidden = Annotated[int | None, option("layers after the pooling; default: 1", "N", NETWORK)]
Radius = Annotated[float | None, option("of neighbours at most, angstrom; default: 8.0", "X", NETWORK)]
Neighbours = Annotated[int | None, option("nearest, which count in full; default: 12", "N", NETWORK)]
Truncate = Annotated[bool, flag("--truncate", "exactly that many; depends on the order of sites", NETWORK)]
Dropout = Annotated[float | None, option("share of site features left out; default: 0.0", "X", NETWORK)]

Epochs = Annotated[int | None, option("at most; default: 300", "N", TRAINING)]
Patience = Annotated[int | None, option("epochs without a better val; default: 100", "N", TRAINING)]
Batch = Annotated[int | None, option("crystals in a step; default: 64", "N", TRAINING)]
LearningRate = Annotated[float | None, option("highest of one cycle; default: 0.005", "X", TRAINING)]
WeightDecay = Annotated[float | None, option("of AdamW; default: 0.01", "X", TRAINING)]
Seed = Annotated[int | None, option("of weights and order; default: 0", "N", TRAINING)]
Members = Annotated[int | None, option("networks, each from its own seed; default: 1", "N", TRAINING)]
Shapley = Annotated[float | None, option("of that loss, factorial ABX3; default: 0.0", "WEIGHT", TRAINING)]
SwapConsistency = Annotated[float | None, option("weight of that loss; default: 0.0", "LAMBDA", TRAINING)]
Mates = Annotated[
    Literal["auto", "labelled", "substituted"] | None,
    option("labelled, substituted or auto; default: auto", "KIND", TRAINING),
]
Substituted = Annotated[float | None, option("share of crystals in a step; default: 0.25", "SHARE", TRAINING)]
ShuffleLabels = Annotated[bool, flag("--shuffle-labels", "a control: targets in random order", TRAINING)]


def train(
    context: typer.Context,
    dataset: Dataset,
    head: Head,
    out: Out,
    name: Name = None,
    threads: Threads = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    quiet: Quiet = False,
    target: Target = None,
    unit: Unit = None,
    credit: Credit = None,
    also: Also = None,
    form: Form = None,
    elements: Elements = None,
    width: Width = None,
    convolutions: Convolutions = None,
    site_hidden: SiteHidden = None,
    crystal_hidden: CrystalHidden = None,
    radius: Radius = None,
    neighbours: Neighbours = None,
    truncate: Truncate = False,
    dropout: Dropout = None,
    epochs: Epochs = None,
    patience: Patience = None,
    batch: Batch = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    seed: Seed = None,
    members: Members = None,
    shapley: Shapley = None,
    swap_consistency: SwapConsistency = None,
    mates: Mates = None,
    substituted: Substituted = None,
    shuffle_labels: ShuffleLabels = False,
) -> None:
    """Train a model, or go on with a training that was stopped."""
    import logging

    import torch

    from .. import targets
    from ..datasets import load_dataset
    from ..evaluation.report import accuracy_lines, faithfulness_lines
    from ..graph import GraphSettings
    from ..network import NetworkSettings
    from ..ranks import is_first
    from ..training import TrainingSettings, train

    for logger in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(logger).setLevel(logging.ERROR)  # hardware and advertisements
    if threads:
        torch.set_num_threads(threads)

    given = {name: value for name, value in context.params.items() if value is not None}
    graph = settings(GraphSettings, given)
    data = load_dataset(dataset, target, graph)
    if is_first(devices * nodes):
        report_unreadable(data)
    more = load_dataset(also, data.target, graph) if also else None
    model = train(
        data,
        targets.describe_target(data.target, unit),
        settings(NetworkSettings, given),
        settings(TrainingSettings, given),
        out,
        name=name,
        graph=graph,
        credit=targets.credit(data.target) if credit is None else credit,
        also=more,
        devices=devices,
        nodes=nodes,
        progress=not quiet and sys.stderr.isatty(),
    )
    if model is None:  # another process has it
        return
    card = model.card
    print("\n".join([f"{card.name}:", *accuracy_lines(card.accuracy), *faithfulness_lines(card.faithfulness)]))
    note(f"written to {out} after {card.training['seconds']} s")


def settings(kind: type, given: dict):
    """Settings of a kind, with those of the options that were given; an option has the name of the field it sets."""
    return kind(**{field.name: given[field.name] for field in fields(kind) if field.name in given})
