"""
No descendant outlives its plugin, wherever it has gone, and however the plugin, the host or their keepers end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from remora.config import LimitsConfig, SecurityConfig
from remora.errors import PluginDied
from remora.types import Call, Endpoint
from remora_exec._keeping import _keeper, _keeper_launch, _starter
from remora_exec.plugin import ExecOptions, build

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not _starter.KEEPS_DESCENDANTS, reason="needs Linux and ctypes")]

HERE = Path(__file__).parent
QUICK = {"protocol": "jsonl", "stop_grace": 0.05, "term_grace": 0.05}
WAYS_OUT = {
    "a session": "setsid {stray} &",
    "a daemon": "(setsid {stray} &)",
    "sessions within sessions": "setsid sh -c 'setsid sh -c \"{stray} & sleep 600\" & sleep 600' &",
}


def living(place: Path, trap: str = "", way: str = "a daemon") -> str:
    """
    A script that answers one call with its number once its grandchild, which tells its own, is on its way.
    """
    program = place / "stray.sh"
    told = f"echo $$ > {place}/new; mv {place}/new {place}/stray"
    program.write_text(f"#!/bin/sh\n{trap}\n{told}\nsleep 600 & wait\n")
    program.chmod(0o755)
    return f"""
        {WAYS_OUT[way].format(stray=program)}
        until [ -s {place}/stray ]; do sleep 0.01; done
        read -r line; echo '{{"id":1,"result":'$$'}}'
        read -r line; exit 3
    """


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def keeper() -> int:
    """
    The keeper of this process.
    """
    return _keeper._keepers[-1].popen.pid


@pytest.fixture
def family(is_running: Callable[[int], bool]) -> Callable[[int], list[int]]:
    """
    A process and all below it that run.
    """

    def find(pid: int) -> list[int]:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [each for each in (pid, *(x for child in below for x in find(int(child)))) if is_running(each)]

    return find


@pytest.mark.fault(14)
@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize("end", ["stopped", "by itself", "killed"])
async def test_what_leaves_the_session_ends_with_its_plugin(
    open_script, script, ask, is_running, family, tmp_path, way, end
):
    with anyio.fail_after(10):
        async with open_script(script(living(tmp_path, way=way)), **QUICK) as channel:
            pid = await ask(channel, "m")
            everybody = family(parent_of(pid))
            if end == "by itself":
                with pytest.raises(PluginDied, match="status 3"):
                    await ask(channel, "m")
            elif end == "killed":
                os.kill(pid, signal.SIGKILL)

    assert int((tmp_path / "stray").read_text()) in everybody
    assert [each for each in everybody if is_running(each)] == []


@pytest.mark.fault(14)
@pytest.mark.parametrize("is_polite", [True, False])
async def test_it_is_asked_to_end_and_killed_half_a_second_later(
    open_script, script, ask, is_running, tmp_path, is_polite
):
    trap = f"trap ': > {tmp_path}/asked; exit' TERM" if is_polite else "trap '' TERM"
    async with open_script(script(living(tmp_path, trap)), **QUICK) as channel:
        await ask(channel, "m")
        stray = int((tmp_path / "stray").read_text())
        started = anyio.current_time()

    assert not is_running(stray)
    assert anyio.current_time() - started < 3
    assert (tmp_path / "asked").exists() == is_polite


@pytest.mark.fault(14, 15)
@pytest.mark.parametrize("way", ["keeper", "forked"])
@pytest.mark.parametrize("and_keeper", [False, True])
@pytest.mark.long
async def test_what_leaves_the_session_ends_with_a_killed_host(
    anyio_backend, script, until, is_running, tmp_path, way, and_keeper
):
    endpoint = script(living(tmp_path, "trap '' TERM HUP"))
    command = [sys.executable, str(HERE / "host.py"), anyio_backend, way, endpoint.url, "jsonl"]
    host = await anyio.open_process(command, stderr=None)
    assert host.stdout is not None
    with anyio.fail_after(20):
        plugin, *copies = map(int, (await host.stdout.receive()).split())
    stray = int((tmp_path / "stray").read_text())
    try:
        if and_keeper:
            os.kill(parent_of(parent_of(plugin)), signal.SIGKILL)
        host.kill()

        await until(lambda: not is_running(plugin) and not is_running(stray))
    finally:
        for pid in copies:
            os.kill(pid, signal.SIGKILL)
        await host.aclose()


@pytest.mark.fault(14)
async def test_a_keeper_that_is_killed_is_missed_by_nobody(open_script, script, ask, is_running, children, tmp_path):
    """
    Programs go on, their descendants still end with them, and the next start makes another keeper.
    """
    before = sorted(children())
    async with open_script(script(living(tmp_path)), **QUICK) as first:
        await ask(first, "m")
        os.kill(killed := keeper(), signal.SIGKILL)
        async with open_script(script('read -r line; echo \'{"id":1,"result":5}\''), **QUICK) as second:
            assert await ask(second, "m") == 5
            assert keeper() != killed
        with pytest.raises(PluginDied, match="status 3"):
            await ask(first, "m")

    assert not is_running(int((tmp_path / "stray").read_text()))
    assert before == sorted(children())


@pytest.mark.fault(14)
async def test_a_warden_that_is_killed_takes_all_with_it(open_script, script, ask, is_running, until, tmp_path):
    """
    The program dies of it, and the keeper ends the rest.
    """
    async with open_script(script(living(tmp_path, "trap '' TERM")), **QUICK) as channel:
        pid = await ask(channel, "m")
        os.kill(parent_of(pid), signal.SIGKILL)
        with anyio.fail_after(5), pytest.raises(PluginDied, match="SIGKILL"):
            await ask(channel, "m")
        await until(lambda: not is_running(int((tmp_path / "stray").read_text())))


@pytest.mark.fault(14)
async def test_calls_in_turn_share_a_warden_but_leave_nothing_to_each_other(
    open_script, script, ask, is_running, until
):
    """
    What a program has left is gone before the next one starts, and the warden goes with the channel.
    """
    body = "setsid sleep 600 > /dev/null 2>&1 & echo [$PPID,$!]"
    with anyio.fail_after(10):
        async with open_script(script(body), protocol="oneshot") as channel:
            wardens = set()
            for _ in range(3):
                warden, stray = await ask(channel, "m")
                wardens.add(warden)
                assert not is_running(stray)
        await until(lambda: not is_running(warden))

    assert {warden} == wardens


@pytest.mark.fault(14)
async def test_calls_at_once_have_a_warden_each(open_script, script, ask, tmp_path):
    both = f"until [ $(ls {tmp_path}/at | wc -l) = 2 ]; do sleep 0.01; done"
    (tmp_path / "at").mkdir()
    wardens = []

    async def call() -> None:
        wardens.append(await ask(channel, "m"))

    with anyio.fail_after(10):
        async with open_script(script(f": > {tmp_path}/at/$$; {both}; echo $PPID"), protocol="oneshot") as channel:
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                group.start_soon(call)

    assert len(set(wardens)) == 2


@pytest.mark.fault(14)
@pytest.mark.parametrize("who", ["warden", "keeper"])
async def test_a_warden_without_a_program_is_missed_by_nobody(open_script, script, ask, is_running, until, who):
    """
    Neither when it is killed, nor when its keeper is, without which it takes no other program.
    """
    with anyio.fail_after(10):
        async with open_script(script("echo $PPID"), protocol="oneshot") as channel:
            before = await ask(channel, "m")
            killed = before if who == "warden" else keeper()
            os.kill(killed, signal.SIGKILL)
            await until(lambda: not is_running(killed))
            after = await ask(channel, "m")
            await until(lambda: not is_running(before))

    assert before != after


@pytest.mark.fault(14)
@pytest.mark.parametrize("way", ["keeper", "forked"])
async def test_a_warden_without_a_program_ends_with_a_killed_host(anyio_backend, script, until, is_running, way):
    command = [sys.executable, str(HERE / "host.py"), anyio_backend, way, script("echo $PPID").url, "oneshot"]
    host = await anyio.open_process(command, stderr=None)
    assert host.stdout is not None
    with anyio.fail_after(20):
        warden, *copies = map(int, (await host.stdout.receive()).split())
    was_there = is_running(warden)
    try:
        host.kill()

        await until(lambda: not is_running(warden))
        assert was_there
    finally:
        for pid in copies:
            os.kill(pid, signal.SIGKILL)
        await host.aclose()


@pytest.mark.parametrize("protocol", ["ttrpc", "jsonl"])
@pytest.mark.parametrize("way", ["forked", "forked early"])
async def test_a_fork_of_the_host_delays_neither_the_start_nor_the_end_of_a_plugin(
    anyio_backend, script, protocol, way
):
    """
    The fork lives on, and has copies of all that the host held open.
    """
    endpoint, *args = (f"exec:{sys.executable}", protocol, str(HERE / "child.py"), anyio_backend)
    if protocol == "jsonl":
        endpoint, *args = (script('read -r line; echo \'{"id":1,"result":1}\'; cat').url, protocol)
    command = [sys.executable, str(HERE / "host.py"), anyio_backend, way, endpoint, *args]
    host = await anyio.open_process(command, stderr=None)
    assert host.stdin is not None
    assert host.stdout is not None
    with anyio.fail_after(20):
        copies = list(map(int, (await host.stdout.receive()).split()))[1:]
    try:
        with anyio.fail_after(20):
            await host.stdin.aclose()

            assert await host.wait() == 0
    finally:
        for pid in copies:
            os.kill(pid, signal.SIGKILL)
        await host.aclose()


@pytest.mark.fault(14, 17)
async def test_orphans_that_end_are_reaped_while_the_plugin_goes_on(open_script, script, ask, until, tmp_path):
    async with open_script(script(living(tmp_path)), **QUICK) as channel:
        await ask(channel, "m")
        os.kill(stray := int((tmp_path / "stray").read_text()), signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{stray}").exists())


HOPPER = """
import json, os, sys, time
def hop():
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
        with open(sys.argv[1], "ab") as marks:
            marks.write(b".")
        time.sleep(0.0005)
for _ in range(3):
    if os.fork() == 0:
        os.close(0), os.close(1), os.close(2)
        hop()
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "result": os.getpid()}), flush=True)
"""


@pytest.mark.fault(14, 20)
async def test_those_who_fork_and_leave_all_the_time_are_caught(open_script, ask, until, tmp_path):
    """
    Each of them lives for a moment only, in a session of its own.
    """
    marks = tmp_path / "marks"
    options = {**QUICK, "args": ("-c", HOPPER, str(marks))}
    async with open_script(Endpoint(f"exec:{sys.executable}"), **options) as channel:
        await ask(channel, "m")
        await until(lambda: marks.exists() and marks.stat().st_size > 100)

    count = marks.stat().st_size
    await anyio.wait_all_tasks_blocked()
    assert marks.stat().st_size == count
    assert not _named(str(marks))


def _named(word: str) -> list[Path]:
    """
    The processes that have a word in their arguments.
    """
    return [each.parent for each in Path("/proc").glob("[0-9]*/cmdline") if word in _text(each)]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@pytest.mark.fault(14)
async def test_a_plugin_cannot_end_its_warden_by_mistake(open_script, ask, is_running):
    """
    Neither by signals to its parent, to its group, nor to the parent's parent.
    """
    code = (
        "import json, os, signal, sys\n"
        "above = int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])\n"
        "for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    os.kill(os.getppid(), number), os.kill(above, number)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.kill(0, signal.SIGTERM)\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'result': os.getppid()}), flush=True)\n"
    )
    async with open_script(Endpoint(f"exec:{sys.executable}"), **QUICK, args=("-c", code)) as channel:
        warden = await ask(channel, "m")
        assert is_running(warden)
        assert await ask(channel, "m") == warden
    assert not is_running(warden)


FACTS = """
import json, os, resource, signal, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
warden = open(f"/proc/{os.getppid()}/limits").read()
print(json.dumps({
    "blocked": int(status["SigBlk"], 16), "ignored": int(status["SigIgn"], 16),
    "processes": resource.getrlimit(resource.RLIMIT_NPROC)[0],
    "warden": [line.split()[-3] for line in warden.splitlines() if "processes" in line][0],
    "session": os.getsid(0) == os.getpid() == os.getpgrp(), "directory": os.getcwd(),
}))
"""


def ignored_signals() -> int:
    """Those of the host, as bits; a shell ignores some for what it starts in the background."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("SigIgn:")[2].split()[0], 16)


@pytest.mark.fault(20)
async def test_a_program_starts_as_if_its_host_had_started_it():
    """
    In its session, where the host is, with no signal kept out but what the host ignores; its limits are its own and not
    its warden's.
    """
    security = SecurityConfig(limits=LimitsConfig(processes=7))
    transport = build(ExecOptions(protocol="oneshot", security=security, args=("-c", FACTS)))
    async with transport.open(Endpoint(f"exec:{sys.executable}")) as channel:
        found = json.loads((await channel.call(Call(payload=b"null"))).payload)

    assert found.pop("warden") != "7"
    assert {
        "blocked": 0, "ignored": ignored_signals(), "processes": 7, "session": True,
        "directory": os.getcwd(),
    } == found  # fmt: skip


@pytest.mark.parametrize("way", ["another system", "an application that has python built in", "no interpreter"])
async def test_where_no_keeper_runs_process_groups_are_kept(
    open_script, script, ask, monkeypatch, caplog, tmp_path, group_members, way
):
    """
    With one warning where that could not be foreseen.
    """
    monkeypatch.setattr(_starter, "_is_warned", False)
    if way == "another system":
        monkeypatch.setattr(_starter, "KEEPS_DESCENDANTS", False)
    elif way == "no interpreter":
        monkeypatch.setattr(sys, "executable", "/no/such/python")
    else:
        (tmp_path / "python").symlink_to("/bin/true")
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    body = "sleep 600 & read -r line; echo '{\"id\":1,\"result\":'$$'}'; read -r line; exit 3"
    for _ in range(2):
        async with open_script(script(body), **QUICK) as channel:
            pid = await ask(channel, "m")
            with pytest.raises(PluginDied, match="status 3"):
                await ask(channel, "m")
        assert group_members(pid) == []

    warnings = [each for each in caplog.messages if "may outlive it" in each]
    assert len(warnings) == (0 if way == "another system" else 1)


async def test_a_keeper_that_could_not_run_is_tried_again_at_the_next_start(open_script, script, ask, tmp_path):
    """
    The system may have had no memory for it: the weaker means are not for ever.
    """
    body = "read -r line; echo '{\"id\":1,\"result\":'$PPID'}'; read -r line"
    (tmp_path / "python").symlink_to("/bin/true")
    parents = []
    for path in (str(tmp_path / "python"), sys.executable):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", path)
            async with open_script(script(body), **QUICK) as channel:
                parents.append(await ask(channel, "m"))

    assert os.getpid() == parents[0]
    assert os.getpid() != parents[1]


def test_the_keeper_loads_nothing_heavy():
    """
    It is waited for when a host starts its first program, and stays in memory.
    """
    code = "import sys; sys.path.append(sys.argv[1]); import remora_exec._keeping._keeper_process; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, _keeper_launch._ROOT]
    loaded = set(subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.split())

    assert loaded & {"asyncio", "dataclasses", "enum", "re", "signal", "socket", "subprocess", "typing"} == set()
    assert {each for each in loaded if each.startswith("remora")} == {
        "remora_exec",
        "remora_exec._keeping",
        *(
            f"remora_exec._keeping._{each}"
            for each in ["birth", "keeper_process", "kernel", "order", "strays", "warden", "words"]
        ),
    }
