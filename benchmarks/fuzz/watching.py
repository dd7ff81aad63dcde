"""Many mutants, each under limits of time and memory, in a process that is ended where one of them hangs."""

from __future__ import annotations

import faulthandler
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import torch

from .mutations import mutant
from .reading import problems

_FURTHER = 4  # of so many mutants one is explained and exported, if it can be read
_FIRST = 30.0  # seconds that making a mutant, or the start of a process, may take beyond the limit


@dataclass
class Report:
    """wrong: (number, file name, problem); slowest: (seconds, number, file name), slowest first"""

    done: int = 0
    wrong: list[tuple[int, str, str]] = field(default_factory=list)
    slowest: list[tuple[float, int, str]] = field(default_factory=list)
    megabytes: int = 0

    def count(self, kind: str) -> int:
        return sum(problem.startswith(kind) for _, _, problem in self.wrong)


def watch(
    numbers: Sequence[int], seed: int, limit: float, memory: int, told: Callable[[Report], None] = lambda report: None
) -> Report:
    """Read mutants one after the other.

    limit: seconds for one; memory: MB that the process may take beyond what it has at the start; told: after each
    """
    report, at = Report(), 0
    context = multiprocessing.get_context("fork")
    while at < len(numbers):
        receiving, sending = context.Pipe(duplex=False)
        with tempfile.TemporaryFile("w+") as stack:
            work = (numbers[at:], seed, limit, memory, sending, stack)
            child = context.Process(target=_work, args=work, daemon=True)
            child.start()
            sending.close()
            at = _listen(receiving, child, numbers, at, limit, stack, report, told)
            child.kill()
            child.join()
    # Only now: a library that was used here would hang in a process forked from this one.
    report.wrong = [(number, name or mutant(seed, number).name, problem) for number, name, problem in report.wrong]
    return report


def _listen(receiving, child, numbers, at, limit, stack: TextIO, report: Report, told) -> int:
    """Take answers until the process is done or has to be ended; -> place of the next mutant."""
    while at < len(numbers):
        try:
            if receiving.poll(_FIRST + limit):
                receiving.recv()  # the mutant is made
            if not receiving.poll(limit):
                stack.seek(0)
                report.wrong.append((numbers[at], "", f"hang: over {limit:g} s\n{stack.read()}"))
                return at + 1
            seconds, megabytes, name, wrong = receiving.recv()
        except EOFError:
            child.join()
            report.wrong.append((numbers[at], "", f"exception: the process ended with {child.exitcode}"))
            return at + 1
        report.done += 1
        report.megabytes = max(report.megabytes, megabytes)
        report.wrong += [(numbers[at], name, problem) for problem in wrong]
        report.slowest = sorted([*report.slowest, (seconds, numbers[at], name)], reverse=True)[:5]
        at += 1
        told(report)
    return at


def _work(numbers: Sequence[int], seed: int, limit: float, memory: int, sending, stack: TextIO) -> None:
    torch.set_num_threads(1)
    before = _kilobytes("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, ((before + memory * 1024) * 1024,) * 2)
    for number in numbers:
        sample = mutant(seed, number)
        sending.send(number)
        faulthandler.dump_traceback_later(0.8 * limit, file=stack)
        start = time.perf_counter()
        wrong = problems(sample, further=number % _FURTHER == 0)
        seconds = time.perf_counter() - start
        faulthandler.cancel_dump_traceback_later()
        sending.send((seconds, _kilobytes("VmHWM") >> 10, sample.name, wrong))


def _kilobytes(what: str) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))
