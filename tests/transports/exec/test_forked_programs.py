"""
Programs of Python that are forked instead of executed: nothing else about them differs, and they are ready at once.
"""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
import zipapp
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import Manager
from remora.config import LimitsConfig, SecurityConfig
from remora.errors import PluginDied, PluginError
from remora_exec._keeping import _starter
from tests.transports.exec.facts import FACTS
from tests.transports.exec.forks import fork, run

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("server"),
    pytest.mark.skipif(not _starter.KEEPS_DESCENDANTS, reason="needs Linux and ctypes"),
]

Write = Callable[..., Path]


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
async def test_a_script_is_run_by_what_its_first_line_names(write, first):
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
