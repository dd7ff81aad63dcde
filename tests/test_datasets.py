"""Data sets -> packed graphs: formats, broken rows, targets, splits, the cache."""

import gzip
import json
import zipfile

import ase.db
import ase.io
import numpy as np
import polars as pl
import pytest
from builders import perovskite
from pymatgen.core import Structure

from cgcnn.contributions import structure_graph
from cgcnn.datasets import DatasetError, load_dataset
from cgcnn.graph import GraphSettings, build_graph
from cgcnn.perovskite import ROLES
from cgcnn.sources import CRYSTAL_COLUMNS, open_source, row_names


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


STRUCTURES = [perovskite(), perovskite("Ba", "Ta", ("O", "O", "N"), 4.1), perovskite("Na", "Ta", edge=3.93) * (2, 1, 1)]
NAMES = ["a", "b", "c"]
ENERGIES = [-1.0, 0.5, 2.0]


def arrays(structure: Structure) -> dict:
    return {
        "lattice": structure.lattice.matrix.ravel().tolist(),
        "atomic_numbers": list(structure.atomic_numbers),
        "frac_coords": structure.frac_coords.ravel().tolist(),
    }


def write_csv(path, **columns):
    table = {"material_id": NAMES, "cif": [s.to(fmt="cif") for s in STRUCTURES], "energy": ENERGIES}
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


# --- every format gives the same data set -----------------------------------------------------------------------------


def write_parquet(folder):
    rows = [{"material_id": n, "energy": e, **arrays(s)} for n, e, s in zip(NAMES, ENERGIES, STRUCTURES, strict=True)]
    pl.DataFrame(rows).write_parquet(folder / "data.parquet")
    return folder / "data.parquet"


def write_nested_parquet(folder):
    rows = [
        {"material_id": n, "energy": e, "lattice": s.lattice.matrix.tolist(), "atomic_numbers": list(s.atomic_numbers),
         "frac_coords": s.frac_coords.tolist()}
        for n, e, s in zip(NAMES, ENERGIES, STRUCTURES, strict=True)
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(folder / "data.parquet")
    return folder / "data.parquet"


def write_csv_gz(folder):
    plain = write_csv(folder / "data.csv")
    (folder / "data.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    return folder / "data.csv.gz"


def write_cifs(folder):
    folder.mkdir(exist_ok=True)
    for name, structure in zip(NAMES, STRUCTURES, strict=True):
        (folder / f"{name}.cif").write_text(structure.to(fmt="cif"))
    return folder


def write_authors_folder(folder):
    write_cifs(folder / "sample")
    rows = zip(NAMES, ENERGIES, strict=True)
    (folder / "sample" / "id_prop.csv").write_text("".join(f"{n},{e}\n" for n, e in rows))
    return folder / "sample"


def write_zip(folder):
    file = folder / "sample.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in write_authors_folder(folder).iterdir():
            archive.write(path, f"sample/{path.name}")
    return file


def write_matbench(folder):
    content = {
        "index": NAMES,
        "columns": ["structure", "energy"],
        "data": [[s.as_dict(), e] for s, e in zip(STRUCTURES, ENERGIES, strict=True)],
    }
    with gzip.open(folder / "data.json.gz", "wt") as file:
        json.dump(content, file)
    return folder / "data.json.gz"


def write_records(folder):
    rows = zip(NAMES, ENERGIES, STRUCTURES, strict=True)
    records = [{"material_id": n, "energy": e, "structure": s.as_dict()} for n, e, s in rows]
    (folder / "data.json").write_text(json.dumps(records, indent=1))
    return folder / "data.json"


def write_xyz(folder):
    with open(folder / "data.extxyz", "w") as file:
        for name, energy, structure in zip(NAMES, ENERGIES, STRUCTURES, strict=True):
            atoms = structure.to_ase_atoms()
            atoms.info = {"material_id": name, "energy": energy, "tag": "x", "stress": np.zeros(6)}
            ase.io.write(file, atoms, format="extxyz")
    return folder / "data.extxyz"


def write_ase(folder):
    with ase.db.connect(folder / "data.db") as database:
        for name, energy, structure in zip(NAMES, ENERGIES, STRUCTURES, strict=True):
            database.write(structure.to_ase_atoms(), key_value_pairs={"name": name}, data={"energy": energy})
    return folder / "data.db"


FORMATS = [write_parquet, write_nested_parquet, write_csv_gz, write_authors_folder, write_zip, write_matbench,
           write_records, write_xyz, write_ase]  # fmt: skip


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_gives_the_same_data_set(tmp_path, write):
    data = load_dataset(write(tmp_path))
    assert data.ids.tolist() == NAMES and data.targets.tolist() == ENERGIES and not data.unreadable
    assert data.target in ("energy", "target")
    for i, structure in enumerate(STRUCTURES):
        assert sorted(data.graphs.numbers_of(i)) == sorted(structure.atomic_numbers)
        graph = structure_graph(structure, GraphSettings())
        assert np.sort(data.graphs.select([i]).distance) == pytest.approx(np.sort(graph.distance), abs=1e-4)
    assert [ROLES[r] for r in data.roles[:5]] == ["A", "B", "X", "X", "X"]


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_cover_every_row_once_and_can_start_anywhere(tmp_path, write, size):
    source = open_source(write(tmp_path))
    assert source.rows == 3
    for start in range(4):
        chunks = list(source.chunks(size, start))
        assert [len(c) for c in chunks[:-1]] == [size] * max(len(chunks) - 1, 0)
        names = [name for chunk in chunks for name in row_names(chunk)]
        assert names == NAMES[start:]
    assert not set(next(source.chunks(3, crystals=False)).columns) & set(CRYSTAL_COLUMNS)


@pytest.mark.parametrize("write", FORMATS)
def test_fingerprint_is_of_the_content(tmp_path, write, monkeypatch):
    path = write(tmp_path)
    assert open_source(path).fingerprint() == open_source(path).fingerprint()
    before = open_source(path).fingerprint()
    monkeypatch.setitem(globals(), "ENERGIES", [0.0, 1.0, 2.0])
    for old in sorted(tmp_path.rglob("*"), reverse=True):
        old.unlink() if old.is_file() else None
    assert open_source(write(tmp_path)).fingerprint() != before


def test_cifs_without_targets(tmp_path):
    folder = write_cifs(tmp_path / "cifs")
    (folder / "b.cif").write_text("nonsense")
    (folder / "notes.txt").write_text("not looked at")
    with pytest.raises(DatasetError, match="target of cifs is not clear"):
        load_dataset(folder)
    data = load_dataset(folder, needs_target=False)
    assert data.ids.tolist() == ["a", "c"] and data.target == "" and np.isnan(data.targets).all()
    assert [name for name, _ in data.unreadable] == ["b"]
    with pytest.raises(DatasetError, match="no column 'gap' with numbers"):
        load_dataset(folder, "gap", needs_target=False)


def test_folder_of_the_authors_with_a_missing_cif_and_a_header(tmp_path):
    folder = write_authors_folder(tmp_path)
    (folder / "id_prop.csv").write_text("id,gap\na,1.5\nlost,2\nc,\n")
    data = load_dataset(folder)
    assert data.target == "gap" and data.ids.tolist() == ["a", "c"]
    assert data.targets[0] == 1.5 and np.isnan(data.targets[1])
    assert data.unreadable == [("lost", "there is no lost.cif beside id_prop.csv; add it, or remove the row")]


def test_json_runs_no_code_and_survives_broken_entries(tmp_path):
    evil = {**STRUCTURES[0].as_dict(), "properties": {"@module": "os", "@class": "system", "@version": "1"}}
    evil["sites"][0]["properties"] = {"x": {"@module": "subprocess", "@class": "Popen", "args": ["touch", "pwned"]}}
    records = [{"structure": evil, "y": 1}, {"structure": None, "y": 2}, 7, {"y": 3, "structure": {"sites": "?"}}]
    (tmp_path / "data.json").write_text(json.dumps(records))
    data = load_dataset(tmp_path / "data.json")
    assert data.targets.tolist() == [1] and len(data.unreadable) == 3
    assert not (tmp_path / "pwned").exists()


def test_json_cut_short_keeps_what_was_before(tmp_path):
    text = write_records(tmp_path).read_text()
    (tmp_path / "cut.json").write_text(text[: text.rindex('"structure"') + 40])
    data = load_dataset(tmp_path / "cut.json")
    assert data.ids.tolist() == ["a", "b"]
    assert "damaged or cut short" in data.unreadable[0][1]


def test_json_with_values_longer_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr("cgcnn.sources.pandas_json._BLOCK", 7)
    assert load_dataset(write_records(tmp_path)).targets.tolist() == ENERGIES


def test_broken_frames_of_xyz(tmp_path):
    text = write_xyz(tmp_path).read_text().replace("Ti ", "Qq ", 1)
    (tmp_path / "data.extxyz").write_text(text + "\nwhat is this\n")
    data = load_dataset(tmp_path / "data.extxyz", "energy")
    assert data.ids.tolist() == ["b", "c"]
    assert [name for name, _ in data.unreadable] == ["a", "row 4"]


def test_broken_rows_of_arrays(tmp_path):
    good = {"y": 1.0, **arrays(STRUCTURES[0])}
    rows = [
        good,
        {**good, "lattice": None},
        {**good, "lattice": good["lattice"][:8]},
        {**good, "frac_coords": good["frac_coords"][:-1]},
        {**good, "frac_coords": [float("nan")] * 15},
        {**good, "frac_coords": [0.1] * 15},
        {**good, "atomic_numbers": [38, 22, 8, 8, 0]},
        {**good, "atomic_numbers": [38, 22, 8, 8, 104]},
        {**good, "lattice": [0.0] * 9},
        {**good, "atomic_numbers": [], "frac_coords": []},
        {**good, "y": None},
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "data.parquet")
    data = load_dataset(tmp_path / "data.parquet")
    assert data.ids.tolist() == ["row 1", "row 11"] and data.rows("all").tolist() == [0]
    assert [name for name, _ in data.unreadable] == [f"row {i}" for i in range(2, 11)]
    reasons = [reason for _, reason in data.unreadable]
    assert "not a finite number" in reasons[3] and "angstrom apart" in reasons[4] and "Z = 104" in reasons[6]


def test_numbers_that_are_none(tmp_path):
    data = load_dataset(write_csv(tmp_path / "data.csv", energy=["1.5", "n/a", " 2 "]), "energy")
    assert data.targets[[0, 2]].tolist() == [1.5, 2.0] and np.isnan(data.targets[1])


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.json", "data.extxyz", "data.db", "data.zip"])
def test_empty_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=name):
        load_dataset(tmp_path / name)


def test_tables_without_rows_and_folders_without_crystals(tmp_path):
    with pytest.raises(DatasetError, match="no crystal in data.csv"):
        pl.DataFrame(schema={"cif": pl.String, "y": pl.Float64}).write_csv(tmp_path / "data.csv")
        load_dataset(tmp_path / "data.csv", needs_target=False)
    (tmp_path / "data.json").write_text("[]")
    with pytest.raises(DatasetError, match="no rows"):
        load_dataset(tmp_path / "data.json")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DatasetError, match="holds no .cif file"):
        load_dataset(tmp_path / "nothing")


def test_one_crystal_of_another_chemistry(tmp_path, crystals):
    structure = crystals["NaCl, conventional"]
    pl.DataFrame([{"y": 1.0, **arrays(structure)}]).write_parquet(tmp_path / "data.parquet")
    data = load_dataset(tmp_path / "data.parquet")
    assert len(data) == 1 and set(data.roles.tolist()) == {-1}
