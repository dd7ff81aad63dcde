"""What the software is made of: pinned, locked with hashes, licences named, and no more than is used."""

from __future__ import annotations

import ast
import re
from importlib.metadata import packages_distributions
from pathlib import Path

from docs.licences import REQUIREMENTS, names, rows

ROOT = Path(__file__).parent.parent


def pins(text: str) -> dict[str, list[str]]:
    """Package -> versions, one for each kind of machine."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)(?:\[\w+\])?==([^\s;\\]+)", text, re.M):
        found.setdefault(name.lower().replace("_", "-"), []).append(version)
    return found


def test_everything_is_pinned():
    for file in REQUIREMENTS:
        assert set(names(file)) and {n.lower() for n in names(file)} == set(pins((ROOT / file).read_text())), file


def test_the_lock_holds_what_is_asked_for_and_a_hash_of_every_file():
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.M)
    locked, asked = pins(text), pins((ROOT / "requirements.txt").read_text())
    asked.pop("torch")
    assert {name: locked[name] for name in asked} == asked
    assert not [name for name in locked if name in ("torch", "triton") or name.startswith(("nvidia", "cuda"))]
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]
    assert len(entries) >= len(locked) and all("--hash=sha256:" in entry for entry in entries)


def test_licences_are_named():
    text = (ROOT / "docs" / "deployment.md").read_text()
    for package, licence, use in rows():
        assert licence != "see its files"
        line = next((line for line in text.splitlines() if line.startswith(f"| {package} |")), "")
        assert line.endswith(f"| {use} |"), f"{package} is not among the licences of docs/deployment.md"
        if package != "torch":  # whose builds state theirs in different words
            assert line == f"| {package} | {licence} | {use} |"


def test_every_package_that_is_asked_for_is_used():
    """And none is used that is not asked for, or part of one that is."""
    imported = set()
    for file in [ROOT / "app.py", *ROOT.glob("cgcnn/**/*.py"), *ROOT.glob("pages/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    distributions = packages_distributions()
    used = {name.lower() for module in imported for name in distributions.get(module, ())}
    asked = {name.lower() for file in REQUIREMENTS[:2] for name in names(file)}
    assert asked <= used | {"pymatgen"}, asked - used  # its parts are packages of their own
    assert used - asked <= {"pymatgen-core", "matminer", "click", "pytorch-lightning", "monty", "rich"}, used - asked
