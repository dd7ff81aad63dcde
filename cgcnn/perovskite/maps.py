"""The space as a square of elements: A downwards, B to the right, for one anion set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Literal

import numpy as np
import polars as pl

from .lattice import ELEMENTS
from .screening import group_and_period, with_labels

Order = Literal["Mendeleev number", "value"]

# Mendeleev numbers put these among a group that is not theirs.
_GUESTS = {"Mg": 12, "Be": 12, "B": 14, "Te": 15}


@dataclass(frozen=True)
class Quantity:
    """What a map can show.

    column: of `with_labels`, or "difference" of model minus DFT; title; zero: what the middle of the scale means
    contribution: on the scale of contributions; labels: needs a data set with targets
    """

    column: str
    title: str
    zero: str
    contribution: bool = False
    labels: bool = False


_STABLE = "as stable as the competing phases; blue is more stable"
QUANTITIES = {
    found.title: found
    for found in (
        Quantity("energy", "Energy", _STABLE),
        Quantity("contribution_a", "A contribution", "mean of the A sites of the training crystals", True),
        Quantity("contribution_b", "B contribution", "mean of the B sites of the training crystals", True),
        Quantity("target", "DFT", _STABLE, labels=True),
        Quantity("difference", "Model \N{MINUS SIGN} DFT", "model and DFT agree", labels=True),
    )
}


@cache
def mendeleev_order() -> tuple[str, ...]:
    """The elements of the space by Mendeleev number (Pettifor's scale), so that similar ones are neighbours."""
    from pymatgen.core import Element

    return tuple(sorted(ELEMENTS, key=lambda symbol: Element(symbol).mendeleev_no))


def element_blocks(symbols: tuple[str, ...]) -> list[tuple[int, str]]:
    """Runs of elements of one group, (number of elements, group), in this order of the elements."""
    runs = groupby(symbols, key=lambda symbol: _GUESTS.get(symbol, group_and_period(symbol)[0]))
    return [(len(list(members)), str(group)) for group, members in runs]


@dataclass(frozen=True)
class PairMap:
    """One anion set.

    rows, columns: element symbols on A and on B; cells: row by row, columns of `with_labels`,
        difference, and pair (A-B)
    values: (rows, columns) of the quantity, nan where there is none
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: pl.DataFrame
    values: np.ndarray

    def matrix(self, column: str) -> np.ndarray:
        """A column of the cells as (rows, columns)."""
        return self.cells[column].to_numpy().reshape(self.values.shape)


def pair_map(
    table: pl.DataFrame,
    x: str,
    quantity: Quantity,
    order: Order = "Mendeleev number",
    labels: pl.DataFrame | None = None,
) -> PairMap:
    """Lay out one anion set by Mendeleev number, or by the mean of the quantity over a row or column, lowest first.

    table: of `scored_space`; labels: as of `screening.screen`
    """
    cells = with_labels(table.filter(pl.col("x") == x), labels).with_columns(
        difference=pl.col("energy") - pl.col("target"), pair=pl.col("a") + "-" + pl.col("b")
    )
    orders = []
    for site in "ab":
        symbols = [s for s in mendeleev_order() if s in set(cells[site])]
        if order == "value":
            means = cells.group_by(site).agg(pl.col(quantity.column).mean())
            mean = dict(means.iter_rows())
            symbols.sort(key=lambda s: (mean[s] is None, mean[s]))
        orders.append(tuple(symbols))
    place = [pl.col(site).replace_strict({s: i for i, s in enumerate(o)}) for site, o in zip("ab", orders, strict=True)]
    cells = cells.sort(*place)
    values = cells[quantity.column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return PairMap(*orders, cells, values.reshape(len(orders[0]), len(orders[1])))


def energy_limit(table: pl.DataFrame) -> float:
    """End of the colour scale of energies, in steps of 0.5 eV/atom: nine tenths of the space are within, and the rest
    is hopeless whatever its colour.
    """
    return max(0.5, float(np.round(2 * table["energy"].abs().quantile(0.9)) / 2))


def difference_limit(table: pl.DataFrame, labels: pl.DataFrame) -> float:
    """End of the colour scale of model minus DFT: 95 % of all crystals with a target are within, one digit."""
    both = with_labels(table, labels).drop_nulls("target")
    if not len(both):
        return 0.1
    return max(0.05, float(f"{(both['energy'] - both['target']).abs().quantile(0.95):.1g}"))
