"""Bytes of a file -> its text, whatever it is compressed with or encoded in, within a limit."""

from __future__ import annotations

import gzip
import io
import zlib

from ..cell import StructureError

MAX_BYTES = 64 * 2**20  # of the text of one file
FORMATS = "a CIF, a POSCAR, an extended XYZ file or pymatgen's JSON"  # that are read

_SIGNATURES = {
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF8": "a GIF picture", b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive or an Office document", b"\xd0\xcf\x11\xe0": "an old Office document",
    b"BZh": "a bzip2 archive", b"\xfd7zXZ": "an xz archive", b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive",
    b"\x89HDF": "an HDF5 file", b"PAR1": "a Parquet table", b"CDF\x01": "a NetCDF file",
    b"- of Ulm": "an ASE trajectory",
}  # fmt: skip


def file_text(data: bytes | str) -> str:
    """The text of a file, or of a .gz of one, lines ended by line feeds.

    Raises StructureError for what is too large, damaged or no text.
    """
    if len(data) > MAX_BYTES:
        raise StructureError(f"the file has {len(data) >> 20} MB; split it, {MAX_BYTES >> 20} MB is the limit")
    text = data if isinstance(data, str) else _decode(data)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no letter
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.lstrip("\ufeff")


def _decode(data: bytes) -> str:
    """Bytes -> text; UTF-8, UTF-16 with its mark, else Latin-1, which old crystallographic files use."""
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            raise StructureError("the gzip file is damaged; compress it again, or bring it unpacked") from None
        if len(data) > MAX_BYTES:
            raise StructureError(f"the file unpacks to more than {MAX_BYTES >> 20} MB, which is the limit; split it")
    for signature, what in _SIGNATURES.items():
        if data.startswith(signature):
            raise StructureError(f"this is {what}, not a crystal structure; bring {FORMATS}")
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        if b"\0" in data:
            raise StructureError(f"this is a binary file, not a crystal structure; bring {FORMATS}")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
