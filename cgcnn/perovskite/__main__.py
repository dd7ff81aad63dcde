"""python -m cgcnn.perovskite: the same as python -m cgcnn perovskite."""

from __future__ import annotations

import sys

from ..cli import main as commands


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code, 0 for success."""
    return commands(["perovskite", *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    sys.exit(main())
