"""The models: how accurate they are, how far their contributions can be trusted, and what they were made from."""

from __future__ import annotations

import html

import streamlit as st

from cgcnn.cards import Check, checks, compared_errors, faithfulness_lines, loss_note, tradeoff_points
from cgcnn.model import Card
from cgcnn.plots import accuracy, trust
from pages.common import chosen_card, drawn, enter_through_app, families, is_dark, model_cards, plain
from pages.logs import log_failure

PLAIN_CHART = {"displayModeBar": False}
HEIGHT = 285  # px, of the figures in a row

STYLE = """<style>
.cg-facts { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1.1rem; line-height: 1.5;
  font-variant-numeric: tabular-nums; }
.cg-facts b { font-size: 1.6rem; font-weight: 600; }
.cg-facts .big { font-size: 1.25rem; font-weight: 600; white-space: nowrap; }
.cg-facts small { opacity: .72; font-weight: 400; }
.cg-checks { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
.cg-checks td { padding: .28rem .8rem .28rem 0; border: 0; border-top: 1px solid rgba(123, 133, 139, .25);
  vertical-align: baseline; }
.cg-checks td:nth-child(2) { white-space: nowrap; font-weight: 600; }
.cg-checks td:nth-child(3) { opacity: .75; }
.cg-checks td:nth-child(4) { white-space: nowrap; text-align: right; padding-right: 0; }
.cg-pass { color: #15803d; } .cg-fail { color: #c2410c; }
.cg-dark .cg-pass { color: #4ade80; } .cg-dark .cg-fail { color: #fb923c; }
@media (max-width: 640px) { .cg-checks tr { display: grid; grid-template-columns: 1fr auto; padding: .3rem 0;
  border-top: 1px solid rgba(123, 133, 139, .25); } .cg-checks td { border: 0; padding: 0 .5rem 0 0; }
  .cg-checks td:nth-child(2), .cg-checks td:nth-child(4) { text-align: right; padding: 0; white-space: normal; }
  .cg-checks td:nth-child(3) { grid-row: 2; } }
</style>"""


def chart(figure, key: str) -> None:
    st.plotly_chart(figure, theme=None, key=key, config=PLAIN_CHART)


def headline(card: Card) -> None:
    """What is predicted, how well, from which data; all of it text of our own or escaped."""
    unit = html.escape(card.target.unit)
    val = card.accuracy.get("val", {})
    facts = [f"<b>{html.escape(card.name)}</b>", f"<span>{html.escape(card.head)} pooling</span>"]
    if val:
        facts.append(f"<span class='big'>MAE {val['mae']:.4f} <small>{unit}</small></span>")
        facts.append(f"<span>RMSE {val['rmse']:.4f}</span><span>R² {val['r2']:.4f}</span>" if val.get("r2") else "")
        facts.append(f"<span><small>on {val['n']:,} crystals of val</small></span>")
    for name, other in card.accuracy.items():
        if name != "val" and "mae" in other:
            shifted = f" <small>({other['mae shifted']:.4f} after a constant shift)</small>" if "shift" in other else ""
            facts.append(f"<span><small>{html.escape(name)}: MAE</small> {other['mae']:.4f}{shifted}</span>")
    st.html(f"{STYLE}<div class='cg-facts'>{''.join(facts)}</div>")
    split = card.data.get("split", {})
    told = [
        f"Predicts **{plain(card.target.short)}**, {plain(card.target.label)}, {plain(card.target.unit)}",
        f"{card.members} network{'s' if card.members > 1 else ''} of {card.parameters:,} parameters",
    ]
    if split:
        told.append("trained on {:,} crystals, validated on {:,}".format(split.get("train", 0), split.get("val", 0)))
    if card.elements:
        told.append(f"{len(card.elements)} elements")
    facts, more = st.columns([14, 1], vertical_alignment="center")
    facts.caption(" · ".join(told))
    with more.popover("?", type="tertiary", help="Data, credit and settings"):
        st.markdown(made_of(card))


def made_of(card: Card) -> str:
    """Data, credit and settings of the training as Markdown."""
    training, network = card.training, card.network
    lines = [
        f"**Data** {plain(str(card.data.get('file', 'unknown')))}. {plain(card.data.get('credit', ''), links=True)}",
        "**Split** by reduced formula; `val` also decided when to stop the training.",
        f"**Network** {network.get('convolutions')} convolutions ({network.get('form')}) of {network.get('width')} "
        f"features, {card.graph.get('neighbours')} neighbours and the rest of their shell.",
    ]
    if training:
        lines.append(
            f"**Training** {training.get('epochs')} epochs, learning rate {training.get('learning_rate')}, "
            f"{loss_note(training)}, {training.get('seconds', 0) / 60:.0f} minutes."
        )
    if card.gauge:
        lines.append(f"**Zero of contributions** {plain(card.gauge['note'])}")
    return "\n\n".join([*lines, plain(card.citation, links=True)])


def accuracy_row(card: Card) -> None:
    """Parity, learning curves, error bars."""
    unit, val = card.target.unit, card.accuracy.get("val", {})
    curves = card.training.get("validation MAE by epoch")
    figures = []
    if "parity" in val:
        quantiles = val.get("quantiles", {})
        below = ", ".join(f"{100 * float(q):.0f} % below {v:.3f}" for q, v in quantiles.items() if q in ("0.5", "0.95"))
        figures.append(
            (
                drawn(accuracy.parity_map, val["parity"], unit, height=HEIGHT),
                f"Prediction against DFT. Error: {below}",
            )
        )
    if curves:
        figures.append(
            (drawn(accuracy.learning_curves, curves, unit, height=HEIGHT), "Error on val during the training")
        )
    c = card.calibration
    if c:
        figure = drawn(accuracy.calibration_plot, c["sd"], c["error"], unit, height=HEIGHT)
        covered = f"{100 * c['coverage 1 sd'][1]:.0f} % within 1 sd, {100 * c['coverage 2 sd'][1]:.0f} % within 2"
        figures.append((figure, f"Error bars against errors: {covered}"))
    for column, (i, (figure, caption)) in zip(st.columns(max(1, len(figures))), enumerate(figures), strict=False):
        with column:
            chart(figure, f"accuracy {i} {card.name}")
            st.caption(caption)


def trust_row(card: Card) -> None:
    """Booked against true, and what it costs."""
    lines, points = faithfulness_lines(card), tradeoff_points(card)
    if not lines:
        return
    left, right = st.columns([1.75, 1]) if len(points) > 1 else (st.container(), None)
    with left:
        st.markdown("##### Is it booked on the atom that causes it?")
        figure = drawn(
            trust.booked_against_true, [line.name for line in lines], [(line.r, line.slope) for line in lines],
            [line.without for line in lines], [line.best for line in lines], [line.plain for line in lines],
            height=HEIGHT + 20 if len(lines) > 2 else 160,
        )  # fmt: skip
        chart(figure, f"booked {card.name}")
        meaning = "\n".join(f"- **{line.name}**: {line.meaning}" for line in lines)
        words, more = st.columns([12, 1], vertical_alignment="center")
        words.caption("1 and 1: every effect stands on the atom that has it. Measured on crystals not trained on.")
        with more.popover("?", type="tertiary"):
            best = (
                "Where A and B interact, no swap can have the whole of the pair term. *Best possible* splits every "
                "pair term of the DFT energies in halves (Shapley values); a head can do better on one site only by "
                "doing worse on another."
            )
            unknown = "What part of a difference could stand on the exchanged atoms at best is not known here."
            st.markdown(f"{meaning}\n\n{best if any(line.best for line in lines) else unknown}")
    if right is None:
        return
    with right:
        st.markdown("##### What faithfulness costs")
        figure = drawn(
            trust.tradeoff_plot, [p.mae for p in points], [p.booked for p in points], [p.shipped for p in points],
            [p.label for p in points], [p.name for p in points], [p.note for p in points], card.target.unit,
            height=HEIGHT + 20,
        )  # fmt: skip
        chart(figure, f"tradeoff {card.name}")
        why = card.tradeoff.get("why")
        st.caption(plain(why) if why else "Low and left is better; filled: the model that is shipped.")


def check_table(found: list[Check]) -> str:
    rows = []
    for check in found:
        verdict = "" if check.passed is None else "cg-pass" if check.passed else "cg-fail"
        word = {"": "", "cg-pass": "✓ passed", "cg-fail": "✗ not passed"}[verdict]
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in (check.name, check.value, check.meaning))
        rows.append(f"<tr>{cells}<td class='{verdict}'>{word}</td></tr>")
    return f"<div class='{'cg-dark' if is_dark() else ''}'><table class='cg-checks'>{''.join(rows)}</table></div>"


def checks_row(card: Card) -> None:
    found = checks(card)
    if not found:
        st.caption(
            "The trust measurements of this model have not been made: "
            f"`python -m cgcnn evaluate DATASET --model {card.name} --trust --write-card` makes them."
        )
        return
    st.markdown("##### Checks")
    st.html(check_table(found))


def last_row(card: Card) -> None:
    """Errors of others; the substitution curve."""
    entries = compared_errors(card, model_cards())
    curve = card.sanity.get("substitution")
    columns = iter(st.columns([1.75, 1]) if curve else [st.container()])
    if len(entries) > 1:
        with next(columns):
            st.markdown("##### Among others")
            figure = drawn(
                accuracy.compared_errors, [e.name for e in entries], [e.mae for e in entries],
                [e.ours for e in entries], [e.chosen for e in entries], card.target.unit, height=HEIGHT,
            )  # fmt: skip
            chart(figure, f"others {card.name}")
            st.caption(
                "Filled: models that come with this software, on val. Open: the paper (Xie and Grossman 2018) and "
                "matbench, each on a split of its own."
            )
    if curve:
        with next(columns):
            st.markdown("##### Atoms replaced by average ones")
            figure = drawn(trust.substitution_plot, curve["replaced"], curve["ranked"], curve["random"], height=HEIGHT)
            chart(figure, f"substitution {card.name}")
            st.caption("Falls faster than at random: the ranking says which atoms make the energy.")


def main() -> None:
    card = chosen_card()
    headline(card)
    accuracy_row(card)
    trust_row(card)
    checks_row(card)
    last_row(card)
    others = [c for members in families().values() for c in members.values() if c.name != card.name]
    if others:
        st.caption("Other models: " + ", ".join(plain(c.name) for c in others) + "; choose them in the sidebar.")


try:
    enter_through_app()
    main()
except Exception as error:  # a page never shows a traceback; st.stop and reruns are no Exceptions
    log_failure("models page", error)
    st.error("The card of this model could not be shown; the log on the terminal has the details.")
