"""`score --cluster`: the same tables as without, also when a worker is killed; every trouble is a sentence."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from builders import perovskite
from test_scoring import ELEMENTS, many, write_ensemble, write_table

from cgcnn.cli import main
from cgcnn.model import load_model
from cgcnn.scoring import Scores, load_scores, score
from cgcnn.scoring.cluster import ClusterError, _Chunks, _Scorer, chunks_on_cluster
from cgcnn.sources import open_source

ROOT = Path(__file__).parent.parent
CHUNK = 40


@pytest.fixture(scope="module")
def cluster():
    """A Ray of two processors, which all tests use; -> its address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="pip install -r requirements-cluster.txt")
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "OMP_NUM_THREADS": "1"}
    context = ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": environment},
    )
    yield context.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture
def model(tmp_path) -> Path:
    return write_ensemble(tmp_path / "model", "linear")


def tables(scores: Scores) -> tuple[pl.DataFrame, pl.DataFrame]:
    return scores.sites.collect().sort("row", "site"), scores.crystals.collect().sort("row")


def same(one: Scores, other: Scores) -> bool:
    """To the last bit, missing values included."""
    return all(a.equals(b) for a, b in zip(tables(one), tables(other), strict=True))


def workers_of(ancestor: int) -> list[int]:
    """Processes of actors that score, below this one."""
    parents, scoring = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text()
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        pid = int(folder.name)
        parents[pid] = int(state.rpartition(")")[2].split()[1])
        if command.startswith("ray::") and "_Scorer" in command:
            scoring.append(pid)

    def descends(pid: int) -> bool:
        return pid == ancestor or (pid in parents and descends(parents[pid]))

    return [pid for pid in scoring if descends(pid)]


def test_tables_are_those_of_one_machine_and_a_killed_worker_changes_nothing(tmp_path, model, cluster):
    structures = many(12 * CHUNK - 7)
    data = write_table(
        tmp_path / "data.parquet", structures, gap=range(len(structures)), split=["val"] * len(structures)
    )
    alone = score(data, model, tmp_path / "alone", target="gap", chunk=CHUNK, workers=2)
    seen, killed = [], []

    def kill_one(done: int, total: int) -> None:
        seen.append(done)
        if done and not killed:
            killed.append(workers_of(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    options = dict(target="gap", chunk=CHUNK, workers=2, cluster="local")
    broken = score(data, model, tmp_path / "broken", **options, progress=kill_one)
    assert killed and 0 < seen[1] < seen[-1] == len(structures) and seen == sorted(set(seen))
    assert same(alone, broken)
    assert broken.about["complete"] and not list((tmp_path / "broken").rglob("*.part"))
    assert len(list((tmp_path / "broken" / "sites").iterdir())) == 12


def test_command_line_joins_a_cluster_and_goes_on(tmp_path, model, cluster):
    """A folder with some chunks from this machine is finished by the cluster, from a process of its own."""
    text = "\n".join(perovskite("Sr", b).to(fmt="cif") for b in ELEMENTS[:1])
    rows = {"id": [f"c{i}" for i in range(60)], "cif": [text] * 59 + ["nonsense"]}
    pl.DataFrame(rows).write_csv(tmp_path / "data.csv")
    whole = score(tmp_path / "data.csv", model, tmp_path / "whole", chunk=10, workers=2)
    score(tmp_path / "data.csv", model, tmp_path / "half", chunk=10, workers=2)
    about = (tmp_path / "half" / "score.json").read_text().replace('"complete": true', '"complete": false')
    (tmp_path / "half" / "score.json").write_text(about)
    for name in ("sites/000001", "crystals/000003", "sites/000005"):
        (tmp_path / "half" / f"{name}.parquet").unlink()
    kept = (tmp_path / "half" / "sites" / "000000.parquet").stat().st_mtime_ns
    command = [sys.executable, "-m", "cgcnn", "score", str(tmp_path / "data.csv"), "--model", str(model)]
    command += ["--out", str(tmp_path / "half"), "--cluster", cluster]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "59 crystals with 295 sites" in done.stderr and "Warning" not in done.stderr
    assert same(whole, load_scores(tmp_path / "half"))
    assert (tmp_path / "half" / "sites" / "000000.parquet").stat().st_mtime_ns == kept


def die(diary, model, number, first_row, rows):
    with open(diary, "a") as file:
        file.write("alive\n")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_chunk_that_kills_every_worker_is_one_sentence(tmp_path, model, cluster):
    source = open_source(write_table(tmp_path / "data.parquet", many(2)))
    loaded = load_model(model)
    with pytest.raises(ClusterError, match="workers died 4 times.*smaller --chunk"):
        list(chunks_on_cluster(partial(die, tmp_path / "diary"), loaded, source, 2, [0], 1, "local"))
    assert (tmp_path / "diary").read_text().split() == ["alive"] * 4


def test_a_worker_that_cannot_start_is_one_sentence(tmp_path, model, cluster, monkeypatch):
    """As where the Python of the cluster lacks a package."""
    monkeypatch.setattr(die, "__module__", "not_there")
    monkeypatch.setitem(sys.modules, "not_there", sys.modules[__name__])
    source = open_source(write_table(tmp_path / "data.parquet", many(2)))
    with pytest.raises(ClusterError, match="do not start.*No module named 'not_there'.*requirements.txt"):
        list(chunks_on_cluster(die, load_model(model), source, 2, [0], 1, "local"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:port"])
def test_no_cluster_is_one_sentence(tmp_path, model, capsys, address, monkeypatch):
    ray = pytest.importorskip("ray", reason="pip install -r requirements-cluster.txt")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    data = write_table(tmp_path / "data.parquet", many(2))
    arguments = ["score", str(data), "--model", str(model), "--out", str(tmp_path / "out"), "--cluster", address]
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert f"no Ray cluster answers at '{address}'" in told and "--cluster local" in told


def test_without_ray(tmp_path, model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    data = write_table(tmp_path / "data.parquet", many(2))
    arguments = ["score", str(data), "--model", str(model), "--out", str(tmp_path / "out"), "--cluster", "local"]
    assert main(arguments) == 1
    assert "pip install -r requirements-cluster.txt" in capsys.readouterr().err


def test_a_worker_says_what_it_does_not_find(tmp_path, model):
    """What happens on a machine that does not see the same files."""
    data = write_table(tmp_path / "data.parquet", many(2))
    for path, fingerprint, told in (("/nowhere.csv", "", "no file '/nowhere.csv'"), (data, "other", "is another file")):
        found = _Scorer(None, None, str(path), fingerprint, 2)({"number": 0})
        assert told in found["problem"] and "path that all machines" in found["problem"]

    def broken(*_):
        raise KeyError("a bug")

    found = _Scorer(broken, None, str(data), open_source(data).fingerprint(), 2)({"number": 0})
    assert not found["problem"] and "a bug" in found["traceback"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_chunks_in_any_order(tmp_path, kind):
    table = pl.DataFrame({"id": [str(i) for i in range(25)], "cif": ["x"] * 25})
    file = tmp_path / f"data.{kind}"
    table.write_csv(file) if kind == "csv" else table.write_parquet(file)
    chunks = _Chunks(open_source(file), 4)
    for number in (0, 2, 3, 6, 1, 1, 5):
        assert chunks[number]["id"].to_list() == table["id"][4 * number : 4 * number + 4].to_list()
    with pytest.raises(ValueError, match="ends before row 29"):
        chunks[7]
