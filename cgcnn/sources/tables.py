"""CSV and Parquet, scanned lazily."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from .source import (
    ARRAY_COLUMNS,
    CRYSTAL_COLUMNS,
    ID_COLUMNS,
    MOST_COLUMNS,
    TEXT_COLUMNS,
    DatasetError,
    Source,
    rebatched,
    too_many_columns,
)
from .unpacking import MOST_TIMES, check_ratio, check_unpacks, open_text

_LONGEST_HEADER = 1_000_000  # characters
_MOST_VALUES = 10_000_000  # of one column and part of a Parquet file, whatever its size


class TableSource(Source):
    """A CSV (also .gz) or Parquet file; the columns of a CSV are text until they are used."""

    def __init__(self, path: Path):
        self.path = path
        self._csv = path.suffix != ".parquet"
        self.seekable = not self._csv
        if path.suffix.lower() == ".gz":
            check_unpacks(path)
        if self._csv:
            _check_header(path)
        else:
            _check_parquet(path)
        try:
            self._table = (
                # All text: a value of the wrong type must not stop the rest.
                pl.scan_csv(path, infer_schema=False, truncate_ragged_lines=True, glob=False, encoding="utf8-lossy")
                if self._csv
                else pl.scan_parquet(path, glob=False)
            )
            schema = self._table.collect_schema()
            if len(schema) > MOST_COLUMNS:
                raise too_many_columns(path.name)
            self._crystal = _crystal_columns(tuple(schema), path.name)
            self.columns = tuple(name for name in schema if name not in CRYSTAL_COLUMNS)
            values = [name for name in self.columns if name not in ID_COLUMNS]
            if self._csv:
                self.rows, self.numeric, self._some_numbers = self._scan(values)
            else:
                self.rows = self._table.select(pl.len()).collect().item()
                self.numeric = self._some_numbers = tuple(name for name in values if schema[name].is_numeric())
        except pl.exceptions.NoDataError:
            raise DatasetError(f"{path.name} is empty; it should hold one crystal a row") from None
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DatasetError(f"{path.name} cannot be read as a table: {_first_line(error)}") from error

    def _scan(self, values: list[str]) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
        numbers = [_number(name).is_finite().sum().alias(f"numbers {name}") for name in values]
        given = [pl.col(name).is_not_null().sum().alias(f"given {name}") for name in values]
        counts = self._table.select(pl.len().alias("rows"), *numbers, *given).collect(engine="streaming").row(0)
        numbers, given = counts[1 : 1 + len(values)], counts[1 + len(values) :]
        some = tuple(name for name, n in zip(values, numbers, strict=True) if n)
        # A formula column may hold "NaN", sodium nitride.
        every = tuple(name for name, n, g in zip(values, numbers, given, strict=True) if n and n == g)
        return counts[0], every, some

    def has_numbers(self, column: str) -> bool:
        return column in self._some_numbers

    def chunks(self, size: int, start: int = 0, crystals: bool = True) -> Iterator[pl.DataFrame]:
        columns = [*self.columns, *(self._crystal if crystals else ())]
        table = self._table.slice(start).select(columns or self._crystal)
        rows = 0
        try:
            for frame in rebatched(table.collect_batches(chunk_size=size, maintain_order=True), size):
                rows += len(frame)
                yield frame if columns else _without_names(len(frame))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DatasetError(f"{self.name} is damaged: {_first_line(error)}") from error
        if rows < self.rows - start:  # polars ends without an error where a part of it panicked
            raise DatasetError(f"{self.name} is damaged: only {start + rows} of {self.rows} rows can be read")


def _check_header(path: Path) -> None:
    """Raise DatasetError for a file whose first line has no end, and which is therefore no table."""
    with open_text(path) as file:
        if len(file.readline(_LONGEST_HEADER + 1)) > _LONGEST_HEADER:
            raise DatasetError(
                f"the first line of {path.name} is longer than {_LONGEST_HEADER} characters, which is the limit; it "
                "should hold the names of the columns"
            )


def _check_parquet(path: Path) -> None:
    """Raise DatasetError for a Parquet file that is damaged, or a bomb: repeated values take next to no room in it."""
    import pyarrow.parquet  # imported late: most users bring other formats

    size = path.stat().st_size
    try:
        about = pyarrow.parquet.read_metadata(path)
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        columns = [group.column(i) for group in groups for i in range(about.num_columns)]
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DatasetError(f"{path.name} cannot be read as a table: {_first_line(error)}") from None
    check_ratio(path.name, size, sum(max(0, column.total_uncompressed_size) for column in columns))
    most = max([about.num_rows, *(column.num_values for column in columns)])
    if most > _MOST_VALUES + MOST_TIMES * size:
        raise DatasetError(
            f"{path.name} says that it holds {most} values in {size} bytes, more than {MOST_TIMES} for each, which is "
            "the limit; write it again"
        )


def _without_names(rows: int) -> pl.DataFrame:
    """Rows of a table that has the crystals and no other column."""
    return pl.DataFrame({"material_id": pl.Series([None] * rows, dtype=pl.String)})


def _number(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)


def _crystal_columns(columns: tuple[str, ...], name: str) -> tuple[str, ...]:
    for column in TEXT_COLUMNS:
        if column in columns:
            return (column,)
    if set(ARRAY_COLUMNS) <= set(columns):
        return ARRAY_COLUMNS
    raise DatasetError(
        f"{name} has no column 'cif', nor 'lattice', 'atomic_numbers' and 'frac_coords'; "
        f"its columns are {', '.join(columns[:20])}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
