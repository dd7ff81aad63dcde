"""Many users at once: errors, times, memory, and that nobody ever sees another's crystal.

    python -m benchmarks.users --sessions 30 --minutes 5

Starts the app with a cache of its own and drives it with as many tabs, each a websocket client that speaks Streamlit's
protocol. Every tab uploads a crystal of its own, switches the pooling head, opens tabs and pages, and comes back. The
energy that it is shown must be that of its crystal by its head, as worked out here beforehand, and no message to it may
hold the name of another's file. With --browsers, Chromium watches as well. Exits with 1 where anything went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from cgcnn.contributions import explain
from cgcnn.model import load_model
from cgcnn.plots import signed
from docs.screenshots import SOFTWARE_WEBGL, app_process, chromium_program

from .run import processor
from .session import Answer, Session

HEADS = ("linear", "gated")
PANELS = ("Swap an atom", "Both heads side by side", "Bonds", "Export")
SUPERCELLS = ("1×1×1", "2×2×1", "2×2×2")
PAGES = ("elements", "perovskites", "models")
LONGEST = 2.0  # seconds, asked of 95 % of all reruns
A, B = ("K", "Rb", "Ca", "Sr", "Ba", "La", "Pb", "Y", "Na"), ("Ti", "Zr", "Hf", "Nb", "Ta", "Sn", "Ge", "V", "Fe")


@dataclass(frozen=True)
class Upload:
    """A crystal of one user. energy: by head, as the page writes it

    name: of its file, which no other user's has. The page holds it only where it lists several, so the file is dropped
    with a copy of itself.
    """

    name: str
    text: bytes
    formula: str
    energy: dict[str, str]

    @property
    def files(self) -> list[tuple[str, bytes]]:
        return [(self.name, self.text), (f"copy-of-{self.name}", self.text)]


def uploads(n: int) -> list[Upload]:
    """As many cubic perovskites, no two of one formula."""
    from pymatgen.core import Lattice, Structure

    pairs = list(product(A, B))[:: max(1, len(A) * len(B) // n)][:n]
    if len(pairs) < n:
        raise ValueError(f"{n} sessions are more than the {len(A) * len(B)} crystals there are for them")
    cells = [
        Structure(
            Lattice.cubic(3.9 + 0.005 * i), [a, b, "O", "O", "O"],
            [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        )
        for i, (a, b) in enumerate(pairs)
    ]  # fmt: skip
    energy = {
        head: [signed(found.energy) for found in explain(load_model(f"perovskite-{head}"), cells)] for head in HEADS
    }
    rng = random.Random(n)
    return [
        Upload(
            f"user-{i}-{rng.getrandbits(64):016x}.cif", cell.to(fmt="cif").encode(), f"{a}{b}O3",
            {head: energy[head][i] for head in HEADS},
        )
        for i, ((a, b), cell) in enumerate(zip(pairs, cells, strict=True))
    ]  # fmt: skip


@dataclass
class Report:
    """times: seconds of reruns by what was done; errors, strangers: sentences; memory: (seconds, MB) of the server"""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    checked: int = 0
    processor: float = 0.0  # seconds, of the server
    size: int = 0

    @property
    def every(self) -> np.ndarray:
        return np.array([seconds for times in self.times.values() for seconds in times])


def shown(answer: Answer) -> tuple[str, str]:
    """Formula and energy in the headline of the Crystal page."""
    line = next((text for text in answer.texts if "cg-line" in text), "")
    bold = [re.sub(r"<[^>]+>", "", part) for part in re.findall(r"<b>(.*?)</b>", line)]
    return (bold[0], bold[1].split()[0]) if len(bold) > 1 else ("", "")


async def user(
    url: str, mine: Upload, others: Sequence[str], end: float, think: float, report: Report, seed: int, late: float
):
    """One tab until the end. others: names of the files of the others; late: seconds until it is opened"""
    rng = random.Random(seed)
    tab, head, uploaded = Session(url), "linear", False
    await asyncio.sleep(late)

    async def done(what: str, asked) -> Answer:
        try:
            answer = await asked
        except Exception as error:
            report.errors.append(f"{mine.name}, {what}: {type(error).__name__}: {error}")
            raise
        report.times[what].append(answer.seconds)
        report.size += answer.size
        report.errors += [f"{mine.name}, {what}: {error}" for error in answer.errors]
        report.strangers += [f"{mine.name}, {what}: was sent {name}" for name in others if answer.holds(name)]
        return answer

    def check(answer: Answer, what: str) -> None:
        report.checked += 1
        if shown(answer) != (mine.formula, mine.energy[head]):
            wanted = f"{mine.formula} {mine.energy[head]}"
            report.strangers.append(f"{mine.name}, {what}: shows {' '.join(shown(answer))} and not {wanted}")

    try:
        await done("open", tab.open())
        while time.monotonic() < end:
            if not uploaded:
                check(await done("upload", tab.upload("upload", mine.files)), "upload")
                uploaded = True
            else:
                what = rng.choices(("head", "supercell", "panel", "page"), (4, 2, 3, 3))[0]
                if what == "head":
                    head = HEADS[1 - HEADS.index(head)]
                    check(await done(what, tab.set(head=head)), what)
                elif what == "supercell":
                    check(await done(what, tab.set(supercell=rng.choice(SUPERCELLS))), what)
                elif what == "panel":
                    await done(what, tab.set(panel=rng.choice(PANELS)))
                else:
                    page = rng.choice(PAGES)
                    await done(page, tab.go(page))
                    await asyncio.sleep(rng.expovariate(1 / think))
                    await done("back", tab.go(""))
                    uploaded = False  # as in a browser: the page has forgotten the file
            await asyncio.sleep(rng.expovariate(1 / think))
        await tab.close()
    except Exception as error:
        if not report.errors:
            report.errors.append(f"{mine.name}: {type(error).__name__}: {error}")


async def watch_memory(pid: int, end: float, report: Report) -> None:
    started, used = time.monotonic(), processor_seconds(pid)
    while time.monotonic() < end:
        report.memory.append((time.monotonic() - started, memory(pid)))
        await asyncio.sleep(1)
    report.processor = processor_seconds(pid) - used


def processor_seconds(pid: int) -> float:
    """That a process has used, with the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """MB that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


async def watch_in_browsers(url: str, n: int, end: float, report: Report) -> None:
    """Chromium, where the first example must stay what it is while others come and go."""
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium_program(), args=SOFTWARE_WEBGL)
        pages = [await browser.new_page() for _ in range(n)]
        for page in pages:
            page.on("pageerror", lambda error: report.errors.append(f"browser: {error}"))
            await page.goto(url, timeout=120_000)
        while time.monotonic() < end:
            for page in pages:
                line = await page.locator(".cg-line b").first.inner_text(timeout=120_000)
                if line.replace("\n", "") != "SrTiO3":
                    report.strangers.append(f"browser: shows {line}")
            await asyncio.sleep(5)
        await browser.close()


async def first_views(url: str) -> dict[str, float]:
    """Seconds until each page is there for the first user, who also waits for what is worked out once a model."""
    tab, took = Session(url, patience=600), {}
    took["crystal"] = (await tab.open()).seconds
    for head in HEADS:
        await tab.set(head=head)
        for page in PAGES:
            took[f"{page}, {head}"] = (await tab.go(page)).seconds
    await tab.close()
    return took


async def drive(url: str, pid: int, sessions: int, seconds: float, think: float, browsers: int = 0) -> Report:
    """Many users for some time, on an app that runs. think: mean seconds between two actions of one user, in which
    they all come
    """
    report, everyone = Report(), uploads(sessions)
    end = time.monotonic() + seconds
    tasks = [
        user(
            url,
            mine,
            [other.name for other in everyone if other is not mine],
            end,
            think,
            report,
            seed,
            late=think * seed / sessions,
        )
        for seed, mine in enumerate(everyone)
    ]
    if browsers:
        tasks.append(watch_in_browsers(url, browsers, end, report))
    await asyncio.gather(watch_memory(pid, end, report), *tasks)
    return report


def text_of(report: Report, sessions: int, seconds: float, think: float) -> str:
    every, used = report.every, np.array(report.memory)
    lines = [
        f"{processor()}",
        f"{sessions} sessions for {seconds:.0f} s, {think:g} s between two actions of one: {len(every)} reruns, "
        f"{len(every) / seconds:.1f} a second, {report.size / len(every) / 1e3:.0f} kB and "
        f"{1e3 * report.processor / len(every):.0f} ms of processor each",
        f"errors: {len(report.errors)}; crystals checked: {report.checked}, of others seen: {len(report.strangers)}",
        f"{'':<14}{'n':>6}{'p50, s':>9}{'p95, s':>9}{'max, s':>9}",
    ]
    for what, times in [("all", every), *sorted(report.times.items())]:
        p50, p95 = np.percentile(times, (50, 95))
        lines.append(f"{what:<14}{len(times):>6}{p50:>9.3f}{p95:>9.3f}{max(times):>9.3f}")
    marks = ", ".join(f"{used[i, 1]:.0f} at {used[i, 0]:.0f} s" for i in np.linspace(0, len(used) - 1, 6, dtype=int))
    return "\n".join([*lines, f"memory of the server, MB: {marks}; most: {used[:, 1].max():.0f}"])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--think", type=float, default=6.0, help="mean seconds between two actions of one user")
    parser.add_argument("--browsers", type=int, default=0, help="Chromiums that watch")
    asked = parser.parse_args()
    seconds = 60 * asked.minutes
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "terminal.txt"
        with app_process(log, CGCNN_CACHE=f"{folder}/cache") as (url, server):
            first = asyncio.run(first_views(url))
            report = asyncio.run(drive(url, server.pid, asked.sessions, seconds, asked.think, asked.browsers))
        told = log.read_text()
    print("first view of each page, s: " + ", ".join(f"{page} {took:.1f}" for page, took in first.items()))
    print(text_of(report, asked.sessions, seconds, asked.think))
    for sentence in [*report.errors[:20], *report.strangers[:20]]:
        print(f"  {sentence}")
    if complained := "Traceback" in told or "failed: " in told:
        print(told, file=sys.stderr)
    slow = np.percentile(report.every, 95) > LONGEST
    return int(bool(report.errors or report.strangers or complained or slow))


if __name__ == "__main__":
    sys.exit(main())
