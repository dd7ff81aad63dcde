"""The app on a free port, and Chromium with software WebGL to look at it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from acting import PATIENCE
from playwright.sync_api import sync_playwright

from docs.screenshots import SOFTWARE_WEBGL, chromium_program, running_app


@pytest.fixture(scope="session")
def app_url(tmp_path_factory):
    """URL of the running app, which must not print a traceback, nor that a page failed."""
    log = tmp_path_factory.mktemp("app") / "terminal.txt"
    with running_app(log) as url:
        yield url
    assert "Traceback" not in log.read_text() and "failed: " not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_program(), args=SOFTWARE_WEBGL)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, request):
    """A fresh tab that may talk to this machine only and must end without errors on its console."""
    size, scheme = getattr(request, "param", ((1280, 800), "light"))
    context = chromium.new_context(viewport=dict(width=size[0], height=size[1]), color_scheme=scheme)
    tab = context.new_page()
    tab.set_default_timeout(1000 * PATIENCE)
    troubles: list[str] = []

    def heard(message):
        # Opened at the URL of a page, Streamlit first looks for its server below that, and then above.
        looking = "404" in message.text and "/_stcore/" in message.location["url"]
        if message.type == "error" and not looking:
            troubles.append(f"console: {message.text}")

    tab.on("console", heard)
    tab.on("pageerror", lambda error: troubles.append(f"error: {error}"))

    def check(asked):
        parts = urlsplit(asked.url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname not in ("localhost", "127.0.0.1"):
            troubles.append(f"request: {asked.url}")

    context.on("request", check)
    yield tab
    context.close()
    assert troubles == []
