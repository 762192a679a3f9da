"""
The site in a browser, on a screen as narrow as a phone's, by day and by night.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from tests.browser import chromium

LOOK = Path(__file__).with_name("look.html")


class Handler(SimpleHTTPRequestHandler):
    """
    Serves the site and the page that looks at it, and takes what that has found.
    """

    def __init__(self, *args: Any, found: Queue[Any], missing: list[str], **options: Any) -> None:
        self._found, self._missing = found, missing
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        """
        Answer with a page, or with the list of them.
        """
        if self.path == "/look":
            self._answer(LOOK.read_bytes(), "text/html")
        elif self.path == "/pages":
            root = Path(self.directory)
            pages = {str(page.relative_to(root)) for page in root.rglob("*.html")} - {"index.html"}  # which leads on
            self._answer(json.dumps(sorted(pages)).encode(), "application/json")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """
        Take the findings.
        """
        self._found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"", "text/plain")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """
        Keep what was asked for in vain.
        """
        if "favicon" not in self.path:
            self._missing.append(self.path)
        super().send_error(code, message, explain)

    def log_message(self, format: str, *args: object) -> None:
        """
        Say nothing.
        """

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_pages_are_readable_on_a_phone_in_light_and_dark(site: Path, tmp_path: Path) -> None:
    """
    No page is wider than the screen, text stands out from its background, and nothing that is asked for is missing.
    """
    browser = chromium()
    found: Queue[Any] = Queue()
    missing: list[str] = []
    with _serving(partial(Handler, directory=str(site), found=found, missing=missing)) as address:
        with _browsing(browser, f"{address}/look", tmp_path):
            result = found.get(timeout=100)

    assert result["looked"] > 50
    assert result["found"] == {}
    assert missing == []


@contextmanager
def _serving(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


@contextmanager
def _browsing(browser: str, address: str, profile: Path) -> Iterator[None]:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [browser, *options, "--remote-debugging-port=0", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
