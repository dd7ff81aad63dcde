"""`evaluate`: errors of a model, and how far to trust it."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from .options import TRUST, AsJson, Dataset, Model, Target, flag, model_option, option
from .output import note, report_unreadable

Split = Annotated[Literal["train", "val", "test", "all"], option("train, val, test or all; default: all", "SPLIT")]
Trust = Annotated[bool, flag("--trust", "measure all that a card says, on val", TRUST)]
Without = Annotated[str | None, model_option("the same training without the loss on contributions", TRUST)]
Shuffled = Annotated[str | None, model_option("a training on shuffled labels", TRUST)]
OtherHead = Annotated[str | None, model_option("the other pooling head; default: that of the family", TRUST)]
Tradeoff = Annotated[list[str] | None, model_option("curve of this model and these (several names)", TRUST)]
Why = Annotated[str | None, option("why this one is shipped; with --tradeoff", "TEXT", TRUST)]
WriteCard = Annotated[bool, flag("--write-card", "write what was measured to the model's card", TRUST)]


def evaluate(
    dataset: Dataset,
    model: Model,
    target: Target = None,
    split: Split = "all",
    json: AsJson = False,
    trust: Trust = False,
    without: Without = None,
    shuffled: Shuffled = None,
    other_head: OtherHead = None,
    tradeoff: Tradeoff = None,
    why: Why = None,
    write_card: WriteCard = False,
) -> None:
    """Errors of a model on a data set, and how far to trust it.

    --trust measures accuracy, calibration, faithfulness, agreement, sanity checks and domain. Of another data set
    than that of the training, --write-card keeps the errors alone.
    """
    controls = {"without": without, "shuffled": shuffled, "other": other_head}
    check(controls, trust, tradeoff, why)
    import torch

    from ..evaluation.accuracy import errors, predict, shifted
    from ..evaluation.trust import rounded
    from ..model import load_model

    loaded = load_model(model, torch.float32)
    data = load(dataset, target, loaded)
    if trust or tradeoff:
        found = measured(loaded, data, dataset, controls, trust, tradeoff or [], why or "")
        tell(loaded, found, json)
        if write_card:
            write(model, found)
        return
    rows = data.rows(split)
    predicted, true = predict(loaded, data.graphs, rows), data.targets[rows]
    result, off = errors(predicted, true), shifted(predicted, true)
    unit = loaded.card.target.unit
    if json:
        print(dumps({"model": loaded.card.name, "split": split, "unit": unit, **result.asdict(), **off}))
    else:
        print(f"n {result.n}   MAE {result.mae:.4f} {unit}   RMSE {result.rmse:.4f} {unit}   R2 {result.r2:.4f}")
        print(f"with a constant shift of {off['shift']:+.4f} {unit}: MAE {off['mae shifted']:.4f} {unit}")
    if write_card:
        if data.name == loaded.card.data.get("file"):
            wrong("--write-card", f"the model was trained on {data.name}; give --trust, which measures it on val")
        write(model, {"accuracy": loaded.card.accuracy | {data.name: rounded({**result.asdict(), **off})}})


def check(controls: dict, trust: bool, tradeoff: list[str] | None, why: str | None) -> None:
    """Refuse options that would be ignored."""
    names = {"without": "--without", "shuffled": "--shuffled", "other": "--other-head"}
    for name, value in controls.items():
        if value and not trust:
            wrong(names[name], f"{value} is a control of the trust measurements; give --trust as well")
    if why and not tradeoff:
        wrong("--why", "it belongs to the trade-off curve; give --tradeoff MODEL ... as well")


def wrong(name: str, why: str) -> NoReturn:
    raise typer.BadParameter(f"{why}.", param_hint=f"'{name}'")


def load(dataset: Path, target: str | None, model):
    """The data set with the graphs and the target of a model. Raises DatasetError, ValueError for a classifier."""
    from ..datasets import load_dataset
    from ..model import LOGIT

    if model.card.target.unit == LOGIT:
        raise ValueError(f"{model.card.name} is a classifier, whose {LOGIT}s have no error against classes; use score")
    data = load_dataset(dataset, target, model.graph_settings, prefer=model.card.target.name)
    report_unreadable(data)
    return data


def measured(model, data, dataset: Path, controls: dict, whole: bool, others: list[str], why: str) -> dict:
    """What goes to a card: all of `evaluation.trust` if `whole`, and the trade-off curve with the models `others`."""
    import torch

    from ..evaluation.trust import tradeoff_point, trust
    from ..model import load_model, other_head

    found = {}
    if whole:
        controls = controls | {"other": controls["other"] or other_head(model)}
        loaded = {name: load_model(path, torch.float32) for name, path in controls.items() if path}
        found = trust(model, data, dataset, **loaded, progress=note)
    if others:
        points = [tradeoff_point(load_model(path, torch.float32), data) for path in others]
        found["tradeoff"] = {"points": [tradeoff_point(model, data), *points], "why": why}
    return found


def tell(model, found: dict, json: bool) -> None:
    from ..evaluation.report import report

    print(dumps(found, ensure_ascii=False) if json else report(model, found))


def write(model: str, found: dict) -> None:
    from ..model import model_folder, update_card

    update_card(model_folder(model), **found)
