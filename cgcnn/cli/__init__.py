"""python -m cgcnn: a module for each command, and what they share.

    command   how a command ends: one sentence for bad input, exit codes
    options   options that several commands have
    output    progress and notes on stderr, files by their ending
    app       the commands, put together

torch, pymatgen and Lightning are imported by the commands that need them, when they run, so that `--help` answers at
once. A command is a function: its docstring is the help, its annotated parameters are the options, and what it returns
is the exit code (None for 0). Data go to stdout, everything else to stderr.
"""

from .app import main

__all__ = ["main"]
