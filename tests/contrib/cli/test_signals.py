"""
Signals at odd times, and standard streams that are full or closed: what whoever starts a command may hand it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contrib.cli.conftest import COMMAND, SAMPLE, Serve, disposed, environment, spawned, writing_to

FULL = "/dev/full"
CONFIG = """
[plugins.sample]
endpoint = "exec:{python}"
args = ["-m", "remora_cli", "serve", "sample:Echo", "--listen", "stdio:"]
"""

STRUCK = """
import os, signal, sys

class Striking:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Striking())
from remora_cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The command line, which gets a signal while it imports a module."""


@pytest.fixture
def config(place: Path) -> str:
    """
    A configuration whose plugin is the sample.
    """
    path = place / "remora.toml"
    path.write_text(CONFIG.format(python=sys.executable))
    return str(path)


@contextmanager
def begun(words: list[str], place: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """
    A program that does not ignore SIGHUP, for as long as the context lasts at the most.
    """
    pipe = subprocess.PIPE
    with (
        disposed(signal.SIGHUP, signal.SIG_DFL),
        subprocess.Popen(words, cwd=place, stdout=pipe, stderr=pipe, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.fault(22)
def test_a_command_under_nohup_outlives_the_terminal(place: Path, config: str, anyio_backend: str) -> None:
    """
    A signal that is ignored where the command begins stays ignored.
    """
    os.mkfifo(place / "entered")
    os.mkfifo(place / "go")
    words = ("call", config, "sample", "wait", '{"text": "done"}', "--json", "--backend", anyio_backend)
    with disposed(signal.SIGHUP, signal.SIG_IGN), spawned(place, *words) as process:
        (place / "entered").read_text()
        process.send_signal(signal.SIGHUP)
        (place / "go").write_text("")
        out, err = process.communicate(timeout=20)

    assert (0, {"text": "done"}) == (process.returncode, json.loads(out or err))


@pytest.mark.fault(22)
def test_a_served_plugin_under_nohup_outlives_the_terminal(serve: Serve, place: Path, anyio_backend: str) -> None:
    """
    It ends when it is asked to.
    """
    with disposed(signal.SIGHUP, signal.SIG_IGN):
        server = serve(f"unix://{place}/s.sock", backend=anyio_backend)
    server.process.send_signal(signal.SIGHUP)

    assert 0 == server.end()
    assert server.process.stderr is not None
    assert "Hangup" not in server.process.stderr.read()


def struck(number: str, module: str, *words: str) -> subprocess.Popen[str]:
    """
    A command that gets a signal while it imports a module.
    """
    program = STRUCK.format(number=number, module=module)
    return subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.fault(22)
def test_a_host_that_is_still_loading_is_not_ended_by_a_reload(config: str) -> None:
    """
    It has not read its configuration yet; a service manager may send the signal as soon as the process exists.
    """
    words = ("run", config, "--listen", "127.0.0.1:0", "--json")
    with disposed(signal.SIGHUP, signal.SIG_DFL), struck("SIGHUP", "remora_admin._host", *words) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            process.terminate()

            assert ["sample"] == json.loads(said)["plugins"]
            assert 0 == process.wait(20)
        finally:
            process.kill()


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("words", "module"),
    [(["run", "none.toml"], "remora_admin._host"), (["serve", "no:thing", "--listen", "unix:"], "remora_cli._main")],
)
def test_an_end_that_comes_while_a_command_is_loading_is_no_failure(words: list[str], module: str) -> None:
    """
    As at any later time.
    """
    with struck("SIGTERM", module, *words) as process:
        out, err = process.communicate(timeout=20)

    assert (0, "", "") == (process.returncode, out, err)


@pytest.mark.fault(22)
def test_ctrl_c_while_a_command_is_loading_ends_it_without_a_traceback() -> None:
    """
    Loading is most of what a short command does.
    """
    with disposed(signal.SIGINT, signal.SIG_DFL), struck("SIGINT", "remora_cli._main", "--version") as process:
        out, err = process.communicate(timeout=20)

    assert (130, "", "") == (process.returncode, out, err)


@pytest.mark.fault(22)
def test_a_reload_that_comes_while_the_configuration_is_read_is_done_after_the_start(
    config: str, anyio_backend: str
) -> None:
    """
    What has been read by then may be what the signal is about.
    """
    program = (
        "import os, signal, sys; from remora_cli import main; seen = []; "
        "sys.addaudithook(lambda event, args: event == 'open' and args[0] == sys.argv[2] and not seen "
        "and (seen.append(1), os.kill(os.getpid(), signal.SIGHUP))); "
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, "run", config, "--listen", "127.0.0.1:0", "--backend", anyio_backend]
    with begun(words) as process:
        limit = threading.Timer(20, process.kill)
        limit.start()
        assert process.stderr is not None
        said = [line for line in process.stderr if "in force" in line and not process.terminate()]
        limit.cancel()

    assert 1 == len(said), "the signal is lost"


@pytest.mark.fault(22)
def test_a_signal_that_comes_as_a_served_plugin_ends_is_no_failure(place: Path, anyio_backend: str) -> None:
    """
    A service manager may ask more than once.
    """
    program = (
        "import atexit, os, signal, sys; from remora_cli import main; "
        "[atexit.register(os.kill, os.getpid(), each) for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)]; "
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, "serve", "sample:Echo", "--listen", "unix:", "--backend", anyio_backend]
    with begun(words, place) as process:
        assert process.stdout is not None
        said = next((line for line in process.stdout if line.startswith("serving")), "")
        process.terminate()
        _, err = process.communicate(timeout=20)

    assert (0, True) == (process.returncode, bool(said)), err
    assert "Traceback" not in err


@pytest.mark.fault(22)
def test_a_signal_that_comes_while_the_interpreter_ends_is_no_failure(config: str, anyio_backend: str) -> None:
    """
    Nor is a reload that is asked for while the host stops.
    """
    program = (
        "import atexit, os, signal, sys; from remora_cli import main; "
        "[atexit.register(os.kill, os.getpid(), each) for each in (signal.SIGHUP, signal.SIGTERM)]; "
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, "run", config, "--listen", "127.0.0.1:0", "--backend", anyio_backend]
    with begun(words) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.terminate()
        said = next(line for line in process.stderr if "stopping" in line)
        process.send_signal(signal.SIGHUP)
        rest = process.stderr.read()

        assert (0, "remora: stopping; 0 calls under way\n") == (process.wait(20), said.partition(" ")[2])
        assert "error" not in rest


@pytest.mark.fault(51)
@pytest.mark.skipif(not os.path.exists(FULL), reason="there is no /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_result_that_finds_no_room_is_one_line(options: list[str], place: Path, config: str) -> None:
    """
    Also where the error would have been part of the result.
    """
    with open(FULL, "w") as full:
        done = writing_to(full, place, "check", config, *options)

    assert (1, "remora: cannot write: No space left on device\n") == (done.returncode, done.stderr)


@pytest.mark.fault(51)
@pytest.mark.skipif(not os.path.exists(FULL), reason="there is no /dev/full")
def test_an_error_that_finds_no_room_is_told_and_has_its_exit_code(place: Path) -> None:
    """
    The form for programs is lost, the line for people is not.
    """
    with open(FULL, "w") as full:
        done = writing_to(full, place, "check", "absent.toml", "--json")

    assert (3, "remora: absent.toml: No such file or directory\n") == (done.returncode, done.stderr)


@pytest.mark.fault(51)
@pytest.mark.skipif(not os.path.exists(FULL), reason="there is no /dev/full")
def test_a_host_whose_log_finds_no_room_runs_all_the_same(place: Path, config: str, anyio_backend: str) -> None:
    """
    It answers, and ends when it is asked to.
    """
    os.mkfifo(place / "ready")
    (place / "sample.py").write_text(f"{SAMPLE}\nopen({str(place / 'ready')!r}, 'w').close()\n")
    words = [*COMMAND, "run", config, "--listen", "127.0.0.1:0", "--backend", anyio_backend]
    with (
        open(FULL, "w") as full,
        subprocess.Popen(words, cwd=place, env=environment(), stdout=full, stderr=full) as process,
    ):
        try:
            (place / "ready").read_text()
            process.terminate()

            assert 0 == process.wait(20)
        finally:
            process.kill()


def test_a_result_for_a_closed_stream_is_an_error(place: Path, config: str) -> None:
    """
    A script that has closed standard output is told that it gets none.
    """
    done = _in_shell(place, f"exec {' '.join(COMMAND)} check {config} >&-")

    assert (1, "remora: cannot write: Bad file descriptor\n") == (done.returncode, done.stderr)


@pytest.mark.fault(51)
@pytest.mark.skipif(not os.path.exists(FULL), reason="there is no /dev/full")
@pytest.mark.parametrize("stream", ["> /dev/full", ">&-"])
def test_what_cannot_be_announced_is_served_all_the_same(stream: str, place: Path, anyio_backend: str) -> None:
    """
    A full disk, where the log is, keeps no plugin and no host from starting.
    """
    serving = f"{' '.join(COMMAND)} serve sample:Echo --listen unix://{place}/s.sock --backend {anyio_backend}"
    with subprocess.Popen(
        ["sh", "-c", f"exec {serving} {stream}"], cwd=place, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if line.startswith("remora:"))
            process.terminate()

            assert said.startswith("remora: cannot write: ")
            assert 0 == process.wait(20)
        finally:
            process.kill()


STANDARD = """
import os, sys
{begin}
socket = __import__("socket").socket()
print([os.readlink(f"/proc/self/fd/{{each}}") for each in (0, 1, 2)], socket.fileno() > 2, file=open("said", "w"))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="there is no /proc")
@pytest.mark.parametrize(
    "begin",
    [
        "from remora_cli import main\nmain(['--version'])",
        "from remora import serve\ntry:\n    serve(listen='unix:')\nexcept SystemExit:\n    pass",
    ],
    ids=["command", "serve"],
)
def test_no_socket_takes_the_place_of_a_closed_stream(begin: str, place: Path) -> None:
    """
    Else what a library in C prints, such as gRPC or the interpreter itself, would be read by a peer.
    """
    (place / "standard.py").write_text(STANDARD.format(begin=begin))
    _in_shell(place, f"exec {sys.executable} standard.py <&- >&- 2>&-")

    assert "['/dev/null', '/dev/null', '/dev/null'] True\n" == (place / "said").read_text()


def _in_shell(place: Path, words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", words], cwd=place, env=environment(), capture_output=True, text=True, timeout=60)
