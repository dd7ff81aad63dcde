"""Fixtures shared by the tests; everything is made here or bundled."""

from __future__ import annotations

import cgcnn  # noqa: F401  before torch, since it settles how idle threads wait  # isort: skip
import numpy as np
import pytest
from builders import HEADS, perovskite, small_model
from pymatgen.core import Lattice, Structure

from cgcnn.model import BUNDLED, Model, load_model


@pytest.fixture(scope="session")
def crystals() -> dict[str, Structure]:
    """Ordered crystals of many shapes: one site, cubic, low symmetry, rattled, flat, skewed."""
    rng = np.random.default_rng(1)
    rattled = perovskite()
    for i in range(5):
        rattled.translate_sites([i], rng.normal(scale=0.05, size=3), frac_coords=False)
    return {
        "Cu, one site": Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]]
        ).get_primitive_structure(),
        "SrTiO3": perovskite(),
        "BaTaO2N": perovskite("Ba", "Ta", ("O", "O", "N"), 4.1),
        "PbTiO3, tetragonal": Structure(
            Lattice.tetragonal(3.904, 4.152),
            ["Pb", "Ti", "O", "O", "O"],
            [[0, 0, 0], [0.5, 0.5, 0.54], [0.5, 0.5, 0.11], [0.5, 0, 0.62], [0, 0.5, 0.62]],
        ),
        "NaCl, conventional": Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        ),
        "TiO2, rutile": Structure.from_spacegroup(
            "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
        ),
        "SrTiO3, rattled": rattled,
        "flat": Structure(Lattice.from_parameters(3.0, 30.0, 25.0, 90, 90, 90), ["C", "N"], rng.random((2, 3))),
        "skewed": Structure(
            Lattice.from_parameters(4.0, 9.0, 7.0, 40, 110, 100), ["Ga", "As", "O"], rng.random((3, 3))
        ),
    }


def all_models() -> list[str]:
    """Untrained models of every head and convolution, and every bundled model."""
    small = [f"{head} {form}" for head in HEADS for form in ("eq4", "eq5")] + ["mean authors"]
    return small + [folder.parent.name for folder in sorted(BUNDLED.glob("*/card.json"))]


@pytest.fixture(scope="session", params=all_models())
def model(request) -> Model:
    """Each head with each convolution, untrained, and each bundled model."""
    head, _, form = request.param.partition(" ")
    return small_model(head, form) if form else load_model(request.param)
