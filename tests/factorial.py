"""A made-up factorial of perovskites whose energies, and so true contributions, are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from cgcnn.cell import ATOMIC_NUMBER
from cgcnn.datasets import Dataset, load_dataset

A, B, X = ("K", "Sr", "La", "Ba", "Na", "Ca"), ("Ti", "Zr", "Nb", "Ta", "Sn", "Fe"), ("O", "N", "F")
IDEAL = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]


def values(seed: int = 5) -> dict[str, float]:
    """One number an element, eV per site."""
    rng = np.random.default_rng(seed)
    return {symbol: float(rng.normal()) for symbol in A + B + X}


def factorial(
    folder: Path, energy: Callable[[str, str, str], float], combinations=None, edge: float = 4.0
) -> tuple[Path, Dataset]:
    """A table of cubic A, B, X combinations, all of them by default, with energy(a, b, x) in eV/atom as target.

    All have about the same lattice parameter, so that only the elements matter.
    """
    rng = np.random.default_rng(0)
    rows = []
    for n, (a, b, x) in enumerate(combinations or itertools.product(A, B, X)):
        rows.append(
            {
                "material_id": f"{a}{b}{x}3",
                "energy": energy(a, b, x),
                "split": "val" if n % 5 == 0 else "train",
                "lattice": (np.eye(3) * (edge + 0.02 * rng.random())).ravel().tolist(),
                "atomic_numbers": [ATOMIC_NUMBER[s] for s in (a, b, x, x, x)],
                "frac_coords": sum(IDEAL, []),
            }
        )
    file = folder / "factorial.parquet"
    pl.DataFrame(rows).write_parquet(file)
    return file, load_dataset(file)
