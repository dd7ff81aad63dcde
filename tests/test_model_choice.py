"""Which family of models is taken for which crystal."""

import pytest
from builders import perovskite

from cgcnn.model import Card, Target
from cgcnn.model_choice import fitting_family


def cards(*families: str) -> dict[str, Card]:
    target = Target("energy", "energy", "energy", "eV/atom")
    return {
        name: Card(f"{name}-linear", name, "linear", target, {}, {}, elements=("Sr", "Ti", "O", "Na", "Cl"))
        for name in families
    }


def test_perovskites_go_to_the_perovskite_models():
    assert fitting_family(perovskite(), cards("inorganic", "perovskite")).family == "perovskite"


def test_other_structures_go_to_the_general_models(crystals):
    choice = fitting_family(crystals["NaCl, conventional"], cards("inorganic", "perovskite"))
    assert choice.family == "inorganic" and "no ABX3" in choice.reason


def test_perovskites_of_unseen_elements_go_to_the_general_models():
    choice = fitting_family(perovskite("Ba", "Zr"), cards("inorganic", "perovskite"))
    assert choice.family == "inorganic" and "Ba, Zr" in choice.reason


@pytest.mark.parametrize("family", ["perovskite", "inorganic", "gap"])
def test_a_single_family_is_taken_for_everything(crystals, family):
    for structure in (None, *crystals.values()):
        assert fitting_family(structure, cards(family)).family == family
    doubtful = fitting_family(crystals["NaCl, conventional"], cards(family)).reason
    assert ("there is no other model" in doubtful) == (family == "perovskite")


def test_a_page_without_a_crystal_is_about_perovskites():
    assert fitting_family(None, cards("inorganic", "perovskite")).family == "perovskite"
    assert fitting_family(None, cards("inorganic", "gap")).family == "inorganic"
    with pytest.raises(ValueError, match="cgcnn train"):
        fitting_family(None, {})
