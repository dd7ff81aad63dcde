"""Extended XYZ: one frame a crystal, targets in the comment line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..cell import StructureError
from ..formats.xyz import comment_fields, frames
from .source import ID_COLUMNS, RowSource
from .unpacking import open_text

_LARGEST = 100_000  # atoms of one frame
_FLAGS = {"T", "F", "true", "false", "True", "False", "TRUE", "FALSE"}


class XyzSource(RowSource):
    """An extended XYZ file, also .gz, read frame by frame."""

    crystal_columns = ("xyz",)

    def read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        with open_text(self.path) as file:
            for number, frame in enumerate(frames(file, _LARGEST), start=1):
                if isinstance(frame, StructureError):
                    yield {}, {"problem": str(frame)}
                    continue
                lines = frame[1]
                values = _values(lines[1])
                if not values.keys() & set(ID_COLUMNS):
                    values["material_id"] = f"frame {number}"
                yield values, {"xyz": "".join(lines)} if crystals else {}


def _values(comment: str) -> dict[str, float | str]:
    """Fields of a comment line that are one number, or text."""
    found = {}
    for name, text in comment_fields(comment).items():
        words = re.findall(r"[^\s,]+", text)
        try:
            numbers = [int(word) if word.isdigit() and len(word) < 19 else float(word) for word in words]
        except ValueError:
            if not _FLAGS.issuperset(words) and not text.startswith("_JSON "):
                found[name] = text
        else:
            if len(numbers) == 1:
                found[name] = numbers[0]
    return found
