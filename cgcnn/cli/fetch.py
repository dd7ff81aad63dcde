"""`fetch`: public data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Quiet, option
from .output import note, progress_bar


def names(incomplete: str) -> list[tuple[str, str]]:
    """Data sets whose names begin like this, for the completion of a shell."""
    from ..public_data import public_data

    return [(data.name, data.what) for data in public_data().values() if data.name.startswith(incomplete)]


Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="as `fetch` alone lists them; the beginning will do", autocompletion=names),
]
To = Annotated[Path | None, option("default: public in CGCNN_CACHE, or in the user's cache", "FOLDER")]


def fetch(name: Name = None, to: To = None, quiet: Quiet = False) -> None:
    """Download a public data set, and print the path of its file.

    Without a NAME, list them. The same command goes on with a download that broke off.
    """
    from ..cache import cache_folder
    from ..public_data import fetch, find_public_data, public_data

    if name is None:
        for data in public_data().values():
            print(f"{data.name:<22} {data.crystals:>7,}  {data.target:<26} {data.what}")
        return
    data = find_public_data(name)
    with progress_bar(quiet, "B") as progress:
        file = fetch(data, to or cache_folder() / "public", progress)
    print(file)
    note(f"{data.crystals:,} crystals, {data.what}; next: {data.usage(file)}")
