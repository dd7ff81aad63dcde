"""Data set -> tables of contributions: columns, the same values as for one crystal, resuming, memory, broken rows."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from builders import perovskite, small_model, small_network

from cgcnn.cli import main
from cgcnn.contributions import explain
from cgcnn.datasets import DatasetError
from cgcnn.model import load_model
from cgcnn.scoring import CRYSTAL_SCHEMA, ScoringError, contents, load_scores, member_columns, score, site_schema
from cgcnn.tables import formula

ROOT = Path(__file__).parent.parent
REFERENCE = {"A": [0.5, 0.6], "B": [-1.5, -1.4], "X": [0.2, 0.3]}
ELEMENTS = ["Ti", "Zr", "Hf", "Sn", "Ge", "Si", "V", "Nb", "Ta"]


@pytest.fixture(params=["linear", "gated"])
def ensemble(tmp_path, request) -> Path:
    """Folder of an untrained model of two members."""
    return write_ensemble(tmp_path / f"model-{request.param}", request.param)


@pytest.fixture
def linear(tmp_path) -> Path:
    return write_ensemble(tmp_path / "model", "linear")


def write_ensemble(folder: Path, head: str) -> Path:
    one = small_model(head)
    other = small_network(head)
    other.head.out.weight.mul_(1.1)
    card = replace(one.card, name="pair", members=2, reference=REFERENCE, colour_limit=2.0)
    replace(one, members=(one.members[0], other), card=card).save(folder)
    return folder


def write_table(path: Path, structures, **columns) -> Path:
    table = pl.DataFrame(
        {
            "material_id": [f"crystal {i}" for i in range(len(structures))],
            "lattice": [s.lattice.matrix.ravel().tolist() for s in structures],
            "atomic_numbers": [list(s.atomic_numbers) for s in structures],
            "frac_coords": [s.frac_coords.ravel().tolist() for s in structures],
            **columns,
        }
    )
    table.write_parquet(path)
    return path


def many(n: int) -> list:
    made = [perovskite("Sr", b, edge=3.9 + 0.01 * i) for i in range(10) for b in ELEMENTS]
    return (made * (n // len(made) + 1))[:n]


def test_values_are_those_of_explain(tmp_path, crystals, ensemble):
    structures = [*crystals.values(), perovskite("Ba", "Zr", edge=4.2) * (2, 1, 1)]
    data = write_table(tmp_path / "data.parquet", structures)
    scores = score(data, ensemble, tmp_path / "out", workers=1)
    sites, table = scores.sites.collect(), scores.crystals.collect()
    assert sites.schema == pl.Schema(site_schema(2)) and table.schema == pl.Schema(CRYSTAL_SCHEMA)
    assert scores.target is None and scores.about["complete"]
    assert table["row"].to_list() == list(range(len(structures)))
    for row, found in enumerate(explain(load_model(ensemble), structures)):
        own = sites.filter(pl.col("row") == row)
        crystal = table.row(row, named=True)
        assert crystal["material_id"] == f"crystal {row}" and set(own["material_id"]) == {f"crystal {row}"}
        assert crystal["formula"] == formula(found) and crystal["n_sites"] == len(own) == len(found.structure)
        assert set(crystal["elements"]) == {e.symbol for e in found.structure.elements}
        assert crystal["energy"] == pytest.approx(found.energy, abs=1e-5)
        assert crystal["sd"] == pytest.approx(found.energy_sd, abs=1e-5)
        assert own["site"].to_list() == list(range(len(own)))
        assert own["element"].to_list() == [s.specie.symbol for s in found.structure]
        assert tuple(own["role"]) == found.role
        for column, wanted in (("contribution", found.contribution), ("relative", found.relative), ("sd", found.sd)):
            assert own[column].to_numpy() == pytest.approx(wanted, abs=2e-5)
        members, raw = (own.select(member_columns(name, 2)).to_numpy() for name in ("relative", "contribution"))
        assert members.mean(1) == pytest.approx(found.relative, abs=2e-5)
        assert members.std(1, ddof=1) == pytest.approx(found.sd, abs=2e-5)
        assert raw.mean(1) == pytest.approx(found.contribution, abs=2e-5)
        assert crystal["perovskite"] == all(found.role)


def test_contents_are_kept_with_the_tables(tmp_path, linear, crystals):
    data = write_table(tmp_path / "data.parquet", [*many(3), crystals["NaCl, conventional"]])
    scores = score(data, linear, tmp_path / "out", chunk=2)
    kept, energies = scores.about["contents"], scores.crystals.collect()["energy"]
    assert kept == contents(scores)
    assert set(kept["elements"]) == set(scores.sites.collect()["element"]) >= {"Na", "Cl", "Ti"}
    assert kept["nearest anions"] == ["O", "Cl"] and kept["components"] == [2, 3]
    assert kept["energies"] == [energies.min(), energies.max()] and (kept["perovskites"], kept["others"]) == (3, 1)


def test_one_member_has_no_spread(tmp_path):
    small_model("linear").save(tmp_path / "model")
    scores = score(write_table(tmp_path / "data.parquet", many(1)), tmp_path / "model", tmp_path / "out")
    assert scores.crystals.collect()["sd"].to_list() == [None]
    sites = scores.sites.collect()
    assert sites["sd"].null_count() == 5 and sites.columns == list(site_schema(1))


def test_coordination_and_anions_are_there(tmp_path, linear):
    structures = [perovskite("Ba", "Ta", ("O", "O", "N"), 4.1)]
    sites = score(write_table(tmp_path / "d.parquet", structures), linear, tmp_path / "out").sites.collect()
    assert sites["coordination"].to_list() == [12, 6, 2, 2, 2]
    assert sites["nearest_anion"].to_list()[2:] == [None] * 3
    assert set(sites["nearest_anion"].to_list()[:2]) <= {"O", "N"}


def test_target_and_split_are_kept(tmp_path, linear):
    data = write_table(
        tmp_path / "d.parquet", many(3), energy=[1.0, None, 3.0], gap=[1, 2, 3], split=["train", "", None]
    )
    scores = score(data, linear, tmp_path / "out")
    # The model predicts "energy" as well; its column comes first.
    assert scores.target == "energy (data)"
    table = scores.crystals.collect()
    assert table["energy (data)"].to_list() == [1.0, None, 3.0] and table["split"].to_list() == ["train", "", ""]
    assert score(data, linear, tmp_path / "gap", target="gap").crystals.collect()["gap"].to_list() == [1.0, 2.0, 3.0]
    with pytest.raises(DatasetError, match="no column 'nothing'"):
        score(data, linear, tmp_path / "no", target="nothing")


def test_unreadable_rows_are_listed_with_their_reason(tmp_path, linear, capsys):
    good = perovskite().to(fmt="cif")
    rows = {"name": ["a", "b", "c", "d"], "cif": ["nonsense", good, None, (perovskite() * (2, 2, 2)).to(fmt="cif")]}
    pl.DataFrame(rows).write_csv(tmp_path / "data.csv")
    arguments = ["score", str(tmp_path / "data.csv"), "--model", str(linear), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--max-sites", "20", "--chunk", "1"]) == 0
    with open(tmp_path / "out" / "unreadable.csv", newline="") as file:
        header, *listed = csv.reader(file)
    assert header == ["name", "reason"] and [name for name, _ in listed] == ["a", "c", "d"]
    assert all(reason for _, reason in listed) and "limit is 20" in listed[2][1]
    scores = load_scores(tmp_path / "out")
    assert scores.crystals.collect()["row"].to_list() == [1] and scores.about["unreadable"] == 3
    told = capsys.readouterr()
    assert told.out == "" and "1 crystals with 5 sites" in told.err and "3 rows cannot be read" in told.err


def test_nothing_readable(tmp_path, linear):
    pl.DataFrame({"cif": ["x", "y"]}).write_csv(tmp_path / "data.csv")
    scores = score(tmp_path / "data.csv", linear, tmp_path / "out")
    assert scores.sites.collect().schema == pl.Schema(site_schema(2)) and scores.about["unreadable"] == 2
    assert main(["score", str(tmp_path / "data.csv"), "--model", str(linear), "--out", str(tmp_path / "out")]) == 1


def test_no_rows(tmp_path, linear, capsys):
    pl.DataFrame(schema={"cif": pl.String}).write_csv(tmp_path / "data.csv")
    assert main(["score", str(tmp_path / "data.csv"), "--model", str(linear), "--out", str(tmp_path / "out")]) == 1
    assert "data.csv has no rows" in capsys.readouterr().err


def test_chunks_and_processes_change_nothing(tmp_path, linear):
    data = write_table(tmp_path / "data.parquet", many(40))
    whole = score(data, linear, tmp_path / "whole", workers=1)
    seen = []
    cut = score(data, linear, tmp_path / "cut", chunk=7, workers=2, progress=lambda *done: seen.append(done))
    assert seen[0] == (0, 40) and seen[-1] == (40, 40) and len(seen) == 7
    for name in ("sites", "crystals"):
        a, b = (getattr(s, name).collect() for s in (whole, cut))
        assert a.drop(float_columns(a)).equals(b.drop(float_columns(b)))
        assert np.abs(a["sd"] - b["sd"]).max() < 1e-6
    assert len(list((tmp_path / "cut" / "sites").iterdir())) == 6


def float_columns(table: pl.DataFrame) -> list[str]:
    return [name for name, kind in table.schema.items() if kind.is_float()]


def test_finished_folder_is_not_scored_again(tmp_path, linear, monkeypatch):
    data = write_table(tmp_path / "data.parquet", many(3))
    score(data, linear, tmp_path / "out")
    monkeypatch.setattr("cgcnn.scoring.run.score_chunk", lambda *_: pytest.fail("scored again"))
    assert score(data, linear, tmp_path / "out").about["crystals"] == 3


def test_folder_of_another_run_is_refused(tmp_path, linear):
    data = write_table(tmp_path / "data.parquet", many(3), gap=[1, 2, 3], mass=[1, 2, 3])
    score(data, linear, tmp_path / "out")
    other_model = write_ensemble(tmp_path / "other", "gated")
    other_data = write_table(tmp_path / "other.parquet", many(4))
    for arguments, named in [
        ((data, other_model), "model hash"),
        ((other_data, linear), "data fingerprint"),
        ((data, linear, {"chunk": 2}), "chunk"),
        ((data, linear, {"target": "gap"}), "target"),
        ((data, linear, {"max_sites": 3}), "max sites"),
    ]:
        options = arguments[2] if len(arguments) > 2 else {}
        with pytest.raises(ScoringError, match=f"scores of another run.*{named}"):
            score(*arguments[:2], tmp_path / "out", **options)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(ScoringError, match="holds other files"):
        score(data, linear, tmp_path / "full")
    with pytest.raises(ScoringError, match="no folder that `score` wrote"):
        load_scores(tmp_path / "full")
    with pytest.raises(ScoringError, match="no folder that `score` wrote"):
        load_scores(data)


def test_folder_of_an_earlier_version_is_refused(tmp_path, linear):
    score(write_table(tmp_path / "data.parquet", many(1)), linear, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "score.json").read_text())
    (tmp_path / "out" / "score.json").write_text(json.dumps({**about, "version": 1}))
    with pytest.raises(ScoringError, match="another version of this software"):
        load_scores(tmp_path / "out")
    (tmp_path / "out" / "score.json").write_text("[]")
    with pytest.raises(ScoringError, match="not what `score` writes"):
        load_scores(tmp_path / "out")


def test_data_that_moved_is_found_where_it_is_now(tmp_path, linear):
    data = write_table(tmp_path / "data.parquet", many(3))
    first = score(data, linear, tmp_path / "out")
    assert first.about["path"] == str(data.resolve())
    (tmp_path / "elsewhere").mkdir()
    moved = score(data.rename(tmp_path / "elsewhere" / "data.parquet"), linear, tmp_path / "out")
    assert moved.about["path"] == str(tmp_path / "elsewhere" / "data.parquet") and moved.about["complete"]
    assert load_scores(tmp_path / "out").key == moved.key != first.key


def test_killed_and_started_again(tmp_path, linear):
    """SIGKILL as soon as some chunks are there; nothing is then missing, double, or done again."""
    data = write_table(tmp_path / "data.parquet", many(1500))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "cgcnn", "score", str(data), "--model", str(linear), "--out", str(out)]
    command += ["--chunk", "50", "--workers", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(out.glob("crystals/*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    time.sleep(0.5)  # the workers end with the chunk they are at
    done = {f: f.stat().st_mtime_ns for f in out.glob("*/*.parquet")}
    pairs = {f.name for f in out.glob("sites/*.parquet")} & {f.name for f in out.glob("crystals/*.parquet")}
    assert 3 <= len(pairs) < 30 and not json.loads((out / "score.json").read_text())["complete"]
    half = load_scores(out)
    assert half.crystals.collect().height == 50 * len(pairs) == half.sites.collect().height // 5

    assert subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL).returncode == 0
    scores = load_scores(out)
    assert scores.crystals.collect()["row"].to_list() == list(range(1500))
    rows = scores.sites.select("row", "site").collect()
    assert rows.rows() == [(row, site) for row in range(1500) for site in range(5)]
    assert all(f.stat().st_mtime_ns == mtime for f, mtime in done.items() if f.name in pairs)
    assert not list(out.glob("**/*.part"))


def test_a_worker_that_dies_is_one_sentence(tmp_path, linear, monkeypatch):
    data = write_table(tmp_path / "data.parquet", many(40))
    monkeypatch.setattr("cgcnn.scoring.processes.sys.executable", "/bin/false")
    with pytest.raises(ScoringError, match="worker process ended"):
        score(data, linear, tmp_path / "out", chunk=10, workers=2)


def peak_memory(tmp_path: Path, linear: Path, n: int) -> float:
    """MB at most of a process that scores n crystals, of which a table takes 8 kB each."""
    text = perovskite().to(fmt="cif") + "".join(f"# {'x' * 100}\n" for _ in range(80))
    data = tmp_path / f"{n}.csv.gz"
    data.write_bytes(gzip.compress(pl.DataFrame({"id": range(n), "cif": [text] * n}).write_csv().encode(), 1))
    code = (
        "from cgcnn.scoring import score;"
        f"score({str(data)!r}, {str(linear)!r}, {str(tmp_path / f'out-{n}')!r}, chunk=256, workers=1);"
        # Not ru_maxrss, which begins with the memory of the parent.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    return float(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environment)) / 1024


def test_memory_is_flat_in_the_number_of_crystals(tmp_path, linear):
    small = peak_memory(tmp_path, linear, 3000)
    # How the allocator places its blocks varies by tens of MB; memory that grows with the crystals shows in every run.
    larger = (peak_memory(tmp_path, linear, n) for n in (9000, 9001, 9002))
    assert any(large - small < 30 for large in larger)  # 52 MB more of text, as Python objects more


def test_float32_scores_are_good_to_microvolts(tmp_path):
    """The bundled models, single against double precision."""
    structures = many(20)
    for name in ("perovskite-linear", "perovskite-gated"):
        sites = score(write_table(tmp_path / "d.parquet", structures), name, tmp_path / name).sites.collect()
        exact = np.concatenate([c.relative for c in explain(load_model(name, torch.float64), structures)])
        assert np.abs(sites["relative"].to_numpy() - exact).max() < 2e-5
