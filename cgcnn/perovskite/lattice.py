"""Lattice parameter of a cubic ABX3 from its elements: a least-squares model, fitted once and shipped as numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

SHIPPED = Path(__file__).with_name("lattice.json")

# Of the cubic oxides, nitrides, oxynitrides, oxyfluorides, oxysulfides of Castelli et al. (2012), on A and on B.
ELEMENTS = (
    *("Li", "Be", "B", "Na", "Mg", "Al", "Si", "K", "Ca"),
    *("Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Rb", "Sr"),
    *("Y", "Zr", "Nb", "Mo", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "Cs", "Ba"),
    *("La", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi"),
)  # fmt: skip
# Anion set -> the elements on the three sites, in the order of `space.PROTOTYPE`.
ANION_SETS = {
    "O3": ("O", "O", "O"),
    "O2N": ("N", "O", "O"),
    "ON2": ("N", "N", "O"),
    "N3": ("N", "N", "N"),
    "O2F": ("F", "O", "O"),
    "OFN": ("F", "N", "O"),
    "O2S": ("S", "O", "O"),
}

# Ridge of single and of pair terms, in crystals: a term seen that often keeps half of its mean.
_RIDGE_SINGLE, _RIDGE_PAIR = 0.1, 1.0
_DECIMALS = 4


@dataclass(frozen=True)
class LatticeModel:
    """a = mean + A + B + X + A-X + B-X + A-B, in angstrom.

    terms: {"a": (52,), "b": (52,), "x": (7,), "ax": (52, 7), "bx": (52, 7), "ab": (52, 52)} in the order of
        `ELEMENTS` and `ANION_SETS`
    """

    mean: float
    terms: dict[str, np.ndarray]

    def edge(self, a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Lattice parameters of crystals given by indices into `ELEMENTS`, `ELEMENTS` and `ANION_SETS`, angstrom."""
        t = self.terms
        return self.mean + t["a"][a] + t["b"][b] + t["x"][x] + t["ax"][a, x] + t["bx"][b, x] + t["ab"][a, b]

    def write(self, path: Path) -> None:
        values = {"mean": round(self.mean, _DECIMALS)}
        values |= {name: np.round(term, _DECIMALS).tolist() for name, term in self.terms.items()}
        lines = ",\n".join(f'"{name}": {json.dumps(value, separators=(",", ":"))}' for name, value in values.items())
        path.write_text("{\n" + lines + "\n}\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> LatticeModel:
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(values.pop("mean"), {name: np.array(term) for name, term in values.items()})


@cache
def shipped_lattice_model() -> LatticeModel:
    """The model that comes with the software."""
    return LatticeModel.read(SHIPPED)


def fit_lattice_model(a: np.ndarray, b: np.ndarray, x: np.ndarray, edge: np.ndarray) -> LatticeModel:
    """Ridge regression of lattice parameters (C,) in angstrom on the indices of `LatticeModel.edge`, (C,) each."""
    na, nx = len(ELEMENTS), len(ANION_SETS)
    shapes = {"a": (na,), "b": (na,), "x": (nx,), "ax": (na, nx), "bx": (na, nx), "ab": (na, na)}
    codes = [a, b, x, a * nx + x, b * nx + x, a * na + b]
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    first = np.cumsum([0, *sizes])
    column = np.stack(codes, axis=1) + first[:-1]  # (C, 6)
    normal = np.zeros((first[-1], first[-1]))
    for i in range(len(codes)):
        for j in range(len(codes)):
            np.add.at(normal, (column[:, i], column[:, j]), 1.0)
    ridge = [_RIDGE_SINGLE if len(shape) == 1 else _RIDGE_PAIR for shape in shapes.values()]
    normal[np.diag_indices_from(normal)] += np.repeat(ridge, sizes)
    mean = float(edge.mean())
    right = np.zeros(first[-1])
    for i in range(len(codes)):
        np.add.at(right, column[:, i], edge - mean)
    solution = np.linalg.solve(normal, right)
    parts = np.split(solution, first[1:-1])
    return LatticeModel(mean, {n: p.reshape(s) for (n, s), p in zip(shapes.items(), parts, strict=True)})
