"""What can be moved between sites without changing any energy, found from the data by linear algebra.

Contributions of a crystal are only fixed together. If shifts c, one for each column k (an element on a role, or an
element), obey sum_k n_k c_k = 0 with the numbers n of every crystal, adding c to the contributions changes no energy:
in ABX3, c_A + c_B + 3 c_X = 0. These shifts form the null space of the matrix of the numbers n. Independently trained
networks end up at different places of it, so they are aligned along it before they are compared or averaged. Over many
chemistries the null space is empty and there is nothing to align.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cell import SYMBOLS
from .perovskite import ROLES


@dataclass(frozen=True)
class Columns:
    """What contributions may depend on without the energies noticing; K columns.

    role: (K,) index into `perovskite.ROLES`, -1 where elements are counted whatever their role
    element: (K,) atomic number; sites: (K,) number of sites in the crystals looked at
    of_site: (S,) column of every site; null: (K, D) orthonormal basis of the shifts that change no energy
    """

    role: np.ndarray
    element: np.ndarray
    sites: np.ndarray
    of_site: np.ndarray
    null: np.ndarray

    @property
    def dimension(self) -> int:
        return self.null.shape[1]

    @property
    def after_centring(self) -> np.ndarray:
        """(K, D') basis of what is left when every role is centred on its own mean."""
        if not self.dimension:
            return self.null
        weight = np.stack([(self.role == r) * self.sites / self.sites[self.role == r].sum() for r in set(self.role)])
        return self.null @ null_space(weight @ self.null)


def null_space(matrix: np.ndarray) -> np.ndarray:
    """Orthonormal basis of {x: matrix x = 0}; (R, K) -> (K, D)."""
    rows = np.unique(matrix, axis=0)
    size = max(rows.shape)
    if len(rows) > rows.shape[1]:
        rows = np.linalg.qr(rows, mode="r")  # the same null space, with K rows instead of one for every composition
    _, singular, basis = np.linalg.svd(rows, full_matrices=True)
    tolerance = size * np.finfo(float).eps * max(singular.max(initial=0.0), 1.0)
    return basis[np.count_nonzero(singular > tolerance) :].T


def columns(numbers: np.ndarray, roles: np.ndarray, sites: np.ndarray, by_role: bool) -> Columns:
    """Columns and null space of C crystals, S sites in all, one crystal after another.

    numbers: (S,) atomic numbers; roles: (S,) index into `perovskite.ROLES`; sites: (C,); by_role: an element counts
    as another on another role
    """
    key = numbers + (1000 * (roles + 1) if by_role else 0)
    values, of_site, total = np.unique(key, return_inverse=True, return_counts=True)
    of_site = of_site.ravel()
    crystal = np.repeat(np.arange(len(sites)), sites)
    count = np.bincount(crystal * len(values) + of_site, minlength=len(sites) * len(values))
    null = null_space(count.reshape(len(sites), len(values)).astype(float))
    role = values // 1000 - 1 if by_role else np.full(len(values), -1)
    return Columns(role, values % 1000, total, of_site, null)


def alignment(means: np.ndarray, sites: np.ndarray, null: np.ndarray) -> np.ndarray:
    """The shift of every member along the null space that brings it nearest to the mean of all; (M, K).

    means: (M, K) mean contribution of each column by each member; sites: (K,) the weight of a column
    null: (K, D). To be subtracted from the contributions
    """
    weight = np.sqrt(sites)[:, None]
    difference = (means - means.mean(0)).T  # (K, M)
    free = np.linalg.lstsq(weight * null, weight * difference, rcond=None)[0]  # (D, M)
    return (null @ free).T


def column_means(values: np.ndarray, column: np.ndarray, number: int) -> np.ndarray:
    """Mean contribution of each of so many columns; values (M, S), column (S,) with -1 for sites of none -> (M, K)."""
    inside = column >= 0
    count = np.maximum(np.bincount(column[inside], minlength=number), 1)
    return np.stack([np.bincount(column[inside], weights=v[inside], minlength=number) for v in values]) / count


def shift_table(shift: np.ndarray, found: Columns) -> dict[str, dict[str, list[float]]]:
    """{role, "" for any: {element: the shift of each member}}, for a card; (M, K). Empty if nothing is shifted."""
    table: dict[str, dict[str, list[float]]] = {}
    if not np.abs(shift).max(initial=0.0) > 1e-9:
        return {}
    for k, (role, element) in enumerate(zip(found.role.tolist(), found.element.tolist(), strict=True)):
        table.setdefault(ROLES[role] if role >= 0 else "", {})[SYMBOLS[element]] = np.round(shift[:, k], 6).tolist()
    return table


def shifts(table: dict[str, dict[str, list[float]]], members: int) -> np.ndarray:
    """A `shift_table` as (M, roles + 1, 119), the last role for sites without one; what is not in it is 0."""
    found = np.zeros((members, len(ROLES) + 1, 119))
    for role, of_element in table.items():
        for symbol, values in of_element.items():
            which = [ROLES.index(role)] if role else list(range(len(ROLES) + 1))
            found[:, which, SYMBOLS.index(symbol)] = np.array(values)[:, None]
    return found


def in_words(found: Columns, by_role: bool) -> str:
    """What of the gauge is free, and what fixes it, in a sentence for the card."""
    if not found.dimension:
        return (
            "No shift of elements leaves all energies as they are, so there is nothing to align by composition; what "
            "members still disagree on is energy moved along bonds."
        )
    constants = "shift" if found.dimension == 1 else "shifts"
    text = f"{found.dimension} independent {constants} of elements{' on sites' if by_role else ''} change no energy. "
    if not by_role:
        return text + "Members are aligned along them."
    left = found.after_centring.shape[1]
    text += "Centring each role on its mean over the training crystals fixes "
    return text + (
        "them all." if not left else f"{found.dimension - left}; members are aligned along the other {left}."
    )
