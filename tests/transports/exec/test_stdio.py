"""
The plugin's side alone: run by hand, with files and pipes of a shell.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child.py")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """
    Runs the plugin for the tests with this input, which may be a file.
    """

    def run_(protocol: str, data: bytes = b"", **more) -> subprocess.CompletedProcess[bytes]:
        monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
        for name, value in {"REMORA_LISTEN": "stdio:", "REMORA_PROTOCOL": protocol}.items():
            monkeypatch.setenv(name, value)
        source = {} if "stdin" in more else {"input": data}
        return subprocess.run([sys.executable, CHILD], capture_output=True, timeout=20, **source, **more)

    return run_


def test_requests_may_come_from_a_file(run, tmp_path):
    file = tmp_path / "requests"
    file.write_text('{"id":"a","method":"echo","payload":[1]}\n\nnonsense\n{"id":2,"method":"no"}')
    with file.open() as stdin:
        result = run("jsonl", stdin=stdin)

    answers = {answer["id"]: answer for answer in map(json.loads, result.stdout.splitlines())}
    assert answers["a"]["result"]["request"] == [1]
    assert answers[2]["error"] == {"code": "NOT_FOUND", "message": "no such user", "details": {"user": 7}}


@pytest.mark.fault(23)
def test_what_is_printed_goes_to_standard_error(run):
    result = run("jsonl", b'{"id":1,"method":"echo"}\n')

    assert len(result.stdout.splitlines()) == 1
    assert b"printed before serving" in result.stderr
    assert b"printed by a handler" in result.stderr


def test_a_oneshot_call_takes_its_method_from_the_environment(run, monkeypatch):
    monkeypatch.setenv("REMORA_METHOD", "big")
    good = run("oneshot", b"3")
    monkeypatch.setenv("REMORA_METHOD", "busy")
    bad = run("oneshot", b"3")

    assert (0, b'"xxx"') == (good.returncode, good.stdout)
    assert (75, b"") == (bad.returncode, bad.stdout)
    assert b"come back" in bad.stderr


def test_end_of_input_ends_a_ttrpc_plugin(run):
    result = run("ttrpc")

    assert (0, b"") == (result.returncode, result.stdout)


def test_a_number_that_json_cannot_say_is_refused_alone(run):
    result = run("jsonl", b'{"id":1,"method":"echo","payload":1e999}\n{"id":2,"method":"big","payload":1}\n')

    answers = {answer["id"]: answer for answer in map(json.loads, result.stdout.splitlines())}
    assert answers[1]["error"]["code"] == "INVALID_ARGUMENT"
    assert answers[2]["result"] == "x"


def test_the_distribution_is_found_by_its_entry_point():
    (entry,) = entry_points(group="remora", name="exec")
    (spec,) = entry.load().remora_register_transports()

    assert ("exec", ("exec", "stdio"), True) == (spec.name, spec.schemes, spec.launches)
    spec.build(spec.options())
