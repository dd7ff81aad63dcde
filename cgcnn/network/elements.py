"""What the network knows of an element before it has seen a crystal."""

from __future__ import annotations

import re
import warnings
from functools import cache

import torch
from torch import nn

MAX_ATOMIC_NUMBER = 103

# Properties of the paper's supplementary material, with the number of one-hot bins of each.
_CATEGORIES = {"group": range(1, 19), "period": range(1, 8), "block": "spdf", "valence electrons": range(1, 17)}
_BINNED = {
    "electronegativity": 10,
    "covalent radius": 10,
    "first ionisation energy": 10,
    "electron affinity": 10,
    "atomic volume": 10,
}


def _valence_electrons(configuration: str) -> int:
    """Electrons outside the noble-gas core, closed f shells, and closed d shells below p electrons.

    configuration: as pymatgen writes it, "[Xe].4f14.5d10.6s2.6p2"
    """
    shells = {orbital: int(count) for orbital, count in re.findall(r"\d([spdf])(\d+)", configuration)}
    if shells.get("f") == 14:
        del shells["f"]
    if "p" in shells and shells.get("d") == 10:
        del shells["d"]
    return sum(shells.values())


def _properties(number: int) -> dict[str, float | str | None]:
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
    from pymatgen.core import Element

    element = Element.from_Z(number)
    return {
        "group": element.group,
        "period": element.row,
        "block": element.block,
        "valence electrons": _valence_electrons(element.electronic_structure),
        "electronegativity": element.X,
        "covalent radius": CovalentRadius.radius.get(element.symbol),
        "first ionisation energy": element.ionization_energy,
        "electron affinity": element.electron_affinity,
        "atomic volume": element.molar_volume,
    }


@cache
def element_table() -> torch.Tensor:
    """One-hot properties of H to Lr, (104, F); row 0 and unknown values are all zero.

    Group, period, block and valence electrons take one bin a value; the continuous properties are cut into
    ten bins of equal width between the smallest and the largest value of all elements.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every missing value
        rows = [_properties(number) for number in range(1, MAX_ATOMIC_NUMBER + 1)]
    columns = []
    for name, values in _CATEGORIES.items():
        columns += [torch.tensor([float(row[name] == value) for row in rows]) for value in values]
    for name, bins in _BINNED.items():
        values = torch.tensor([float("nan") if row[name] is None else float(row[name]) for row in rows])
        known = ~values.isnan()
        low, high = values[known].min(), values[known].max()
        index = ((values - low) / (high - low) * bins).floor().clamp(0, bins - 1)
        columns += [((index == i) & known).float() for i in range(bins)]
    return torch.cat([torch.zeros(1, len(columns)), torch.stack(columns, dim=1)])


class ElementEmbedding(nn.Module):
    """Atomic number -> v_i(0).

    kind: "properties", a linear map of the one-hot property table, as in the paper; "learned", one free vector an
        element; "both", their sum. The free vectors start at zero, so that with "both" an element that does not
        occur in the training data is still described by its properties.

    Shapes: atomic numbers (N,) -> (N, width)
    """

    KINDS = ("properties", "learned", "both")

    def __init__(self, width: int, kind: str = "both"):
        super().__init__()
        if kind not in self.KINDS:
            raise ValueError(f"{kind=} must be one of {', '.join(self.KINDS)}")
        if kind != "learned":
            self.register_buffer("table", element_table())
            self.from_table = nn.Linear(self.table.shape[1], width)
        if kind != "properties":
            self.free = nn.Parameter(torch.zeros(MAX_ATOMIC_NUMBER + 1, width))
            if kind == "learned":
                nn.init.normal_(self.free)
        self.kind = kind

    def forward(self, atomic_numbers: torch.Tensor) -> torch.Tensor:
        if self.kind == "learned":
            rows = self.free
        else:
            rows = self.from_table(self.table)
            if self.kind == "both":
                rows = rows + self.free
        return rows[atomic_numbers]
