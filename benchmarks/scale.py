"""Whole data sets: throughput and memory of `score`, what Ray adds, and how soon the Elements page answers.

    python -m benchmarks.scale --crystals 50000 --folder /tmp/scale

The crystals are cells of the perovskite space under random strain, made here. They are scored with a bundled model by
`python -m cgcnn score`, in processes of this machine and on a Ray of this machine. The tables are then repeated until
they have as many site rows as asked for, and the Elements page's questions are put to them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from cgcnn.perovskite.space import build_space

_AT_ONCE = 50_000  # crystals, which bounds the memory
_STRAIN = 0.02  # standard deviation of every component


def write_crystals(file: Path, n: int) -> Path:
    """A Parquet table of n crystals of the perovskite space in random order, each under its own random strain."""
    space = build_space().select("material_id", "lattice", "atomic_numbers", "frac_coords")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        for start in range(0, n, _AT_ONCE):
            size = min(_AT_ONCE, n - start)
            rows = space[rng.integers(len(space), size=size)]
            lattices = np.array(rows["lattice"].to_list()).reshape(-1, 3, 3)
            strain = rng.normal(scale=_STRAIN, size=lattices.shape)
            strained = lattices @ (np.eye(3) + (strain + strain.transpose(0, 2, 1)) / 2)
            ids = pl.int_range(start, start + size, eager=True).cast(pl.String)
            lattice = pl.Series("lattice", strained.reshape(-1, 9)).arr.to_list()
            names = rows["material_id"] + " " + ids
            rows.with_columns(names, lattice).write_parquet(Path(folder) / f"{start:09d}.parquet")
        pl.scan_parquet(Path(folder) / "*.parquet").sink_parquet(file, row_group_size=8192)
    return file
