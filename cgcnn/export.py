"""Explained crystals as files and objects of the field: CSV, extended XYZ, pymatgen, ASE, chemiscope's JSON."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .tables import formula, site_names, site_table, with_unit

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.core import Structure

    from .contributions import Contributions
    from .symmetry import Description

_NO_ROLE = "-"  # a word for every site: columns of extended XYZ cannot be empty


def to_csv(description: Description, result: Contributions) -> str:
    """The table of the sites, units in the names of the columns."""
    return site_table(description, result).to_csv(index=False)


def explained_table(explained: Sequence[tuple[str, Contributions]]) -> pd.DataFrame:
    """The tables of the sites of several crystals below each other, each row with what is known of its crystal.

    explained: where each comes from, and its contributions
    """
    import pandas as pd

    tables = []
    for source, result in explained:
        table = result.to_pandas()
        about = {
            "crystal": source,
            "formula": formula(result),
            "model": result.model,
            with_unit("energy", result.energy_unit): result.energy,
            with_unit("energy sd", result.energy_unit): result.energy_sd,
            "doubt": result.doubt,
            "index": range(len(table)),
        }
        for position, (name, values) in enumerate(about.items()):
            table.insert(position, name, values)
        tables.append(table.dropna(axis="columns", how="all"))  # what none of its sites has would blur the types
    return pd.concat(tables, ignore_index=True)


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


def to_extxyz(description: Description, result: Contributions, **info: str) -> str:
    """Extended XYZ with a column for each array of `to_atoms`; the comment line says what they are and their units.

    info: what else the comment line says
    """
    from ase.io import write

    atoms = to_atoms(description, result)
    atoms.info.update(info)
    text = io.StringIO()
    write(text, atoms, format="extxyz", columns=["symbols", "positions", *_site_properties(description, result)])
    return text.getvalue()


def to_pymatgen_json(description: Description, result: Contributions) -> str:
    """pymatgen's JSON with the site properties of `to_structure`."""
    return json.dumps(to_structure(description, result).as_dict(), ensure_ascii=False)


def to_structure(description: Description, result: Contributions) -> Structure:
    """pymatgen's structure with site properties; `properties` says what they are and their units."""
    structure = result.structure.copy()
    for name, values in _site_properties(description, result).items():
        structure.add_site_property(name, list(values))
    structure.properties = _about(result)
    return structure


# chemiscope's name of a property -> what it is
_MEANING = {
    "contribution": "contribution of the site to the prediction, raw; the mean over a crystal is the prediction",
    "relative": "contribution relative to what is zero for its site",
    "reference": "what is zero for each site",
    "sd": "standard deviation of the relative contribution over independently trained networks",
    "gate": "mean opening of the pooling gate, 0 to 1",
    "role": "A, B or X in an ABX3 perovskite",
    "label": "element and number within the element",
    "wyckoff": "multiplicity in the conventional cell and Wyckoff letter",
    "coordination": "number of neighbours in the coordination shell",
    "oxidation": "oxidation state",
}
_IN_THE_UNIT = ("contribution", "relative", "reference", "sd")
_ENVIRONMENT = 3.5  # angstrom, what chemiscope shows around a chosen atom


def to_chemiscope(results: Sequence[Contributions], path: str | Path | None = None) -> dict:
    """Explained crystals as https://chemiscope.org shows them, every atom coloured by its contribution.

    results: by one model, since colours and units must mean the same; path: file to write as well, .json or .json.gz
    A property that is not known of every site of every crystal is left out; a site without a role says so.
    Raises ValueError for no crystals, for several models, and for a file of another ending.
    """
    models = sorted({(result.model, result.unit) for result in results})
    if len(models) != 1:
        raise ValueError(f"chemiscope's file takes crystals explained by one model, not by {len(models)}")
    first, unit = results[0], results[0].unit
    sites = [_site_properties(result.facts, result) for result in results]
    properties = {
        "prediction": {
            "target": "structure", "values": [float(result.energy) for result in results], "units": first.energy_unit,
            "description": f"{first.quantity}, predicted by {first.model}",
        },
        "formula": {"target": "structure", "values": [formula(result) for result in results],
                    "description": "reduced formula, of a perovskite in the order A, B, X"},
    }  # fmt: skip
    if any(any(result.role) for result in results):
        for of_crystal, result in zip(sites, results, strict=True):
            of_crystal["role"] = [role or _NO_ROLE for role in result.role]
    for name, meaning in _MEANING.items():
        columns = [of_crystal.get(name) for of_crystal in sites]
        if all(column is not None for column in columns):
            values = [value for column in columns for value in column]
            properties[name] = {"target": "atom", "values": values, "description": meaning}
            if name in _IN_THE_UNIT:
                properties[name]["units"] = f"{unit} per site" if unit else "per site"
    colour = {"property": "relative", "min": -first.colour_limit, "max": first.colour_limit, "palette": "bwr"}
    content = {
        "meta": {"name": f"Site contributions by {first.model}", "description": first.reference_note},
        "structures": [_chemiscope_structure(result.structure) for result in results],
        "properties": properties,
        "environments": [
            {"structure": s, "center": i, "cutoff": _ENVIRONMENT}
            for s, result in enumerate(results)
            for i in range(len(result.structure))
        ],
        "settings": {
            "target": "atom",
            "map": {"x": {"property": "coordination"}, "y": {"property": "relative"}, "color": colour},
            "structure": [{"unitCell": True, "bonds": True, "color": colour, "environments": {"activated": False}}],
        },
    }
    if path is not None:
        _write_json(content, Path(path))
    return content


def _chemiscope_structure(structure: Structure) -> dict:
    x, y, z = np.asarray(structure.cart_coords, dtype=float).T.tolist()
    names = [site.specie.symbol for site in structure]
    cell = structure.lattice.matrix.ravel().tolist()
    return {"size": len(structure), "names": names, "x": x, "y": y, "z": z, "cell": cell}


def _write_json(content: dict, path: Path) -> None:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    if path.name.endswith(".json.gz"):
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    elif path.name.endswith(".json"):
        path.write_text(text, encoding="utf-8")
    else:
        raise ValueError(f"chemiscope opens .json and .json.gz, not {path.name!r}")


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
