"""Swap an atom: the energy of a crystal with every other element on a site, all in one batch.

A chemist's question, asked of the model directly: not what is booked on this atom, but what changes if it is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .cell import SYMBOLS
from .contributions import structure_graph
from .graph import collate
from .model import Card, Model
from .perovskite import site_roles

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Structure

_EDGE_DECIMALS = 4
_CUBIC = 1e-3  # relative difference of cell edges, and cosine of cell angles, up to which a cell is called cubic


@dataclass(frozen=True)
class Swap:
    """Sites of a crystal that take an element, and the lattice parameter of the cell, angstrom, if it follows.

    As text, for addresses: "1:Zr", "2,3,4:N", "1:Zr:4.1413".
    """

    sites: tuple[int, ...]
    element: str
    edge: float | None = None

    def __str__(self) -> str:
        sites = ",".join(map(str, self.sites))
        return f"{sites}:{self.element}" + ("" if self.edge is None else f":{self.edge:.{_EDGE_DECIMALS}f}")

    @classmethod
    def read(cls, text: str) -> Swap:
        """The swap that `str` wrote. Raises ValueError for anything else."""
        try:
            sites, element, *edge = text.split(":")
            return cls(tuple(int(i) for i in sites.split(",")), element, float(edge[0]) if edge else None)
        except ValueError as error:
            raise ValueError(f"{text!r} is no swap; write one like 1:Zr, the site's number and an element") from error

    def of(self, structure: Structure) -> Structure:
        """The crystal after the swap. Raises ValueError if it does not fit the crystal."""
        _element_on(structure, self.sites)
        if self.element not in SYMBOLS[1:]:
            raise ValueError(f"{self.element!r} is no element")
        swapped = structure.copy()
        for site in self.sites:
            swapped.replace(site, self.element)
        if self.edge is not None:
            if not 1 < self.edge < 100:
                raise ValueError(f"a lattice parameter of {self.edge:g} angstrom is out of the question")
            swapped = _with_edge(swapped, self.edge)
        return swapped


@dataclass(frozen=True)
class Substitutions:
    """What the energy of a crystal becomes when some sites take another element; K candidates.

    structure: the crystal as it is; model: the model's name
    sites: (S,) indices of the swapped sites, which all hold `element`; role: A, B, X or None
    energy: prediction as it is, eV/atom, mean over the members
    elements: (K,) symbols, by atomic number
    energies: (K,) predictions, eV/atom; nan where the cell cannot follow
    change: (K,) energy of the cell minus that of the present cell, eV; sd: (K,) over the members, None for one member
    booked: (K,) the part of `change` that is booked on the swapped sites, eV; booked_sd: (K,) likewise
    edge: (K,) lattice parameter of the cell that follows, angstrom; None for the fixed cell
    seen: (K,) bool, whether training crystals hold the element in this role; None where that is not known
    """

    structure: Structure
    model: str
    sites: tuple[int, ...]
    element: str
    role: str | None
    energy: float
    elements: tuple[str, ...]
    energies: np.ndarray
    change: np.ndarray
    sd: np.ndarray | None
    booked: np.ndarray
    booked_sd: np.ndarray | None
    edge: np.ndarray | None
    seen: np.ndarray | None
    unit: str = "eV"

    @property
    def change_per_atom(self) -> np.ndarray:
        """(K,) eV/atom."""
        return self.change / len(self.structure)

    def doubtful(self) -> list[str]:
        """Candidates with a prediction that training crystals do not hold in this role."""
        if self.seen is None:
            return []
        known = zip(self.elements, self.seen, ~np.isnan(self.change), strict=True)
        return [element for element, seen, there in known if there and not seen]

    @property
    def share_booked(self) -> float:
        """How much of a change is booked on the swapped sites: slope of `booked` on `change` through zero."""
        known = ~np.isnan(self.change)
        square = np.square(self.change[known]).sum()
        return float((self.change * self.booked)[known].sum() / square) if square > 0 else float("nan")

    def table(self) -> pd.DataFrame:
        """One row a candidate; energies in eV, eV/atom where the name says so, lengths in angstrom."""
        import pandas as pd

        columns = {
            "element": self.elements, "change": self.change, "sd": self.sd, "change per atom": self.change_per_atom,
            "energy per atom": self.energies, "booked": self.booked, "booked sd": self.booked_sd, "edge": self.edge,
            "trained": self.seen,
        }  # fmt: skip
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})

    def swap(self, element: str) -> Swap:
        """The swap to this element. Raises ValueError for an element that is no candidate."""
        if element not in self.elements:
            raise ValueError(f"{element!r} is no candidate; the model {self.model} knows {', '.join(self.elements)}")
        if self.edge is None:
            return Swap(self.sites, element)
        edge = float(self.edge[self.elements.index(element)])
        if np.isnan(edge):
            raise ValueError(f"no lattice parameter is known for {element} there; let the cell stay as it is")
        return Swap(self.sites, element, round(edge, _EDGE_DECIMALS))


def substitute(model: Model, structure: Structure, sites: Sequence[int], *, follow_cell: bool = False) -> Substitutions:
    """Energy with every other element that the model knows on these sites at once.

    sites: indices of sites that hold the same element; coordinates stay
    follow_cell: scale the cell as the lattice model of the cubic perovskites says, for members of that space
    Computed in single precision. Raises ValueError, in a sentence, for sites or cells for which it cannot be done.
    """
    target = model.card.target
    if target.unit != "eV/atom":
        raise ValueError(f"swaps are worked out for energies in eV/atom; {model.card.name} predicts {target.label}")
    sites = tuple(int(i) for i in sites)
    element = _element_on(structure, sites)
    candidates = [symbol for symbol in _by_number(model.card.elements) if symbol != element]
    if not candidates:
        raise ValueError(f"the card of the model {model.card.name} lists no elements to put in place of {element}")
    roles = site_roles(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)
    graph = structure_graph(structure, model.graph_settings)
    edge = None
    shapes = [graph] * len(candidates)
    if follow_cell:
        edge = followed_edges(structure, roles, sites, candidates)
        scaled = {
            a: structure_graph(_with_edge(structure, a), model.graph_settings) for a in np.unique(edge[~np.isnan(edge)])
        }
        shapes = [scaled.get(a) for a in edge]
    graphs = [graph]
    possible = [k for k, shape in enumerate(shapes) if shape is not None]
    for k in possible:
        numbers = graph.atomic_numbers.copy()
        numbers[list(sites)] = _number(candidates[k])
        graphs.append(replace(shapes[k], atomic_numbers=numbers))
    found = model.single.energies_and_contributions(collate(graphs, model.single.dtype))
    energies, contributions = (t.double().numpy() for t in found)
    contributions = contributions.reshape(len(energies), len(graphs), len(structure))  # (M, 1 + K', N)
    change = len(structure) * (energies[:, 1:] - energies[:, :1])  # (M, K')
    booked = (contributions[:, 1:] - contributions[:, :1])[..., list(sites)].sum(-1)

    def all_candidates(values: np.ndarray) -> np.ndarray:
        full = np.full(len(candidates), np.nan)
        full[possible] = values
        return full

    several = len(energies) > 1
    return Substitutions(
        structure=structure,
        model=model.card.name,
        sites=sites,
        element=element,
        role=roles[sites[0]],
        energy=float(energies[:, 0].mean()),
        elements=tuple(candidates),
        energies=all_candidates(energies[:, 1:].mean(0)),
        change=all_candidates(change.mean(0)),
        sd=all_candidates(model.energy_sd(change)) if several else None,
        booked=all_candidates(booked.mean(0)),
        booked_sd=all_candidates(booked.std(0, ddof=1)) if several else None,
        edge=edge,
        seen=_seen(model, candidates, roles[sites[0]]),
    )


def _element_on(structure: Structure, sites: tuple[int, ...]) -> str:
    n = len(structure)
    if not sites:
        raise ValueError("no site to swap was named")
    for site in sites:
        if not 0 <= site < n:
            raise ValueError(f"there is no site {site}: the cell has {n} sites, counted from 0 to {n - 1}")
    found = list(dict.fromkeys(structure[site].specie.symbol for site in sites))
    if len(found) > 1:
        raise ValueError(f"the sites to swap hold {', '.join(found)}; name sites of one element")
    return found[0]


def _number(symbol: str) -> int:
    from pymatgen.core import Element

    return Element(symbol).Z


def _by_number(symbols: Sequence[str]) -> list[str]:
    return sorted(symbols, key=_number)


# --- the cell -----------------------------------------------------------------------------------------------------


def can_follow(structure: Structure) -> bool:
    """Whether the lattice model covers this crystal: a five-atom cubic ABX3 of the perovskite space."""
    roles = site_roles(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)
    return _is_cubic(structure) and _space_codes([site.specie.symbol for site in structure], roles) is not None


def followed_edges(
    structure: Structure, roles: Sequence[str | None], sites: Sequence[int], elements: Sequence[str]
) -> np.ndarray:
    """Lattice parameter with each of the elements on the sites, angstrom, (K,); nan outside the perovskite space.

    The crystal's own lattice parameter times the ratio of the lattice model's two. Raises ValueError for a crystal
    outside the space.
    """
    from .perovskite.lattice import shipped_lattice_model

    symbols = [site.specie.symbol for site in structure]
    present = _space_codes(symbols, roles)
    if not _is_cubic(structure) or present is None:
        raise ValueError(
            f"the cell of {structure.composition.reduced_formula} cannot follow: "
            "a lattice model exists for cubic five-atom ABX3 of the perovskite space only"
        )
    edge = shipped_lattice_model().edge
    before = edge(*present)
    edges = np.full(len(elements), np.nan)
    for k, element in enumerate(elements):
        codes = _space_codes([element if i in sites else symbol for i, symbol in enumerate(symbols)], roles)
        if codes is not None:
            edges[k] = structure.lattice.a * edge(*codes) / before
    return edges


def _is_cubic(structure: Structure) -> bool:
    edges, angles = np.array(structure.lattice.abc), np.array(structure.lattice.angles)
    return bool(np.ptp(edges) < _CUBIC * edges.mean() and np.abs(np.cos(np.deg2rad(angles))).max() < _CUBIC)


def _space_codes(symbols: Sequence[str], roles: Sequence[str | None]) -> tuple[int, int, int] | None:
    """Indices of A, B and the anion set in the perovskite space; None for what is not in it."""
    from .perovskite.lattice import ANION_SETS, ELEMENTS

    if sorted(role or "" for role in roles) != ["A", "B", "X", "X", "X"]:
        return None
    on = {role: sorted(s for s, r in zip(symbols, roles, strict=True) if r == role) for role in "ABX"}
    anions = [sorted(anions) for anions in ANION_SETS.values()]
    if on["A"][0] not in ELEMENTS or on["B"][0] not in ELEMENTS or on["X"] not in anions:
        return None
    return ELEMENTS.index(on["A"][0]), ELEMENTS.index(on["B"][0]), anions.index(on["X"])


def _with_edge(structure: Structure, edge: float) -> Structure:
    scaled = structure.copy()
    return scaled.scale_lattice(structure.volume * (edge / structure.lattice.a) ** 3)


# --- what the model was trained on --------------------------------------------------------------------------------


def _seen(model: Model, elements: Sequence[str], role: str | None) -> np.ndarray | None:
    known = trained_elements(model.card, model.folder, role)
    return None if known is None else np.array([element in known for element in elements])


def trained_elements(card: Card, folder: Path | None, role: str | None) -> set[str] | None:
    """Elements that training crystals hold in a role; None where neither the atlas nor the card tells.

    Models of the perovskite space ship without an atlas by role at times; then the design of that space tells.
    """
    from .perovskite.lattice import ANION_SETS, ELEMENTS

    if role is None:
        return None
    atlas = folder / "atlas.parquet" if folder else None
    if atlas and atlas.is_file():
        import polars as pl

        table = pl.read_parquet(atlas)
        if {"element", "role"} <= set(table.columns) and (table["role"] == role).any():
            return set(table.filter(pl.col("role") == role)["element"])
    anions = {symbol for anions in ANION_SETS.values() for symbol in anions}
    if role not in card.reference or not set(card.elements) <= anions.union(ELEMENTS):
        return None
    return set(card.elements) & (anions if role == "X" else set(ELEMENTS))
