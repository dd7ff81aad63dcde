"""Options that several commands have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

MODELS = Path(__file__).resolve().parents[2] / "models"  # `model.BUNDLED`, which would import torch

DATA, NETWORK, TRAINING, TRUST = "Data", "Network", "Training", "Trust"  # panels of the help


def option(help: str, metavar: str | None = None, panel: str | None = None, name: str | None = None) -> Any:
    """An option with a value; its name is that of the parameter unless `name` says otherwise."""
    names = (name,) if name else ()
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)


def flag(name: str, help: str, panel: str | None = None) -> Any:
    """An option without a value."""
    return typer.Option(name, help=help, metavar="", rich_help_panel=panel)


def bundled_models(incomplete: str) -> list[tuple[str, str]]:
    """Names that begin like this, each with a few words, for the completion of a shell."""
    found = []
    for card in sorted(MODELS.glob(f"{incomplete}*/card.json")):
        about = json.loads(card.read_text(encoding="utf-8"))
        found.append((card.parent.name, f"{about['head']} head, {about['target']['label']}"))
    return found


def model_option(help: str, panel: str | None = None) -> Any:
    return typer.Option(
        help=help, metavar="NAME", rich_help_panel=panel, show_default=False, autocompletion=bundled_models
    )


Model = Annotated[str, model_option("a bundled model, or a folder that `train` wrote")]
FittingModel = Annotated[
    str | None, model_option("bundled, or a folder of `train`; default: the linear head that fits the crystal")
]
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="crystals, in any format of `score --help`")]
Target = Annotated[str | None, option("column of the target", "COLUMN", DATA)]
MaxSites = Annotated[int | None, option("largest number of atoms in a cell", "N")]
AsJson = Annotated[bool, flag("--json", "print JSON")]
Quiet = Annotated[bool, flag("--quiet", "no progress bar")]
