"""kill -9 at random moments: what `score` and `train` make is afterwards what an unbroken run makes.

    python -m benchmarks.kills --times 10

Each command runs once unbroken. Then, as often as asked, it is started in a new folder, killed at a random moment of
the time that the unbroken run took (one in each tenth of it for ten), and given again. One that was over before the
kill does not count and is started anew, to be killed sooner. Crystals are made here. Exits with 1 where anything is
lost, double, done again, or other than in the unbroken run.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import torch

from cgcnn.model import load_model
from cgcnn.perovskite.space import build_space
from cgcnn.scoring import load_scores

from .scale import write_crystals

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Outcome:
    """moments: seconds after which it was killed; ended: runs that were over by then; problems: sentences"""

    moments: list[float] = field(default_factory=list)
    ended: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """A command without its --out; same: problems of one folder against that of the unbroken run."""

    arguments: Sequence[str]
    same: Callable[[Path, Path], list[str]]
    progress: Callable[[Path], dict[str, int]]  # files that are done -> when they were written


def score_job(folder: Path, crystals: int, model: str = "perovskite-linear", chunk: int = 100) -> Job:
    data = write_crystals(folder / "crystals.parquet", crystals)
    arguments = ["score", str(data), "--model", model, "--chunk", str(chunk), "--workers", "2", "--quiet"]
    return Job(arguments, same_tables, chunks_done)


def train_job(folder: Path, crystals: int, epochs: int) -> Job:
    """Labels are a smooth function of the composition, which is all that a resumed training needs."""
    rng = np.random.default_rng(0)
    space = build_space()
    rows = space[rng.choice(len(space), crystals, replace=False)]
    numbers = np.array(rows["atomic_numbers"].to_list())
    labelled = rows.select("material_id", "lattice", "atomic_numbers", "frac_coords").with_columns(
        energy=pl.Series(np.sin(numbers / 9).mean(1)),
        split=pl.Series(["val" if i % 5 == 0 else "train" for i in range(crystals)]),
    )
    data = folder / "labelled.parquet"
    labelled.write_parquet(data)
    arguments = ["train", str(data), "--head", "linear", "--epochs", str(epochs), "--width", "16"]
    arguments += ["--convolutions", "2", "--swap-consistency", "0.1", "--members", "2", "--threads", "1", "--quiet"]
    return Job(arguments, same_model, lambda _: {})


def chunks_done(out: Path) -> dict[str, int]:
    """Chunks of which both files are there."""
    files = {table: {f.name: f.stat().st_mtime_ns for f in out.glob(f"{table}/[0-9]*.parquet")}
             for table in ("sites", "crystals")}  # fmt: skip
    return {name: files["sites"][name] for name in files["sites"].keys() & files["crystals"].keys()}


def same_tables(out: Path, whole: Path) -> list[str]:
    problems = []
    for name in ("crystals", "sites"):
        here, there = (getattr(load_scores(folder), name).collect() for folder in (out, whole))
        keys = ["row"] if name == "crystals" else ["row", "site"]
        if here.select(keys).is_duplicated().any():
            problems.append(f"{name} are double")
        if len(here) != len(there):
            problems.append(f"{len(here)} {name}, and {len(there)} in the unbroken run")
        elif not here.equals(there):
            problems.append(f"{name} have other values than in the unbroken run")
    if not load_scores(out).about["complete"]:
        problems.append("the run is not marked as complete")
    return problems + left_over(out)


def same_model(out: Path, whole: Path) -> list[str]:
    problems = []
    here, there = load_model(out, torch.float32), load_model(whole, torch.float32)
    if here.hash != there.hash:
        problems.append("the weights are other than in the unbroken run")
    for key in ("epochs run", "validation MAE by epoch"):
        if here.card.training[key] != there.card.training[key]:
            problems.append(f"{key}: {here.card.training[key]}, and {there.card.training[key]} in the unbroken run")
    extra = sorted({f.name for f in out.iterdir()} - {f.name for f in whole.iterdir()})
    return problems + ([f"left over: {', '.join(extra)}"] if extra else []) + left_over(out)


def left_over(out: Path) -> list[str]:
    return [f"left over: {file.name}" for file in (*out.rglob("*.part"), *out.rglob(".lock"))]


def is_finished_model(out: Path) -> bool:
    return (out / "card.json").is_file() and not (out / "run.json").exists()


def start(arguments: Sequence[str], out: Path, cache: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "cgcnn", *arguments, "--out", str(out)], cwd=ROOT, start_new_session=True,
        env={**os.environ, "CGCNN_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen, what: str) -> None:
    """Raises RuntimeError where a command did not end well."""
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{what} ended with {process.returncode}: {said}")


def killed(job: Job, folder: Path, times: int, seed: int = 0) -> Outcome:
    """Run a job unbroken, and until it was broken so many times."""
    rng, outcome, whole = random.Random(seed), Outcome(), folder / "whole"
    started = time.monotonic()
    finish(start(job.arguments, whole, folder / "cache"), "the unbroken run")
    took = time.monotonic() - started
    while len(outcome.moments) < times:
        i = len(outcome.moments)
        out, moment = folder / f"broken-{i}-{outcome.ended}", took * (i + rng.random()) / times
        started = time.monotonic()
        process = start(job.arguments, out, folder / "cache")
        try:
            process.communicate(timeout=moment)
            outcome.ended += 1
            took = time.monotonic() - started  # the machine is less busy now
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            outcome.moments.append(round(moment, 2))
            done = job.progress(out)
            if not is_finished_model(out):  # killed while it said so; given again, `train` refuses to train it anew
                finish(start(job.arguments, out, folder / "cache"), f"the run after a kill at {moment:.2f} s")
            if again := [name for name, when in done.items() if job.progress(out).get(name) != when]:
                outcome.problems.append(f"lost or done again: {', '.join(sorted(again))}")
        outcome.problems += [f"{problem} (killed at {moment:.2f} s)" for problem in job.same(out, whole)]
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--times", type=int, default=10, help="kills of each command")
    parser.add_argument("--crystals", type=int, default=6000, help="that are scored; a tenth is trained on")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    asked = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / name for name in ("score", "train")}
        for place in places.values():
            place.mkdir()
        jobs = {
            "score": score_job(places["score"], asked.crystals),
            "train": train_job(places["train"], asked.crystals // 10, asked.epochs),
        }
        for name, job in jobs.items():
            found = killed(job, places[name], asked.times, asked.seed)
            moments = ", ".join(f"{moment:.1f}" for moment in found.moments)
            told = "; ".join(found.problems) or "each time as the unbroken run"
            over = f", {found.ended} over before" if found.ended else ""
            print(f"{name}: killed {len(found.moments)} times, after {moments} s{over}: {told}", flush=True)
            failed = failed or bool(found.problems)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
