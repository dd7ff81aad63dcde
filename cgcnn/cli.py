"""python -m cgcnn: models, explain, swap, score, atlas, evaluate, train, convert.

Heavy parts are imported by the command that needs them.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code, 0 for success."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; start the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cgcnn", description="Crystal energies, read atom by atom.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list the bundled models")
    models.add_argument("--json", action="store_true", help="print the cards as JSON")
    models.set_defaults(run=_models)

    explain = commands.add_parser("explain", help="energy and site contributions of crystals")
    explain.add_argument("files", nargs="+", metavar="FILE", help="CIF, POSCAR, extxyz or pymatgen JSON")
    _add_model(explain)
    explain.add_argument("--max-sites", type=int, help="largest number of atoms in a cell")
    explain.add_argument("--json", action="store_true", help="print JSON")
    explain.set_defaults(run=_explain)

    swap = commands.add_parser("swap", help="energy change when a site takes every other element")
    swap.add_argument("file", metavar="FILE", help="CIF, POSCAR, extxyz or pymatgen JSON with one crystal")
    swap.add_argument("--site", type=int, required=True, metavar="N", help="index of the site, counted from 0 as "
                      "`explain` prints it")  # fmt: skip
    swap.add_argument("--all-equivalent", action="store_true", help="swap all sites that symmetry makes equal to it")
    swap.add_argument("--follow-cell", action="store_true", help="scale the cell by the lattice model; cubic "
                      "perovskites only")  # fmt: skip
    swap.add_argument("--model", metavar="NAME", help="a bundled model, or a folder that `train` wrote (default: the "
                      "linear head of the family that fits the crystal)")  # fmt: skip
    swap.add_argument("--json", action="store_true", help="print JSON")
    swap.set_defaults(run=_swap)

    score = commands.add_parser("score", help="site contributions of a whole data set, as Parquet tables")
    score.add_argument("dataset", metavar="DATASET", type=Path, help="CSV or Parquet, folder or ZIP of CIFs, JSON of "
                       "matbench or matminer, extended XYZ, or database of ASE")  # fmt: skip
    _add_model(score)
    score.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the tables; the same command "
                       "goes on where it was stopped")  # fmt: skip
    score.add_argument("--target", help="column to keep beside the prediction")
    score.add_argument("--chunk", type=int, metavar="N", help="rows that are written together")
    score.add_argument("--max-sites", type=int, help="largest number of atoms in a cell")
    score.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")
    score.add_argument("--quiet", action="store_true", help="no progress bar")
    score.set_defaults(run=_score)

    atlas = commands.add_parser("atlas", help="sum up the contributions of a model's training crystals beside its card")
    atlas.add_argument("dataset", metavar="DATASET", type=Path, help="the data set that the model was trained on")
    _add_model(atlas)
    atlas.add_argument("--split", default="train", help="which crystals (default: train); all for a data set without "
                       "splits, or where this says all")  # fmt: skip
    atlas.add_argument("--quiet", action="store_true", help="no progress bar")
    atlas.set_defaults(run=_atlas)

    evaluate = commands.add_parser("evaluate", help="errors of a model on a data set, and how far to trust it")
    _add_data(evaluate)
    _add_model(evaluate)
    evaluate.add_argument("--split", choices=("train", "val", "test", "all"), default="all")
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.add_argument("--trust", action="store_true", help="measure all that a card says, on val: "
                          "accuracy, calibration, faithfulness, agreement, sanity checks, domain")  # fmt: skip
    evaluate.add_argument("--without", metavar="MODEL", help="with --trust: the same training without swap consistency")
    evaluate.add_argument("--shuffled", metavar="MODEL", help="with --trust: a training on shuffled labels")
    evaluate.add_argument("--other-head", metavar="MODEL", help="with --trust: the other pooling head (default: the "
                          "model beside this one that is of the same family)")  # fmt: skip
    evaluate.add_argument("--tradeoff", nargs="+", metavar="MODEL", help="accuracy and faithfulness of this model and "
                          "of these, for the trade-off curve")  # fmt: skip
    evaluate.add_argument("--why", metavar="TEXT", help="with --tradeoff: why this model is the one that is shipped")
    evaluate.add_argument("--write-card", action="store_true", help="write what was measured to the model's card")
    evaluate.set_defaults(run=_evaluate)

    train = commands.add_parser("train", help="train a model, or go on with a training that was stopped")
    _add_data(train)
    train.add_argument("--head", choices=("gated", "linear", "mean"), required=True, help="pooling head")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    train.add_argument("--name", help="name of the model (default: that of the folder)")
    train.add_argument("--unit", help="unit of the target, for the card")
    train.add_argument("--credit", help="source of the data, for the card")
    train.add_argument("--swap-consistency", type=float, metavar="LAMBDA", help="weight of the loss that keeps the "
                       "contributions of other sites when one atom is swapped; linear head, 0 for none")  # fmt: skip
    train.add_argument("--mates", choices=("auto", "labelled", "substituted"), help="what that loss compares a crystal "
                       "with: another training crystal, or itself with one element exchanged")  # fmt: skip
    train.add_argument("--substituted", type=float, metavar="SHARE", help="of crystals that are exchanged in a step")
    train.add_argument("--shuffle-labels", action="store_true", default=None, help="a control: targets in random order")
    train.add_argument("--also", type=Path, metavar="DATASET", help="train on the split train of this table as well")
    train.add_argument("--epochs", type=int, help="at most; fewer if val stops improving")
    train.add_argument("--patience", type=int, help="epochs without improvement on val before stopping")
    train.add_argument("--batch", type=int, help="crystals in a step")
    train.add_argument("--learning-rate", type=float, help="highest of the one-cycle schedule")
    train.add_argument("--weight-decay", type=float)
    train.add_argument("--dropout", type=float, help="share of site features left out in training")
    train.add_argument("--seed", type=int)
    train.add_argument("--members", type=int, help="networks trained one after another from different seeds")
    train.add_argument("--convolution", dest="form", choices=("eq4", "eq5"), help="form of the convolution")
    train.add_argument("--elements", choices=("properties", "learned", "both"), help="element features")
    train.add_argument("--width", type=int, help="length of a site's feature vector")
    train.add_argument("--convolutions", type=int, help="how many")
    train.add_argument("--site-hidden", type=int, help="hidden layers per atom after them")
    train.add_argument("--crystal-hidden", type=int, help="hidden layers after the pooling")
    train.add_argument("--radius", type=float, help="largest distance of a neighbour, angstrom")
    train.add_argument("--neighbours", type=int, help="nearest neighbours that count in full")
    train.add_argument("--truncate", action="store_true", default=None, help="cut at exactly that many (depends on "
                       "the order of the sites; only to compare with the authors' code)")  # fmt: skip
    train.add_argument("--threads", type=int, help="processor cores to use")
    train.add_argument("--quiet", action="store_true", help="no progress bar")
    train.set_defaults(run=_train)

    convert = commands.add_parser("convert", help="make a checkpoint of the authors' CGCNN code a model of this one")
    convert.add_argument("file", type=Path, metavar="FILE", help="checkpoint, .pth.tar")
    convert.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    convert.add_argument("--atom-init", type=Path, metavar="FILE", help="their table of the elements (default: "
                         "atom_init.json beside the checkpoint, or that of an installed matminer)")  # fmt: skip
    convert.add_argument("--name", help="name of the model (default: that of the folder)")
    convert.add_argument("--target", default="target", help="what it predicts, as a column of a data set is called")
    convert.add_argument("--unit", help="unit of the target, for the card")
    convert.add_argument("--neighbours", type=int, default=12, help="nearest neighbours it was trained with")
    convert.add_argument("--truncate", action="store_true", help="exactly that many neighbours, as in their code, "
                         "instead of whole shells (depends on the order of the sites)")  # fmt: skip
    convert.add_argument("--reference", type=Path, metavar="DATASET", help="crystals like those of the training, whose "
                         "mean is where contributions start (default: the elements)")  # fmt: skip
    convert.set_defaults(run=_convert)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="CSV or Parquet with crystals and a target")
    parser.add_argument("--target", help="column of the target")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="a bundled model, or a folder that `train` wrote"
    )


def _models(options) -> int:
    from dataclasses import asdict

    from .model import bundled

    cards = bundled()
    if options.json:
        print(json.dumps([asdict(card) for card in cards], indent=1, ensure_ascii=False))
        return 0
    for card in cards:
        error = f"validation MAE {card.mae:.4f} {card.target.unit}" if card.mae == card.mae else "errors not measured"
        print(f"{card.name:<20} {card.head:<7} {card.target.label} ({card.target.unit}), {error}")
    return 0


def _explain(options) -> int:
    from .contributions import explain
    from .model import load_model
    from .structures import DEFAULT_MAX_SITES, Unreadable, read_file

    model = load_model(options.model)
    failed = False
    results = []
    for file in options.files:
        for entry in read_file(file, max_sites=options.max_sites or DEFAULT_MAX_SITES):
            if isinstance(entry, Unreadable):
                failed = True
                result = {"source": entry.source, "error": entry.reason}
            else:
                (found,) = explain(model, [entry.structure])
                result = _contributions_dict(entry, found, model.hash)
            results.append(result)
            if not options.json:
                _print_contributions(result)
    if options.json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    return 1 if failed else 0


def _contributions_dict(crystal, found, model_hash: str) -> dict:
    sites = []
    for i, site in enumerate(found.structure):
        entry = {
            "index": i,
            "element": site.specie.symbol,
            "role": found.role[i],
            "contribution": float(found.contribution[i]),
            "reference": float(found.reference[i]),
            "relative": float(found.relative[i]),
        }
        if found.sd is not None:
            entry["sd"] = float(found.sd[i])
        if found.gate is not None:
            entry["gate"] = float(found.gate[i])
        sites.append(entry)
    return {
        "source": crystal.source,
        "formula": found.structure.composition.reduced_formula,
        "model": found.model,
        "model_hash": model_hash,
        "energy": found.energy,
        "energy_sd": found.energy_sd,
        "energy_unit": found.energy_unit,
        "unit": found.unit,
        "quadrature_error": found.quadrature_error,
        "reference": found.reference_note,
        "doubt": found.doubt,
        "notes": list(crystal.notes),
        "sites": sites,
    }


def _print_contributions(result: dict) -> None:
    if "error" in result:
        print(f"{result['source']}: {result['error']}\n")
        return
    spread = "" if result["energy_sd"] is None else f" ± {result['energy_sd']:.3f}"
    print(
        f"{result['source']}: {result['formula']}, {result['energy']:+.4f}{spread} "
        f"{result['energy_unit']} ({result['model']})"
    )
    for note in result["notes"]:
        print(f"  {note}")
    if result["doubt"]:
        print(f"  {result['doubt']}")
    print(f"  site element role  contribution  relative ({result['unit']})")
    for site in result["sites"]:
        spread = f" ± {site['sd']:.3f}" if "sd" in site else ""
        print(
            f"  {site['index']:>4} {site['element']:<7} {site['role'] or '-':<4} "
            f"{site['contribution']:>+13.4f} {site['relative']:>+9.4f}{spread}"
        )
    print(f"  {result['reference']}\n")


def _swap(options) -> int:
    from .model import load_model
    from .structures import Unreadable, read_file
    from .substitution import substitute
    from .symmetry import describe

    first = read_file(options.file)[0]
    if isinstance(first, Unreadable):
        raise ValueError(f"{first.source}: {first.reason}")
    structure = first.structure
    sites = [options.site]
    if options.all_equivalent and 0 <= options.site < len(structure):
        orbit = describe(structure).orbit
        sites = [i for i, label in enumerate(orbit.tolist()) if label == orbit[options.site]]
    model = load_model(options.model or _fitting_model(structure))
    found = substitute(model, structure, sites, follow_cell=options.follow_cell)
    rows = found.table().to_dict("records")
    if options.json:
        about = {"source": first.source, "model": found.model, "model_hash": model.hash, "unit": found.unit}
        about |= {"sites": list(found.sites), "element": found.element, "role": found.role, "energy": found.energy}
        plain = [{name: None if value != value else value for name, value in row.items()} for row in rows]
        print(json.dumps({**about, "elements": plain}, indent=1, ensure_ascii=False))
        return 0
    which = ("sites " if len(found.sites) > 1 else "site ") + ", ".join(map(str, found.sites))
    role = f" ({found.role})" if found.role else ""
    print(f"{first.source}: {found.element} on {which}{role}, {found.energy:+.4f} eV/atom as it is ({found.model})")
    print("  element  change, eV per cell  eV/atom   booked on the swapped, eV")
    rows.sort(key=lambda row: (row["change"] != row["change"], row["change"]))  # those without a cell come last
    for row in rows:
        if row["change"] != row["change"]:
            print(f"  {row['element']:<7}  no lattice parameter is known")
            continue
        spread = f" ± {row['sd']:.3f}" if "sd" in row else " " * 8
        edge = f"   a = {row['edge']:.3f} angstrom" if "edge" in row else ""
        mark = "" if row.get("trained", True) else "   never there in training"
        print(
            f"  {row['element']:<7} {row['change']:>+11.3f}{spread} {row['change per atom']:>+9.4f}"
            f" {row['booked']:>+10.3f}{edge}{mark}"
        )
    return 0


def _fitting_model(structure) -> str:
    """Name of the bundled model for a crystal: of the fitting family the linear head, if there is one."""
    from .model import bundled
    from .model_choice import fitting_family

    families: dict[str, dict] = {}
    for card in bundled():
        families.setdefault(card.family, {})[card.head] = card
    choice = fitting_family(structure, {name: next(iter(cards.values())) for name, cards in families.items()})
    cards = families[choice.family]
    return cards.get("linear", next(iter(cards.values()))).name


def _score(options) -> int:
    from .scoring import score

    given = {name: getattr(options, name) for name in ("target", "chunk", "max_sites", "workers")}
    given = {name: value for name, value in given.items() if value is not None}
    with _progress_bar(options.quiet) as progress:
        about = score(options.dataset, options.model, options.out, progress=progress, **given).about
    if about["unreadable"]:
        print(f"{about['unreadable']} rows cannot be read; see {options.out / 'unreadable.csv'}", file=sys.stderr)
    print(f"{about['crystals']} crystals with {about['sites']} sites in {options.out}")
    return 0 if about["crystals"] else 1


@contextmanager
def _progress_bar(quiet: bool):
    """A function to call with (crystals done, crystals in all)."""
    from tqdm import tqdm

    # Shown on a terminal only: in a log it would be a thousand lines.
    with tqdm(unit=" crystals", disable=True if quiet else None, smoothing=0.1) as bar:

        def progress(done: int, total: int) -> None:
            if bar.total is None:
                bar.initial = bar.n = done  # done by an earlier run, not part of the rate
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def _atlas(options) -> int:
    from .atlas import make_atlas
    from .kept import kept_scores
    from .model import load_model

    with _progress_bar(options.quiet) as progress:
        scores = kept_scores(options.dataset, load_model(options.model), progress)
    file, atlas = make_atlas(scores, options.model, None if options.split == "all" else options.split)
    left_out = f", {atlas.about['left out']} without roles left out" if atlas.about["left out"] else ""
    print(f"{atlas.about['crystals']} crystals with {atlas.about['sites']} sites{left_out}: {file}")
    return 0


def _load(options, model):
    """The data set, with the graphs and the target of a model. Raises DatasetError, ValueError for a classifier."""
    from .datasets import load_dataset
    from .model import LOGIT

    if model.card.target.unit == LOGIT:
        raise ValueError(f"{model.card.name} is a classifier, whose {LOGIT}s have no error against classes; use score")

    data = load_dataset(options.dataset, options.target, model.graph_settings, prefer=model.card.target.name)
    _report_unreadable(data)
    return data


def _report_unreadable(data) -> None:
    if data.unreadable:
        name, reason = data.unreadable[0]
        print(
            f"{len(data.unreadable)} rows cannot be read and are left out; the first, {name}: {reason}", file=sys.stderr
        )


def _evaluate(options) -> int:
    import torch

    from .evaluation import accuracy
    from .model import load_model

    _check_evaluate(options)
    model = load_model(options.model, torch.float32)
    data = _load(options, model)
    if options.trust or options.tradeoff:
        return _trust(options, model, data)
    result = accuracy(model, data, options.split)
    unit = model.card.target.unit
    if options.json:
        print(json.dumps({"model": model.card.name, "split": options.split, "unit": unit, **result.asdict()}))
    else:
        print(f"n {result.n}   MAE {result.mae:.4f} {unit}   RMSE {result.rmse:.4f} {unit}   R2 {result.r2:.4f}")
    return 0


def _check_evaluate(options) -> None:
    """Raise ValueError for options that would be ignored."""
    needs_trust = {"--without": options.without, "--shuffled": options.shuffled, "--other-head": options.other_head}
    for name, value in needs_trust.items():
        if value and not options.trust:
            raise ValueError(f"{name} {value} is a control of the trust measurements; give --trust as well")
    if options.why and not options.tradeoff:
        raise ValueError("--why belongs to the trade-off curve; give --tradeoff MODEL ... as well")
    if options.write_card and not (options.trust or options.tradeoff):
        raise ValueError("--write-card needs --trust or --tradeoff, which measure what a card says")


def _trust(options, model, data) -> int:
    import torch

    from .evaluation.report import report
    from .evaluation.trust import tradeoff_point, trust
    from .model import load_model, model_folder, other_head, update_card

    found = {}
    if options.trust:
        controls = {
            "without": options.without,
            "shuffled": options.shuffled,
            "other": options.other_head or other_head(model),
        }
        loaded = {name: load_model(path, torch.float32) for name, path in controls.items() if path}
        found = trust(model, data, options.dataset, **loaded, progress=lambda text: print(text, file=sys.stderr))
    if options.tradeoff:
        others = [tradeoff_point(load_model(path, torch.float32), data) for path in options.tradeoff]
        found["tradeoff"] = {"points": [tradeoff_point(model, data), *others], "why": options.why or ""}
    print(json.dumps(found, ensure_ascii=False) if options.json else report(model, found))
    if options.write_card:
        update_card(model_folder(options.model), **found)
    return 0


def _print_measured(name: str, found: dict) -> None:
    from .evaluation.report import accuracy_lines, faithfulness_lines

    print("\n".join([f"{name}:", *accuracy_lines(found["accuracy"]), *faithfulness_lines(found["faithfulness"])]))


def _train(options) -> int:
    import logging

    import torch

    from .datasets import load_dataset
    from .graph import GraphSettings
    from .network import NetworkSettings
    from .targets import credit, describe_target
    from .training import TrainingSettings, train

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # hardware and advertisements
    if options.threads:
        torch.set_num_threads(options.threads)

    graph = _settings(GraphSettings, options)
    data = load_dataset(options.dataset, options.target, graph)
    _report_unreadable(data)
    also = load_dataset(options.also, data.target, graph) if options.also else None
    model = train(
        data,
        describe_target(data.target, options.unit),
        _settings(NetworkSettings, options),
        _settings(TrainingSettings, options),
        options.out,
        name=options.name,
        graph=graph,
        credit=credit(data.target) if options.credit is None else options.credit,
        also=also,
        progress=not options.quiet,
    )
    _print_measured(model.card.name, {"accuracy": model.card.accuracy, "faithfulness": model.card.faithfulness})
    print(f"written to {options.out} after {model.card.training['seconds']} s")
    return 0


def _convert(options) -> int:
    from .model import LOGIT
    from .original import convert
    from .targets import describe_target

    model = convert(
        options.file,
        describe_target(options.target, options.unit),
        name=options.name or options.out.resolve().name,
        atom_init=options.atom_init,
        truncate=options.truncate,
        neighbours=options.neighbours,
        reference=options.reference,
    )
    target = model.card.target
    if options.unit and target.unit == LOGIT:
        raise ValueError(f"{options.file.name} is a classifier, whose output is a {LOGIT}; leave out --unit")
    model.save(options.out)
    shells = f"exactly {options.neighbours} neighbours" if options.truncate else "whole neighbour shells"
    print(f"{target.label}{f' ({target.unit})' if target.unit else ''}, {shells}, {len(model.card.elements)} elements")
    if not target.unit:
        print("the unit is not known; give it with --unit", file=sys.stderr)
    print(f"written to {options.out}")
    return 0


def _settings(kind, options):
    """The settings of a kind, from the options that were given."""
    given = {f.name: getattr(options, f.name, None) for f in fields(kind)}
    return kind(**{name: value for name, value in given.items() if value is not None})
