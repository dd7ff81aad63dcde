"""The command line as scripts use it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from builders import perovskite, small_model

from cgcnn.cli import main
from cgcnn.model import Card, bundled, update_card

ROOT = Path(__file__).parent.parent


def shell(*arguments: str, **how) -> subprocess.CompletedProcess:
    """A command as a shell starts it."""
    command = [sys.executable, "-m", "cgcnn", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=how.pop("text", True), timeout=120, **how)


@pytest.fixture
def cif(tmp_path) -> Path:
    perovskite().to(filename=str(tmp_path / "SrTiO3.cif"))
    return tmp_path / "SrTiO3.cif"


def test_models_lists_every_bundled_model(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [card.name for card in bundled()]
    assert {"perovskite-gated", "perovskite-linear"} <= {card.name for card in bundled()}
    for line, card in zip(lines, bundled(), strict=True):
        assert card.head in line and card.target.label in line and f"{card.mae:.4f} eV/atom" in line


def test_models_check(tmp_path, capsys, monkeypatch):
    """Every file against its checksum; missing checksums are noted, damaged files named."""
    assert main(["models", "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(bundled())
    assert all("weights.safetensors, atlas.parquet as on the card" in line for line in lines)
    monkeypatch.setattr("cgcnn.model.BUNDLED", tmp_path)
    for name in ("old", "bad"):
        small_model("linear").save(tmp_path / name)
        update_card(tmp_path / name, name=name)
    update_card(tmp_path / "old", files={})
    (tmp_path / "bad" / "weights.safetensors").write_bytes(b"")
    assert main(["models", "--check", "--write-card"]) == 1
    said = capsys.readouterr()
    assert said.out.split(maxsplit=1) == ["old", "weights.safetensors as on the card (noted now)\n"]
    assert "bad/weights.safetensors is damaged" in said.err
    assert Card.read(tmp_path / "old" / "card.json").files


@pytest.fixture
def rock_salt(tmp_path) -> Path:
    file = tmp_path / "POSCAR"
    file.write_text("NaCl\n1\n0 2.8 2.8\n2.8 0 2.8\n2.8 2.8 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n")
    return file


@pytest.mark.parametrize("name", [card.name for card in bundled()])
def test_explain_json(cif, capsys, name):
    assert main(["explain", str(cif), "--model", name, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["source"] == "SrTiO3.cif" and result["formula"] == "SrTiO3" and result["model"] == name
    sites = result["sites"]
    assert [s["index"] for s in sites] == [0, 1, 2, 3, 4]
    assert [s["element"] for s in sites] == ["Sr", "Ti", "O", "O", "O"]
    assert sum(s["contribution"] for s in sites) / 5 == pytest.approx(result["energy"], abs=1e-6)
    for site in sites:
        assert site["relative"] == pytest.approx(site["contribution"] - site["reference"])
    # Stability by DFT, 1.5 for the average perovskite, and formation energy by experiment.
    assert result["energy"] == pytest.approx(-0.24 if name.startswith("perovskite") else -3.47, abs=0.15)


def test_each_crystal_is_explained_by_the_model_that_fits(cif, rock_salt, capsys):
    assert main(["explain", str(cif), str(rock_salt), "--json"]) == 0
    assert [r["model"] for r in json.loads(capsys.readouterr().out)] == ["perovskite-linear", "inorganic-linear"]


def test_a_bad_file_does_not_stop_the_rest(cif, tmp_path, capsys):
    (tmp_path / "bad.cif").write_text("data_x\nloop_\n_atom_site_label\n_atom_site_fract_x\nSr\n")
    files = [str(tmp_path / "bad.cif"), str(tmp_path / "missing.cif"), str(cif)]
    assert main(["explain", *files, "--model", "perovskite-linear", "--json"]) == 1
    bad, missing, good = json.loads(capsys.readouterr().out)
    assert set(bad) == set(missing) == {"source", "error"} and "energy" in good
    assert main(["explain", *files, "--model", "perovskite-linear"]) == 1
    told = capsys.readouterr()
    assert "SrTiO3" in told.out and "missing.cif" not in told.out and "there is no file" in told.err


def test_max_sites_is_an_option(tmp_path, capsys):
    (perovskite() * (2, 2, 1)).to(filename=str(tmp_path / "large.cif"))
    assert (
        main(["explain", str(tmp_path / "large.cif"), "--model", "perovskite-linear", "--max-sites", "10", "--json"])
        == 1
    )
    (result,) = json.loads(capsys.readouterr().out)
    assert "20" in result["error"] and "10" in result["error"] and "--max-sites" in result["error"]


def test_swap_json_and_text(cif, capsys):
    arguments = ["swap", str(cif), "--site", "2", "--all-equivalent", "--follow-cell"]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["sites"] == [2, 3, 4] and result["element"] == "O" and result["role"] == "X"
    assert result["model"] == "perovskite-linear"  # chosen by the crystal
    rows = {row["element"]: row for row in result["elements"]}
    assert rows["N"]["trained"] and rows["N"]["edge"] > 3.9 and rows["Zr"]["change"] is None
    assert rows["N"]["change per atom"] == pytest.approx(rows["N"]["change"] / 5)
    assert rows["N"]["energy per atom"] == pytest.approx(result["energy"] + rows["N"]["change per atom"])
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "sites 2, 3, 4 (X)" in lines[0] and lines[2].split()[0] == "N" and "no lattice parameter" in lines[-1]
    assert main(["swap", str(cif), "--site", "0", "--model", "perovskite-gated"]) == 0
    changes = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[2:]]
    assert len(changes) >= 55 and changes == sorted(changes)


def test_swap_of_a_site_that_is_not_there_is_one_sentence(cif, tmp_path, capsys):
    assert main(["swap", str(cif), "--site", "5", "--all-equivalent"]) == 1
    assert "counted from 0 to 4" in capsys.readouterr().err
    assert main(["swap", str(tmp_path / "missing.cif"), "--site", "0"]) == 1
    assert "there is no file" in capsys.readouterr().err


def test_unknown_model_is_one_sentence(cif, capsys):
    assert main(["explain", str(cif), "--model", "nothing"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "no model 'nothing'" in captured.err and "perovskite-linear" in captured.err


def test_evaluate_and_train_from_a_shell(tmp_path):
    rows = [
        {"cif": perovskite(a, b, edge=edge).to(fmt="cif"), "gap": 0.1 * n, "split": "val" if n % 4 == 0 else "train"}
        for n, (a, b, edge) in enumerate(
            (a, b, 3.9 + 0.1 * i + 0.05 * j)
            for i, a in enumerate(("Ca", "Sr", "Ba", "Pb"))
            for j, b in enumerate(("Ti", "Zr", "Hf", "Sn"))
        )
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "gaps.csv")
    environment = {**os.environ, "CGCNN_CACHE": str(tmp_path / "cache")}

    def run(*arguments: str) -> str:
        done = shell(*arguments, env=environment)
        assert done.returncode == 0, done.stderr
        notes.append(done.stderr)
        return done.stdout

    notes = []

    data, out = str(tmp_path / "gaps.csv"), str(tmp_path / "gap-linear")
    printed = run("train", data, "--head", "linear", "--out", out, "--epochs", "2", "--width", "8", "--unit", "eV")
    assert f"written to {out}" in notes[-1] and printed.startswith("gap-linear:") and "MAE" in printed
    card = json.loads((tmp_path / "gap-linear" / "card.json").read_text())
    assert card["target"]["name"] == "gap" and card["target"]["unit"] == "eV" and card["family"] == "gap"
    result = json.loads(run("evaluate", data, "--model", out, "--split", "val", "--json"))
    assert result["n"] == 4 and result["mae"] == pytest.approx(card["accuracy"]["val"]["mae"], abs=1e-6)
    assert {"mae", "rmse", "r2", "n"} <= set(result)
    assert json.loads(run("evaluate", data, "--model", out, "--json"))["n"] == 16
    explained = run("explain", "--model", out, "--json", str(_write(tmp_path)))
    assert json.loads(explained)[0]["model"] == "gap-linear"


def _write(folder: Path) -> Path:
    perovskite("Ba", "Zr", edge=4.2).to(filename=str(folder / "POSCAR"), fmt="poscar")
    return folder / "POSCAR"


def test_import_is_light():
    """`import cgcnn` and all that the app needs of it leave Lightning and Streamlit alone: 2.5 s of processor time."""
    code = (
        "import sys, time; start = time.process_time(); import cgcnn, cgcnn.contributions; "
        "print(time.process_time() - start, 'lightning' in sys.modules, 'streamlit' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    seconds, lightning, streamlit = min(run.stdout.split() for run in runs)
    assert (lightning, streamlit) == ("False", "False") and float(seconds) < 2.5


def test_atlas_of_the_training_crystals(tmp_path, monkeypatch, capsys):
    import polars as pl
    from test_scoring import many, write_ensemble, write_table

    from cgcnn.atlas import read_atlas

    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    model = write_ensemble(tmp_path / "model", "linear")
    data = write_table(tmp_path / "data.parquet", many(10), split=["train"] * 6 + ["val"] * 4)
    assert main(["atlas", str(data), "--model", str(model), "--quiet"]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "6 crystals with 30 sites" in told.err
    atlas = read_atlas(model / "atlas.parquet")
    assert atlas.table("relative", "role").filter(pl.col("element") == "O")["count"].item() == 18
    assert main(["atlas", str(data), "--model", str(model), "--split", "all", "--quiet"]) == 0
    assert "10 crystals" in capsys.readouterr().err
    assert main(["atlas", str(data), "--model", str(model), "--split", "test", "--quiet"]) == 1
    assert "no crystal of data.parquet in split 'test'" in capsys.readouterr().err


# --- files and standard input -----------------------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch):
    """A function that puts a text on standard input."""

    def put(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return put


def test_standard_input_is_read_for_a_dash(cif, typed, capsys):
    typed(cif.read_text())
    assert main(["explain", "-", "--model", "perovskite-linear", "--json"]) == 0
    told = capsys.readouterr()
    (found,) = json.loads(told.out)
    assert found["source"] == "standard input" and found["formula"] == "SrTiO3" and told.err == ""
    typed(perovskite("Ba", "Zr", edge=4.2).to(fmt="poscar"))
    assert main(["swap", "-", "--site", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["element"] == "Ba"
    typed("nonsense")
    assert main(["explain", "-", "--model", "perovskite-linear"]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "standard input: 'nonsense' does not begin like any format" in told.err


@pytest.fixture
def explained(cif, tmp_path, capsys):
    """Two crystals, one that cannot be read, and what --json says of them."""
    perovskite("Ba", "Ta", ("O", "O", "N"), 4.1).to(filename=str(tmp_path / "BaTaO2N.cif"))
    files = [str(cif), str(tmp_path / "missing.cif"), str(tmp_path / "BaTaO2N.cif")]
    command = ["explain", *files, "--model", "perovskite-gated"]
    assert main([*command, "--json"]) == 1
    return command, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_explain_out_as_a_table(explained, tmp_path, capsys, ending):
    command, told = explained
    out = tmp_path / f"sites.{ending}"
    assert main([*command, "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and f"written to {out}" in captured.err and "missing.cif" in captured.err
    table = pl.read_csv(out) if ending == "csv" else pl.read_parquet(out)
    good = [result for result in told if "sites" in result]
    assert table["crystal"].to_list() == ["SrTiO3.cif"] * 5 + ["BaTaO2N.cif"] * 5
    assert table["formula"].unique(maintain_order=True).to_list() == ["SrTiO3", "BaTaO2N"]
    assert table["index"].to_list() == [*range(5)] * 2
    sites = [site for result in good for site in result["sites"]]
    for column, name in {"raw, eV": "contribution", "relative, eV": "relative", "sd, eV": "sd", "gate": "gate"}.items():
        assert table[column].to_list() == pytest.approx([site[name] for site in sites])
    assert table["role"].to_list() == [site["role"] for site in sites]
    assert table["energy, eV/atom"].to_list() == pytest.approx([r["energy"] for r in good for _ in range(5)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["BaTaO2N.cif", "SrTiO3.cif", out.name]


@pytest.mark.parametrize("ending", ["extxyz", "xyz"])
def test_explain_out_as_extended_xyz(explained, tmp_path, ending):
    from ase.io import read

    command, told = explained
    main([*command, "--out", str(tmp_path / f"sites.{ending}")])
    frames = read(tmp_path / f"sites.{ending}", ":", format="extxyz")
    assert [frame.info["source"] for frame in frames] == ["SrTiO3.cif", "BaTaO2N.cif"]
    assert [frame.info["energy_per_atom"] for frame in frames] == pytest.approx(
        [result["energy"] for result in told if "sites" in result]
    )
    assert frames[1].arrays["contribution"].tolist() == pytest.approx(
        [site["contribution"] for site in told[2]["sites"]], abs=1e-7
    )


def test_explain_out_as_json_is_what_json_prints(explained, tmp_path, capsys):
    command, told = explained
    assert main([*command, "--json", "--out", str(tmp_path / "sites.json")]) == 1
    assert json.loads((tmp_path / "sites.json").read_text()) == told == json.loads(capsys.readouterr().out)


def test_crystals_with_and_without_roles_in_one_table(cif, rock_salt, tmp_path):
    out = tmp_path / "sites.parquet"
    assert main(["explain", str(rock_salt), str(cif), "--model", "inorganic-linear", "--out", str(out)]) == 0
    table = pl.read_parquet(out)
    assert table["role"].to_list() == [None, None, "A", "B", "X", "X", "X"]
    assert table["element"].to_list() == ["Na", "Cl", "Sr", "Ti", "O", "O", "O"]


def test_nothing_is_written_where_nothing_can_be(cif, tmp_path, monkeypatch, capsys):
    """An older file stays whole where the new one breaks half way, and where no crystal can be read."""
    out = tmp_path / "sites.csv"
    out.write_text("older")
    assert main(["explain", str(tmp_path / "missing.cif"), "--model", "perovskite-linear", "--out", str(out)]) == 1
    assert out.read_text() == "older"

    def breaks(frame, path, **how):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pandas.DataFrame.to_csv", breaks)
    assert main(["explain", str(cif), "--model", "perovskite-linear", "--out", str(out)]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert out.read_text() == "older" and sorted(p.name for p in tmp_path.iterdir()) == ["SrTiO3.cif", "sites.csv"]


def test_swap_out(cif, tmp_path, capsys):
    command = ["swap", str(cif), "--site", "0", "--model", "perovskite-linear"]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for ending, read in {"csv": pl.read_csv, "parquet": pl.read_parquet}.items():
        assert main([*command, "--out", str(tmp_path / f"swaps.{ending}")]) == 0
        table = read(tmp_path / f"swaps.{ending}")
        assert table["element"].to_list() == [row["element"] for row in told["elements"]]
        assert table["change"].to_list() == pytest.approx([row["change"] for row in told["elements"]])
    assert main([*command, "--out", str(tmp_path / "swaps.json")]) == 0
    assert json.loads((tmp_path / "swaps.json").read_text()) == told
    assert capsys.readouterr().out == ""


def test_nothing_but_data_on_stdout(cif, tmp_path, monkeypatch, capsys):
    """No progress, no notes; and no bar on stderr where that is no terminal."""
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    pl.DataFrame({"cif": [cif.read_text(), "x"], "energy": [0.1, 0.2]}).write_csv(tmp_path / "data.csv")
    arguments = [str(tmp_path / "data.csv"), "--model", "perovskite-linear"]
    assert main(["score", *arguments, "--out", str(tmp_path / "scores"), "--workers", "1"]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "1 crystals with 5 sites" in told.err and "\r" not in told.err
    assert main(["evaluate", *arguments, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["n"] == 1 and "1 rows cannot be read" in told.err
