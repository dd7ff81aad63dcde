"""`explain`: energy and site contributions of crystals."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from .crystals import read
from .options import AsJson, FittingModel, MaxSites
from .output import as_json, file_option, note, write_file

Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="CIF, POSCAR, extxyz or pymatgen JSON; - for standard input")
]
Out = Annotated[Path | None, file_option(".csv", ".parquet", ".extxyz", ".xyz", ".json")]


def explain(
    files: Files, model: FittingModel = None, max_sites: MaxSites = None, json: AsJson = False, out: Out = None
) -> int:
    """Energy and site contributions of crystals.

    A file that cannot be read does not stop the rest; the exit code is 1 then.
    """
    from ..contributions import explain
    from ..model import load_model
    from ..model_choice import fitting_model
    from ..structures import Unreadable

    loaded = cache(load_model)
    if model:
        loaded(model)  # a wrong name is told before any file is read
    results, explained = [], []
    for file in files:
        for entry in read(file, max_sites):
            if isinstance(entry, Unreadable):
                note(f"{entry.source}: {entry.reason}")
                results.append({"source": entry.source, "error": entry.reason})
                continue
            fitting = loaded(model or fitting_model(entry.structure))
            (found,) = explain(fitting, [entry.structure])
            explained.append((entry.source, found))
            results.append(plain(entry, found, fitting.hash))
            if not (json or out):
                print_contributions(results[-1])
    if json:
        print(as_json(results))
    if out and explained:
        write(out, explained, results)
    return 1 if len(explained) < len(results) else 0


def write(out: Path, explained: list, results: list[dict]) -> None:
    """A table with a row for each site, a frame for each crystal, or what --json prints, by the ending of `out`."""
    from ..export import explained_table, to_extxyz

    write_file(
        out,
        table=lambda: explained_table(explained),
        plain=results,
        extxyz=lambda: "".join(to_extxyz(found.facts, found, source=source) for source, found in explained),
    )


def plain(crystal, found, model_hash: str) -> dict:
    """Everything of one crystal as plain values."""
    sites = []
    for i, site in enumerate(found.structure):
        entry = {
            "index": i,
            "element": site.specie.symbol,
            "role": found.role[i],
            "contribution": float(found.contribution[i]),
            "reference": float(found.reference[i]),
            "relative": float(found.relative[i]),
        }
        if found.sd is not None:
            entry["sd"] = float(found.sd[i])
        if found.gate is not None:
            entry["gate"] = float(found.gate[i])
        sites.append(entry)
    return {
        "source": crystal.source,
        "formula": found.structure.composition.reduced_formula,
        "model": found.model,
        "model_hash": model_hash,
        "energy": found.energy,
        "energy_sd": found.energy_sd,
        "energy_unit": found.energy_unit,
        "unit": found.unit,
        "quadrature_error": found.quadrature_error,
        "reference": found.reference_note,
        "doubt": found.doubt,
        "notes": list(crystal.notes),
        "sites": sites,
    }


def print_contributions(result: dict) -> None:
    spread = "" if result["energy_sd"] is None else f" ± {result['energy_sd']:.3f}"
    print(
        f"{result['source']}: {result['formula']}, {result['energy']:+.4f}{spread} "
        f"{result['energy_unit']} ({result['model']})"
    )
    for line in (*result["notes"], result["doubt"]):
        if line:
            print(f"  {line}")
    print(f"  site element role  contribution  relative ({result['unit']})")
    for site in result["sites"]:
        spread = f" ± {site['sd']:.3f}" if "sd" in site else ""
        print(
            f"  {site['index']:>4} {site['element']:<7} {site['role'] or '-':<4} "
            f"{site['contribution']:>+13.4f} {site['relative']:>+9.4f}{spread}"
        )
    print(f"  {result['reference']}\n")
