"""The commands, put together."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from . import perovskite
from .atlas import atlas
from .command import Command, Commands, Resumable
from .convert import convert
from .evaluate import evaluate
from .explain import explain
from .fetch import fetch
from .join import join
from .models import models
from .output import note
from .score import score
from .swap import swap
from .train import train

PROGRAM = "cgcnn"  # the command that an installation makes, and the one that shells complete
CRYSTALS, DATA_SETS, MODELS = "Crystals", "Data sets", "Models"

app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)
app.command(cls=Command, rich_help_panel=CRYSTALS)(explain)
app.command(cls=Command, rich_help_panel=CRYSTALS)(swap)
app.command(cls=Resumable, rich_help_panel=DATA_SETS)(fetch)
app.command(cls=Resumable, rich_help_panel=DATA_SETS)(score)
app.command(cls=Command, rich_help_panel=DATA_SETS)(evaluate)
app.command(cls=Resumable, rich_help_panel=DATA_SETS)(atlas)
app.add_typer(perovskite.app, name="perovskite", rich_help_panel=DATA_SETS)
app.command(cls=Command, rich_help_panel=MODELS)(models)
app.command(cls=Resumable, rich_help_panel=MODELS)(train)
app.command(cls=Command, rich_help_panel=MODELS)(join)
app.command(cls=Command, rich_help_panel=MODELS)(convert)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit()


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", metavar="", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Crystal energies, read atom by atom."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, 0 for success (see `command` for the others)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        typer.main.get_command(app).main(arguments, prog_name=_program(arguments), complete_var="_CGCNN_COMPLETE")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _program(arguments: Sequence[str]) -> str:
    """What the help calls this program: as it was started."""
    completion = {"--install-completion", "--show-completion"} & set(arguments[:1])
    if completion and not shutil.which(PROGRAM):
        note(f"completion is for the command `{PROGRAM}`, which `pip install -e .` in the repository makes")
    started = Path(sys.argv[0]).name
    return PROGRAM if completion or started == PROGRAM else "python -m cgcnn"
