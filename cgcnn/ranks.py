"""Training in several processes: which part of a step each of them takes.

Every process knows all steps and takes its share of each, so the crystals of a step, the schedule and the moving
average are those of a training in one process.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from .swap import Step

# In which Lightning, torchrun and SLURM tell a process its place.
_PLACES = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def is_first(ranks: int) -> bool:
    """Whether this process claims the folder, measures and prints, also before it is connected to the others."""
    return ranks == 1 or all(int(os.environ.get(name, 0)) == 0 for name in _PLACES)


def share(step: Step, rank: int, ranks: int) -> tuple[Step, bool]:
    """The part of a step that one of several processes works on; pairs stay together.

    -> the part, and whether it counts: a process that gets nothing, as a step has fewer crystals than there are
       processes, works on what another counts, since all must take part in every step
    """
    if ranks == 1:
        return step, True
    first = np.arange(len(step.crystals))  # a pair is known by its first crystal
    first[step.pairs[:, 1]] = step.pairs[:, 0]
    paired = np.zeros(len(first), dtype=bool)
    paired[step.pairs] = True
    units = np.unique(first)
    units = units[np.argsort(~paired[units], kind="stable")]  # dealt like cards, pairs before single crystals
    mine = units[rank::ranks]
    counts = len(mine) > 0
    return _part(step, np.flatnonzero(np.isin(first, mine if counts else units[:1]))), counts


def _part(step: Step, places: np.ndarray) -> Step:
    """The crystals at some places of a step, in rising order, with the pairs among them."""
    place = np.full(len(step.crystals), -1)
    place[places] = np.arange(len(places))
    pairs = place[step.pairs]
    return replace(
        step,
        crystals=step.crystals[places],
        labelled=int((places < step.labelled).sum()),
        pairs=pairs[(pairs >= 0).all(1)],
        substituted=step.substituted[places[places >= step.labelled] - step.labelled],
    )
