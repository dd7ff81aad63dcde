"""Shifts that change no energy, by linear algebra."""

import itertools

import numpy as np
import pytest

from cgcnn.cell import ATOMIC_NUMBER
from cgcnn.gauge import alignment, column_means, columns, in_words, null_space, shift_table, shifts


def perovskites(combinations):
    """numbers, roles, sites of A, B, X3 cells."""
    numbers = np.array([[ATOMIC_NUMBER[s] for s in (a, b, x, x, x)] for a, b, x in combinations])
    return numbers.ravel(), np.tile([0, 1, 2, 2, 2], len(numbers)), np.full(len(numbers), 5)


FULL = perovskites(itertools.product(("Na", "Sr", "La"), ("Ti", "Nb"), ("O", "F")))


def test_null_space_of_the_roles_of_abx3():
    null = null_space(np.array([[1.0, 1.0, 3.0]] * 4))
    assert null.shape == (3, 2)
    assert np.array([1, 1, 3]) @ null == pytest.approx(0, abs=1e-12)
    assert null.T @ null == pytest.approx(np.eye(2))


def test_a_factorial_leaves_one_constant_a_role_and_centring_fixes_them():
    found = columns(*FULL, by_role=True)
    assert found.dimension == 2 and found.after_centring.shape == (7, 0)
    for shift in found.null.T:
        assert all(np.ptp(shift[found.role == role]) < 1e-12 for role in range(3))
        a, b, x = (shift[found.role == role][0] for role in range(3))
        assert a + b + 3 * x == pytest.approx(0, abs=1e-12)
    assert "fixes them all" in in_words(found, True)


def test_many_compositions_leave_nothing():
    compositions = [("Na", "Cl"), ("Na", "Na", "O"), ("Na", "Cl", "O"), ("Na",)]
    numbers = np.array([ATOMIC_NUMBER[s] for c in compositions for s in c])
    found = columns(numbers, np.full(len(numbers), -1), np.array([len(c) for c in compositions]), by_role=False)
    assert found.dimension == 0 and "nothing to align" in in_words(found, False)


def test_one_stoichiometry_leaves_a_shift_of_elements():
    """In a data set of rock salts only, cations may rise as anions fall."""
    numbers = np.array([ATOMIC_NUMBER[s] for c in itertools.product(("Na", "K"), ("Cl", "Br")) for s in c])
    found = columns(numbers, np.full(8, -1), np.full(4, 2), by_role=False)
    assert found.dimension == 1
    cation = found.null[np.isin(found.element, [11, 19]), 0]
    anion = found.null[np.isin(found.element, [17, 35]), 0]
    assert np.ptp(cation) < 1e-12 and cation == pytest.approx(-anion)
    assert "1 independent shift of elements change" in in_words(found, False).replace("changes", "change")


def test_alignment_removes_what_changes_no_energy_and_nothing_else():
    """Members that differ by null shifts and a little noise agree after it to the noise."""
    pairs = [("Na", "Nb", "O"), ("K", "Ta", "O"), ("K", "Nb", "O"), ("Sr", "Ti", "O"), ("Ba", "Zr", "O"),
             ("Ba", "Ti", "O")]  # fmt: skip
    numbers, roles, sites = perovskites(pairs)
    found = columns(numbers, roles, sites, by_role=True)
    free = found.after_centring
    assert found.dimension == 3 and free.shape[1] == 1  # I-V and II-IV may shift against each other
    assert "members are aligned along the other 1" in in_words(found, True)
    rng = np.random.default_rng(0)
    truth = rng.normal(size=len(found.sites))
    moved = truth + (free @ rng.normal(size=(1, 3))).T * 2
    noise = 0.01 * rng.normal(size=moved.shape)
    values = (moved + noise)[:, found.of_site]
    means = column_means(values, found.of_site, len(found.sites))
    shift = alignment(means, found.sites, free)
    assert np.abs(moved - moved.mean(0)).max() > 0.3
    assert np.abs((moved - shift) - (moved - shift).mean(0)).max() < 0.05
    crystal = np.repeat(np.arange(len(sites)), sites)
    for m in range(3):
        assert np.bincount(crystal, weights=shift[m][found.of_site]) == pytest.approx(0, abs=1e-9)


def test_shifts_survive_the_card():
    found = columns(*FULL, by_role=True)
    shift = np.arange(14.0).reshape(2, 7)
    again = shifts(shift_table(shift, found), 2)
    for k in range(7):
        assert again[:, found.role[k], found.element[k]].tolist() == shift[:, k].tolist()
    assert again.sum() == shift.sum()
    any_role = shifts({"": {"Na": [0.1, -0.1]}}, 2)
    assert any_role[:, :, 11].tolist() == [[0.1] * 4, [-0.1] * 4]
    assert shift_table(np.zeros((2, 7)), found) == {}
