"""What the server writes down: the problem and its place in the code, never what is in a user's file.

Messages of errors and warnings can quote the file that they are about, so only their kind is logged.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from pathlib import Path

log = logging.getLogger("cgcnn.app")

# stmol calls a function that Streamlit has deprecated; `show_scene` is ready for its end, users need not read of it
logging.getLogger("streamlit.deprecation_util").addFilter(lambda r: "components.v1.html" not in r.getMessage())

_HERE = Path(__file__).resolve().parent.parent
_DEEPEST = 6  # calls of a chain that are named


def log_failure(where: str, error: BaseException) -> None:
    """Log an error that a page has caught: what kind, where in the code, and what it came from."""
    lines, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        calls = [f"{_short(f.filename)}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
        lines.append(f"{type(error).__name__} at {' < '.join(reversed(calls[-_DEEPEST:])) or 'an unknown place'}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    log.error("failed: %s: %s", where, "; from ".join(lines))


def _short(file: str) -> str:
    """The path of a file of ours below the repository, of others the package and the file."""
    path = Path(file)
    return str(path.relative_to(_HERE)) if path.is_relative_to(_HERE) else "/".join(path.parts[-2:])


def _log_warning(message, category, filename, lineno, file=None, line=None) -> None:
    log.warning("%s at %s:%s", category.__name__, _short(filename), lineno)


def log_warnings_by_kind() -> None:
    """From now on Python's warnings are logged without their text."""
    warnings.showwarning = _log_warning
