"""The 18,928 ABX3: built, scored, compared with data sets."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from builders import small_model
from test_scoring import write_ensemble

from cgcnn.contributions import explain
from cgcnn.datasets import DatasetError, load_dataset
from cgcnn.graph import build_graph
from cgcnn.model import Card, load_model
from cgcnn.perovskite import lattice, scores, site_roles
from cgcnn.perovskite.__main__ import main
from cgcnn.perovskite.checking import check_roles
from cgcnn.perovskite.labels import built_cell_accuracy, dataset_rows, fit_lattice, space_labels
from cgcnn.perovskite.lattice import ANION_SETS, ELEMENTS, LatticeModel, fit_lattice_model
from cgcnn.perovskite.scores import scored_space, space_scores
from cgcnn.perovskite.space import (
    PROTOTYPE,
    SIZE,
    build_space,
    formulas,
    space_graphs,
    space_index,
    space_structure,
)

SUBSET = 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def written(tmp_path):
    """Some crystals of the space as a data set: energies that rise, one crystal with its sites shuffled."""
    table = build_space().gather(np.linspace(0, SIZE - 1, SUBSET).astype(int))
    table = table.with_columns(
        energy=np.linspace(-1, 1, SUBSET), split=np.where(np.arange(SUBSET) % 4 == 0, "val", "train")
    ).select("material_id", "lattice", "atomic_numbers", "frac_coords", "energy", "split")
    rows = table.rows(named=True)
    order = [3, 1, 4, 0, 2]
    rows[7]["atomic_numbers"] = [rows[7]["atomic_numbers"][i] for i in order]
    rows[7]["frac_coords"] = PROTOTYPE[order].ravel().tolist()
    pl.DataFrame(rows, schema=table.schema).write_parquet(tmp_path / "some.parquet")
    return tmp_path / "some.parquet"


def test_the_space():
    assert SIZE == 52 * 52 * 7 == 18_928 == len(build_space()) == len(set(formulas()))
    table = build_space()
    edge = table["edge"].to_numpy()
    assert 3 < edge.min() < edge.max() < 6
    row = table.filter(formula="SrTiO3")
    assert row["atomic_numbers"].to_list() == [[38, 22, 8, 8, 8]]
    assert abs(row["edge"].item() - 3.94) < 0.05  # revised PBE lattice constant of Castelli et al.
    for i in (0, 5000, SIZE - 1):
        numbers, matrix = table["atomic_numbers"][i].to_numpy(), table["lattice"][i].to_numpy().reshape(3, 3)
        assert site_roles(matrix, numbers, PROTOTYPE) == ["A", "B", "X", "X", "X"]
        a, b, x = ELEMENTS.index(table["a"][i]), ELEMENTS.index(table["b"][i]), list(ANION_SETS).index(table["x"][i])
        assert space_index(a, b, x) == i


def test_graphs_are_those_of_the_cells():
    settings = small_model("linear").graph_settings
    rows = np.array([3, 9999, 18_000])
    table = build_space()
    packed = space_graphs(settings, rows).arrays()
    graphs = [
        build_graph(
            table["lattice"][int(i)].to_numpy(), table["atomic_numbers"][int(i)].to_numpy(), PROTOTYPE, settings
        )
        for i in rows
    ]
    for name in ("atomic_numbers", "centre", "neighbour", "distance", "weight"):
        np.testing.assert_allclose(packed[name], np.concatenate([getattr(g, name) for g in graphs]))


@pytest.fixture
def few(cache, monkeypatch) -> np.ndarray:
    """Rows of the crystals that are the whole space meanwhile, as all take seconds."""
    rows = np.linspace(0, SIZE - 1, SUBSET).astype(int)
    monkeypatch.setattr(scores, "build_space", lambda: build_space()[rows])
    scores._space_table.cache_clear()
    yield rows
    scores._space_table.cache_clear()


@pytest.mark.parametrize("head", ["linear", "gated"])
def test_scores_of_the_space(few, tmp_path, head):
    """Two members that know roles: the table says what `explain` does, and is scored once."""
    model, calls = load_model(write_ensemble(tmp_path / "model", head)), []
    table = scored_space(model, lambda done, of: calls.append((done, of)))
    assert calls[-1] == (SUBSET, SUBSET)
    assert table["formula"].to_list() == formulas()[few].tolist()
    for row in table[::13].iter_rows(named=True):
        (found,) = explain(model, [space_structure(row["formula"])])
        assert row["energy"] == pytest.approx(found.energy, abs=1e-5)
        assert row["sd"] == pytest.approx(found.energy_sd, abs=1e-5)
        for role, sites in (("a", [0]), ("b", [1]), ("x", [2, 3, 4])):
            assert row[f"raw_{role}"] == pytest.approx(found.contribution[sites].mean(), abs=2e-5)
            assert row[f"contribution_{role}"] == pytest.approx(found.relative[sites].mean(), abs=2e-5)
            assert np.mean(row[f"members_{role}"]) == pytest.approx(row[f"contribution_{role}"])
            assert np.std(row[f"members_{role}"], ddof=1) == pytest.approx(row[f"sd_{role}"])
    calls.clear()
    assert scored_space(model, lambda done, of: calls.append((done, of))).equals(table)
    found = space_scores(model)
    assert not calls and found.crystals.collect()["material_id"].to_list() == table["formula"].to_list()
    assert found.crystals.collect()["perovskite"].all() and found.target is None


def test_scores_of_a_model_of_one_without_roles(few, tmp_path):
    small_model("linear").save(tmp_path / "model")
    table = scored_space(load_model(tmp_path / "model"))
    relative = table["contribution_a"] + table["contribution_b"] + 3 * table["contribution_x"]
    np.testing.assert_allclose(relative, 0, atol=1e-4)
    assert table["sd"].is_null().all() and table["sd_a"].is_null().all() and table["members_a"].list.len().max() == 1


def test_membership_by_roles_then_by_order(written, cache):
    data = load_dataset(written)
    crystals, rows = dataset_rows(data)
    assert crystals.tolist() == list(range(SUBSET))
    assert formulas()[rows].tolist() == data.ids.tolist()  # the shuffled one too


def test_labels_are_those_of_the_members(written, cache):
    calls = []
    labels = space_labels(written, progress=lambda done, of: calls.append((done, of)))
    assert (labels.name, labels.target, labels.rows, labels.unreadable) == ("some.parquet", "energy", SUBSET, 0)
    assert calls[-1] == (SUBSET, SUBSET) and labels.splits
    assert sorted(labels.table["formula"]) == sorted(pl.read_parquet(written)["material_id"])  # the shuffled one too
    assert labels.table["target"][0] == -1 and labels.table["target"].is_sorted()
    assert set(labels.table["split"]) == {"train", "val"}
    assert space_labels(written, progress=calls.append).table.equals(labels.table)  # from the cache, so no progress
    assert len(calls) == 1


def test_labels_with_broken_rows_polymorphs_and_strangers(written, cache, tmp_path):
    table = pl.read_parquet(written).head(4)
    table = pl.concat([table, table.head(1).with_columns(pl.lit(-7.0).alias("energy")), table.slice(1, 3)])
    rows = table.rows(named=True)
    rows[5]["lattice"] = [0.0] * 9
    rows[2] |= {"frac_coords": [0.5] * 14, "material_id": "short"}
    rows[6]["energy"] = None
    rows[7]["atomic_numbers"] = [54] * 5
    pl.DataFrame(rows, schema=table.schema).write_parquet(tmp_path / "mixed.parquet")
    labels = space_labels(tmp_path / "mixed.parquet")
    assert (labels.rows, labels.unreadable, len(labels.table)) == (8, 2, 3)
    assert labels.table["target"][0] == -7  # the lower of two
    rows = [{**row, "atomic_numbers": [54] * 5} for row in rows]
    pl.DataFrame(rows, schema=table.schema).write_parquet(tmp_path / "others.parquet")
    with pytest.raises(DatasetError, match="no crystal of others.parquet .* is one of the 18,928"):
        space_labels(tmp_path / "others.parquet")
    table.drop("energy").write_parquet(tmp_path / "bare.parquet")
    with pytest.raises(DatasetError, match="target of bare.parquet"):
        space_labels(tmp_path / "bare.parquet")


def test_built_cells_of_built_cells_are_the_same(written, cache):
    model = small_model("linear")
    data = load_dataset(written, settings=model.graph_settings)
    found = built_cell_accuracy(model, data)
    assert found.built.n == found.relaxed.n == 10
    assert found.built.mae == pytest.approx(found.relaxed.mae, abs=1e-9)
    assert found.difference < 1e-9
    with pytest.raises(DatasetError, match="split 'test'"):
        built_cell_accuracy(model, data, "test")


def test_errors_on_built_cells_go_to_the_card(written, cache, tmp_path, capsys):
    model = small_model("linear")
    model = replace(model, card=replace(model.card, accuracy={"val": {"n": 1, "mae": 0.5, "rmse": 0.6, "r2": 0.7}}))
    model.save(tmp_path / "model")
    command = ["built", str(written), "--model", str(tmp_path / "model")]
    assert main(command) == 0
    assert set(Card.read(tmp_path / "model" / "card.json").accuracy) == {"val"}
    assert main([*command, "--write-card"]) == 0
    found = Card.read(tmp_path / "model" / "card.json").accuracy
    assert found["val"]["mae"] == 0.5
    expected = built_cell_accuracy(load_model(tmp_path / "model"), load_dataset(written)).built
    assert found["val, built cells"] == pytest.approx(expected.asdict())
    assert f"{expected.mae:.4f}" in capsys.readouterr().out


def test_roles_command_lists_what_is_not_resolved(written, cache, tmp_path, capsys):
    """Of 40 crystals one is too far from the prototype, one is written B, A, X, one is no ABX3."""
    table = pl.read_parquet(written)
    rows = [{**row, "formula": row["material_id"]} for row in table.rows(named=True)]
    rows[0]["frac_coords"] = (PROTOTYPE * [1, 1, 0.3]).ravel().tolist()
    a, b = build_space().filter(formula=rows[5]["material_id"]).select("a", "b").row(0)
    assert a != b
    rows[5]["formula"] = b + a + "O3"
    rows[6] |= {"atomic_numbers": [11, 17], "frac_coords": [0.0, 0.0, 0.0, 0.5, 0.5, 0.5], "formula": "NaCl"}
    file = tmp_path / "named.parquet"
    pl.DataFrame(rows).write_parquet(file)
    assert main(["roles", str(file), "--out", str(tmp_path / "listed.csv")]) == 0
    listed = pl.read_csv(tmp_path / "listed.csv")
    assert listed["material_id"].to_list() == [rows[0]["material_id"], rows[5]["material_id"]]
    assert listed["verdict"].to_list() == ["not resolved", "wrong"]
    assert listed.row(1)[3:] == (a, b)
    printed = capsys.readouterr().out
    assert "39 crystals of named.parquet with A, B and 3 X, 1 others" in printed
    assert "37 of 39 (94.9%)" in printed

    pl.DataFrame(rows).with_columns(formula=pl.lit("O3SrTi")).write_parquet(file)
    found = check_roles(file)
    assert (found.crystals, found.told, found.unresolved, found.wrong) == (39, 0, 1, 0)
    pl.DataFrame(rows[6:7]).write_parquet(file)
    with pytest.raises(DatasetError, match="no crystal of named.parquet is an ABX3"):
        check_roles(file)


def test_lattice_model_recovers_additive_edges(tmp_path):
    rng = np.random.default_rng(0)
    a, b, x = rng.integers(52, size=4000), rng.integers(52, size=4000), rng.integers(7, size=4000)
    of_a, of_b, of_x = rng.normal(scale=0.2, size=52), rng.normal(scale=0.2, size=52), rng.normal(scale=0.1, size=7)
    edge = 4 + of_a[a] + of_b[b] + of_x[x]
    model = fit_lattice_model(a[:3000], b[:3000], x[:3000], edge[:3000])
    assert np.abs(model.edge(a, b, x) - edge)[3000:].mean() < 0.01
    model.write(tmp_path / "lattice.json")
    again = LatticeModel.read(tmp_path / "lattice.json")
    np.testing.assert_allclose(again.edge(a, b, x), model.edge(a, b, x), atol=5e-4)


def test_lattice_command(written, tmp_path, capsys):
    assert main(["lattice", str(written), "--out", str(tmp_path / "new.json")]) == 0
    printed = capsys.readouterr().out
    assert "MAE on train" in printed
    assert "MAE on val" in printed
    assert set(json.loads((tmp_path / "new.json").read_text())) == {"mean", "a", "b", "x", "ax", "bx", "ab"}
    _, errors = fit_lattice(written)
    assert errors["train"] < 0.2
    assert main(["lattice", str(tmp_path / "missing.csv")]) == 1
    assert "missing.csv" in capsys.readouterr().err


def test_shipped_coefficients_hold_no_more_than_terms():
    values = json.loads(lattice.SHIPPED.read_text())
    assert {name: np.shape(value) for name, value in values.items()} == {
        "mean": (), "a": (52,), "b": (52,), "x": (7,), "ax": (52, 7), "bx": (52, 7), "ab": (52, 52)
    }  # fmt: skip


def test_table_of_built_cells_to_train_on(written, cache, tmp_path):
    assert main(["cells", str(written), "--out", str(tmp_path / "cells.parquet")]) == 0
    cells, original = load_dataset(tmp_path / "cells.parquet", "energy"), pl.read_parquet(written)
    assert dict(zip(cells.ids, cells.targets, strict=True)) == dict(
        original.select("material_id", "energy").iter_rows()
    )
    assert (cells.split == "val").sum() == (original["split"] == "val").sum()
