"""`perovskite`: the space of cubic ABX3 and the roles of sites, against data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .command import Command, Commands
from .options import Dataset, Model, flag, option
from .output import note

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="The space of 18,928 cubic ABX3 and the roles A, B and X, against a data set.",
)

LatticeOut = Annotated[Path | None, option("default: the file that is shipped", "FILE")]
Target = Annotated[str | None, option("column of the target", "COLUMN")]
Split = Annotated[Literal["train", "val", "test", "all"], option("train, val, test or all; default: val", "SPLIT")]
WriteCard = Annotated[bool, flag("--write-card", "write the errors on built cells to the model's card")]
CellsOut = Annotated[Path, option("Parquet, for `train --also`", "FILE")]
RolesOut = Annotated[Path, option("CSV of those not resolved or wrong", "FILE")]
Seed = Annotated[int, option("of the shuffling; default: 0", "N")]


@app.command(cls=Command)
def lattice(data: Dataset, out: LatticeOut = None) -> None:
    """Fit the lattice parameters to the split train of a data set."""
    from ..perovskite.labels import fit_lattice
    from ..perovskite.lattice import SHIPPED

    model, errors = fit_lattice(data)
    model.write(out or SHIPPED)
    for split, error in errors.items():
        print(f"lattice parameter, MAE on {split or 'all'}: {error:.4f} angstrom")


@app.command(cls=Command)
def built(
    data: Dataset, model: Model, target: Target = None, split: Split = "val", write_card: WriteCard = False
) -> None:
    """Errors of a model on relaxed and on built cells."""
    from ..datasets import load_dataset
    from ..model import load_model, model_folder, update_card
    from ..perovskite.labels import built_cell_accuracy, on_built_cells

    loaded = load_model(model)
    table = load_dataset(data, target, loaded.graph_settings, prefer=loaded.card.target.name)
    found = built_cell_accuracy(loaded, table, split)
    unit = loaded.card.target.unit
    print(f"{found.built.n} crystals of {table.name} ({split})")
    print(f"MAE on relaxed cells:  {found.relaxed.mae:.4f} {unit}")
    print(f"MAE on built cells:    {found.built.mae:.4f} {unit}")
    print(f"mean |built - relaxed| {found.difference:.4f} {unit}")
    if write_card:
        accuracy = loaded.card.accuracy | {on_built_cells(split): found.built.asdict()}
        update_card(model_folder(model), accuracy=accuracy)


@app.command(cls=Command)
def cells(data: Dataset, out: CellsOut, target: Target = None) -> None:
    """A table of built cells with the targets and splits of a data set."""
    from ..perovskite.labels import built_cells, space_labels

    labels = space_labels(data, target, prefer="heat_of_formation_per_atom")
    table = built_cells(labels)
    table.write_parquet(out)
    note(f"{len(table)} built cells with {labels.target} in {out}")


@app.command(cls=Command)
def roles(data: Dataset, out: RolesOut, seed: Seed = 0) -> None:
    """A and B from geometry alone against the formulas of a data set.

    Sites are shuffled and cells shifted, so that only the geometry can tell.
    """
    from ..perovskite.checking import check_roles

    found = check_roles(data, seed)
    found.listed.write_csv(out)
    print(f"{found.crystals} crystals of {found.name} with A, B and 3 X, {found.others} others")
    if found.told:
        print(f"A and B as the formula says: {found.right} of {found.told} ({found.right / found.told:.1%})")
        print(f"A and B exchanged:           {found.wrong}")
    if found.told < found.crystals:
        print(f"the formula does not say A and B of {found.crystals - found.told}")
    print(f"not resolved:                {found.unresolved}")
    note(f"listed in {out}: {len(found.listed)}")
