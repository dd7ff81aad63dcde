"""What was measured of a model, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Model


def report(model: Model, found: dict) -> str:
    """Everything in `found`, the fields of a card, in lines."""
    unit = model.card.target.unit
    lines = [f"{model.card.name}, on crystals of val unless said otherwise; energies in {unit}, contributions in eV"]
    for name, of in _PARTS.items():
        if found.get(name):
            lines += ["", name, *of(found[name])]
    return "\n".join(lines)


def accuracy_lines(found: dict) -> Iterator[str]:
    for split, e in found.items():
        yield f"  {split}: n {e['n']}   MAE {e['mae']:.4f}   RMSE {e['rmse']:.4f}   R2 {_number(e['r2'], 4)}"
        if "shift" in e:
            yield f"    with a constant shift of {e['shift']:+.4f}: MAE {e['mae shifted']:.4f}"
        if "quantiles" in e:
            yield "  absolute error below " + ", ".join(
                f"{v:.3f} for {100 * float(q):.0f} %" for q, v in e["quantiles"].items()
            )
            yield f"  MAE of the plain reference, a least-squares fit to the elements: {e['plain']:.3f}"


def faithfulness_lines(found: dict) -> Iterator[str]:
    for name, line in found.items():
        text = f"  {name:<17} r {line['r']:.3f}   slope {line['slope']:.3f}"
        text += f"   Spearman {line['spearman']:.3f}   rmse {line['rmse']:.3f}" if "rmse" in line else ""
        for yardstick, words in (("best", "best"), ("plain", "least-squares fit")):
            if f"{yardstick} r" in line:
                text += f"   {words} r {line[f'{yardstick} r']:.3f}, slope {line[f'{yardstick} slope']:.3f}"
        yield f"{text}   n {line['n']}"


def _comparison(found: dict) -> Iterator[str]:
    for name, of in found.items():
        yield f"  {name}"
        for line in [*accuracy_lines(of["accuracy"]), *faithfulness_lines(of["faithfulness"])]:
            yield f"  {line}"


def _calibration(found: dict) -> Iterator[str]:
    yield f"  spread over the members times {found['scale']:.3f} is the error bar of an energy"
    for sds, normal in ((1, 0.683), (2, 0.954)):
        before, after = found[f"coverage {sds} sd"]
        yield f"  within {sds} sd: {before:.3f} before, {after:.3f} after (a normal distribution: {normal})"
    yield f"  contributions: {found['contributions']}"


def _gauge(found: dict) -> Iterator[str]:
    yield f"  {found['note']}"


def _agreement(found: dict) -> Iterator[str]:
    for role, e in found.items():
        yield (
            f"  {role:<9} Spearman of {e['elements']} elements {_number(e['spearman'])}   r of sites {_number(e['r'])}"
            f"   sd {e['sd']:.3f}, spread over elements {e['spread']:.3f}, ratio {_number(e['ratio'])}"
        )


def _domain(found: dict) -> Iterator[str]:
    val = found["val"]
    text = f"  warned of {100 * val['warned']:.1f} % of val"
    if "mae warned" in val:
        text += f": MAE {val['mae warned']:.4f}, of the others {val['mae others']:.4f}"
    yield text


def _sanity(found: dict) -> Iterator[str]:
    for name, e in found.items():
        verdict = "" if "passed" not in e else ", passed" if e["passed"] else ", NOT passed"
        yield f"  {name}{verdict}"
        values = {k: v for k, v in e.items() if k not in ("passed", "replaced", "ranked", "random")}
        yield "    " + "   ".join(f"{k} {_value(v)}" for k, v in values.items())


def _tradeoff(found: dict) -> Iterator[str]:
    for point in found["points"]:
        yield f"  {point['name']:<30} MAE {point['mae']:.4f}   booked wrongly {_number(point['booked'])} eV"
    if found["why"]:
        yield f"  {found['why']}"


def _value(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items())
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


_PARTS = {
    "accuracy": accuracy_lines,
    "faithfulness": faithfulness_lines,
    "comparison": _comparison,
    "calibration": _calibration,
    "gauge": _gauge,
    "agreement": _agreement,
    "domain": _domain,
    "sanity": _sanity,
    "tradeoff": _tradeoff,
}
