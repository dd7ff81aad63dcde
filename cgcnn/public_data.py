"""Public data sets: where they lie, and their download into a folder.

The names, addresses and digests are those of matminer 0.10.1 (`matminer/datasets/dataset_metadata.json`); those of an
installed matminer come first, since addresses move. matminer is not imported and its `load_dataset` not used: that
parses the whole table into pymatgen objects, several GB for the large ones, and a download that breaks leaves a broken
file under the final name. Files get the names that matminer gives them, so `load_dataset(name, data_home=folder)` of
matminer opens them as well.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from shlex import quote
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from . import __version__

_TIMEOUT = 30  # seconds without an answer
_BLOCK = 2**18  # bytes
_MATBENCH = "https://ml.materialsproject.org/projects/"
_FIGSHARE = "https://ndownloader.figshare.com/files/"

Progress = Callable[[int, int | None], None]


class FetchError(ValueError):
    """A data set that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class PublicData:
    """A public data set.

    name: matminer's; url; sha256: of the file, hex digits
    crystals: how many; target: column; what: it holds, with its unit
    model: a bundled model of these energies, "" where none is
    """

    name: str
    url: str
    sha256: str
    crystals: int
    target: str = ""
    what: str = ""
    model: str = ""

    @property
    def file_name(self) -> str:
        return f"{self.name}.json.gz"

    def usage(self, file: Path) -> str:
        """A command that uses the file."""
        data = f"{quote(str(file))} --target {quote(self.target) if self.target else 'COLUMN'}"
        if self.model:
            return f"python -m cgcnn evaluate {data} --model {self.model}"
        return f"python -m cgcnn train {data} --head linear --out my-model"


_STABILITY = "heat of formation against competing phases, eV/atom (CMR)"
_FORMATION = "formation energy, eV/atom (Materials Project"

PUBLIC = (
    PublicData(
        "castelli_perovskites", f"{_FIGSHARE}13284197",
        "fc8b44d7213515f9bc2ef3a5a5d3e4b946b321c1311f14c8be31f857b61b10d7",
        18928, "e_form", _STABILITY, "perovskite-linear",
    ),
    PublicData(
        "matbench_perovskites", f"{_MATBENCH}matbench_perovskites.json.gz",
        "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483",
        18928, "e_form", _STABILITY, "perovskite-linear",
    ),
    PublicData(
        "matbench_mp_e_form", f"{_MATBENCH}matbench_mp_e_form.json.gz",
        "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f",
        132752, "e_form", f"{_FORMATION}, 2019)", "inorganic-linear",
    ),
    PublicData(
        "mp_all_20181018", f"{_FIGSHARE}13309250",
        "1f3de2dc7c68959647240921b841293fce918ea1708e6f3760ba35a9cdfe0500",
        83989, "e_form", f"{_FORMATION}, 2018)", "inorganic-linear",
    ),
    PublicData(
        "flla", f"{_FIGSHARE}13220597",
        "a7f1649c3b9f5186e8440b163e0421cbfdf61973ec7e45101f6dab641f1e2170",
        3938, "formation_energy_per_atom", f"{_FORMATION}, 2015)", "inorganic-linear",
    ),
    PublicData(
        "jarvis_dft_3d", f"{_FIGSHARE}13376507",
        "3d0fc1315b74cf84071f16aa25bb93434dafbc83867beb75872064ac245bd747",
        25923, "e_form", "formation energy, eV/atom (JARVIS, OptB88vdW)",
    ),
    PublicData(
        "jarvis_dft_2d", f"{_FIGSHARE}13376504",
        "6994355a15ae960e3e204a1208db68eb490b5be363b15b97b36d2e0cd09b6d99",
        636, "e_form", "formation energy of 2D materials, eV/atom (JARVIS, OptB88vdW)",
    ),
    PublicData(
        "matbench_jdft2d", f"{_MATBENCH}matbench_jdft2d.json.gz",
        "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
        636, "exfoliation_en", "exfoliation energy, meV/atom (JARVIS)",
    ),
    PublicData(
        "matbench_mp_gap", f"{_MATBENCH}matbench_mp_gap.json.gz",
        "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057",
        106113, "gap pbe", "band gap, eV (Materials Project, PBE)",
    ),
)  # fmt: skip


def public_data() -> dict[str, PublicData]:
    """Every data set that can be fetched, by name: those above and those of an installed matminer."""
    known = {data.name: data for data in PUBLIC}
    for name, about in _installed_matminer().items():
        if not (about.get("url") and about.get("hash") and about.get("file_type") == "json.gz"):
            continue
        if name in known:
            known[name] = replace(known[name], url=about["url"], sha256=about["hash"])
        elif "structure" in about.get("columns", {}):
            words = about.get("description", "").partition(".")[0]
            known[name] = PublicData(name, about["url"], about["hash"], int(about.get("num_entries") or 0), what=words)
    return known


def _installed_matminer() -> dict[str, dict]:
    """matminer's own list; {} where it is not installed."""
    found = importlib.util.find_spec("matminer")  # does not import it, which would take seconds
    for folder in found.submodule_search_locations or () if found else ():
        file = Path(folder) / "datasets" / "dataset_metadata.json"
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
    return {}


def find_public_data(name: str) -> PublicData:
    """A data set by its name, or by the beginning of it where only one begins so. Raises FetchError."""
    known = public_data()
    found = [name] if name in known else [other for other in known if other.startswith(name)]
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise FetchError(f"{name!r} may be {', '.join(found[:-1])} or {found[-1]}; give the whole name")
    raise FetchError(f"there is no public data set {name!r} here; there are {', '.join(known)}")


def fetch(data: PublicData, folder: Path, progress: Progress | None = None) -> Path:
    """The file of a data set in a folder, downloaded unless it is there; a download that was broken off goes on.

    progress: called with the bytes that are here and those of the whole, None where that is not known
    Raises FetchError where it cannot be had, with what to download by hand, and for a file that is another one.
    """
    file = folder / data.file_name
    if file.exists():
        if not _is(file, data.sha256):
            raise FetchError(f"{file} is damaged or another version of {data.name}; remove it and fetch it again")
        return file
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{data.file_name}.part"
    try:
        _download(data.url, part, progress)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise FetchError(
            f"{data.url} cannot be downloaded ({_reason(error)}); download it by hand, put it at {file}, "
            f"and go on with `{data.usage(file)}`"
        ) from error
    if not _is(part, data.sha256):
        part.unlink()
        raise FetchError(
            f"{data.url} gave another file than {data.name} (its SHA-256 is not {data.sha256[:12]}...); try again, or "
            "update matminer, whose list has the newest address"
        )
    part.replace(file)
    return file


def _download(url: str, part: Path, progress: Progress | None) -> None:
    """Append to `part` what is missing of it."""
    here = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"cgcnn/{__version__}", "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        answer = urlopen(Request(url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and here:  # nothing behind what is here: whole, or not what it was; the digest will tell
            return
        raise
    with answer:
        if answer.status != 206:  # the server sends it from the beginning
            here = 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else here + int(length)
        with open(part, "ab" if here else "wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                here += len(block)
                if progress:
                    progress(here, total)
    if total is not None and here < total:
        raise ConnectionError(f"broken off after {here / 1e6:.1f} of {total / 1e6:.1f} MB")


def _is(file: Path, sha256: str) -> bool:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == sha256


def _reason(error: Exception) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, HTTPError):
        return f"{error.code} {error.reason}"
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
