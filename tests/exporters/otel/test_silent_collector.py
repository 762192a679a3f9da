"""
A collector that takes connections and never answers: no call waits for it, nor does the end of the host.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOST = str(Path(__file__).with_name("host.py"))
FOR_EVER = 600  # seconds that the exporter would wait for an answer


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """
    A socket that is listened at.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        yield listening


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.long
def test_calls_are_answered_and_the_host_ends_while_the_collector_is_silent(
    silent: socket.socket, protocol: str, anyio_backend: str
) -> None:
    """
    The collector has been asked, and has not answered, before the first call is made and after the process has ended.
    """
    exporter = {"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}", "protocol": protocol, "timeout": FOR_EVER}
    config = {
        "plugins": {"echo": {"endpoint": "memory:echo"}},
        "exporters": {"otel": exporter},
        "metrics": {"export_interval": 0.05, "export_timeout": 0.5},
    }
    command = [sys.executable, HOST, json.dumps(config), anyio_backend]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        try:
            connection, _ = silent.accept()
            with connection:
                connection.settimeout(20)
                asked = connection.recv(1)
                host.stdin.write("call\n")
                called = host.stdout.readline()
                host.stdin.write("end\n")
                status = host.wait(20)
        finally:
            host.kill()

    assert (bool(asked), called, status) == (True, "called\n", 0)
