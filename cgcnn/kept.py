"""Scores that are kept in the user's cache, and the files that they are of.

Scores go the way of `score`, into a folder named by the content of the data and by the model, so nothing is scored
twice, and a run that was broken off goes on. What was not used for longest is removed where the cache gets too large.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from .cache import cache_folder, trim_cache, used
from .datasets import DatasetError
from .files import write_whole
from .model import Model
from .scoring import VERSION, Scores, score
from .sources import open_source

Progress = Callable[[int, int], None]


def kept_scores(dataset: str | Path, model: Model, progress: Progress | None = None) -> Scores:
    """The scores of a data set in the cache; scored first if they are not there.

    progress: as in `score`; when another thread or process is at it already, this one waits
    Raises DatasetError, ScoringError, OSError where the cache cannot be written.
    """
    about = [VERSION, open_source(dataset).fingerprint(), model.hash, model.card.name]
    about += [model.card.graph, model.card.reference, model.card.colour_limit]
    about += [model.card.calibration.get("scale"), model.card.gauge.get("shift")]
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    folder = cache_folder() / "scores" / key[:24]
    found = score(dataset, model.folder, folder, progress=progress, wait=True)
    used(folder)
    trim_cache(keep=folder)
    return found


def keep_files(files: Sequence[tuple[str, bytes]]) -> Path:
    """Put uploaded files into the cache, where they can be read again: one data set, or CIFs, which become a folder.

    files: (name, content); the same content is kept once
    Raises DatasetError for other mixtures.
    """
    cifs = [name.lower().removesuffix(".gz").endswith((".cif", ".mcif")) for name, _ in files]
    if all(cifs):
        digest, taken = hashlib.sha256(), set()
        files = sorted(files)
        for name, content in files:
            digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "replace") + content)
        folder = cache_folder() / "data" / digest.hexdigest()[:24] / f"{len(files)} CIFs"
        for name, content in files:
            own = file_name(name, "crystal.cif")
            own = next(one for one in (own, *(f"{n} {own}" for n in range(2, len(files) + 2))) if one not in taken)
            taken.add(own)
            _write(folder / own, content)
        used(folder.parent)
        return folder
    if len(files) > 1:
        raise DatasetError(
            f"{files[0][0]} and {files[1][0]} cannot be one data set; bring one file at a time, or only CIFs"
        )
    return keep_file(*files[0])


def keep_file(name: str, content: bytes) -> Path:
    """Put a file into the cache, where it can be read again; the same content is kept once."""
    folder = cache_folder() / "data" / hashlib.sha256(content).hexdigest()[:24]
    file = _write(folder / file_name(name, "data"), content)
    used(folder)
    return file


def file_name(name: str, otherwise: str) -> str:
    """The name of an upload without folders and what no file system takes; its end, which tells the format, stays."""
    last = "".join(letter for letter in Path(name).name if letter.isprintable() and letter not in '/\\:*?"<>|')
    return last[-60:].lstrip(".") or otherwise


def _write(file: Path, content: bytes) -> Path:
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
    return file
