"""Take the pictures of the README: start the app, open it in Chromium, write docs/crystal.png.

python docs/screenshots.py
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
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
def running_app() -> Iterator[str]:
    """The app on a free port; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://localhost:{port}"
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is needed: install the distribution's package chromium")
    with running_app() as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=SOFTWARE_WEBGL)
        page = browser.new_page(viewport=dict(width=1280, height=760), color_scheme="light")
        page.goto(f"{url}/?example=BaTaO2N+%28ordered%29&head=linear")
        page.frame_locator("iframe").first.locator("canvas").first.wait_for(timeout=60_000)
        page.get_by_test_id("stDataFrame").wait_for()
        page.wait_for_timeout(2500)  # fonts, the bars' animation, the last frame of the scene
        page.screenshot(path=ROOT / "docs" / "crystal.png")
        browser.close()


if __name__ == "__main__":
    main()
