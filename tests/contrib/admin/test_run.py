"""
`remora run` as a process: its signals, its exit codes, and what it leaves behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

PLUGIN = """
[plugins.{name}]
endpoint = "exec:{python}"
args = ["-m", "remora_cli", "serve", "remora_cli.demo.text:TextProcessor", "--listen", "stdio:"]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "remora.toml"
    write(path, "words")
    return path


def write(path: Path, *names: str) -> None:
    whole = "".join(PLUGIN.format(name=name, python=sys.executable) for name in names)
    fresh = path.with_suffix(".new")
    fresh.write_text(whole)
    fresh.replace(path)


@contextmanager
def running(config: Path, *options: str, backend: str):
    """
    The process, and the address of its endpoints.
    """
    command = [sys.executable, "-m", "remora_cli", "run", str(config), "--listen", "127.0.0.1:0", "--json"]
    process = subprocess.Popen(
        [*command, "--backend", backend, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)["url"]
    finally:
        process.kill()
        process.communicate()


def status_until(url: str, wanted) -> dict:
    """
    What the host says as soon as it says what is wanted.
    """
    ends = time.monotonic() + 20
    while True:
        with urlopen(f"{url}status", timeout=5) as answer:
            status = json.load(answer)
        if wanted(status):
            return status
        assert time.monotonic() < ends, status


def names(status: dict) -> list[str]:
    return [each["name"] for each in status["plugins"]]


def test_a_host_follows_its_file_and_ends_in_good_order(config, anyio_backend):
    """
    A change is in force without a restart; SIGTERM ends the host and its plugins, with the exit code 0.
    """
    with running(config, "--watch", backend=anyio_backend) as (process, url):
        first = status_until(url, lambda status: status["status"] == "healthy")
        write(config, "words", "more")
        second = status_until(url, lambda status: names(status) == ["words", "more"])
        config.write_text("plugins = 1")
        process.send_signal(signal.SIGHUP)
        third = status_until(url, lambda status: True)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)

    assert (names(first), names(second), names(third)) == (["words"], ["words", "more"], ["words", "more"])
    assert process.returncode == 0
    assert "Traceback" not in log
    assert "plugins: expected a table of plugins by name" in log


def test_an_operator_with_the_token_restarts_a_plugin(config, tmp_path):
    """
    The token is read from a file, never from the command line.
    """
    token = tmp_path / "token"
    token.write_text("open sesame\n")
    with running(config, "--admin-token-file", str(token), backend="asyncio") as (process, url):
        status_until(url, lambda status: status["status"] == "healthy")
        headers = {"Authorization": "Bearer open sesame"}
        with urlopen(Request(f"{url}plugins/words/restart", method="POST", headers=headers)) as answer:
            assert answer.status == 200
        status_until(url, lambda status: status["status"] == "healthy")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert process.returncode == 0


def test_top_prints_the_table_once_where_nobody_watches(config):
    """
    For scripts, and for people who pipe.
    """
    with running(config, backend="asyncio") as (_, url):
        status_until(url, lambda status: status["status"] == "healthy")
        command = [sys.executable, "-m", "remora_cli", "top", url]
        shown = subprocess.run(
            command, capture_output=True, text=True, timeout=30, env={**os.environ, "COLUMNS": "120"}
        )

    assert shown.returncode == 0, shown.stderr
    assert "words" in shown.stdout
    assert "healthy" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "missing.toml"], "missing.toml: No such file or directory"),
        (["run", "CONFIG", "--listen", "nowhere"], "--listen: expected HOST:PORT, got 'nowhere'"),
        (["top", "http://127.0.0.1:9"], "no host answers at http://127.0.0.1:9/status"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(config, arguments, words):
    """
    With an exit code that is not 0, and no traceback.
    """
    arguments = [str(config) if each == "CONFIG" else each for each in arguments]
    done = subprocess.run([sys.executable, "-m", "remora_cli", *arguments], capture_output=True, text=True, timeout=30)

    assert done.returncode != 0
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
