"""Files made to hurt: limits of size, memory and time hold, each answer names its limit, and nothing is executed."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import ase.db
import numpy as np
import polars as pl
import pytest
from builders import perovskite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.reading import not_a_sentence
from benchmarks.fuzz.samples import zipped
from cgcnn.cell import StructureError, shortened
from cgcnn.datasets import DatasetError, load_dataset
from cgcnn.formats.xyz import comment_fields
from cgcnn.graph import neighbours_within
from cgcnn.kept import keep_files
from cgcnn.sources import open_source, read_cells
from cgcnn.structures import Crystal, Unreadable, check_cell, read_crystals, read_file, structure_to_cell

ROOT = Path(__file__).parent.parent
STRUCTURE = perovskite()
CIF = STRUCTURE.to(fmt="cif")
CELL = "data_x\n" + "".join(f"_cell_length_{k} 5\n" for k in "abc")
WIDE = CELL.replace(" 5", " 50")
ATOMS = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
OPERATIONS = "loop_\n_symmetry_equiv_pos_as_xyz\n"
POSCAR = "Po\n1\n{0} 0 0\n0 3 0\n0 0 3\nPo\n1\nDirect\n0 0 0\n"
XYZ = '1\nLattice="{0} 0 0 0 3 0 0 0 3"\nPo 0 0 0\n'
HUGE = 1e300


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))


def structure_json(**changes) -> str:
    return json.dumps({**STRUCTURE.as_dict(), **changes})


def reason(data, name="x.cif") -> str:
    """The sentence for a file that gives no crystal, given within two seconds of processor time."""
    start = time.process_time()
    (entry,) = read_crystals(name, data)
    assert time.process_time() - start < 2
    assert isinstance(entry, Unreadable) and not not_a_sentence(entry.reason), entry
    return entry.reason


# --- limits -----------------------------------------------------------------------------------------------------------


def many_operations(count):
    return "\n".join(f"x+{i % 24}/24,y+{i // 24 % 24}/24,z+{i // 576 % 24}/24" for i in range(count)) + "\n"


@pytest.mark.parametrize(
    ("name", "make", "limit"),
    [
        ("x.cif", lambda: CELL + OPERATIONS + many_operations(10_000) + ATOMS + "C1 .1 .2 .3\n", "limit is 1000"),
        # a million atoms
        ("x.cif", lambda: WIDE + OPERATIONS + many_operations(1000) + ATOMS + "C1 .1 .2 .3\n" * 1000, "limit is 1000"),
        ("x.cif", lambda: CELL + ATOMS + "C1 .1 .2 .3\n" * 1_000_000, "limit is 1000"),
        ("x.cif", lambda: CELL + OPERATIONS + "x" * 10**6 + ",y,z\n-x,y,z\n" + ATOMS + "C1 0 0 0\n", "200 characters"),
        ("x.cif", lambda: CELL.replace(" 5", " 1e300") + ATOMS + "C1 0 0 0\n", "1e+300, 1e+300, 1e+300 angstrom"),
        ("x.cif", lambda: CELL + ATOMS + "C1 0 1e300 0\n", "1e+06"),
        ("x.cif", lambda: CELL + ATOMS + "C1 0 0 0\n" + "0 " * 11_000_000, "10000000 words"),
        ("x.cif", lambda: "data_x\n" * 1_000_000, "10000 blocks"),
        ("x.cif", lambda: "x" * (200 * 2**20), "64 MB is the limit"),
        ("x.cif.gz", lambda: gzip.compress(bytes(100 * 2**20)), "64 MB"),
        ("POSCAR", lambda: POSCAR.format(HUGE), "limit is 10000"),
        ("POSCAR", lambda: POSCAR.format(3).replace("Po\n1\n", "Po\n1000000000000\n").replace("Po\n1\n", ""), "1000"),
        ("POSCAR", lambda: POSCAR.format(3).replace("\nPo\n", "\n" + "Po " * 10**7 + "\n"), "100000 characters"),
        ("x.xyz", lambda: XYZ.format(HUGE), "limit is 10000"),
        ("x.xyz", lambda: XYZ.format(3).replace("1", "1000000000000", 1), "limit is 1000"),
        ("x.xyz", lambda: XYZ.format(3).replace("1", "9" * 5000, 1), "999..."),
        ("x.xyz", lambda: "1\n" + "a=" * 10**7 + "\nPo 0 0 0\n", "100000 characters"),
        ("x.xyz", lambda: XYZ.format('3 0 0" Properties="species:S:1:pos:R:3:x:R:100000000000"'), "nine numbers"),
        ("x.json", lambda: "[" * 100_000, "1000 levels"),
        ("x.json", lambda: '{"sites":' * 100_000, "1000 levels"),
        ("x.json", lambda: "[" + "[]," * 4_000_000 + "1]", "5000000 values"),
        ("x.json", lambda: f"[{'1' * 10**6}]", "4300 digits"),
        ("x.json", lambda: structure_json(lattice={"matrix": [[HUGE, 0, 0], [0, 3, 0], [0, 0, 3]]}), "limit is 10000"),
        ("x.json", lambda: structure_json(lattice={"matrix": [[10**400, 0, 0], [0, 3, 0], [0, 0, 3]]}), "three num"),
        ("x.json", lambda: structure_json(sites=STRUCTURE.as_dict()["sites"] * 201), "limit is 1000"),
        ("x.json", lambda: structure_json(lattice={"matrix": (np.eye(3) * 0.9).tolist()}), "0.5 an atom is the limit"),
        ("x.xyz", lambda: XYZ.format(3).replace(" 3 ", " 9999 ").replace("3\"", "9999\""), "100000 an atom"),
    ],
)  # fmt: skip
def test_the_answer_names_the_limit(name, make, limit):
    data = make()
    assert limit in reason(data if isinstance(data, bytes) else data.encode(), name)


@pytest.mark.parametrize("name", ["x.cif", "x.csv", "x.json", "x.xyz"])
def test_a_line_of_two_gigabytes(tmp_path, name):
    with open(tmp_path / name, "wb") as file:
        file.truncate(2 * 2**30)  # takes no room on the disk
    start = time.process_time()
    if name == "x.cif":
        (entry,) = read_file(tmp_path / name)
        assert "2048 MB; split it, 64 MB is the limit" in entry.reason
    else:
        with pytest.raises(DatasetError, match="x.csv|x.json|line 1 of the XYZ file"):
            raise DatasetError(next(open_source(tmp_path / name).chunks(1))["problem"][0])
    assert time.process_time() - start < 2


def test_files_that_the_fuzz_command_found():
    assert "no data block" in reason("#\\#CIF_2.0", "x.cif")
    for operation in ("h,k,l", "a,b,c", "x,y,z,w"):
        assert "no symmetry operation" in reason(CELL + OPERATIONS + f"-x,y,z\n{operation}\n" + ATOMS + "C1 0 0 0\n")


def test_an_entry_without_end_is_cut():
    entries = read_crystals("x.cif", "".join(CIF.replace("SrTiO3", f"b{i}") for i in range(1002)))
    assert len(entries) == 1001 and "only the first 1000" in entries[-1].reason


@pytest.mark.parametrize(
    "text",
    [
        "x" + "\n" * 500_000 + "y", "x" + " " * 10**6 + "y", "\n" * 10**6 + "1", " " * 10**6 + "_x",
        "data_x\n" + "loop_\n_a\n" * 10**5, "data_x\nloop_\n" + "_a " * 10**6 + "\n1 2",
        CELL + f"_chemical_formula_sum 'C{'1' * 10**6}x'\n" + ATOMS + "C1 0 0 0\nQQ 0 0 0\n",
        CELL + ATOMS + f"C1 0 {'1' * 10**6},5 0\n", CELL + ATOMS + f"C1 0 {'1' * 10**6}/{'1' * 10**6} 0\n",
        CELL + ATOMS + f"C1 0 {'0' * 10**6}.33x 0\n", "1\n" + '"\\' * 49_000 + "\nPo 0 0 0\n",
        "1\n" + "a=[" * 30_000 + "\nPo 0 0 0\n", "1\n" + "'= " * 30_000 + "\nPo 0 0 0\n",
    ],
)  # fmt: skip
def test_no_pattern_takes_squares_of_time(text):
    reason(text)


def test_an_operation_listed_a_thousand_times_counts_once():
    text = CELL + OPERATIONS + "-x,-y,-z\n" * 500 + "x,y,z\n" * 500 + ATOMS
    (entry,) = read_crystals("x.cif", text + "".join(f"C{i} 0.{i} 0.{i} 0\n" for i in range(1, 5)))
    assert len(entry.structure) == 8


def test_a_vast_flat_cell_does_not_end_the_process():
    """vesin divided by zero in such a cell, which no `except` catches."""
    points = np.array([[0, 0, 0], [0.1, 1.2, 0]])
    for edges in ((0.5, 9999, 9999), (9999, 2.9, 1000), (3, 999, 999)):
        centre, neighbour, distance = neighbours_within(np.diag(edges).astype(float), points, 2.0)
        between = distance[(centre == 0) & (neighbour == 1)]
        assert between.min() == pytest.approx(np.hypot(0.1, 1.2)) and distance.max() <= 2


def test_cells_of_data_sets_have_limits_too():
    arrays = {"lattice": [5.0, 0, 0, 0, 5, 0, 0, 0, 5], "atomic_numbers": [6], "frac_coords": [0.0, 0, 0]}
    rows = [
        arrays,
        {**arrays, "lattice": [HUGE, 0, 0, 0, 5, 0, 0, 0, 5]},
        {**arrays, "frac_coords": [HUGE, 0, 0]},
        {**arrays, "atomic_numbers": [6] * 6000, "frac_coords": [0.0] * 18_000},
        {**arrays, "atomic_numbers": [6] * 600, "frac_coords": [0.0] * 1800},
    ]
    first, *others = read_cells(pl.DataFrame(rows))
    assert not isinstance(first, StructureError)
    for found, limit in zip(others, ["10000", "1e+06", "5000", "0.5 an atom"], strict=True):
        assert isinstance(found, StructureError) and limit in str(found)
    (long,) = read_cells(pl.DataFrame({"cif": ["x" * (65 * 2**20)]}))
    assert "64 MB" in str(long)


# --- archives and compressed files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.csv.gz", "x.json.gz", "x.extxyz.gz"])
@pytest.mark.parametrize("letter", [b"\0", b"\n", b"["])
def test_a_gzip_bomb_of_a_data_set(tmp_path, name, letter):
    (tmp_path / name).write_bytes(gzip.compress(letter * 100 * 2**20))
    with pytest.raises(DatasetError) as caught:
        load_dataset(tmp_path / name)
    assert not not_a_sentence(str(caught.value))


def test_a_gzip_bomb_names_the_limit(tmp_path):
    header = ("material_id,cif\n" + "a,b\n" * 10).encode()
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(header + bytes(100 * 2**20)))
    with pytest.raises(DatasetError, match="more than 100 times its size"):
        open_source(tmp_path / "x.csv.gz")


def test_a_zip_bomb_names_the_limit(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped({f"{i}.cif": bytes(60 * 2**20) for i in range(2)}))
    with pytest.raises(DatasetError, match="more than 100 times its size"):
        open_source(tmp_path / "x.zip")
    inner = gzip.compress(bytes(100 * 2**20))
    (tmp_path / "y.zip").write_bytes(zipped({"a.cif": CIF, "b.cif.gz": inner}))
    assert "64 MB, which is the limit" in load_dataset(tmp_path / "y.zip", needs_target=False).unreadable[0][1]


def test_names_and_links_in_an_archive_lead_nowhere(tmp_path):
    (tmp_path / "secret.cif").write_text(CIF)
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / "x.zip"
    archive.write_bytes(zipped({name: CIF for name in ("../a.cif", "/b.cif", "c:\\c.cif", "x/../../d.cif")}))
    link = zipfile.ZipInfo("link.cif")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "../secret.cif")
    before = sorted(tmp_path.rglob("*"))
    data = load_dataset(archive, needs_target=False)
    assert len(data) == 4 and [name for name, _ in data.unreadable] == ["link"]
    assert [path for path in sorted(tmp_path.rglob("*")) if "cache" not in path.parts] == before
    assert not Path("/b.cif").exists()


def test_names_of_uploads_stay_in_the_cache(tmp_path):
    for name in ("../../x.cif", "/etc/x.cif", "a" * 300 + ".cif", "\udcff\n.cif", "..", "", "a\0b.cif"):
        place = keep_files([(name, CIF.encode())])
        assert (tmp_path / "cache").resolve() in place.resolve().parents
        assert place.exists()
    data = load_dataset(keep_files([("x" * 300 + ".csv", b"cif\n" + b'"' + CIF.replace('"', "'").encode() + b'"')]),
                        needs_target=False)  # fmt: skip
    assert len(data) == 1


# --- nothing is executed ----------------------------------------------------------------------------------------------


def code_in_cif(trace: Path) -> str:
    """The 2024 advisory on pymatgen (CVE-2024-23346), and code in an operation."""
    finder = "[d for d in ().__class__.__mro__[1].__getattribute__ "
    finder += '( *[().__class__.__mro__[1]]+["__sub" + "classes__"]) ()'
    return CIF + (
        "_space_group_magn.number_BNS 62.448\n_space_group_magn.name_BNS \"P n' m a'\"\n"
        f'_space_group_magn.transform_BNS_Pp_abc \'a,b,{finder} if d.__name__ == "BuiltinImporter"][0]'
        f'.load_module ("os").system ("touch {trace}");0,0,0\'\n'
    )


def code_in_json(trace: Path) -> dict:
    call = {"@module": "subprocess", "@class": "Popen", "args": ["touch", str(trace)]}
    made = STRUCTURE.as_dict()
    made["properties"] = {"a": call}
    made["sites"][0]["properties"] = {"magmom": call}
    made["sites"][0]["species"][0]["properties"] = {"spin": call}
    made["@module"], made["@class"] = "subprocess", "Popen"
    return made


def test_code_in_files_is_not_executed(tmp_path):
    trace = tmp_path / "trace"
    cif = code_in_cif(trace)
    (found,) = read_crystals("x.mcif", cif)
    assert len(found.structure) == 5
    bad = cif.replace("'x, y, z'", f"\"__import__('os').system('touch {trace}'),y,z\"\n  2  -x,y,z")
    assert "no symmetry operation" in reason(bad)
    (found,) = read_crystals("x.json", json.dumps(code_in_json(trace)))
    assert len(found.structure) == 5

    pl.DataFrame({"cif": [cif, bad]}).write_csv(tmp_path / "x.csv")
    (tmp_path / "x.json").write_text(json.dumps([{"structure": code_in_json(trace)}]))
    (tmp_path / "x.zip").write_bytes(zipped({"a.cif": cif}))
    for name in ("x.csv", "x.json", "x.zip"):
        assert len(load_dataset(tmp_path / name, needs_target=False)) == 1
    assert not trace.exists()


# --- databases and tables ---------------------------------------------------------------------------------------------


def database(path: Path, **columns) -> Path:
    """A database of ASE with one crystal, columns of its row overwritten."""
    with ase.db.connect(path) as connected:
        connected.write(STRUCTURE.to_ase_atoms(), key_value_pairs={"gap": 1.5}, data={"x": np.arange(3), "y": 2})
    with sqlite3.connect(path) as connected:
        for name, value in columns.items():
            connected.execute(f"UPDATE systems SET {name} = ?", (value,))
    return path


def test_a_database_of_ase_cannot_ask_for_memory(tmp_path):
    array = json.dumps({"__ndarray__": [[10**12], "float64", [0]]})
    objects = json.dumps({"__ase_objtype__": "atoms", "x": 1})
    for i, columns in enumerate(
        [
            {"key_value_pairs": array}, {"key_value_pairs": objects, "constraints": '[{"name": "os.system"}]'},
            {"data": array}, {"calculator_parameters": array}, {"data": b"\xff" * 20}, {"key_value_pairs": "[" * 10**5},
            {"key_value_pairs": '{"gap": ' + "1" * 400 + "}"}, {"energy": "text"}, {"key_value_pairs": b"\0"},
        ]
    ):  # fmt: skip
        data = load_dataset(database(tmp_path / f"{i}.db", **columns), needs_target=False)
        assert len(data) == 1, columns


@pytest.mark.parametrize("columns", [{"positions": b"1"}, {"numbers": None}, {"cell": "text"}, {"cell": bytes(72)}])
def test_a_database_of_ase_with_a_broken_row(tmp_path, columns):
    with pytest.raises(DatasetError, match="no crystal in x.db could be read"):
        load_dataset(database(tmp_path / "x.db", **columns), needs_target=False)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW systems AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i AS id FROM n",
        "CREATE TABLE systems (id, numbers AS (zeroblob(100 << 20)), positions, cell, energy, key_value_pairs, data)",
        "CREATE TABLE systems (id INTEGER)",
        "CREATE TABLE other (id INTEGER)",
    ],
)
def test_a_database_of_ase_cannot_compute(tmp_path, statement):
    with sqlite3.connect(tmp_path / "x.db") as made:
        made.execute(statement)
        if "zeroblob" in statement:
            made.execute("INSERT INTO systems (id) VALUES (1)")
    start = time.process_time()
    with pytest.raises(DatasetError, match="x.db") as caught:
        load_dataset(tmp_path / "x.db", needs_target=False)
    assert not not_a_sentence(str(caught.value)) and time.process_time() - start < 2


def test_a_parquet_bomb_names_the_limit(tmp_path):
    """Forty million equal values take some kilobytes."""
    many = pl.DataFrame({"cif": pl.Series(["x"]).new_from_index(0, 40_000_000)})
    many.write_parquet(tmp_path / "x.parquet", row_group_size=40_000_000)
    assert (tmp_path / "x.parquet").stat().st_size < 10**5
    with pytest.raises(DatasetError, match="40000000 values in .* which is the limit"):
        open_source(tmp_path / "x.parquet")


def test_lists_of_files_have_limits(tmp_path, monkeypatch):
    monkeypatch.setattr("cgcnn.sources.collections._MOST_FILES", 5)
    for i in range(7):
        (tmp_path / f"{i}.cif").write_text(CIF)
    with pytest.raises(DatasetError, match="over 5 files, which is the limit"):
        open_source(tmp_path)
    monkeypatch.setattr("cgcnn.sources.collections._LARGEST_DIRECTORY", 100)
    (tmp_path / "x.zip").write_bytes(zipped({f"{i}.cif": CIF for i in range(7)}))
    with pytest.raises(DatasetError, match="list of files in x.zip has .* is the limit"):
        open_source(tmp_path / "x.zip")


def test_tables_with_columns_without_end(tmp_path):
    (tmp_path / "x.csv").write_text("cif," + ",".join(f"c{i}" for i in range(5000)) + "\n" + CIF[:0] + "a\n")
    records = [{f"c{i}": 1 for i in range(5000)} | {"structure": STRUCTURE.as_dict()}]
    (tmp_path / "x.json").write_text(json.dumps(records))
    (tmp_path / "x.zip").write_bytes(zipped({"a.cif": CIF, "id_prop.csv": "a" + ",1" * 5000}))
    for name in ("x.csv", "x.json", "x.zip"):
        with pytest.raises(DatasetError, match="2000 columns, which is the limit"):
            open_source(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "1000 levels"),
        ('[{"structure": ' + '{"a":' * 100_000, "1000 levels"),
        ("[" + "1" * 10**6 + "]", "4300 digits"),
        ("[[" + "1," * 10**7 + "1]]", "8388608 characters, which is the limit"),
        ('{"columns": [[], {}, 1], "data": [[1, 2, 3]]}', "no crystal"),
        ('{"columns": 1, "data": 2}', 'no "columns"'),
        ('{1: 2}', "damaged"),
        ('[{"\\ud800": 1, "structure": "\\ud800", "id": "\\ud800"}]', "no crystal"),
    ],
)  # fmt: skip
def test_json_of_a_data_set(tmp_path, text, said):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DatasetError, match=said) as caught:
        load_dataset(tmp_path / "x.json", needs_target=False)
    assert not not_a_sentence(str(caught.value))


def test_xyz_of_a_data_set(tmp_path):
    for text, said in ((f"{10**12}\n\n", "limit is 100000"), ("1\n" + "a=" * 10**6, "100000 characters")):
        (tmp_path / "x.xyz").write_text(text)
        with pytest.raises(DatasetError, match=said):
            load_dataset(tmp_path / "x.xyz", needs_target=False)


# --- many files -------------------------------------------------------------------------------------------------------


def test_broken_files_by_the_hundred():
    """The fuzz command with a fixed seed; 10,000 mutants of `python -m benchmarks.fuzz` are its long form."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--count", "300", "--seed", "1"],
        cwd=ROOT, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "300 mutants: 0 uncaught exceptions, 0 hangs, 0 answers without a sentence" in done.stdout


def test_the_fuzz_command_sees_what_it_looks_for(monkeypatch):
    from benchmarks.fuzz import reading
    from benchmarks.fuzz.samples import TRACE, samples

    sample = samples()[0]
    assert reading.problems(sample, further=False) == []
    monkeypatch.setattr(reading, "read_crystals", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in reading.problems(sample, further=False)[0]
    monkeypatch.setattr(reading, "read_crystals", lambda *_: [])
    assert "no sentence" in reading.problems(sample, further=False)[0]
    for text in ("", "a\nb", "a" * 401, "Traceback (most recent call last)", "\ud800", "\u202e"):
        monkeypatch.setattr(reading, "read_crystals", lambda *_, text=text: [Unreadable("x", text)])
        assert "no sentence" in reading.problems(sample, further=False)[0]
    monkeypatch.setattr(reading, "read_crystals", lambda *_: Path(TRACE).touch() or [Unreadable("x", "y")])
    assert reading.problems(sample, further=False) == ["code in the file was executed"]


def test_the_fuzz_command_ends_what_hangs_or_dies(monkeypatch):
    from benchmarks.fuzz import watching

    def stuck(sample, further):
        time.sleep(60)

    monkeypatch.setattr(watching, "problems", stuck)
    report = watching.watch(range(2), 0, limit=0.2, memory=2000)
    problems = [problem for _, _, problem in report.wrong]
    assert len(problems) == 2 and all(p.startswith("hang: over 0.2 s") and "in stuck" in p for p in problems)
    monkeypatch.setattr(watching, "problems", lambda sample, further: os._exit(3))
    report = watching.watch(range(2), 0, limit=5, memory=2000)
    assert [problem for _, _, problem in report.wrong] == ["exception: the process ended with 3"] * 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["element", "occu", "abc"]), inner),
    max_leaves=8,
)
quick = settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@quick
@given(st.dictionaries(st.sampled_from(["matrix", "a", "b", "c", "alpha", "beta", "gamma"]), values), values, values)
def test_any_json_gets_an_answer(lattice, species, place):
    content = {"lattice": lattice or STRUCTURE.as_dict()["lattice"], "sites": [{"species": species, "abc": place}]}
    for entry in read_crystals("x.json", json.dumps(content)):
        assert isinstance(entry, Crystal) or not not_a_sentence(entry.reason)


@quick
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_any_text_gets_an_answer(head, label, number):
    for name, text in {
        "x": head + label, "x.cif": CELL + head + ATOMS + f"{label} 0 {number} 0\n",
        "x.xyz": f"1\n{head}\n{label} 0 0 0\n",
        "POSCAR": f"{head}\n{number}\n3 0 0\n0 3 0\n0 0 3\n{label}\n1\nDirect\n0 0 0\n",
    }.items():  # fmt: skip
        for entry in read_crystals(name, text):
            assert isinstance(entry, Crystal) or not not_a_sentence(entry.reason)


@quick
@given(st.text(), st.integers(4, 60))
def test_what_is_quoted_is_one_printable_line(text, limit):
    shown = shortened(text, limit)
    assert len(shown) <= limit and shown.isprintable()
    shown.encode()


@quick
@given(st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True), st.text(max_size=12)))
def test_comment_lines_are_read_as_ase_writes_them(fields):
    from ase.io.extxyz import key_val_dict_to_str

    fields = {k: v for k, v in fields.items() if not set(v) & set("\n\r\\'=\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029") and v}
    fields = {k: v for k, v in fields.items() if not any(c.isspace() for c in v.replace(" ", ""))}
    assert comment_fields(key_val_dict_to_str(fields)) == fields


def test_a_crystal_from_python_has_the_same_limits():
    with pytest.raises(StructureError, match="0.5 an atom is the limit"):
        check_cell(structure_to_cell(perovskite(edge=1.2)))
