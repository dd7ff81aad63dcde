"""What a model says of every crystal of the perovskite space."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import polars as pl

from ..kept import Progress, keep_file, kept_scores
from ..model import Model
from ..scoring import Scores, member_columns
from .space import PROTOTYPE, build_space

SPACE_FILE = "perovskite-space.parquet"


def space_scores(model: Model, progress: Progress | None = None) -> Scores:
    """The scores of all crystals of the space, kept in the cache; `material_id` is the name, such as SrTiO3.

    Rows are those of `build_space`, sites those of `PROTOTYPE`; progress: as in `kept_scores`
    Raises OSError where the cache cannot be written.
    """
    return kept_scores(keep_file(SPACE_FILE, _space_table()), model, progress)


@cache
def _space_table() -> bytes:
    content = io.BytesIO()
    build_space().select("material_id", "lattice", "atomic_numbers", "frac_coords").write_parquet(content)
    return content.getvalue()


def scored_space(model: Model, progress: Progress | None = None) -> pl.DataFrame:
    """`space_scores` as a table with one row a crystal, in the order of `build_space`.

    Columns: material_id, formula, a, b, x, edge (angstrom), energy, sd (eV/atom), and in eV per site, X meaning the
    mean of the three: raw_a, raw_b, raw_x; contribution_a, _b, _x relative to the mean of the same role over the
    training crystals (to the crystal's own energy for models that know no roles); sd_a, sd_b, sd_x of these, and
    members_a, _b, _x, one value a member. The sd of the energy is `Model.energy_sd`, the others are the standard
    deviation over the members; null for a single one.
    """
    scores = space_scores(model, progress)
    energies = scores.crystals.select("row", "energy", "sd").collect().sort("row")
    sites = scores.sites.collect().sort("row", "site")
    raw, relative = (_of_roles(sites, name, len(model.members)) for name in ("contribution", "relative"))
    columns = [energies["energy"], energies["sd"]]
    for i, role in enumerate("abx"):
        members = relative[..., i]  # (M, C)
        spread = members.std(0, ddof=1) if len(members) > 1 else [None] * len(energies)
        columns += [
            pl.Series(f"contribution_{role}", members.mean(0)),
            pl.Series(f"sd_{role}", spread, pl.Float64),
            pl.Series(f"raw_{role}", raw[..., i].mean(0)),
            pl.Series(f"members_{role}", members.T.tolist(), pl.List(pl.Float64)),
        ]
    return build_space().drop("lattice", "atomic_numbers", "frac_coords")[energies["row"]].with_columns(columns)


def _of_roles(sites: pl.DataFrame, column: str, members: int) -> np.ndarray:
    """(M, C, 3) values on A, B and, as a mean, X, from the site table."""
    names = member_columns(column, members) or [column]
    values = sites.select(names).cast(pl.Float64).to_numpy().T.reshape(len(names), -1, len(PROTOTYPE))
    return np.concatenate([values[..., :2], values[..., 2:].mean(-1, keepdims=True)], axis=-1)
