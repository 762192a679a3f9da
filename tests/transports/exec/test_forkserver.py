"""
The processes that fork programs of Python: who shares one, what reaches it, how long it lives, and what it refuses.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from remora.config import SecurityConfig
from remora.errors import ConfigError, DeadlineExceeded, ExecutableRefused, PluginDied, Unavailable
from remora.types import Call, Endpoint
from remora_exec._command import Command
from remora_exec._keeping import _keeper, _kept_starter, _starter
from remora_exec._keeping._python import python_of
from remora_exec._security._program import opened
from remora_exec.plugin import ExecOptions, build
from tests.transports.exec.forks import fork, known_of, memory_of, parent_of, servers
from tests.transports.exec.security.pinned import pins

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("server"),
    pytest.mark.skipif(not _starter.KEEPS_DESCENDANTS, reason="needs Linux and ctypes"),
]

PYTHON = Path(sys.executable).resolve()
Write = Callable[..., Path]


async def test_plugins_share_a_server_if_they_start_the_same_interpreter(write, server, is_running):
    """
    Others have one of their own, which ends with them.
    """
    program, others = write("import os\nprint(os.getppid())"), {}
    transport = {"protocol": "oneshot", "start_method": "forkserver"}
    async with AsyncExitStack() as stack:
        for name, more in {"same": {}, "else": {"preload": ("decimal",)}, "utf8": {"env": {"PYTHONUTF8": "1"}}}.items():
            opened = build(ExecOptions(**transport, **more)).open(Endpoint(f"exec:{program}"))
            channel = await stack.enter_async_context(opened)
            await channel.call(Call(payload=b"null"))
            others[name] = servers()[-1]
        running = servers()
        assert len(running) == 3

    assert others["same"] == server
    assert servers() == [server]
    assert not any(is_running(pid) for pid in {*running} - {server})


async def test_what_is_preloaded_is_there(write):
    program = write("import json, sys\nprint(json.dumps([each in sys.modules for each in ('decimal', 'wave')]))")

    assert await fork(program, preload=("decimal", "wave")) == [True, True]
    assert await fork(program) == [False, False]


async def test_a_secret_reaches_only_its_own_program(write, server):
    """
    Neither the server, whose memory every fork has, nor its wardens.
    """
    program = write("import json, os\nprint(json.dumps([os.getppid(), dict(os.environ)]))")
    async with build(
        ExecOptions(protocol="oneshot", start_method="forkserver", env={"SECRET": "s3cret", "PYTHON_TOKEN": "s3cret"})
    ).open(Endpoint(f"exec:{program}")) as channel:
        warden, environ = json.loads((await channel.call(Call(payload=b"null"))).payload)
        places = [known_of(pid, "environ") for pid in (server, warden)]

    assert environ["SECRET"] == environ["PYTHON_TOKEN"] == "s3cret"
    assert ["s3cret" in each for each in places] == [False, False]
    assert "SECRET" not in (await fork(program))[1]


async def test_what_a_preloaded_module_does_holds_for_each_fork(write, place):
    """
    As if the program had imported it; and what it prints is nobody's reply.
    """
    code = "import os, sys\nprint('loud')\nsys.path.insert(0, '/none')\nos.environ['LOUD'] = sys.stdin.read()"
    write(code, "loud.py")
    program = write("import json, os, sys\nprint(json.dumps([sys.path[:2], os.environ['LOUD'], sys.stdin.read()]))")

    found = await fork(program, preload=("loud",), env={"PYTHONPATH": str(place)})
    assert found == [[str(place), "/none"], "", '"in"']


async def test_a_server_that_cannot_be_one_leaves_nothing_behind(write, place, is_running, until):
    """
    Not even what it has started, and the error is there at once.
    """
    write("import subprocess\nraise ImportError(subprocess.Popen(['sleep', '600']).pid)", "failing.py")
    with anyio.fail_after(10), pytest.raises(ConfigError, match="ImportError: ") as caught:
        await fork(sys.executable, "x.py", preload=("failing",), env={"PYTHONPATH": str(place)})

    await until(lambda: not is_running(int(caught.value.message.rpartition(" ")[2])))


def test_only_what_an_interpreter_reads_reaches_the_server():
    """
    As the interpreter would find it in the program's directory, and nothing that looks like a secret.
    """
    read = {"PATH": "/bin", "LC_ALL": "C", "OPENSSL_CONF": "/c", "REMORA_DISABLE": "x", "PYTHONPATH": "a::/b"}
    others = {"PYTHON_TOKEN": "s", "OPENSSL_KEY": "s", "USER": "u", "REMORA_PLUGIN": "p", "PATHS": "s", "ORIGINAL": "o"}

    interpreter, _ = python_of(Command((sys.executable, "x.py"), {**others, **read}, "/w"))
    assert dict(interpreter.env) == {**read, "PYTHONPATH": "/w/a:/w/:/b"}


def test_a_pinned_script_is_read_from_its_open_file_if_it_is_what_runs(write):
    """
    Its first line may name another one, to which it is an argument.
    """
    python = f"#!/usr/bin/env -S {sys.executable}"
    for words, name in {"": "", " -u": "", " other.py": "other.py", " -m x": "x"}.items():
        with opened(str(write("", first=python + words))) as file:
            _, main = python_of(Command((file.real, "a"), {}), file=file)
            assert (main.path or main.module) == (name or file.address)
            assert main.argv[-1] == "a"


STRAY = """
import json, subprocess, sys
stray = subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "result": stray.pid}), flush=True)
"""
QUICK = {"protocol": "jsonl", "stop_grace": 0.05, "term_grace": 0.05, "start_method": "forkserver"}


ECHO = """
import json, os, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "result": os.getpid()}), flush=True)
"""


async def test_no_secret_is_in_the_memory_of_another_fork(open_script, write, server, ask):
    """
    Nor in that of the server, from which the next ones are forked.
    """
    endpoint, secret = Endpoint(f"exec:{write(ECHO)}"), b"s3cret-" * 3
    async with (
        open_script(endpoint, env={"SECRET": secret.decode()}, **QUICK) as channel,
        open_script(endpoint, **QUICK) as other,
    ):
        holder, stranger = await ask(channel, "m"), await ask(other, "m")
        found = [secret in memory_of(pid) for pid in (holder, server, stranger, parent_of(stranger))]

    assert found == [True, False, False, False]


@pytest.mark.fault(14)
@pytest.mark.parametrize("end", ["stopped", "killed", "warden killed", "server killed"])
async def test_what_leaves_the_session_ends_with_a_forked_program(open_script, write, ask, is_running, until, end):
    """
    Its server is its own, so that the one that the other tests share may stay.
    """
    async with open_script(Endpoint(f"exec:{write(STRAY)}"), preload=("decimal",), **QUICK) as channel:
        stray = await ask(channel, "m")
        warden = parent_of(program := parent_of(stray))
        if end == "server killed":
            os.kill(servers()[-1], signal.SIGKILL)
            assert await ask(channel, "m") == stray
        elif end != "stopped":
            os.kill(program if end == "killed" else warden, signal.SIGKILL)
            await until(lambda: not is_running(program))
            with anyio.fail_after(5), pytest.raises(PluginDied, match="SIGKILL"):
                await ask(channel, "m")
    await until(lambda: not is_running(stray) and not is_running(program))


@pytest.mark.fault(14, 15)
async def test_a_forked_program_ends_with_a_killed_host(anyio_backend, write, until, is_running):
    code = f"import os\nos.environ.get('X')\n{STRAY}"
    here, endpoint = Path(__file__).parent, f"exec:{write(code)}"
    command = [sys.executable, str(here / "host.py"), anyio_backend, "forkserver", endpoint, "jsonl"]
    host = await anyio.open_process(command, stderr=None)
    assert host.stdout is not None
    try:
        with anyio.fail_after(20):
            stray = int(await host.stdout.receive())
        host.kill()
        await until(lambda: not is_running(stray))
    finally:
        await host.aclose()


HOST = """
import sys, anyio
from remora.types import Call, Endpoint
from remora_exec.plugin import ExecOptions, build
async def main(place):
    options = ExecOptions(protocol="oneshot", start_method="forkserver", preload=("slow",), env={"PYTHONPATH": place})
    async with build(options).open(Endpoint(f"exec:{place}/program.py")) as channel:
        await channel.call(Call(payload=b"null"))
anyio.run(main, sys.argv[1])
"""


@pytest.mark.fault(15)
async def test_a_server_that_is_not_ready_yet_ends_with_a_killed_host(write, place, until, is_running):
    """
    Also if it would never get ready.
    """
    write("import os, signal\nopen(f'{__file__}.pid', 'w').write(str(os.getpid()))\nsignal.pause()", "slow.py")
    write("print(1)")
    pid = place / "slow.py.pid"
    host = await anyio.open_process([sys.executable, "-c", HOST, str(place)], stderr=None)
    try:
        await until(lambda: pid.exists() and pid.read_text() != "")
        host.kill()
        await until(lambda: not is_running(int(pid.read_text())))
    finally:
        await host.aclose()


async def test_a_server_that_was_killed_is_replaced(write, is_running, until):
    program = write("import os\nprint(os.getppid())")
    options = ExecOptions(protocol="oneshot", start_method="forkserver", preload=("decimal",))
    async with build(options).open(Endpoint(f"exec:{program}")) as channel:
        first = json.loads((await channel.call(Call(payload=b"null"))).payload)
        os.kill(killed := servers()[-1], signal.SIGKILL)
        await until(lambda: not is_running(killed))
        with anyio.fail_after(10):
            second = json.loads((await channel.call(Call(payload=b"null"))).payload)
        assert servers()[-1] != killed

    assert first != second


async def test_a_server_that_hangs_is_replaced(write, monkeypatch):
    """
    After one call has waited for it in vain.
    """
    program = write("import os\nprint(os.getppid())")
    options = ExecOptions(protocol="oneshot", start_method="forkserver", preload=("calendar",))
    async with build(options).open(Endpoint(f"exec:{program}")) as channel, AsyncExitStack() as stack:
        warden = int((await channel.call(Call(payload=b"null"))).payload)
        os.kill(stopped := servers()[-1], signal.SIGSTOP)
        stack.callback(os.kill, stopped, signal.SIGCONT)
        os.kill(warden, signal.SIGKILL)
        with monkeypatch.context() as quick:
            quick.setattr(_kept_starter, "START_TIMEOUT", 0.1)
            quick.setattr(_kept_starter, "END_TIMEOUT", 0.1)
            with anyio.fail_after(5), pytest.raises(Unavailable, match="does not answer"):
                await channel.call(Call(payload=b"null"))
        with anyio.fail_after(10):
            await channel.call(Call(payload=b"null"))

        assert stopped not in servers()


async def test_no_call_waits_for_a_server_longer_than_it_wants(write, place, until):
    """
    The server gets ready nevertheless, for those that come later.
    """
    os.mkfifo(place / "go")
    write("import os\nopen(os.environ['PYTHONPATH'] + '/go').read()", "slow.py")
    env = {"PYTHONPATH": str(place)}
    options = ExecOptions(protocol="oneshot", start_method="forkserver", preload=("slow",), env=env)
    async with build(options).open(Endpoint(f"exec:{write('print(1)')}")) as channel:
        with anyio.fail_after(5):
            for _ in range(2):
                with pytest.raises(DeadlineExceeded):
                    await channel.call(Call(payload=b"null", deadline=anyio.current_time() + 0.05))
        (place / "go").write_text("")
        with anyio.fail_after(10):
            assert (await channel.call(Call(payload=b"null"))).payload == b"1"
        ready = servers()[-1]

    async with build(options).open(Endpoint(f"exec:{write('print(1)')}")) as channel:
        with pytest.raises(DeadlineExceeded):
            await channel.call(Call(payload=b"null", deadline=anyio.current_time() + 0.05))
    (place / "go").write_text("")  # where nobody needs it any more
    await until(lambda: "remora-hiring" not in {each.name for each in threading.enumerate()})

    assert ready not in servers()
    assert "slow" not in {name for each in _keeper._keepers if each.interpreter for name in each.interpreter.preload}


async def test_a_server_is_replaced_after_an_installation(write, place, until):
    """
    What it has loaded may be outdated: seen by the directories that packages are installed in. Nothing is left of it.
    """
    (place / "site-packages").mkdir()
    (place / "site-packages" / "grown.py").write_text("AGE = 1")
    program = write("import grown, json\nprint(json.dumps(grown.AGE))")
    env = {"PYTHONPATH": str(place / "site-packages"), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ExecOptions(protocol="oneshot", start_method="forkserver", preload=("grown",), env=env)
    async with build(options).open(Endpoint(f"exec:{program}")) as channel:
        ages = [(await channel.call(Call(payload=b"null"))).payload]
        (place / "site-packages" / "grown.py").write_text("AGE = 2")
        ages.append((await channel.call(Call(payload=b"null"))).payload)
        (place / "site-packages" / "grown-2.dist-info").mkdir()
        outdated = servers()[-1]
        ages.append((await channel.call(Call(payload=b"null"))).payload)
        await until(lambda: not Path(f"/proc/{outdated}").exists())

    assert ages == [b"1", b"1", b"2"]


@pytest.mark.fault(74)
@pytest.mark.parametrize("way", ["script", "interpreter"])
async def test_a_pinned_program_is_forked_from_the_file_that_was_hashed(place, write, way):
    """
    Another one is refused, and its interpreter not even started.
    """
    program = write("import json, sys\nprint(json.dumps([sys.argv[1:], sys.executable, sys.path[0]]))")
    hashed = PYTHON if way == "interpreter" else program
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", hashed))
    words = [sys.executable, str(program), "x"] if way == "interpreter" else [program, "x"]

    assert await fork(*words, name="p", security=security) == [["x"], sys.executable, str(place)]
    before = servers()
    with pytest.raises(ExecutableRefused):
        await fork(*words, name="other", security=security, preload=("wave",))
    assert servers() == before


@pytest.mark.parametrize(
    ("program", "args", "options", "words"),
    [
        ("sh", [], {}, "Python does not run it"),
        ("SHELL", [], {}, "Python does not run it"),
        ("python3", ["-c", "1"], {}, "neither a file nor a module"),
        ("python3", ["-Ic", "1"], {}, "neither a file nor a module"),
        ("python3", ["-m"], {}, "neither a file nor a module"),
        ("python3", ["-"], {}, "neither a file nor a module"),
        ("python3", [], {}, "neither a file nor a module"),
        ("PYTHON", ["x.py"], {"preload": ("no_such_module",)}, "No module named 'no_such_module'"),
        ("PYTHON", ["-I", "-S", "x.py"], {}, "No module named 'remora"),
        ("PYTHON", ["x.py"], {"preload": ("threads",), "env": {"PYTHONPATH": "HERE"}}, "threads starts threads"),
        ("PYTHON", ["x.py"], {"env": {"PYTHONHASHSEED": "x"}}, "Fatal Python error: .*PYTHONHASHSEED must be"),
        ("PYTHON", ["x.py"], {"env": {"REMORA_BACKEND": "curio"}}, 'there is no event loop "curio"'),
        ("MISSING", [], {}, "No such file or directory"),
        ("PYTHON", ["x.py"], {"sandbox": "bwrap"}, "cannot be combined with sandbox"),
    ],
)
async def test_what_cannot_be_forked_is_a_mistake_in_the_configuration(write, place, program, args, options, words):
    """
    One clear error, at once.
    """
    write("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()", "threads.py")
    programs = {
        "SHELL": str(write("", "script", first="#!/bin/sh")),
        "MISSING": str(write("", "missing", first="#!/no/such/python3")),
        "PYTHON": sys.executable,
        "sh": shutil.which("sh"),
        "python3": sys.executable,
    }
    filled = {**options, **({"env": {"PYTHONPATH": str(place)}} if "threads" in str(options) else {})}
    with pytest.raises(ConfigError, match=words):
        await fork(str(programs[program]), *args, **filled)


def test_an_inspection_tells_what_forks_a_program(write):
    options = ExecOptions(start_method="forkserver", preload=("decimal", "wave"))
    program = write("", first=f"#!{sys.executable} -I")

    measures = build(options).inspect(Endpoint(f"exec:{program}")).measures
    assert measures["start"] == f"forked from {sys.executable} -I, which has loaded decimal, wave"


async def test_preload_without_a_fork_server_is_a_mistake():
    with pytest.raises(ConfigError, match="preload: only with start_method"):
        build(ExecOptions(preload=("decimal",)))


async def test_where_no_fork_server_can_run_programs_are_executed(write, monkeypatch, caplog):
    monkeypatch.setattr(_starter, "KEEPS_DESCENDANTS", False)
    program = write("import json, os\nprint(os.getppid())")

    assert await fork(program) == os.getpid()
    assert [each for each in caplog.messages if "no fork server can run here" in each]
