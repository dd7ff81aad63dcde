"""Whole data sets: throughput and memory of `score`, what Ray adds, and how soon the Elements page answers.

    python -m benchmarks.scale --crystals 50000 --folder FOLDER

The crystals are cells of the perovskite space under random strain, made here. A quarter of them and all of them are
scored by `python -m cgcnn score` in one process, in one a core, and on a Ray of this machine: two sizes tell the rate
from the start-up. The tables are then repeated until they have as many site rows as asked for, and the Elements page's
questions are put to them.
"""

from __future__ import annotations

import argparse
import json
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
from cgcnn.scoring import Scores, load_scores

from .run import processor

_AT_ONCE = 50_000  # crystals, which bounds the memory
_STRAIN = 0.02  # standard deviation of every component
COLD_STARTS = 3  # the quickest counts
FIRST_VIEW = 5  # of the page's questions


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
    memory: peak of its own process, MB, as Linux tells it
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
        # The peak that wait4 tells would count this process before it became the command.
        state = Path(f"/proc/{process.pid}/status").read_text()
        memory = max(memory, *(float(line.split()[1]) for line in state.splitlines() if line.startswith("VmHWM")), 0.0)
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        time.sleep(0 if ended else 0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.perf_counter() - start, used.ru_utime + used.ru_stime, memory / 1024)


def ways_of_scoring() -> dict[str, list[str]]:
    """Options of `score`."""
    cores = len(os.sched_getaffinity(0))
    ways = {"one process": ["--workers", "1"], f"{cores} processes": ["--workers", str(cores)]}
    return ways | ({"Ray": ["--cluster", "local", "--workers", str(cores)]} if find_spec("ray") else {})


def scoring(files: Sequence[Path], sizes: Sequence[int], model: str, folder: Path) -> Iterator[str]:
    """Score two data sets in all ways, a line each; the tables of the last one in one process stay in the folder."""
    for way, options in ways_of_scoring().items():
        runs = []
        for file, n in zip(files, sizes, strict=True):
            out = folder / f"scores {way}"
            shutil.rmtree(out, ignore_errors=True)
            found = run("score", file, "--model", model, "--out", out, "--quiet", *options)
            runs.append(found)
            yield (
                f"{way:14}{n:10,} crystals{found.wall:9.1f} s{found.processor:9.1f} s{found.memory:9.0f} MB"
                f"{n / found.wall:9.0f} crystals/s"
            )
        yield f"{way:14}{rate(sizes, [found.wall for found in runs])}"
        if way == "one process":
            yield f"{way:14}{rate(sizes, [found.processor for found in runs])}, by processor time"


def rate(sizes: Sequence[int], seconds: Sequence[float]) -> str:
    """The straight line through two sizes, in words."""
    a_crystal = (seconds[1] - seconds[0]) / (sizes[1] - sizes[0])
    start = seconds[0] - sizes[0] * a_crystal
    if a_crystal <= 0 or start < 0:
        return "too few crystals, or too busy a machine, to tell the rate from the start-up"
    million = (1e6 * a_crystal + start) / 60
    return f"{1 / a_crystal:.0f} crystals/s after {start:.1f} s; a million in {million:.0f} min"


def cold_starts(model: str, folder: Path) -> Iterator[str]:
    file = folder / "SrTiO3.cif"
    examples()["SrTiO3"].to(str(file), fmt="cif")
    for command in (["--help"], ["explain", "--model", model, file]):
        best = min((run(*command) for _ in range(COLD_STARTS)), key=lambda found: found.processor)
        yield f"python -m cgcnn {command[0]:12}{best.wall:9.2f} s{best.processor:9.2f} s{best.memory:9.0f} MB"


# --- the Elements page ------------------------------------------------------------------------------------------------


def repeated(scores: Path, out: Path, site_rows: int) -> Path:
    """The tables of a folder again and again, as other rows, until there are so many sites."""
    about = json.loads((scores / "score.json").read_text())
    times, rows = -(-site_rows // about["sites"]), about["rows"]
    shutil.rmtree(out, ignore_errors=True)
    for table in ("sites", "crystals"):
        (out / table).mkdir(parents=True)
        for i, file in enumerate(sorted((scores / table).glob("*.parquet"))):
            part = pl.read_parquet(file)
            for k in range(times):
                number = k * -(-rows // about["chunk"]) + i
                part.with_columns(pl.col("row") + k * rows).write_parquet(out / table / f"{number:06d}.parquet")
    about |= {name: about[name] * times for name in ("rows", "crystals", "sites")}
    (out / "score.json").write_text(json.dumps(about))
    return out


def questions(scores: Scores) -> dict[str, Callable[[], object]]:
    """What the page asks: first the five of its first view, then what clicks and filters ask."""
    crystals, sites = scores.crystals, scores.sites
    energy = pl.col("energy")
    titanium, averaged = of_element(scores, "Ti"), []
    return {
        "load": lambda: load_scores(scores.folder).key,
        "elements, anions, components, energies": lambda: [
            sites.group_by("element", "nearest_anion").len().collect(engine="streaming"),
            crystals.group_by("perovskite", pl.col("elements").list.len())
            .agg(pl.len(), low=energy.min(), high=energy.max())
            .collect(engine="streaming"),
        ],
        "counts": lambda: crystals.select(pl.len(), pl.col("n_sites").sum().alias("sites")).collect(),
        "means by role": lambda: averaged.append(means_of_elements(scores, True)),
        "compare": lambda: compare(scores, "relative", True, averaged[-1]),
        "Ti: by role": lambda: summary(titanium, GROUPINGS["role"]),
        "Ti: by coordination": lambda: summary(titanium, GROUPINGS["coordination"]),
        "ends of Ti on B": lambda: ends(scores, sites_of(scores, "Ti", "B")),
        "means by role, with Ti": lambda: means(filtered(scores, contains=["Ti"]), GROUPINGS["role"]),
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
    parser.add_argument("--crystals", type=int, default=50_000)
    parser.add_argument("--site-rows", type=int, default=5_000_000, help="of the Elements page (default: 5 million)")
    parser.add_argument("--model", default="perovskite-linear")
    parser.add_argument("--folder", type=Path, required=True, help="for crystals and scores, which stay there")
    options = parser.parse_args(arguments)
    if options.crystals < 4:
        parser.error(f"--crystals {options.crystals} is too few; a quarter of them must be one at least")
    folder, sizes = options.folder.resolve(), (options.crystals // 4, options.crystals)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seconds of wall and processor time")
    show("Cold start, the quickest of a few", cold_starts(options.model, folder))
    files = [write_crystals(folder / f"crystals {n}.parquet", n) for n in sizes]
    note = "memory of the main process, processor time without Ray's" if find_spec("ray") else "Ray is not installed"
    show(f"Scoring; {note}", scoring(files, sizes, options.model, folder))
    scores = load_scores(repeated(folder / "scores one process", folder / "scores repeated", options.site_rows))
    rows, threads = scores.about["sites"], pl.thread_pool_size()
    show(f"The Elements page, {rows:,} site rows, {threads} threads", answers(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
