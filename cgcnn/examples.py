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
        # W. Jauch and A. Palmer, Phys. Rev. B 60, 2961 (1999); below 105 K, here at 50 K
        "SrTiO3 (I4/mcm)": Structure.from_spacegroup(
            140, Lattice.tetragonal(5.507, 7.796), ["Sr", "Ti", "O", "O"],
            [[0, 0.5, 0.25], [0, 0, 0], [0, 0, 0.25], [0.241, 0.741, 0]],
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
        # other ionic and covalent crystals; R. W. G. Wyckoff, Crystal Structures, 2nd ed., vol. 1 (1963), 3 (1965)
        "NaCl (rock salt)": _face_centred(5.64056, Na=[[0, 0, 0]], Cl=[[0.5, 0.5, 0.5]]),
        "CaF2 (fluorite)": _face_centred(5.46295, Ca=[[0, 0, 0]], F=[[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]),
        "MgAl2O4 (spinel)": Structure.from_spacegroup(
            "Fd-3m:2", Lattice.cubic(8.0800), ["Mg", "Al", "O"],
            [[0.125, 0.125, 0.125], [0.5, 0.5, 0.5], [0.262, 0.262, 0.262]],
        ),
        # S. C. Abrahams and J. L. Bernstein, J. Chem. Phys. 55, 3206 (1971)
        "TiO2 (rutile)": Structure.from_spacegroup(
            136, Lattice.tetragonal(4.59366, 2.95868), ["Ti", "O"], [[0, 0, 0], [0.30479, 0.30479, 0]],
        ),
        # J. Lewis et al., Acta Cryst. A 38, 733 (1982); hexagonal axes
        "Al2O3 (corundum)": Structure.from_spacegroup(
            167, Lattice.hexagonal(4.7602, 12.9933), ["Al", "O"], [[0, 0, 0.35216], [0.30624, 0, 0.25]],
        ),
        # L. Levien et al., Am. Mineral. 65, 920 (1980); origin of the International Tables
        "SiO2 (quartz)": Structure.from_spacegroup(
            154, Lattice.hexagonal(4.916, 5.4054), ["Si", "O"], [[0.4697, 0, 2 / 3], [0.4135, 0.2669, 0.7858]],
        ),
        # E. H. Kisi and M. M. Elcombe, Acta Cryst. C 45, 1867 (1989)
        "ZnO (wurtzite)": Structure.from_spacegroup(
            186, Lattice.hexagonal(3.2501, 5.2071), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3817]],
        ),
        # J. S. Blakemore, J. Appl. Phys. 53, R123 (1982)
        "GaAs (zinc blende)": _face_centred(5.65325, Ga=[[0, 0, 0]], As=[[0.25, 0.25, 0.25]]),
        # M. A. Beno et al., Appl. Phys. Lett. 51, 57 (1987)
        "YBa2Cu3O7 (layered cuprate)": Structure.from_spacegroup(
            47, Lattice.orthorhombic(3.8231, 3.8864, 11.6807), ["Y", "Ba", "Cu", "Cu", "O", "O", "O", "O"],
            [[0.5, 0.5, 0.5], [0.5, 0.5, 0.1843], [0, 0, 0], [0, 0, 0.3556],
             [0, 0.5, 0], [0.5, 0, 0.3773], [0, 0.5, 0.3789], [0, 0, 0.1584]],
        ),
        # metals; P. J. Webster et al., Philos. Mag. B 49, 295 (1984)
        "Ni2MnGa (Heusler)": _face_centred(
            5.825, Ni=[[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]], Mn=[[0, 0, 0]], Ga=[[0.5, 0.5, 0.5]]
        ),
        # P. V. M. Rao et al., J. Phys.: Condens. Matter 1, 5357 (1989)
        "Ni3Al (intermetallic)": Structure(
            Lattice.cubic(3.572), ["Al", "Ni", "Ni", "Ni"], [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
        ),
    }  # fmt: skip


def _cubic_sites() -> list[list[float]]:
    return [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def _cubic(a_site: str, b_site: str, anion: str, edge: float) -> Structure:
    return Structure(Lattice.cubic(edge), [a_site, b_site, anion, anion, anion], _cubic_sites())


def _face_centred(edge: float, **sites: list[list[float]]) -> Structure:
    """Face-centred cubic crystal in the cubic cell: element -> its sites, one of the four that belong together each."""
    centring = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    placed = [
        (element, [(x + dx) % 1, (y + dy) % 1, (z + dz) % 1])
        for element, listed in sites.items()
        for x, y, z in listed
        for dx, dy, dz in centring
    ]
    return Structure(Lattice.cubic(edge), *zip(*placed, strict=True))


def _polar(a_site: str, b_site: str, a: float, c: float, dz_b: float, dz_axial: float, dz_plane: float) -> Structure:
    """Tetragonal oxide, all moved along c against the A site."""
    height = 0.5 + dz_plane
    sites = [[0, 0, 0], [0.5, 0.5, 0.5 + dz_b], [0.5, 0.5, dz_axial], [0.5, 0, height], [0, 0.5, height]]
    return Structure(Lattice.tetragonal(a, c), [a_site, b_site, "O", "O", "O"], sites)
