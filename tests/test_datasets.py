"""Tables -> packed graphs: formats, broken rows, targets, splits, the cache."""

import numpy as np
import polars as pl
import pytest
from conftest import perovskite
from pymatgen.core import Structure

from cgcnn.contributions import structure_graph
from cgcnn.datasets import DatasetError, load_dataset
from cgcnn.graph import GraphSettings, build_graph
from cgcnn.perovskite import ROLES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


STRUCTURES = [perovskite(), perovskite("Ba", "Ta", ("O", "O", "N"), 4.1), perovskite("Na", "Ta", edge=3.93) * (2, 1, 1)]


def arrays(structure: Structure) -> dict:
    return {
        "lattice": structure.lattice.matrix.ravel().tolist(),
        "atomic_numbers": list(structure.atomic_numbers),
        "frac_coords": structure.frac_coords.ravel().tolist(),
    }


def write_csv(path, **columns):
    table = {"material_id": ["a", "b", "c"], "cif": [s.to(fmt="cif") for s in STRUCTURES], "energy": [-1.0, 0.5, 2.0]}
    pl.DataFrame({**table, **columns}).write_csv(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet with cif", "parquet with arrays"])
def test_formats_give_the_graphs_of_the_structures(tmp_path, kind):
    if kind == "csv":
        file = write_csv(tmp_path / "data.csv")
    else:
        rows = [
            {"energy": float(i), **(arrays(s) if "arrays" in kind else {"cif": s.to(fmt="cif")})}
            for i, s in enumerate(STRUCTURES)
        ]
        file = tmp_path / "data.parquet"
        pl.DataFrame(rows).write_parquet(file)
    data = load_dataset(file)
    assert len(data) == 3 and data.target == "energy" and not data.unreadable
    for i, structure in enumerate(STRUCTURES):
        assert sorted(data.graphs.numbers_of(i)) == sorted(structure.atomic_numbers)
        batch = data.graphs.select([i])
        graph = structure_graph(structure, GraphSettings())
        assert np.sort(batch.distance) == pytest.approx(np.sort(graph.distance), abs=1e-4)
    assert [ROLES[r] for r in data.roles[:5]] == ["A", "B", "X", "X", "X"]


def test_broken_rows_are_listed_and_the_rest_is_kept(tmp_path):
    good = STRUCTURES[0].to(fmt="cif")
    file = write_csv(tmp_path / "data.csv", cif=["nonsense", good, None])
    data = load_dataset(file)
    assert data.ids.tolist() == ["b"] and data.targets.tolist() == [0.5]
    assert [name for name, _ in data.unreadable] == ["a", "c"]
    assert all(reason and "\n" not in reason for _, reason in data.unreadable)


def test_no_readable_row(tmp_path):
    with pytest.raises(DatasetError, match="no crystal in data.csv could be read"):
        load_dataset(write_csv(tmp_path / "data.csv", cif=["x", "y", "z"]))


def test_target_by_name_or_the_only_one_with_numbers(tmp_path):
    file = write_csv(tmp_path / "data.csv", gap=[1, 2, 3], formula=["u", "v", "w"])
    with pytest.raises(DatasetError, match="--target: energy, gap"):
        load_dataset(file)
    assert load_dataset(file, "gap").targets.tolist() == [1, 2, 3]
    assert load_dataset(file, prefer="energy").target == "energy"
    with pytest.raises(DatasetError, match="no column 'formula' with numbers"):
        load_dataset(file, "formula")


def test_rows_without_target_belong_to_no_split(tmp_path):
    data = load_dataset(write_csv(tmp_path / "data.csv", energy=[1.0, None, 3.0], split=["train", "train", "val"]))
    assert data.rows("train").tolist() == [0] and data.rows("all").tolist() == [0, 2]
    with pytest.raises(DatasetError, match="its splits are: train, val"):
        data.rows("test")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("data.txt", "a,b\n1,2\n", "neither .csv, .csv.gz nor .parquet"),
        ("data.csv", "a,b\n1,2\n", "no column 'cif'"),
        ("data.parquet", "not a parquet file", "cannot be read as a table"),
    ],
)
def test_files_that_are_no_data_set(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=sentence):
        load_dataset(tmp_path / name)


def test_missing_file(tmp_path):
    with pytest.raises(DatasetError, match="there is no file"):
        load_dataset(tmp_path / "nothing.csv")


def test_graphs_are_built_once(tmp_path, cache, monkeypatch):
    file = write_csv(tmp_path / "data.csv", cif=["nonsense", *(s.to(fmt="cif") for s in STRUCTURES[:2])])
    first = load_dataset(file)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr("cgcnn.datasets.build_graph", lambda *_: pytest.fail("built again"))
    again = load_dataset(file)
    assert again.unreadable == first.unreadable and np.array_equal(again.roles, first.roles)
    assert np.array_equal(again.graphs.distance, first.graphs.distance)
    monkeypatch.setattr("cgcnn.datasets.build_graph", build_graph)
    load_dataset(file, settings=GraphSettings(radius=5.0))
    assert len(list(cache.iterdir())) == 2
