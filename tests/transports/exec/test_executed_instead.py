"""
Programs of Python that are to be forked, and are executed instead: those that a fork could not run as they are meant,
and those whose fork server is not ready in time.
"""

from __future__ import annotations

import json
import logging
import os
import py_compile
import sys
import threading
import zipapp
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import Manager
from remora.config import ConnectionConfig, SecurityConfig
from remora.errors import ConfigError
from remora.types import Call, Endpoint, InstanceReady
from remora_exec._keeping import _forking, _keeper_launch, _starter
from remora_exec.plugin import ExecOptions, build
from tests.core.hosts import next_of
from tests.transports.exec.facts import FACTS
from tests.transports.exec.forks import fork, fork_server_of, run
from tests.transports.exec.security.pinned import pins

PYTHON = Path(sys.executable).resolve()

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("server"),
    pytest.mark.skipif(not _starter.KEEPS_DESCENDANTS, reason="needs Linux and ctypes"),
]

Write = Callable[..., Path]

MEET = """
import sys
is_forked = "remora.serve" in sys.modules
import json, dataclasses, decimal
sys.stdin.read()
print(json.dumps([is_forked, *(getattr(each, "OWN", "theirs") for each in (dataclasses, decimal))]))
"""
"""Whether it was forked, and whose the modules are. One of both is there in any case, the other one with `preload`."""


def preloading_slowly(place: Path) -> ExecOptions:
    """
    The options of a program whose fork server loads `slow.py`, and is late.
    """
    return ExecOptions(
        protocol="oneshot",
        start_method="forkserver",
        preload=("slow",),
        env={"PYTHONPATH": str(place)},
        connection=ConnectionConfig(connection_timeout=0.2),
    )


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """
    Fork servers that were late are waited for again in the next test.
    """
    yield
    _forking._late.clear()


@pytest.fixture(scope="module", autouse=True)
async def second_server(server: int, anyio_backend: str) -> AsyncIterator[None]:
    """
    Most programs here need a fork server that has loaded `decimal`: it stays as well.
    """
    async with fork_server_of(preload=("decimal",)):
        yield


@pytest.fixture
def open_gate(place: Path) -> Iterator[Callable[[], object]]:
    """
    Lets the loading of `SLOW` go on.
    """
    os.mkfifo(place / "gate")
    gate = os.open(place / "gate", os.O_RDWR)  # neither side waits until there is another
    try:
        yield lambda: os.write(gate, b"x" * 9)
    finally:
        os.write(gate, b"x" * 9)
        for each in threading.enumerate():
            if each.name == "remora-hiring":
                each.join(60)
        os.close(gate)


@pytest.mark.parametrize("own", ["dataclasses.py", "decimal.py", "decimal/__init__.py", "decimal.pyc"])
@pytest.mark.parametrize("way", ["script", "file", "module", "directory", "archive", "linked"])
async def test_a_program_gets_its_own_module_if_the_server_has_loaded_one_of_that_name(
    write: Write, place: Path, caplog: pytest.LogCaptureFixture, own: str, way: str
) -> None:
    """
    Wherever its own ones are: beside it, in the working directory, or inside of it. One line says so.
    """
    caplog.set_level(logging.INFO, "remora.exec")
    inside = place / "inside"
    (inside / "decimal").mkdir(parents=True)
    program = write(MEET, "inside/program.py")
    write(MEET, "inside/__main__.py", first="")
    module = write("OWN = 'own'", f"inside/{own.removesuffix('c')}", first="")
    if own.endswith("c"):
        py_compile.compile(str(module), str(inside / own))
        module.unlink()
    zipapp.create_archive(inside, place / "archive.pyz")
    (place / "link.py").symlink_to(program)
    words = {
        "script": (program,),
        "file": (sys.executable, "inside/program.py"),
        "module": (sys.executable, "-m", "program"),
        "directory": (sys.executable, "inside"),
        "archive": (sys.executable, str(place / "archive.pyz")),
        "linked": (sys.executable, "-u", "link.py"),
    }
    options = {"preload": ("decimal",), "work_dir": str(inside if way == "module" else place)}
    name = own.partition(".")[0].partition("/")[0]

    found = await fork(*words[way], **options)
    assert found == [False, *("own" if each == name else "theirs" for each in ("dataclasses", "decimal"))]
    (line,) = [each for each in caplog.messages if "is executed, not forked" in each]
    assert f"it has a module {name!r}, and its fork server has loaded another one" in line


@pytest.mark.parametrize(
    ("name", "args", "env"),
    [
        ("decimal/data.txt", (), {}),
        ("decimal.txt", (), {}),
        ("os.py", (), {}),
        ("codecs.py", (), {}),
        ("sys.py", (), {}),
        ("colorsys.py", (), {}),
        ("decimal.py", ("-I",), {}),
        ("decimal.py", (), {"PYTHONSAFEPATH": "1"}),
    ],
    ids=str,
)
async def test_what_would_not_be_imported_anyhow_keeps_nobody_from_being_forked(
    write: Write, place: Path, name: str, args: tuple[str, ...], env: dict[str, str]
) -> None:
    """
    A directory or a file that is no module, a module that no interpreter looks for, one whose name nobody has taken.
    """
    (place / name).parent.mkdir(exist_ok=True)
    program = write(MEET)
    write("OWN = 'own'", name)

    assert await fork(sys.executable, *args, str(program), preload=("decimal",), env=env) == [True, "theirs", "theirs"]


async def test_a_module_that_the_server_has_loaded_from_there_is_the_programs_own(write: Write, place: Path) -> None:
    """
    By whatever name of the directory.
    """
    (place / "real").mkdir()
    (place / "link").symlink_to(place / "real")
    write("OWN = 'own'", "real/decimal.py")
    program, env = write(MEET, "real/program.py"), {"PYTHONPATH": str(place / "link")}

    assert await fork(program, preload=("decimal",), env=env) == [True, "theirs", "own"]


@pytest.mark.parametrize("args", [["FILE", "a b"], ["-m", "program"], ["-x", "FILE", "-i"], ["-i", "FILE"]], ids=str)
async def test_such_a_program_finds_what_any_executed_one_finds(write: Write, place: Path, args: list[str]) -> None:
    """
    From its arguments to its descriptors.
    """
    program = write(FACTS)
    if args[0] != "-x":
        write("OWN = 'own'", "dataclasses.py")
    words = [each.replace("FILE", str(program)) for each in args]
    options: dict[str, Any] = {"work_dir": str(place), "env": {"MINE": "ä"}}

    assert await run(sys.executable, *words, **options) == await fork(sys.executable, *words, **options)


def pinned(place: Path, program: Path) -> dict[str, Any]:
    """
    The options with which only this program may start.
    """
    return {"name": "p", "security": SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", program))}


@pytest.mark.parametrize("way", ["script", "interpreter"])
async def test_such_a_program_is_the_file_that_was_hashed(write: Write, place: Path, way: str) -> None:
    """
    And holds open what any pinned one does.
    """
    write("OWN = 'own'", "dataclasses.py")
    program = write(f"{FACTS}\nimport dataclasses\nprint(' ', dataclasses.OWN, file=sys.stderr)")
    options = pinned(place, PYTHON if way == "interpreter" else program)
    words = [sys.executable, str(program)] if way == "interpreter" else [str(program)]
    executed, forked = await run(*words, **options), await fork(*words, **options)

    assert len(executed.pop("descriptors")) == len(forked.pop("descriptors")) == 4
    for each in (executed, forked):  # the numbers of the descriptor by which it is named
        for key in ("file", "argv", "command", "orig_argv", "comm"):
            each.pop(key)
    assert executed == forked


async def test_a_file_that_only_the_server_needs_is_not_left_to_such_a_program(write: Write, place: Path) -> None:
    """
    The pinned interpreter that the server is, which has another number each time that it is opened.
    """
    write("OWN = 'own'", "dataclasses.py")
    code = "places = [f'/proc/self/fd/{each}' for each in os.listdir('/proc/self/fd')]"
    count = "sum('/bin/python' in os.readlink(each) for each in places if os.path.lexists(each))"
    program = write(f"import os\n{code}\nprint({count})")
    options = ExecOptions(protocol="oneshot", start_method="forkserver", args=(str(program),), **pinned(place, PYTHON))
    async with build(options).open(Endpoint(f"exec:{sys.executable}")) as channel:
        first = (await channel.call(Call(payload=b"null"))).payload
        with ExitStack() as stack:
            for _ in range(9):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            second = (await channel.call(Call(payload=b"null"))).payload

    assert (first, second) == (b"1", b"1")


async def test_an_archive_that_is_replaced_is_read_anew(place: Path, write: Write) -> None:
    """
    A look into it leaves nothing that would be outdated then.
    """
    answers, archive = [], place / "archive.pyz"
    options = ExecOptions(protocol="oneshot", start_method="forkserver", args=(str(archive),))
    async with build(options).open(Endpoint(f"exec:{sys.executable}")) as channel:
        for number in range(3):
            (place / "inside").mkdir(exist_ok=True)
            write("import value\nprint(value.VALUE)", "inside/__main__.py", first="")
            write(f"{'#' * 99 * number}\nVALUE = {number}", "inside/value.py", first="")
            zipapp.create_archive(place / "inside", archive)
            answers.append((await channel.call(Call(payload=b"null"))).payload)

    assert answers == [b"0", b"1", b"2"]


@pytest.mark.parametrize("option", ["-i", "-x", "-ux"])
async def test_options_for_the_start_of_an_interpreter_are_obeyed(
    write: Write, caplog: pytest.LogCaptureFixture, option: str
) -> None:
    """
    By executing the program, as one line of the log says, and an inspection.
    """
    caplog.set_level(logging.INFO, "remora.exec")
    first = "no = = grammar" if "x" in option else ""
    program = write(f"import sys\nsys.stdin.read()\nprint(sys.flags.inspect)\nassert {not first} or 1", first=first)
    letter = option[-1]
    options = ExecOptions(protocol="oneshot", start_method="forkserver", args=(option, str(program)))
    transport, endpoint = build(options), Endpoint(f"exec:{sys.executable}")
    async with transport.open(endpoint) as channel:
        for _ in range(2):
            assert (await channel.call(Call(payload=b'"in"'))).payload == (b"1" if letter == "i" else b"0")

    why = f"a fork cannot have the option {letter} in {option}"
    said = [each for each in caplog.messages if "forked" in each]
    assert said == [f"{sys.executable} is executed, not forked: {why}"]
    assert transport.inspect(endpoint).measures["start"] == f"executed, not forked: {why}"  # type: ignore[attr-defined]


SLOW = "import os\nos.read(os.open(os.environ['PYTHONPATH'] + '/gate', os.O_RDONLY), 1)"
LASTING = """
import sys
is_forked = "remora.serve" in sys.modules
from remora import serve, service

@service("Who")
class Who:
    async def forked(self) -> bool:
        return is_forked

serve(Who())
"""


@pytest.mark.parametrize("protocol", ["ttrpc", "jsonl"])
@pytest.mark.long
async def test_a_plugin_comes_up_though_its_server_takes_too_long(
    anyio_backend: str,
    write: Write,
    place: Path,
    open_gate: Callable[[], object],
    caplog: pytest.LogCaptureFixture,
    until: Any,
    protocol: str,
) -> None:
    """
    The next start does not even wait; and nothing stays of the server, which gets ready when nobody needs it any more.
    """
    write(SLOW, "slow.py")
    plugin = {
        "endpoint": f"exec:{write(LASTING)}",
        "protocol": protocol,
        "service": "Who",
        "env": {"REMORA_BACKEND": anyio_backend, "PYTHONPATH": str(place)},
        "options": {"start_method": "forkserver", "preload": ["slow"]},
    }
    for seconds in (2, 100):
        table = {**plugin, "connection": {"connection_timeout": seconds, "request_timeout": 60}}
        manager = Manager({"plugins": {"who": table}})
        with anyio.fail_after(50), manager.events() as events:
            async with manager:
                await next_of(events, InstanceReady)
                assert await manager.execute("who", None, bool, method="forked") is False
    open_gate()
    await until(lambda: "remora-hiring" not in {each.name for each in threading.enumerate()})

    warning = f"{sys.executable} is not ready to fork after 2 s: programs are executed meanwhile"
    assert [each for each in caplog.messages if "not ready to fork" in each] == [warning]


async def test_calls_are_forked_again_when_a_late_server_is_ready(
    write: Write, place: Path, open_gate: Callable[[], object], until: Any
) -> None:
    """
    Calls that come while it loads wait for it only at first.
    """
    write(SLOW, "slow.py")
    async with build(preloading_slowly(place)).open(Endpoint(f"exec:{write(MEET)}")) as channel:

        async def is_forked() -> bool:
            return bool(json.loads((await channel.call(Call(payload=b"null"))).payload)[0])

        with anyio.fail_after(20):
            before = [await is_forked() for _ in range(3)]
        open_gate()
        await until(lambda: "remora-hiring" not in {each.name for each in threading.enumerate()})
        after = [await is_forked() for _ in range(2)]

    assert (before, after) == ([False] * 3, [True] * 2)
    assert _forking._late == {}


async def test_a_late_server_that_cannot_be_one_is_a_mistake_as_any_other(
    write: Write, place: Path, open_gate: Callable[[], object], until: Any
) -> None:
    """
    From the moment that it is known; whoever comes then waits again, to be told the same.
    """
    write(f"{SLOW}\nraise ImportError('no library')", "slow.py")
    async with build(preloading_slowly(place)).open(Endpoint(f"exec:{write(MEET)}")) as channel:
        with anyio.fail_after(20):
            await channel.call(Call(payload=b"null"))
        open_gate()
        await until(lambda: "remora-hiring" not in {each.name for each in threading.enumerate()})
        with anyio.fail_after(20), pytest.raises(ConfigError, match="no library"):
            await channel.call(Call(payload=b"null"))

    assert _forking._late == {}


async def test_a_server_that_hangs_while_it_loads_fails_no_call(
    write: Write, place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Not even when it is given up; another one is not tried for a while, and nobody waits for it.
    """
    monkeypatch.setattr(_keeper_launch, "_LOAD_TIMEOUT", 2.0)
    write("import os, signal\nopen(f'{__file__}.pids', 'a').write(f'{os.getpid()} ')\nsignal.pause()", "hung.py")
    options: dict[str, Any] = {"preload": ("hung",), "env": {"PYTHONPATH": str(place)}}
    slow = ConnectionConfig(connection_timeout=100)

    with anyio.fail_after(20):
        found = [await fork(write(MEET), connection=slow, **options) for _ in range(3)]
    assert found == [[False, "theirs", "theirs"]] * 3
    pids = place / "hung.py.pids"  # not there if the server was too slow even for that
    assert not pids.exists() or pids.read_text().count(" ") == 1
    warning = f"{sys.executable} is not ready to fork after 2 s: programs are executed meanwhile"
    assert [each for each in caplog.messages if "not ready to fork" in each] == [warning]
