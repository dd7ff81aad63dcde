"""Known chemistry: the inorganic models on well-known compounds, and how elements and anions are counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from builders import small_model
from pymatgen.core import Lattice, Structure

from cgcnn.cell import ATOMIC_NUMBER
from cgcnn.contributions import explain
from cgcnn.datasets import Dataset, load_dataset
from cgcnn.evaluation.chemistry import anions, ground_states
from cgcnn.evaluation.sites import Scored
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


ELEMENTS = ("Li", "Na", "K", "Mg", "Ca", "Sr", "Ti", "V", "Cr", "Fe", "Co", "Ni", "Cu", "Zn", "Al", "Si", "Ge", "Sn",
            "Pb", "Ag", "Au", "Pt")  # fmt: skip


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> Dataset:
    """Simple cubic elements, each in a ground state and in one that is 0.3 eV/atom higher, and some salts."""
    anions = ("Te", "Se", "S", "O", "I", "Br", "Cl", "F")
    cells = [((e,), edge, energy) for e in ELEMENTS for edge, energy in ((2.8, 0.0), (3.6, 0.3))]
    cells += [((cation, anion), 4.0, -1.0) for cation in ELEMENTS for anion in anions]
    rows = [
        {
            "formation_energy_per_atom": energy,
            "lattice": (edge * np.eye(3)).ravel().tolist(),
            "atomic_numbers": [ATOMIC_NUMBER[s] for s in symbols],
            "frac_coords": [0.0, 0.0, 0.0, 0.5, 0.5, 0.5][: 3 * len(symbols)],
        }
        for symbols, edge, energy in cells
    ]
    file = tmp_path_factory.mktemp("chemistry") / "made_up.parquet"
    pl.DataFrame(rows).write_parquet(file)
    return load_dataset(file)


def test_ground_states_of_the_elements_are_counted(made_up):
    model = small_model("linear")
    for mean, sd, share in ((0.0, 1e-6, 1.0), (0.3, 1e-6, 0.0)):
        target = replace(model.card.target, mean=mean, sd=sd)
        found = ground_states(replace(model, card=replace(model.card, target=target)), made_up)
        assert found["elements"] == len(ELEMENTS) and found["share"] == share and found["passed"] == (share == 1)
        assert found["mae"] == pytest.approx(mean, abs=1e-4)


def test_anions_must_fall_with_electronegativity(made_up):
    crystals = made_up.rows("all")
    numbers = made_up.graphs.atomic_numbers
    value = np.select([numbers == ATOMIC_NUMBER[s] for s in ("Te", "Se", "S", "O", "I", "Br", "Cl", "F")],
                      [-0.1, -0.2, -0.3, -0.4, -0.1, -0.2, -0.3, -0.4])  # fmt: skip
    scored = Scored(crystals, np.zeros((1, len(crystals))), value[None], np.arange(len(numbers)))
    found = anions(made_up, scored)
    assert found["passed"] and found["mean"]["O"] == pytest.approx(-0.4)
    assert not anions(made_up, replace(scored, values=-value[None]))["passed"]
