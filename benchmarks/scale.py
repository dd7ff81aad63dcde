"""Whole data sets: throughput and memory of `score`, what Ray adds, and how soon the Elements page answers.

    python -m benchmarks.scale --folder FOLDER

The crystals are cells of the perovskite space under random strain, made here: a million, or as many as asked for with
--crystals. A thousandth, a hundredth, a tenth and all of them are scored by `python -m cgcnn score` in one process a
core, which shows whether the time is a straight line; the smaller ones in one process and on a Ray of this machine as
well. The Elements page's questions are then put to the tables of all.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from cgcnn.additive import compare
from cgcnn.atlas import GROUPINGS, ends, filtered, means, means_of_elements, of_element, sites_of, summary
from cgcnn.examples import examples
from cgcnn.perovskite.space import build_space
from cgcnn.scoring import Scores, contents, load_scores

from .run import processor

_AT_ONCE = 50_000  # crystals, which bounds the memory
_STRAIN = 0.02  # standard deviation of every component
FRACTIONS = (1000, 100, 10, 1)  # of the crystals
COLD_STARTS = 3  # the quickest counts
FIRST_VIEW = 4  # of the page's questions


def write_crystals(file: Path, n: int) -> Path:
    """A Parquet table of n crystals of the perovskite space in random order, each under its own random strain."""
    space = build_space().select("material_id", "lattice", "atomic_numbers", "frac_coords")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        for start in range(0, n, _AT_ONCE):
            size = min(_AT_ONCE, n - start)
            rows = space[rng.integers(len(space), size=size)]
            lattices = np.array(rows["lattice"].to_list()).reshape(-1, 3, 3)
            strain = rng.normal(scale=_STRAIN, size=lattices.shape)
            strained = lattices @ (np.eye(3) + (strain + strain.transpose(0, 2, 1)) / 2)
            ids = pl.int_range(start, start + size, eager=True).cast(pl.String)
            lattice = pl.Series("lattice", strained.reshape(-1, 9)).arr.to_list()
            names = rows["material_id"] + " " + ids
            rows.with_columns(names, lattice).write_parquet(Path(folder) / f"{start:09d}.parquet")
        pl.scan_parquet(Path(folder) / "*.parquet").sink_parquet(file, row_group_size=8192)
    return file


# --- commands ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A command that has ended.

    wall, processor: seconds, of the processes that it started as well (but not of Ray's, which outlive it)
    memory: peak of all of them together, MB; what they share counts several times
    """

    wall: float
    processor: float
    memory: float


def run(*arguments: str | Path) -> Run:
    """`python -m cgcnn` with these arguments. Raises CalledProcessError."""
    command = [sys.executable, "-m", "cgcnn", *map(str, arguments)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
    ended, memory = 0, 0.0
    while not ended:
        memory = max(memory, resident(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        time.sleep(0 if ended else 0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.perf_counter() - start, used.ru_utime + used.ru_stime, memory)


def resident(pid: int) -> float:
    """Memory of a process and of those that it started, MB."""
    folder = Path(f"/proc/{pid}")
    try:
        status = (folder / "status").read_text()
        children = " ".join(file.read_text() for file in folder.glob("task/*/children")).split()
    except OSError:  # it has ended
        return 0.0
    own = sum(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
    return own + sum(resident(int(child)) for child in children)


def ways_of_scoring(cores: int) -> dict[str, list[str]]:
    """Options of `score`, that of one process a core first."""
    ways = {f"{cores} processes": ["--workers", str(cores)], "one process": ["--workers", "1"]}
    return ways | ({"Ray": ["--cluster", "local", "--workers", str(cores)]} if find_spec("ray") else {})


def scoring(files: dict[int, Path], model: str, out: Path) -> Iterator[str]:
    """Score data sets, a line each: all in the first way, the last of which stays in `out`, the smaller in others."""
    for i, (way, options) in enumerate(ways_of_scoring(len(os.sched_getaffinity(0))).items()):
        seconds = {}
        for n, file in list(files.items())[: -1 if i else None]:
            tables = out.with_name(f"{out.name} {way}") if i else out
            shutil.rmtree(tables, ignore_errors=True)
            found = run("score", file, "--model", model, "--out", tables, "--quiet", *options)
            seconds[n] = found.wall
            yield (
                f"{way:14}{n:10,} crystals{found.wall:9.1f} s{found.processor:9.1f} s{found.memory:9.0f} MB"
                f"{n / found.wall:9.0f} crystals/s"
            )
        yield f"{way:14}{line(seconds)}"


def line(seconds: dict[int, float]) -> str:
    """The straight line through the times of several sizes, in words; all count alike, whatever their size."""
    n, wall = np.array(list(seconds)), np.array(list(seconds.values()))
    slope, start = np.polyfit(n, wall, 1, w=1 / wall)
    if slope <= 0 or start < 0:
        return "too few crystals, or too busy a machine, for a straight line"
    farthest = np.abs((start + slope * n) / wall - 1).max()
    return f"straight line: {start:.1f} s, then {1 / slope:.0f} crystals/s; no size farther off than {farthest:.0%}"


def cold_starts(model: str, folder: Path) -> Iterator[str]:
    file = folder / "SrTiO3.cif"
    examples()["SrTiO3"].to(str(file), fmt="cif")
    for command in (["--help"], ["explain", "--model", model, file]):
        best = min((run(*command) for _ in range(COLD_STARTS)), key=lambda found: found.processor)
        yield f"python -m cgcnn {command[0]:12}{best.wall:9.2f} s{best.processor:9.2f} s{best.memory:9.0f} MB"


# --- the Elements page ------------------------------------------------------------------------------------------------


def questions(scores: Scores) -> dict[str, Callable[[], object]]:
    """What the page asks: first the four of its first view, then what clicks and filters ask."""
    titanium, averaged = of_element(scores, "Ti"), []
    return {
        "load": lambda: load_scores(scores.folder).key,
        "counts": lambda: scores.crystals.select(pl.len(), pl.col("n_sites").sum().alias("sites")).collect(),
        "means by role": lambda: averaged.append(means_of_elements(scores, True)),
        "compare": lambda: compare(scores, "relative", True, averaged[-1]),
        "Ti: by role": lambda: summary(titanium, GROUPINGS["role"]),
        "Ti: by coordination": lambda: summary(titanium, GROUPINGS["coordination"]),
        "ends of Ti on B": lambda: ends(scores, sites_of(scores, "Ti", "B")),
        "means by role, with Ti": lambda: means(filtered(scores, contains=["Ti"]), GROUPINGS["role"]),
        "contents, if it were unfinished": lambda: contents(scores),
    }


def answers(scores: Scores) -> Iterator[str]:
    total = np.zeros(2)
    for i, (name, ask) in enumerate(questions(scores).items()):
        start = np.array([time.perf_counter(), time.process_time()])
        ask()
        seconds = np.array([time.perf_counter(), time.process_time()]) - start
        yield f"{name:40}{seconds[0]:9.2f} s{seconds[1]:9.2f} s"
        total += seconds if i < FIRST_VIEW else 0
        if i == FIRST_VIEW - 1:
            yield f"{'first view, the sum of these':40}{total[0]:9.2f} s{total[1]:9.2f} s"
    yield f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


def show(title: str, lines: Iterator[str]) -> None:
    print(title)
    for line in lines:
        print(f"  {line}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.split("\n")[0])
    parser.add_argument("--crystals", type=int, default=1_000_000)
    parser.add_argument("--model", default="perovskite-linear")
    parser.add_argument("--folder", type=Path, required=True, help="for crystals and scores, which stay there")
    options = parser.parse_args(arguments)
    if options.crystals < FRACTIONS[0]:
        parser.error(f"--crystals {options.crystals} is too few; a thousandth of them must be one at least")
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seconds of wall and processor time")
    show("Cold start, the quickest of a few", cold_starts(options.model, folder))
    sizes = [options.crystals // fraction for fraction in FRACTIONS]
    files = {n: write_crystals(folder / f"crystals {n}.parquet", n) for n in sizes}
    note = "memory of all processes, processor time without Ray's" if find_spec("ray") else "Ray is not installed"
    show(f"Scoring; {note}", scoring(files, options.model, folder / "scores"))
    scores = load_scores(folder / "scores")
    rows, threads = scores.about["sites"], pl.thread_pool_size()
    show(f"The Elements page, {rows:,} site rows, {threads} threads", answers(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
