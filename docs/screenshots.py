"""Take the pictures of the README: start the app, open it in Chromium, write docs/crystal.png.

python docs/screenshots.py
"""

from __future__ import annotations

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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with log.open("w") as terminal:
        server = subprocess.Popen(
            command, cwd=ROOT, stdout=terminal, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        url = f"http://localhost:{port}"
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
        yield url
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


def main() -> None:
    log = Path(tempfile.mkdtemp()) / "terminal.txt"
    with running_app(log) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_program(), args=SOFTWARE_WEBGL)
        page = browser.new_page(viewport=dict(width=1280, height=760), color_scheme="light")
        page.goto(f"{url}/?example=BaTaO2N+%28ordered%29&head=linear")
        page.frame_locator("iframe").first.locator("canvas").first.wait_for(timeout=60_000)
        page.get_by_test_id("stDataFrame").wait_for()
        page.wait_for_timeout(2500)  # fonts, the bars' animation, the last frame of the scene
        page.screenshot(path=ROOT / "docs" / "crystal.png")
        browser.close()


if __name__ == "__main__":
    main()
