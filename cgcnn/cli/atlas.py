"""`atlas`: the contributions of a model's training crystals, summed up."""

from __future__ import annotations

from typing import Annotated

from .options import Dataset, Model, Quiet, option
from .output import note, progress_bar

Split = Annotated[str, option("which crystals: train, val, test or all; data without splits are taken whole", "SPLIT")]


def atlas(dataset: Dataset, model: Model, split: Split = "train", quiet: Quiet = False) -> None:
    """Sum up the contributions of a model's training crystals beside its card."""
    from ..atlas import make_atlas
    from ..kept import kept_scores
    from ..model import load_model

    with progress_bar(quiet) as progress:
        scores = kept_scores(dataset, load_model(model), progress)
    file, found = make_atlas(scores, model, None if split == "all" else split)
    left_out = f", {found.about['left out']} without roles left out" if found.about["left out"] else ""
    note(f"{found.about['crystals']} crystals with {found.about['sites']} sites{left_out}: {file}")
