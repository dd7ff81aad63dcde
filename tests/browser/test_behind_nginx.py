"""The app as a server has it: behind nginx under a path prefix, with the configuration of deploy/."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from acting import PATIENCE, eventually, idle

from cgcnn.examples import examples
from docs.screenshots import ROOT, app_process, free_port

PREFIX = "crystals"
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
WHOLE = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/cgcnn.conf;
}}
"""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """URL of the app behind nginx."""
    if NGINX is None:
        pytest.skip("nginx is not installed; apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    log, port = folder / "terminal.txt", free_port()
    with app_process(log, below=PREFIX) as (inner, _):
        site = (ROOT / "deploy" / "nginx.conf").read_text()
        site = site.replace("listen 80;", f"listen 127.0.0.1:{port};")
        site = site.replace("127.0.0.1:8501", re.search(r"localhost:\d+", inner)[0].replace("localhost", "127.0.0.1"))
        (folder / "cgcnn.conf").write_text(site)
        (folder / "nginx.conf").write_text(WHOLE.format(folder=folder, user="user root;" if os.getuid() == 0 else ""))
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                if reached(f"http://localhost:{port}/{PREFIX}/_stcore/health")[0] == 200:
                    break
                time.sleep(0.1)
            yield f"http://localhost:{port}/{PREFIX}"
        finally:
            server.terminate()
            server.wait(20)
    told = log.read_text()
    assert "Traceback" not in told and "failed: " not in told, told
    trouble = [line for line in (folder / "error.log").read_text().splitlines() if "[error]" in line]
    assert not [line for line in trouble if "client" not in line], trouble


def reached(url: str) -> tuple[int, str]:
    """Status and text of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, ""
    except (urllib.error.URLError, OSError):
        return 0, ""


def formula(page) -> str:
    return page.locator(".cg-line b").first.inner_text(timeout=1000 * PATIENCE).replace("\n", "")


def test_health_and_what_is_closed(proxied):
    assert reached(f"{proxied}/_stcore/health") == (200, "ok")
    assert reached(f"{proxied}/_stcore/metrics")[0] == 403
    assert reached(proxied.removesuffix(f"/{PREFIX}") + "/_stcore/health")[0] == 404, "only what is below the prefix"
    assert "<title>" in reached(proxied)[1], "without the last slash as well"


def test_a_crystal_and_an_upload_behind_a_proxy(proxied, page, tmp_path):
    """Websocket, upload, the scene, and a link to another page, all below the prefix."""
    page.goto(f"{proxied}/?example=NaCl+%28rock+salt%29")
    assert eventually(page, lambda: formula(page) == "NaCl")
    page.locator(".st-key-scene canvas").first.wait_for()
    large = "# a long comment\n" * 200_000  # MB, which nginx does not keep in memory
    (tmp_path / "mine.cif").write_text(examples()["KNbO3 (cubic)"].to(fmt="cif") + large)
    page.locator('input[type="file"]').first.set_input_files(tmp_path / "mine.cif")
    assert eventually(page, lambda: formula(page) == "KNbO3")
    idle(page)
    page.get_by_role("link", name="Models").click()
    assert eventually(page, lambda: page.url.startswith(f"{proxied}/models"))
    page.get_by_text("MAE").first.wait_for()
    page.goto(f"{proxied}/models")  # as a bookmark
    page.get_by_text("MAE").first.wait_for()


def test_the_page_shows_the_files_that_this_tests():
    text = (ROOT / "docs" / "deployment.md").read_text()
    for name in ("nginx.conf", "cgcnn.service"):
        assert (ROOT / "deploy" / name).read_text() in text, f"docs/deployment.md does not show deploy/{name} as it is"


def test_the_service_file_is_one(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    program = tmp_path / "streamlit"
    program.touch(mode=0o755)
    text = (ROOT / "deploy" / "cgcnn.service").read_text()
    unit = tmp_path / "cgcnn.service"
    unit.write_text(text.replace("/opt/cgcnn/.venv/bin/streamlit", str(program)).replace("/opt/cgcnn", str(Path.cwd())))
    told = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    about = [line for line in told.stderr.splitlines() if "cgcnn" in line]
    assert told.returncode == 0 and not about, told.stderr
