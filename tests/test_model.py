"""Model folders: written whole, read back the same, and refused in a sentence."""

import json
from dataclasses import replace

import pytest
import torch
from builders import perovskite, small_model

from cgcnn.contributions import explain, structure_graph
from cgcnn.graph import PackedGraphs
from cgcnn.model import (
    ATLAS,
    BUNDLED,
    WEIGHTS,
    Card,
    ModelError,
    bundled,
    checksum,
    load_model,
    note_checksums,
    read_checked,
    update_card,
)


def test_saved_and_loaded_again(tmp_path):
    model = small_model("gated")
    model.save(tmp_path / "small")
    assert sorted(p.name for p in (tmp_path / "small").iterdir()) == ["card.json", "weights.safetensors"]
    loaded = load_model(tmp_path / "small")
    assert replace(loaded.card, files={}) == model.card and set(loaded.card.files) == {"weights.safetensors"}
    assert loaded.hash == model.hash and len(loaded.hash) == 12
    (one,), (other,) = explain(model, [perovskite()]), explain(loaded, [perovskite()])
    assert one.energy == pytest.approx(other.energy, abs=1e-6)


def test_hash_follows_the_weights():
    model, other = small_model("linear"), small_model("linear")
    assert model.hash == other.hash
    other.members[0].head.out.bias.add_(1e-4)
    assert replace(other).hash != model.hash


def test_single_and_double_precision_agree():
    for card in bundled():
        double = explain(load_model(card.name), [perovskite()])[0]
        single = explain(load_model(card.name, torch.float32), [perovskite()])[0]
        assert single.contribution == pytest.approx(double.contribution, abs=1e-4)


def test_cards_survive_their_file(tmp_path):
    for card in bundled():
        card.write(tmp_path / "card.json")
        assert Card.read(tmp_path / "card.json") == card


def test_update_card(tmp_path):
    small_model("linear").save(tmp_path)
    update_card(tmp_path, accuracy={"val": {"mae": 0.5}})
    assert load_model(tmp_path).card.mae == 0.5


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no model 'nothing'"):
        load_model("nothing")
    small_model("linear").save(tmp_path)
    update_card(tmp_path, files={})  # as older cards are
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="do not fit the card"):
        load_model(tmp_path)
    small_model("gated").save(tmp_path / "other")
    (tmp_path / "weights.safetensors").write_bytes((tmp_path / "other" / "weights.safetensors").read_bytes())
    with pytest.raises(ModelError, match="do not fit the card"):
        load_model(tmp_path)
    (tmp_path / "card.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(ModelError, match="not a model card"):
        load_model(tmp_path)


def test_bundled_cards_say_what_they_must():
    """Data, split, parameters, epochs, seconds, accuracy, credit; and contributions on the atoms that cause them."""
    cards = {card.head: card for card in bundled() if card.family == "perovskite"}
    assert set(cards) == {"gated", "linear"}
    for card in cards.values():
        assert card.name == f"perovskite-{card.head}" and card.family == "perovskite"
        assert card.mae < 0.034 and card.parameters > 0 and card.training["seconds"] > 0
        assert card.data["split"] == {"train": 11266, "val": 3890} and "Castelli" in card.data["credit"]
        assert len(card.elements) == 56 and set(card.reference) == {"A", "B", "X"}
        assert card.members == 5 and all(len(values) == card.members for values in card.reference.values())
        assert card.training["shapley"] > 0
        for name in ("elements A", "elements B", "anion sets"):
            line = card.faithfulness[name]
            assert line["r"] >= 0.99 and 0.95 <= line["slope"] <= 1.05
        without = card.comparison["without the loss"]
        assert card.mae <= 1.03 * without["accuracy"]["val"]["mae"]


@pytest.mark.parametrize("head", ["linear", "gated"])
def test_a_batch_gives_the_numbers_of_one_crystal_at_a_time(crystals, head):
    model = small_model(head)
    many = [*crystals.values()] * 12 + [perovskite() * (4, 4, 4), perovskite()]
    graphs = PackedGraphs.from_graphs(structure_graph(c, model.graph_settings) for c in many)
    batch = graphs.select()
    energies, sites = model.energies_and_contributions(batch)
    single = [model.energies_and_contributions(graphs.select([i])) for i in range(len(many))]
    assert torch.allclose(energies, torch.cat([e for e, _ in single], dim=1), atol=1e-10)
    assert torch.allclose(sites, torch.cat([s for _, s in single], dim=1), atol=1e-10)
    assert torch.allclose(model.energies(batch), energies, atol=1e-12)


def test_damaged_and_missing_files_are_named(tmp_path):
    """One flipped bit is enough; the sentence names the file and the way out."""
    small_model("linear").save(tmp_path)
    weights = tmp_path / WEIGHTS
    whole = weights.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for content in (bytes(flipped), whole[: len(whole) // 2], b""):
        weights.write_bytes(content)
        with pytest.raises(ModelError, match=f"{weights} is damaged: its checksum.*; copy the whole folder again"):
            load_model(tmp_path)
    weights.unlink()
    with pytest.raises(ModelError, match=f"{weights} cannot be read .No such file.*; copy the whole folder again"):
        load_model(tmp_path)
    weights.write_bytes(whole)
    assert load_model(tmp_path).card.files == {WEIGHTS: checksum(whole)}


def test_checksums_are_noted_where_a_card_lacks_them_and_never_replaced(tmp_path):
    small_model("linear").save(tmp_path)
    update_card(tmp_path, files={})
    (tmp_path / ATLAS).write_bytes(b"atlas")
    assert note_checksums(tmp_path) == [WEIGHTS, ATLAS] and note_checksums(tmp_path) == []
    (tmp_path / ATLAS).write_bytes(b"another")
    with pytest.raises(ModelError, match=f"{ATLAS} is damaged.*write it again with `python -m cgcnn atlas`"):
        note_checksums(tmp_path)


def test_bundled_files_are_those_of_their_cards():
    for card in bundled():
        assert set(card.files) == {WEIGHTS, ATLAS}
        for name in card.files:
            assert read_checked(BUNDLED / card.name, card, name)


def test_a_broken_card_does_not_hide_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("cgcnn.model.BUNDLED", tmp_path)
    small_model("linear").save(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "card.json").write_text("{")
    broken = []
    assert [card.name for card in bundled(broken)] == ["small"]
    assert "bad/card.json is not a model card" in str(broken[0])
    with pytest.raises(ModelError, match="bad/card.json"):
        bundled()
    with pytest.raises(ModelError, match="no model 'other'; bundled are: small"):
        load_model("other")
