"""
`remora demo`: all of it, on both event loops, and nothing of it left behind.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contrib.cli.conftest import COMMAND, Run, spawned


def test_demo_shows_every_transport_and_a_return(remora: Run, anyio_backend: str, tmp_path: Path) -> None:
    """
    Every answer was right, the killed plugin is back, no file is left.
    """
    by_uv = {"UV_RUN_RECURSION_DEPTH": "1"} if anyio_backend == "asyncio" else {}
    result = remora("demo", "--backend", anyio_backend, "--calls", "40", TMPDIR=str(tmp_path), **by_uv)

    assert (result.code, result.out.count("all correct")) == (0, 4)
    assert re.search(r"^killed pid (\d+); back after \d+\.\d s as pid (?!\1)\d+$", result.out, re.MULTILINE)
    assert "the call under way: PluginDied: " in result.out
    assert result.out.splitlines()[-1].startswith(f"try next: {'uv run ' if by_uv else ''}remora serve ")
    assert list(tmp_path.glob("remora-*")) == []


@pytest.mark.long
def test_demo_reports_to_programs(remora: Run, anyio_backend: str) -> None:
    """
    One document; what is told while it works goes to standard error.
    """
    result = remora("demo", "--json", "--calls", "20", REMORA_BACKEND=anyio_backend)
    report = json.loads(result.out)

    assert (result.code, report["ok"], report["backend"]) == (0, True, anyio_backend)
    assert [each["transport"] for each in report["transports"]] == ["http", "grpc", "unix", "exec"]
    assert all((each["calls"], each["failed"]) == (20, 0) for each in report["transports"])
    assert all(0 < each["p50_ms"] <= each["p99_ms"] for each in report["transports"])
    assert report["crash"]["killed_pid"] != report["crash"]["new_pid"]
    assert "starting plugins for http, grpc, unix, exec ..." in result.err


def test_demo_shows_what_is_installed(remora: Run) -> None:
    """
    A transport that is missing is named with what installs it.
    """
    result = remora("demo", "--calls", "5", REMORA_DISABLE="grpc,http,exec")

    assert (result.code, result.out.count("all correct")) == (0, 1)
    assert 'exec is not installed: pip install "remora[exec]"' in result.out


def test_demo_without_transports_names_what_to_install(remora: Run) -> None:
    """
    There is nothing to show, which is an error.
    """
    result = remora("demo", REMORA_DISABLE="grpc,http,exec,unix")

    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-1] == 'remora: there is no transport to show: pip install "remora[all]"'


@pytest.mark.fault(22)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("step", ["starting", "calling http", "killing"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.long
def test_interrupted_demo_leaves_nothing(
    step: str, number: signal.Signals, anyio_backend: str, place: Path, tmp_path: Path
) -> None:
    """
    The exit code is 130, no process and no file stays.
    """
    words = ["demo", "--backend", anyio_backend, "--calls", "2000" if step == "calling http" else "5"]
    with spawned(place, *words, TMPDIR=str(tmp_path)) as process:
        assert process.stderr is not None
        assert any(line.startswith(step) for line in process.stderr)
        children = _descendants(process.pid)
        process.send_signal(number)
        rest = process.stderr.read()
        code = process.wait(20)

    assert (code, "Traceback" in rest) == (130, False)
    assert [pid for pid in children if _is_running(pid)] == []
    assert list(tmp_path.glob("remora-*")) == []


def _descendants(pid: int) -> list[int]:
    """
    The processes below one that are plugins.
    """
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_demo_without_a_temporary_directory_says_what_is_missing(tmp_path: Path) -> None:
    """
    No file may grow, so none of the usual places is of use; one sentence says so.
    """
    command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *COMMAND, "demo", "--calls", "5"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert 1 == result.returncode
    last = result.stderr.splitlines()[-1]
    assert "remora: no temporary directory can be written to: set TMPDIR to one that can" == last
    assert "unexpected" not in result.stderr
