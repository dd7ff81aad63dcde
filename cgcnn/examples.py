"""A few crystals to start with, built from published lattice parameters."""

from __future__ import annotations

from functools import cache

from pymatgen.core import Lattice, Structure


@cache
def examples() -> dict[str, Structure]:
    """Name -> crystal, in the order in which they are offered; room-temperature phases unless the name says more."""
    return {
        # Y. A. Abramov et al., Acta Cryst. B 51, 942 (1995)
        "SrTiO3": _cubic("Sr", "Ti", "O", 3.901),
        # G. H. Kwei et al., J. Phys. Chem. 97, 2368 (1993); P4mm at 300 K
        "BaTiO3 (tetragonal)": _polar("Ba", "Ti", 3.9910, 4.0352, 0.0224, -0.0244, -0.0105),
        # R. J. Nelmes and W. F. Kuhs, Solid State Commun. 54, 721 (1985); P4mm at 295 K, origin on Pb
        "PbTiO3 (tetragonal)": _polar("Pb", "Ti", 3.902, 4.156, 0.0377, 0.1118, 0.1174),
        # S. Sasaki et al., Acta Cryst. C 43, 1668 (1987)
        "CaTiO3 (Pnma)": Structure.from_spacegroup(
            62, Lattice.orthorhombic(5.4423, 7.6401, 5.3796), ["Ca", "Ti", "O", "O"],
            [[0.0360, 0.25, 0.9932], [0.5, 0, 0], [0.4838, 0.25, 0.0714], [0.2888, 0.0371, 0.7108]],
        ),
        # C. J. Howard et al., J. Phys.: Condens. Matter 12, 349 (2000); hexagonal axes
        "LaAlO3 (R-3c)": Structure.from_spacegroup(
            167, Lattice.hexagonal(5.3647, 13.1114), ["La", "Al", "O"],
            [[0, 0, 0.25], [0, 0, 0], [0.5249, 0, 0.25]],
        ),
        # G. Shirane et al., Phys. Rev. 93, 672 (1954); the cubic phase, above 708 K
        "KNbO3 (cubic)": _cubic("K", "Nb", "O", 4.022),
        # B. J. Kennedy et al., J. Phys.: Condens. Matter 11, 1479 (1999); the cubic phase, above 893 K
        "NaTaO3 (cubic)": _cubic("Na", "Ta", "O", 3.931),
        # F. Pors et al., Mater. Res. Bull. 23, 1447 (1988): a = 4.113, O and N disordered; here one ordered arrangement
        "BaTaO2N (ordered)": Structure(
            Lattice.cubic(4.113), ["Ba", "Ta", "O", "O", "N"], _cubic_sites()
        ),
        # D. M. Trots and S. V. Myagkota, J. Phys. Chem. Solids 69, 2520 (2008); the cubic phase, above 602 K
        "CsPbI3 (cubic)": _cubic("Cs", "Pb", "I", 6.289),
    }  # fmt: skip


def _cubic_sites() -> list[list[float]]:
    return [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def _cubic(a_site: str, b_site: str, anion: str, edge: float) -> Structure:
    return Structure(Lattice.cubic(edge), [a_site, b_site, anion, anion, anion], _cubic_sites())


def _polar(a_site: str, b_site: str, a: float, c: float, dz_b: float, dz_axial: float, dz_plane: float) -> Structure:
    """Tetragonal oxide, all moved along c against the A site."""
    height = 0.5 + dz_plane
    sites = [[0, 0, 0], [0.5, 0.5, 0.5 + dz_b], [0.5, 0.5, dz_axial], [0.5, 0, height], [0, 0.5, height]]
    return Structure(Lattice.tetragonal(a, c), [a_site, b_site, "O", "O", "O"], sites)
