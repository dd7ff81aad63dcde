"""Where the software keeps what it made or downloaded; imports nothing that takes time."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from contextlib import suppress
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


# --- how large it may become ------------------------------------------------------------------------------------------

_LIMIT = 20.0  # GB


def trim_cache(keep: Path | None = None) -> None:
    """Remove what was not used for longest, whole entries, until the cache is within CGCNN_CACHE_GB (20).

    Only what can be made or brought again: uploads, scores, graphs; not what `fetch` downloaded.
    keep: an entry that stays
    """
    limit = 1e9 * float(os.environ.get("CGCNN_CACHE_GB") or _LIMIT)
    entries = [(_last_used(entry), _size(entry), entry) for entry in _entries(cache_folder())]
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= limit:
            return
        if entry != keep and _remove(entry):
            total -= size


def used(entry: Path) -> None:
    """Note that an entry of the cache is in use."""
    with suppress(OSError):
        os.utime(entry)


def _entries(folder: Path) -> list[Path]:
    parts = [*folder.glob("data/*"), *folder.glob("scores/*")]
    return parts + [file for kind in ("graphs", "labels") for file in folder.glob(f"{kind}-*")]


def _last_used(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0


def _size(entry: Path) -> int:
    size = 0
    for file in (entry, *entry.rglob("*")):
        with suppress(OSError):  # gone meanwhile
            size += file.stat().st_size
    return size


def _remove(entry: Path) -> bool:
    """Out of the way first, so that nobody finds half of it. Whether it is gone."""
    from .files import Busy, only_one

    try:
        gone = entry.with_name(f".{entry.name}-{os.getpid()}.gone")
        if entry.is_dir():
            with only_one(entry):
                entry.rename(gone)
            shutil.rmtree(gone)
        else:
            entry.unlink()
        return True
    except (OSError, Busy):
        return not entry.exists()
