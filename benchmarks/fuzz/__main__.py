"""python -m benchmarks.fuzz [--count 10000] [--seed 0]: broken files, and how the readers answer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from .mutations import mutant
from .watching import Report, watch


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="these mutants alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the mutants with a problem there")
    parser.add_argument("--limit", type=float, default=5.0, help="seconds of processor time for one mutant")
    parser.add_argument("--memory", type=int, default=4000, help="MB of addresses beyond those at the start")
    options = parser.parse_args()

    numbers = options.only or range(options.count)
    with tqdm(total=len(numbers), unit=" mutants", disable=None) as bar:
        report = watch(numbers, options.seed, options.limit, options.memory, lambda report: bar.update())
    show(report)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        for number in sorted({number for number, _, _ in report.wrong}):
            sample = mutant(options.seed, number)
            (options.keep / f"{number}-{Path(sample.name).name or 'x'}").write_bytes(sample.data)
    return 1 if report.wrong else 0


def show(report: Report) -> None:
    seen: dict[str, int] = {}
    for number, name, problem in report.wrong:
        kind = problem.splitlines()[0][:90] if problem.startswith("hang") else problem.strip().splitlines()[-1][:90]
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= 2:
            print(f"--- mutant {number}, {name!r}\n{problem}\n")
    for kind, count in sorted(seen.items(), key=lambda item: -item[1]):
        print(f"{count:6} x {kind}")
    print(
        f"{report.done} mutants: {report.count('exception')} uncaught exceptions, {report.count('hang')} hangs, "
        f"{report.count('no sentence')} answers without a sentence, "
        f"{len(report.wrong) - sum(map(report.count, ('exception', 'hang', 'no sentence')))} other problems"
    )
    slowest = ", ".join(f"{seconds:.2f} s (mutant {number}, {name!r})" for seconds, number, name in report.slowest)
    print(f"slowest: {slowest}\nmost memory: {report.megabytes} MB")


if __name__ == "__main__":
    sys.exit(main())
