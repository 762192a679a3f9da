"""
`remora serve`: what it serves, how it ends, and what it says when it cannot begin.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from subprocess import PIPE, STDOUT
from urllib.parse import urlsplit

import pytest

from tests.contrib.cli.conftest import COMMAND, Run, Serve, disposed, environment, spawned

NO_TARGET = "Invalid value for 'MODULE:OBJECT...':"


@pytest.mark.parametrize("target", ["Echo", "make", "instance"])
def test_class_factory_and_instance_are_served(target: str, serve: Serve) -> None:
    """
    A plain POST with JSON is a call.
    """
    server = serve("http://127.0.0.1:0", target=f"sample:{target}")

    assert _post(server.urls[0], "echo", {"text": "hi"}) == (200, {"text": "hi"})


def test_every_address_is_served(serve: Serve, anyio_backend: str, place: Path) -> None:
    """
    One line for each, with the real port.
    """
    server = serve("http://127.0.0.1:0", f"unix://{place}/s.sock", backend=anyio_backend)

    assert urlsplit(server.urls[0]).port != 0
    assert server.urls[1] == f"unix://{place}/s.sock"
    assert server.end() == 0
    assert not (place / "s.sock").exists()


@pytest.mark.fault(22)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_lets_calls_under_way_end(number: signal.Signals, serve: Serve, anyio_backend: str, place: Path) -> None:
    """
    New calls are refused meanwhile, and the exit code is 0.
    """
    os.mkfifo(place / "entered")
    os.mkfifo(place / "go")
    with disposed(number, signal.SIG_DFL):
        server = serve("http://127.0.0.1:0", backend=anyio_backend)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(_post, server.urls[0], "wait", {"text": "done"})
        (place / "entered").read_text()
        server.process.send_signal(number)
        while (answer := _post(server.urls[0], "echo", {"text": "new"}))[0] == 200:
            pass
        (place / "go").write_text("")

        assert (answer[0], answer[1]["code"]) == (503, "unavailable")
        assert call.result(10) == (200, {"text": "done"})
    assert server.process.wait(10) == 0


def test_json_lines_name_the_addresses(place: Path, anyio_backend: str) -> None:
    """
    What the module prints does not get between them.
    """
    words = ["serve", "sample:Echo", "--json", "--backend", anyio_backend, "--listen", "http://127.0.0.1:0"]
    with spawned(place, *words) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)

        assert line["serving"] == ["sample.v1.Echo"]
        assert line["url"].startswith("http://127.0.0.1:")
        assert process.stdout.read() == ""


def test_address_may_come_from_the_host(place: Path) -> None:
    """
    Without `--listen` REMORA_LISTEN says where.
    """
    with spawned(place, "serve", "sample:Echo", REMORA_LISTEN=f"unix://{place}/s.sock") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)

    assert line == f"serving sample.v1.Echo at unix://{place}/s.sock\n"


def test_standard_output_belongs_to_the_wire(remora: Run, anyio_backend: str) -> None:
    """
    On `stdio:` nothing is printed there; the end of input is the end.
    """
    result = remora("serve", "sample:Echo", "--backend", anyio_backend, "--listen", "stdio:")

    assert (result.code, result.out) == (0, "")


@pytest.mark.parametrize(
    ("target", "code", "complaint"),
    [
        ("nosuch:Echo", 3, "there is no module 'nosuch' here or among what is installed"),
        ("sample.nosuch:Echo", 3, "there is no module 'sample.nosuch' here or among what is installed"),
        ("sample:Ecko", 3, "sample:Ecko: there is no 'Ecko' in it; there are: Broken, Echo, Empty, Text"),
        ("sample:Empty", 3, "Empty has no public methods to serve"),
        ("sample:Broken", 3, "sample:Broken() failed: RuntimeError: no database"),
        ("sample:make_nothing", 3, "sample:make_nothing() returned nothing"),
        ("sample:make_later", 3, "sample:make_later is a coroutine function"),
        ("os:path", 3, "os:path is a module"),
        ("failing:Echo", 3, "the module 'failing' cannot be imported: ValueError: boom"),
        ("leaving:Echo", 3, "the module 'leaving' ends the program while it is imported: what ends or serves belongs"),
        ("sample:leave", 3, "sample:leave() failed: SystemExit: 0"),
        ("lacking:Echo", 3, "the module 'lacking' cannot be imported: No module named 'nosuchthing'"),
        ("sample.py:Echo", 2, f"{NO_TARGET} 'sample.py:Echo' is not of the form MODULE:OBJECT, such as sample:Echo"),
        ("sample", 2, f"{NO_TARGET} 'sample' is not of the form MODULE:OBJECT"),
    ],
)
def test_what_cannot_be_served_is_one_line(target: str, code: int, complaint: str, remora: Run, place: Path) -> None:
    """
    No traceback, whatever a module does.
    """
    (place / "failing.py").write_text("raise ValueError('boom')")
    (place / "lacking.py").write_text("import nosuchthing")
    (place / "leaving.py").write_text("raise SystemExit(0)")
    result = remora("serve", target, "--listen", "http://127.0.0.1:0")

    assert (result.code, result.out) == (code, "")
    assert result.complaint.startswith(f"remora: {complaint}")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--listen", "carrier:x"], 3, 'remora: transport "carrier" is provided by no installed extension'),
        (["--listen", "http://127.0.0.1:99999"], 3, "remora: the address 'http://127.0.0.1:99999' is malformed"),
        ([], 3, "remora: nowhere to listen: pass --listen ADDRESS, or let a host set REMORA_LISTEN"),
        (["--listen", "stdio:", "--drain-timeout", "-1"], 2, "remora: Invalid value for '--drain-timeout'"),
        (
            ["--listen", "stdio:", "--max-concurrent-calls", "0"],
            2,
            "remora: Invalid value for '--max-concurrent-calls'",
        ),
        (["--listen", "stdio:", "--max-threads", "0"], 2, "remora: Invalid value for '--max-threads'"),
    ],
)
def test_wrong_options_are_one_line(words: list[str], code: int, complaint: str, remora: Run) -> None:
    """
    So are addresses that make no sense.
    """
    result = remora("serve", "sample:Echo", *words)

    assert (result.code, result.out) == (code, "")
    assert result.complaint.startswith(complaint)


def test_variable_that_says_where_to_serve_is_named(remora: Run) -> None:
    """
    As for every value from the environment.
    """
    result = remora("serve", "sample:Echo", REMORA_LISTEN="carrier:x")

    assert result.code == 3
    assert result.complaint.startswith('remora: REMORA_LISTEN: transport "carrier" is provided by no')


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"REMORA_LISTEN": "carrier:x"}, 'remora: REMORA_LISTEN: transport "carrier" is provided by no'),
        ({"REMORA_BACKEND": "curio"}, 'remora: REMORA_BACKEND: there is no event loop "curio"; choose asyncio or trio'),
    ],
)
def test_program_that_serves_names_the_variable(variables: dict[str, str], complaint: str, place: Path) -> None:
    """
    A plugin's own program says the same as the command.
    """
    code = "import sample, remora; remora.serve(sample.Echo())"
    environ = environment(**{"REMORA_LISTEN": "unix:"} | variables)
    done = subprocess.run([sys.executable, "-c", code], cwd=place, env=environ, stderr=PIPE, text=True, timeout=60)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(complaint)


def test_wrong_option_of_an_interceptor_has_its_place(remora: Run, place: Path) -> None:
    """
    The line of the file, or the variable.
    """
    (place / "x.toml").write_text("[interceptors.otel]\nwrong = 1\n")
    words = ["serve", "sample:Echo", "--listen", "unix:", "--interceptors", "x.toml"]
    result = remora(*words, REMORA__INTERCEPTORS__OTEL__ALSO="1")

    assert (result.code, result.out) == (3, "")
    assert "\n  x.toml:2: interceptors.otel.wrong: unknown key" in result.err
    assert "\n  REMORA__INTERCEPTORS__OTEL__ALSO: interceptors.otel.also: unknown key" in result.err


def test_taken_address_is_one_line(serve: Serve, remora: Run, anyio_backend: str, place: Path) -> None:
    """
    It may be free later, so the exit code is 1.
    """
    server = serve("http://127.0.0.1:0", f"unix://{place}/s.sock", backend=anyio_backend)
    for url in server.urls:
        result = remora("serve", "sample:Echo", "--backend", anyio_backend, "--listen", url)

        assert (result.code, result.out) == (1, "")
        assert result.complaint.startswith("remora: ")


def test_debug_shows_the_traceback(remora: Run) -> None:
    """
    The cause is in it.
    """
    result = remora("serve", "sample:Broken", "--listen", "http://127.0.0.1:0", "--debug")

    assert result.code == 3
    assert "Traceback" in result.err
    assert 'raise RuntimeError("no database")' in result.err


def test_missing_event_loop_names_the_extra(place: Path) -> None:
    """
    `pip install "remora[trio]"` is what helps.
    """
    code = "import sys; sys.modules['trio'] = None; from remora_cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["serve", "sample:Echo", "--backend", "trio", "--listen", "http://127.0.0.1:0"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=place, capture_output=True, text=True, timeout=60)

    assert done.returncode == 3
    assert done.stderr == 'remora: the event loop "trio" is not installed: pip install "remora[trio]"\n'


def _post(url: str, method: str, request: object) -> tuple[int, dict[str, object]]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        headers = {"content-type": "application/json", "connection": "close"}
        connection.request("POST", f"/sample.v1.Echo/{method}", json.dumps(request), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_auth_asks_callers_for_credentials(serve: Serve, place: Path) -> None:
    """
    As a short text, or as a file.
    """
    (place / "token").write_text("t\n")
    (place / "access.toml").write_text(f'[auth]\nmethod = "bearer"\ntoken_file = "{place}/token"\n')
    for auth in (f"bearer:token_file={place}/token", f"{place}/access.toml"):
        server = serve("http://127.0.0.1:0", auth=auth)

        assert _post(server.urls[0], "echo", {"text": "hi"})[1]["code"] == "unauthenticated"


def test_auth_lets_in_who_shows_the_right_token(serve: Serve, remora: Run, place: Path) -> None:
    """
    And nobody else, on every address.
    """
    (place / "right").write_text("r1ght\n")
    (place / "wrong").write_text("wr0ng\n")
    addresses = ["http://127.0.0.1:0", f"unix://{place}/s.sock", "grpc://127.0.0.1:0"]
    server = serve(*addresses, auth=f"bearer:token_file={place}/right")
    for number, url in enumerate(server.urls):
        for token in ("right", "wrong"):
            auth = f'auth = {{ method = "bearer", token_file = "{place}/{token}" }}'
            (place / f"{token}{number}.toml").write_text(
                f'[plugins.p]\nendpoint = "{url}"\nservice = "sample.v1.Echo"\n{auth}\n'
            )
    outcomes = [
        remora("call", f"{token}{number}.toml", "p", "echo", '{"text": "hi"}')
        for number in range(len(addresses))
        for token in ("right", "wrong")
    ]

    assert [0, outcomes[1].code] * len(addresses) == [each.code for each in outcomes]
    assert all(json.loads(each.out) == {"text": "hi"} for each in outcomes[::2])
    assert all("UNAUTHENTICATED" in each.err and each.code != 0 for each in outcomes[1::2])


def test_secret_on_the_command_line_is_refused(remora: Run) -> None:
    """
    Everybody on the machine could read it there.
    """
    done = remora("serve", "sample:Echo", "--listen", "http://127.0.0.1:0", "--auth", "bearer:token=canary")

    assert done.code == 3
    assert "no place for a secret" in done.err
    assert "canary" not in done.err


@pytest.mark.fault(22)
@pytest.mark.parametrize("program", ["serve", "remora serve"])
def test_a_second_signal_ends_a_plugin_whose_handler_sits_in_a_thread(
    program: str, place: Path, anyio_backend: str
) -> None:
    """
    What it has written by then is there, and what `atexit` knows is done.
    """
    os.mkfifo(place / "entered")
    os.mkfifo(place / "go")
    with (place / "sample.py").open("a") as file:
        file.write("\nimport atexit, sys\natexit.register(print, 'left', file=sys.stderr)\n")
    (place / "main.py").write_text("import remora, sample\nremora.serve(sample.Echo())\n")
    words = [sys.executable, "main.py"] if program == "serve" else [*COMMAND, "serve", "sample:Echo"]
    variables = environment(REMORA_LISTEN="http://127.0.0.1:0", REMORA_BACKEND=anyio_backend)
    with subprocess.Popen(words, cwd=place, env=variables, stdout=PIPE, stderr=STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            while "serving sample.v1.Echo" not in (said := process.stdout.readline()):
                assert said, "it has ended"
            with _asked(said.split()[-1], "wait", {"text": "x"}):
                (place / "entered").read_text()
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGINT)
                out = process.communicate(timeout=20)[0]
        finally:
            process.kill()

    assert 0 == process.returncode
    assert "left" in out.splitlines()  # before or after what was still in the buffer of standard output
    assert "Traceback" not in out


@contextmanager
def _asked(url: str, method: str, request: object) -> Iterator[None]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request("POST", f"/sample.v1.Echo/{method}", json.dumps(request), {"content-type": "application/json"})
    yield
    connection.close()


@pytest.mark.parametrize(("level", "is_shown"), [("info", True), ("warning", False)])
def test_refused_calls_are_shown_from_level_info_on(level: str, is_shown: bool, place: Path) -> None:
    """
    Each with its reason.
    """
    (place / "right").write_text("abcdefgh")
    words = ("--listen", "http://127.0.0.1:0", "--auth", f"bearer:token_file={place}/right", "--log-level", level)
    with spawned(place, "serve", "sample:Echo", *words) as process:
        assert process.stdout is not None
        assert 401 == _post(process.stdout.readline().split()[-1], "echo", {"text": "x"})[0]
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=20)[1]

    assert is_shown == ("refused a call of 'sample.v1.Echo/echo'" in err)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_lines_of_the_log_have_their_time(log_format: str, place: Path) -> None:
    """
    Objects have the fields of the record beside it, and all is in one line.
    """
    words = ("--listen", "http://127.0.0.1:0", "--log-format", log_format)
    with spawned(place, "serve", "sample:Echo", *words) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert 500 == _post(process.stdout.readline().split()[-1], "fail", {"text": "x"})[0]
        line = next(line for line in process.stderr if "sample.v1.Echo/fail" in line)
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()

    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    if log_format == "text":
        assert re.match(f"{stamp} remora: error: ", line)
        assert "Traceback" in rest
    else:
        found = json.loads(line)
        assert re.fullmatch(stamp, found["time"])
        assert ("error", "sample.v1.Echo/fail") == (found["level"], found["method"])
        assert "Traceback" in found["traceback"]
        assert "Traceback" not in rest
