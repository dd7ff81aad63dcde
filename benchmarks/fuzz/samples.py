"""Valid files of every format that is read: crystals for `read_crystals`, data sets for `open_source`."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl
from pymatgen.core import Lattice, Structure


@dataclass(frozen=True)
class Sample:
    """name: of the file; data: its content; dataset: whether it goes to `open_source`, otherwise to `read_crystals`"""

    name: str
    data: bytes
    dataset: bool = False


# A code-carrying operation as in CVE-2024-23346; whoever evaluates it leaves the file behind.
TRACE = "cgcnn-fuzz-was-here"
_CODE = f"_x.__class__.__mro__[1].__subclasses__()[0];open('{TRACE}','w')"
MAGNETIC = f"""_space_group_magn.number_BNS 62.448
_space_group_magn.name_BNS "P n' m a'"
_space_group_magn.transform_BNS_Pp_abc 'a,b,[d for d in ().__class__.__mro__[1].__getattribute__ ( *[().__class__.__mro__[1]]+["__sub" + "classes__"]) () if d.__name__ == "BuiltinImporter"][0].load_module ("os").system ("touch {TRACE}");0,0,0'
"""  # noqa: E501

_LISTED = """#\\#CIF_1.1
data_ilmenite
_chemical_formula_sum 'Fe O3 Ti'
_cell_length_a 5.0884(1)
_cell_length_b 5.0884(1)
_cell_length_c 14.0932(3)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_cell_formula_units_Z 6
_symmetry_space_group_name_H-M 'R -3 :H'
loop_
_symmetry_equiv_pos_as_xyz
x,y,z
-y,x-y,z
-x+y,-x,z
-x,-y,-z
y,-x+y,-z
x-y,x,-z
2/3+x,1/3+y,1/3+z
2/3-y,1/3+x-y,1/3+z
2/3-x+y,1/3-x,1/3+z
2/3-x,1/3-y,1/3-z
2/3+y,1/3-x+y,1/3-z
2/3+x-y,1/3+x,1/3-z
1/3+x,2/3+y,2/3+z
1/3-y,2/3+x-y,2/3+z
1/3-x+y,2/3-x,2/3+z
1/3-x,2/3-y,2/3-z
1/3+y,2/3-x+y,2/3-z
1/3+x-y,2/3+x,2/3-z
_publ_section_title
;
A text field; with 'quotes', loop_ and data_ in it
;
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
_atom_site_calc_flag
Fe1 Fe2+ 0 0 0.35537(2) 1 d
Ti1 Ti4+ 0.0 0 0.14640(2) 1 d
O1 O2- 0.31717(12) 0.02335(12) 0.24506(5) 1.0 d
"""
_SYMBOL = """data_spinel
_cell_length_a 8.086
_cell_length_b 8.086
_cell_length_c 8.086
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F d -3 m'
_space_group_IT_number 227
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Mg1 0.125 0.125 0.125
Al1 1/2 0.5 0.5
O1 0.2624 0.2624 0.2624
"""
_MAGNETIC = f"""data_magnetic
_cell_length_a 5
_cell_length_b 6
_cell_length_c 7
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
{MAGNETIC}loop_
_space_group_symop_magn_operation.xyz
x,y,z,+1
-x,-y,-z,-1
loop_
_space_group_symop_magn_centering.xyz
x,y,z,+1
x+1/2,y+1/2,z+1/2,-1
loop_
_atom_site_label
_atom_site_Cartn_x
_atom_site_Cartn_y
_atom_site_Cartn_z
Fe1 0.5 1.2 2.1
O1 2.1 3.0 3.5
D1 1.4 2.9 3.3
"""
_HALL = """_cell.length_a 4.759
_cell.length_b 4.759
_cell.length_c 12.993
_cell.angle_gamma 120
_space_group.name_Hall '-R 3 2"c'
_symmetry_Int_Tables_number 167
loop_
_atom_site.type_symbol
_atom_site.fract_x
_atom_site.fract_y
_atom_site.fract_z
Al 0 0 0.3522
O 0.3063 0 0.25
"""
_LENGTHS = """{"lattice": {"a": 4, "b": 4.1, "c": 5, "alpha": 90, "beta": 91.5, "gamma": 90}, "sites": [
 {"species": [{"element": "Cs", "occu": 1}], "xyz": [0, 0, 0.1]}, {"species": [{"element": "Cl"}], "xyz": [2, 2, 2]}]}
"""
_POSCAR = """SrTiO3
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
_POSCAR_4 = "Cs Cl\n-70.6\n1 0 0\n0 1 0\n0 0 1\n1 1\nCartesian\n0 0 0 Cs\n2.0 2.1 2.0 Cl\n"
_XYZ = """2
Lattice="5.0 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 pbc="T T F" name='CsCl, "one"'
Cs 0 0 0 0.1 0 0
Cl 2.5 2.5 7.5 0 0 -1e-3
"""


def _structures() -> list[Structure]:
    cubic = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]]
    zinc_blende = [[0, 0, 0], [0.25, 0.25, 0.25]]
    return [
        Structure(Lattice.cubic(3.905), ["Sr2+", "Ti4+", "O2-", "O2-", "O2-"], cubic),
        Structure(Lattice.cubic(4.1), ["Ba", "Ta", "O", "O", "N"], cubic),
        Structure(Lattice.from_parameters(3.82, 3.82, 3.82, 60, 60, 60), ["Zn", "S"], zinc_blende),
    ]


@cache
def samples() -> list[Sample]:
    structures = _structures()
    crystals = [s.as_dict() for s in structures]
    bait = {"@module": "os", "@class": "system", "command": f"touch {TRACE}"}
    crystals[0]["properties"] = crystals[0]["sites"][0]["properties"] = {"x": bait}
    cifs = [s.to(fmt="cif") for s in structures]
    texts = {
        "listed.cif": _LISTED, "symbol.cif": _SYMBOL, "magnetic.mcif": _MAGNETIC,
        "hall.cif": _HALL, "lengths.json": _LENGTHS,
        "two.cif": "data_global\n_publ_author 'A. B.'\n" + _SYMBOL + cifs[2], "P1.cif": cifs[0],
        "POSCAR": _POSCAR, "CONTCAR": _POSCAR_4, "frames.xyz": _XYZ + "\n" + _XYZ.replace("Cs", "K"),
        "one.extxyz": _XYZ, "structure.json": json.dumps(crystals[0]),
        "list.json": json.dumps([crystals[0], {"structure": crystals[1]}], indent=1),
    }  # fmt: skip
    found = [Sample(name, text.encode()) for name, text in texts.items()]
    return found + [Sample(name, data, True) for name, data in _data_sets(structures, crystals, cifs).items()]


def _data_sets(structures: list[Structure], crystals: list[dict], cifs: list[str]) -> dict[str, bytes]:
    columns = {"material_id": ["a", "b", "=c"], "energy": [-1.0, 0.5, None], "formula": ["SrTiO3", "NaN", "<b>ZnS"]}
    arrays = {
        "lattice": [s.lattice.matrix.ravel().tolist() for s in structures],
        "atomic_numbers": [list(s.atomic_numbers) for s in structures],
        "frac_coords": [s.frac_coords.ravel().tolist() for s in structures],
    }
    nested = {**arrays, "lattice": [s.lattice.matrix.tolist() for s in structures]}
    rows = [[crystal, e] for crystal, e in zip(crystals, columns["energy"], strict=True)]
    records = [{"material_id": i, "energy": i / 3, "structure": crystal} for i, crystal in enumerate(crystals)]
    return {
        "cif.csv": pl.DataFrame({**columns, "cif": [_MAGNETIC, cifs[1], _SYMBOL]}).write_csv().encode(),
        "arrays.parquet": _parquet({**columns, **arrays}), "nested.parquet": _parquet({**columns, **nested}),
        "cif.parquet": _parquet({**columns, "cif": cifs}),
        "authors.zip": zipped({"x/id_prop.csv": "a,-1.5\nb,2\nlost,3\n", "x/a.cif": _LISTED, "x/b.cif": cifs[2]}),
        "cifs.zip": zipped({"a.cif": _SYMBOL, "b/c.cif": cifs[0], "../d.cif": cifs[1], "/etc/e.cif": cifs[2]}),
        "matbench.json": json.dumps({"index": [7, 8, 9], "columns": ["structure", "e"], "data": rows}).encode(),
        "records.json": json.dumps(records).encode(), "frames.extxyz": (_XYZ + _XYZ.replace("Cl", "Br")).encode(),
        "data.db": _database(structures),
    }  # fmt: skip


def zipped(files: dict[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def _parquet(columns: dict) -> bytes:
    content = io.BytesIO()
    pl.DataFrame(columns).write_parquet(content)
    return content.getvalue()


def _database(structures: list[Structure]) -> bytes:
    import ase.db

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.db"
        with ase.db.connect(path) as database:
            for i, structure in enumerate(structures):
                plain = Structure(structure.lattice, structure.atomic_numbers, structure.frac_coords)
                database.write(plain.to_ase_atoms(), key_value_pairs={"name": f"n{i}", "gap": i / 2}, data={"e": i})
        return path.read_bytes()
