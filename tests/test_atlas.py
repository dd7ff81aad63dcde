"""Sums over tables of contributions, against numpy."""

import json

import numpy as np
import polars as pl
import pytest

from cgcnn.atlas import bin_edges, ends, filtered, sites_of, summary, write_atlas
from cgcnn.scoring import CRYSTAL_SCHEMA, SITE_SCHEMA, Scores, load_scores

N = 60  # crystals of four sites


def make(folder, members: int = 3) -> Scores:
    """Made-up scores, in two chunks: Sr or Ba, Ti, O, O or F."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1.5, size=(N, 4, members)).astype(np.float32)
    for table in ("sites", "crystals"):
        (folder / table).mkdir(parents=True)
    for chunk, rows in enumerate(np.split(np.arange(N), 2)):
        sites, crystals = [], []
        for row in rows.tolist():
            elements = ["Sr" if row % 3 else "Ba", "Ti", "O", "F" if row % 2 else "O"]
            for site, element in enumerate(elements):
                v = values[row, site]
                role, anion = ("A", "B", "X", "X")[site], ("O", "O", None, None)[site]
                sd = float(v.std(ddof=1)) if members > 1 else None
                sites.append((row, f"id {row}", site, element, role, 12 - 6 * site, anion, 0.0, float(v.mean()), sd,
                              v.tolist() if members > 1 else None))  # fmt: skip
            crystals.append((row, f"id {row}", "".join(elements), sorted(set(elements)), 4, row / 10, None))
        pl.DataFrame(sites, schema=SITE_SCHEMA, orient="row").write_parquet(folder / f"sites/{chunk:06d}.parquet")
        pl.DataFrame(crystals, schema=CRYSTAL_SCHEMA, orient="row").write_parquet(
            folder / f"crystals/{chunk:06d}.parquet"
        )
    about = {"model": "m", "model hash": "h", "data": "d", "members": members, "colour limit": 2.0,
             "target column": None, "split": False}  # fmt: skip
    (folder / "score.json").write_text(json.dumps(about))
    return load_scores(folder)


@pytest.fixture
def scores(tmp_path) -> Scores:
    return make(tmp_path / "scores")


def test_summary_of_an_element_on_a_role(scores):
    table = summary(scores)
    assert table["count"].sum() == 4 * N
    row = table.row(by_predicate=(pl.col("element") == "Sr") & (pl.col("role") == "A"), named=True)
    sites = scores.sites.filter(pl.col("element") == "Sr").collect()
    values, members = sites["relative"].to_numpy().astype(float), np.array(sites["members"].to_list(), dtype=float)
    assert row["count"] == row["crystals"] == len(values) == 40
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(members.mean(0).std(ddof=1))  # of the mean over members, not over crystals
    assert row["spread"] == pytest.approx(values.std(ddof=1))
    assert [row["q05"], row["q50"], row["q95"]] == pytest.approx(np.quantile(values, [0.05, 0.5, 0.95]))
    edges = bin_edges(scores)
    assert edges[[0, -1]].tolist() == [-2, 2] and len(edges) == len(row["histogram"]) + 1
    assert row["histogram"] == np.histogram(np.clip(values, -1.999, 1.999), edges)[0].tolist()


def test_two_sites_of_a_crystal_count_twice_as_sites_and_once_as_crystal(scores):
    row = summary(scores, ["element"]).row(by_predicate=pl.col("element") == "O", named=True)
    assert (row["count"], row["crystals"]) == (N + N // 2, N)


def test_by_coordination_and_anion_with_nulls(scores):
    table = summary(scores, ["coordination", "nearest_anion"], limit=1.0, bins=4)
    assert table.select(pl.col("histogram").list.sum()).to_series().to_list() == table["count"].to_list()
    assert table.filter(pl.col("nearest_anion").is_null())["count"].sum() == 2 * N
    assert set(table["coordination"]) == {12, 6, 0, -6}


def test_one_member_has_no_error_bar(tmp_path):
    assert summary(make(tmp_path / "one", members=1))["sd"].is_null().all()


def test_ends(scores):
    found = ends(scores, sites_of(scores, "O", role="X"), n=3)
    assert found["end"].to_list() == ["low"] * 3 + ["high"] * 3
    values = scores.sites.filter(pl.col("element") == "O").collect()
    low = values.group_by("row").agg(pl.col("relative").min()).sort("relative")["relative"].head(3)
    high = values.group_by("row").agg(pl.col("relative").max()).sort("relative", descending=True)["relative"].head(3)
    assert found["relative"].to_list() == [*low, *high]
    assert found["formula"].null_count() == 0 and "energy" in found.columns
    assert ends(scores, sites_of(scores, "U")).is_empty()
    assert len(ends(scores, sites_of(scores, "Ba", coordination=12, nearest_anion="O"), n=100)) == 2 * 20


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, range(N)),
        ({"contains": ["Ba"]}, range(0, N, 3)),
        ({"contains": ["Sr", "F"]}, [r for r in range(N) if r % 3 and r % 2]),
        ({"lacks": ["F", "Ba"]}, [r for r in range(N) if r % 3 and not r % 2]),
        ({"components": 4}, range(1, N, 2)),
        ({"energy": (1.0, 2.0)}, range(10, 21)),
        ({"energy": (None, 0.25)}, range(3)),
        ({"element": "Ba", "role": "A"}, range(0, N, 3)),
        ({"element": "Ba", "role": "B"}, []),
    ],
)
def test_filters(scores, options, rows):
    some = filtered(scores, **options)
    assert some.crystals.collect()["row"].to_list() == list(rows)
    assert some.sites.collect()["row"].to_list() == [r for r in rows for _ in range(4)]


def test_atlas_file(scores, tmp_path):
    write_atlas(scores, tmp_path / "atlas.parquet")
    assert pl.read_parquet(tmp_path / "atlas.parquet").equals(summary(scores))
    metadata = pl.read_parquet_metadata(tmp_path / "atlas.parquet")
    assert metadata["model hash"] == "h" and float(metadata["limit"]) == 2.0
