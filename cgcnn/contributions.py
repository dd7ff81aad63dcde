"""Energy of a crystal -> contributions of its sites, relative to a stated reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from .graph import CrystalGraph, GraphSettings, build_graph, collate
from .model import Model
from .network.pooling import GatedPooling
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
    energy: prediction, eV/atom, mean over the members; energy_sd: their standard deviation, None for one member
    contribution: (N,) eV per site, raw; their mean is `energy`
    relative: (N,) `contribution - reference`, the values to show and to compare
    reference: (N,) what is zero for each site; reference_note says it in words
    sd: (N,) standard deviation of `relative` over the members, None for one member
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
    batch = collate([structure_graph(s, model.graph_settings) for s in structures])
    energies, sites = (t.double().numpy() for t in model.energies_and_contributions(batch))  # (M, C), (M, N)
    gates = _gate_openings(model, batch)
    results, first = [], 0
    for c, structure in enumerate(structures):
        rows = slice(first, first + len(structure))
        gate = None if gates is None else gates[rows]
        results.append(_one_crystal(model, structure, energies[:, c], sites[:, rows], gate))
        first += len(structure)
    return results


def _one_crystal(model: Model, structure: Structure, energies, sites, gate) -> Contributions:
    roles = site_roles(structure.lattice.matrix, structure.atomic_numbers, structure.frac_coords)
    reference, note = gauge(model, energies, roles)
    relative = sites - reference
    several = len(energies) > 1
    return Contributions(
        structure=structure,
        model=model.card.name,
        energy=float(energies.mean()),
        energy_sd=float(energies.std(ddof=1)) if several else None,
        contribution=sites.mean(0),
        relative=relative.mean(0),
        reference=reference.mean(0),
        sd=relative.std(0, ddof=1) if several else None,
        role=tuple(roles),
        reference_note=note,
        quadrature_error=float(np.abs(sites.mean(1) - energies).max()),
        gate=gate,
        doubt=_doubt(model, structure, roles),
        unit=model.card.target.site_unit,
        energy_unit=model.card.target.unit,
        quantity=model.card.target.short,
        colour_limit=model.card.colour_limit,
    )


def gauge(model: Model, energies: np.ndarray, roles: Sequence[str | None]) -> tuple[np.ndarray, str]:
    """What is zero for each site, and that in words.

    In ABX3 crystals constants c_A + c_B + 3 c_X = 0 can be moved between the roles without changing any energy, so
    raw contributions of different roles, or of different members, cannot be compared; centring per role removes this.

    energies: (M,) prediction of every member -> reference (M, N), note
    """
    codes = np.array([-1 if role is None else ROLES.index(role) for role in roles], dtype=np.int64)
    reference = references(model, energies[:, None], codes, np.array([len(roles)]))
    if roles and all(role in model.card.reference for role in roles):
        shift = energies.mean() - reference.mean()
        return reference, (
            "Zero is the mean contribution of the same role (A, B or X) over the training crystals. "
            f"The values average to {shift:+.3f} eV: the energy minus that of the average training crystal."
        )
    return reference, "Zero is this crystal's own mean; the values add up to zero."


def references(model: Model, energies: np.ndarray, roles: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """What is zero for each site of C crystals, N sites in all: see `gauge`.

    energies: (M, C) prediction of every member; roles: (N,) index into `perovskite.ROLES`, -1 for none
    sites: (C,) number of sites of each crystal -> reference (M, N)
    """
    crystal = np.repeat(np.arange(len(sites)), sites)
    reference = energies[:, crystal]
    known = model.card.reference
    has_reference = np.array([*(role in known for role in ROLES), False])[roles]
    by_role = np.bincount(crystal, weights=~has_reference, minlength=len(sites))[crystal] == 0
    means = np.stack([known.get(role, np.full(len(energies), np.nan)) for role in ROLES], axis=1)  # (M, 3)
    reference[:, by_role] = means[:, roles[by_role]]
    return reference


def _doubt(model: Model, structure: Structure, roles: Sequence[str | None]) -> str:
    trained = model.card.elements
    unseen = sorted({e.symbol for e in structure.elements} - set(trained)) if trained else []
    if unseen:
        return f"No training crystal contains {', '.join(unseen)}: the numbers are a guess."
    if model.card.reference and not any(roles):
        return "All training crystals are ABX3 perovskites and this is none: the numbers are a guess."
    return ""


@torch.no_grad()
def _gate_openings(model: Model, batch) -> np.ndarray | None:
    """Mean gate opening of every site, (N,); None for heads without a gate."""
    if not isinstance(model.members[0].head, GatedPooling):
        return None
    batch = batch.to(model.dtype)
    return torch.stack([m.head.gate_opening(*m.site_features(batch)) for m in model.members]).mean(0).numpy()
