"""Files as they are or as .gz: opened as text, with limits on what they unpack to."""

from __future__ import annotations

import gzip
import io
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from ..formats.text import MAX_BYTES
from .source import DatasetError

# Crystals as text shrink to a tenth or a thirtieth; what unpacks to more than a hundred times its size is a bomb.
MOST_TIMES = 100
_BLOCK = 2**20


def open_text(path: Path) -> TextIO:
    """A text file, or a .gz of one. Reading raises DatasetError where it is damaged or a bomb."""
    if path.suffix.lower() != ".gz":
        return open(path, encoding="utf-8", errors="replace")
    return io.TextIOWrapper(io.BufferedReader(_Unpacked(path), _BLOCK), encoding="utf-8", errors="replace")


def check_unpacks(path: Path) -> None:
    """Raise DatasetError for a .gz that is damaged or a bomb, for readers that unpack it themselves."""
    state = path.stat()
    _check_once(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _check_once(path: Path, changed: int, size: int) -> None:
    with _Unpacked(path) as file:
        while file.read(_BLOCK):
            pass


def check_ratio(name: str, packed: int, unpacked: int) -> None:
    """Raise DatasetError where a file of that many bytes unpacks to far too many."""
    if unpacked > max(MAX_BYTES, MOST_TIMES * packed):
        raise DatasetError(
            f"{name} unpacks to more than {MOST_TIMES} times its size, which is the limit and more than crystals do; "
            "if it is right, bring it unpacked"
        )


class _Unpacked(io.RawIOBase):
    def __init__(self, path: Path):
        self._name, self._size, self._done = path.name, path.stat().st_size, 0
        self._file = gzip.open(path)  # noqa: SIM115  closed with this one

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        try:
            data = self._file.read(min(len(buffer), _BLOCK))
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"{self._name} is damaged: {error}; compress it again, or bring it unpacked") from None
        self._done += len(data)
        check_ratio(self._name, self._size, self._done)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
