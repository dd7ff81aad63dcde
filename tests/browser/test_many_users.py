"""A few users at once for a few seconds: `benchmarks.users`, which drives thirty for minutes, in short."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks.session import Session
from benchmarks.users import A, B, drive, shown, text_of, uploads
from docs.screenshots import app_process


def run(coroutine):
    """In a thread of its own, since Playwright's event loop is at work in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("users")
    log = folder / "terminal.txt"
    with app_process(log, CGCNN_CACHE=str(folder / "cache")) as (url, server):
        run(first_visit(url))
        yield url, server.pid
    told = log.read_text()
    assert "Traceback" not in told and "failed: " not in told, told


async def first_visit(url: str) -> None:
    """Imports and models are there afterwards."""
    tab = Session(url)
    await tab.open()
    await tab.close()


def test_nobody_sees_anothers_crystal(app, monkeypatch):
    """Each of five is shown its own formula and energy, and no message to it holds the name of another's file."""
    monkeypatch.setattr("benchmarks.users.PAGES", ("models",))  # the others score the perovskite space first
    url, pid = app
    report = run(drive(url, pid, sessions=5, seconds=12, think=0.5))
    assert not report.errors and not report.strangers
    assert report.checked >= len(report.times["upload"]) >= 5 and len(report.times) > 2
    assert "errors: 0" in (text := text_of(report, 5, 12, 0.5)) and "memory of the server, MB" in text
    memory = np.array(report.memory)[:, 1]
    assert memory.max() < 2500  # MB


def test_the_check_would_see_a_strangers_crystal(app):
    """A user who uploads another's file is found out, by formula, energy and the name of the file."""
    mine, other = uploads(2)
    assert mine.formula != other.formula and mine.energy != other.energy

    async def wrong():
        tab = Session(app[0])
        await tab.open()
        answer = await tab.upload("upload", other.files)
        await tab.close()
        return answer

    answer = run(wrong())
    assert not answer.errors and answer.holds(other.name) and not answer.holds(mine.name)
    assert shown(answer) == (other.formula, other.energy["linear"])


def test_every_user_has_a_crystal_of_its_own():
    every = uploads(30)
    assert len({u.formula for u in every}) == len({u.name for u in every}) == 30
    with pytest.raises(ValueError, match="more than the"):
        uploads(len(A) * len(B) + 1)


def test_an_upload_goes_to_nobody_else(app):
    """Its address is that of the session; another tab cannot put a file there without the token of its browser."""
    import urllib.error

    (mine,) = uploads(1)

    async def stolen():
        tab = Session(app[0])
        await tab.open()
        tab._token = "wrong"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            await tab.upload("upload", mine.files)
        await tab.close()

    run(stolen())
