"""Data sets: a table with a crystal, a target and a split in every row -> packed crystal graphs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import polars as pl

from .cache import cache_folder
from .cell import CLOSEST, Cell, StructureError, shortened
from .files import forgiven, written_whole
from .graph import CrystalGraph, GraphSettings, PackedGraphs, build_graph
from .perovskite import ROLES, site_roles
from .sources import DatasetError, Source, open_source, read_cells, row_names

if TYPE_CHECKING:
    from .structures import Crystal

# Part of the cache's key: to be raised when what is cached for the same file changes.
_CACHE_VERSION = 3
_ROWS_AT_ONCE = 1024
_HOPELESS = 20_000  # unreadable rows in front of the first readable one, after which reading ends
_CODE = {None: -1, **{role: i for i, role in enumerate(ROLES)}}


@dataclass(frozen=True)
class Dataset:
    """C readable crystals of a table, in its order.

    ids: (C,) names; targets: (C,) float64 in the unit of the data, nan where a row has none
    split: (C,) "train", "val", "test", or "" where the table has no such column
    graphs: C crystal graphs; roles: (sum of sites,) index into `perovskite.ROLES`, -1 for none
    volume: (C,) of the cells, cubic angstrom
    unreadable: (name, reason) of the rows left out
    """

    name: str
    target: str
    ids: np.ndarray
    targets: np.ndarray
    split: np.ndarray
    graphs: PackedGraphs
    roles: np.ndarray
    volume: np.ndarray
    unreadable: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, split: str) -> np.ndarray:
        """Indices of the crystals of a split that have a target; "all" for every such crystal.

        Raises DatasetError if there are none.
        """
        chosen = np.isfinite(self.targets)
        if split != "all":
            chosen &= self.split == split
        if not chosen.any():
            here = ", ".join(sorted(set(self.split.tolist()) - {""})) or "none"
            raise DatasetError(
                f"no crystal of {self.name} with a number in {self.target!r} is in split {split!r}; "
                f"its splits are: {here}"
            )
        return np.flatnonzero(chosen)


def load_dataset(
    path: str | Path,
    target: str | None = None,
    settings: GraphSettings = GraphSettings(),
    prefer: str | None = None,
    *,
    needs_target: bool = True,
) -> Dataset:
    """Read a data set in any format of `sources.open_source`; a column `split` is used where there is one.

    target: name of the column with the target; may be left out if `prefer` is one, or only one column can be it
    needs_target: False where nothing is compared with it; without a target its name is "" and all are nan
    Rows that cannot be read are left out and listed. Graphs are built once and cached by the file's content.
    Raises DatasetError.
    """
    source = open_source(path)
    target = find_target(source, target, prefer, needs_target)
    built = _cached_graphs(source, settings)
    if not len(built.graphs):
        raise DatasetError(_nothing_read(source, built.unreadable, len(built.unreadable)))
    ids, targets, split = [], [], []
    for chunk in source.chunks(_ROWS_AT_ONCE, crystals=False):
        ids += row_names(chunk, len(ids))
        targets.append(column_numbers(chunk, target))
        split += column_splits(chunk)
    return Dataset(
        name=source.name,
        target=target or "",
        ids=np.array(ids)[built.kept],
        targets=np.concatenate(targets)[built.kept],
        split=np.array(split)[built.kept],
        graphs=built.graphs,
        roles=built.roles,
        volume=built.volume,
        unreadable=built.unreadable,
    )


def _nothing_read(source: Source, unreadable: list[tuple[str, str]], rows: int) -> str:
    example = f"; the first: {unreadable[0][1]}" if unreadable else ""
    return f"no crystal in {shortened(source.name)} could be read ({rows} rows{example})"


def split_by_formula(data: Dataset, val: float = 0.2) -> Dataset:
    """The data set with "train" and "val" assigned; all crystals of a reduced formula are on one side.

    The side follows from the formula alone, so it is the same on every machine and for every order of the rows.
    """
    split = []
    for crystal in range(len(data)):
        elements, counts = np.unique(data.graphs.numbers_of(crystal), return_counts=True)
        formula = np.stack([elements, counts // np.gcd.reduce(counts)])
        digest = hashlib.sha256(formula.astype("<i8").tobytes()).digest()
        split.append("val" if int.from_bytes(digest[:8], "little") < val * 2**64 else "train")
    return replace(data, split=np.array(split))


def with_more_to_train(data: Dataset, more: Dataset) -> Dataset:
    """Both data sets as one; of the second only the split `train` has a split."""
    arrays = [d.graphs.arrays() for d in (data, more)]
    return Dataset(
        name=f"{data.name} and {more.name}",
        target=data.target,
        ids=np.concatenate([data.ids, more.ids]),
        targets=np.concatenate([data.targets, more.targets]),
        split=np.concatenate([data.split, np.where(more.split == "train", "train", "")]),
        graphs=PackedGraphs.from_arrays({name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]}),
        roles=np.concatenate([data.roles, more.roles]),
        volume=np.concatenate([data.volume, more.volume]),
        unreadable=data.unreadable + more.unreadable,
    )


def find_target(
    source: Source, target: str | None = None, prefer: str | None = None, needed: bool = True
) -> str | None:
    """Column of the target: the one asked for, else `prefer`, else the only one with numbers.

    needed: False to get None where this leaves it open, instead of a DatasetError
    """
    if target is None and prefer is not None and source.has_numbers(prefer):
        return prefer
    choice = ", ".join(source.numeric) or "none"
    if target is None and len(source.numeric) == 1:
        return source.numeric[0]
    if target is None:
        if not needed:
            return None
        raise DatasetError(f"the target of {source.name} is not clear; name a column with --target: {choice}")
    if not source.has_numbers(target):
        raise DatasetError(f"{source.name} has no column {target!r} with numbers; it has {choice}")
    return target


def read_crystal(path: str | Path, row: int, fingerprint: str | None = None) -> Crystal:
    """One crystal of a data set again, for a closer look.

    row: counted from 0, as in the tables that `score` writes; fingerprint: of the data set when these were written
    Raises DatasetError where the file is gone, has changed, or gives no crystal there.
    """
    from .structures import Crystal, cell_to_structure  # imported late: they need pymatgen

    if not Path(path).exists():
        raise DatasetError(f"the data are no longer at {path}; put them back there, or score them where they are now")
    source = open_source(path)
    if fingerprint is not None and source.fingerprint() != fingerprint:
        raise DatasetError(f"{source.name} has changed since it was scored; score it again")
    chunk = next(source.chunks(1, row), None)
    if chunk is None or not len(chunk):
        raise DatasetError(f"{source.name} has no row {row + 1}; it has {source.rows}")
    (found,) = read_cells(chunk)
    (name,) = row_names(chunk, row)
    if isinstance(found, StructureError):
        raise DatasetError(f"{name} of {source.name} gives no crystal: {found}")
    return Crystal(f"{name} of {source.name}", cell_to_structure(Cell(*found, labels=())))


def column_numbers(chunk: pl.DataFrame, column: str | None) -> np.ndarray:
    """A column of a chunk as float64, nan where there is no number; (rows,)."""
    if column not in chunk.columns:
        return np.full(len(chunk), np.nan)
    values = chunk[column]
    if values.dtype == pl.String:
        values = values.str.strip_chars()
    return values.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()


def column_splits(chunk: pl.DataFrame) -> list[str]:
    """The split of every row of a chunk, "" where there is none."""
    if "split" not in chunk.columns:
        return [""] * len(chunk)
    return chunk["split"].cast(pl.String).fill_null("").to_list()


@dataclass(frozen=True)
class Built:
    """What was read of some rows.

    graphs: of C crystals; roles: (sum of sites,) int8, index into `perovskite.ROLES`, -1 for none
    volume: (C,) of the cells, cubic angstrom
    kept: (C,) int64, their rows; unreadable: (name, reason) of the others
    """

    graphs: PackedGraphs
    roles: np.ndarray
    volume: np.ndarray
    kept: np.ndarray
    unreadable: list[tuple[str, str]]


def build_rows(chunk: pl.DataFrame, settings: GraphSettings, start: int = 0, max_sites: int | None = None) -> Built:
    """Graphs and roles of the rows of a chunk; `kept` counts from the chunk's first row.

    start: place of that row in the data set, for the names of rows without an id
    """
    graphs: list[CrystalGraph] = []
    roles: list[list[int]] = []
    volume: list[float] = []
    kept: list[int] = []
    unreadable: list[tuple[str, str]] = []
    names = row_names(chunk, start)
    for row, crystal in enumerate(read_cells(chunk, max_sites)):
        try:
            if isinstance(crystal, StructureError):
                raise crystal
            graph = build_graph(*crystal, settings)
            _check_distances(graph, crystal)
            role = [_CODE[r] for r in site_roles(*crystal)]
        except ValueError as error:
            unreadable.append((names[row], str(error)))
            continue
        except Exception as error:  # whatever is wrong with one row must not stop the rest
            unreadable.append((names[row], f"the crystal cannot be used: {type(error).__name__}: {error}"))
            continue
        graphs.append(graph)
        roles.append(role)
        volume.append(abs(np.linalg.det(np.reshape(crystal[0], (3, 3)))))
        kept.append(row)
    roles = np.concatenate(roles or [np.empty(0)]).astype(np.int8)
    return Built(PackedGraphs.from_graphs(graphs), roles, np.array(volume), np.array(kept, dtype=np.int64), unreadable)


def _check_distances(graph: CrystalGraph, crystal) -> None:
    """Raise StructureError where two atoms lie on top of each other."""
    if len(graph.distance) and graph.distance.min() < CLOSEST:
        from .structures import check_cell  # knows the sentence; imported late: it needs pymatgen

        check_cell(Cell(*crystal, labels=()))


def _joined(parts: Sequence[Built], starts: Sequence[int]) -> Built:
    arrays = [part.graphs.arrays() for part in parts] or [PackedGraphs.from_graphs([]).arrays()]
    return Built(
        PackedGraphs.from_arrays({name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]}),
        np.concatenate([part.roles for part in parts] or [np.empty(0, dtype=np.int8)]),
        np.concatenate([part.volume for part in parts] or [np.empty(0)]),
        np.concatenate([part.kept + s for part, s in zip(parts, starts, strict=True)] or [np.empty(0, dtype=np.int64)]),
        [entry for part in parts for entry in part.unreadable],
    )


def _cached_graphs(source: Source, settings: GraphSettings) -> Built:
    key = hashlib.sha256(json.dumps([_CACHE_VERSION, source.fingerprint(), settings.asdict()]).encode())
    file = cache_folder() / f"graphs-{key.hexdigest()[:24]}.npz"
    try:
        with np.load(file, allow_pickle=False) as stored:
            unreadable = [tuple(entry) for entry in json.loads(str(stored["unreadable"]))]
            return Built(
                PackedGraphs.from_arrays(stored), stored["roles"], stored["volume"], stored["kept"], unreadable
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # not there, or damaged
    parts, starts, start = [], [], 0
    for chunk in source.chunks(_ROWS_AT_ONCE):
        parts.append(build_rows(chunk, settings, start))
        if start > _HOPELESS and not any(len(part.kept) for part in parts):
            raise DatasetError(_nothing_read(source, parts[0].unreadable, start + len(chunk)))
        starts.append(start)
        start += len(chunk)
    built = _joined(parts, starts)
    arrays = {"roles": built.roles, "volume": built.volume, "kept": built.kept}
    with forgiven(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as opened:
            np.savez(opened, **built.graphs.arrays(), **arrays, unreadable=json.dumps(built.unreadable))
    return built
