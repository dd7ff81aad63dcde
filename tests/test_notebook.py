"""The notebook in examples/ runs from top to bottom, and says what its text says."""

import ast
import json
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_cell(source: str, names: dict) -> object:
    """Execute a cell; the value of its last line, which a notebook would show."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None


def test_perovskites(tmp_path, monkeypatch, capsys):
    notebook = json.loads((EXAMPLES / "perovskites.ipynb").read_text(encoding="utf-8"))
    shutil.copy(EXAMPLES / "SrTiO3.cif", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.path", [str(EXAMPLES.parent), *__import__("sys").path])
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in notebook["cells"]) and len(cells) == 10
    names: dict = {}
    shown = [run_cell(cell, names) for cell in cells]
    printed = capsys.readouterr().out
    pictures = [value for value in shown if hasattr(value, "_repr_html_")]
    assert len(pictures) >= 8 and all(value._repr_html_() for value in pictures)
    assert names["titanate"].energy == pytest.approx(-0.24, abs=0.15)  # DFT has -0.24
    assert len(names["space"]) == 18928
    assert names["screening"].enrichment > 3 and "times the" in printed
    assert len(names["candidates"]) >= 5 and (tmp_path / "candidates.json.gz").is_file()
