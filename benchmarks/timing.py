"""Median times of tasks that take turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from statistics import median

_SHORTEST_SAMPLE = 2e-3  # seconds; faster tasks are repeated within a sample


@dataclass(frozen=True)
class Timing:
    """How long and with which clock.

    seconds: to spend on one row of the table; at_least: samples of each task, however long they take
    clock: processor time of the whole process for one thread, which other programs on the machine do not disturb;
        the time on the wall for more
    """

    seconds: float = 1.5
    at_least: int = 5
    clock: Callable[[], float] = time.process_time

    def milliseconds(self, tasks: Sequence[Callable[[], object]]) -> list[float]:
        """Median milliseconds of each task. They take turns, so that a slow moment of the machine hits all alike."""
        with no_garbage_collection():
            once = [self._warmed_up(task) for task in tasks]
            loops = [max(1, ceil(_SHORTEST_SAMPLE / seconds)) for seconds in once]
            round_ = sum(n * seconds for n, seconds in zip(loops, once, strict=True))
            rounds = max(self.at_least, round(self.seconds / round_))
            samples = [[self._sample(task, n) for task, n in zip(tasks, loops, strict=True)] for _ in range(rounds)]
        return [1e3 * median(times) for times in zip(*samples, strict=True)]

    def _warmed_up(self, task: Callable[[], object]) -> float:
        """Seconds of the second call; the first fills caches."""
        self._sample(task, 1)
        return max(self._sample(task, 1), 1e-7)

    def _sample(self, task: Callable[[], object], loops: int) -> float:
        start = self.clock()
        for _ in range(loops):
            task()
        return (self.clock() - start) / loops


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """The collector would strike whoever happens to run, so it rests meanwhile."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
