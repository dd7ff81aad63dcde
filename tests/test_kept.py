"""Scores in the user's cache: made once, by content and model."""

import os

import polars as pl
import pytest
from builders import perovskite
from test_scoring import write_ensemble, write_table

from cgcnn.cache import trim_cache
from cgcnn.datasets import DatasetError, read_crystal
from cgcnn.files import only_one
from cgcnn.kept import keep_file, keep_files, kept_scores
from cgcnn.model import load_model
from cgcnn.sources import open_source


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path):
    return load_model(write_ensemble(tmp_path / "model", "linear"))


def test_the_same_content_is_scored_once_wherever_it_lies(tmp_path, model, monkeypatch):
    data = write_table(tmp_path / "data.parquet", [perovskite(), perovskite("Ba", "Zr")])
    seen = []
    first = kept_scores(data, model, lambda *done: seen.append(done))
    assert seen[-1] == (2, 2)
    monkeypatch.setattr("cgcnn.scoring.run.score_chunk", lambda *_: pytest.fail("scored again"))
    (tmp_path / "there").mkdir()
    again = kept_scores(data.rename(tmp_path / "there" / "other.parquet"), model)
    assert again.folder == first.folder and again.about["path"].endswith("there/other.parquet")
    assert again.about["data"] == "other.parquet"


def test_the_same_content_under_two_names_shows_nobody_the_others(model):
    """Two users bring the same file; each reads the name that it has at home."""
    content = pl.DataFrame({"cif": [perovskite().to(fmt="cif")]}).write_csv().encode()
    one, other = (kept_scores(keep_file(name, content), model) for name in ("one.csv", "other.csv"))
    again = kept_scores(keep_file("one.csv", content), model)
    assert [scores.about["data"] for scores in (one, other, again)] == ["one.csv", "other.csv", "one.csv"]
    assert one.folder == other.folder


def test_another_model_has_a_folder_of_its_own(tmp_path, model):
    data = write_table(tmp_path / "data.parquet", [perovskite()])
    other = load_model(write_ensemble(tmp_path / "other", "gated"))
    assert kept_scores(data, model).folder != kept_scores(data, other).folder


def test_uploads(cache):
    cif = perovskite().to(fmt="cif").encode()
    table = keep_files([("../../a b.csv", b"cif\nx\n")])
    assert table.name == "a b.csv" and cache in table.parents and table.read_bytes() == b"cif\nx\n"
    assert keep_files([("a b.csv", b"cif\nx\n")]) == table
    folder = keep_files([("b.cif", cif), ("a.cif", cif)])
    assert open_source(folder).rows == 2 and keep_files([("a.cif", cif), ("b.cif", cif)]) == folder
    folder = keep_files([("a.cif", cif), ("a.cif", cif.replace(b"Ti", b"Zr")), ("x/a.cif", cif)])
    assert sorted(file.name for file in folder.iterdir()) == ["2 a.cif", "3 a.cif", "a.cif"]
    with pytest.raises(DatasetError, match="cannot be one data set"):
        keep_files([("a.csv", b""), ("b.cif", cif)])


def test_a_crystal_of_a_data_set_again(tmp_path):
    structures = [perovskite(), perovskite("Ba", "Zr", edge=4.2)]
    data = write_table(tmp_path / "data.parquet", structures)
    print_ = open_source(data).fingerprint()
    crystal = read_crystal(data, 1, print_)
    assert crystal.source == "crystal 1 of data.parquet" and crystal.structure.matches(structures[1])
    pl.DataFrame({"id": ["x", "y"], "cif": [structures[0].to(fmt="cif"), "nonsense"]}).write_csv(tmp_path / "d.csv")
    assert read_crystal(tmp_path / "d.csv", 0).structure.composition == structures[0].composition
    for path, row, fingerprint, said in (
        (tmp_path / "d.csv", 1, None, "y of d.csv gives no crystal"),
        (tmp_path / "d.csv", 2, None, "has no row 3; it has 2"),
        (data, 0, "other", "has changed since it was scored"),
        (tmp_path / "gone.csv", 0, None, "no longer at"),
    ):
        with pytest.raises(DatasetError, match=said):
            read_crystal(path, row, fingerprint)


def test_the_cache_stays_within_its_limit(tmp_path, cache, model, monkeypatch):
    """The oldest go first and whole; what is in use and what was downloaded stay."""
    downloaded = cache / "public" / "file.json.gz"
    downloaded.parent.mkdir(parents=True)
    downloaded.write_bytes(bytes(100_000))
    uploads = [keep_file(f"{name}.csv", name.encode() * 50_000) for name in "abc"]
    for age, upload in enumerate(uploads):
        os.utime(upload.parent, (0, 1000 * (3 - age)))  # c is the oldest
    (cache / "graphs-x.npz").write_bytes(bytes(10))
    monkeypatch.setenv("CGCNN_CACHE_GB", "120e-6")
    with only_one(uploads[2].parent):
        trim_cache()
    assert [upload.exists() for upload in uploads] == [True, False, True]
    keep_file("c.csv", b"c" * 50_000)  # used again, so now the youngest
    monkeypatch.setenv("CGCNN_CACHE_GB", "60e-6")
    trim_cache()
    assert [upload.exists() for upload in uploads] == [False, False, True]
    monkeypatch.setenv("CGCNN_CACHE_GB", "1e-9")
    data = write_table(tmp_path / "data.parquet", [perovskite()])
    scores = kept_scores(data, model)
    assert scores.crystals.collect().height == 1 and downloaded.exists()
    assert [f.name for f in (cache / "scores").iterdir()] == [scores.folder.name] and not list(
        (cache / "data").iterdir()
    )
