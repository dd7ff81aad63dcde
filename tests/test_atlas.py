"""Sums over tables of contributions, against numpy."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from cgcnn.atlas import (
    GROUPINGS,
    AtlasError,
    absolute,
    bin_width,
    ends,
    filtered,
    make_atlas,
    merged,
    read_atlas,
    relative_to_elements,
    sites_of,
    summary,
    write_atlas,
    zero_in_words,
)
from cgcnn.scoring import CRYSTAL_SCHEMA, VERSION, Scores, load_scores, member_columns, site_schema

N = 60  # crystals of four sites


def make(folder, members: int = 3, reference: bool = True) -> Scores:
    """Made-up scores, in two chunks: Sr or Ba, Ti, O, O or F; every tenth is no perovskite. Raw = relative + 1."""
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
                role, anion = ("A", "B", "X", "X")[site] if row % 10 else None, ("O", "O", None, None)[site]
                sd = float(v.std(ddof=1)) if members > 1 else None
                several = (*(v + 1).tolist(), *v.tolist()) if members > 1 else ()
                sites.append((row, f"id {row}", site, element, role, 12 - 6 * site, anion, float(v.mean() + 1),
                              float(v.mean()), sd, *several))  # fmt: skip
            contains = sorted(set(elements))
            crystals.append((row, f"id {row}", "".join(elements), contains, 4, row % 10 > 0, row / 10, None))
        schema = site_schema(members)
        pl.DataFrame(sites, schema=schema, orient="row").write_parquet(folder / f"sites/{chunk:06d}.parquet")
        pl.DataFrame(crystals, schema=CRYSTAL_SCHEMA, orient="row").write_parquet(
            folder / f"crystals/{chunk:06d}.parquet"
        )
    about = {"version": VERSION, "model": "m", "model hash": "h", "data": "d", "members": members,
             "colour limit": 2.0, "target column": None, "split": False, "path": "/nowhere",
             "reference": {"A": [0.0]} if reference else {}}  # fmt: skip
    (folder / "score.json").write_text(json.dumps(about))
    return load_scores(folder)


def by_member(sites: pl.DataFrame) -> np.ndarray:
    """Relative contributions, (N, M)."""
    return sites.select(member_columns("relative", 3)).to_numpy()


@pytest.fixture
def scores(tmp_path) -> Scores:
    return make(tmp_path / "scores")


def test_summary_of_an_element_on_a_role(scores):
    table = summary(scores)
    assert table["count"].sum() == 4 * N
    row = table.row(by_predicate=(pl.col("element") == "Sr") & (pl.col("role") == "A"), named=True)
    sites = scores.sites.filter(pl.col("element") == "Sr").collect()
    values, members = sites["relative"].to_numpy().astype(float), by_member(sites).astype(float)
    sites = sites.filter(pl.col("role") == "A")
    values, members = sites["relative"].to_numpy().astype(float), by_member(sites).astype(float)
    assert row["count"] == row["crystals"] == len(values) == 36
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(members.mean(0).std(ddof=1))  # of the mean over members, not over crystals
    assert row["spread"] == pytest.approx(values.std(ddof=1))
    assert [row["q05"], row["q50"], row["q95"]] == pytest.approx(np.quantile(values, [0.05, 0.5, 0.95]))
    assert row["members"] == pytest.approx(members.mean(0))
    width = bin_width(scores.about)
    edges = width * (row["first_bin"] + np.arange(len(row["histogram"]) + 1))
    assert width == 0.05 and row["histogram"][0] and row["histogram"][-1]
    assert row["histogram"] == np.histogram(values, edges)[0].tolist() and sum(row["histogram"]) == len(values)


def test_groups_are_merged_without_the_crystals(scores):
    """Ti in perovskites and elsewhere, as if the roles were not known."""
    width, columns = bin_width(scores.about), ["element", "nearest_anion"]
    found = merged(summary(scores, ["element", "role", "nearest_anion"]), columns, width).sort(columns)
    exact = summary(scores, columns).sort(columns)
    for column in (*columns, "count", "histogram", "first_bin"):
        assert found[column].to_list() == exact[column].to_list()
    for column in ("mean", "spread", "sd"):
        assert found[column].to_numpy() == pytest.approx(exact[column].to_numpy())
    assert np.array(found["members"].to_list()) == pytest.approx(np.array(exact["members"].to_list()))
    many = exact["count"].to_numpy() >= N  # of fewer sites neighbours are further apart than a bin
    for column in ("q25", "q50", "q75"):
        assert np.abs(found[column] - exact[column]).to_numpy()[many].max() < 2 * width
    assert "crystals" not in found.columns and merged(exact.clear(), columns, width).is_empty()


def test_two_sites_of_a_crystal_count_twice_as_sites_and_once_as_crystal(scores):
    row = summary(scores, ["element"]).row(by_predicate=pl.col("element") == "O", named=True)
    assert (row["count"], row["crystals"]) == (N + N // 2, N)


def test_by_coordination_and_anion_with_nulls(scores):
    table = summary(scores, ["coordination", "nearest_anion"])
    assert table.select(pl.col("histogram").list.sum()).to_series().to_list() == table["count"].to_list()
    assert table.filter(pl.col("nearest_anion").is_null())["count"].sum() == 2 * N
    assert set(table["coordination"]) == {12, 6, 0, -6}


def test_one_member_has_no_error_bar(tmp_path):
    assert summary(make(tmp_path / "one", members=1))["sd"].is_null().all()


def test_ends(scores):
    found = ends(scores, sites_of(scores, "O"), n=3)
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
        ({"element": "Ba", "role": "A"}, [r for r in range(0, N, 3) if r % 10]),
        ({"contains": ["Ba"], "on": "A"}, [r for r in range(0, N, 3) if r % 10]),
        ({"contains": ["Ba", "F"], "on": "A"}, []),
        ({"perovskite": False}, range(0, N, 10)),
        ({"perovskite": True, "contains": ["Ba"]}, [r for r in range(0, N, 3) if r % 10]),
        ({"element": "Ba", "role": "B"}, []),
    ],
)
def test_filters(scores, options, rows):
    some = filtered(scores, **options)
    assert some.crystals.collect()["row"].to_list() == list(rows)
    assert some.sites.collect()["row"].to_list() == [r for r in rows for _ in range(4)]


def test_absolute_values_average_to_the_energy_and_keep_their_members(scores):
    raw = absolute(scores).sites.collect()
    assert raw["relative"].to_numpy() == pytest.approx(raw["contribution"].to_numpy())
    assert by_member(raw).std(1, ddof=1) == pytest.approx(raw["sd"].to_numpy(), abs=1e-5)
    both = summary(scores, ["element"]).join(summary(absolute(scores), ["element"]), on="element")
    assert (both["mean_right"] - both["mean"]).to_list() == pytest.approx([1] * 5)


def test_an_atlas_gives_back_the_sums_of_the_perovskites(scores, tmp_path):
    write_atlas(scores, tmp_path / "atlas.parquet")
    atlas = read_atlas(tmp_path / "atlas.parquet")
    counted = filtered(scores, perovskite=True)
    assert (atlas.about["crystals"], atlas.about["sites"], atlas.about["left out"]) == (54, 216, 6)
    assert "path" not in atlas.about  # a shipped file must not tell where its data lay
    for view, own in (("relative", counted), ("absolute", absolute(counted))):
        for by, columns in GROUPINGS.items():
            kept, exact = atlas.table(view, by), summary(own, columns)
            assert kept.columns == [c for c in kept.columns if c in exact.columns] and len(kept.columns) == len(
                exact.columns
            )
            for column in ("count", "crystals", "first_bin", "histogram", *columns):
                assert kept[column].to_list() == exact[column].to_list()
            for column in ("mean", "sd", "q05", "spread"):
                assert kept[column].to_numpy() == pytest.approx(exact[column].to_numpy(), abs=1e-5, nan_ok=True)


def test_an_atlas_of_a_model_without_roles_counts_every_crystal(tmp_path):
    write_atlas(make(tmp_path / "scores", reference=False), tmp_path / "atlas.parquet")
    atlas = read_atlas(tmp_path / "atlas.parquet")
    assert (atlas.about["crystals"], atlas.about["left out"]) == (N, 0)


def test_relative_to_the_mean_of_the_element(tmp_path):
    scores = make(tmp_path / "scores", reference=False)
    write_atlas(scores, tmp_path / "atlas.parquet")
    unusual = relative_to_elements(scores, read_atlas(tmp_path / "atlas.parquet"))
    table = summary(unusual, ["element"])
    assert table["mean"].to_numpy() == pytest.approx(0, abs=1e-5)
    assert np.array(table["members"].to_list()) == pytest.approx(0, abs=1e-5)
    assert table["spread"].to_list() == pytest.approx(summary(scores, ["element"])["spread"].to_list(), abs=1e-5)
    assert unusual.sites.collect_schema().names() == scores.sites.collect_schema().names()


def test_a_damaged_atlas_is_one_sentence(scores, tmp_path):
    file = tmp_path / "atlas.parquet"
    file.write_bytes(b"nothing")
    with pytest.raises(AtlasError, match="is no atlas"):
        read_atlas(file)
    write_atlas(replace(scores, about={**scores.about}), file)
    pl.read_parquet(file).write_parquet(file, metadata={"about": json.dumps({"version": 0})})
    with pytest.raises(AtlasError, match="another version"):
        read_atlas(file)


def test_an_atlas_needs_crystals(scores):
    nothing = filtered(scores, contains=["U"])
    with pytest.raises(AtlasError, match="needs the training crystals"):
        make_atlas(nothing, "perovskite-linear", None)


def test_every_view_says_what_is_zero(scores):
    words = {
        zero_in_words(scores.about, view, roles)
        for view in ("relative", "absolute", "element")
        for roles in (True, False)
    }
    assert len(words) == 5 and all(text.startswith("Zero is") for text in words)
