"""`swap`: what the energy becomes when a site takes every other element."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .crystals import read
from .options import AsJson, FittingModel, flag, option
from .output import as_json, file_option, write_file

File = Annotated[str, typer.Argument(metavar="FILE", help="CIF, POSCAR, extxyz or pymatgen JSON; - for standard input")]
Site = Annotated[int, option("index of the site, counted from 0 as `explain` prints it", "N")]
AllEquivalent = Annotated[bool, flag("--all-equivalent", "all sites that symmetry makes equal to it")]
FollowCell = Annotated[bool, flag("--follow-cell", "scale the cell by the lattice model; cubic perovskites only")]
Out = Annotated[Path | None, file_option(".csv", ".parquet", ".json")]


def swap(
    file: File,
    site: Site,
    all_equivalent: AllEquivalent = False,
    follow_cell: FollowCell = False,
    model: FittingModel = None,
    json: AsJson = False,
    out: Out = None,
) -> None:
    """Energy change when a site takes every other element."""
    from ..model import load_model
    from ..model_choice import fitting_model
    from ..structures import Unreadable
    from ..substitution import substitute
    from ..symmetry import describe

    first = read(file)[0]
    if isinstance(first, Unreadable):
        raise ValueError(f"{first.source}: {first.reason}")
    structure = first.structure
    sites = [site]
    if all_equivalent and 0 <= site < len(structure):
        orbit = describe(structure).orbit
        sites = [i for i, label in enumerate(orbit.tolist()) if label == orbit[site]]
    loaded = load_model(model or fitting_model(structure))
    found = substitute(loaded, structure, sites, follow_cell=follow_cell)
    rows = found.table().to_dict("records")
    about = {"source": first.source, "model": found.model, "model_hash": loaded.hash, "unit": found.unit}
    about |= {"sites": list(found.sites), "element": found.element, "role": found.role, "energy": found.energy}
    about["elements"] = [{name: None if value != value else value for name, value in row.items()} for row in rows]
    if json:
        print(as_json(about))
    if out:
        write_file(out, table=found.table, plain=about)
    if not (json or out):
        print_swaps(first.source, found, rows)


def print_swaps(source: str, found, rows: list[dict]) -> None:
    which = ("sites " if len(found.sites) > 1 else "site ") + ", ".join(map(str, found.sites))
    role = f" ({found.role})" if found.role else ""
    print(f"{source}: {found.element} on {which}{role}, {found.energy:+.4f} eV/atom as it is ({found.model})")
    print("  element  change, eV per cell  eV/atom   booked on the swapped, eV")
    for row in sorted(rows, key=lambda row: (row["change"] != row["change"], row["change"])):  # without a cell: last
        if row["change"] != row["change"]:
            print(f"  {row['element']:<7}  no lattice parameter is known")
            continue
        spread = f" ± {row['sd']:.3f}" if "sd" in row else " " * 8
        edge = f"   a = {row['edge']:.3f} angstrom" if "edge" in row else ""
        mark = "" if row.get("trained", True) else "   never there in training"
        print(
            f"  {row['element']:<7} {row['change']:>+11.3f}{spread} {row['change per atom']:>+9.4f}"
            f" {row['booked']:>+10.3f}{edge}{mark}"
        )
