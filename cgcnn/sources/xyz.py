"""Extended XYZ: one frame a crystal, targets in the comment line."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import islice

from .source import ID_COLUMNS, RowSource, is_number

_LONGEST = 100_000  # atoms of one frame


class XyzSource(RowSource):
    """An extended XYZ file, also .gz, read frame by frame."""

    crystal_columns = ("xyz",)

    def read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        opened = gzip.open if self.path.suffix == ".gz" else open
        with opened(self.path, "rt", encoding="utf-8", errors="replace") as file:
            number = 0
            while line := file.readline():
                if not line.strip():
                    continue
                number += 1
                if not line.strip().isdigit() or int(line) > _LONGEST:
                    problem = f"frame {number} should begin with its number of atoms, not with '{line[:40].strip()}'"
                    yield {}, {"problem": f"{problem}; what follows is not read"}
                    return
                rest = list(islice(file, int(line) + 1))
                values = _values(rest[0] if rest else "")
                if not values.keys() & set(ID_COLUMNS):
                    values["material_id"] = f"frame {number}"
                yield values, {"xyz": "".join([line, *rest])} if crystals else {}


def _values(comment: str) -> dict:
    from ase.io.extxyz import key_val_str_to_dict  # imported late: most users bring other formats

    try:
        found = key_val_str_to_dict(comment)
    except Exception:  # ASE lets through whatever its parsing steps raise
        return {}
    plain = {k: v.item() if hasattr(v, "item") and getattr(v, "ndim", 1) == 0 else v for k, v in found.items()}
    return {k: v for k, v in plain.items() if is_number(v) or isinstance(v, str)}
