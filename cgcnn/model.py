"""Model = member networks + target scaling + card; a folder with `weights.safetensors` and `card.json`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from .files import write_whole
from .graph import GraphBatch, GraphSettings
from .network import CrystalNetwork, NetworkSettings
from .network.alike import site_features
from .network.pooling import GatedPooling

if TYPE_CHECKING:
    from .contributions import Contributions

LOGIT = "logit"  # unit of a classifier's target: the log-odds of class 1

BUNDLED = Path(__file__).resolve().parent.parent / "models"
CARD, WEIGHTS, ATLAS = "card.json", "weights.safetensors", "atlas.parquet"  # in the folder of a model


class ModelError(ValueError):
    """A model that cannot be found or read; the message says which and what to do."""


@dataclass(frozen=True)
class Target:
    """What is predicted.

    name: column in the data; label: full name in words; short: for an axis; unit
    mean, sd: of the training targets, in that unit; the network predicts (target - mean) / sd
    """

    name: str
    label: str
    short: str
    unit: str
    mean: float = 0.0
    sd: float = 1.0

    @property
    def site_unit(self) -> str:
        """Unit of a contribution: eV where the target is in eV/atom, otherwise that of the target."""
        return self.unit.removesuffix("/atom")


@dataclass(frozen=True)
class Card:
    """What one must know of a model to trust it; kept as JSON beside the weights.

    name, family, head: a family is trained on the same data with different pooling heads
    graph, network, training: settings as plain values; swap_consistency among those of the training
    data: name, credit, split and sizes; elements: symbols that occur in the training crystals
    members: number of independently trained networks; parameters: of one of them
    accuracy: {"val": {"n", "mae", "rmse", "r2"}}, and what `evaluation.trust` adds: "quantiles" of the absolute error,
        "parity" map, "plain" (MAE of the additive fit)
    faithfulness: what `evaluation.faithfulness` measured on `val`; comparison: the same of other trainings
    reference: {role: mean contribution of that role over the training crystals, one value a member}, eV
    colour_limit: end of the colour scale of contributions, eV
    calibration: {"scale": by which the spread of the members is multiplied to be the error bar of an energy, ...}
    gauge: {"note", "shift": {role or "": {element: what is taken off each member's contributions}}, ...}
    agreement: of independently trained members; sanity: checks, {name: {"value", ...}}
    domain: what the training crystals look like, see `domain`; tradeoff: {"points", "why"}, accuracy and faithfulness
    files: {name of a file beside the card: its SHA-256, hex digits}, checked when it is read
    Cards written before a field existed have its default.
    """

    name: str
    family: str
    head: str
    target: Target
    graph: dict
    network: dict
    training: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    elements: tuple[str, ...] = ()
    members: int = 1
    parameters: int = 0
    accuracy: dict = field(default_factory=dict)
    faithfulness: dict = field(default_factory=dict)
    comparison: dict = field(default_factory=dict)
    reference: dict[str, list[float]] = field(default_factory=dict)
    colour_limit: float = 1.0
    calibration: dict = field(default_factory=dict)
    gauge: dict = field(default_factory=dict)
    agreement: dict = field(default_factory=dict)
    sanity: dict = field(default_factory=dict)
    domain: dict = field(default_factory=dict)
    tradeoff: dict = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    citation: str = (
        "T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018), https://doi.org/10.1103/PhysRevLett.120.145301"
    )

    @property
    def mae(self) -> float:
        """Mean absolute error on the validation crystals, in the unit of the target; nan before it is measured."""
        return self.accuracy.get("val", {}).get("mae", float("nan"))

    def write(self, path: Path) -> None:
        """Whole or not at all. Raises OSError."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        # Lists of plain values go on one line: a learning curve has hundreds.
        text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
        write_whole(path, f"{text}\n".encode())

    @classmethod
    def read(cls, path: Path) -> Card:
        """Raises ModelError for a file that is missing or not a card."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values["target"] = Target(**values["target"])
            values["elements"] = tuple(values["elements"])
            return cls(**values)
        except OSError as error:
            raise ModelError(f"there is no model card at {path}; name a folder that `train` wrote") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} is not a model card ({error}); train the model again") from error


@dataclass(frozen=True)
class Model:
    """Networks trained alike from different seeds, and their card."""

    members: tuple[CrystalNetwork, ...]
    card: Card
    folder: Path | None = None

    @property
    def graph_settings(self) -> GraphSettings:
        return GraphSettings(**self.card.graph)

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of all weights; the same file, the same numbers."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode() + tensor.detach().to(torch.float32).contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {f"{i}.{name}": t for i, member in enumerate(self.members) for name, t in member.state_dict().items()}

    def energy_sd(self, energies: np.ndarray) -> np.ndarray | None:
        """Error bars of energies: spread over the members times the factor that calibrates it; None for one member.

        Shapes: (M, C) -> (C,)
        """
        if len(energies) < 2:
            return None
        return self.card.calibration.get("scale", 1.0) * np.std(energies, axis=0, ddof=1)

    def scaled(self, value: torch.Tensor) -> torch.Tensor:
        """Output of a network -> unit of the target."""
        return self.card.target.mean + self.card.target.sd * value

    @torch.no_grad()
    def energies(self, batch: GraphBatch) -> torch.Tensor:
        """Prediction of every member, (M, C), in the unit of the target."""
        batch = batch.to(self.dtype)
        found = [m.head(*v, batch) for m, v in zip(self.members, site_features(self.members, batch), strict=True)]
        return self.scaled(torch.stack(found))

    @torch.no_grad()
    def energies_and_contributions(self, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Prediction (M, C) and raw contributions (M, N) of every member, in the unit of the target.

        Members take turns on each piece of the batch. Stacking their weights (`torch.func.vmap`) takes one to three
        times as long, since the arrays with a number for every edge, member and feature leave the cache.
        """
        return self.explained(batch)[:2]

    @torch.no_grad()
    def explained(self, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """`energies_and_contributions`, and the mean gate opening (M, N) of the gated head, None for others."""
        batch = batch.to(self.dtype)
        heads = [member.head for member in self.members]
        features = site_features(self.members, batch)
        found = [head.energy_and_contributions(*v, batch) for head, v in zip(heads, features, strict=True)]
        energies, sites = (torch.stack(one) for one in zip(*found, strict=True))
        gate = None
        if isinstance(heads[0], GatedPooling):
            gate = torch.stack([head.gate_opening(*v) for head, v in zip(heads, features, strict=True)])
        return self.scaled(energies), self.scaled(sites), gate

    def explain(self, crystals) -> Contributions | list[Contributions]:
        """What every site contributes to the predicted energy.

        crystals: a pymatgen Structure, ASE Atoms or the name of a file, which holds one crystal, or a list of these, in
            which files may hold several -> a list, one result a crystal
        Raises ValueError, in a sentence, for what gives no crystal.
        """
        from .contributions import explain
        from .structures import structures_from

        structures, single = structures_from(crystals)
        results = explain(self, structures)
        return results[0] if single else results

    @property
    def dtype(self) -> torch.dtype:
        return next(self.members[0].parameters()).dtype

    def astype(self, dtype: torch.dtype) -> Model:
        """The same model computing in another floating-point type."""
        members = []
        for member in self.members:
            copy = CrystalNetwork(member.settings).to(dtype)
            copy.load_state_dict(member.state_dict())
            members.append(copy.eval().requires_grad_(False))
        return replace(self, members=tuple(members))

    @cached_property
    def single(self) -> Model:
        """The same model in single precision."""
        return self if self.dtype == torch.float32 else self.astype(torch.float32)

    def save(self, folder: Path) -> None:
        """Write weights and card, with the checksum of the weights; neither is ever half-written.

        The card comes last: a folder without one is no model yet. Raises OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: t.detach().to(torch.float32, copy=True) for name, t in self._tensors().items()}
        content = save(weights)
        write_whole(folder / WEIGHTS, content)
        replace(self.card, files={WEIGHTS: checksum(content)}).write(folder / CARD)


def checksum(content: bytes) -> str:
    """SHA-256 of the content of a file, hex digits."""
    return hashlib.sha256(content).hexdigest()


def read_checked(folder: Path, card: Card, name: str) -> bytes:
    """A file beside a card. Raises ModelError if it is missing or not the one that the card was written with.

    Cards written before they had checksums pass.
    """
    way_out = "copy the whole folder again from where it came from"
    if name == ATLAS:
        way_out = f"write it again with `python -m cgcnn atlas`, or {way_out}"
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / name} cannot be read ({error.strerror}); {way_out}") from error
    if card.files.get(name, checksum(content)) != checksum(content):
        raise ModelError(f"{folder / name} is damaged: its checksum is not that of the card beside it; {way_out}")
    return content


def bundled(broken: list[ModelError] | None = None) -> list[Card]:
    """Cards of the models that come with the software, by name.

    broken: collects the errors of cards that cannot be read; without it the first is raised
    """
    cards = []
    for path in sorted(BUNDLED.glob(f"*/{CARD}")):
        try:
            cards.append(Card.read(path))
        except ModelError as error:
            if broken is None:
                raise
            broken.append(error)
    return cards


def model_folder(name: str | Path) -> Path:
    """Folder of a bundled model's name or of a path. Raises ModelError if there is none."""
    for folder in (BUNDLED / str(name), Path(name)):
        if (folder / CARD).is_file():
            return folder
    known = ", ".join(card.name for card in bundled([])) or "none"
    raise ModelError(f"there is no model {str(name)!r}; bundled are: {known}. Or give the folder that `train` wrote")


def load_model(name: str | Path, dtype: torch.dtype = torch.float64) -> Model:
    """A bundled model by its name, or any model by its folder.

    dtype: float64 makes invariances exact to 1e-10 eV; float32 is half the work for whole data sets
    Raises ModelError.
    """
    folder = model_folder(name)
    card = Card.read(folder / CARD)
    content = read_checked(folder, card, WEIGHTS)
    try:
        weights = load(content)
        members = []
        for i in range(card.members):
            network = CrystalNetwork(NetworkSettings(**card.network))
            prefix = f"{i}."
            network.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
            members.append(network.to(dtype).eval().requires_grad_(False))
    except (SafetensorError, RuntimeError, TypeError) as error:
        raise ModelError(f"the weights in {folder} do not fit the card beside them: {error}") from error
    return Model(tuple(members), card, folder)


def update_card(folder: Path, **values) -> None:
    """Replace fields of a model's card."""
    replace(Card.read(folder / CARD), **values).write(folder / CARD)


def note_checksums(folder: Path) -> list[str]:
    """Let the card know the checksums of the files beside it that it has none of; their names.

    Raises ModelError where a file is not the one that the card knows.
    """
    card = Card.read(folder / CARD)
    present = [name for name in (WEIGHTS, ATLAS) if name in card.files or (folder / name).is_file()]
    files = {name: checksum(read_checked(folder, card, name)) for name in present}
    if files != card.files:
        update_card(folder, files=files)
    return [name for name in files if name not in card.files]


def other_head(model: Model) -> Path | None:
    """The folder beside a model's own that holds a model of the same family with another head; None without."""
    if model.folder is None:
        return None
    for folder in sorted(path.parent for path in model.folder.resolve().parent.glob(f"*/{CARD}")):
        card = Card.read(folder / CARD)
        if card.family == model.card.family and card.head != model.card.head:
            return folder
    return None
