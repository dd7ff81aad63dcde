"""`score`: the contributions of a whole data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import MaxSites, Model, Quiet, option
from .output import note, progress_bar

Dataset = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET",
        help="CSV or Parquet, folder or ZIP of CIFs, JSON of matbench or matminer, extended XYZ, database of ASE",
    ),
]
Out = Annotated[Path, option("folder of the tables", "DIR")]
Target = Annotated[str | None, option("column to keep beside the prediction", "COLUMN")]
Chunk = Annotated[int | None, option("rows that are written together", "N")]
Workers = Annotated[int | None, option("processes; default: one for each core", "N")]
Cluster = Annotated[str | None, option("work on Ray: local, or what `ray start --head` printed", "ADDRESS")]


def score(
    dataset: Dataset,
    model: Model,
    out: Out,
    target: Target = None,
    chunk: Chunk = None,
    max_sites: MaxSites = None,
    workers: Workers = None,
    cluster: Cluster = None,
    quiet: Quiet = False,
) -> int:
    """Site contributions of a whole data set, as Parquet tables.

    The same command goes on where it was stopped.
    """
    import torch

    from ..scoring import score

    torch.set_num_threads(1)  # processes share the cores, not the threads of one
    given = {"target": target, "chunk": chunk, "max_sites": max_sites, "workers": workers, "cluster": cluster}
    given = {name: value for name, value in given.items() if value is not None}
    with progress_bar(quiet) as progress:
        about = score(dataset, model, out, progress=progress, **given).about
    if about["unreadable"]:
        note(f"{about['unreadable']} rows cannot be read; see {out / 'unreadable.csv'}")
    note(f"{about['crystals']} crystals with {about['sites']} sites in {out}")
    return 0 if about["crystals"] else 1
