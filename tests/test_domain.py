"""Crystals unlike the training crystals are told in a sentence."""

from dataclasses import replace

import numpy as np
import pytest
from builders import perovskite, small_model, small_network
from factorial import factorial

from cgcnn.contributions import explain
from cgcnn.domain import describe_domain, doubts, read_domain, spread_limit


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained model whose card says that it was trained on a small factorial of edge 4.00 to 4.02 angstrom."""
    _, data = factorial(tmp_path_factory.mktemp("domain"), lambda a, b, x: 1.0)
    domain = describe_domain(data.graphs, data.roles.astype(int), data.volume)
    model = small_model("linear")
    card = replace(model.card, domain=domain, reference={"A": [0.0], "B": [0.0], "X": [0.0]})
    return replace(model, card=card)


def doubt(model, *elements, edge=4.01) -> str:
    return explain(model, [perovskite(*elements, edge=edge)])[0].doubt


def test_a_training_crystal_is_in_the_domain(model):
    assert doubt(model, "Sr", "Ti") == ""


def test_unseen_elements(model):
    assert doubt(model, "Sr", "Xe") == "Xe was never seen in training: the numbers are a guess."
    assert doubt(model, "Sr", "Ti", ("I", "I", "I")).startswith("I (iodine) was never seen")
    assert "Rn and Xe were never seen" in doubt(model, "Xe", "Rn") or "Xe and Rn were never" in doubt(model, "Xe", "Rn")


def test_an_element_on_another_site(model):
    assert "Sr was never on B in training" in doubt(model, "K", "Sr")


def test_another_kind_of_crystal(model, crystals):
    salt = crystals["NaCl, conventional"].copy()
    salt.replace_species({"Cl": "O"})
    assert "ABX3" in explain(model, [salt])[0].doubt


@pytest.mark.parametrize(("edge", "word", "percent"), [(3.6, "smaller", 27), (4.4, "larger", 32)])
def test_density(model, edge, word, percent):
    said = doubt(model, "Sr", "Ti", edge=edge)
    assert f"{word} in volume" in said
    assert abs(int(said.split(" %")[0].split()[-1]) - percent) <= 2


def test_a_short_bond(model):
    crystal = perovskite(edge=4.01)
    crystal.translate_sites([2], [0.0, 0.06, 0.0], frac_coords=True)
    crystal.translate_sites([2], [-0.06, 0.0, -0.06], frac_coords=True)
    said = explain(model, [crystal])[0].doubt
    assert "nearest neighbour" in said and "never closer than" in said and "Å" in said


def test_members_that_disagree(model):
    other = small_network("linear")
    other.head.out.weight.mul_(3.0)
    card = replace(model.card, domain={**model.card.domain, "spread": 1e-6})
    pair = replace(model, members=(model.members[0], other), card=card)
    assert "disagree more than on 98 %" in doubt(pair, "Sr", "Ti")
    wide = replace(pair, card=replace(card, domain={**card.domain, "spread": 1e6}))
    assert doubt(wide, "Sr", "Ti") == ""


def test_two_sentences_at_most(model):
    crystal = perovskite("K", "Sr", ("Ti", "Ti", "Ti"), edge=3.0)
    assert explain(model, [crystal])[0].doubt.count(".") <= 2 + 3  # two sentences, and numbers with points


def test_a_card_without_a_domain_still_names_elements():
    model = small_model("linear")
    old = replace(model, card=replace(model.card, elements=("Sr", "O")))
    assert read_domain(old.card.domain) is None
    assert doubt(old, "Sr", "Ti") == "Ti was never seen in training: the numbers are a guess."


def test_quick(model):
    import time

    crystal = perovskite() * (3, 3, 3)
    from cgcnn.contributions import structure_graph
    from cgcnn.graph import PackedGraphs

    graphs = PackedGraphs.from_graphs([structure_graph(crystal, model.graph_settings)])
    roles, volume = np.tile([0, 1, 2, 2, 2], 27), np.array([crystal.volume])
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        doubts(model, graphs, roles, volume, None)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 5e-3


def test_limit_of_the_spread():
    assert spread_limit(np.arange(101.0)) == pytest.approx(98)
