"""
Programs of Python that are forked instead of executed: nothing else about them differs, and they are ready at once.

One fork server serves all tests of this file that do not ask for their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import threading
import zipapp
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import Manager
from remora.config import LimitsConfig, SecurityConfig
from remora.errors import ConfigError, DeadlineExceeded, ExecutableRefused, PluginDied, PluginError, Unavailable
from remora.security import AllowEntry, AllowList, render_allow_list
from remora.types import Call, Endpoint
from remora_exec._command import Command
from remora_exec._keeping import _keeper, _starter
from remora_exec._keeping._python import python_of
from remora_exec._security._program import opened
from remora_exec.plugin import ExecOptions, build

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not _starter.KEEPS_DESCENDANTS, reason="needs Linux and ctypes")]

PYTHON = Path(sys.executable).resolve()
Write = Callable[..., Path]

FACTS = """
import gc, json, os, resource, signal, sys, threading
UNLIKE = ["REMORA_REQUEST_ID", "PWD", "OLDPWD", "SHLVL", "_"]  # shells set the latter
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
json.dump({
    "name": __name__, "module": sys.modules["__main__"].__dict__ is globals(), "file": __file__,
    "package": __package__ or None,
    "argv": sys.argv, "path": sys.path, "flags": repr(sys.flags), "prefix": sys.prefix, "executable": sys.executable,
    "xoptions": sys._xoptions, "warnings": sys.warnoptions, "directory": os.getcwd(), "umask": os.umask(0o22),
    "environ": {name: value for name, value in os.environ.items() if name not in UNLIKE},
    "comm": open("/proc/self/comm").read(), "gc": gc.isenabled(), "descriptors": os.listdir("/proc/self/fd"),
    "signals": [status[each] for each in ("SigBlk", "SigIgn", "SigCgt", "NoNewPrivs")],
    "interrupt": repr(signal.getsignal(signal.SIGINT)), "limit": resource.getrlimit(resource.RLIMIT_NPROC)[0],
    "session": os.getsid(0) == os.getpid() == os.getpgrp(), "input": sys.stdin.read(),
    "thread": [threading.current_thread() is threading.main_thread(), threading.main_thread().native_id == os.getpid()],
    "globals": {name: type(value).__name__ for name, value in [*globals().items()]},
    "seekable": [each.seekable() for each in (sys.stdin, sys.stdout, sys.stderr)],
    "streams": [sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdout.encoding, sys.stdin.encoding],
    "orig_argv": sys.orig_argv[1:],
    "command": open("/proc/self/cmdline").read().replace("\\0", " ").strip().partition(" ")[2],
}, sys.stdout)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """
    A directory that is nobody else's.
    """
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def write(place: Path) -> Write:
    """
    Writes a program of Python.
    """

    def write_(code: str, name: str = "program.py", first: str = f"#!{sys.executable}") -> Path:
        path = place / name
        path.write_text(f"{first}\n{code}")
        path.chmod(0o755)
        return path

    return write_


async def run(program: Path | str, *args: str, **options: Any) -> Any:
    """
    What a program prints when it is run once.
    """
    transport = build(ExecOptions(protocol="oneshot", args=args, **options))
    with anyio.fail_after(20):
        async with transport.open(Endpoint(f"exec:{program}")) as channel:
            return json.loads((await channel.call(Call(payload=b'"in"'))).payload)


async def fork(program: Path | str, *args: str, **options: Any) -> Any:
    """
    The same, forked.
    """
    return await run(program, *args, start_method="forkserver", **options)


@pytest.fixture(scope="module", autouse=True)
async def server(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """
    A fork server that stays.
    """
    program = tmp_path_factory.mktemp("server") / "program.py"
    program.write_text("print(1)")
    transport = build(ExecOptions(protocol="oneshot", start_method="forkserver", args=(str(program),)))
    async with transport.open(Endpoint(f"exec:{sys.executable}")) as channel:
        await channel.call(Call(payload=b"null"))
        yield servers()[0]


def servers() -> list[int]:
    """
    The fork servers of this process.
    """
    return [each.popen.pid for each in _keeper._keepers if each.interpreter is not None]


def known_of(pid: int, what: str) -> str:
    """
    What the system knows of a process.
    """
    return Path(f"/proc/{pid}/{what}").read_text()


def parent_of(pid: int) -> int:
    return int(known_of(pid, "stat").rpartition(")")[2].split()[1])


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["FILE"], {}),
        (["FILE", "-x", "a b"], {"env": {"LANG": "C.UTF-8", "MINE": "ä"}}),
        (["-X", "utf8", "-Wdefault", "-sO", "FILE", "-c"], {}),
        (["-I", "-W", "ignore", "FILE"], {}),
        (["program.py"], {"work_dir": "HERE"}),
        (["-m", "program", "x"], {"work_dir": "HERE"}),
        (["-m", "program"], {"env": {"PYTHONPATH": "HERE", "PYTHONUNBUFFERED": "1", "TZ": "Asia/Tokyo"}}),
        (["HERE/archive.pyz", "x"], {}),
        (["HERE"], {}),
        (["archive.pyz", "-m"], {"work_dir": "HERE"}),
        (["inside"], {"work_dir": "HERE"}),
        (["-mprogram", "-m", "x"], {"work_dir": "HERE"}),
        (["program.pyc"], {"work_dir": "HERE"}),
        (["./link/../program.py"], {"work_dir": "HERE"}),
        (["-vsWignore", "--", "program.py", "--"], {"work_dir": "HERE", "env": {"PYTHONPATH": "link:", "LANG": "C"}}),
        (["FILE"], {"security": SecurityConfig(limits=LimitsConfig(processes=77), no_new_privileges=True)}),
        (["FILE"], {"security": SecurityConfig(no_new_privileges=False)}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_a_forked_program_finds_what_an_executed_one_finds(write, place, args, options):
    """
    From its arguments to its signals. An archive or a directory is run like a file.
    """
    (place / "far" / "away").mkdir(parents=True)
    (place / "link").symlink_to(place / "far" / "away")
    program = write(FACTS)
    write(FACTS, "far/program.py")
    py_compile.compile(str(program), str(place / "program.pyc"))
    write(FACTS, "__main__.py")
    (place / "inside").mkdir()
    write(FACTS, "inside/__main__.py")
    zipapp.create_archive(place / "inside", place / "archive.pyz")

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        return value.replace("FILE", str(program)).replace("HERE", str(place)) if isinstance(value, str) else value

    words, more = [filled(each) for each in args], filled(options)
    executed, forked = await run(sys.executable, *words, **more), await fork(sys.executable, *words, **more)

    assert executed == forked


@pytest.mark.parametrize(
    "first",
    [
        f"#!{sys.executable}",
        f"#! {sys.executable} \t-I\t ",
        "#!/usr/bin/env python3",
        "#!/usr/bin/env -S python3 -s -u",
        f"#!/bin/sh\n'''exec' \"{sys.executable}\" -I \"$0\" \"$@\"\n' '''",
        "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'PYTHON' \"$0\" \"$@\"\n' '''",
    ],
)
async def test_a_script_is_run_by_what_its_first_line_names(write, place, first):
    """
    Or the lines that installers write when a path is too long for one.
    """
    program = write(FACTS, first=first.replace("PYTHON", f"{'../' * 9}{sys.executable}"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    options: dict[str, Any] = {"env": {"PATH": path}}
    executed, forked = await run(program, "a", **options), await fork(program, "a", **options)

    assert {**executed, "comm": "program.py\n"} == forked  # `env` would have it named after the interpreter


FAILURES = {
    "raise": "def f():\n    raise ValueError('no')\nf()",
    "grammar": "x = = 1",
    "words": "import sys\nsys.exit('words')",
    "number": "import sys\nprint(sys.exit.__name__, file=sys.stderr)\nsys.exit(7)",
    "interrupted": "raise KeyboardInterrupt",
    "at exit": "import atexit, sys\natexit.register(lambda: print(__name__, file=sys.stderr))\nsys.exit(3)",
    "last of all": "import sys, threading\n"
    "def last():\n    threading.main_thread().join()\n    sys.stderr.write(str(sys.modules['__main__'].last is last))\n"
    "threading.Thread(target=last).start()\nsys.exit(4)",
    "hook": "import sys\nsys.excepthook = lambda *args: print('hooked', len(args), file=sys.stderr)\n1 / 0",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()",
}


@pytest.mark.parametrize("way", FAILURES)
async def test_a_forked_program_ends_as_an_executed_one(write, way):
    """
    With the same status and the same words, tracebacks included.
    """
    program, ends = write(FAILURES[way]), []
    for runs in (run, fork):
        with pytest.raises((PluginError, PluginDied)) as caught:
            await runs(program)
        ends.append((type(caught.value), caught.value.message))

    assert ends[0] == ends[1]


LATE = """
import atexit, pickle, sys
class Class: pass
def last():
    import other
    text = pickle.dumps(pickle.loads(pickle.dumps(Class)))
    print(text, sys.modules["__main__"].__dict__ is globals(), sys.argv, __file__, file=sys.stderr)
atexit.register(last)
sys.exit(3)
"""


async def test_modules_and_archives_end_as_if_they_were_executed(write, place):
    """
    Whatever is wrong with them; and what they leave to be done at the end finds all that it needs.
    """
    for inside in ("empty", "late", "wrong"):
        (place / inside).mkdir()
    write("1 / 0", "wrong/__main__.py")
    write(LATE, "late/__main__.py", first="")
    write("", "late/other.py")
    write(LATE, "ends.py")
    write("", "other.py")
    (place / "plain").mkdir()
    zipapp.create_archive(place / "late", place / "late.pyz")

    for line in (
        "-m none",
        "-m no.ne",
        "-m plain",
        "-m wrong",
        "-m ends",
        "late",
        "late.pyz",
        "wrong",
        "empty",
        "none.py",
    ):
        ends = []
        for runs in (run, fork):
            with pytest.raises(PluginError) as caught:
                await runs(sys.executable, *line.split(), work_dir=str(place))
            ends.append(caught.value.message)
        assert ends[0] == ends[1]


LOADED = """
from __future__ import annotations
import random, sys
before = set(sys.modules)
from dataclasses import dataclass
from remora import serve, service

@dataclass(frozen=True)
class Text:
    text: str

@service("text.v1.Text")
class Texts:
    async def upper(self, request: Text) -> Text:
        return Text(request.text.upper())

    async def loaded(self, request: Text) -> list[str]:
        return sorted(set(sys.modules) - before)

    async def lucky(self, request: Text) -> float:
        return random.random()

serve(Texts())
"""


@dataclass(frozen=True)
class Text:
    text: str


@pytest.mark.parametrize("protocol", ["ttrpc", "jsonl", "oneshot"])
async def test_a_forked_plugin_has_nothing_left_to_load(anyio_backend, write, protocol):
    """
    When it answers, all that serving needs was there before the fork.
    """
    plugin = {
        "endpoint": f"exec:{write(LOADED)}",
        "protocol": protocol,
        "service": "text.v1.Text",
        "env": {"REMORA_BACKEND": anyio_backend},
        "options": {"start_method": "forkserver"},
    }
    async with Manager({"plugins": {"text": plugin}}) as manager:
        with anyio.fail_after(20):
            assert await manager.execute("text", Text("a"), Text, method="upper") == Text("A")
            assert await manager.execute("text", Text("a"), list[str], method="loaded") == []


async def test_no_call_is_lost_when_the_way_to_start_changes(anyio_backend, write):
    """
    Nor when what is preloaded changes, which needs another server.
    """
    program = write(LOADED)

    def config(**options: Any) -> dict[str, Any]:
        plugin = {"endpoint": f"exec:{program}", "service": "text.v1.Text", "env": {"REMORA_BACKEND": anyio_backend}}
        return {"plugins": {"text": {**plugin, "options": options}}}

    async def call_on() -> None:
        while not is_over.is_set():
            assert await manager.execute("text", Text("a"), Text, method="upper") == Text("A")

    is_over = anyio.Event()
    async with Manager(config()) as manager, anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(call_on)
        with anyio.fail_after(20):
            for options in ({"preload": ()}, {"preload": ("calendar",)}, {"start_method": "spawn"}):
                await manager.reload(config(**{"start_method": "forkserver", **options}))
        is_over.set()


async def test_forks_have_no_luck_in_common(write):
    """
    Nor do their modules: each is loaded by its program.
    """
    program = write("import json, random, uuid\nprint(json.dumps([random.random(), str(uuid.uuid4())]))")
    first, second = await fork(program), await fork(program)

    assert set(first) & set(second) == set()


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


def memory_of(pid: int) -> bytes:
    """
    All that a process may write to.
    """
    found = bytearray()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in known_of(pid, "maps").splitlines():
            if (words := line.split())[1].startswith("rw"):
                start, end = (int(each, 16) for each in words[0].split("-"))
                memory.seek(start)
                found += memory.read(end - start)
    return bytes(found)


@pytest.mark.fault(14)
@pytest.mark.parametrize("end", ["stopped", "killed", "warden killed", "server killed"])
async def test_what_leaves_the_session_ends_with_a_forked_program(open_script, write, ask, is_running, until, end):
    async with open_script(Endpoint(f"exec:{write(STRAY)}"), **QUICK) as channel:
        stray = await ask(channel, "m")
        warden = parent_of(program := parent_of(stray))
        if end == "server killed":
            os.kill(servers()[0], signal.SIGKILL)
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
            quick.setattr(_starter, "START_TIMEOUT", 0.1)
            quick.setattr(_starter, "END_TIMEOUT", 0.1)
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
    pinned = AllowEntry(sha256=(hashlib.sha256(hashed.read_bytes()).hexdigest(),))
    (place / "list.toml").write_text(render_allow_list(AllowList({"p": pinned})))
    (place / "list.toml").chmod(0o600)
    security = SecurityConfig(policy="strict", allow_list=str(place / "list.toml"))
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


PLACED = """
import json, os, random, sys
from remora_exec._keeping import _kernel
from remora_exec._keeping._birth import Forked, born
from remora_exec._keeping._order import Order, PythonMain

def opened(place, number):
    os.dup2(file := os.open(f"{place}/{number}", os.O_RDWR | os.O_CREAT), number, inheritable=False)
    os.close(file)

place, before = sys.argv[1], _kernel.hold_signals()
for number in range(20, 40):
    opened(place, number)
for round in range(60):
    free = [*range(20, 40)]
    random.Random(round).shuffle(free)
    count, own = random.Random(round).randrange(9), free[:5]
    files = dict(zip([0, 1, 2, *free[3 : 3 + count]], free[11:]))
    order = Order(["x"], "x", {}, "", [*files][3:], [], False, PythonMain("x", "", ["python", "x"], 2))
    report = os.pipe()
    try:
        os.waitpid(born(order, files, before, own), 0)
    except Forked:
        wrong = [each for each, file in files.items() if os.readlink(f"/proc/self/fd/{each}") != f"{place}/{file}"]
        extra = [each for each in own if each not in files and os.path.exists(f"/proc/self/fd/{each}")]
        os.write(report[1], json.dumps([wrong, extra]).encode())
        os._exit(0)
    os.write(report[1], b" ")
    told = os.read(report[0], 1000)
    assert told == b"[[], []] ", (round, files, own, told)
    os.close(report[0]), os.close(report[1])
"""


def test_every_descriptor_of_a_fork_has_its_number(tmp_path):
    """
    Whatever number it had before, and whosesoever number it gets; what belongs to the warden is closed.
    """
    subprocess.run([sys.executable, "-c", PLACED, str(tmp_path)], check=True, timeout=60)
