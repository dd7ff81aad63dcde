"""A model's card -> what there is to say of it: checks with their verdicts, faithfulness, trade-off, published errors.

Everything here is read off `card.json`; nothing needs the weights or data. Fields that an older card lacks are left
out.
"""

from __future__ import annotations

from dataclasses import dataclass

from .model import Card

# Mean absolute errors of others on the same energies, each on a split of its own. {column of the target: [(name, MAE)]}
# Paper: Xie and Grossman (2018); matbench: leaderboard of matbench_perovskites, five folds.
PUBLISHED = {
    "heat_of_formation_per_atom": (
        ("linear pooling (paper)", 0.130),
        ("CGCNN (paper)", 0.099),
        ("CGCNN (matbench)", 0.0452),
        ("coGN (matbench, best)", 0.0269),
    ),
}

# What is asked of the figures below; shown beside them.
LEAST_AGREEMENT = {"A": 0.98, "B": 0.99}
LEAST_R, SLOPES = 0.99, (0.95, 1.05)

FAITHFULNESS_NAMES = {
    "elements A": "elements on A",
    "elements B": "elements on B",
    "anion sets": "anion sets",
    "pairs A": "swaps on A",
    "pairs B": "swaps on B",
    "pairs anion sets": "swaps of the anions",
    "exchanges": "exchanges of one element",
}
FAITHFULNESS_MEANING = {
    "elements A": "mean contribution of each element, against five times its coefficient in an A + B + X fit to DFT",
    "elements B": "the same on B",
    "anion sets": "mean of the sum of the three X, against the same fit",
    "pairs A": "two unseen crystals that differ in A: change of that site's contribution against the true difference",
    "pairs B": "the same on B",
    "pairs anion sets": "two unseen crystals with the same A and B: change of the sum of the three X",
    "exchanges": "two unseen crystals of one structure that differ in one element, per exchanged atom",
}


@dataclass(frozen=True)
class Check:
    """One line of the table of checks: what, its value, what it means; passed is None where nothing is asked of it."""

    name: str
    value: str
    meaning: str
    passed: bool | None = None


@dataclass(frozen=True)
class Faithful:
    """Booked against true, one line of the figure: r and slope of this model, and of what it is compared with.

    without: trained without a loss on contributions; best: what any split of the true energies can have
    plain: least-squares fit to the compositions
    """

    name: str
    meaning: str
    r: float
    slope: float
    without: tuple[float, float] | None = None
    best: tuple[float, float] | None = None
    plain: tuple[float, float] | None = None


def faithfulness_lines(card: Card) -> list[Faithful]:
    """What of `FAITHFULNESS_NAMES` the card knows."""
    without = card.comparison.get("without the loss", {}).get("faithfulness", {})
    found = []
    for key, name in FAITHFULNESS_NAMES.items():
        line = card.faithfulness.get(key)
        if not line:
            continue
        other = without.get(key)
        found.append(
            Faithful(
                name,
                FAITHFULNESS_MEANING[key],
                line["r"],
                line["slope"],
                (other["r"], other["slope"]) if other else None,
                *(
                    (line[f"{name} r"], line[f"{name} slope"]) if f"{name} r" in line else None
                    for name in ("best", "plain")
                ),
            )
        )
    return found


def checks(card: Card) -> list[Check]:
    """The trust checks that the card has figures for."""
    return [
        *_faithfulness_checks(card),
        *_calibration_checks(card),
        *_agreement_checks(card),
        *_sanity_checks(card),
        *_domain_checks(card),
    ]


def _faithfulness_checks(card: Card) -> list[Check]:
    found = []
    for key in ("elements A", "elements B", "anion sets"):
        line = card.faithfulness.get(key)
        if line:
            low, high = SLOPES
            good = line["r"] >= LEAST_R and low <= line["slope"] <= high
            asked = f"booked on the atom that causes it; asked: r from {LEAST_R}, slope {low} to {high}"
            found.append(
                Check(
                    f"Faithful: {FAITHFULNESS_NAMES[key]}", f"r {line['r']:.3f}, slope {line['slope']:.2f}", asked, good
                )
            )
    line = card.faithfulness.get("exchanges")
    if line:
        found.append(
            Check(
                "Faithful: exchanges of one element",
                f"r {line['r']:.3f}, slope {line['slope']:.2f}",
                f"true difference that is booked on the exchanged atoms; {line['n']:,} pairs of one structure",
            )
        )
    return found


def _calibration_checks(card: Card) -> list[Check]:
    c = card.calibration
    if not c:
        return []
    return [
        Check(
            "Error bars of energies",
            f"{100 * c['coverage 1 sd'][1]:.0f} % and {100 * c['coverage 2 sd'][1]:.0f} %",
            f"of crystals within 1 and 2 sd (normal: 68 and 95), after one factor of {c['scale']:.2f} on the spread "
            f"over the networks; without it {100 * c['coverage 1 sd'][0]:.0f} and {100 * c['coverage 2 sd'][0]:.0f} %",
        ),
        Check("Error bars of contributions", "not scaled", "no DFT counterpart to calibrate them on: the plain spread"),
    ]


def _agreement_checks(card: Card) -> list[Check]:
    found = []
    for role, line in card.agreement.items():
        if line.get("spearman") is None:
            continue
        least = LEAST_AGREEMENT.get(role)
        asked = f"; asked: from {least}" if least else ""
        found.append(
            Check(
                f"Networks agree: {'elements on ' + role if role in 'ABX' else 'elements'}",
                f"ρ {line['spearman']:.3f}",
                f"rank correlation of element means between two networks{asked}. sd of a site {line['sd']:.2f} eV, "
                f"spread over elements {line['spread']:.2f} eV",
                None if least is None else line["spearman"] >= least,
            )
        )
    return found


def _by_role(values: dict[str, float], symbol: str) -> str:
    known = {role: v for role, v in values.items() if v is not None}
    if set(known) == {"all sites"}:
        return f"{symbol} {_number(known['all sites'])}"
    return f"{symbol} " + ", ".join(f"{role} {_number(v)}" for role, v in known.items())


def _number(value: float) -> str:
    """Two digits and a real minus."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _sanity_checks(card: Card) -> list[Check]:
    s, found = card.sanity, []
    if line := s.get("randomised weights"):
        found.append(
            Check(
                "Randomised weights",
                _by_role(line["spearman"], "ρ"),
                "rank correlation of element means with untrained networks; asked: below 0.5 in size on A and B",
                line["passed"],
            )
        )
    if line := s.get("shuffled labels"):
        found.append(
            Check(
                "Shuffled labels",
                _by_role(line["spearman"], "ρ"),
                "the same with a network trained on energies in random order; asked: below 0.5 in size on A and B",
                line["passed"],
            )
        )
    if line := s.get("rattled by 0.01 Å"):
        found.append(
            Check(
                "Rattled by 0.01 Å",
                f"{100 * line['share']:.1f} %",
                "of contributions change by less than their error bar; asked: from 95 %",
                line["passed"],
            )
        )
    if line := s.get("substitution"):
        found.append(
            Check(
                "Atoms replaced by rank",
                f"{line['area']:.2f}, {100 * line['better']:.0f} %",
                "area under the curve below against random orders, and share of crystals where it is smaller; "
                "asked: below 1, above 50 %",
                line["passed"],
            )
        )
    if line := s.get("both heads"):
        found.append(
            Check(
                "Both heads agree",
                _by_role(line["r"], "r"),
                f"contributions of single sites against {line['other']}; asked: from 0.9 on A and B",
                line["passed"],
            )
        )
    return [*found, *_chemistry_checks(card)]


def _chemistry_checks(card: Card) -> list[Check]:
    s, found = card.sanity, []
    if line := s.get("ground states"):
        worst = ", ".join(f"{symbol} {_number(value)}" for symbol, value in line["worst"].items())
        found.append(
            Check(
                "Elements are at zero",
                f"{100 * line['share']:.0f} %",
                f"of the ground states of {line['elements']} elements have an energy within 0.1 of 0, as they should; "
                f"farthest off: {worst}; asked: from 90 %",
                line["passed"],
            )
        )
    if line := s.get("anions"):
        mean = ", ".join(f"{symbol} {_number(value)}" for symbol, value in line["mean"].items())
        found.append(
            Check("Anions by electronegativity", "falls" if line["passed"] else "does not fall",
                  f"mean contribution in compounds, eV: {mean}; asked: more negative from Te to O and from I to F",
                  line["passed"])
        )  # fmt: skip
    return found


def _domain_checks(card: Card) -> list[Check]:
    val = card.domain.get("val")
    if not val:
        return []
    value = f"{100 * val['warned']:.1f} %"
    if "mae warned" not in val:
        return [Check("Warnings", value, "of unseen crystals are called unlike the training crystals")]
    return [
        Check(
            "Warnings",
            value,
            f"of unseen crystals are called unlike the training crystals; their MAE is {val['mae warned']:.3f}, "
            f"that of the others {val['mae others']:.3f}; asked: larger",
            val["mae warned"] > val["mae others"],
        )
    ]


@dataclass(frozen=True)
class TradeoffPoint:
    """A training: its MAE, and how far what it books on an element is from the true effect, eV (root mean square).

    label: its losses on contributions, in short; note: all that tells it from the others
    """

    name: str
    mae: float
    booked: float
    shipped: bool
    label: str
    note: str


def tradeoff_points(card: Card) -> list[TradeoffPoint]:
    """The points on the card; of a card without them this model and the training without the loss."""
    points = card.tradeoff.get("points")
    if points:
        return [
            TradeoffPoint(p["name"], p["mae"], p["booked"], i == 0, _label(p, i == 0), _settings_note(p, card.head))
            for i, p in enumerate(points)
            if p.get("booked") is not None
        ]
    found = []
    without = card.comparison.get("without the loss", {})
    for name, lines, mae, shipped in (
        (card.name, card.faithfulness, card.mae, True),
        ("without the loss", without.get("faithfulness", {}), _mae(without), False),
    ):
        booked = booked_error(lines)
        if booked is not None and mae is not None:
            training = card.training if shipped else {}
            found.append(TradeoffPoint(name, mae, booked, shipped, _label(training, shipped), loss_note(training)))
    return found


def booked_error(faithfulness: dict) -> float | None:
    """Root mean square of what is booked on an element beyond or below its true effect, eV.

    Over the elements on A and B and the anion sets; over exchanges of one element where there is no factorial.
    """
    lines = [faithfulness[key] for key in ("elements A", "elements B", "anion sets") if key in faithfulness]
    lines = [line for line in lines or [faithfulness.get("exchanges", {})] if line.get("rmse") is not None]
    n = sum(line["n"] for line in lines)
    return (sum(line["n"] * line["rmse"] ** 2 for line in lines) / n) ** 0.5 if n else None


def _mae(found: dict) -> float | None:
    return found.get("accuracy", {}).get("val", {}).get("mae")


def loss_note(training: dict) -> str:
    """The losses on contributions of a training, with their weights."""
    parts = [
        f"{name} {training[key]:g}"
        for key, name in (("shapley", "Shapley"), ("swap_consistency", "swap consistency"))
        if training.get(key)
    ]
    return ", ".join(parts) or "no loss on contributions"


def _label(training: dict, shipped: bool) -> str:
    return "this model" if shipped else loss_note(training).removesuffix(" on contributions")


def _settings_note(point: dict, head: str) -> str:
    """What tells a point from the others; its head only where it is not that of the card."""
    members = point.get("members", 1)
    parts = [
        loss_note(point),
        f"{point.get('epochs', 0)} epochs",
        f"{members} network{'s' if members > 1 else ''}",
    ]
    own = point.get("head", head)
    return ", ".join(parts if own == head else [own, *parts])


@dataclass(frozen=True)
class Comparison:
    """One error of the comparison. ours: a bundled model; chosen: the one that is looked at"""

    name: str
    mae: float
    ours: bool
    chosen: bool = False


def compared_errors(card: Card, cards: list[Card]) -> list[Comparison]:
    """Errors on the same target, the largest first: the plain reference, the published ones, the bundled models."""
    found = [Comparison(name, mae, False) for name, mae in PUBLISHED.get(card.target.name, ())]
    plain = card.accuracy.get("val", {}).get("plain")
    if plain is not None:
        found.append(Comparison("least-squares fit to the elements", plain, False))
    for other in cards:
        if other.target.name == card.target.name and other.accuracy.get("val"):
            found.append(Comparison(other.name, other.mae, True, other.name == card.name))
    return sorted(found, key=lambda entry: -entry.mae)
