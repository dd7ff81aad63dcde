"""python -m cgcnn.perovskite: fit the lattice parameters of the space, measure built cells, check roles."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..datasets import load_dataset
from ..model import load_model, model_folder, update_card
from .checking import check_roles
from .labels import built_cell_accuracy, built_cells, fit_lattice, on_built_cells, space_labels
from .lattice import SHIPPED


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code, 0 for success."""
    parser = argparse.ArgumentParser(prog="python -m cgcnn.perovskite", description="The space of 18,928 cubic ABX3.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    lattice = commands.add_parser("lattice", help="fit the lattice parameters to the split train of a data set")
    lattice.add_argument("data", metavar="DATASET")
    lattice.add_argument("--out", type=Path, default=SHIPPED, metavar="FILE", help="default: the file that is shipped")
    lattice.set_defaults(run=_lattice)
    built = commands.add_parser("built", help="errors of a model on relaxed and on built cells")
    built.add_argument("data", metavar="DATASET")
    built.add_argument("--model", required=True, help="name of a bundled model, or a folder")
    built.add_argument("--target", help="column with the target")
    built.add_argument("--split", default="val", choices=("train", "val", "test", "all"))
    built.add_argument("--write-card", action="store_true", help="write the errors on built cells to the model's card")
    built.set_defaults(run=_built)
    cells = commands.add_parser("cells", help="a table of built cells with the targets and splits of a data set")
    cells.add_argument("data", metavar="DATASET")
    cells.add_argument("--target", help="column with the target")
    cells.add_argument("--out", type=Path, required=True, metavar="FILE", help="Parquet, for `cgcnn train --also`")
    cells.set_defaults(run=_cells)
    roles = commands.add_parser(
        "roles",
        help="A and B from geometry alone (sites shuffled, cells shifted) against the formulas of a data set",
    )
    roles.add_argument("data", metavar="DATASET")
    roles.add_argument("--out", type=Path, required=True, metavar="FILE", help="CSV of those not resolved or wrong")
    roles.add_argument("--seed", type=int, default=0, help="of the shuffling")
    roles.set_defaults(run=_roles)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _lattice(options: argparse.Namespace) -> None:
    model, errors = fit_lattice(options.data)
    model.write(options.out)
    for split, error in errors.items():
        print(f"lattice parameter, MAE on {split or 'all'}: {error:.4f} angstrom")


def _built(options: argparse.Namespace) -> None:
    model = load_model(options.model)
    data = load_dataset(options.data, options.target, model.graph_settings, prefer=model.card.target.name)
    found = built_cell_accuracy(model, data, options.split)
    unit = model.card.target.unit
    print(f"{found.built.n} crystals of {data.name} ({options.split})")
    print(f"MAE on relaxed cells:  {found.relaxed.mae:.4f} {unit}")
    print(f"MAE on built cells:    {found.built.mae:.4f} {unit}")
    print(f"mean |built - relaxed| {found.difference:.4f} {unit}")
    if options.write_card:
        accuracy = model.card.accuracy | {on_built_cells(options.split): found.built.asdict()}
        update_card(model_folder(options.model), accuracy=accuracy)


def _roles(options: argparse.Namespace) -> None:
    found = check_roles(options.data, options.seed)
    found.listed.write_csv(options.out)
    print(f"{found.crystals} crystals of {found.name} with A, B and 3 X, {found.others} others")
    if found.told:
        print(f"A and B as the formula says: {found.right} of {found.told} ({found.right / found.told:.1%})")
        print(f"A and B exchanged:           {found.wrong}")
    if found.told < found.crystals:
        print(f"the formula does not say A and B of {found.crystals - found.told}")
    print(f"not resolved:                {found.unresolved}")
    print(f"listed in {options.out}: {len(found.listed)}")


def _cells(options: argparse.Namespace) -> None:
    labels = space_labels(options.data, options.target, prefer="heat_of_formation_per_atom")
    table = built_cells(labels)
    table.write_parquet(options.out)
    print(f"{len(table)} built cells with {labels.target} in {options.out}")


if __name__ == "__main__":
    sys.exit(main())
