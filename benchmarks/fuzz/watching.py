"""Many mutants, each under limits of time and memory, in a process that is ended where one of them hangs."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
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
_WAITING = 12  # times the limit that a mutant may take on the clock, for a busy machine and for what waits for ever
_FRESH = 250  # mutants for one process; libraries that stumbled over a file do not give all memory back


@dataclass
class Report:
    """wrong: (number, file name, problem); slowest: (seconds of processor time, number, file name), slowest first"""

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

    limit: seconds of processor time for one; memory: MB that the process may take beyond what it has at the start
    told: after each
    """
    report, at = Report(), 0
    context = multiprocessing.get_context("fork")
    while at < len(numbers):
        receiving, sending = context.Pipe(duplex=False)
        with tempfile.TemporaryFile("w+") as stack:
            next_ones = numbers[at : at + _FRESH]
            work = (next_ones, seed, limit, memory, receiving, sending, stack)
            child = context.Process(target=_work, args=work, daemon=True)
            child.start()
            sending.close()
            at += _listen(receiving, child, next_ones, limit, stack, report, told)
            child.kill()
            child.join()
    # Only now: a library that was used here would hang in a process forked from this one.
    report.wrong = [(number, name or mutant(seed, number).name, problem) for number, name, problem in report.wrong]
    return report


def _listen(receiving, child, numbers, limit, stack: TextIO, report: Report, told) -> int:
    """Take answers until the process is done or has to be ended; -> how many mutants it had."""
    at = 0
    while at < len(numbers):
        try:
            if _answers(receiving, child.pid, 10 * limit):
                receiving.recv()  # the mutant is made
            if not _answers(receiving, child.pid, limit):
                stack.seek(0)
                where = stack.read().rpartition("Timeout")[2]
                report.wrong.append((numbers[at], "", f"hang: over {limit:g} s\n{where}"))
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


def _answers(receiving, pid: int, limit: float) -> bool:
    """Wait for the process; False where it takes more processor time than the limit, or waits itself."""
    begun, started = _processor_seconds(pid), time.monotonic()
    while not receiving.poll(0.2):
        if _processor_seconds(pid) - begun > limit or time.monotonic() - started > _WAITING * limit:
            return False
    return True


def _processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _work(numbers: Sequence[int], seed: int, limit: float, memory: int, receiving, sending, stack: TextIO) -> None:
    receiving.close()  # or this process would outlive the one that listens
    torch.set_num_threads(1)
    before = _kilobytes("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, ((before + memory * 1024) * 1024,) * 2)
    for number in numbers:
        sample = mutant(seed, number)
        sending.send(number)
        faulthandler.dump_traceback_later(0.8 * limit, file=stack)
        start = time.process_time()
        wrong = problems(sample, further=number % _FURTHER == 0)
        seconds = time.process_time() - start
        faulthandler.cancel_dump_traceback_later()
        sending.send((seconds, _kilobytes("VmHWM") >> 10, sample.name, wrong))


def _kilobytes(what: str) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))
