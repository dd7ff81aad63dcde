"""Public data sets, from a server on this machine."""

import gzip
import hashlib
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from builders import perovskite

from cgcnn import public_data
from cgcnn.cli import main
from cgcnn.datasets import load_dataset
from cgcnn.public_data import PUBLIC, FetchError, PublicData, fetch, find_public_data


def table() -> bytes:
    """A table as matminer writes it."""
    structures = [perovskite(a, b) for a in ("Sr", "Ba") for b in ("Ti", "Zr")]
    rows = [[s.as_dict(), 0.1 * i, s.formula] for i, s in enumerate(structures)]
    content = {"index": [*range(4)], "columns": ["structure", "e_form", "formula"], "data": rows}
    return gzip.compress(json.dumps(content).encode(), mtime=0)


class Server(BaseHTTPRequestHandler):
    """Answers with `content`; `ranges`: whether it can send the rest of it; `cut`: bytes after which it breaks off."""

    content, ranges, cut, asked = b"", True, None, []

    def do_GET(self):
        start = 0
        self.asked.append(self.headers.get("Range"))
        if self.path != "/data.json.gz":
            return self.send_error(404)
        if self.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : self.cut])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    class Own(Server):
        content, asked = table(), []

    running = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    Own.address = f"http://127.0.0.1:{running.server_port}"
    yield Own
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def toy(server, monkeypatch) -> PublicData:
    """A data set on that server, and the only one that is known."""
    digest = hashlib.sha256(server.content).hexdigest()
    found = PublicData("toy_perovskites", f"{server.address}/data.json.gz", digest, 4, "e_form", "energy, eV/atom")
    monkeypatch.setattr(public_data, "PUBLIC", (found,))
    return found


def test_fetch_and_use(toy, tmp_path, capsys):
    """By the beginning of its name; what is printed opens as a data set."""
    assert main(["fetch", "toy", "--to", str(tmp_path / "new" / "data")]) == 0
    told = capsys.readouterr()
    file = Path(told.out.rstrip("\n"))
    assert file == tmp_path / "new" / "data" / "toy_perovskites.json.gz"
    assert f"python -m cgcnn train {file} --target e_form" in told.err and "\r" not in told.err
    data = load_dataset(file, "e_form")
    assert len(data) == 4 and not data.unreadable and data.targets.tolist() == pytest.approx([0, 0.1, 0.2, 0.3])
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_default_folder_is_in_the_cache(toy, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CGCNN_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        assert main(["fetch", "toy_perovskites"]) == 0
        assert capsys.readouterr().out == f"{tmp_path}/cache/public/toy_perovskites.json.gz\n"
    assert server.asked == [None]  # once


def test_progress_counts_bytes(toy, server, tmp_path, monkeypatch):
    monkeypatch.setattr(public_data, "_BLOCK", 100)
    seen = []
    fetch(toy, tmp_path, lambda done, total: seen.append((done, total)))
    whole = len(server.content)
    assert [done for done, _ in seen] == [*range(100, whole, 100), whole] and {total for _, total in seen} == {whole}


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on(toy, server, tmp_path, ranges):
    """Where the server can, from where it was; otherwise from the beginning."""
    server.cut, server.ranges = 150, ranges
    with pytest.raises(FetchError, match=r"broken off after 0\.0 of 0\.0 MB"):
        fetch(toy, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["toy_perovskites.json.gz.part"]
    server.cut = None
    assert fetch(toy, tmp_path).read_bytes() == server.content
    assert server.asked == [None, "bytes=150-"]
    assert [path.name for path in tmp_path.iterdir()] == ["toy_perovskites.json.gz"]


def test_a_download_that_only_lacks_its_name(toy, server, tmp_path):
    (tmp_path / "toy_perovskites.json.gz.part").write_bytes(server.content)
    assert fetch(toy, tmp_path).read_bytes() == server.content


def test_another_file_than_promised(toy, server, tmp_path):
    """Nothing is left of it, so that the next try begins anew."""
    with pytest.raises(FetchError, match="gave another file than toy_perovskites"):
        fetch(replace(toy, sha256="0" * 64), tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "toy_perovskites.json.gz.part").write_bytes(b"older")
    with pytest.raises(FetchError, match="gave another file"):
        fetch(toy, tmp_path)
    assert fetch(toy, tmp_path).read_bytes() == server.content


def test_a_file_by_hand_is_checked(toy, server, tmp_path):
    file = tmp_path / "toy_perovskites.json.gz"
    file.write_bytes(server.content)
    assert fetch(toy, tmp_path) == file and not server.asked
    file.write_bytes(server.content[:-1])
    with pytest.raises(FetchError, match="toy_perovskites.json.gz is damaged or another version"):
        fetch(toy, tmp_path)
    assert file.exists()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/data.json.gz", "/gone.json.gz", "http://no.host.invalid/x.gz"])
def test_without_internet(toy, server, tmp_path, monkeypatch, capsys, address):
    """One sentence: what to download by hand, where to put it, how to go on."""
    url = server.address + address if address.startswith("/") else address
    monkeypatch.setattr(public_data, "PUBLIC", (replace(toy, url=url, model="perovskite-linear"),))
    assert main(["fetch", "toy", "--to", str(tmp_path / "my data")]) == 1
    told = capsys.readouterr()
    file = tmp_path / "my data" / "toy_perovskites.json.gz"
    assert told.out == "" and told.err.startswith(f"error: {url} cannot be downloaded (")
    assert f"download it by hand, put it at {file}, and go on with " in told.err
    assert f"`python -m cgcnn evaluate '{file}' --target e_form --model perovskite-linear`" in told.err
    assert told.err.count("\n") == 1
    if address.startswith("/"):
        assert "(404 Not Found)" in told.err


def test_names(capsys):
    assert find_public_data("castelli").name == "castelli_perovskites"
    with pytest.raises(
        FetchError, match="'matbench' may be matbench_perovskites, .* or matbench_mp_gap; give the whole"
    ):
        find_public_data("matbench")
    assert main(["fetch", "nothing"]) == 1
    assert "no public data set 'nothing'" in (told := capsys.readouterr().err) and "castelli_perovskites" in told
    assert main(["fetch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [data.name for data in PUBLIC]
    for line, data in zip(lines, PUBLIC, strict=True):
        assert f"{data.crystals:,}" in line and data.target in line and data.what in line


def test_the_list_is_well_formed():
    from cgcnn.model import bundled

    models = {card.name for card in bundled()}
    for data in PUBLIC:
        assert data.url.startswith("https://") and len(bytes.fromhex(data.sha256)) == 32
        assert data.target and data.what and (not data.model or data.model in models)


def test_an_installed_matminer_knows_better(server, tmp_path, monkeypatch, capsys):
    """Its addresses come first, and its other sets with structures are known as well; it is not imported."""
    digest = hashlib.sha256(server.content).hexdigest()
    entry = {
        "url": f"{server.address}/data.json.gz", "hash": digest, "file_type": "json.gz", "num_entries": 4,
        "columns": {"structure": "", "e_form": ""}, "description": "Four perovskites. Made here.",
    }  # fmt: skip
    listed = {
        "castelli_perovskites": entry, "four": entry, "formulas": entry | {"columns": {"formula": ""}},
        "nowhere": entry | {"url": ""},
    }  # fmt: skip
    folder = tmp_path / "matminer" / "datasets"
    folder.mkdir(parents=True)
    (tmp_path / "matminer" / "__init__.py").write_text("raise ImportError('the package is not to be imported')")
    (folder / "dataset_metadata.json").write_text(json.dumps(listed))
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["fetch", "castelli", "--to", str(tmp_path)]) == 0
    assert (tmp_path / "castelli_perovskites.json.gz").read_bytes() == server.content
    assert find_public_data("castelli").model == "perovskite-linear"
    assert main(["fetch", "four", "--to", str(tmp_path)]) == 0
    assert "4 crystals, Four perovskites; next: python -m cgcnn train" in capsys.readouterr().err
    assert "formulas" not in public_data.public_data() and "nowhere" not in public_data.public_data()
