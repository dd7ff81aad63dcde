"""Files that are whole or not there: full disks, several processes at one folder, a cache without a home."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from builders import perovskite, small_model
from test_scoring import ELEMENTS, many, write_ensemble, write_table

from cgcnn import cache
from cgcnn.cache import cache_folder
from cgcnn.datasets import load_dataset
from cgcnn.files import Busy, forgiven, in_words, only_one, write_whole, written_whole
from cgcnn.kept import kept_scores
from cgcnn.model import load_model
from cgcnn.scoring import load_scores, score

ROOT = Path(__file__).parent.parent
SMALL_DISK = 4_000  # bytes, the largest file that a process on it can write


def small_disk() -> None:
    """For `preexec_fn`: files end after some bytes, as on a full disk; Python and Rust get EFBIG."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))


def command(*arguments, disk=None, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "cgcnn", *map(str, arguments)], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=240, preexec_fn=disk,
    )  # fmt: skip


def one_sentence(run: subprocess.CompletedProcess) -> str:
    """What a command said before it gave up: a line, no traceback."""
    assert run.returncode == 1 and "Traceback" not in run.stderr, run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    return line


def test_a_file_is_whole_or_not_there(tmp_path):
    file = tmp_path / "file"
    write_whole(file, b"one")
    with pytest.raises(OSError, match="No space") as raised, written_whole(file) as opened:
        opened.write(b"half")
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(file)
    assert in_words(raised.value) == f"{file}: No space left on device; make room there, or name another place, and " \
                                     "do the same again"  # fmt: skip
    assert file.read_bytes() == b"one" and list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_many_writers_of_one_file(tmp_path):
    file, contents = tmp_path / "file", [bytes([i]) * 300_000 for i in range(8)]
    threads = [threading.Thread(target=lambda c=c: [write_whole(file, c) for _ in range(20)]) for c in contents]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            seen.add(file.read_bytes())
    assert seen and seen <= set(contents) and list(tmp_path.iterdir()) == [file]


def test_what_can_be_made_again_may_fail(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    with forgiven(tmp_path / "file" / "x"):
        write_whole(tmp_path / "file" / "x", b"")
    assert "is not kept (Not a directory); it will be made again" in caplog.text


def test_graphs_are_built_without_a_cache_and_again_where_it_is_damaged(tmp_path, monkeypatch, caplog):
    data = write_table(tmp_path / "data.parquet", [perovskite()], energy=[1.0])
    monkeypatch.setenv("CGCNN_CACHE", str(data))  # a file: nothing can be kept there
    assert len(load_dataset(data)) == 1 and "is not kept" in caplog.text
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    whole = load_dataset(data)
    (kept,) = (tmp_path / "cache").glob("graphs-*.npz")
    for content in (b"", b"nothing", kept.read_bytes()[:400]):
        kept.write_bytes(content)
        assert np.array_equal(load_dataset(data).graphs.distance, whole.graphs.distance)
    assert len(kept.read_bytes()) > 400


# --- full disk --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_score_on_a_full_disk(tmp_path, workers):
    write_ensemble(tmp_path / "model", "linear")
    data = write_table(tmp_path / "data.parquet", many(120))
    arguments = ("score", data, "--model", tmp_path / "model", "--out", tmp_path / "out", "--workers", workers)
    said = one_sentence(command(*arguments, "--chunk", "120", disk=small_disk))
    assert "sites/000000.parquet" in said and "File too large; make room there" in said
    assert not list(tmp_path.glob("out/*/*")), "nothing half-written is left"
    assert command(*arguments).returncode == 0
    assert load_scores(tmp_path / "out").crystals.collect()["row"].to_list() == list(range(120))


def test_train_on_a_full_disk(tmp_path):
    data = write_table(tmp_path / "data.parquet", many(40), energy=list(range(40)))
    arguments = (
        "train",
        data,
        "--head",
        "linear",
        "--epochs",
        "1",
        "--width",
        "16",
        "--convolutions",
        "1",
        "--threads",
        "1",
        "--quiet",
    )
    arguments += ("--out", tmp_path / "out")
    where = {"CGCNN_CACHE": str(tmp_path / "cache")}
    said = one_sentence(command(*arguments, disk=small_disk, **where))
    assert ".ckpt: File too large; make room there" in said
    assert command(*arguments, **where).returncode == 0
    assert load_model(tmp_path / "out").card.training["epochs run"] == [1]


def test_a_folder_that_cannot_be_written(tmp_path):
    write_ensemble(tmp_path / "model", "linear")
    data = write_table(tmp_path / "data.parquet", many(1))
    said = one_sentence(command("score", data, "--model", tmp_path / "model", "--out", "/proc/scores"))
    assert said.startswith("error: /proc/scores: No such file or directory")


def test_finished_scores_are_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    model = write_ensemble(tmp_path / "model", "linear")
    data = write_table(tmp_path / "data.parquet", many(3))
    score(data, model, tmp_path / "out")
    monkeypatch.setattr("cgcnn.scoring.folder.write_whole", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only")))
    monkeypatch.setattr("cgcnn.scoring.run.only_one", lambda *_: pytest.fail("locked"))
    moved = data.rename(tmp_path / "moved.parquet")
    assert score(moved, model, tmp_path / "out").crystals.collect().height == 3


# --- several processes ------------------------------------------------------------------------------------------------


def test_a_folder_is_held_by_one(tmp_path):
    asked = []
    with only_one(tmp_path):
        with pytest.raises(Busy, match="another process is at work in"), only_one(tmp_path):
            raise AssertionError("both have it")
        thread = threading.Thread(target=lambda: _hold(tmp_path, asked))
        thread.start()
        while not asked:
            time.sleep(0.01)
    thread.join(10)
    assert asked[-1] == "held" and asked[0] == "waits" and not list(tmp_path.iterdir())


def _hold(folder: Path, told: list[str]) -> None:
    with only_one(folder, lambda: told.append("waits")):
        told.append("held")


def test_a_killed_process_lets_go(tmp_path):
    code = f"""
import time
from pathlib import Path
from cgcnn.files import only_one
with only_one(Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Busy), only_one(tmp_path):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with only_one(tmp_path):
        pass


TWO_APPS = """
import sys
from cgcnn.kept import kept_scores
from cgcnn.model import load_model
from cgcnn.scoring import folder, run

folder._CHUNKS, folder._SMALLEST = 20, 10
score_chunk = run.score_chunk

def noted(job, model, number, *rest):
    print(number, flush=True)
    score_chunk(job, model, number, *rest)

run.score_chunk = noted
run.os.sched_getaffinity = lambda _: {0}  # one process, this one
sys.stdin.readline()
scores = kept_scores(sys.argv[1], load_model(sys.argv[2]))
assert scores.about["complete"] and scores.crystals.collect()["row"].to_list() == list(range(200))
"""


def test_two_apps_share_one_cache(tmp_path):
    """Each chunk is worked out once, by one of them, and both get all of them."""
    model = write_ensemble(tmp_path / "model", "linear")
    data = write_table(tmp_path / "data.parquet", many(200))
    apps = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_APPS, str(data), str(model)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "CGCNN_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        )
        for _ in range(2)
    ]  # fmt: skip
    time.sleep(0.1)
    for app in apps:
        app.stdin.write("go\n")
        app.stdin.flush()
    chunks = [app.communicate(timeout=120)[0].split() for app in apps]
    assert all(app.returncode == 0 for app in apps)
    assert sorted(map(int, sum(chunks, []))) == list(range(20))
    assert not list((tmp_path / "cache").rglob("*.part")) and not list((tmp_path / "cache").rglob(".lock"))


def test_a_waiting_app_sees_how_far_the_other_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    model = load_model(write_ensemble(tmp_path / "model", "linear"))
    data = write_table(tmp_path / "data.parquet", many(30))
    folder = kept_scores(data, model).folder
    about = (folder / "score.json").read_text()
    (folder / "score.json").write_text(about.replace('"complete": true', '"complete": false'))
    seen, release = [], threading.Event()

    def hold() -> None:
        with only_one(folder):
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    time.sleep(0.2)
    waiting = threading.Thread(target=lambda: kept_scores(data, model, lambda *done: seen.append(done)))
    waiting.start()
    while not seen:
        time.sleep(0.01)
    assert seen[0] == (30, 30)
    release.set()
    thread.join()
    waiting.join(30)
    assert load_scores(folder).about["complete"]


def test_two_trainings_in_one_folder(tmp_path):
    from cgcnn.network import NetworkSettings
    from cgcnn.targets import describe_target
    from cgcnn.training import TrainingSettings, train

    structures = [perovskite("Sr", b, edge=3.9 + 0.01 * i) for i in range(3) for b in ELEMENTS]
    data = write_table(tmp_path / "data.parquet", structures, energy=list(map(float, range(len(structures)))))
    (tmp_path / "out").mkdir()
    with only_one(tmp_path / "out"), pytest.raises(Busy, match="another process is at work"):
        train(
            load_dataset(data), describe_target("energy", "eV"), NetworkSettings("linear", width=16, convolutions=1),
            TrainingSettings(epochs=1), tmp_path / "out", progress=False,
        )  # fmt: skip


# --- home -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_home(tmp_path, monkeypatch):
    cache._own_folder.cache_clear()
    for name in ("CGCNN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    cache._own_folder.cache_clear()


def test_the_cache_goes_where_it_can(no_home, monkeypatch, caplog):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("cgcnn.cache.Path.home", nobody)
    folder = cache_folder()
    assert folder == no_home / f"cgcnn-{os.getuid()}" and folder.stat().st_mode & 0o777 == 0o700
    assert "there is no home directory; scores are kept in" in caplog.text and cache_folder() == folder
    assert caplog.text.count("no home") == 1
    monkeypatch.setenv("CGCNN_CACHE", str(no_home / "named"))
    assert cache_folder() == no_home / "named"
    monkeypatch.delenv("CGCNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(no_home / "xdg"))
    assert cache_folder() == no_home / "xdg" / "cgcnn"
    (no_home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(no_home / "file"))
    assert cache_folder() == folder and "file/cgcnn cannot be written" in caplog.text


def test_somebody_elses_temporary_folder_is_left_alone(no_home):
    (no_home / "elsewhere").mkdir()
    (no_home / f"cgcnn-{os.getuid()}").symlink_to(no_home / "elsewhere")
    folder = cache._temporary_folder()
    assert folder.name.startswith("cgcnn-") and not folder.is_symlink() and folder.resolve().parent == no_home.resolve()
    (no_home / f"cgcnn-{os.getuid()}").unlink()
    (no_home / f"cgcnn-{os.getuid()}").mkdir(mode=0o755)
    assert cache._temporary_folder() != no_home / f"cgcnn-{os.getuid()}"


def test_saving_a_model_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("cgcnn.files.os.open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="weights.safetensors"):
        small_model("linear").save(tmp_path / "model")
    assert not list((tmp_path / "model").iterdir())


def test_a_table_with_no_room_is_not_kept(tmp_path, monkeypatch, caplog):
    from cgcnn.perovskite.labels import _keep

    monkeypatch.setattr("cgcnn.files.os.open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    _keep(pl.DataFrame({"a": [1]}), tmp_path / "labels.parquet", {})
    assert "No space left on device" in caplog.text and not list(tmp_path.iterdir())
