"""Places of the elements."""

from cgcnn.periodic import ELEMENTS, by_mendeleev_number, element_name, place


def test_every_element_has_a_place_of_its_own():
    assert len({place(e) for e in ELEMENTS}) == len(ELEMENTS) == 103
    assert [place(e) for e in ("H", "He", "Ti", "La", "Ce", "Lu", "Hf", "Th", "Lr")] == [
        (1, 1), (18, 1), (4, 4), (3, 6), (4, 8), (17, 8), (4, 6), (4, 9), (17, 9)
    ]  # fmt: skip


def test_alike_elements_are_neighbours_by_mendeleev_number():
    assert by_mendeleev_number(["O", "Ti", "Cs", "Zr", "K", "Hf", "S"]) == ["Cs", "K", "Zr", "Hf", "Ti", "S", "O"]
    assert len(by_mendeleev_number(ELEMENTS)) == 103 and element_name("Ti") == "Titanium"
