"""Print the licences of the packages that this software asks for, as their metadata state them: a table in Markdown.

python docs/licences.py
"""

from __future__ import annotations

import json
import re
from importlib.metadata import files, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")


def names(file: str) -> list[str]:
    """Packages of a file of requirements, not those of the files that it includes."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [re.split(r"[\[=<>]", line)[0] for line in lines if line and line[0].isalnum()]


_MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"


def licence(package: str) -> str:
    """In a few words: the expression, the stated name, the classifiers, or what the text of the licence is known as."""
    about = metadata(package)
    if expression := about.get("License-Expression"):
        return expression
    stated = (about.get("License") or "").strip()
    if 0 < len(stated) < 30 and stated != "UNKNOWN" and "opyright" not in stated:
        return stated
    classes = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License :: ")]
    if named := [c.replace(" License", "") for c in classes if c != "OSI Approved"]:
        return ", ".join(named)
    texts = [file.read_text() for file in files(package) or () if file.name.upper().startswith("LICEN")]
    return "MIT" if any(_MIT in text for text in texts) else "see its files"


def rows() -> list[tuple[str, str, str]]:
    """(package, licence, what for)."""
    uses = {"requirements.txt": "always", "requirements-cluster.txt": "`--cluster`", "requirements-dev.txt": "tests"}
    found = [(name, licence(name), uses[file]) for file in REQUIREMENTS for name in names(file)]
    package = json.loads((ROOT / "node_modules" / "3dmol" / "package.json").read_text(encoding="utf-8"))
    return [*found, ("3dmol (npm)", package["license"], "always")]


def table() -> str:
    lines = [
        f"| {package} | {licence_} | {use} |" for package, licence_, use in sorted(rows(), key=lambda r: r[0].lower())
    ]
    return "\n".join(["| package | licence | asked for |", "|---|---|---|", *lines])


if __name__ == "__main__":
    print(table())
