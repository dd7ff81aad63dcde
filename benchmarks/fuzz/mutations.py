"""A sample and a source of chance -> a broken file."""

from __future__ import annotations

import gzip
import io
import json
import re
import stat
import zipfile
from collections.abc import Callable
from functools import cache
from random import Random

from .samples import TRACE, Sample, samples, zipped

_NUMBERS = (
    "nan", "inf", "-inf", "1e300", "-1e300", "1e-300", "1e999", "-0", "0", "-1", "0.5", "1e5", "1/0", "1/3", "?", ".",
    "1_0", "0x10", "٣", "²", "1,5", "1.5(3)", "1d3", "9" * 20, "9" * 400, "9" * 5000, "1/" + "9" * 5000,
    "9" * 400 + "/7", "1000000000000", "2147483648", "1.0.0", "--1", "True", "null", "0.3333", "1e-16", "999999",
    "0.41", "2.9", "999", "9999", "300", "4.6e4",
)  # fmt: skip
_WORDS = (
    "", "'", '"', "loop_", "data_", "data_x", "save_", ";", "#", "stop_", "global_", "\0", "\x1b[31m", "\u202e",
    "\u2028", "\ufeff", "Q", "X", "Va", "H2O", "Uuo", "Og", "D", "T", "Fe0.5", "<script>alert(1)</script>", "$x$",
    "**b**", "[a](javascript:alert(1))", "|", "`", "=1+1", "a" * 3000, "Lattice=", 'Lattice="', "Properties=",
    "Properties=pos:R:1000000000", "Properties=species:S:1:pos:R:3:x:Q:1", "_JSON {}", "pbc=x", "Cartesian",
    "Selective", "_atom_site_fract_x", "_atom_site_occupancy", "_cell_length_a", "P 1", "F d -3 m", "-P 4 2 3",
    "x,y,z", "é", "\ud800", "{", "}", "[", "]", ":", ",", "\\", "\\u0000", "NaN",
)  # fmt: skip
_OPERATIONS = (
    "x,y", "x,y,z,w", "x+y+z,x,y", "2x,y,z", "x/0,y,z", "1/2,1/2,1/2", "x+1e300,y,z", "x+" + "1" * 400 + ",y,z",
    f"__import__('os').system('touch {TRACE}'),y,z", "x,y,z;0,0,0", "-x,-y,-z", "x+1/2,y,z", "x+1/1000,y,z", "'",
    "x" * 5000, "0,0,0", "x,y,z,+1", "y,z,x", "1e9x,y,z", "x.y,z", "h,k,l", "a,b,c", "x,y,z" * 100, "٣x,y,z",
)  # fmt: skip
_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[^\s,\"':{}\[\]]+")
_OPERATION = re.compile(rb"(?m)^'?[-+xyz/0-9 ]*,[-+xyz/0-9 ]*,[-+xyz/0-9 ,]*'?$")
_LONG = 300_000  # bytes; what was made longer is not made longer still
_BIG = 100 * 2**20  # bytes, of what a bomb unpacks to

Mutation = Callable[[bytes, Random], bytes]


def mutant(seed: int, number: int) -> Sample:
    """Mutant `number` of a seed."""
    chance = Random(f"{seed} {number}")
    sample = chance.choice(samples())
    if sample.name.endswith(".zip"):
        return Sample(sample.name, _zip(sample.data, chance), True)
    data = sample.data
    binary = sample.name.endswith((".parquet", ".db"))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        data = _mutated(sample.name, data, chance, binary)
    return _packed(Sample(sample.name, data, sample.dataset), chance)


def _mutated(name: str, data: bytes, chance: Random, binary: bool) -> bytes:
    if binary:
        return chance.choice((flip_bytes, flip_bytes, cut, zero, numbers_in_text))(data, chance)
    if len(data) > _LONG:
        return chance.choice((flip_bytes, cut, quotes, nested))(data, chance)
    if name.endswith(".json") and chance.random() < 0.6:
        return json_nodes(data, chance)
    return chance.choice(_TEXT)(data, chance)


def _packed(sample: Sample, chance: Random) -> Sample:
    """Compressed in some cases, and then perhaps damaged; or in another encoding; or under another name."""
    draw, name, data = chance.random(), sample.name, sample.data
    if draw < 0.08 and not sample.dataset or name.endswith((".csv", ".json", ".extxyz")) and draw < 0.08:
        data = gzip.compress(data, mtime=0)
        name, data = name + ".gz", chance.choice((data, flip_bytes(data, chance), cut(data, chance), data + data))
    elif draw < 0.09 and not sample.dataset:
        data = _bomb()
    elif draw < 0.10 and name.endswith((".csv", ".json", ".extxyz")):
        name, data = name + ".gz", _bomb()
    elif draw < 0.14 and not sample.dataset:
        encoding = chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "utf-8-sig"))
        data = data.decode("latin-1").encode(encoding)
    elif draw < 0.18 and not sample.dataset:
        name = chance.choice(
            ("", "x", "../../x.cif", "a\nb", "<b>.cif", "POSCAR", "x.xyz", "x.json", "x.cif", "\ud800")
        )
    return Sample(name, data, sample.dataset)


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(_BIG), mtime=0)


# --- bytes ------------------------------------------------------------------------------------------------------------


def flip_bytes(data: bytes, chance: Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 64)) if found else 0):
        found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found)


def zero(data: bytes, chance: Random) -> bytes:
    a, b = _span(data, chance)
    return data[:a] + bytes(b - a) + data[b:]


def cut(data: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def delete_span(data: bytes, chance: Random) -> bytes:
    a, b = _span(data, chance)
    return data[:a] + data[b:]


def repeat_span(data: bytes, chance: Random) -> bytes:
    a, b = _span(data, chance)
    return data[:b] + data[a:b] * chance.choice((1, 2, 100, 2000)) + data[b:]


def splice(data: bytes, chance: Random) -> bytes:
    """The beginning of one file and the end of another."""
    other = chance.choice([s for s in samples() if not s.dataset]).data
    return cut(data, chance) + other[chance.randrange(len(other)) :]


def _span(data: bytes, chance: Random) -> tuple[int, int]:
    a = chance.randrange(len(data) + 1)
    return a, min(len(data), a + chance.choice((1, 5, 50, 500)))


# --- lines and words --------------------------------------------------------------------------------------------------


def lines(data: bytes, chance: Random) -> bytes:
    """Lines left out, doubled, exchanged, joined, or repeated very often."""
    found = data.split(b"\n")
    a, b = chance.randrange(len(found)), chance.randrange(len(found))
    match chance.randrange(6):
        case 0:
            del found[a]
        case 1:
            found.insert(b, found[a])
        case 2:
            found[a], found[b] = found[b], found[a]
        case 3:
            del found[min(a, b) : max(a, b)]
        case 4:
            found[a : a + 2] = [b" ".join(found[a : a + 2])]
        case 5:
            found[a:a] = [found[a]] * chance.choice((30, 3000))
    return chance.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n")).join(found)


def words(data: bytes, chance: Random) -> bytes:
    return _replace(_WORD, data, _WORDS, chance)


def numbers(data: bytes, chance: Random) -> bytes:
    return _replace(_NUMBER, data, _NUMBERS, chance)


def numbers_in_text(data: bytes, chance: Random) -> bytes:
    """Of the same length, so that the offsets of a binary file hold."""
    found = list(re.finditer(rb"\d[\d.]{2,}", data))
    if not found:
        return flip_bytes(data, chance)
    match = chance.choice(found)
    size = match.end() - match.start()
    return (
        data[: match.start()]
        + chance.choice((b"9", b"1e", b"nan", b".", b"-")).ljust(size, b"9")[:size]
        + data[match.end() :]
    )


def operations(data: bytes, chance: Random) -> bytes:
    """Symmetry operations replaced, or very many of them added."""
    found = list(_OPERATION.finditer(data))
    if not found:
        return words(data, chance)
    match = chance.choice(found)
    if chance.random() < 0.3:
        many = "\n".join(f"x+{i}/24,y+{i // 24}/24,z+{i // 576}/24" for i in range(chance.choice((300, 5000))))
        return data[: match.end()] + b"\n" + many.encode() + data[match.end() :]
    return data[: match.start()] + _encoded(chance.choice(_OPERATIONS)) + data[match.end() :]


def quotes(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice((b"'", b'"', b"\n;", b";", b"\n;\n", b"{", b"\nloop_\n", b"\\")) + data[at:]


def long_line(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    letter = chance.choice((b"x", b"1", b" ", b"\n", b"\t", b"'", b",", b"_a ", b"1 ", b"(", b"loop_\n", b"data_x\n"))
    return data[:at] + letter * (chance.choice((10**3, 10**5, 10**6)) // len(letter)) + data[at:]


def nested(data: bytes, chance: Random) -> bytes:
    at = chance.choice((0, chance.randrange(len(data) + 1)))
    deep = chance.choice((b"[", b'{"a":', b'[{"sites":', b"[[],")) * chance.choice((100, 100_000))
    return data[:at] + deep + data[at:]


def _replace(pattern: re.Pattern, data: bytes, choices: tuple[str, ...], chance: Random) -> bytes:
    found = list(pattern.finditer(data))
    for match in sorted(chance.sample(found, min(len(found), chance.choice((1, 1, 2, 6)))), key=lambda m: -m.start()):
        data = data[: match.start()] + _encoded(chance.choice(choices)) + data[match.end() :]
    return data


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_TEXT: tuple[Mutation, ...] = (
    flip_bytes, cut, delete_span, repeat_span, splice, lines, lines, lines, words, words, words, numbers, numbers,
    numbers, operations, operations, quotes, quotes, long_line, nested,
)  # fmt: skip


# --- JSON -------------------------------------------------------------------------------------------------------------

_VALUES = (
    None, True, False, 0, -1, 1e300, float("nan"), float("inf"), -0.0, 10**400, 2**63, "", "x", "Fe", "\ud800", [], {},
    [[]], [{}], [1, 2], [1, 2, 3], [None] * 3, {"a": 1}, {"@module": "os", "@class": "system"}, "<script>", "1e5",
    [1e300] * 3, [[1, 0, 0]] * 3, [[0, 0, 0]] * 3, {"element": "Og", "occu": 1}, [{"element": "Fe", "occu": 10**400}],
)  # fmt: skip


def json_nodes(data: bytes, chance: Random) -> bytes:
    """Values of a JSON text replaced, left out, exchanged or repeated."""
    try:
        content = json.loads(data)
        for _ in range(chance.choice((1, 1, 2, 4))):
            content = _change(content, chance)
        return json.dumps(content).encode()
    except (ValueError, RecursionError):
        return flip_bytes(data, chance)


def _change(content: object, chance: Random) -> object:
    places = list(_places(content))
    if not places:
        return chance.choice(_VALUES)
    parent, key = chance.choice(places)
    match chance.randrange(5):
        case 0 | 1:
            parent[key] = chance.choice(_VALUES)
        case 2:
            del parent[key]
        case 3:
            other, at = chance.choice(places)
            parent[key] = json.loads(json.dumps(other[at]))
        case 4:
            if isinstance(parent, list):
                often = 3000 if len(json.dumps(parent[key])) < 300 else 3
                parent[key:key] = [parent[key]] * chance.choice((1, often))
            else:
                parent[key] = [parent[key]]
    return content


def _places(content: object):
    """(parent, key) of every value below the top."""
    waiting = [content]
    while waiting:
        parent = waiting.pop()
        items = parent.items() if isinstance(parent, dict) else enumerate(parent) if isinstance(parent, list) else ()
        for key, value in items:
            yield parent, key
            if isinstance(value, (dict, list)):
                waiting.append(value)


# --- ZIP archives -----------------------------------------------------------------------------------------------------

_NAMES = ("../x.cif", "../../x.cif", "/x.cif", "C:\\x.cif", "a/../../x.cif", "x.cif/", ".cif", "\n.cif", "a" * 300,
          "<b>.cif", "id_prop.csv", "x/id_prop.csv", "x.cif.gz", "é.cif", "x.mcif")  # fmt: skip


def _zip(data: bytes, chance: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    match chance.randrange(6):
        case 0:
            return chance.choice((flip_bytes, cut, zero, repeat_span))(data, chance)
        case 1 | 2:
            name = chance.choice(list(files))
            files[name] = chance.choice(_TEXT)(files[name], chance)
        case 3:
            files[chance.choice(_NAMES)] = files.pop(chance.choice(list(files)))
        case 4:
            files[chance.choice(("bomb.cif", "bomb.cif.gz", "x/a.cif"))] = chance.choice((bytes(_BIG), _bomb()))
        case 5:
            return _linked(files, chance)
    return zipped(files)


def _linked(files: dict[str, bytes], chance: Random) -> bytes:
    """With a symbolic link in it, and perhaps two files of one name, or one that says it is encrypted."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("link.cif")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, chance.choice(("/etc/passwd", "../../../x", "link.cif")))
        if chance.random() < 0.3:
            link.flag_bits |= 1
    return content.getvalue()
