"""Checkpoints of the authors' code give the authors' numbers, or one sentence on why they cannot be opened."""

import argparse
import json
import os
import pickle
import re

import numpy as np
import polars as pl
import pytest
import torch
from authors import checkpoint, element_table, network, their_input, write_files
from builders import perovskite
from pymatgen.core import Lattice, Structure

from cgcnn.cli import main
from cgcnn.contributions import explain, structure_graph
from cgcnn.graph import collate
from cgcnn.model import Card, Target, load_model
from cgcnn.original import OriginalError, both_energies, convert, is_converted, read_checkpoint

TARGET = Target("energy", "formation energy per atom", "formation energy", "eV/atom")


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    return element_table()


@pytest.fixture(scope="module")
def structures(crystals) -> dict[str, Structure]:
    """The shapes of all crystals, supercells that cut degenerate shells, and sites with few or no neighbours."""
    pair = Structure(Lattice.cubic(15), ["O", "C"], [[0, 0, 0], [0.08, 0, 0]])
    chain = Structure(
        Lattice.orthorhombic(12, 3.1, 13), ["Na", "Cl", "Na"], [[0, 0, 0], [0.2, 0.4, 0], [0.5, 0.1, 0.5]]
    )
    lonely = Structure(Lattice.cubic(20), ["O"], [[0, 0, 0]])
    large = {"2x2x1": perovskite() * (2, 2, 1), "2x2x2": perovskite("Ba", "Ta", ("O", "O", "N"), 4.1) * (2, 2, 2)}
    return crystals | large | {"pair": pair, "chain": chain, "lonely": lonely}


@pytest.fixture
def folder(tmp_path):
    """With a checkpoint net.pth.tar in it, and atom_init.json."""
    write_files(tmp_path, checkpoint(network(False, 1)))
    return tmp_path


@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("classifier", [False, True], ids=["regression", "classification"])
def test_truncated_numbers_are_theirs(folder, table, structures, classifier, hidden):
    net = network(classifier, hidden)
    torch.save(checkpoint(net), folder / "net.pth.tar")
    convert(folder / "net.pth.tar", TARGET, truncate=True).save(folder / "converted")
    model = load_model(folder / "converted")
    net = net.double()  # of the single precision that the file keeps
    found = {}
    for name, structure in structures.items():
        with torch.no_grad():
            out = net(*their_input(structure, table))[0]
        expected = float(out[1] - out[0]) if classifier else float(-1.3 + 0.8 * out[0])
        (found[name],) = explain(model, [structure])
        assert found[name].energy == pytest.approx(expected, abs=1e-5), name
        if classifier:
            assert 1 / (1 + np.exp(-found[name].energy)) == pytest.approx(float(out[1].exp()), abs=1e-6)
        assert found[name].contribution.mean() == pytest.approx(expected, abs=2e-5)
        assert found[name].quadrature_error < 1e-6
        assert found[name].energy_unit == ("logit" if classifier else "eV/atom")
    # the test would say nothing of a network that gives one number for all crystals
    assert np.std([f.energy for f in found.values()]) > 0.01


def test_fewer_than_twelve_neighbours_pass_through_the_gate(folder, table, structures):
    """Neighbours that are filled up change the energy; whole shells leave them out."""
    net = network(False, 1)
    torch.save(checkpoint(net), folder / "net.pth.tar")
    model = convert(folder / "net.pth.tar", TARGET)
    both = both_energies(model, structures["pair"])
    with torch.no_grad():
        out = net.double()(*their_input(structures["pair"], table))
    assert both.truncated == pytest.approx(float(-1.3 + 0.8 * out), abs=1e-5)
    assert abs(both.difference) > 1e-3


def test_whole_shells_do_not_depend_on_the_order_of_sites(folder):
    torch.save(checkpoint(network(False, 1)), folder / "net.pth.tar")
    model = convert(folder / "net.pth.tar", TARGET)
    assert is_converted(model.card) and not model.graph_settings.truncate
    structure = perovskite("Ba", "Ta", ("O", "O", "N"), 4.1)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(5) for _ in range(8)]
    both = [both_energies(model, Structure.from_sites([structure[i] for i in order])) for order in orders]
    both.append(both_energies(model, structure * (2, 1, 1)))
    assert np.ptp([b.whole for b in both]) < 1e-9
    assert np.ptp([b.truncated for b in both]) > 1e-4
    (found,) = explain(model, [structure])
    assert found.energy == pytest.approx(both[0].whole, abs=1e-9)


def test_contributions_start_at_the_reference(folder):
    """The mean of a data set moves the start, not the energy."""
    torch.save(checkpoint(network(False, 2)), folder / "net.pth.tar")
    trained_on = [perovskite(a, b) for a in ("Sr", "Ba") for b in ("Ti", "Zr")]
    pl.DataFrame({"cif": [structure.to(fmt="cif") for structure in trained_on]}).write_csv(folder / "crystals.csv")
    elements = convert(folder / "net.pth.tar", TARGET)
    crystals = convert(folder / "net.pth.tar", TARGET, reference=folder / "crystals.csv")
    assert "crystals.csv" in crystals.card.data["contributions start at"]
    (one,), (other,) = explain(elements, [perovskite()]), explain(crystals, [perovskite()])
    assert one.energy == pytest.approx(other.energy, abs=1e-10)
    assert np.abs(one.contribution - other.contribution).max() > 1e-4
    batch = collate([structure_graph(s, crystals.graph_settings) for s in trained_on])
    (network_,) = crystals.members
    pooled = network_.head.pooled(*network_.site_features(batch), batch)
    assert network_.head.reference.numpy() == pytest.approx(pooled.mean(0).numpy(), abs=1e-5)


def test_convert_from_a_shell(folder, capsys):
    torch.save(checkpoint(network(False, 1)), folder / "formation.pth.tar")
    out = folder / "authors-formation"
    command = ["convert", str(folder / "formation.pth.tar"), "--out", str(out)]
    assert main([*command, "--target", "formation_energy_per_atom"]) == 0
    assert "formation energy per atom (eV/atom), whole neighbour shells, 100 elements" in capsys.readouterr().err
    card = Card.read(out / "card.json")
    assert card.name == card.family == "authors-formation" and card.head == "mean" and card.mae != card.mae
    assert card.target.mean == pytest.approx(-1.3) and card.training["authors' epoch"] == 30
    (folder / "POSCAR").write_text(perovskite().to(fmt="poscar"))
    assert main(["explain", str(folder / "POSCAR"), "--model", str(out)]) == 0
    assert "eV/atom (authors-formation)" in capsys.readouterr().out
    assert main([*command, "--target", "K_VRH", "--unit", "log10(GPa)"]) == 0
    assert main(["explain", str(folder / "POSCAR"), "--model", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "log10(GPa) (authors-formation)" in printed and "relative (log10(GPa))" in printed and "eV" not in printed


def test_a_classifier_from_a_shell(folder, capsys):
    torch.save(checkpoint(network(True, 2)), folder / "metal.pth.tar")
    command = ["convert", str(folder / "metal.pth.tar"), "--out", str(folder / "metal"), "--target", "metal"]
    assert main([*command, "--unit", "eV"]) == 1
    assert "is a classifier, whose output is a logit; leave out --unit" in capsys.readouterr().err
    assert not (folder / "metal").exists()
    assert main([*command, "--truncate"]) == 0
    assert "logit of metal (logit), exactly 12 neighbours" in capsys.readouterr().err
    pl.DataFrame({"cif": [perovskite().to(fmt="cif")], "metal": [0]}).write_csv(folder / "metals.csv")
    assert main(["evaluate", str(folder / "metals.csv"), "--model", str(folder / "metal"), "--target", "metal"]) == 1
    assert "is a classifier" in capsys.readouterr().err
    scores = [str(folder / "metals.csv"), "--model", str(folder / "metal"), "--out", str(folder / "scores")]
    assert main(["score", *scores, "--workers", "1", "--quiet"]) == 0


def test_namespaces_and_files_of_older_versions(folder):
    net = network(True, 1)
    args = argparse.Namespace(task="classification", n_conv=3)
    torch.save(checkpoint(net, args=args), folder / "old.pth.tar", _use_new_zipfile_serialization=False)
    found = read_checkpoint(folder / "old.pth.tar")
    assert found.classifier and found.about["best_mae_error"] == pytest.approx(0.91) and found.mean == 0


class Foreign:
    """What a malicious file would bring: something that runs when it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


def refused(folder, content, match: str) -> None:
    path = folder / "bad.pth.tar"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(OriginalError, match=match) as caught:
        convert(path, TARGET)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 260


def test_what_is_no_checkpoint_is_refused(folder):
    good = checkpoint(network(False, 1))
    foreign = Foreign(folder / "ran")
    refused(folder, good | {"extra": foreign}, f"holds {os.mkdir.__module__}.mkdir, which a checkpoint has no need of")
    refused(folder, pickle.dumps(foreign), "holds .*mkdir|cannot be read as a PyTorch checkpoint")
    assert not (folder / "ran").exists()
    refused(folder, b"not a checkpoint", "cannot be read as a PyTorch checkpoint")
    refused(folder, b"", "cannot be read as a PyTorch checkpoint")
    refused(folder, [1, 2], "has no state_dict")
    refused(folder, good | {"normalizer": None}, "no normalizer")
    refused(folder, good | {"normalizer": {"mean": float("nan"), "std": 1.0}}, "no normalizer")
    refused(folder, good | {"args": None}, "no args")
    refused(folder, good | {"args": {"task": "classification"}}, "says classification but has the output")
    state = good["state_dict"]

    def changed(**tensors):
        return good | {"state_dict": {k: v for k, v in (state | tensors).items() if v is not None}}

    refused(folder, changed(**{"fc_out.weight": None}), "no fc_out.weight, so it is no network")
    refused(folder, changed(**{"convs.1.bn2.running_var": None}), "convs.1.bn2.running_var of bad.pth.tar is missing")
    refused(folder, changed(**{"convs.1.fc_full.bias": torch.full((32,), torch.nan)}), "not finite")
    refused(folder, changed(**{"attention.weight": torch.ones(2, 2)}), "a layer that the authors' CGCNN has not")
    refused(folder, changed(**{"fc_out.weight": torch.ones(5, 20)}), "tells 5 classes apart")
    with pytest.raises(OriginalError, match="there is no file"):
        read_checkpoint(folder / "nothing.pth.tar")


def test_the_table_of_elements(folder, tmp_path_factory, monkeypatch, table):
    torch.save(checkpoint(network(False, 1)), folder / "net.pth.tar")
    alone = tmp_path_factory.mktemp("alone")
    torch.save(checkpoint(network(False, 1)), alone / "net.pth.tar")
    monkeypatch.syspath_prepend(alone)
    with pytest.raises(OriginalError, match="no atom_init.json beside net.pth.tar and no matminer is installed"):
        convert(alone / "net.pth.tar", TARGET)
    given = convert(alone / "net.pth.tar", TARGET, atom_init=folder / "atom_init.json")
    # matminer, as far as it matters here: a package with the table in it
    data = alone / "matminer" / "utils" / "data_files"
    data.mkdir(parents=True)
    (alone / "matminer" / "__init__.py").write_text("raise ImportError('the package is not to be imported')")
    (data / "cgcnn_atom_feature.json").write_text((folder / "atom_init.json").read_text())
    assert convert(alone / "net.pth.tar", TARGET).hash == given.hash == convert(folder / "net.pth.tar", TARGET).hash
    for content, said in (('{"1": [1, 2]}', "by 2 numbers, the network takes 92"), ("[1]", "is no atom_init.json"),
                          ("{}", "by 0 numbers"), ('{"Sr": [1]}', "is no atom_init.json")):  # fmt: skip
        (alone / "other.json").write_text(content)
        with pytest.raises(OriginalError, match=re.escape(said)):
            convert(alone / "net.pth.tar", TARGET, atom_init=alone / "other.json")
    with pytest.raises(OriginalError, match="cannot be opened"):
        convert(alone / "net.pth.tar", TARGET, atom_init=alone / "nowhere.json")


def test_an_element_without_a_row_is_a_guess(folder):
    rows = json.loads((folder / "atom_init.json").read_text())
    del rows["38"]
    (folder / "atom_init.json").write_text(json.dumps(rows))
    torch.save(checkpoint(network(False, 1)), folder / "net.pth.tar")
    model = convert(folder / "net.pth.tar", TARGET)
    strontium, barium = explain(model, [perovskite(), perovskite("Ba")])
    assert "Sr" in strontium.doubt and not barium.doubt
