"""
`remora run` as a process: its signals, its exit codes, and what it leaves behind.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import anyio
import anyio.lowlevel
import pytest

from remora_admin._host import Host
from tests.contrib.admin.hosts import running, write


@pytest.fixture
def remora(tmp_path, fork_server):
    """
    Runs a command to its end.
    """
    env = {**os.environ, "COLUMNS": "120"}
    return lambda *words: fork_server.run(["-m", "remora_cli", *words], cwd=tmp_path, env=env)


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
        time.sleep(0.02)  # whoever asks all the time keeps the host from getting there


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


STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("I am", os.getpid(), file=sys.stderr, flush=True)
while True:
    time.sleep(3600)
"""


def stubborn(config: Path) -> None:
    """
    A plugin that ignores the end of its input and SIGTERM, and may take half a minute for each.
    """
    program = config.with_name("stubborn.py")
    program.write_text(STUBBORN)
    config.write_text(
        f"""log_level = "debug"
[plugins.stubborn]
endpoint = "exec:{sys.executable}"
args = ["{program}"]
protocol = "jsonl"
health_check = {{ enabled = false }}
options = {{ stop_grace = 25, term_grace = 25 }}
"""
    )


def line_with(process, words: str) -> str:
    """
    The next line of the log that has these words.
    """
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"the log ends without {words!r}")


def test_the_log_tells_what_has_become_of_a_plugin(config, anyio_backend):
    """
    Which one wrote a line, that one was killed and is back, and what a signal to read the configuration has changed.
    """
    stubborn(config)
    config.write_text(config.read_text().replace("debug", "info"))
    with running(config, backend=anyio_backend) as (process, _):
        child = int(line_with(process, "remora: stubborn: I am").split()[-1])
        os.kill(child, signal.SIGKILL)
        lost = line_with(process, "is lost: the process was killed by signal 9 (SIGKILL)")
        back = line_with(process, " is ready after ")
        config.write_text(config.read_text() + "retry = { max_retries = 1 }\n")
        process.send_signal(signal.SIGHUP)
        line_with(process, "remora: the configuration is in force: stubborn retuned")

    assert re.match(rf"{STAMP} remora: warning: plugin 'stubborn' at exec:", lost)
    assert re.match(rf"{STAMP} remora: plugin 'stubborn' at exec:", back)


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_every_line_of_the_log_is_an_object_where_that_is_wanted(debug, config, anyio_backend):
    """
    With the fields that a record has; also of what plugins write when `--debug` shows more of it.
    """
    stubborn(config)
    config.write_text(config.read_text().replace("stop_grace = 25, term_grace = 25", "stop_grace = 0, term_grace = 0"))
    with running(config, "--log-format", "json", *debug, backend=anyio_backend) as (process, _):
        child = json.loads(line_with(process, "I am"))
        os.kill(int(child["message"].split()[-1]), signal.SIGKILL)
        lost = json.loads(line_with(process, "is lost"))
        process.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in process.stderr]

    assert re.fullmatch(STAMP, lost["time"])
    assert ("warning", "stubborn", "InstanceLost") == (lost["level"], lost["plugin"], lost["event_name"])
    assert ("remora.plugin.stubborn", "info") == (child["logger"], child["level"])
    assert any(each["message"] == "stopping; 0 calls under way" for each in rest)


def test_a_second_signal_hurries_a_host_whose_plugin_will_not_end(config, anyio_backend):
    """
    The exit code is kept, and no process is left behind.
    """
    stubborn(config)
    with running(config, backend=anyio_backend) as (process, _):
        child = int(line_with(process, "I am").split()[-1])
        process.send_signal(signal.SIGTERM)
        line_with(process, "stopping; 0 calls under way")
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=15)

    assert process.returncode == 0
    assert "Traceback" not in log
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_host_ends_at_once_while_it_reloads(config, anyio_backend):
    """
    A new plugin that hangs while it starts keeps nobody from ending the host; SIGHUP before it is ignored no more.
    """
    config.write_text('log_level = "debug"\n')
    with running(config, backend=anyio_backend) as (process, _):
        config.write_text(
            f"""log_level = "debug"
[plugins.silent]
endpoint = "exec:{sys.executable}"
args = ["-c", "import time; time.sleep(3600)"]
connection = {{ connection_timeout = 3600 }}
"""
        )
        process.send_signal(signal.SIGHUP)
        line_with(process, "ReloadStarted")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=9)  # a new plugin may take ten seconds

    assert process.returncode == 0, log
    assert "Traceback" not in log


def test_a_bad_configuration_at_the_start_is_told_with_its_exit_code(config, remora):
    """
    And a signal that ends nothing yet is no error.
    """
    config.write_text("plugins = 1")
    done = remora("run", str(config))

    assert done.returncode == 3
    assert f"{config}:1: plugins: expected a table" in done.stderr


@pytest.mark.anyio
async def test_a_reload_that_comes_too_early_is_done_after_the_start(config, anyio_backend):
    """
    What the file says then is in force.
    """
    config.write_text("")
    host = Host(str(config), host="127.0.0.1", port=0, watch=False, admin_token=None)
    config.write_text(f'[plugins.p]\nendpoint = "exec:{sys.executable}"\nprotocol = "oneshot"\n')
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            async with anyio.create_task_group() as early:
                early.start_soon(host.reload)
                await anyio.lowlevel.checkpoint()
                group.start_soon(host.run, lambda url, plugins: None)
            assert host._manager.list_plugins() == ["p"]
            host._stopping.set()


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


def test_top_prints_the_table_once_where_nobody_watches(config, remora):
    """
    For scripts, and for people who pipe.
    """
    with running(config, backend="asyncio") as (_, url):
        status_until(url, lambda status: status["status"] == "healthy")
        shown = remora("top", url)

    assert shown.returncode == 0, shown.stderr
    assert "words" in shown.stdout
    assert "healthy" in shown.stdout


def test_top_says_once_what_needs_attention(config, remora):
    """
    Before the table, which has no room for causes; and an address needs no scheme.
    """
    config.write_text('[plugins.gone]\nendpoint = "unix:nobody-here.sock"\n')
    with running(config, backend="asyncio") as (_, url):
        status_until(url, lambda status: status["problems"])
        shown = remora("top", url.removeprefix("http://"))

    assert shown.returncode == 0, shown.stderr
    assert "● gone waiting: " in shown.stdout
    assert "nobody-here.sock" in shown.stdout.partition("plugin")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "missing.toml"], "missing.toml: No such file or directory"),
        (["run", "CONFIG", "--listen", "nowhere"], "--listen: expected HOST:PORT, got 'nowhere'"),
        (["top", "http://127.0.0.1:9"], "no host answers at http://127.0.0.1:9/status"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(config, arguments, words, remora):
    """
    With an exit code that is not 0, and no traceback.
    """
    arguments = [str(config) if each == "CONFIG" else each for each in arguments]
    done = remora(*arguments)

    assert done.returncode != 0
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
