"""The help of a command: panels as Typer draws them, but two columns to a panel, so that an option fits on a line."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from typer.core import TyperCommand, TyperGroup

_WIDEST = 100  # columns; longer lines are hard to read


def usage_pieces(command: TyperCommand) -> list[str]:
    """What follows the name of a command: options that must be given, [OPTIONS], arguments."""
    options = [p for p in command.params if p.param_type_name == "option" and p.required]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    names = [p.metavar if p.required else f"[{p.metavar}]" for p in arguments]
    return [*(f"{option.opts[0]} {option.metavar}" for option in options), "[OPTIONS]", *names]


def print_help(command: TyperCommand | TyperGroup, ctx) -> None:
    """Usage, what it does, a panel for each group of options and of commands."""
    from rich.console import Console, Group
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    console.width = min(console.width, _WIDEST)
    console.print(Padding(Text(command.get_usage(ctx), style="bold"), (0, 1)))
    first, _, rest = (command.help or "").partition("\n\n")
    paragraphs = [Text(" ".join(text.split()), style) for text, style in ((first, ""), (rest, "dim")) if text]
    console.print(Padding(Group(*paragraphs), (0, 1)))
    for title, rows in _panels(command, ctx).items():
        console.print(Panel(_table(rows), title=title, title_align="left", border_style="dim"))


def _panels(command: TyperCommand | TyperGroup, ctx) -> dict[str, list[tuple[str, str, str]]]:
    """Title -> (name, metavar, help) of each row; what has no panel of its own comes first."""
    panels: dict[str, list] = defaultdict(list)
    parameters = sorted(command.get_params(ctx), key=lambda p: p.param_type_name)  # arguments before options
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            row = (parameter.metavar, "", parameter.help or "")
        else:
            metavar = "" if parameter.is_flag else parameter.metavar or ""
            row = (", ".join(parameter.opts), metavar, parameter.help or "")
        panels[getattr(parameter, "rich_help_panel", None) or "Options"].append(row)
    for name, sub in getattr(command, "commands", {}).items():
        words = " ".join((sub.help or "").partition("\n\n")[0].split())
        panels[sub.rich_help_panel if isinstance(sub.rich_help_panel, str) else "Commands"].append((name, "", words))
    return panels


def _table(rows: list[tuple[str, str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for name, metavar, words in rows:
        table.add_row(Text.assemble((name, "bold cyan"), f" {metavar}" if metavar else ""), Text(words))
    return table
