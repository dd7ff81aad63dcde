"""What every command has in common: help, completion, how it ends."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from functools import partial

import polars as pl
import pytest
import typer
from builders import perovskite
from test_cli import ROOT, shell

import cgcnn
from cgcnn.cli import main
from cgcnn.cli.app import app
from cgcnn.cli.command import Command, repeat_options
from cgcnn.cli.options import MODELS, bundled_models
from cgcnn.cli.output import progress_bar
from cgcnn.graph import GraphSettings
from cgcnn.model import BUNDLED, bundled
from cgcnn.network import NetworkSettings
from cgcnn.training import TrainingSettings

TOP = typer.main.get_command(app)
COMMANDS = [
    [],
    *([name] for name in TOP.commands),
    *(["perovskite", name] for name in TOP.commands["perovskite"].commands),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_fits_a_screen(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command, "--help"]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) <= 45
    text = " ".join(lines)
    assert f"Usage: python -m cgcnn {' '.join(command)}".strip() in text
    found = TOP
    for name in command:
        found = found.commands[name]
    for parameter in found.params:
        assert parameter.help, parameter.name
        assert (parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar) in text
    for name, sub in getattr(found, "commands", {}).items():
        assert re.search(rf"│ {name} +\w", text) and sub.help


def test_defaults_in_the_help_of_train_are_those_of_the_settings():
    defaults = {
        field.name: field.default
        for kind in (GraphSettings, NetworkSettings, TrainingSettings)
        for field in fields(kind)
    }
    told = {}
    for parameter in TOP.commands["train"].params:
        if found := re.search(r"default: (\S+)$", parameter.help):
            told[parameter.name] = found[1]
    assert len(told) > 15 and told == {name: str(defaults[name]) for name in told}


@pytest.mark.parametrize("command", [[], ["--help"], ["train", "--help"], ["--version"], ["fetch"]], ids=" ".join)
def test_help_and_version_come_at_once(command):
    """Below a second of processor time, and without what takes seconds to import."""
    code = (
        "import sys, time; from cgcnn.cli import main; main(sys.argv[1:]); "
        "heavy = {'torch', 'pymatgen', 'lightning', 'numpy', 'pandas', 'polars', 'streamlit'} & set(sys.modules); "
        "print(time.process_time(), *heavy, file=sys.stderr)"
    )
    done = [
        subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    told = [run.stderr.splitlines()[-1].split() for run in done]
    assert all(len(line) == 1 for line in told), told
    assert min(float(seconds) for (seconds,) in told) < 1


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cgcnn {cgcnn.__version__}\n"


def test_nothing_asked_is_answered_with_the_help(capsys):
    assert main([]) == 2
    assert "explain" in capsys.readouterr().out


WRONG = [
    (["nothing"], "No such command 'nothing'"),
    (["explain"], "Missing"),
    (["explain", "x.cif", "--model", "perovskite-linear", "--nothing"], "No such option: --nothing"),
    (["train", "x.csv", "--out", "x", "--head", "sum"], "'sum' is not one of 'gated', 'linear', 'mean'"),
    (["swap", "x.cif", "--site", "first"], "Invalid value for '--site'"),
    (["explain", "x.cif", "--model", "m", "--out", "x.txt"], "must end in .csv, .parquet, .extxyz, .xyz or .json"),
    (["explain", "x.cif", "--model", "m", "--out", "nowhere/x.csv"], "there is no folder 'nowhere'; make it first"),
    (["swap", "x.cif", "--site", "0", "--out", "x.xyz"], "must end in .csv, .parquet or .json"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[said for _, said in WRONG])
def test_wrong_usage_is_2_and_said_on_stderr(arguments, said, capsys):
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == "" and said in " ".join(told.err.replace("│", " ").split())


def run_command(function, capsys) -> tuple[int, str, str]:
    small = typer.Typer(add_completion=False)
    small.command(cls=Command)(function)
    with pytest.raises(SystemExit) as end:
        typer.main.get_command(small).main([])
    return end.value.code, *capsys.readouterr()


def test_exit_codes(capsys, tmp_path):
    def fine() -> None:
        print("data")

    def partly() -> int:
        return 1

    def bad_input() -> None:
        raise ValueError("the cell is flat; correct its vectors")

    def no_file() -> None:
        (tmp_path / "missing").read_text()

    def stopped() -> None:
        raise KeyboardInterrupt

    assert run_command(fine, capsys) == (0, "data\n", "")
    assert run_command(partly, capsys) == (1, "", "")
    assert run_command(bad_input, capsys) == (1, "", "error: the cell is flat; correct its vectors\n")
    assert run_command(no_file, capsys) == (1, "", f"error: {tmp_path / 'missing'}: No such file or directory\n")
    assert run_command(stopped, capsys) == (130, "", "stopped\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "quiet", "shown"), [(Terminal, False, True), (Terminal, True, False), (io.StringIO, False, False)]
)
def test_a_bar_on_a_terminal_only(monkeypatch, stream, quiet, shown):
    monkeypatch.setattr("sys.stderr", stream())
    with progress_bar(quiet) as progress:
        progress(40, 100)
        progress(100, 100)
    assert ("100/100" in sys.stderr.getvalue()) == shown


def test_several_values_behind_one_option():
    written = ["data.csv", "--tradeoff", "a", "b", "--why", "x", "y", "--tradeoff", "c", "--", "--tradeoff", "d", "e"]
    assert repeat_options(written, ["--tradeoff"]) == [
        "data.csv", "--tradeoff", "a", "--tradeoff", "b", "--why", "x", "y", "--tradeoff", "c", "--", "--tradeoff", "d",
        "e",
    ]  # fmt: skip
    context = TOP.commands["evaluate"].make_context("evaluate", ["d.csv", "--model", "m", "--tradeoff", "a", "b"])
    assert context.params["tradeoff"] == ["a", "b"] and str(context.params["dataset"]) == "d.csv"


@pytest.mark.parametrize("command", ["score", "train"])
def test_ctrl_c_is_130(tmp_path, command):
    """In a terminal it reaches every process of the command; a sentence, no traceback."""
    pairs = [(a, b) for a in ("Ca", "Sr", "Ba", "Pb") for b in ("Ti", "Zr", "Hf", "Sn")]
    rows = [{"cif": perovskite(*pair).to(fmt="cif"), "energy": 0.1 * i} for i, pair in enumerate(pairs)]
    pl.DataFrame(rows * (1000 if command == "score" else 1)).write_parquet(tmp_path / "data.parquet")
    arguments, begun = {
        "score": (["--model", "perovskite-linear", "--workers", "2", "--chunk", "50"], "out/**/*.parquet"),
        "train": (["--head", "linear", "--width", "8", "--epochs", "3000", "--threads", "1"], "out/member-0/last.ckpt"),
    }[command]
    process = subprocess.Popen(
        [sys.executable, "-m", "cgcnn", command, "data.parquet", "--out", "out", *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "CGCNN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # as in a terminal, wherever the tests run
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob(begun)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert out == "" and told == "stopped; start the same command again to go on\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    """As in `| head`, for a command and for the help."""
    perovskite().to(filename=str(tmp_path / "a.cif"))
    for command in (f"explain {tmp_path}/a.cif --model perovskite-linear", "train --help"):
        line = f"{sys.executable} -m cgcnn {command} | true"
        done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- completion -------------------------------------------------------------------------------------------------------


def test_completed_models_are_the_bundled_ones():
    assert MODELS == BUNDLED
    assert [name for name, _ in bundled_models("")] == [card.name for card in bundled()]
    assert all(card.target.label in words for (_, words), card in zip(bundled_models(""), bundled(), strict=True))
    assert [name for name, _ in bundled_models("perovskite-l")] == ["perovskite-linear"]


def complete(line: str) -> list[str]:
    """What a shell offers for the last word of a line."""
    asked = {"_CGCNN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return shell(env={**os.environ, **asked}).stdout.split()


def test_completion_of_commands_options_and_values():
    assert complete("cgcnn ex") == ["explain"]
    assert complete("cgcnn explain --mo") == ["--model"]
    assert complete("cgcnn explain a.cif --model perovskite-") == ["perovskite-gated", "perovskite-linear"]
    assert complete("cgcnn train data.csv --head ") == ["gated", "linear", "mean"]
    assert complete("cgcnn fetch matbench_mp") == ["matbench_mp_e_form", "matbench_mp_gap"]
    assert complete("cgcnn perovskite ro") == ["roles"]


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_with_the_script_that_is_shown(tmp_path):
    """The script of --show-completion, loaded by bash, beside a command cgcnn as an installation makes it."""
    command = tmp_path / "cgcnn"
    command.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m cgcnn "$@"\n')
    command.chmod(0o755)
    (tmp_path / "ask.sh").write_text(
        'eval "$(cgcnn --show-completion)"\n'
        "COMP_WORDS=(cgcnn swap a.cif --model perovskite-g); COMP_CWORD=4; _cgcnn_completion cgcnn\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(tmp_path / "ask.sh")], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["perovskite-gated"], done.stderr
