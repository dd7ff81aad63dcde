"""`convert`: the authors' checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import flag, option
from .output import note

File = Annotated[Path, typer.Argument(metavar="FILE", help="checkpoint, .pth.tar")]
Out = Annotated[Path, option("folder of the model", "DIR")]
AtomInit = Annotated[
    Path | None,
    option("their table of the elements; default: atom_init.json beside the checkpoint, or that of matminer", "FILE"),
]
Name = Annotated[str | None, option("of the model; default: that of the folder", "NAME")]
Target = Annotated[str, option("what it predicts, as a column of a data set is called", "NAME")]
Unit = Annotated[str | None, option("of the target, for the card", "UNIT")]
Neighbours = Annotated[int, option("nearest neighbours it was trained with; default: 12", "N")]
Truncate = Annotated[bool, flag("--truncate", "exactly that many, as in their code, instead of whole shells")]
Reference = Annotated[
    Path | None,
    option("crystals whose mean is where contributions start; default: the elements", "DATASET"),
]


def convert(
    file: File,
    out: Out,
    atom_init: AtomInit = None,
    name: Name = None,
    target: Target = "target",
    unit: Unit = None,
    neighbours: Neighbours = 12,
    truncate: Truncate = False,
    reference: Reference = None,
) -> None:
    """Make a checkpoint of the authors' CGCNN code a model of this one.

    With --truncate the numbers are theirs, and depend on the order of the sites.
    """
    from ..model import LOGIT
    from ..original import convert
    from ..targets import describe_target

    model = convert(
        file,
        describe_target(target, unit),
        name=name or out.resolve().name,
        atom_init=atom_init,
        truncate=truncate,
        neighbours=neighbours,
        reference=reference,
    )
    found = model.card.target
    if unit and found.unit == LOGIT:
        raise ValueError(f"{file.name} is a classifier, whose output is a {LOGIT}; leave out --unit")
    model.save(out)
    shells = f"exactly {neighbours} neighbours" if truncate else "whole neighbour shells"
    note(f"{found.label}{f' ({found.unit})' if found.unit else ''}, {shells}, {len(model.card.elements)} elements")
    if not found.unit:
        note("the unit is not known; give it with --unit")
    note(f"written to {out}")
