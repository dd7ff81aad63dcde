"""Networks that were trained one by one, put together as one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .model import Model, ModelError

# What a training writes for each of its networks, and what may differ between trainings that are joined.
_LISTS = ("epochs run", "validation MAE by epoch")
_MAY_DIFFER = (*_LISTS, "seconds", "seed", "members", "epochs", "patience")
# Fields of a card that were measured of one of them and not of all together.
_MEASURED = (
    "accuracy", "faithfulness", "comparison", "calibration", "gauge", "agreement", "sanity", "domain", "tradeoff",
)  # fmt: skip


def join(models: Sequence[Model], name: str) -> Model:
    """One model with the networks of several, whose mean it predicts and whose spread is its error bar.

    All must predict the same target with the same network and graph, trained on the same data with the same settings;
    only the seeds and the lengths of the trainings may differ. What was measured of the parts is left out of the card.
    Raises ModelError, in a sentence, for models that do not belong together.
    """
    first = models[0].card
    for model in models[1:]:
        _check_alike(first, model.card)
    training = {
        **first.training,
        "epochs": max(m.card.training["epochs"] for m in models),
        "members": sum(len(m.members) for m in models),
        "seconds": sum(m.card.training["seconds"] for m in models),
        **{key: [entry for m in models for entry in m.card.training[key]] for key in _LISTS},
    }
    card = replace(
        first,
        name=name,
        family=name.removesuffix(f"-{first.head}"),
        members=training["members"],
        training=training,
        reference={role: [v for m in models for v in m.card.reference[role]] for role in first.reference},
        **{field: {} for field in _MEASURED},
    )
    return Model(tuple(member for model in models for member in model.members), card)


def _check_alike(one, other) -> None:
    for field in ("head", "target", "graph", "network", "elements"):
        if getattr(one, field) != getattr(other, field):
            raise ModelError(f"{one.name} and {other.name} cannot be joined: they differ in {field}")
    if one.data.get("file") != other.data.get("file") or one.data.get("split") != other.data.get("split"):
        raise ModelError(f"{one.name} and {other.name} cannot be joined: they were trained on other data")
    for key in sorted({*one.training, *other.training} - set(_MAY_DIFFER)):
        # A card older than a setting lacks it, which is as good as 0.
        if (one.training.get(key) or None) != (other.training.get(key) or None):
            raise ModelError(
                f"{one.name} and {other.name} cannot be joined: {key} was {one.training.get(key)} "
                f"and {other.training.get(key)}"
            )
