"""One explained crystal as files that other programs of the field read: CSV, extended XYZ, pymatgen's JSON."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np

from .tables import site_names, site_table

if TYPE_CHECKING:
    from ase import Atoms

    from .contributions import Contributions
    from .symmetry import Description

_NO_ROLE = "-"  # a word for every site: columns of extended XYZ cannot be empty


def to_csv(description: Description, result: Contributions) -> str:
    """The table of the sites, units in the names of the columns."""
    return site_table(description, result).to_csv(index=False)


def to_atoms(description: Description, result: Contributions) -> Atoms:
    """ASE's crystal with what is known of every site as arrays, and what is known of all in `info`."""
    from ase import Atoms

    structure = result.structure
    cell = structure.lattice.matrix
    atoms = Atoms(structure.atomic_numbers, scaled_positions=structure.frac_coords, cell=cell, pbc=True)
    for name, values in _site_properties(description, result).items():
        atoms.set_array(name, np.array([_NO_ROLE if value is None else value for value in values]))
    atoms.info.update(_about(result))
    return atoms


def to_extxyz(description: Description, result: Contributions) -> str:
    """Extended XYZ with a column for each array of `to_atoms`; the comment line says what they are and their units."""
    from ase.io import write

    atoms = to_atoms(description, result)
    text = io.StringIO()
    write(text, atoms, format="extxyz", columns=["symbols", "positions", *_site_properties(description, result)])
    return text.getvalue()


def to_pymatgen_json(description: Description, result: Contributions) -> str:
    """pymatgen's JSON with site properties; `properties` says what they are and their units."""
    structure = result.structure.copy()
    for name, values in _site_properties(description, result).items():
        structure.add_site_property(name, list(values))
    structure.properties = _about(result)
    return json.dumps(structure.as_dict(), ensure_ascii=False)


def _site_properties(description: Description, result: Contributions) -> dict[str, list]:
    """Name -> one value a site, plain numbers and words; what is not known of this crystal is left out."""
    columns = {
        "label": site_names(result),
        "contribution": result.contribution.tolist(),
        "relative": result.relative.tolist(),
        "reference": result.reference.tolist(),
        "sd": None if result.sd is None else result.sd.tolist(),
        "role": list(result.role) if any(result.role) else None,
        "gate": None if result.gate is None else result.gate.tolist(),
        "wyckoff": [f"{n}{letter}" for n, letter in zip(description.multiplicity, description.wyckoff, strict=True)],
        "orbit": description.orbit.tolist(),
        "coordination": description.coordination.tolist(),
        "oxidation": None if description.oxidation is None else description.oxidation.tolist(),
    }
    return {name: values for name, values in columns.items() if values is not None}


def _about(result: Contributions) -> dict[str, str | float]:
    """What belongs to the whole crystal: energy, model, units, what is zero."""
    unit = result.unit
    about: dict[str, str | float] = {
        "energy_per_atom": result.energy,
        "model": result.model,
        "units": f"contribution, relative, reference, sd: {unit} per site; energy_per_atom: {result.energy_unit}; "
        "lengths: angstrom; gate: 0 to 1",
        "zero_of_relative": result.reference_note,
        "sd_is": "standard deviation over independently trained networks",
    }
    if result.energy_sd is not None:
        about["energy_per_atom_sd"] = result.energy_sd
    if result.doubt:
        about["doubt"] = result.doubt
    return about
