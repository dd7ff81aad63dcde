"""Path -> source, by the name of the file."""

from __future__ import annotations

from pathlib import Path

from .source import DatasetError, Source


def open_source(path: str | Path) -> Source:
    """A data set by the kind of its file: CSV, Parquet, folder or ZIP of CIFs, JSON, extended XYZ, ASE database.

    Raises DatasetError for what is missing or none of these.
    """
    path = Path(path)
    if path.is_dir():
        from .collections import CifCollection

        return CifCollection(path)
    if not path.is_file():
        raise DatasetError(f"there is no file {str(path)!r}; give a CSV or Parquet file, or a folder of CIFs")
    name = path.name.lower().removesuffix(".gz")
    try:
        if name.endswith(".csv") or path.suffix == ".parquet":
            from .tables import TableSource

            return TableSource(path)
        if path.suffix.lower() == ".zip":
            from .collections import CifCollection

            return CifCollection(path)
        if name.endswith(".json"):
            from .pandas_json import JsonSource

            return JsonSource(path)
        if name.endswith((".xyz", ".extxyz")):
            from .xyz import XyzSource

            return XyzSource(path)
        if name.endswith(".db"):
            from .ase_db import AseSource

            return AseSource(path)
    except (OSError, EOFError) as error:
        raise DatasetError(f"{path.name} cannot be read: {error}") from error
    raise DatasetError(
        f"{path.name} is neither .csv, .csv.gz nor .parquet, nor .json, .extxyz, .db or .zip; "
        "convert it to one of these"
    )
