"""The command line as scripts use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from builders import perovskite

from cgcnn.cli import main
from cgcnn.model import bundled

ROOT = Path(__file__).parent.parent


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


def test_a_bad_file_does_not_stop_the_rest(cif, tmp_path, capsys):
    (tmp_path / "bad.cif").write_text("data_x\nloop_\n_atom_site_label\n_atom_site_fract_x\nSr\n")
    files = [str(tmp_path / "bad.cif"), str(tmp_path / "missing.cif"), str(cif)]
    assert main(["explain", *files, "--model", "perovskite-linear", "--json"]) == 1
    bad, missing, good = json.loads(capsys.readouterr().out)
    assert set(bad) == set(missing) == {"source", "error"} and "energy" in good
    assert main(["explain", *files, "--model", "perovskite-linear"]) == 1
    assert "SrTiO3" in capsys.readouterr().out


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
        command = [sys.executable, "-m", "cgcnn", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout

    data, out = str(tmp_path / "gaps.csv"), str(tmp_path / "gap-linear")
    printed = run("train", data, "--head", "linear", "--out", out, "--epochs", "2", "--width", "8", "--unit", "eV")
    assert f"written to {out}" in printed
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
    assert "6 crystals with 30 sites" in capsys.readouterr().out
    atlas = read_atlas(model / "atlas.parquet")
    assert atlas.table("relative", "role").filter(pl.col("element") == "O")["count"].item() == 18
    assert main(["atlas", str(data), "--model", str(model), "--split", "all", "--quiet"]) == 0
    assert "10 crystals" in capsys.readouterr().out
    assert main(["atlas", str(data), "--model", str(model), "--split", "test", "--quiet"]) == 1
    assert "no crystal of data.parquet in split 'test'" in capsys.readouterr().err
