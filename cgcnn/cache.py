"""Where the software keeps what it made or downloaded; imports nothing that takes time."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from pathlib import Path

log = logging.getLogger("cgcnn")


def cache_folder() -> Path:
    """Where graphs, scores and public data are kept between runs.

    CGCNN_CACHE; else a folder in the user's cache; where there is no home, or one that cannot be written, a folder of
    this user's among the temporary files, which the log says.
    """
    if named := os.environ.get("CGCNN_CACHE"):
        return Path(named)
    return _own_folder(os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME"))


@cache
def _own_folder(cache_home: str | None, home: str | None) -> Path:
    """cache_home, home: of the environment, which the answer depends on."""
    try:
        folder = (Path(cache_home) if cache_home else Path.home() / ".cache") / "cgcnn"
    except RuntimeError:  # no HOME, and nobody of this number in the system's list of users
        folder = None
    if folder and _can_be_written(folder):
        return folder
    other = _temporary_folder()
    why = f"{folder} cannot be written" if folder else "there is no home directory"
    log.warning("%s; scores are kept in %s until that is emptied; CGCNN_CACHE names a folder that lasts", why, other)
    return other


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _temporary_folder() -> Path:
    """The same one at every start, unless somebody else has put something there."""
    folder = Path(tempfile.gettempdir()) / f"cgcnn-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if folder.is_symlink() or state.st_uid != os.getuid() or state.st_mode & 0o077:
        return Path(tempfile.mkdtemp(prefix="cgcnn-"))
    return folder
