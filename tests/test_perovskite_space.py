"""The 18,928 ABX3: built, scored, compared with data sets."""

import json

import numpy as np
import polars as pl
import pytest
from builders import small_model

from cgcnn.datasets import DatasetError, load_dataset
from cgcnn.graph import build_graph
from cgcnn.perovskite import lattice, site_roles, space
from cgcnn.perovskite.__main__ import main
from cgcnn.perovskite.labels import built_cell_accuracy, dataset_rows, fit_lattice, space_labels
from cgcnn.perovskite.lattice import ANION_SETS, ELEMENTS, LatticeModel, fit_lattice_model
from cgcnn.perovskite.space import (
    PROTOTYPE,
    SIZE,
    build_space,
    formulas,
    score_space,
    scored_space,
    space_graphs,
    space_index,
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


def test_scores_add_up_and_are_kept(cache, monkeypatch):
    """Of some crystals, as all take seconds."""
    rows = np.linspace(0, SIZE - 1, SUBSET).astype(int)
    monkeypatch.setattr(space, "score_space", lambda model, progress=None: score_space(model, rows, progress))
    calls = []
    for head in ("linear", "gated"):
        model = small_model(head)
        table = scored_space(model, lambda done, of: calls.append((done, of)))
        assert calls[-1] == (SUBSET, SUBSET)
        assert table["formula"].to_list() == formulas()[rows].tolist()
        total = table["raw_a"] + table["raw_b"] + 3 * table["raw_x"]
        np.testing.assert_allclose(total / 5, table["energy"], atol=1e-5)
        relative = table["contribution_a"] + table["contribution_b"] + 3 * table["contribution_x"]
        np.testing.assert_allclose(relative, 0, atol=1e-4)  # this model knows no roles
        assert table["sd"].is_null().all()
        assert scored_space(model).equals(table)
    files = sorted(cache.glob("space-*.parquet"))
    assert len(files) == 2
    files[0].write_bytes(b"damaged")
    files[1].write_bytes(b"damaged")
    assert scored_space(model).equals(table)


def test_membership_by_roles_then_by_order(written, cache):
    data = load_dataset(written)
    crystals, rows = dataset_rows(data)
    assert crystals.tolist() == list(range(SUBSET))
    assert formulas()[rows].tolist() == data.ids.tolist()  # the shuffled one too
    labels = space_labels(data)
    assert labels.height == SUBSET
    assert labels["target"][0] == -1
    assert set(labels["split"]) == {"train", "val"}


def test_built_cells_of_built_cells_are_the_same(written, cache):
    model = small_model("linear")
    data = load_dataset(written, settings=model.graph_settings)
    found = built_cell_accuracy(model, data)
    assert found.n == 10
    assert found.built == pytest.approx(found.relaxed, abs=1e-9)
    assert found.difference < 1e-9
    with pytest.raises(DatasetError, match="split 'test'"):
        built_cell_accuracy(model, data, "test")


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
