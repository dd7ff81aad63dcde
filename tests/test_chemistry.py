"""The inorganic models on compounds whose formation energies every chemist knows."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from cgcnn.contributions import explain
from cgcnn.model import load_model

# Formation energy, eV/atom (experiment, rounded), and the crystal from its published lattice parameters.
KNOWN = {
    "NaCl": (-2.1, ("Fm-3m", Lattice.cubic(5.640), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])),
    "MgO": (-3.0, ("Fm-3m", Lattice.cubic(4.212), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])),
    "TiO2": (-3.4, ("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]])),
    "Al2O3": (-3.4, ("R-3c", Lattice.hexagonal(4.759, 12.991), ["Al", "O"], [[0, 0, 0.352], [0.306, 0, 0.25]])),
}


@pytest.mark.parametrize("head", ["linear", "gated"])
@pytest.mark.parametrize("name", KNOWN)
def test_formation_energies(name, head):
    energy, crystal = KNOWN[name]
    found = explain(load_model(f"inorganic-{head}"), [Structure.from_spacegroup(*crystal)])[0]
    assert found.energy == pytest.approx(energy, abs=0.15)
    is_anion = [site.specie.symbol in ("O", "Cl") for site in found.structure]
    assert found.contribution[is_anion].max() < 0
