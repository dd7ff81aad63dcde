"""The tables that `score` writes: their columns, and how they are read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

SITE_SCHEMA = {
    "row": pl.Int64,
    "material_id": pl.String,
    "site": pl.Int32,
    "element": pl.String,
    "role": pl.String,
    "coordination": pl.Int32,
    "nearest_anion": pl.String,
    "contribution": pl.Float32,
    "relative": pl.Float32,
    "sd": pl.Float32,
}
CRYSTAL_SCHEMA = {
    "row": pl.Int64,
    "material_id": pl.String,
    "formula": pl.String,
    "elements": pl.List(pl.String),
    "n_sites": pl.Int32,
    "perovskite": pl.Boolean,
    "energy": pl.Float64,
    "sd": pl.Float64,
}
VERSION = 3  # of the tables


class ScoringError(ValueError):
    """A folder of scores that cannot be written to or read; the message says why and what to do."""


@dataclass(frozen=True)
class Scores:
    """What `score` wrote.

    sites: one row a site, columns of `site_schema`
        row: of the crystal in the data set, counted from 0, which joins the two tables; material_id: its name there
        site: counted from 0; element: symbol; role: A, B or X of a perovskite, else null
        coordination, nearest_anion: see `coordination`; the anion is null where the site is no cation
        contribution: eV per site, raw, mean over the members; relative: to the reference of `contributions.references`
        sd: of `relative` over the members, null for a model of one
        contribution_1, relative_1 and so on: of each member, unless it is the only one; see `member_columns`
    crystals: one row a crystal, columns of `CRYSTAL_SCHEMA`, the target under its own name, and `split`
        formula: reduced, of a perovskite in the order A, B, X; elements: symbols; n_sites; perovskite: sites have roles
        energy: prediction, eV/atom; sd: its error bar, see `Model.energy_sd`, null for a model of one
    about: content of `score.json`; "target column" names the column of the target in `crystals`, None without one;
        "path": where the data set was; "contents": of a complete folder, see `contents`
    """

    folder: Path
    sites: pl.LazyFrame
    crystals: pl.LazyFrame
    about: dict

    @property
    def target(self) -> str | None:
        """Column of the target in `crystals`, None for a data set without one."""
        return self.about["target column"]

    @property
    def key(self) -> str:
        """Changes with everything that the tables depend on: data, model, reference, and how far a run has come."""
        parts = [str(self.folder.resolve()), len(chunks_done(self.folder)), self.about]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def load_scores(folder: str | Path) -> Scores:
    """The tables of a folder that `score` wrote, lazily; of an unfinished one the chunks that are done.

    Raises ScoringError.
    """
    folder = Path(folder)
    about = read_about(folder)
    if about is None:
        raise ScoringError(f"{folder} is no folder that `score` wrote; give the one named with --out")
    if about.get("version") != VERSION:
        raise ScoringError(f"{folder} was written by another version of this software; score the data set again")
    done = sorted(chunks_done(folder))

    def table(name: str, schema: dict) -> pl.LazyFrame:
        files = [folder / name / file_name(k) for k in done]
        return pl.scan_parquet(files, schema=schema) if files else pl.LazyFrame(schema=schema)

    sites = table("sites", site_schema(about["members"]))
    return Scores(folder, sites, table("crystals", crystal_schema(about["target column"], about["split"])), about)


def contents(scores: Scores) -> dict:
    """What a data set holds, as JSON can keep it.

    elements: symbols; nearest anions: symbols, the most frequent first; components: numbers of elements in a crystal
    energies: lowest and highest, eV/atom, None without a crystal; perovskites, others: crystals with and without roles
    """
    found = scores.sites.group_by("element", "nearest_anion").len().collect(engine="streaming")
    anions = found.drop_nulls("nearest_anion").group_by("nearest_anion").agg(pl.col("len").sum())
    energy = pl.col("energy")
    kinds = scores.crystals.group_by("perovskite", components=pl.col("elements").list.len())
    kinds = kinds.agg(pl.len(), energy.min().alias("low"), energy.max().alias("high")).collect(engine="streaming")
    return {
        "elements": sorted(found["element"].unique()),
        "nearest anions": anions.sort("len", "nearest_anion", descending=True)["nearest_anion"].to_list(),
        "components": sorted(kinds["components"].unique()),
        "energies": [kinds["low"].min(), kinds["high"].max()],
        "perovskites": kinds.filter("perovskite")["len"].sum(),
        "others": kinds.filter(~pl.col("perovskite"))["len"].sum(),
    }


def member_columns(column: str, members: int) -> list[str]:
    """Names of the columns of the site table with "contribution" or "relative" by each member; none for a model of one.

    Columns, not a list in one: these are read faster, and every mean of a whole data set reads them.
    """
    return [f"{column}_{member}" for member in range(1, members + 1)] if members > 1 else []


def site_schema(members: int) -> dict:
    """Columns of the site table of a model with so many members."""
    each = [name for column in ("contribution", "relative") for name in member_columns(column, members)]
    return SITE_SCHEMA | dict.fromkeys(each, pl.Float32)


def crystal_schema(target_column: str | None, split: bool) -> dict:
    schema = dict(CRYSTAL_SCHEMA)
    if target_column:
        schema[target_column] = pl.Float64
    if split:
        schema["split"] = pl.String
    return schema


def file_name(chunk: int) -> str:
    return f"{chunk:06d}.parquet"


def chunks_done(out: Path) -> set[int]:
    files = [{int(f.stem) for f in (out / table).glob("[0-9]*.parquet")} for table in ("sites", "crystals")]
    return files[0] & files[1]


def read_about(out: Path) -> dict | None:
    file = out / "score.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ScoringError(f"{file} cannot be read ({error}); score into a new folder") from error
    if not isinstance(about, dict):
        raise ScoringError(f"{file} is not what `score` writes; score into a new folder")
    return about
