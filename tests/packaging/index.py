"""
An index of packages on this machine: it takes uploads as public ones do, and lists them in the simple way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_PART = re.compile(rb'name="content"; filename="(?P<name>[\w.-]+)".*?\r\n\r\n(?P<content>.*)\r\n', re.DOTALL)


class _Handler(BaseHTTPRequestHandler):
    files: dict[str, bytes]

    def do_POST(self) -> None:
        """Take an upload: one part of the form is the file."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        boundary = self.headers.get_param("boundary", header="content-type")
        for part in body.split(f"--{boundary}".encode()):
            if found := _PART.search(part):
                self.files[found["name"].decode()] = found["content"]
        self._answer(b"")

    def do_GET(self) -> None:
        """A file, or the page that links those of one project."""
        name = self.path.rstrip("/").rpartition("/")[2]
        if name in self.files:
            return self._answer(self.files[name])
        ours = [file for file in self.files if file.partition("-")[0] == name.replace("-", "_")]
        links = "".join(f'<a href="/files/{file}">{file}</a>' for file in sorted(ours))
        return self._answer(links.encode(), 200 if ours else 404)

    def do_HEAD(self) -> None:
        """As for GET, without the content."""
        self.do_GET()

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def serving() -> Iterator[tuple[str, dict[str, bytes]]]:
    """
    The address of an empty index, and what it holds.
    """
    handler = type("Handler", (_Handler,), {"files": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler.files
        finally:
            server.shutdown()
            thread.join()
