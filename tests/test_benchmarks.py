"""The benchmark: it runs, also without PyTorch Geometric, and compares only what agrees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from test_scoring import many, write_ensemble, write_table

from benchmarks import field, kills, scale
from benchmarks.run import (
    EXACTLY_12,
    GROUPS,
    Row,
    cells,
    checked_cgconv_network,
    default_network,
    group_text,
    measured,
    training,
    truncated_graphs,
    verdict,
)
from benchmarks.timing import Timing
from cgcnn.contributions import structure_graph
from cgcnn.graph import GraphSettings
from cgcnn.network.convolution import Convolution
from cgcnn.scoring import load_scores, score

SMALL = cells(((1, 1, 1),))
ONCE = Timing(seconds=0, at_least=1)


@pytest.fixture(autouse=True)
def one_thread():
    """As in the benchmark; more threads wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def without_cgconv(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric", None)


@pytest.fixture
def with_cgconv():
    if not field.has_cgconv():
        pytest.skip("torch_geometric is not installed: pip install -r benchmarks/requirements.txt")


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_runs_without_pytorch_geometric(group, without_cgconv):
    if group.rows is training:
        group = replace(group, rows=partial(training, batches=1))
    rows = measured(group, SMALL[:1], ONCE)
    assert rows and all(row.ours > 0 and row.cell == "5 atoms, ideal" for row in rows)
    compared = {row.step for row in rows if row.field is not None}
    assert bool(compared) == (group.name in ("Reading", "Graph", "Ensembles"))
    text = group_text(group, rows)
    assert all(row.step in text for row in rows)
    assert max(map(len, text.splitlines())) <= 74


def test_convolution_is_cgconv(with_cgconv):
    torch.manual_seed(1)
    for cell in SMALL:
        merged, single = truncated_graphs(cell)
        assert len(single.centre) == 12 * len(cell.structure)
        convolution = Convolution(32, 41, norm=False)
        field.check_convolution(convolution, field.cgconv(convolution), merged)
        assert checked_cgconv_network(default_network("gated"), merged) is not None


def test_a_mismatch_stops_the_benchmark(with_cgconv):
    merged, _ = truncated_graphs(SMALL[0])
    convolution = Convolution(32, 41, norm=False)
    operator = field.cgconv(convolution)
    with torch.no_grad():
        operator.lin_s.bias += 1e-3
    with pytest.raises(field.Mismatch, match="the convolution and CGConv"):
        field.check_convolution(convolution, operator, merged)


def test_the_graphs_are_those_of_pymatgen():
    for cell in SMALL:
        field.check_graph(structure_graph(cell.structure, EXACTLY_12), cell.structure)
        shorter = structure_graph(cell.structure, GraphSettings(radius=3.0, truncate=True))
        with pytest.raises((field.Mismatch, ValueError)):
            field.check_graph(shorter, cell.structure)
    with pytest.raises(ValueError, match="truncate"):
        field.single_images(structure_graph(SMALL[1].structure, GraphSettings()))


def test_verdict_names_what_is_missed():
    rows = [Row("finished graph", "small", 1.0, 20.0), Row("finished graph", "large", 1.0, 50.0)]
    text = verdict(rows)
    assert "found 20.0 to 50.0, missed in part" in text and "small (20.0)" in text and "Limit: a small cell" in text
    assert "training epoch: 2 times faster; not compared" in text


def test_tasks_take_turns():
    turns = []
    clock = iter(range(1000)).__next__
    times = Timing(seconds=0, at_least=3, clock=clock).milliseconds([lambda: turns.append(0), lambda: turns.append(1)])
    assert turns == [0, 0, 1, 1] + [0, 1] * 3
    assert times == [1000.0, 1000.0]


def test_whole_data_sets(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scale, "ways_of_scoring", lambda _: {"one process": ["--workers", "1"]})
    monkeypatch.setattr(scale, "FRACTIONS", (4, 1))
    monkeypatch.setattr(scale, "COLD_STARTS", 1)
    assert scale.main(["--crystals", "40", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert " 10 crystals" in said and " 40 crystals" in said and "200 site rows" in said
    assert all(question in said for question in ("first view", "with Ti"))
    scores = load_scores(tmp_path / "scores")
    assert scores.about["crystals"] == 40 and scores.about["unreadable"] == 0
    with pytest.raises(SystemExit):
        scale.main(["--crystals", "3", "--folder", str(tmp_path)])


def test_straight_line():
    exact = scale.line({1000: 7.0, 4000: 13.0, 7000: 19.0})
    assert exact == "straight line: 5.0 s, then 500 crystals/s; no size farther off than 0%"
    assert int(re.search(r"(\d+)%", scale.line({1000: 7.0, 4000: 13.0, 7000: 38.0}))[1]) > 15
    assert "too busy" in scale.line({1000: 1.0, 4000: 13.0}) and "too busy" in scale.line({1000: 9.0, 4000: 8.0})


def test_memory_is_that_of_children_too():
    held = "import time, sys; x = b'1' * (200 << 20); print(1, flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", held], stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        assert scale.resident(os.getpid()) > 200 + scale.resident(child.pid) - 50 > 300
    finally:
        child.kill()
        child.wait()
    assert scale.resident(child.pid) == 0


def test_kills_lose_nothing(tmp_path):
    """`benchmarks.kills` in short: `score`, killed twice."""
    job = kills.score_job(tmp_path, crystals=400, chunk=20)
    found = kills.killed(job, tmp_path, times=2, seed=1)
    assert len(found.moments) == 2 and not found.problems


def test_kills_would_see_what_is_lost_or_double(tmp_path):
    model = write_ensemble(tmp_path / "model", "linear")
    data = write_table(tmp_path / "data.parquet", many(40))
    whole, broken = (score(data, model, tmp_path / name, chunk=10, workers=1).folder for name in ("whole", "broken"))
    assert kills.same_tables(broken, whole) == []
    (broken / "sites" / "000001.parquet").write_bytes((broken / "sites" / "000000.parquet").read_bytes())
    (broken / "sites" / ".x.part").touch()
    assert kills.same_tables(broken, whole) == [
        "sites are double", "sites have other values than in the unbroken run", "left over: .x.part",
    ]  # fmt: skip
