"""A file -> the entry points of the app and the commands, and what is wrong with what they answer."""

from __future__ import annotations

import traceback
import unicodedata
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cgcnn.contributions import explain
from cgcnn.datasets import DatasetError, build_rows, find_target
from cgcnn.display import contribution_view
from cgcnn.export import to_csv, to_extxyz, to_pymatgen_json
from cgcnn.graph import GraphSettings
from cgcnn.model import Model, bundled, load_model
from cgcnn.sources import open_source, row_names
from cgcnn.structures import Crystal, read_crystals

from .samples import TRACE, Sample

_LONGEST = 400  # characters of a sentence
_MAX_SITES = 1000  # of a crystal of a data set, as `score` has it


def problems(sample: Sample, further: bool) -> list[str]:
    """What is wrong with the answer to a file: an exception, or an answer that is no sentence; mostly nothing.

    further: explain and export what could be read, too
    """
    found: list[str] = []
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = _read_dataset if sample.dataset else _read_crystals
            answers = read(sample, Path(folder), further)
            found += [f"no sentence, {what}: {text!r:.300}" for text in answers if (what := not_a_sentence(text))]
        except Exception:
            found.append(f"exception: {traceback.format_exc(limit=-8)}")
        if len(list(Path(folder).iterdir())) > sample.dataset:
            found.append("a file was written beside the data set")
    if Path(TRACE).exists():
        Path(TRACE).unlink()
        found.append("code in the file was executed")
    return found


def not_a_sentence(text: str) -> str:
    """Why a text is no single sentence for a person; empty for one that is."""
    if not text.strip():
        return "empty"
    if len(text) > _LONGEST:
        return f"{len(text)} characters"
    if "Traceback" in text or "the crystal cannot be used" in text:
        return "an exception nobody foresaw"
    odd = next((letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs", "Cf", "Zl", "Zp")), "")
    return f"holds {odd!r}" if odd else ""


def _read_crystals(sample: Sample, folder: Path, further: bool) -> list[str]:
    found = read_crystals(sample.name, sample.data)
    answers = [] if found else [""]
    crystals = [item for item in found if isinstance(item, Crystal)]
    for item in found:
        answers += [item.source, *item.notes] if isinstance(item, Crystal) else [item.source, item.reason]
    if crystals and further:
        for result in explain(_model(), [item.structure for item in crystals[:2]]):
            to_csv(result.facts, result), to_extxyz(result.facts, result), to_pymatgen_json(result.facts, result)
            contribution_view(result, result.facts, 1.0, polyhedra=True)._make_html()
            answers += [result.doubt or "-", result.reference_note, *result.facts.notes]
    return answers


def _read_dataset(sample: Sample, folder: Path, further: bool) -> list[str]:
    path = folder / sample.name
    path.write_bytes(sample.data)
    answers, start = [], 0
    try:
        source = open_source(path)
        source.fingerprint()
        find_target(source, needed=False)
        named = sum(len(row_names(chunk)) for chunk in source.chunks(256, crystals=False))
        for chunk in source.chunks(256):
            built = build_rows(chunk, GraphSettings(), start, _MAX_SITES if further else None)
            answers += [reason for _, reason in built.unreadable]
            start += len(chunk)
        if not start == named == source.rows:
            raise ValueError(f"{source.rows} rows, {start} crystals, {named} names")
    except DatasetError as error:
        answers.append(str(error))
    return answers


@cache
def _model() -> Model:
    return load_model(next(card.name for card in bundled() if card.head == "linear"))
