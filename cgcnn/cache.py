"""Where the software keeps what it made or downloaded; imports nothing that takes time."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where graphs, scores and public data are kept between runs: CGCNN_CACHE, else a folder in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("CGCNN_CACHE") or Path(home) / "cgcnn")
