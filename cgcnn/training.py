"""Training a network on a data set, with PyTorch Lightning.

Everything random comes from the seed and the number of the epoch, so a run that was killed and started again from
its last checkpoint ends with the same weights as one that was not (on a CPU, with the same number of threads).

In several processes (Lightning's DDP) each works on its share of every step, see `ranks`; loss and gradients are those
of the whole step, as in one process.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from .datasets import Dataset, DatasetError, split_by_formula, with_more_to_train
from .distinct import DistinctSites
from .evaluation import measure, pooled_reference
from .files import only_one, write_whole
from .graph import GraphBatch, GraphSettings, PackedGraphs
from .model import Card, Model, Target, load_model
from .network import CrystalNetwork, NetworkSettings
from .ranks import is_first, share
from .split import RoleShares, split_error
from .swap import NoMates, Step, SubstitutedMates, SwapPairs, substitute, swap_consistency, unswapped_rows


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    epochs: at most; patience: epochs without a better validation MAE before it stops early
    batch: crystals in a step; learning_rate: at the top of the one-cycle schedule; weight_decay: AdamW's
    warm_up: share of the steps on which the learning rate rises
    averaging: decay of the exponential moving average of the weights, which is what is validated and kept
    swap_consistency: lambda of the swap-consistency loss, 0 for none
    mates: "labelled", other training crystals; "substituted", the same crystal with an element exchanged; "auto", the
        former where at least half of the crystals have such a mate; substituted: share of crystals that get one
    shapley: weight of the loss that holds contributions on A, B and X to the Shapley values of the training labels, 0
        for none; see `split`
    shuffle_labels: train on targets in random order, a control that must destroy what contributions say
    seed: of weights and order; members: networks trained one after another, with seeds seed, seed + 1, ...
    """

    epochs: int = 300
    patience: int = 100
    batch: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.15
    averaging: float = 0.998
    swap_consistency: float = 0.0
    mates: str = "auto"
    substituted: float = 0.25
    shapley: float = 0.0
    shuffle_labels: bool = False
    seed: int = 0
    members: int = 1

    def asdict(self) -> dict:
        return asdict(self)


# Share of a step's mean in the running mean of what a nonlinear head pools, its zero while it is trained.
_REFERENCE_STEP = 0.02


def mates(
    distinct: DistinctSites, graphs: PackedGraphs, train: np.ndarray, settings: TrainingSettings
) -> NoMates | SwapPairs | SubstitutedMates:
    """What makes the batches of a training. Raises ValueError where labelled mates are asked for and there are none.

    distinct, graphs: of the same crystals; train: indices of those of the training
    """
    if not settings.swap_consistency:
        return NoMates(train)
    if settings.mates not in ("auto", "labelled", "substituted"):
        raise ValueError(f"mates={settings.mates!r} must be auto, labelled or substituted")
    if settings.mates != "substituted":
        pairs = SwapPairs(graphs, train)
        paired = np.mean(pairs.choices > 0) if len(train) else 0.0
        if paired >= 0.5 or (settings.mates == "labelled" and pairs):
            return pairs
        if settings.mates == "labelled":
            raise ValueError(
                "no two training crystals differ in the element of one site only; train with --mates substituted"
            )
    return SubstitutedMates(distinct, train, settings.substituted)


class ProgressBar(TQDMProgressBar):
    """One bar an epoch, with the running errors; none for the validation, which takes a second."""

    def __init__(self):
        super().__init__(refresh_rate=10)

    def init_train_tqdm(self):
        # As Lightning's own, but on stderr: stdout is for data.
        look = {"desc": self.train_description, "bar_format": self.BAR_FORMAT, "dynamic_ncols": True, "smoothing": 0}
        return Tqdm(**look, disable=self.is_disabled, file=sys.stderr)

    def init_validation_tqdm(self):
        return Tqdm(disable=True)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints appear under their name only when they are complete, so a kill never leaves half of one."""

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), content.getbuffer())


class Trainee(pl.LightningModule):
    """A network, its moving average and its data.

    distinct: sites of all crystals; batches: of an epoch, see `mates`; val: indices of the validation crystals
    targets: (C,) scaled to zero mean and unit variance over the training crystals; unit: standard deviation that
    turns an error back into the unit of the target; shares: of A, B and X in the training crystals, or None
    """

    def __init__(
        self,
        network: CrystalNetwork,
        settings: TrainingSettings,
        distinct: DistinctSites,
        batches: NoMates | SwapPairs | SubstitutedMates,
        targets: np.ndarray,
        val: np.ndarray,
        unit: float,
        shares: RoleShares | None = None,
    ):
        super().__init__()
        self.network, self.settings, self.distinct, self.unit, self.shares = network, settings, distinct, unit, shares
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))
        self.average.requires_grad_(False)  # or several processes would wait for its gradients
        self.targets = torch.as_tensor(targets, dtype=torch.float32)
        self.batches, self.val_crystals = batches, val
        self.curve: list[float] = []  # validation MAE of every epoch

    def train_dataloader(self):
        rng = np.random.default_rng([self.settings.seed, self.current_epoch])
        return DataLoader(self.batches.steps(self.settings.batch, rng), batch_size=None, collate_fn=self._collate)

    def val_dataloader(self):
        order = np.argsort(self.distinct.graphs.edges[self.val_crystals], kind="stable")  # equal work in every batch
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        steps = np.array_split(self.val_crystals[order], max(ranks, len(order) // 128))
        return DataLoader(steps[rank::ranks], batch_size=None, collate_fn=self._labelled)

    def _labelled(self, crystals: np.ndarray) -> tuple[GraphBatch, torch.Tensor]:
        return self.distinct.graphs.select(crystals, torch.float32), self.targets[crystals]

    def _collate(self, step: Step):
        step, counts = share(step, self.trainer.global_rank, self.trainer.world_size)
        batch, _ = self._labelled(step.crystals)
        numbers = batch.atomic_numbers.numpy()
        substitute(step, self.distinct, numbers)
        one, other = unswapped_rows(step, self.distinct, numbers)
        target = self.targets[step.crystals[: step.labelled]]
        shares = self.shares.select(step.crystals, step.labelled) if self.shares else ()
        known = int((~shares[1][:, 0].isnan()).sum()) if shares else 0
        sizes = torch.tensor([step.labelled, len(one), known, len(step.crystals)], dtype=torch.float32) * counts
        return batch, target, torch.from_numpy(one), torch.from_numpy(other), sizes, *shares

    def _weights(self, sizes: torch.Tensor) -> torch.Tensor:
        """What means over this process's part of a step count for; the processes' average is then the mean over all.

        Shapes: sizes (4,) of the part: labelled crystals, sites compared, crystals with shares, crystals -> (4,), ones
        for a single process
        """
        every = self.trainer.strategy.reduce(sizes.clone(), reduce_op="sum")
        return self.trainer.world_size * sizes / every.clamp(min=1)

    def transfer_batch_to_device(self, step, device, dataloader_idx):
        return tuple(part.to(device) for part in step)

    def on_train_batch_start(self, *_):
        # Dropout is the same after a resume, and another in every process.
        torch.manual_seed(self.settings.seed * 2**32 + self.global_step + (self.global_rank << 56))

    def training_step(self, step, _):
        batch, target, one, other, sizes, *shares = step
        of_error, of_change, of_split, of_mean = self._weights(sizes)
        loss = 0.0
        if self.settings.swap_consistency or shares:
            energy, contributions = self._explained(batch, of_mean)
            if self.settings.swap_consistency:
                loss = self.settings.swap_consistency * of_change * swap_consistency(contributions, one, other)
            if shares:
                loss = loss + self.settings.shapley * of_split * split_error(contributions, batch, *shares)
        else:
            energy = self.network(batch)
        error = (energy[: len(target)] - target).abs().mean()
        loss = loss + of_error * error
        self.seen += len(target)
        self.error += error.item() * len(target)
        self.log(
            "train_mae", self.error / self.seen * self.unit, prog_bar=True, on_step=True
        )  # running mean of the epoch
        return loss

    def _explained(self, batch: GraphBatch, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies and contributions; those of a nonlinear head start from a running mean of what it pools."""
        head, (v, v0) = self.network.head, self.network.site_features(batch)
        if not head.exact:
            with torch.no_grad():
                mean = self.trainer.strategy.reduce(weight * head.pooled(v, v0, batch).mean(0), reduce_op="mean")
                head.reference.lerp_(mean, _REFERENCE_STEP)
        return head.energy_and_contributions(v, v0, batch)

    def on_train_epoch_start(self):
        self.seen, self.error = 0, 0.0

    def optimizer_step(self, *args, **kwargs):
        super().optimizer_step(*args, **kwargs)
        self.average.update_parameters(self.network)

    def validation_step(self, step, _):
        batch, target = step
        error = (self.average(batch) - target).abs().sum() * self.unit / len(self.val_crystals)
        self.log("val_mae", error, prog_bar=True, batch_size=len(target), reduce_fx="sum", sync_dist=True)

    def configure_optimizers(self):
        steps = self.settings.epochs * len(self.train_dataloader())
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            self.settings.learning_rate,
            total_steps=steps,
            pct_start=self.settings.warm_up,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_validation_epoch_end(self):
        self.curve.append(round(float(self.trainer.callback_metrics["val_mae"]), 5))

    def on_save_checkpoint(self, checkpoint):
        checkpoint["curve"] = self.curve

    def on_load_checkpoint(self, checkpoint):
        self.curve = checkpoint["curve"]


def train(
    data: Dataset,
    target: Target,
    network: NetworkSettings,
    training: TrainingSettings,
    out: Path,
    *,
    name: str | None = None,
    graph: GraphSettings = GraphSettings(),
    credit: str = "",
    also: Dataset | None = None,
    devices: int = 1,
    nodes: int = 1,
    progress: bool = True,
) -> Model | None:
    """Train `training.members` networks on the `train` split, stop early on `val`, and write a model folder.

    A table without splits is split by formula, four fifths to train.
    also: another data set with the same target and graph settings, whose split `train` is trained on as well
    A run that was stopped goes on from its last finished epoch when it is started again with the same settings.
    out: folder of the model; checkpoints stay in it until the run is finished
    target: its mean and standard deviation are set here, from the training crystals
    devices: processes on this machine, for which Lightning runs the program again; nodes: machines, each of which
        runs the program, see Lightning's environment variables NODE_RANK, MASTER_ADDR and MASTER_PORT
    -> the model; None in all processes but the first
    Raises DatasetError for a data set without the splits, or a folder that holds another run; Busy where another
    process is training into it; OSError where it cannot be written.
    """
    ranks = devices * nodes
    if devices < 1 or nodes < 1:
        raise ValueError(f"{devices=} and {nodes=} must be at least 1")
    if not data.split.any():
        data = split_by_formula(data)
    if len(data.rows("val")) < ranks:
        raise DatasetError(
            f"{data.name} has {len(data.rows('val'))} validation crystals, and {ranks} processes need one each; "
            "train with fewer --devices"
        )
    whole = with_more_to_train(data, also) if also else data
    train_rows = data.rows("train")
    values = data.targets[train_rows]
    target = replace(target, mean=float(values.mean()), sd=float(values.std()) or 1.0)
    out.mkdir(parents=True, exist_ok=True)
    with only_one(out) if is_first(ranks) else nullcontext():
        return _train(data, whole, target, network, training, out, name, graph, credit, devices, nodes, progress)


def _train(
    data: Dataset,
    whole: Dataset,
    target: Target,
    network: NetworkSettings,
    training: TrainingSettings,
    out: Path,
    name: str | None,
    graph: GraphSettings,
    credit: str,
    devices: int,
    nodes: int,
    progress: bool,
) -> Model | None:
    """`train` in a folder that is held. whole: `data` and what else is trained on; target: scaled"""
    ranks, train_rows = devices * nodes, data.rows("train")
    run = {
        "data": whole.name,
        "target": asdict(target),
        "graph": graph.asdict(),
        "network": network.asdict(),
        "training": training.asdict(),
    }
    distinct = DistinctSites.of(whole.graphs)
    batches = mates(distinct, whole.graphs, whole.rows("train"), training)
    if is_first(ranks) and _claim(out, run):
        _remove_checkpoints(out)
        return load_model(out, torch.float32)
    members, seconds, curves = [], 0.0, []
    for i in range(training.members):
        settings = replace(training, seed=training.seed + i)
        scaled = _scaled(whole, target, settings)
        shares = RoleShares(whole, distinct, scaled, whole.rows("train")) if training.shapley else None
        torch.manual_seed(settings.seed)
        trainee = Trainee(
            CrystalNetwork(network), settings, distinct, batches, scaled, data.rows("val"), target.sd, shares
        )
        time, curve = _fit(trainee, out / f"member-{i}", devices, nodes, progress)
        if not is_first(ranks):
            continue
        member = _best(trainee, out / f"member-{i}")
        members.append(member)
        curves.append(curve)
        seconds += time
    if not is_first(ranks):
        return None
    card = Card(
        name=name or out.resolve().name,
        family=(name or out.resolve().name).removesuffix(f"-{network.head}"),
        head=network.head,
        target=target,
        graph=graph.asdict(),
        network=network.asdict(),
        training={
            **training.asdict(),
            "epochs run": [len(curve) for curve in curves],
            "seconds": round(seconds),
            "validation MAE by epoch": curves,
        },
        data={
            "file": whole.name,
            "split": {split: int((data.split == split).sum()) for split in ("train", "val")},
            "unreadable rows": len(data.unreadable),
            "credit": credit,
        },
        elements=_symbols(data, train_rows),
        members=training.members,
        parameters=sum(p.numel() for p in members[0].parameters()),
    )
    model = Model(tuple(members), card)
    for member, reference in zip(members, pooled_reference(model, data, train_rows), strict=False):
        member.head.reference.copy_(reference)
    model = replace(model, card=replace(card, **measure(model, data)))
    model.save(out)
    _remove_checkpoints(out)
    return model


def _claim(out: Path, run: dict) -> bool:
    """Note in the folder which run it belongs to; whether all that is left of it is to tidy up.

    Raises DatasetError if the folder belongs to another run, or holds a finished model.
    """
    file, finished = out / "run.json", (out / "card.json").is_file()
    if finished and not file.is_file():
        raise DatasetError(f"{out} holds a finished model; delete it or choose another --out")
    if file.is_file():
        other = json.loads(file.read_text())
        changed = [k for part in run if run[part] != other.get(part) for k in _changed(part, run, other)]
        if changed:
            raise DatasetError(
                f"{out} holds an unfinished run with other settings ({', '.join(changed)}); "
                "give the same ones to resume it, or another --out"
            )
    if not finished:
        write_whole(file, json.dumps(run).encode())
    return finished


def _changed(part: str, run: dict, other: dict) -> list[str]:
    if not isinstance(run[part], dict) or not isinstance(other.get(part), dict):
        return [part]
    return [key for key in run[part] if run[part][key] != other[part].get(key)]


def _scaled(data: Dataset, target: Target, training: TrainingSettings) -> np.ndarray:
    """Targets of zero mean and unit variance, (C,); those of the training in random order for the control."""
    scaled = (data.targets - target.mean) / target.sd
    if training.shuffle_labels:
        rows = data.rows("train")
        scaled[rows] = np.random.default_rng(training.seed).permutation(scaled[rows])
    return scaled


def _fit(trainee: Trainee, folder: Path, devices: int, nodes: int, progress: bool) -> tuple[float, list[float]]:
    """Train one network; seconds, validation MAE of every epoch. Checkpoints are in the folder."""
    training = trainee.settings
    every_epoch = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    best = ModelCheckpoint(folder, filename="best", monitor="val_mae", **every_epoch)
    last = ModelCheckpoint(folder, filename="last", **every_epoch)
    timer = Timer()
    try:
        trainer = pl.Trainer(
            max_epochs=training.epochs,
            accelerator="auto",
            devices=devices,
            num_nodes=nodes,
            strategy=DDPStrategy(broadcast_buffers=False) if devices * nodes > 1 else "auto",
            use_distributed_sampler=False,
            logger=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            callbacks=[
                best,
                last,
                timer,
                EarlyStopping("val_mae", patience=training.patience),
                *([ProgressBar()] if progress else []),
            ],
            plugins=[WholeCheckpoints()],
        )
    except MisconfigurationException as error:
        raise ValueError(f"{devices} devices on {nodes} machines cannot be had: {error}") from error
    unfinished = folder / "last.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on loader workers and on resuming, neither of which applies
        trainer.fit(trainee, ckpt_path=unfinished if unfinished.is_file() else None)
    return timer.time_elapsed("train"), trainee.curve


def _best(trainee: Trainee, folder: Path) -> CrystalNetwork:
    """Network with the averaged weights of the best epoch."""
    state = torch.load(folder / "best.ckpt", weights_only=True, map_location="cpu")["state_dict"]
    prefix = "average.module."
    averaged = CrystalNetwork(trainee.network.settings)
    averaged.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return averaged.eval().requires_grad_(False)


def _symbols(data: Dataset, crystals: np.ndarray) -> tuple[str, ...]:
    """Elements that occur in the crystals, by atomic number."""
    from pymatgen.core import Element

    graphs = data.graphs
    numbers = {z for c in crystals for z in graphs.numbers_of(c).tolist()}
    return tuple(Element.from_Z(z).symbol for z in sorted(numbers))


def _remove_checkpoints(out: Path) -> None:
    for folder in out.glob("member-*"):
        for file in folder.glob("*.ckpt*"):
            file.unlink()
        folder.rmdir()
    for left in out.glob(".*.part"):  # of a process that was killed
        left.unlink()
    (out / "run.json").unlink()
