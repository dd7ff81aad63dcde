"""What the README tells people to type exists."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from cgcnn.cli.app import app

ROOT = Path(__file__).parent.parent
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "models/README.md")}


def commands() -> list[str]:
    """Every command of the READMEs, a line ending in a backslash joined with the next, and those within a sentence.

    A sentence may name a command without the options that it needs; such are left out.
    """
    joined = "\n".join(TEXTS.values()).replace("\\\n", " ")
    lines = re.findall(r"^ {4}python -m (cgcnn.+)$", joined, flags=re.MULTILINE)
    within = re.findall(r"`python\s+-m\s+(cgcnn[^`]+\s--[^`]+)`", joined)
    return [line.replace("cgcnn.perovskite", "cgcnn perovskite", 1) for line in [*lines, *within]]


@pytest.mark.parametrize("command", commands())
def test_commands_of_the_readmes_are_understood(command):
    name, *arguments = shlex.split(command.partition(" > ")[0])
    parsed, context = typer.main.get_command(app), None
    while parsed:
        if arguments == ["--help"]:
            return
        context = parsed.make_context(name, arguments, parent=context)  # raises for what it does not understand
        rest = [*context._protected_args, *context.args]
        name, parsed, arguments = parsed.resolve_command(context, rest) if rest else ("", None, [])


@pytest.mark.parametrize("name", TEXTS)
def test_links_and_pictures_are_there(name):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXTS[name]):
        assert ((ROOT / name).parent / target).exists(), target


def test_the_test_command_is_the_one_of_ci():
    command = "pip install -r requirements-dev.txt && python -m pytest"
    assert command in TEXTS["README.md"]
    assert command.replace("install", "install --quiet") in (ROOT / ".ci" / "run").read_text()


def test_requirements_are_pinned():
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            assert line.startswith("-r ") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line
