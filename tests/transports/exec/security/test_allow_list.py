"""
Which programs may be started: those that a list pins, as the policy says.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from remora import Manager
from remora.config import SecurityConfig
from remora.errors import Code, ExecutableRefused
from remora.types import Call, Endpoint, InstanceLost, InstanceReady, ProgramReadmitted, ProgramRevoked
from remora_exec._command import Command
from remora_exec._confinement import Confinement
from remora_exec._keeping._starter import keeping
from remora_exec._notices import Notices
from remora_exec._security import _admission
from remora_exec._security._guard import Guard
from remora_exec.plugin import ExecOptions, build
from tests.core.hosts import next_of
from tests.transports.exec.security.pinned import answer, pins

pytestmark = pytest.mark.anyio

ROUNDS = 25
PYTHON = Path(sys.executable).resolve()


async def test_a_pinned_program_runs_and_another_one_does_not(place, program):
    """
    The error is typed and says what to do.
    """
    right, wrong = program(), program("wrong", "other")
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", right))

    assert await answer(right, security) == "right"
    with pytest.raises(ExecutableRefused, match=r"remora security pin") as caught:
        await answer(wrong, security)
    assert caught.value.code is Code.PERMISSION_DENIED
    assert caught.value.sha256 == hashlib.sha256(wrong.read_bytes()).hexdigest()
    assert not caught.value.sent


async def test_the_manager_tells_callers_what_was_refused(place, program):
    """
    The plugin fails typed, and the others work.
    """
    program("wrong", "bad"), program("right", "good")
    pins(place / "list.toml", place / "good")
    table = {"protocol": "oneshot"}
    config = {
        "security": {"allow_list": str(place / "list.toml")},
        "plugins": {
            "p": {"endpoint": f"exec:{place}/bad", **table},
            "q": {"endpoint": f"exec:{place}/good", **table},
        },
    }
    with anyio.fail_after(20):
        async with Manager(config) as manager:
            assert await manager.execute("q", None, str) == "right"
            with pytest.raises(ExecutableRefused, match="which the allow-list does not have"):
                await manager.execute("p", None, str)


@pytest.mark.parametrize(("policy", "runs"), [("strict", False), ("permissive", True), ("audit-only", True)])
async def test_what_is_not_listed_runs_as_the_policy_says(place, program, policy, runs):
    """
    And so it is when there is no list at all.
    """
    path = program()
    empty = place / "list.toml"
    empty.write_text("version = 1\n")
    for allow_list in (str(empty), str(place / "missing.toml"), ""):
        security = SecurityConfig(policy=policy, allow_list=allow_list)
        if runs:
            assert await answer(path, security) == "right"
        else:
            with pytest.raises(ExecutableRefused):
                await answer(path, security)


async def test_audit_only_checks_everything_and_blocks_nothing(place, program):
    """
    The log says what strict would have refused.
    """
    path, log = program(), place / "audit.jsonl"
    path.chmod(0o777)
    security = SecurityConfig(policy="audit-only", audit_log=str(log))

    assert await answer(path, security) == "right"
    record = json.loads(log.read_text().splitlines()[0])
    assert record["outcome"] == "would-refuse"
    assert [f"{path} can be written by everybody", "there is no allow-list"] == record["reasons"]


def test_what_others_can_write_to_is_no_better_when_the_list_is_read_again(place, program):
    """
    A program that runs under "audit-only" although it would be refused.
    """
    path = program()
    path.chmod(0o777)
    security = SecurityConfig(policy="audit-only", allow_list=pins(place / "list.toml", path))
    guard = Guard(security, plugin="p", endpoint="exec:x", notices=Notices())
    with guard.examined(str(path)) as verdict:
        assert (f"{path} can be written by everybody",) == verdict.decision.reasons
        assert verdict.decision == guard.review(verdict)


async def test_audit_only_warns_of_a_program_once_and_again_when_something_has_changed(place, program, caplog):
    """
    The number of warnings after each start, of one call or of a restart; the audit log has them all.
    """
    path, log, counts = program(), place / "audit.jsonl", []
    allow_list = pins(place / "list.toml", program("other", "other"))
    security = SecurityConfig(policy="audit-only", allow_list=allow_list, audit_log=str(log))
    transport = build(ExecOptions(name="p", protocol="oneshot", security=security))

    async def start() -> None:
        async with transport.open(Endpoint(f"exec:{path}")) as channel:
            for _ in range(2):
                assert (await channel.call(Call(payload=b"null"))).payload == b'"right"'
        counts.append(len([each for each in caplog.messages if f"{path} would be refused" in each]))

    with anyio.fail_after(20):
        for mode in (0o700, 0o700, 0o777, 0o777):
            path.chmod(mode)
            await start()
        path.chmod(0o700)
        for listed in (path, place / "other"):
            pins(Path(allow_list), listed)
            await start()

    assert counts == [1, 1, 2, 2, 2, 3]
    assert len(log.read_text().splitlines()) == 6 * 3


@pytest.mark.fault(74)
async def test_a_swapped_program_never_runs(place, program):
    """
    Another thread swaps the file all the time; what runs was hashed, and what was not pinned is refused.
    """
    right, wrong = program(name="right-one"), program("wrong", "wrong-one")
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", right))
    path, ended, swaps = place / "program", threading.Event(), [0]
    os.link(right, path)

    def swap() -> None:
        while not ended.is_set():
            for source in (wrong, right):
                os.link(source, place / "next")
                os.replace(place / "next", path)
                swaps[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = {"right": 0, "refused": 0}
    try:
        for _ in range(ROUNDS):
            try:
                outcomes[await answer(path, security)] += 1
            except ExecutableRefused:
                outcomes["refused"] += 1
    finally:
        ended.set()
        thread.join()

    assert outcomes["right"] + outcomes["refused"] == ROUNDS
    assert swaps[0] > 0


@pytest.mark.fault(74)
@pytest.mark.parametrize("interpreted", [True, False])
async def test_the_file_that_was_hashed_is_the_one_that_runs(place, program, interpreted):
    """
    The name leads elsewhere as soon as the verdict is there.
    """
    right = program()
    if not interpreted:
        shutil.copy(shutil.which("echo") or "/bin/echo", right)
        right.chmod(0o755)
    wrong = program("wrong", "other")
    options = ExecOptions(security=SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", right)))
    guard = Guard(options.security, plugin="p", endpoint="exec:x", notices=Notices())
    reading, writing = os.pipe()
    with open(os.devnull) as null:
        async with keeping() as starter, guard.admitted(str(right)) as verdict:
            os.replace(wrong, right)
            command = Command((str(right), '"right"'), {"PATH": os.defpath})
            order = Confinement(options).order(command, verdict)
            child = await starter.start(order, stdin=null.fileno(), stdout=writing)
            os.close(writing)
            with closing(child), open(child.stderr), open(reading) as output:
                said = output.read().strip()

    assert said == '"right"'


async def test_a_pinned_program_keeps_the_name_that_it_is_called_by(place):
    """
    A virtual environment is found by that name, and so are programs that are several in one.
    """
    link = place / "python"
    link.symlink_to(sys.executable)
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", PYTHON))
    code = "import sys, json; json.dump([sys.executable, sys.orig_argv[0]], sys.stdout)"

    assert await answer(link, security, args=("-c", code)) == [str(link), str(link)]


async def test_a_list_is_read_again_and_a_broken_one_changes_nothing(place, program, caplog):
    """
    One warning for one broken list; what is repaired counts at once.
    """
    one, two, path = program(name="one"), program("two", "two"), place / "list.toml"
    security = SecurityConfig(policy="strict", allow_list=pins(path, one))
    assert await answer(one, security) == "right"
    pins(path, two)
    assert await answer(two, security) == "two"
    path.write_text("version = 1\n[plugins.p")
    assert await answer(two, security) == "two"
    assert await answer(two, security) == "two"

    assert len([each for each in caplog.messages if "the last good one stays" in each]) == 1
    with pytest.raises(ExecutableRefused):
        await answer(one, security)
    path.unlink()
    with pytest.raises(ExecutableRefused, match="there is no allow-list"):
        await answer(two, security)
    pins(path, one)
    assert await answer(one, security) == "right"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Awaitable[str]]]:
    """
    Waits for the next record of the transport's logger that has some words, with the list looked at often.
    """
    records: list[str] = []
    more = [anyio.Event()]

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())
            anyio.from_thread.run_sync(more[0].set) if threading.current_thread() is not home else more[0].set()

    async def wait(words: str) -> str:
        while not (found := [each for each in records if words in each]):
            more[0] = anyio.Event()
            await more[0].wait()
        records.clear()
        return found[0]

    home, listener, logger = threading.current_thread(), Listener(), logging.getLogger("remora.exec")
    monkeypatch.setattr(_admission, "_INTERVAL", 0.02)
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    yield wait
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(listener)


@pytest.mark.parametrize("policy", ["strict", "audit-only"])
async def test_a_list_is_watched_and_tells_what_runs_without_its_leave(place, said, policy):
    """
    The program goes on; a broken list revokes nothing.
    """
    other, path, log = place / "other", place / "list.toml", place / "audit.jsonl"
    other.write_text("another program")
    security = SecurityConfig(policy=policy, allow_list=pins(path, PYTHON), audit_log=str(log))
    answers = "print(json.dumps({'id': json.loads(line)['id'], 'result': 1}), flush=True)"
    body = f"import sys, json\nfor line in sys.stdin: {answers}"
    options = ExecOptions(name="p", protocol="jsonl", security=security, args=("-c", body))
    with anyio.fail_after(20):
        async with build(options).open(Endpoint(f"exec:{PYTHON}")) as channel:
            path.write_text("version = 1\n[plugins.p")
            await said("the last good one stays in force")
            pins(path, other)
            revoked = await said("would not be started any more")
            pins(path, other, PYTHON)
            await said("may be started again")
            path.unlink()
            gone = await said("would not be started any more")
            still = await channel.call(Call(payload=b"null", content_type="application/json"))
    outcomes = [json.loads(line)["outcome"] for line in log.read_text().splitlines()]

    assert revoked.startswith(f"plugin 'p': {PYTHON}, which runs, would not be started any more: its SHA-256 is ")
    assert gone.endswith(f"there is no allow-list {path}")
    assert still.payload == b"1"
    assert outcomes == ["allowed", "revoked", "allowed", "revoked"]


@pytest.mark.parametrize("protocol", ["jsonl", "ttrpc"])
async def test_a_program_that_the_list_has_no_more_is_an_event(place, monkeypatch, anyio_backend_name, protocol):
    """
    And one more when it is back; it runs on, and a restart is refused.
    """
    monkeypatch.setattr(_admission, "_INTERVAL", 0.02)
    other, path = place / "other", place / "list.toml"
    other.write_text("another program")
    table = {"endpoint": f"exec:{PYTHON}", "protocol": protocol, "args": ["-c", SERVES[protocol]]}
    table |= {"env": {"PYTHONPATH": os.pathsep.join(sys.path), "REMORA_BACKEND": anyio_backend_name}}
    config = {"security": {"policy": "strict", "allow_list": pins(path, PYTHON)}, "plugins": {"p": table}}
    manager = Manager(config)
    with anyio.fail_after(20), manager.events() as events:
        async with manager:
            ready = await next_of(events, InstanceReady)
            pins(path, other)
            revoked = await next_of(events, ProgramRevoked)
            pins(path, other, PYTHON)
            back = await next_of(events, ProgramReadmitted)
            assert await manager.execute("p", 1, int, method="echo") == 1
            pins(path, other)
            await next_of(events, ProgramRevoked)
            manager.restart("p")
            lost = await next_of(events, InstanceLost)

    about = ("p", ready.instance, str(PYTHON))
    assert about == (revoked.plugin, revoked.instance, revoked.program) == (back.plugin, back.instance, back.program)
    assert "which the allow-list does not have" in revoked.cause
    assert "which the allow-list does not have" in lost.cause


SERVES = {
    "jsonl": (
        "import sys, json\nfor line in sys.stdin:\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'result': 1}), flush=True)\n"
    ),
    "ttrpc": (
        "from remora import serve, service\n@service('p')\nclass P:\n"
        "    async def echo(self, request: int) -> int: return request\nserve(P())\n"
    ),
}


@pytest.mark.parametrize("policy", ["strict", "permissive"])
async def test_a_list_that_was_never_good_refuses(place, program, policy):
    """
    What it would have pinned is not known.
    """
    (place / "list.json").write_text('{"version": 1, "plugins": []}')
    with pytest.raises(ExecutableRefused, match="cannot be used: plugins: expected a table"):
        await answer(program(), SecurityConfig(policy=policy, allow_list=str(place / "list.json")))


async def test_a_list_that_others_may_write_is_none(place, program):
    """
    They could allow what they like.
    """
    path = program()
    allow_list = pins(place / "list.toml", path)
    os.chmod(allow_list, 0o666)
    with pytest.raises(ExecutableRefused, match=r"list.toml can be written by everybody"):
        await answer(path, SecurityConfig(policy="strict", allow_list=allow_list))


async def test_a_refused_oneshot_call_is_typed(place, program):
    """
    The program was right when the channel was opened.
    """
    path = program()
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", path))
    transport = build(ExecOptions(name="p", protocol="oneshot", security=security))
    async with transport.open(Endpoint(f"exec:{path}")) as channel:
        assert (await channel.call(Call(payload=b"null"))).payload == b'"right"'
        os.replace(program("wrong", "other"), path)
        with pytest.raises(ExecutableRefused):
            await channel.call(Call(payload=b"null"))


async def test_refusals_leave_no_descriptor(place, program):
    """
    Nor does what is allowed.
    """
    path = program()
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", path))
    other = program("wrong", "other")
    await answer(path, security)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await answer(path, security)
        with pytest.raises(ExecutableRefused):
            await answer(other, security)

    assert before == len(os.listdir("/proc/self/fd"))
