"""What the target columns of well-known data sets mean."""

from __future__ import annotations

from .model import Target

_KNOWN = {
    "heat_of_formation_per_atom": Target(
        "heat_of_formation_per_atom", "heat of formation against competing phases", "stability (CMR)", "eV/atom"
    ),
    "formation_energy_per_atom": Target(
        "formation_energy_per_atom", "formation energy per atom", "formation energy", "eV/atom"
    ),
}

# Only where the column's name tells the data set.
_CREDIT = {
    "heat_of_formation_per_atom": "I. E. Castelli et al., Energy Environ. Sci. 5, 5814 (2012) and 5, 9034 (2012); "
    "Computational Materials Repository"
}


def describe_target(column: str, unit: str | None = None) -> Target:
    """Full name and unit of a target column; a column that is not known is called by its own name.

    unit: overrides the known one; "eV/atom" for the energies above, otherwise "" (unknown) if not given
    """
    known = _KNOWN.get(column) or Target(column, column.replace("_", " "), column.replace("_", " "), unit or "")
    return known if unit is None else Target(known.name, known.label, known.short, unit)


def is_known(column: str) -> bool:
    """Whether the column's name tells what it holds."""
    return column in _KNOWN


def credit(column: str) -> str:
    """Source of the data that a known target column comes from; empty for others."""
    return _CREDIT.get(column, "")
