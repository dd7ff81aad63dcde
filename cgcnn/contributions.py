"""Energy of a crystal -> contributions of its sites, relative to a stated reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .domain import doubts
from .gauge import shifts
from .graph import CrystalGraph, GraphSettings, PackedGraphs, build_graph
from .model import Model
from .perovskite import ROLES, site_roles

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.core import Structure

    from .symmetry import Description

KJ_PER_MOL = 96.48533212  # of 1 eV; CODATA 2018

# Crystals are explained together up to this many sites, which bounds the memory.
_SITES_AT_ONCE = 5000


@dataclass(frozen=True, repr=False)
class Contributions:
    """What every site contributes to the predicted energy of one crystal; N sites.

    In a notebook it shows itself as a scene and a table.

    structure: the crystal; model: the model's name; quantity: what is predicted, in short
    unit: of a contribution, eV for energies; energy_unit: of the prediction, eV/atom for energies
    colour_limit: end of the model's colour scale
    energy: prediction, eV/atom, mean over the members; energy_sd: its error bar, their standard deviation times the
        factor that calibrates it on `val`, None for one member
    contribution: (N,) eV per site, raw; their mean is `energy`
    relative: (N,) `contribution - reference`, the values to show and to compare
    reference: (N,) what is zero for each site; reference_note says it in words
    sd: (N,) standard deviation of `relative` over the members, None for one member; not scaled, since contributions
        have no counterpart to calibrate them on
    role: A, B or X of each site of an ABX3 perovskite, otherwise None
    quadrature_error: |mean of contributions - energy|, eV/atom; rounding only for the linear head
    gate: (N,) mean gate opening, 0 to 1, of the gated head, otherwise None
    doubt: why the prediction is a guess, in a sentence; empty for crystals like those of the training
    """

    structure: Structure
    model: str
    energy: float
    energy_sd: float | None
    contribution: np.ndarray
    relative: np.ndarray
    reference: np.ndarray
    sd: np.ndarray | None
    role: tuple[str | None, ...]
    reference_note: str
    quadrature_error: float
    gate: np.ndarray | None
    doubt: str
    unit: str = "eV"
    energy_unit: str = "eV/atom"
    quantity: str = "energy"
    colour_limit: float = 1.0

    @cached_property
    def facts(self) -> Description:
        """Space group, Wyckoff positions and surroundings of the sites."""
        from .symmetry import describe

        return describe(self.structure)

    def to_pandas(self) -> pd.DataFrame:
        """One row a site; see `tables.site_table`."""
        from .tables import site_table

        return site_table(self.facts, self)

    def to_structure(self) -> Structure:
        """pymatgen's Structure with a site property for everything known of the sites."""
        from .export import to_structure

        return to_structure(self.facts, self)

    def to_ase(self) -> Atoms:
        """ASE's Atoms with an array for everything known of the sites."""
        from .export import to_atoms

        return to_atoms(self.facts, self)

    def to_chemiscope(self, path: str | Path | None = None) -> dict:
        """What chemiscope (https://chemiscope.org) shows, also written to `path`, .json or .json.gz."""
        from .export import to_chemiscope

        return to_chemiscope([self], path)

    def __repr__(self) -> str:
        from .display import in_words

        return in_words(self)

    def _repr_html_(self) -> str:
        from .display import contributions_html

        return contributions_html(self)


def structure_graph(structure: Structure, settings: GraphSettings) -> CrystalGraph:
    """Crystal graph of a pymatgen structure."""
    return build_graph(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords, settings)


def explain(model: Model, structures: Sequence[Structure]) -> list[Contributions]:
    """Energy and site contributions of each crystal, by its own pooling head.

    Exact for linear pooling; Aumann-Shapley values otherwise (see `network.pooling`).
    """
    results, waiting, sites = [], [], 0
    for structure in structures:
        if waiting and sites + len(structure) > _SITES_AT_ONCE:
            results += _explain_together(model, waiting)
            waiting, sites = [], 0
        waiting.append(structure)
        sites += len(structure)
    return results + (_explain_together(model, waiting) if waiting else [])


def _explain_together(model: Model, structures: list[Structure]) -> list[Contributions]:
    graphs = PackedGraphs.from_graphs(structure_graph(s, model.graph_settings) for s in structures)
    batch = graphs.select(dtype=model.dtype)
    energies, sites, gates = (None if t is None else t.double().numpy() for t in model.explained(batch))
    roles = [site_roles(s.lattice.matrix, s.atomic_numbers, s.frac_coords) for s in structures]
    codes = np.array([-1 if role is None else ROLES.index(role) for own in roles for role in own], dtype=np.int64)
    reference = references(model, energies, codes, graphs.sites, graphs.atomic_numbers)
    relative = sites - reference
    energy_sd = model.energy_sd(energies)
    doubt = doubts(model, graphs, codes, np.array([s.volume for s in structures]), energy_sd)
    several = len(energies) > 1
    results = []
    for c, (structure, first) in enumerate(zip(structures, graphs.first_site.tolist(), strict=True)):
        rows = slice(first, first + len(structure))
        results.append(
            Contributions(
                structure=structure,
                model=model.card.name,
                energy=float(energies[:, c].mean()),
                energy_sd=None if energy_sd is None else float(energy_sd[c]),
                contribution=sites[:, rows].mean(0),
                relative=relative[:, rows].mean(0),
                reference=reference[:, rows].mean(0),
                sd=relative[:, rows].std(0, ddof=1) if several else None,
                role=tuple(roles[c]),
                reference_note=reference_note(model, energies[:, c], roles[c], reference[:, rows]),
                quadrature_error=float(np.abs(sites[:, rows].mean(1) - energies[:, c]).max()),
                gate=None if gates is None else gates[:, rows].mean(0),
                doubt=doubt[c],
                unit=model.card.target.site_unit,
                energy_unit=model.card.target.unit,
                quantity=model.card.target.short,
                colour_limit=model.card.colour_limit,
            )
        )
    return results


def reference_note(model: Model, energies: np.ndarray, roles: Sequence[str | None], reference: np.ndarray) -> str:
    """What is zero for each site, in words; energies (M,) and reference (M, N) of one crystal."""
    if roles and all(role in model.card.reference for role in roles):
        shift = energies.mean() - reference.mean()
        return (
            "Zero is the mean contribution of the same role (A, B or X) over the training crystals. "
            f"The values average to {shift:+.3f} eV: the energy minus that of the average training crystal."
        )
    return "Zero is this crystal's own mean; the values add up to zero."


def references(
    model: Model, energies: np.ndarray, roles: np.ndarray, sites: np.ndarray, atomic_numbers: np.ndarray
) -> np.ndarray:
    """What is zero for each site of C crystals, N sites in all.

    In ABX3 crystals constants c_A + c_B + 3 c_X = 0 can be moved between the roles without changing any energy, so
    raw contributions of different roles, or of different members, cannot be compared; centring per role removes this.
    Shifts of elements that change no energy either, which only narrow data sets leave, are on the card (see `gauge`).

    energies: (M, C) prediction of every member; roles: (N,) index into `perovskite.ROLES`, -1 for none
    sites: (C,) number of sites of each crystal; atomic_numbers: (N,) -> reference (M, N)
    """
    crystal = np.repeat(np.arange(len(sites)), sites)
    reference = energies[:, crystal]
    known = model.card.reference
    has_reference = np.array([*(role in known for role in ROLES), False])[roles]
    by_role = np.bincount(crystal, weights=~has_reference, minlength=len(sites))[crystal] == 0
    means = np.stack([known.get(role, np.full(len(energies), np.nan)) for role in ROLES], axis=1)  # (M, 3)
    reference[:, by_role] = means[:, roles[by_role]]
    shift = model.card.gauge.get("shift")
    if shift:
        reference = reference + shifts(shift, len(energies))[:, roles, atomic_numbers]
    return reference
