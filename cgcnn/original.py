"""The authors' checkpoints -> models of ours.

Their code (T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018)) saves the weights of a network of fixed plan
in a `.pth.tar` file, and keeps what it knows of the elements in `atom_init.json`. Once trained, its batch norms are
affine maps and its element table is constant, so that all of it folds into the factorised convolution of form
"authors", the `mean` head and one vector an element: safetensors and a card, like any model of ours.

With exactly 12 neighbours (`GraphSettings.truncate`) the numbers are those of their code, and depend as there on the
order of the sites wherever a neighbour shell is cut. With whole shells they do not; `both_energies` gives the two.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from .cell import SYMBOLS
from .contributions import structure_graph
from .graph import CrystalGraph, GraphSettings, PackedGraphs, build_graph, collate
from .model import LOGIT, Card, Model, Target
from .network import CrystalNetwork, NetworkSettings
from .network.elements import MAX_ATOMIC_NUMBER

if TYPE_CHECKING:
    from pymatgen.core import Structure

ATOM_INIT = "atom_init.json"
STEP = 0.2  # angstrom, between the Gaussians of their code
_MATMINER_TABLE = "utils/data_files/cgcnn_atom_feature.json"
_REFERENCE_CRYSTALS = 2000  # as many of a data set show where its mean is
_WHAT_IT_IS = "a checkpoint of the authors' CGCNN holds state_dict, normalizer and args"


class OriginalError(ValueError):
    """A file of the authors' code that cannot be used; the message says which and what to do."""


# --- the checkpoint ---------------------------------------------------------------------------------------------------

# All that may be built while a checkpoint is read, beyond torch's own list of tensors and plain containers: the
# options of the training, and the best error, which is a numpy number in a classifier's file.
_ALLOWED = (
    argparse.Namespace,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    (np._core.multiarray.scalar, "numpy._core.multiarray.scalar"),
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),
)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint of the authors' code holds; F features, T Gaussians, A element properties.

    state: names as in their network -> tensors in double precision
    mean, sd: of the training targets, as their normalizer keeps them; 0 and 1 for a classifier
    about: epoch and best error on their validation set, as far as the file tells them
    """

    name: str
    state: dict[str, torch.Tensor]
    mean: float
    sd: float
    about: dict[str, float]

    @property
    def properties(self) -> int:
        """A, element properties in their table; 92 in the public one."""
        return self.state["embedding.weight"].shape[1]

    @property
    def width(self) -> int:
        """F."""
        return self.state["embedding.weight"].shape[0]

    @property
    def convolutions(self) -> int:
        return _count(self.state, r"convs\.(\d+)\.")

    @property
    def gaussians(self) -> int:
        """T; 41 for a radius of 8 angstrom."""
        return self.state["convs.0.fc_full.weight"].shape[1] - 2 * self.width

    @property
    def crystal_width(self) -> int:
        return self.state["conv_to_fc.weight"].shape[0]

    @property
    def crystal_hidden(self) -> int:
        """Hidden layers after the pooling, that which changes the width among them."""
        return 1 + _count(self.state, r"fcs\.(\d+)\.")

    @property
    def classifier(self) -> bool:
        return self.state["fc_out.weight"].shape[0] == 2


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Raises OriginalError for anything but a checkpoint of the authors' network. Nothing in the file is executed."""
    path = Path(path)
    if not path.is_file():
        raise OriginalError(f"there is no file {path}; give the .pth.tar that the authors' code wrote")
    try:
        with torch.serialization.safe_globals(list(_ALLOWED)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickle protocols
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise anything
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign:
            raise OriginalError(
                f"{path.name} holds {foreign[1]}, which a checkpoint has no need of and which is not loaded; "
                "save state_dict, normalizer and args alone"
            ) from None
        raise OriginalError(f"{path.name} cannot be read as a PyTorch checkpoint; {_WHAT_IT_IS}") from None
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise OriginalError(f"{path.name} has no state_dict; {_WHAT_IT_IS}")
    state = {}
    for key, tensor in content["state_dict"].items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise OriginalError(f"{key!r} in the state_dict of {path.name} is no tensor; {_WHAT_IT_IS}")
        if not key.endswith("num_batches_tracked"):
            state[key.removeprefix("module.")] = tensor.detach().double()
    _check_plan(path.name, state)
    classifier = state["fc_out.weight"].shape[0] == 2
    _check_options(path.name, content.get("args"), classifier)
    mean, sd = (0.0, 1.0) if classifier else _normalizer(path.name, content.get("normalizer"))
    about = {name: _number(content.get(name)) for name in ("epoch", "best_mae_error")}
    return Checkpoint(path.name, state, mean, sd, {name: value for name, value in about.items() if value is not None})


def _count(state: dict[str, torch.Tensor], pattern: str) -> int:
    """How many layers of a kind there are: one more than the highest number."""
    numbers = [int(found[1]) for key in state if (found := re.match(pattern, key))]
    return max(numbers, default=-1) + 1


def _check_plan(name: str, state: dict[str, torch.Tensor]) -> None:
    """Raise OriginalError unless these are the layers of the authors' network, no more and no less."""

    def shape(key: str) -> torch.Size:
        if key not in state or state[key].dim() != 2:
            raise OriginalError(f"{name} has no {key}, so it is no network of the authors' CGCNN")
        return state[key].shape

    f, a = shape("embedding.weight")
    t = shape("convs.0.fc_full.weight")[1] - 2 * f
    h = shape("conv_to_fc.weight")[0]
    out = shape("fc_out.weight")[0]
    if out > 2:
        raise OriginalError(f"{name} tells {out} classes apart; only two are known here, or one number")
    expected = {"embedding.weight": (f, a), "embedding.bias": (f,), "conv_to_fc.weight": (h, f)}
    expected |= {"conv_to_fc.bias": (h,), "fc_out.weight": (out, h), "fc_out.bias": (out,)}
    for k in range(_count(state, r"convs\.(\d+)\.")):
        expected |= {f"convs.{k}.fc_full.weight": (2 * f, 2 * f + t), f"convs.{k}.fc_full.bias": (2 * f,)}
        for norm, width in (("bn1", 2 * f), ("bn2", f)):
            for part in ("weight", "bias", "running_mean", "running_var"):
                expected[f"convs.{k}.{norm}.{part}"] = (width,)
    for k in range(_count(state, r"fcs\.(\d+)\.")):
        expected |= {f"fcs.{k}.weight": (h, h), f"fcs.{k}.bias": (h,)}
    for key, size in expected.items():
        if key not in state or tuple(state[key].shape) != size or not state[key].isfinite().all():
            raise OriginalError(f"{key} of {name} is missing, not of shape {size} or not finite; the file is damaged")
    unknown = sorted(set(state) - set(expected))
    if unknown:
        raise OriginalError(f"{name} has {unknown[0]}, a layer that the authors' CGCNN has not; it cannot be converted")
    if t < 2:
        raise OriginalError(f"{name} describes a distance by {t} numbers; the authors' code takes 41 Gaussians")


def _check_options(name: str, options: object, classifier: bool) -> None:
    options = vars(options) if isinstance(options, argparse.Namespace) else options
    if not isinstance(options, dict):
        raise OriginalError(f"{name} has no args; {_WHAT_IT_IS}")
    task = "classification" if classifier else "regression"
    if options.get("task", task) != task:
        raise OriginalError(f"{name} says {options['task']} but has the output of a {task}; the file is damaged")


def _normalizer(name: str, normalizer: object) -> tuple[float, float]:
    values = [_number(normalizer.get(key)) if isinstance(normalizer, dict) else None for key in ("mean", "std")]
    if None in values or not values[1] > 0:
        raise OriginalError(f"{name} has no normalizer with mean and std, which turn its output into a unit")
    return tuple(values)


def _number(value: object) -> float | None:
    """A finite number, also one in a tensor; else None."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if np.isfinite(number) else None


# --- the table of the elements ----------------------------------------------------------------------------------------


def read_atom_table(checkpoint: Path, properties: int, given: str | Path | None = None) -> dict[int, list[float]]:
    """Atomic number -> what the authors' code knows of the element, `properties` numbers.

    given: their atom_init.json; otherwise that beside the checkpoint, otherwise the same table in an installed matminer
    Raises OriginalError.
    """
    if given is None:
        beside = Path(checkpoint).parent / ATOM_INIT
        given = beside if beside.is_file() else _matminer_table()
    if given is None:
        raise OriginalError(
            f"there is no {ATOM_INIT} beside {Path(checkpoint).name} and no matminer is installed; copy it "
            "from the data of the training, name it with --atom-init, or `pip install matminer`, which has the same"
        )
    given = Path(given)
    try:
        table = {int(z): [float(x) for x in row] for z, row in json.loads(given.read_text(encoding="utf-8")).items()}
    except OSError as error:
        raise OriginalError(f"{given} cannot be opened: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise OriginalError(f"{given} is no {ATOM_INIT}: it must map atomic numbers to lists of numbers") from error
    wrong = [z for z, row in table.items() if len(row) != properties or not np.isfinite(row).all()]
    if wrong or not table:
        length = len(table[wrong[0]]) if wrong else 0
        raise OriginalError(
            f"{given} describes an element by {length} numbers, the network takes {properties}; "
            f"give the {ATOM_INIT} that it was trained with"
        )
    return {z: row for z, row in table.items() if 1 <= z <= MAX_ATOMIC_NUMBER}


def _matminer_table() -> Path | None:
    found = importlib.util.find_spec("matminer")  # does not import it, which would take seconds
    for folder in (found.submodule_search_locations or []) if found else []:
        if (Path(folder) / _MATMINER_TABLE).is_file():
            return Path(folder) / _MATMINER_TABLE
    return None


# --- the conversion ---------------------------------------------------------------------------------------------------


def folded_network(checkpoint: Checkpoint, table: dict[int, list[float]], neighbours: int = 12) -> CrystalNetwork:
    """The same function of a crystal graph, as a network of ours in double precision.

    A classifier's two log-softmax outputs become one number, their difference: the logit of class 1.
    """
    settings = NetworkSettings(
        head="mean", form="authors", elements="learned", norm=False, site_hidden=0, neighbours=neighbours,
        radius=round((checkpoint.gaussians - 1) * STEP, 6), width=checkpoint.width,
        convolutions=checkpoint.convolutions, crystal_hidden=checkpoint.crystal_hidden,
        crystal_width=checkpoint.crystal_width,
    )  # fmt: skip
    network, state, f = CrystalNetwork(settings).double(), checkpoint.state, checkpoint.width
    folded = {"embedding.free": torch.zeros(MAX_ATOMIC_NUMBER + 1, f, dtype=torch.float64)}
    for z, row in table.items():
        properties = torch.tensor(row, dtype=torch.float64)
        folded["embedding.free"][z] = state["embedding.weight"] @ properties + state["embedding.bias"]
    for k in range(checkpoint.convolutions):
        scale, shift = _affine(state, f"convs.{k}.bn1")
        weight = scale[:, None] * state[f"convs.{k}.fc_full.weight"]  # (2F, 2F + T), for v_i (+) v_j (+) u
        into, t = f"convolutions.{k}", checkpoint.gaussians
        from_centre, from_neighbour, from_edge = weight.split([f, f, t], dim=1)
        folded[f"{into}.from_centre.weight"] = from_centre
        folded[f"{into}.from_neighbour.weight"] = from_neighbour
        folded[f"{into}.from_edge.weight"] = from_edge
        folded[f"{into}.from_centre.bias"] = scale * state[f"convs.{k}.fc_full.bias"] + shift
        folded[f"{into}.scale"], folded[f"{into}.shift"] = _affine(state, f"convs.{k}.bn2")
    layers = ["conv_to_fc", *(f"fcs.{k}" for k in range(checkpoint.crystal_hidden - 1))]
    for k, layer in enumerate(layers):
        for part in ("weight", "bias"):
            folded[f"head.layers.{2 * k + 1}.{part}"] = state[f"{layer}.{part}"]  # behind the softplus at the front
    for part in ("weight", "bias"):
        out = state[f"fc_out.{part}"]
        folded[f"head.out.{part}"] = out[1:] - out[:1] if checkpoint.classifier else out
    folded["head.reference"] = torch.zeros(f, dtype=torch.float64)
    network.load_state_dict(folded)
    return network.eval().requires_grad_(False)


def _affine(state: dict[str, torch.Tensor], norm: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift of a batch norm in evaluation."""
    # NOTE required to match their code: the epsilon of torch's BatchNorm1d
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + 1e-5)
    return scale, state[f"{norm}.bias"] - scale * state[f"{norm}.running_mean"]


def convert(
    file: str | Path,
    target: Target,
    *,
    name: str | None = None,
    atom_init: str | Path | None = None,
    truncate: bool = False,
    neighbours: int = 12,
    reference: str | Path | None = None,
) -> Model:
    """A checkpoint of the authors' code as a model, to be saved like any other.

    target: what it predicts, without mean and spread, which the file knows; of a classifier the unit is the logit
    name: of the model, by default that of the file; atom_init: see `read_atom_table`
    truncate: exactly `neighbours` a site, as in their code, instead of whole shells
    reference: data set like that of the training, whose mean is where contributions start; without it they start at
        the mean of the elements, each as an fcc crystal of its molar volume
    Raises OriginalError; DatasetError for the reference.
    """
    file = Path(file)
    checkpoint = read_checkpoint(file)
    table = read_atom_table(file, checkpoint.properties, atom_init)
    network = folded_network(checkpoint, table, neighbours)
    if checkpoint.classifier:
        target = replace(target, label=f"logit of {target.label}", unit=LOGIT)
    graph = GraphSettings(radius=network.settings.radius, neighbours=neighbours, truncate=truncate)
    name = name or re.sub(r"\.pth(\.tar)?$", "", file.name)
    start = "the elements as fcc crystals" if reference is None else f"the crystals of {Path(reference).name}"
    card = Card(
        name=name,
        family=name,
        head="mean",
        target=replace(target, mean=checkpoint.mean, sd=checkpoint.sd),
        graph=graph.asdict(),
        network=network.settings.asdict(),
        training={"converted from": file.name, **{f"authors' {key}": value for key, value in checkpoint.about.items()}},
        data={"file": "not told by the checkpoint", "credit": "", "contributions start at": f"the mean of {start}"},
        # not those of the training, which the file does not tell, but all that the network can describe
        elements=tuple(SYMBOLS[z] for z in sorted(table)),
        parameters=sum(p.numel() for p in network.parameters()),
    )
    model = Model((network,), card)
    batches = [elemental_crystals(table, graph)] if reference is None else _graphs_of(reference, graph)
    network.head.reference.copy_(_mean_pooled(network, batches))
    return replace(model, card=replace(card, colour_limit=_colour_limit(model)))


def elemental_crystals(elements: Iterable[int], settings: GraphSettings) -> list[CrystalGraph]:
    """Every element as an fcc crystal of its molar volume, as far as that is known."""
    from pymatgen.core import Element

    graphs = []
    for z in sorted(elements):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen warns of every missing value
            volume = Element.from_Z(z).molar_volume  # cubic centimetres
        if volume is not None and np.isfinite(volume) and volume > 0:
            edge = (4 * float(volume) / 0.602214076) ** (1 / 3)  # of four atoms, angstrom
            cell = edge / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
            graphs.append(build_graph(cell, [z], np.zeros((1, 3)), settings))
    return graphs


def _graphs_of(dataset: str | Path, settings: GraphSettings) -> Iterable[list[CrystalGraph]]:
    """Crystal graphs of the first crystals of a data set, in portions. Raises DatasetError."""
    from .datasets import build_rows
    from .sources import DatasetError, open_source

    done = 0
    for chunk in open_source(dataset).chunks(200):
        graphs = build_rows(chunk, settings).graphs
        portion = [graphs[i] for i in range(min(len(graphs), _REFERENCE_CRYSTALS - done))]
        done += len(portion)
        if portion:
            yield portion
        if done == _REFERENCE_CRYSTALS:
            return
    if not done:
        raise DatasetError(f"{dataset} has no crystal that can be read; give a data set like that of the training")


@torch.no_grad()
def _mean_pooled(network: CrystalNetwork, portions: Iterable[list[CrystalGraph]]) -> torch.Tensor:
    """Mean pooled vector v_c of crystals, (F,)."""
    total, count = 0.0, 0
    for graphs in portions:
        batch = PackedGraphs.from_graphs(graphs).select()
        total = total + network.head.pooled(*network.site_features(batch), batch).sum(0)
        count += len(graphs)
    return total / count


def _colour_limit(model: Model) -> float:
    """End of the colour scale: where the contributions of well-known crystals reach, to one digit."""
    from .contributions import explain
    from .examples import examples

    known = set(model.card.elements)
    crystals = [s for s in examples().values() if {e.symbol for e in s.elements} <= known]
    relative = np.concatenate([found.relative for found in explain(model, crystals)] or [np.zeros(1)])
    limit = float(np.quantile(np.abs(relative), 0.99))
    return float(f"{limit:.1g}") if limit > 0 else 1.0


# --- both ways to choose neighbours -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class BothEnergies:
    """Prediction with exactly 12 neighbours, as in the authors' code, and with whole shells; in the target's unit."""

    truncated: float
    whole: float

    @cached_property
    def difference(self) -> float:
        """Whole minus truncated."""
        return self.whole - self.truncated


def is_converted(card: Card) -> bool:
    """Whether a model comes from the authors' code."""
    return card.network.get("form") == "authors"


def both_energies(model: Model, structure: Structure) -> BothEnergies:
    """What cutting neighbour shells, as the authors' code does, makes of the prediction of a crystal."""
    found = []
    for truncate in (True, False):
        settings = replace(model.graph_settings, truncate=truncate)
        found.append(float(model.energies(collate([structure_graph(structure, settings)])).mean()))
    return BothEnergies(*found)
