"""How a command ends.

Exit codes: 0 done; 1 bad input, or a part of it; 2 wrong usage (Typer's own); 130 stopped by Ctrl-C; 141 where nobody
reads the output any more, as behind `| head`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
from typer.core import TyperCommand, TyperGroup

from ..memory import keep_freed_memory
from .help import print_help, usage_pieces

BAD_INPUT, STOPPED, NOBODY_READS = 1, 130, 141


class Command(TyperCommand):
    """A command whose function returns the exit code, and whose errors are one sentence on stderr."""

    stopped = "stopped"

    def collect_usage_pieces(self, ctx) -> list[str]:
        return usage_pieces(self)

    def format_help(self, ctx, formatter) -> None:
        print_help(self, ctx)

    def parse_args(self, ctx, args: list[str]) -> list[str]:
        several = [name for option in self.params if getattr(option, "multiple", False) for name in option.opts]
        return super().parse_args(ctx, repeat_options(args, several))

    def invoke(self, ctx):
        keep_freed_memory()
        try:
            code = super().invoke(ctx) or 0
            sys.stdout.flush()
        except BrokenPipeError:
            # What is still to be flushed when Python ends goes nowhere instead of into another error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = NOBODY_READS
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            code = BAD_INPUT
        except OSError as error:
            from ..files import in_words

            print(f"error: {in_words(error)}", file=sys.stderr)
            code = BAD_INPUT
        except (KeyboardInterrupt, SystemExit) as end:
            # Lightning makes an exit with 1 of Ctrl-C.
            if not isinstance(end, KeyboardInterrupt) and not isinstance(end.__context__, KeyboardInterrupt):
                raise
            print(self.stopped, file=sys.stderr)
            code = STOPPED
        raise typer.Exit(code)


class Commands(TyperGroup):
    """Several commands under one name."""

    def format_help(self, ctx, formatter) -> None:
        print_help(self, ctx)


class Resumable(Command):
    """A command that goes on where it was when it is given again."""

    stopped = "stopped; start the same command again to go on"


def repeat_options(arguments: Sequence[str], several: Sequence[str]) -> list[str]:
    """`--tradeoff A B` as `--tradeoff A --tradeoff B`, which is how Typer takes several values.

    several: names of the options that take them
    """
    written, current = [], None
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*written, *arguments[position:]]
        if argument.startswith("-") and argument != "-":
            current = argument if argument in several else None
        elif current and written[-1] != current:
            written.append(current)
        written.append(argument)
    return written
