"""The app on a free port, and Chromium with software WebGL to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
GL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="session")
def app_url(tmp_path_factory):
    """URL of the running app; its terminal output goes to a file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "terminal.txt"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with log.open("w") as terminal:
        server = subprocess.Popen(
            command, cwd=ROOT, stdout=terminal, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=dict(os.environ)
        )
    url = f"http://localhost:{port}"
    try:
        for _ in range(300):
            if server.poll() is not None:
                pytest.fail(f"the app ended at once:\n{log.read_text()}")
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        else:
            pytest.fail(f"the app did not start within a minute:\n{log.read_text()}")
        yield url
    finally:
        server.terminate()
        server.wait(20)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def chromium():
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        pytest.fail("no Chromium on this machine; install the distribution's package chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=binary, args=GL)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, request):
    """A fresh tab that may talk to this machine only and must end without errors on its console."""
    size, scheme = getattr(request, "param", ((1280, 800), "light"))
    context = chromium.new_context(viewport=dict(width=size[0], height=size[1]), color_scheme=scheme)
    tab = context.new_page()
    tab.set_default_timeout(20_000)
    troubles: list[str] = []
    tab.on("console", lambda message: message.type == "error" and troubles.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: troubles.append(f"error: {error}"))

    def check(asked):
        parts = urlsplit(asked.url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname not in ("localhost", "127.0.0.1"):
            troubles.append(f"request: {asked.url}")

    context.on("request", check)
    yield tab
    context.close()
    assert troubles == []
