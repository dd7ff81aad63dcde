"""How the allocator treats large arrays; imports nothing that takes time."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_MOST = 2**30  # bytes


def keep_freed_memory() -> None:
    """From now on this process keeps the memory of arrays that are gone for those that come.

    glibc hands arrays above 32 MB back to the system at once, and has to ask for fresh pages for the next ones. For
    processes that work through many batches and end; with other C libraries nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _MOST)
    mallopt(_TRIM_THRESHOLD, _MOST)
