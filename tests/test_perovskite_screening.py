"""Rules, radii and charges, candidates and hit rates."""

import numpy as np
import polars as pl
import pytest

from cgcnn.perovskite.effects import element_effects, trusted
from cgcnn.perovskite.lattice import ANION_SETS, ELEMENTS
from cgcnn.perovskite.maps import (
    QUANTITIES,
    difference_limit,
    element_blocks,
    energy_limit,
    mendeleev_order,
    pair_map,
)
from cgcnn.perovskite.screening import Check, HitRate, elements_in, rules, screen, site_means
from cgcnn.perovskite.space import SIZE, build_space
from cgcnn.perovskite.tolerance import goldschmidt, oxidation_states, shannon_radius, space_factors

OXIDE = ("O", "O", "O")


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """A space whose energy is 0.1 for the rule of the paper and 1 elsewhere; two members."""
    rule = rules()[0]
    space = build_space().drop("lattice", "atomic_numbers", "frac_coords")
    chosen = space["a"].is_in(list(rule.a)) & space["b"].is_in(list(rule.b))
    period = {s: 1.0 if s in rule.b else 0.0 for s in ELEMENTS}
    return space.with_columns(
        energy=np.where(chosen.to_numpy(), 0.1, 1.0),
        members_b=pl.col("b")
        .replace_strict(period)
        .map_elements(lambda v: [v, v + 2], return_dtype=pl.List(pl.Float64)),
        members_a=pl.Series([[0.5]] * SIZE),
    )


def test_the_rule_of_the_paper():
    rule = rules()[0]
    assert set(rule.a) == {"In", "Sn", "Sb", "Tl", "Pb", "Bi"}
    assert set(rule.b) == {"Ti", "Zr", "Hf", "V", "Nb", "Ta", "Cr", "Mo", "W"}
    assert len(rule.a) * len(rule.b) * len(rule.x) == 378


def test_elements_by_group_and_period():
    assert elements_in((1,)) == ("Li", "Na", "K", "Rb", "Cs")
    assert elements_in(periods=(4,), groups=(4, 5)) == ("Ti", "V")
    assert elements_in() == ELEMENTS
    for rule in rules():
        assert set(rule.a) | set(rule.b) <= set(ELEMENTS), rule.name
        assert rule.a and rule.b and set(rule.x) <= set(ANION_SETS)


def test_screening_counts_strictly_below_the_threshold(table):
    rule = rules()[0]
    found = screen(table, rule.a, rule.b)
    assert found.predicted == HitRate(378, 378)
    assert found.predicted_all == HitRate(SIZE, 378)
    assert found.enrichment == pytest.approx(SIZE / 378)
    assert found.dft is None and found.check is None and found.dft_enrichment is None
    assert screen(table, rule.a, rule.b, threshold=0.1).predicted.hits == 0
    assert found.candidates["target"].is_null().all()
    everything = screen(table)
    assert everything.predicted == everything.predicted_all
    assert everything.candidates["energy"].is_sorted()


def test_screening_against_dft_leaves_trained_crystals_out(table):
    labels = pl.DataFrame(
        {
            "formula": ["TlTaO3", "PbTiO3", "InNbO3", "SrTiO3", "BaTiO3"],
            "target": [0.0, 0.2, 0.1, -0.2, 0.5],
            "split": ["val", "val", "train", "val", ""],
        }
    )
    rule = rules()[0]
    found = screen(table, rule.a, rule.b, labels=labels)
    assert found.dft == HitRate(3, 2)
    assert found.dft_all == HitRate(5, 3)
    assert found.dft_enrichment == pytest.approx((2 / 3) / (3 / 5))
    assert found.check == Check(n=2, predicted=2, actual=1, both=1)
    assert (found.check.precision, found.check.recall) == (0.5, 1.0)
    assert found.check_all == Check(n=4, predicted=2, actual=2, both=1)
    assert found.candidates.filter("trained")["formula"].to_list() == ["InNbO3"]


def test_screening_nothing(table):
    found = screen(table, (), ("Ti",))
    assert found.predicted == HitRate(0, 0)
    assert found.predicted.rate is None and found.enrichment is None
    with pytest.raises(ValueError, match="Xe on A"):
        screen(table, ("Xe",), ("Ti",))


def test_means_by_group_and_element(table):
    groups = site_means(table, "B")
    assert groups["group"].is_sorted()
    assert groups.filter(group=5).select("crystals", "mean", "sd").row(0) == (3 * 52 * 7, 2.0, pytest.approx(2**0.5))
    assert groups.filter(group=5)["elements"].to_list() == [["V", "Nb", "Ta"]]
    elements = site_means(table.head(52 * 7 * 2), "A", by="element")
    assert elements["element"].to_list() == ["Li", "Be"]
    assert elements["sd"].is_null().all()
    assert len(site_means(table.head(0), "A")) == 0
    with pytest.raises(ValueError, match="site='X'"):
        site_means(table, "X")


def test_goldschmidt_factors():
    """SrTiO3: radii 1.44, 0.605 and 1.40 angstrom."""
    found = goldschmidt("Sr", "Ti", OXIDE)
    assert (found.neutral, found.charge_a, found.charge_b) == (True, 2, 4)
    assert found.tolerance == pytest.approx((1.44 + 1.40) / (2**0.5 * (0.605 + 1.40)))
    assert found.octahedral == pytest.approx(0.605 / 1.40)
    assert goldschmidt("Bi", "Fe", OXIDE).octahedral == pytest.approx(0.645 / 1.40)  # high spin
    # V4+ is no common state, but known
    vanadate = goldschmidt("Pb", "V", OXIDE)
    assert (vanadate.neutral, vanadate.charge_a, vanadate.charge_b) == (False, 2, 4)
    assert vanadate.tolerance is not None
    assert not goldschmidt("K", "Ba", OXIDE).neutral
    assert goldschmidt("K", "Ba", OXIDE).tolerance is None
    # Shannon lists no Sn2+
    assert (goldschmidt("Sn", "Ti", OXIDE).neutral, goldschmidt("Sn", "Ti", OXIDE).tolerance) == (True, None)
    # mixed anions: charge 7, mean radius
    assert goldschmidt("Ba", "Ta", ("O", "O", "N")).charge_b == 5
    assert oxidation_states("Tl") == (1, 3)
    assert shannon_radius("Ti", 9, ("VI",)) is None


def test_factors_of_the_space():
    factors = space_factors()
    assert len(factors) == SIZE
    known = factors["tolerance"].drop_nulls()
    assert len(known) > 2000
    assert 0.4 < known.min() < known.max() < 1.6
    assert factors.filter(pl.col("charge_a").is_null())["tolerance"].is_null().all()


def test_effects_of_an_additive_space_are_found_again(table):
    """Contributions that are the elements' own energies: booked and effect are the same, from the same zero."""
    rng = np.random.default_rng(0)
    of = {site: dict(zip(ELEMENTS, rng.normal(size=52), strict=True)) for site in "ab"}
    a, b = (table[site].replace_strict(of[site]).to_numpy() for site in "ab")
    anions = table["x"].replace_strict({x: i / 10 for i, x in enumerate(ANION_SETS)}).to_numpy()
    space = table.with_columns(
        energy=(a + b) / 5 + anions,
        members_a=pl.Series(np.stack([a, a + 1], axis=1).tolist()),
        members_b=pl.Series(np.stack([0.5 * b, 1.5 * b], axis=1).tolist()),
    )
    for site, name in (("A", "a"), ("B", "b")):
        expected = np.array([of[name][s] for s in ELEMENTS])
        expected = expected - expected.mean()
        found = element_effects(space, site)
        np.testing.assert_allclose(found["effect"], expected, atol=1e-4)
        np.testing.assert_allclose(
            found["booked"] - (found["booked"].mean() if site == "A" else 0), expected, atol=1e-9
        )
        spread = np.zeros(52) if site == "A" else np.abs(expected) / 2**0.5
        np.testing.assert_allclose(found["sd"], spread, atol=1e-9)
        assert found["crystals"].to_list() == [52 * 7] * 52
    labels = space.gather_every(3).select("formula", target=2 * pl.col("energy"))
    np.testing.assert_allclose(element_effects(space, "B", labels)["effect"], 2 * expected, atol=1e-3)
    few = space.filter(pl.col("a") != "Cs")
    assert element_effects(few, "A")["booked"].is_nan().sum() == 1
    with pytest.raises(ValueError, match="site='X'"):
        element_effects(space, "X")


def test_trust_in_a_ranking():
    assert trusted({"elements A": {"r": 0.93}}, "A") is True
    assert [trusted({"elements A": {"r": r}}, "A") for r in (0.75, 0.8996, 0.9003)] == [False] * 3
    assert trusted({}, "A") is None


def test_maps_by_chemistry_and_by_value(table):
    quantity = QUANTITIES["Energy"]
    found = pair_map(table, "O3", quantity)
    assert found.rows == found.columns == mendeleev_order()
    assert found.rows[:5] == ("Cs", "Rb", "K", "Na", "Li") and sorted(found.rows) == sorted(ELEMENTS)
    i, j = found.rows.index("Pb"), found.columns.index("Ti")
    assert found.matrix("formula")[i, j] == "PbTiO3" and found.values[i, j] == 0.1 and found.values[j, i] == 1
    by_value = pair_map(table, "O3", quantity, "value")
    rule = rules()[0]
    assert set(by_value.rows[:6]) == set(rule.a) and set(by_value.columns[:9]) == set(rule.b)
    assert (by_value.values[:6, :9] == 0.1).all() and (by_value.values[6:] == 1).all()


def test_map_of_dft_and_of_its_difference(table):
    labels = pl.DataFrame({"formula": ["TlTaO3", "SrTiO3"], "target": [0.0, 0.7], "split": ["train", "val"]})
    found = pair_map(table, "O3", QUANTITIES["Model \N{MINUS SIGN} DFT"], "value", labels)
    assert found.rows[0] == "Tl" or found.rows[0] == "Sr"
    values = {f: v for f, v in zip(found.matrix("formula").ravel(), found.values.ravel(), strict=True) if v == v}
    assert values == pytest.approx({"TlTaO3": 0.1, "SrTiO3": 0.3})
    assert found.cells.filter("trained")["formula"].to_list() == ["TlTaO3"]
    assert difference_limit(table, labels) == pytest.approx(0.3)
    assert difference_limit(table, labels.head(0)) > 0
    assert energy_limit(table) == 1.0


def test_blocks_cover_the_axis():
    blocks = element_blocks(mendeleev_order())
    assert sum(size for size, _ in blocks) == 52
    assert blocks[:3] == [(5, "1"), (3, "2"), (3, "3")]
    assert [name for _, name in blocks] == [str(group) for group in range(1, 16)]
