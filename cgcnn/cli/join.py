"""`join`: one model from several trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import option
from .output import note

Trained = Annotated[list[str], typer.Argument(metavar="MODEL...", help="trainings that differ in the seed")]
Out = Annotated[Path, option("folder of the joined model", "DIR")]
Name = Annotated[str | None, option("of the model; default: that of the folder", "NAME")]


def join(models: Trained, out: Out, name: Name = None) -> None:
    """Join networks that were trained one by one into one model, with error bars.

    What is measured of a model is left to `evaluate --trust --write-card`.
    """
    from ..joining import join
    from ..model import ModelError, load_model

    if (out / "card.json").exists():
        raise ModelError(f"{out} holds a model already; choose another --out")
    joined = join([load_model(model) for model in models], name or out.resolve().name)
    joined.save(out)
    note(f"{joined.card.members} networks written to {out}; now: evaluate DATASET --model {out} --trust --write-card")
