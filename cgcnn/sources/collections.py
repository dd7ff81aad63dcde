"""Folders and ZIP archives of CIFs, one crystal a file; with `id_prop.csv` the format of the authors' code."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..cell import StructureError, is_number, shortened
from ..formats.text import MAX_BYTES, file_text
from .source import MOST_COLUMNS, DatasetError, RowSource, too_many_columns
from .unpacking import check_ratio

_CIF = (".cif", ".cif.gz", ".mcif")
_PROPERTIES = "id_prop.csv"
_MOST_FILES = 500_000  # below a folder
_LARGEST_DIRECTORY = 64 * 2**20  # bytes of a ZIP archive's list of files: half a million, with long names
# What opening a file may raise: of the system, of zlib, of zipfile, of our own limits.
_DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, ValueError)


class CifCollection(RowSource):
    """CIFs of a folder or a ZIP archive; of a file with several crystals the first is taken.

    Where there is an `id_prop.csv` (no header; id, target), its rows are the data set, with <id>.cif beside it;
    the column of the target is then called "target". Otherwise the files are, in the order of their names.
    """

    crystal_columns = ("cif",)

    def __init__(self, path: Path):
        self._archive = None
        if path.is_dir():
            self._files = {str(p.relative_to(path).as_posix()): p for p in sorted(files_below(path))}
        else:
            _check_directory(path)
            try:
                self._archive = zipfile.ZipFile(path)
            except (*_DAMAGE, struct.error) as error:
                raise DatasetError(f"{path.name} is no readable ZIP archive: {error}; pack it again") from error
            entries = (e for e in self._archive.infolist() if not e.is_dir() and not e.filename.startswith("__MACOSX/"))
            self._files = {e.filename: e for e in sorted(entries, key=lambda e: e.filename)}
        self._cifs = [name for name in self._files if name.lower().endswith(_CIF)]
        self._table = min((n for n in self._files if PurePosixPath(n).name == _PROPERTIES), key=len, default=None)
        if not self._cifs:
            raise DatasetError(f"{path.name} holds no .cif file; a folder or archive should hold one crystal a file")
        if self._archive:
            check_ratio(path.name, path.stat().st_size, sum(self._files[name].file_size for name in self._cifs))
        super().__init__(path)

    def fingerprint(self) -> str:
        if self._archive:
            return super().fingerprint()
        digest = hashlib.sha256()
        for name, path in self._files.items():
            if name.lower().endswith(_CIF):
                digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        if self._table:
            digest.update(self._files[self._table].read_bytes())
        return digest.hexdigest()

    def read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        if self._table is None:
            for name in self._cifs:
                yield {"material_id": _stem(name)}, self._crystal(name) if crystals else {}
            return
        folder = PurePosixPath(self._table).parent
        for record in self._records():
            name = record["material_id"]
            path = next((p for p in (str(folder / f"{name}{end}") for end in _CIF) if p in self._files), None)
            if path is None:
                missing = f"there is no {shortened(name)}.cif beside {_PROPERTIES}; add it, or remove the row"
                yield record, {"problem": missing}
            else:
                yield record, self._crystal(path) if crystals else {}

    def _records(self) -> Iterator[dict]:
        """Rows of id_prop.csv as {"material_id", "target", ...}; a header, which there should not be, names them."""
        try:
            rows = [row for row in csv.reader(io.StringIO(self._text(self._table))) if row and row[0].strip()]
        except (*_DAMAGE, csv.Error) as error:
            raise DatasetError(f"{_PROPERTIES} of {self.name} cannot be read: {error}; write it again") from None
        longest = max(map(len, rows), default=0)
        if longest > MOST_COLUMNS:
            raise too_many_columns(_PROPERTIES)
        names = ["target"] + [f"target {i}" for i in range(2, longest)]
        if rows and len(rows[0]) > 1 and not is_number(_value(rows[0][1])) and f"{rows[0][0]}.cif" not in self._files:
            names = [cell.strip() for cell in rows.pop(0)[1:]]
        for row in rows:
            values = {name: _value(cell) for name, cell in zip(names, row[1:], strict=False)}
            yield {"material_id": row[0].strip(), **values}

    def _crystal(self, name: str) -> dict:
        try:
            return {"cif": self._text(name)}
        except StructureError as error:
            return {"problem": f"{shortened(PurePosixPath(name).name)}: {error}"}
        except _DAMAGE as error:
            reason = shortened(str(error), 150) or type(error).__name__
            return {"problem": f"{shortened(PurePosixPath(name).name)} cannot be opened: {reason}; pack it again"}

    def _text(self, name: str) -> str:
        entry = self._files[name]
        size = entry.file_size if self._archive else entry.stat().st_size
        if size > MAX_BYTES:
            raise StructureError(f"the file has {size >> 20} MB; split it, {MAX_BYTES >> 20} MB is the limit")
        return file_text(self._archive.read(entry) if self._archive else entry.read_bytes())


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder and those in it. Raises DatasetError where there is no end of them, as below "/"."""
    seen = 0
    for place, _, names in os.walk(folder):
        seen += 1 + len(names)
        if seen > _MOST_FILES:
            raise DatasetError(
                f"{folder} holds over {_MOST_FILES} files, which is the limit; name the folder of the CIFs"
            )
        yield from (path for name in names if (path := Path(place, name)).is_file())


def _check_directory(path: Path) -> None:
    """Raise DatasetError for a ZIP archive whose list of files would not fit into memory, before it is read."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 2**17))
        end = file.read()
    for signature, kind, offset in ((b"PK\5\6", "<I", 12), (b"PK\6\6", "<Q", 40)):
        at = end.rfind(signature) + offset
        if at >= offset and at + 8 <= len(end):
            (size,) = struct.unpack_from(kind, end, at)
            if _LARGEST_DIRECTORY < size < 2**32 - 1 or size >= 2**32:
                raise DatasetError(
                    f"the list of files in {path.name} has {size >> 20} MB, and {_LARGEST_DIRECTORY >> 20} MB is the "
                    "limit; pack fewer crystals, or bring a table"
                )


def _stem(name: str) -> str:
    for end in (".gz", ".cif", ".mcif"):
        name = name[: -len(end)] if name.lower().endswith(end) else name
    return name


def _value(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text.strip() or None
