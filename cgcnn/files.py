"""Files that are whole or not there, whoever else is at them: written under another name first, and locked."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

log = logging.getLogger("cgcnn")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the system says of a full disk
_MAKE_ROOM = "make room there, or name another place, and do the same again"
_LOCKED = "name a place that can be written, or mend its permissions"
_WAYS_OUT = {
    **dict.fromkeys(FULL, _MAKE_ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _LOCKED),
}
_PATIENCE = 0.3  # seconds between two looks at a lock


class Busy(ValueError):
    """Another process is at the same folder."""


@contextmanager
def written_whole(file: Path) -> Iterator[BinaryIO]:
    """A stream into a file that appears under its name when it is complete; two writers do not disturb each other.

    Raises OSError, with the name of the file.
    """
    part = file.with_name(f".{file.name}-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        # Not mkstemp, whose files nobody else may read; this goes by the umask.
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as opened:
            yield opened
        part.replace(file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Write a file that appears under its name when it is complete.

    Libraries that write by themselves (polars, safetensors, torch) hide what the system says of a full disk in errors
    of their own; they can write to memory, and this to the disk.
    Raises OSError, with the name of the file.
    """
    with written_whole(file) as opened:
        opened.write(content)


@contextmanager
def forgiven(file: Path) -> Iterator[None]:
    """For writing what can be made again: a file that cannot be written is worth a line in the log, no more."""
    try:
        yield
    except OSError as error:
        log.warning("%s is not kept (%s); it will be made again", file, error.strerror)


def in_words(error: OSError) -> str:
    """What the system says of a file, with the way out where it is known."""
    way_out = _WAYS_OUT.get(error.errno)
    return f"{error.filename or 'a file'}: {error.strerror or error}{f'; {way_out}' if way_out else ''}"


@contextmanager
def only_one(folder: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a folder against other processes and threads; a process that is killed lets go of it.

    waiting: called now and then while another has it; without it that raises Busy
    The lock is a file in the folder, which is gone afterwards.
    """
    lock = FileLock(folder / ".lock", is_singleton=False)
    while True:
        try:
            lock.acquire(timeout=_PATIENCE if waiting else 0, poll_interval=0.05)
            break
        except Timeout:
            if waiting is None:
                raise Busy(f"another process is at work in {folder}; wait for it, or name another folder") from None
            waiting()
    try:
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
