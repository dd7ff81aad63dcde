"""The JSON of matbench and matminer: a table of pandas with structures as pymatgen writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..cell import is_number
from .source import ID_COLUMNS, DatasetError, RowSource
from .unpacking import open_text

_BLOCK = 2**20
_LONGEST = 2**23  # of one value, characters; as Python's objects they take up to twenty times the memory
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonSource(RowSource):
    """{"index", "columns", "data"} or a list of records, also .gz; the structures are in the column `structure`.

    The file is read value by value. Structures stay JSON until they are rebuilt from lattice, species and
    coordinates: pymatgen's own decoder imports any module that a file names.
    """

    crystal_columns = ("structure",)

    def __init__(self, path: Path):
        self._columns: list[str] | None = None
        self._index: list | None = None
        super().__init__(path)
        if not self.rows:
            raise DatasetError(f"{path.name} holds no rows of a table; bring the JSON of matbench or matminer")

    def _scan(self) -> None:
        with open_text(self.path) as file:
            stream = JsonStream(file, self.name)
            if stream.peek() == "{":
                for key in stream.entries():
                    if key in ("columns", "index") and stream.peek() == "[":
                        setattr(self, f"_{key}", list(map(str, stream.items())))
                    else:
                        stream.skip()
                if self._columns is None:
                    raise DatasetError(
                        f'{self.name} has no "columns"; bring a table as matbench or matminer writes it '
                        '({"index", "columns", "data"}), or a list of records'
                    )
        super()._scan()

    def read(self, crystals: bool) -> Iterator[tuple[dict, dict]]:
        for number, record in enumerate(self._rows()):
            yield self._row(record, number, crystals)

    def _row(self, record: object, number: int, crystals: bool) -> tuple[dict, dict]:
        if self._columns is not None:
            record = dict(zip(self._columns, record, strict=False)) if isinstance(record, list) else {}
        if not isinstance(record, dict):
            return {}, {"problem": "this entry is no record with a structure"}
        if "sites" in record:
            structure, values = record, {}
        else:
            structure = record.get("structure")
            values = {k: v for k, v in record.items() if is_number(v) or isinstance(v, str)}
        if self._index and number < len(self._index) and not values.keys() & set(ID_COLUMNS):
            values["material_id"] = self._index[number]
        if structure is None:
            return values, {"problem": "this row has no structure"}
        try:
            return values, {"structure": json.dumps(structure)} if crystals else {}
        except RecursionError:
            return values, {"problem": "the structure is nested too deeply; export it again"}

    def _rows(self) -> Iterator[object]:
        with open_text(self.path) as file:
            stream = JsonStream(file, self.name)
            if stream.peek() == "[":
                yield from stream.items()
                return
            for key in stream.entries():
                if key == "data" and stream.peek() == "[":
                    yield from stream.items()
                else:
                    stream.skip()


class JsonStream:
    """The values of a JSON text one at a time, so that only one of them is in memory."""

    def __init__(self, file, name: str):
        self._file, self._name = file, name
        self._text, self._at, self._end = "", 0, False
        self._decoder = json.JSONDecoder()

    def _more(self) -> None:
        waiting = len(self._text) - self._at
        # doubles, so a long value costs no squares
        block = self._file.read(min(max(_BLOCK, waiting), max(1, _LONGEST + 1 - waiting)))
        self._end = not block
        self._text = self._text[self._at :] + block
        self._at = 0

    def peek(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._end:
                return ""
            self._more()

    def _take(self, wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            raise DatasetError(
                f"{self._name} is damaged: '{found or 'the end of the file'}' where '{wanted[0]}' should be"
            )
        self._at += 1
        return found

    def value(self) -> object:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _LONGEST:
                    raise DatasetError(
                        f"{self._name} holds a value of over {_LONGEST} characters, which is the limit; split it, "
                        "or download it again if it is damaged"
                    ) from None
                if self._end:
                    raise DatasetError(f"{self._name} is damaged or cut short: {error}; download it again") from None
            except RecursionError:
                raise DatasetError(
                    f"{self._name} is nested deeper than the limit of some 1000 levels; export it again"
                ) from None
            except ValueError:  # Python reads no longer numbers
                raise DatasetError(
                    f"{self._name} holds a number of over 4300 digits, which is the limit; export it again"
                ) from None
            else:
                if end < len(self._text) or self._end:  # a number may go on in the next block
                    self._at = end
                    return value
            self._more()

    def skip(self) -> None:
        """Leave out the next value, a long list element by element."""
        if self.peek() == "[":
            for _ in self.items():
                pass
        else:
            self.value()

    def items(self) -> Iterator[object]:
        """The elements of a list."""
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._take(",]") == "]":
                return

    def entries(self) -> Iterator[str]:
        """The keys of an object; the value behind each has to be taken before the next."""
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise DatasetError(f"{self._name} is damaged: the name of an entry is no text; download it again")
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return
