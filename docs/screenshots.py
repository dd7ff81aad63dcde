"""Take the pictures of the README: start the app, open its pages in Chromium, write docs/*.png.

python docs/screenshots.py
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SOFTWARE_WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@contextmanager
def running_app(log: Path) -> Iterator[str]:
    """The app on a free port; its URL. What it prints goes to `log`; RuntimeError with that if it does not start."""
    with app_process(log) as (url, _):
        yield url


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def app_process(
    log: Path, *options: str, below: str = "", folder: Path = ROOT, **environment: str
) -> Iterator[tuple[str, subprocess.Popen]]:
    """`running_app` with more options of Streamlit and other environment variables, and its process.

    below: path at which it is served; folder: of the app
    """
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), *options]
    if below:
        command += ["--server.baseUrlPath", below]
    with log.open("w") as terminal:
        server = subprocess.Popen(
            command, cwd=folder, stdout=terminal, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        url = "/".join(filter(None, (f"http://localhost:{port}", below)))
        for _ in range(300):
            if server.poll() is not None:
                raise RuntimeError(f"the app ended at once:\n{log.read_text()}")
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        else:
            raise RuntimeError(f"the app did not start within a minute:\n{log.read_text()}")
        yield url, server
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:  # a page was still being worked out
            server.kill()
            server.wait()


def chromium_program() -> str:
    """Path of the installed Chromium. Raises RuntimeError if there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError("no Chromium on this machine; install the distribution's package chromium")
    return found


# Page of the README -> its address, and what is on it once it is finished.
PICTURES = {
    "crystal": ("?example=BaTaO2N+%28ordered%29&head=linear", "stDataFrame"),
    "elements": ("elements?head=linear&tab=Element&element=Ti", "stPlotlyChart"),
    "perovskites": ("perovskites?head=linear", "stPlotlyChart"),
}


def main() -> None:
    log = Path(tempfile.mkdtemp()) / "terminal.txt"
    with running_app(log) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_program(), args=SOFTWARE_WEBGL)
        for name, (address, last) in PICTURES.items():
            page = browser.new_page(viewport=dict(width=1280, height=760), color_scheme="light")
            page.goto(f"{url}/{address}")
            if name == "crystal":
                page.locator(".st-key-scene canvas").first.wait_for(timeout=60_000)
            page.get_by_test_id(last).first.wait_for(timeout=180_000)  # the space may have to be scored first
            page.wait_for_timeout(4000)  # fonts, animations, the last frame of the scene
            page.screenshot(path=ROOT / "docs" / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
