"""
The status page on a phone and on a desk, by day and by night, with thirty plugins and names as long as they get.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from remora_admin._page import page
from tests.browser import OPTIONS, chromium
from tests.contrib.admin.statuses import ERROR, instance, part

LOOK = Path(__file__).with_name("look.html")
LONG = "a-name-that-was-made-of-a-namespace-a-deployment-and-a-region-" * 2
LATENCY = {"p50": 0.0123, "p95": 12.3, "p99": 123.4}
RECENT = {"seconds": 60.0, "requests": 123456, "rate": 2057.6, "success_rate": 0.7432}


def status() -> dict[str, Any]:
    """
    One plugin has everything that there is to see, and is open.
    """
    states = ["ready", "starting", "waiting", "failed", "stopped", "dormant"]
    breakers = ["closed", "open", "half-open"] * 2
    many: dict[str, Any] = {"in_flight": 12345, "requests": 12345678, "success_rate": 0.5, "latency": LATENCY}
    many |= {"recent": RECENT, "last_error": ERROR, "errors": {"UNAVAILABLE": 12345, "DEADLINE_EXCEEDED": 1}}
    instances = [
        part(name=f"https://{LONG}-{state}.example.com:8443", state=state, breaker=breaker, **many)
        for state, breaker in zip(states, breakers, strict=True)
    ]
    open_one = part(name="open", instances=instances, message=LONG, **many, **plugin(labels={"team": LONG}))
    others = [
        part(name=f"{LONG}{number}", status=word, instances=[instance("unix:/run/x.sock")], **plugin())
        for number, word in enumerate(["healthy", "degraded", "unhealthy", "offline", "unknown"] * 6)
    ]
    what = "its circuit breaker is open; 36% of its attempts fail"
    problem = {"severity": "bad", "plugin": LONG, "instance": "unix:/run/bad.sock", "what": what, "last_error": ERROR}
    drained = {**problem, "severity": "fair", "plugin": "open", "instance": ""}
    facts = {"time": 100_000.0, "started": 0.0, "version": "0.1.0", "backend": "asyncio", "status": "degraded"}
    host = {**facts, "requests": 12345678, "success_rate": 0.5, "read_only": False}
    return {**host, "problems": [problem, *[drained] * 20], "plugins": [open_one, *others]}


def plugin(**said: Any) -> dict[str, Any]:
    """
    What only plugins have.
    """
    return {"draining": False, "dormant": False, "retries": 123, "latency_sum": 1.0, "labels": {}, **said}


class Handler(BaseHTTPRequestHandler):
    """
    The page without the policy that keeps it out of frames, what it asks for, and what looks at it.
    """

    def do_GET(self) -> None:
        """
        Answer.
        """
        answers = {"/": page(), "/status": json.dumps(status()), "/look": LOOK.read_text()}
        body = answers.get(self.path, "").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if self.path == "/status" else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """
        Say nothing.
        """


@contextmanager
def serving() -> Iterator[str]:
    """
    The address of these.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize(("scheme", "is_dark"), [(1, False), (0, True)])
def test_the_page_can_be_read_on_a_phone_and_on_a_desk(tmp_path: Path, scheme: int, is_dark: bool) -> None:
    """
    Nothing is wider than the screen, all text stands out from its background, and the bad instance is named on the
    first screen.
    """
    options = [*OPTIONS, f"--blink-settings=preferredColorScheme={scheme}", f"--user-data-dir={tmp_path}"]
    with serving() as address:
        command = [chromium(), *options, "--dump-dom", f"{address}/look"]
        drawn = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    found = re.search(r'(?s)<pre id="found">(.*?)</pre>', drawn)

    assert found is not None
    expected = [{"width": width, "dark": is_dark, "count": 31, "problems": []} for width in (390, 1280)]
    assert json.loads(html.unescape(found[1])) == expected
