"""Formats of structures besides CIF, which has a package of its own.

Every reader takes (text, max_sites) and returns a list of (entry name, Cell or StructureError), or raises
StructureError where the text as a whole cannot be read.
"""

from ..cell import StructureError

MAX_ENTRIES = 1000  # frames or structures of one file that are read
MAX_LINE = 100_000  # characters of a line, in formats that go by lines


def check_line(number: int, line: str) -> None:
    """Raise StructureError for a line that is longer than any of the format; number counts from 1."""
    if len(line) > MAX_LINE:
        raise StructureError(
            f"line {number} of the file is longer than {MAX_LINE} characters, which is the limit; "
            "break it, or export the file again"
        )
