"""Some rows of a data set -> the two files of a chunk."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from pathlib import Path

import numpy as np
import polars as pl

from ..cell import SYMBOLS
from ..contributions import references
from ..coordination import coordination
from ..datasets import build_rows, column_numbers, column_splits
from ..files import write_whole
from ..graph import PackedGraphs
from ..model import Model
from ..perovskite import ROLES
from ..sources import row_names
from .tables import crystal_schema, file_name, member_columns, site_schema

_ROWS_AT_ONCE = 256  # of a chunk, which bounds the memory
_SITES_AT_ONCE = 8192  # in a batch, which bounds the memory where cells are large
_SYMBOL = np.array([None, *SYMBOLS[1:]], dtype=object)
_ROLE = np.array([*ROLES, None], dtype=object)


@dataclass(frozen=True)
class Job:
    """What is the same for every chunk."""

    model: str
    out: str
    target: str | None
    target_column: str | None
    split: bool
    max_sites: int


def score_chunk(job: Job, model: Model, number: int, first_row: int, rows: pl.DataFrame) -> None:
    """Write the two files of a chunk."""
    sites, crystals, unreadable = [], [], []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        built = build_rows(part, model.graph_settings, first_row + start, job.max_sites)
        unreadable += built.unreadable
        if len(built.kept):
            site_table, crystal_table = _tables(job, model, part, first_row + start, built)
            sites.append(site_table)
            crystals.append(crystal_table)
    out = Path(job.out)
    schema = crystal_schema(job.target_column, job.split)
    _write(out / "sites" / file_name(number), sites, site_schema(len(model.members)))
    _write(out / "crystals" / file_name(number), crystals, schema, {"unreadable": json.dumps(unreadable)})


def _write(file: Path, tables: list[pl.DataFrame], schema: dict, metadata: dict[str, str] | None = None) -> None:
    table = pl.concat(tables) if tables else pl.DataFrame(schema=schema)
    content = io.BytesIO()
    table.write_parquet(content, metadata=metadata)
    write_whole(file, content.getbuffer())


def _tables(job: Job, model: Model, rows: pl.DataFrame, first_row: int, built) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Site and crystal table of what was read of some rows."""
    graphs, roles = built.graphs, built.roles
    energies, values = _predict(model, graphs)
    relative = values - references(model, energies, roles, graphs.sites, graphs.atomic_numbers)  # (M, N)
    shell, anion = coordination(graphs, roles, model.graph_settings)
    row = first_row + built.kept
    ids = np.array(row_names(rows, first_row), dtype=object)[built.kept]
    elements, formulas = _compositions(graphs, roles)
    members = len(energies)
    sites = pl.DataFrame(
        {
            "row": np.repeat(row, graphs.sites),
            "material_id": np.repeat(ids, graphs.sites).tolist(),
            "site": np.arange(len(roles)) - np.repeat(graphs.first_site, graphs.sites),
            "element": _SYMBOL[graphs.atomic_numbers].tolist(),
            "role": _ROLE[roles].tolist(),
            "coordination": shell,
            "nearest_anion": _SYMBOL[anion].tolist(),
            "contribution": values.mean(0),
            "relative": relative.mean(0),
            "sd": relative.std(0, ddof=1) if members > 1 else None,
            **dict(zip(member_columns("contribution", members), values, strict=False)),
            **dict(zip(member_columns("relative", members), relative, strict=False)),
        },
        schema=site_schema(members),
        strict=False,
    )
    schema = crystal_schema(job.target_column, job.split)
    columns = {
        "row": row,
        "material_id": ids.tolist(),
        "formula": formulas,
        "elements": elements,
        "n_sites": graphs.sites,
        "perovskite": np.add.reduceat(roles < 0, graphs.first_site) == 0,
        "energy": energies.mean(0),
        "sd": model.energy_sd(energies),
    }
    if job.target_column:
        columns[job.target_column] = pl.Series(column_numbers(rows, job.target)[built.kept]).fill_nan(None)
    if job.split:
        columns["split"] = np.array(column_splits(rows), dtype=object)[built.kept].tolist()
    return sites, pl.DataFrame(columns, schema=schema, strict=False)


def _predict(model: Model, graphs: PackedGraphs) -> tuple[np.ndarray, np.ndarray]:
    """Energies (M, C) and raw contributions (M, N) in batches of not too many sites."""
    batch = (np.cumsum(graphs.sites) - 1) // _SITES_AT_ONCE
    energies, values = [], []
    for crystals in np.split(np.arange(len(graphs)), np.flatnonzero(np.diff(batch)) + 1):
        found = model.energies_and_contributions(graphs.select(crystals, model.dtype))
        energies.append(found[0].double().numpy())
        values.append(found[1].double().numpy())
    return np.concatenate(energies, axis=1), np.concatenate(values, axis=1)


def _compositions(graphs: PackedGraphs, roles: np.ndarray) -> tuple[list[list[str]], list[str]]:
    """Element symbols and reduced formula of each crystal."""
    elements, formulas = [], []
    numbers, codes = graphs.atomic_numbers.tolist(), roles.tolist()
    for first, n in zip(graphs.first_site.tolist(), graphs.sites.tolist(), strict=True):
        atoms = numbers[first : first + n]
        elements.append([SYMBOLS[z] for z in sorted(set(atoms))])
        role = codes[first : first + n]
        if min(role) >= 0:
            formulas.append(_perovskite_formula(Counter(zip(role, atoms, strict=True))))
        else:
            formulas.append(_formula(tuple(sorted(Counter(atoms).items()))))
    return elements, formulas


def _perovskite_formula(count: Counter[tuple[int, int]]) -> str:
    """In the order A, B, X, as `tables.formula` writes it."""
    divisor = gcd(*count.values())
    ordered = sorted(count.items(), key=lambda item: (item[0][0], -item[1]))
    return "".join(SYMBOLS[z] + (str(n // divisor) if n > divisor else "") for (_, z), n in ordered)


@lru_cache(maxsize=10_000)
def _formula(composition: tuple[tuple[int, int], ...]) -> str:
    from pymatgen.core import Composition

    return Composition({SYMBOLS[z]: n for z, n in composition}).reduced_formula
