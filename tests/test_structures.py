"""Files in, crystals or one sentence out. All files are written here, from textbook structures."""

import gzip
import json
import subprocess
import sys
import warnings

import gemmi
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser

from cgcnn.cif import Cell, StructureError, read_cif, read_first_cell
from cgcnn.structures import (
    Crystal,
    Unreadable,
    cell_to_structure,
    check_cell,
    read_crystals,
    read_file,
    structure_to_cell,
)

CUBE = (90, 90, 90)
HEXAGON = (90, 90, 120)
SYMBOL = "_symmetry_space_group_name_H-M"


def cif_text(atoms, cell, angles=CUBE, symmetry="", columns="label fract_x fract_y fract_z", name="test"):
    """A CIF; atoms are rows of text under `columns`, symmetry is any text that goes before them."""
    lengths = [cell] * 3 if isinstance(cell, (int, float)) else cell
    lines = [f"data_{name}", symmetry]
    lines += [f"_cell_length_{k} {v}" for k, v in zip("abc", lengths, strict=True)]
    lines += [f"_cell_angle_{k} {v}" for k, v in zip(("alpha", "beta", "gamma"), angles, strict=True)]
    lines += ["loop_"] + [f"_atom_site_{column}" for column in columns.split()] + list(atoms)
    return "\n".join(lines) + "\n"


def with_symbol(symbol, atoms, cell, angles=CUBE):
    return cif_text(atoms, cell, angles, f"{SYMBOL} '{symbol}'")


def with_operations(symbol, atoms, cell, angles=CUBE):
    triplets = [op.triplet() for op in gemmi.find_spacegroup_by_name(symbol).operations()]
    return cif_text(atoms, cell, angles, "loop_\n_symmetry_equiv_pos_as_xyz\n" + "\n".join(f"'{t}'" for t in triplets))


SPINEL_1 = ("Mg1 0 0 0", "Al1 0.625 0.625 0.625", "O1 0.3873 0.3873 0.3873")
SPINEL_2 = ("Mg1 0.125 0.125 0.125", "Al1 0.5 0.5 0.5", "O1 0.2624 0.2624 0.2624")
CORUNDUM_H = ("Al1 0 0 0.3522", "O1 0.3063 0 0.25")
CORUNDUM_R = ("Al1 0.3522 0.3522 0.3522", "O1 0.5563 0.9437 0.25")
PEROVSKITE = ("Sr1 0 0 0", "Ti1 .5 .5 .5", "O1 .5 .5 0")
PNMA = ("Ca1 0.0358 0.25 0.9929", "Ti1 0 0 0.5", "O1 0.4838 0.25 0.0714", "O2 0.2893 0.0373 0.7108")

# name: symbol, atoms, lengths, angles, number of atoms
CRYSTALS = {
    "rutile": ("P 42/m n m", ("Ti1 0 0 0", "O1 0.3051 0.3051 0"), (4.594, 4.594, 2.959), CUBE, 6),
    "spinel, origin 1": ("F d -3 m :1", SPINEL_1, 8.086, CUBE, 56),
    "spinel, origin 2": ("F d -3 m :2", SPINEL_2, 8.086, CUBE, 56),
    "corundum, hexagonal": ("R -3 c :H", CORUNDUM_H, (4.759, 4.759, 12.993), HEXAGON, 30),
    "corundum, rhombohedral": ("R -3 c :R", CORUNDUM_R, 5.129, (55.28, 55.28, 55.28), 10),
    "quartz": ("P 32 2 1", ("Si1 0.4697 0 0.6667", "O1 0.4135 0.2669 0.7858"), (4.913, 4.913, 5.405), HEXAGON, 9),
    "GdFeO3 type": ("P n m a", PNMA, (5.441, 7.644, 5.381), CUBE, 20),
    "baddeleyite": (
        "P 1 21/c 1",
        ("Zr1 0.2754 0.0395 0.2083", "O1 0.07 0.3317 0.3447", "O2 0.4496 0.7569 0.4792"),
        (5.15, 5.21, 5.317),
        (90, 99.23, 90),
        12,
    ),
    "pyrope": (
        "I a -3 d",
        ("Mg1 0.125 0 0.25", "Al1 0 0 0", "Si1 0.375 0 0.25", "O1 0.0329 0.0502 0.6534"),
        11.45,
        CUBE,
        160,
    ),
    "wurtzite": ("P 63 m c", ("Zn1 .3333 .6667 0", "S1 .3333 .6667 .375"), (3.82, 3.82, 6.26), HEXAGON, 4),
}


def sorted_distances(structure):
    return np.sort(structure.distance_matrix, axis=None)


def reason(data, name="x.cif", **options):
    """The sentence for a file that gives exactly one `Unreadable`."""
    (entry,) = read_crystals(name, data, **options)
    assert isinstance(entry, Unreadable), entry
    assert "\n" not in entry.reason and len(entry.reason) < 260
    return entry.reason


def structure(data, name="x.cif"):
    (entry,) = read_crystals(name, data)
    assert isinstance(entry, Crystal), entry.reason
    return entry.structure


# --- symmetry in CIFs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CRYSTALS)
def test_symbol_and_listed_operations_give_the_same_crystal_as_pymatgen(name):
    symbol, atoms, cell, angles, count = CRYSTALS[name]
    by_symbol = cell_to_structure(read_first_cell(with_symbol(symbol, atoms, cell, angles)))
    listed = with_operations(symbol.replace(" :", ":"), atoms, cell, angles)
    by_operations = cell_to_structure(read_first_cell(listed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it reports the coordinates that it rounds
        (reference,) = CifParser.from_str(listed).parse_structures(primitive=False)
    assert len(by_symbol) == len(by_operations) == count
    assert by_symbol.composition == reference.composition
    np.testing.assert_allclose(sorted_distances(by_symbol), sorted_distances(by_operations), atol=1e-9)
    np.testing.assert_allclose(sorted_distances(by_symbol), sorted_distances(reference), atol=5e-3)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("F d -3 m S", "F d -3 m:1"), ("Fd-3m:1", "F d -3 m:1"), ("F d -3 m Z", "F d -3 m:2"),
        ("F d -3 m O2", "F d -3 m:2"), ("F d \\-3 m :2", "F d -3 m:2"),
    ],
)  # fmt: skip
def test_origins_are_named_in_many_ways(written, plain):
    atoms = SPINEL_1 if plain.endswith("1") else SPINEL_2
    found = cell_to_structure(read_first_cell(with_symbol(written, atoms, 8.086)))
    expected = cell_to_structure(read_first_cell(with_operations(plain, atoms, 8.086)))
    np.testing.assert_allclose(sorted_distances(found), sorted_distances(expected), atol=1e-9)


@pytest.mark.parametrize(("atoms", "origin"), [(SPINEL_1, ":1"), (SPINEL_2, ":2")])
def test_an_unnamed_origin_is_the_one_that_keeps_atoms_apart(atoms, origin):
    cell = read_first_cell(with_symbol("F d -3 m", atoms, 8.086))
    assert len(cell) == 56
    assert sorted_distances(cell_to_structure(cell))[56] > 1.8  # behind the 56 zeros of the diagonal
    assert f"F d -3 m{origin} was taken" in cell.notes[0]


@pytest.mark.parametrize(
    ("cell", "angles", "atoms", "count"),
    [((4.759, 4.759, 12.993), HEXAGON, CORUNDUM_H, 30), (5.129, (55.28, 55.28, 55.28), CORUNDUM_R, 10)],
)
@pytest.mark.parametrize("symmetry", [f"{SYMBOL} 'R -3 c'", "_space_group_IT_number 167", f"{SYMBOL} 'R -3 c HR'"])
def test_the_cell_tells_hexagonal_from_rhombohedral_axes(cell, angles, atoms, count, symmetry):
    assert len(read_first_cell(cif_text(atoms, cell, angles, symmetry))) == count


@pytest.mark.parametrize(
    "symmetry",
    [
        f"{SYMBOL} Pm-3m", f"{SYMBOL} 'P m -3 m'", f"{SYMBOL} 'P m 3 m'", "_space_group_name_H-M_alt 'P m -3 m'",
        "_symmetry_Int_Tables_number 221", "_space_group_IT_number 221", "_symmetry_space_group_name_Hall '-P 4 2 3'",
        "_space_group.name_H-M_alt 'P m -3 m'", f"{SYMBOL} ?\n_symmetry_Int_Tables_number 221",
        f"{SYMBOL} 'P 4/m -3 2/m'",
    ],
)  # fmt: skip
def test_ways_to_name_a_group(symmetry):
    assert len(read_first_cell(cif_text(PEROVSKITE, 3.905, symmetry=symmetry))) == 5


@pytest.mark.parametrize(
    "listed",
    [
        "loop_\n_space_group_symop_id\n_space_group_symop_operation_xyz\n1 'x, y, z'\n2 '-x, -y, -z'",
        "loop_\n_symmetry_equiv_pos_as_xyz\n+X,+Y,+Z\n-X,-Y,-Z",
        "loop_\n_space_group_symop.operation_xyz\nx,y,z\n-x,-y,-z",
        "loop_\n_symmetry_equiv_pos_as_xyz\n-x,-y,-z",  # identity left out
        "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,-1",
        "_symmetry_equiv_pos_as_xyz -x,-y,-z",
    ],
)
def test_ways_to_list_operations(listed):
    cell = read_first_cell(cif_text(["C1 0.1 0.2 0.3"], 5, symmetry=listed))
    np.testing.assert_allclose(cell.frac_coords[cell.frac_coords[:, 0].argsort()], [[0.1, 0.2, 0.3], [0.9, 0.8, 0.7]])


def test_the_centring_of_a_magnetic_group():
    listed = "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,-1\n"
    listed += "loop_\n_space_group_symop_magn_centering.xyz\nx,y,z,+1\nx+1/2,y+1/2,z+1/2,-1"
    assert len(read_first_cell(cif_text(["Fe1 0.1 0.2 0.3", "O1 0 0 0"], 5, symmetry=listed))) == 4 + 2


def test_listed_operations_win_over_the_symbol_and_a_contradiction_is_noted():
    symmetry = f"{SYMBOL} 'F m -3 m'\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z"
    cell = read_first_cell(cif_text(["Na1 0 0 0", "Cl1 .5 .5 .5"], 5.62, symmetry=symmetry))
    assert len(cell) == 2
    assert "192" in cell.notes[0] and "lists 1" in cell.notes[0]


def test_rounded_coordinates_come_to_lie_on_their_special_position():
    text = with_symbol("P 63/m m c", ["Ti1 0.33 0.67 0.25"], (2.95, 2.95, 4.68), HEXAGON)
    cell = read_first_cell(text)
    np.testing.assert_allclose(np.sort(cell.frac_coords[:, 0]), [1 / 3, 2 / 3], atol=1e-12)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0.3333", 1 / 3), ("0.6666", 2 / 3), ("0.667", 2 / 3), ("-0.16667", 5 / 6), (".8333", 5 / 6),
        ("0.33", 0.33), ("0.3343", 0.3343), ("0.3333(2)", 0.3333), ("0.334", 0.334), ("1/3", 1 / 3),
        ("0.25(1)", 0.25), ("'0.25'", 0.25), ("1.25", 0.25), ("-0.0", 0.0), ("1e-1", 0.1),
    ],
)  # fmt: skip
def test_numbers_are_read_as_crystallographers_write_them(written, value):
    cell = read_first_cell(cif_text([f"C1 {written} 0 0"], 5))
    np.testing.assert_allclose(cell.frac_coords, [[value, 0, 0]], atol=1e-12)


def test_uncertainties_and_missing_angles_of_the_cell():
    text = "data_x\n_cell_length_a 3.9051(2)\n_cell_length_b 4\n_cell_length_c 5.0(10)\n_cell_angle_alpha ?\n"
    text += "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nPo 0 0 0\n"
    cell = read_first_cell(text)
    np.testing.assert_allclose(cell.lattice, np.diag([3.9051, 4, 5]), atol=1e-12)
    assert len(cell.notes) == 3 and "90 degrees" in cell.notes[0]


@pytest.mark.parametrize(
    ("column", "written", "symbol"),
    [
        ("type_symbol", "Sr2+", "Sr"), ("type_symbol", "O2-", "O"), ("type_symbol", "Ti4+", "Ti"),
        ("type_symbol", "SR", "Sr"), ("type_symbol", "Fe+3", "Fe"), ("type_symbol", "18O", "O"),
        ("label", "O1A", "O"), ("label", "ba", "Ba"), ("label", "Sr1", "Sr"), ("label", "OW1", "O"),
        ("label", "'Sr 1'", "Sr"), ("type_symbol", "D", "H"), ("type_symbol", "T", "H"), ("label", "D2", "H"),
        ("label", "HO1", "Ho"), ("label", "Wat1", "O"), ("type_symbol", "Lr", "Lr"), ("label", "CaA1", "Ca"),
    ],
)  # fmt: skip
def test_elements_are_read_from_symbols_and_labels(column, written, symbol):
    text = cif_text([f"{written} 0 0 0"], 5, columns=f"{column} fract_x fract_y fract_z")
    assert structure(text)[0].specie.symbol == symbol


def test_the_formula_tells_holmium_from_hydrogen():
    atoms = ["O1 0 0 0", "HO1 0 0 .2", "HO2 .2 0 0"]
    assert structure(cif_text(atoms, 5, symmetry="_chemical_formula_sum 'H2 O'")).composition.reduced_formula == "H2O"


def test_deuterium_dummies_and_a_formula_that_disagrees_are_noted():
    columns = "label fract_x fract_y fract_z calc_flag"
    atoms = ["O1 0 0 0 d", "D1 0.2 0 0 calc", "Cg1 .5 .5 .5 dum"]
    cell = read_first_cell(cif_text(atoms, 5, symmetry="_chemical_formula_sum 'D2 O'", columns=columns))
    assert cell.atomic_numbers.tolist() == [8, 1]
    notes = " | ".join(cell.notes)
    assert "deuterium" in notes and "Cg1" in notes and "formula is D2 O but the listed atoms give H O" in notes


def test_missing_centring_shows_in_the_number_of_formula_units():
    symmetry = "_chemical_formula_sum 'Cl Na'\n_cell_formula_units_Z 4"
    cell = read_first_cell(cif_text(["Na1 0 0 0", "Cl1 .5 .5 .5"], 5.62, symmetry=symmetry))
    assert "4 formula units" in cell.notes[0]


def test_formula_of_the_whole_cell_as_the_materials_project_writes_it():
    symmetry = "_chemical_formula_sum 'Cl4 Na4'\n_cell_formula_units_Z 4\n_symmetry_space_group_name_H-M 'F m -3 m'"
    cell = read_first_cell(cif_text(["Na1 0 0 0", "Cl1 .5 .5 .5"], 5.62, symmetry=symmetry))
    assert len(cell) == 8 and cell.notes == ()


def test_line_ends_marks_and_old_encodings():
    text = with_symbol("P m -3 m", PEROVSKITE, 3.905).replace("data_test", "# M\u00fcller, 3.9 \u00c5\ndata_test")
    for data in (
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("latin-1"),
        text.encode("utf-16"),
        gzip.compress(text.encode()),
        text.upper().replace("DATA_TEST", "data_test").encode("latin-1"),
    ):
        assert len(structure(data)) == 5


def test_cartesian_coordinates():
    text = cif_text(["C1 1.0 2.0 3.0"], (4, 8, 6), columns="label Cartn_x Cartn_y Cartn_z")
    np.testing.assert_allclose(read_first_cell(text).frac_coords, [[0.25, 0.25, 0.5]])
    scaled = "\n".join(f"_atom_sites_Cartn_tran_matrix_{i}{j} {10 * (i == j)}" for i in (1, 2, 3) for j in (1, 2, 3))
    text = cif_text(["C1 1.0 2.0 3.0"], 10, symmetry=scaled, columns="label Cartn_x Cartn_y Cartn_z")
    np.testing.assert_allclose(read_first_cell(text).frac_coords, [[0.1, 0.2, 0.3]])


def test_one_atom_without_a_loop():
    text = "data_x\n_cell_length_a 3\n_cell_length_b 3\n_cell_length_c 3\n_atom_site_label Po1\n"
    text += "_atom_site_fract_x 0\n_atom_site_fract_y 0\n_atom_site_fract_z 0\n"
    assert read_first_cell(text).atomic_numbers.tolist() == [84]


def test_an_atom_listed_again_as_an_image_counts_once():
    cell = read_first_cell(with_symbol("P m -3 m", (*PEROVSKITE, "O2 0.5 0 0.5"), 3.905))
    assert len(cell) == 5 and "O2" in cell.notes[0]


def test_two_valences_on_one_position_are_one_element():
    atoms = ["Fe2+ 0 0 0 0.5", "Fe3+ 0 0 0 0.5", "O2- .5 .5 .5 1"]
    cell = read_first_cell(cif_text(atoms, 4.3, columns="type_symbol fract_x fract_y fract_z occupancy"))
    assert cell.atomic_numbers.tolist() == [26, 8] and "joined" in cell.notes[0]


def test_cells_of_a_data_set_have_plain_types():
    cell = read_first_cell(with_symbol("P m -3 m", PEROVSKITE, 3.905))
    assert cell.atomic_numbers.dtype == np.int64 and cell.frac_coords.dtype == cell.lattice.dtype == np.float64
    assert (cell.frac_coords >= 0).all() and (cell.frac_coords < 1).all()
    assert cell.labels == ("Sr1", "Ti1", "O1", "O1", "O1") and cell.notes == ()


# --- one sentence for every bad file ----------------------------------------------------------------------------------

OCCUPANCY = "label fract_x fract_y fract_z occupancy"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello world", "hello world"),
        ("data_x\n_cell_length_a 3\n", "lists no atoms"),
        (cif_text(["C1 0 0 0"], (3, 3, "?")), "_cell_length_c"),
        (cif_text(["C1 0 0 0", "C2 0 0"], 5), "line 9"),
        (cif_text(["C1 0 0 0", "C2 0 0"], 5), "its 4 columns"),
        (cif_text(["C1 0 0 '0"], 5), "line 14"),
        (cif_text(["C1 0 0 0"], 5).replace("_label", "_label x"), "'C1 0 0 0' is out of place"),
        (cif_text(["C1 0 0 " + "z" * 900], 5), "zzz..."),
        (cif_text(["Q" * 900 + " 0 0 0"], 5), "QQQ..."),
        (cif_text(["C1 0 ? 0"], 5), "coordinate y of site C1 is not known"),
        (cif_text(["C1 0 0,25 0"], 5), "'0,25'"),
        (cif_text(["C1 0 abc 0"], 5), "'abc'"),
        (cif_text(["C1 0 0 0"], (5, 5, 0)), "not positive"),
        (cif_text(["C1 0 0 0"], 5, (30, 30, 90)), "no volume"),
        (cif_text(["C1 0 0 0"], 5, (90, 90, 180)), "no volume"),
        (cif_text(["Li1 0 0 0 0.5", "O1 .5 .5 .5 1"], 5, columns=OCCUPANCY), "Li1 (Li 0.5)"),
        (cif_text(["Fe1 0 0 0 0.6", "Mn1 0 0 0 0.4"], 5, columns=OCCUPANCY), "Fe1 (Fe 0.6), Mn1 (Mn 0.4)"),
        (cif_text(["Fe1 0 0 0", "Mn1 0 0 0"], 5), "Fe1 (Fe) and Mn1 (Mn) lie on the same position"),
        (cif_text(["Fe1 0 0 0 0"], 5, columns=OCCUPANCY), "occupancy 0"),
        (cif_text(["Fe1 0 0 0 -0.5"], 5, columns=OCCUPANCY), "-0.5"),
        (cif_text(["X1 0 0 0"], 5), "'X1' is no chemical element"),
        (cif_text(["Vac1 0 0 0"], 5), "'Vac1' is no chemical element"),
        (cif_text(["Lp 0 0 0"], 5), "'Lp' is no chemical element"),
        (cif_text(["Og1 0 0 0"], 5), "Z = 118"),
        (cif_text(["C1 0 0 0", "C2 0 0 0.02"], 5), "0.100 angstrom apart"),
        (with_symbol("Q 1 2 3", ["C1 0 0 0"], 5), "'Q 1 2 3'"),
        (cif_text(["C1 0 0 0"], 5, symmetry="_space_group_IT_number 231"), "'231'"),
        (with_symbol("P 63/m m c", ["C1 .1 .2 .3"], (3, 3, 5)), "does not fit the cell"),
        (cif_text(["C1 0 0 0"], 5, symmetry="loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx,y,w"), "'x,y,w'"),
        ("data_x\n_cell_length_a 3\nloop_\n_atom_site_label\nC1\n", "no coordinates"),
        (cif_text(["C1 0 0"], 5, columns="label fract_x fract_y"), "fract_x, _y and _z"),
        (cif_text(["0 0 0"], 5, columns="fract_x fract_y fract_z"), "neither"),
        (cif_text(["C1 0 0 0"], 0.2), "angstrom"),
        ("", "empty"),
        ("\n \n", "empty"),
    ],
)
def test_reasons(text, expected):
    assert expected in reason(text)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "PNG"), (b"PK\x03\x04\0\0", "ZIP"), (b"\x01\x02\0\x03", "binary"),
        (b"", "empty"), (b"\x1f\x8b\x08broken", "gzip"), (b"%PDF-1.4", "PDF"),
    ],
)  # fmt: skip
def test_binary_files(data, expected):
    assert expected in reason(data)


def test_full_enough_occupancies_are_full():
    assert len(structure(cif_text(["Fe1 0 0 0 0.995(4)", "O1 .5 .5 .5 ?"], 5, columns=OCCUPANCY))) == 2


def test_a_good_block_next_to_bad_ones():
    good = with_symbol("P m -3 m", PEROVSKITE, 3.905)
    journal = "data_global\n_journal_year 2020\n_publ_text\n;\ndata_not_a_block\n;\n"
    entries = read_crystals("paper.cif", journal + good + cif_text(["C1 0 0 0", "C2 0"], 5, name="cut"))
    assert [type(entry) for entry in entries] == [Crystal, Unreadable]
    assert entries[0].source == "paper.cif · test" and entries[1].source == "paper.cif · cut"
    line = (journal + good).count("\n") + 9
    assert f"line {line}" in entries[1].reason
    (only,) = read_crystals("paper.cif", journal + good)
    assert only.source == "paper.cif"


def test_a_lost_header_is_forgiven():
    assert len(structure(with_symbol("P m -3 m", PEROVSKITE, 3.905).removeprefix("data_test"))) == 5


def test_too_many_sites_are_refused_before_they_cost_time():
    text = with_symbol("F m -3 m", [f"C{i} 0.{i + 100} 0.2 0.3" for i in range(400)], 30)
    assert "--max-sites" in reason(text) and "limit is 1000" in reason(text)
    poscar = "c\n1\n9 0 0\n0 9 0\n0 0 9\nC\n999999999\nDirect\n"
    assert "999999999" in reason(poscar, "POSCAR")


def test_garbled_files_never_raise():
    """Cut and garbled files of every format give entries, never an exception."""
    rng = np.random.default_rng(0)
    files = [
        with_symbol("F d -3 m", SPINEL_2, 8.086), with_operations("P m -3 m", PEROVSKITE, 3.905),
        POSCAR, XYZ, Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]]).to_json(),
    ]  # fmt: skip
    for text in files:
        for _ in range(60):
            letters = list(text)
            for at in rng.integers(0, len(letters), 3):
                letters[at] = str(rng.choice(list("0 9\n.'_;x,(-{[Q\0")))
            garbled = "".join(letters)[: rng.integers(1, 2 * len(text))]
            entries = read_crystals("garbled", garbled, max_sites=300)
            assert entries and all(isinstance(entry, (Crystal, Unreadable)) for entry in entries)


def test_reading_cifs_needs_no_pymatgen():
    code = "import sys, cgcnn.cif; sys.exit('pymatgen' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- other formats ----------------------------------------------------------------------------------------------------

POSCAR = """SrTiO3
3.905
1.0 0.0 0.0
0.0 1.0 0.0
0.0 0.0 1.0
Sr_sv Ti_pv O
1 1 3
Selective dynamics
Direct
0.0 0.0 0.0 T T T
0.5 0.5 0.5 F F F
0.5 0.5 0.0 T T T
0.5 0.0 0.5 T T T
0.0 0.5 0.5 T T T
"""
XYZ = """2
Lattice="5.0 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3 energy=-1.5
Cs 0 0 0
Cl 2.5 2.5 7.5
"""


def test_poscar():
    found = structure(POSCAR, "POSCAR")
    assert found.composition.reduced_formula == "SrTiO3" and found.lattice.a == pytest.approx(3.905)
    assert not found.site_properties
    cartesian = POSCAR.replace("Direct", "Cartesian")
    np.testing.assert_allclose(structure(cartesian, "CONTCAR").frac_coords, found.frac_coords, atol=1e-12)
    volume = POSCAR.replace("3.905\n", "-64.0\n", 1)
    assert structure(volume, "pasted text").volume == pytest.approx(64)
    assert structure(POSCAR.replace("3.905\n", "4 5 6\n", 1), "x").lattice.abc == pytest.approx((4, 5, 6))


def test_poscar_without_elements():
    old = POSCAR.replace("Sr_sv Ti_pv O\n", "")
    assert "'Sr Ti O'" in reason(old, "POSCAR")
    named = read_crystals("POSCAR", old.replace("SrTiO3", "perovskite: Sr Ti O", 1))[0]
    assert named.structure.composition.reduced_formula == "SrTiO3" and "comment line" in named.notes[0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("0.0 0.5 0.5 T T T\n", "", "line 14"), ("1 1 3", "1 3", "2 numbers"), ("1 1 3", "1 one 3", "line 7"),
        ("0.0 1.0 0.0", "1.0 0.0 0.0", "flat"), ("0.5 0.5 0.5 F", "0.5 0.0 0.51 F", "apart"),
        ("Ti_pv", "Vac", "'Vac'"), ("0.5 0.5 0.0 T", "0.5 nan 0.0 T", "finite"),
    ],
)  # fmt: skip
def test_poscar_reasons(old, new, expected):
    assert expected in reason(POSCAR.replace(old, new, 1), "POSCAR")


def test_extended_xyz():
    found = structure(XYZ, "x.xyz")
    np.testing.assert_allclose(found.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]])
    entries = read_crystals("run.xyz", XYZ + XYZ.replace("Cs", "Qq") + XYZ + "2\nno cell\nH 0 0 0\nH 0 0 1\n")
    assert [type(entry) for entry in entries] == [Crystal, Unreadable, Crystal, Unreadable]
    assert entries[2].source == "run.xyz · frame 3" and "Lattice=" in entries[3].reason
    assert "cut short" in reason(XYZ.rsplit("\n", 2)[0], "x.xyz")


def test_pymatgen_json():
    made = Structure(Lattice.hexagonal(3, 5), ["Zn2+", "S2-"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 1.375]])
    made.add_site_property("magmom", [1.0, 2.0])
    found = structure(made.to_json(), "x.json")
    np.testing.assert_allclose(found.lattice.matrix, made.lattice.matrix)
    np.testing.assert_allclose(found.frac_coords[1], [1 / 3, 2 / 3, 0.375])
    assert [s.specie for s in found] == [s.element for s in made.species] and not found.site_properties
    entries = read_crystals("x.json", json.dumps([made.as_dict(), {"structure": made.as_dict()}, 3]))
    assert [type(entry) for entry in entries] == [Crystal, Crystal, Unreadable]


def test_json_cannot_import_modules():
    made = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]]).as_dict()
    bait = {"@module": "antigravity", "@class": "anything"}
    made["properties"] = bait
    made["sites"][0]["properties"] = bait
    made["@module"], made["@class"] = "antigravity", "Structure"
    assert len(structure(json.dumps(made), "x.json")) == 1
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"sites": "many"}, "no structure"), ({"lattice": None}, "molecule"),
        ({"lattice": {"matrix": [1, 2]}}, "matrix"),
        ({"lattice": {"matrix": [["a"] * 3] * 3}}, "three numbers"), ({"lattice": {"a": 1}}, "three numbers"),
        ({"sites": [{"species": [{"element": "Po", "occu": "1"}], "abc": [0, 0, 0]}]}, "occu"),
        ({"sites": [{"species": [{"element": "Fe", "occu": 0.5}, {"element": "Mn", "occu": 0.5}], "abc": [0, 0, 0]}]},
         "Fe 0.5 + Mn 0.5"),
        ({"sites": [{"species": [{"element": "Po", "occu": 1}]}]}, "abc"),
        ({"sites": [{"species": [{"element": "X0+", "occu": 1}], "abc": [0, 0, 0]}]}, "'X'"),
        ({"sites": [{"species": [{"element": "Po", "occu": 1}], "abc": [float("nan"), 0, 0]}]}, "finite"),
        ({"sites": []}, "no atoms"),
    ],
)  # fmt: skip
def test_json_reasons(change, expected):
    made = json.loads(Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]]).to_json())
    assert expected in reason(json.dumps(made | change), "x.json")


@pytest.mark.parametrize("text", ["{", "[]", "[[[", "[" * 5000, "3", "{}", '{"sites": [1], "lattice": {"matrix": []}}'])
def test_json_that_is_none(text):
    reason(text, "x.json")


def test_files(tmp_path):
    path = tmp_path / "perovskite.cif.gz"
    path.write_bytes(gzip.compress(with_symbol("P m -3 m", PEROVSKITE, 3.905).encode()))
    (entry,) = read_file(path)
    assert isinstance(entry, Crystal) and entry.source == "perovskite.cif.gz"
    (missing,) = read_file(tmp_path / "nothing.cif")
    (folder,) = read_file(tmp_path)
    assert "no file" in missing.reason and "folder" in folder.reason


def test_structures_and_cells():
    made = Structure(Lattice.cubic(4), ["Cs+", "Cl-"], [[0, 0, 0], [1.5, 0.5, 0.5]])
    cell = structure_to_cell(made)
    assert cell.atomic_numbers.tolist() == [55, 17]
    np.testing.assert_allclose(cell.frac_coords[1], 0.5)
    with pytest.raises(StructureError, match="Fe 0.5"):
        structure_to_cell(Structure(Lattice.cubic(4), [{"Fe": 0.5, "Mn": 0.5}], [[0, 0, 0]]))
    with pytest.raises(StructureError, match="no atoms"):
        check_cell(Cell(np.eye(3), np.empty(0, dtype=np.int64), np.empty((0, 3)), ()))


def test_several_blocks_of_one_name():
    text = with_symbol("P m -3 m", PEROVSKITE, 3.905)
    assert [name for name, _ in read_cif(text + text)] == ["test", "test"]
