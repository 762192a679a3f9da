"""
What may be started, and how it is confined: real programs, real files, real limits. Numbers are those of the faults.

Nothing here depends on who runs it: permissions are judged by mode bits, and root has those too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import resource
import shutil
import stat
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from remora import Manager
from remora.config import LimitsConfig, SecurityConfig
from remora.errors import Code, ConfigError, ExecutableRefused
from remora.security import AllowEntry, AllowList, render_allow_list
from remora.types import Call, Endpoint, InstanceLost, InstanceReady, ProgramReadmitted, ProgramRevoked
from remora_exec._command import Command
from remora_exec._confinement import Confinement
from remora_exec._keeping._starter import keeping
from remora_exec._notices import Notices
from remora_exec._security import _admission
from remora_exec._security._audit import AuditLog
from remora_exec._security._guard import Guard
from remora_exec.plugin import ExecOptions, build
from tests.core.hosts import next_of

pytestmark = pytest.mark.anyio

ROUNDS = 25
PYTHON = Path(sys.executable).resolve()


@pytest.fixture
def program(place: Path) -> Callable[..., Path]:
    """
    Writes a script that answers one call with one value.
    """

    def write(answer: str = "right", name: str = "program") -> Path:
        path = place / name
        path.write_text(f'#!/bin/sh\ncat > /dev/null\nprintf \'"%s"\' "{answer}"\n')
        path.chmod(0o755)
        return path

    return write


def pins(path: Path, *programs: Path, **facts: Any) -> str:
    """
    Write a list that pins programs for the plugin `p`.
    """
    hashes = tuple(hashlib.sha256(each.read_bytes()).hexdigest() for each in programs)
    path.write_text(render_allow_list(AllowList({"p": AllowEntry(sha256=hashes, **facts)})))
    path.chmod(0o644)
    return str(path)


async def answer(path: Path | str, security: SecurityConfig, **options: Any) -> Any:
    """
    What the program answers when it is run once.
    """
    transport = build(ExecOptions(name="p", protocol="oneshot", security=security, **options))
    async with transport.open(Endpoint(f"exec:{path}")) as channel:
        return json.loads((await channel.call(Call(payload=b"null"))).payload)


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


@pytest.mark.fault(51)
async def test_an_audit_log_that_cannot_be_written_is_a_warning_until_it_can_be(place, program, caplog):
    """
    The number of warnings after each call.
    """
    folder, counts = place / "log", []
    security = SecurityConfig(audit_log=str(folder / "audit.jsonl"))
    transport = build(ExecOptions(name="p", protocol="oneshot", security=security))
    with anyio.fail_after(20):
        async with transport.open(Endpoint(f"exec:{program()}")) as channel:
            for there in (False, False, True, False):
                if there:
                    folder.mkdir()
                elif folder.exists():
                    shutil.rmtree(folder)
                await channel.call(Call(payload=b"null"))
                counts.append(len([each for each in caplog.messages if "cannot be written" in each]))

    assert counts == [1, 1, 1, 2]


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


@pytest.mark.fault(75)
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o722])
@pytest.mark.parametrize("policy", ["strict", "permissive"])
async def test_a_program_that_others_may_write_is_refused(place, program, mode, policy):
    """
    By its mode, so also when root starts it; a pinned hash does not help.
    """
    path = program()
    path.chmod(mode)
    security = SecurityConfig(policy=policy, allow_list=pins(place / "list.toml", path))
    with pytest.raises(ExecutableRefused, match=r"can be written by (everybody|its group).*chmod go-w"):
        await answer(path, security)

    path.chmod(0o755)
    assert await answer(path, security) == "right"


@pytest.mark.fault(75)
@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
async def test_a_program_in_a_directory_that_others_may_write_is_refused(place, program, mode):
    """
    Without any configuration, and also when the directory is sticky.
    """
    (place / "bin").mkdir()
    path = program(name="bin/program")
    (place / "bin").chmod(mode)
    with pytest.raises(ExecutableRefused, match=f"the directory {place}/bin can be written by"):
        await answer(path, SecurityConfig())


@pytest.mark.fault(75)
async def test_directories_further_up_count_unless_they_are_sticky(place, program):
    """
    Who can rename a directory can put another in its place; the sticky bit takes that away.
    """
    (place / "a" / "b").mkdir(parents=True)
    path = program(name="a/b/program")
    (place / "a").chmod(0o1777)
    assert await answer(path, SecurityConfig()) == "right"
    (place / "a").chmod(0o777)
    with pytest.raises(ExecutableRefused, match=f"the directory {place}/a can be written by everybody"):
        await answer(path, SecurityConfig())


@pytest.mark.fault(75)
async def test_a_symbolic_link_in_a_directory_that_others_may_write_is_refused(place, program):
    """
    Who can turn the link can choose the program.
    """
    (place / "open").mkdir()
    (place / "open" / "link").symlink_to(program())
    (place / "open").chmod(0o777)
    with pytest.raises(ExecutableRefused, match=f"the directory {place}/open can be written by everybody"):
        await answer(place / "open" / "link", SecurityConfig())


@pytest.mark.fault(75)
@pytest.mark.parametrize("target", ["{place}/open/link", "../to/../open/link", "{place}/open/folder/program"])
async def test_a_link_on_the_way_that_others_may_turn_is_refused(place, program, target):
    """
    Where one link leads to the next, also by way of a directory; the first and the last are well.
    """
    (place / "open").mkdir()
    (place / "good").mkdir()
    (place / "to").symlink_to(place / "good")
    (place / "open" / "link").symlink_to(program())
    (place / "open" / "folder").symlink_to(place)
    (place / "good" / "link").symlink_to(target.format(place=place))
    assert await answer(place / "good" / "link", SecurityConfig()) == "right"
    (place / "open").chmod(0o777)
    with pytest.raises(ExecutableRefused, match=r"the directory [^ ]*/open can be written by everybody"):
        await answer(place / "good" / "link", SecurityConfig())


@pytest.mark.fault(75)
@pytest.mark.parametrize("reads", [True, False])
async def test_a_script_whose_interpreter_others_may_write_is_refused(place, program, reads):
    """
    It is the interpreter that runs.
    """
    shell, path = place / "shell", program()
    shutil.copyfile("/bin/sh", shell)
    shell.chmod(0o755)
    path.write_text(path.read_text().replace("#!/bin/sh", f"#! {shell} -e"))
    security = SecurityConfig(allow_list=pins(place / "list.toml", path) if reads else "")
    assert await answer(path, security) == "right"
    shell.chmod(0o775)

    with pytest.raises(ExecutableRefused, match=f"{shell} can be written by its group"):
        await answer(path, security)


@pytest.mark.parametrize("weak", ["bwrap", "prlimit"])
async def test_a_sandbox_that_others_may_write_is_none(place, program, monkeypatch, weak):
    """
    Nor is what sets limits before it.
    """
    for name in ("bwrap", "prlimit"):
        (place / f"for-{name}").mkdir(mode=0o755)
        (place / f"for-{name}" / name).write_text("#!/bin/sh\nexec true\n")
        (place / f"for-{name}" / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}/for-{name}", prepend=os.pathsep)
    (place / f"for-{weak}").chmod(0o777)

    with pytest.raises(ConfigError, match=rf"/{weak} is not used: .*can be written by everybody"):
        await answer(program(), SecurityConfig(sandbox="bwrap"))


async def test_a_pipe_in_the_place_of_the_audit_log_blocks_nobody(place, program):
    """
    A start would wait for ever for somebody who reads it.
    """
    os.mkfifo(place / "audit.jsonl")
    security = SecurityConfig(policy="strict", audit_log=str(place / "audit.jsonl"))
    with anyio.fail_after(5), pytest.raises(ExecutableRefused, match="the audit log .* cannot be written"):
        await answer(program(), security)


async def test_what_is_no_plain_file_is_refused_and_blocks_nobody(place):
    """
    A named pipe would never end when it is read.
    """
    os.mkfifo(place / "pipe", 0o755)
    with anyio.fail_after(5), pytest.raises(ExecutableRefused, match="not a plain file"):
        await answer(place / "pipe", SecurityConfig(policy="strict"))


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


async def test_the_audit_log_has_every_decision_and_no_secret(place, program):
    """
    Allowed, refused; neither arguments nor environment.
    """
    right, wrong, log = program(), program("wrong", "other"), place / "audit.jsonl"
    security = SecurityConfig(allow_list=pins(place / "list.toml", right), audit_log=str(log))
    await answer(right, security, env={"TOKEN": "canary-1"}, args=("canary-2",))
    with pytest.raises(ExecutableRefused):
        await answer(wrong, security, env={"TOKEN": "canary-1"})
    records = [json.loads(line) for line in log.read_text().splitlines()]

    assert ["allowed", "allowed", "refused"] == [each["outcome"] for each in records]
    assert {"time", "plugin", "program", "sha256", "outcome", "reasons", "policy", "host"} == records[0].keys()
    assert ("p", str(wrong), "permissive") == tuple(records[2][key] for key in ("plugin", "program", "policy"))
    assert "canary" not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_the_audit_log_is_rotated_and_bounded(place):
    """
    From many threads at once: no line is lost, torn or doubled.
    """
    log = AuditLog(str(place / "audit.jsonl"), max_bytes=2000, kept=50)

    def write(writer: int) -> None:
        for number in range(50):
            log.write({"writer": writer, "number": number})

    threads = [threading.Thread(target=write, args=(each,)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    files = list(place.iterdir())
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]

    assert sorted((each["writer"], each["number"]) for each in lines) == [(w, n) for w in range(4) for n in range(50)]
    assert all(file.stat().st_size <= 2000 for file in files)

    small = AuditLog(str(place / "small.jsonl"), max_bytes=30, kept=2)
    for number in range(10):
        small.write({"number": number})
    assert {"small.jsonl", "small.jsonl.1", "small.jsonl.2"} == {each.name for each in place.glob("small*")}
    assert json.loads((place / "small.jsonl").read_text().splitlines()[-1]) == {"number": 9}


@pytest.mark.fault(51)
@pytest.mark.parametrize("policy", ["strict", "permissive"])
async def test_an_audit_log_that_cannot_be_written(place, program, policy, caplog):
    """
    Strict starts nothing that it cannot write down; permissive warns. Nothing half made is left.
    """
    path = program()
    security = SecurityConfig(policy=policy, allow_list=pins(place / "list.toml", path), audit_log="/dev/full")
    if policy == "strict":
        with pytest.raises(ExecutableRefused, match="the audit log /dev/full cannot be written"):
            await answer(path, security)
    else:
        assert await answer(path, security) == "right"
        assert "the audit log /dev/full cannot be written" in caplog.text


@pytest.mark.fault(51)
async def test_a_full_disk_leaves_no_half_line_in_the_audit_log(place):
    """
    The limit on the size of files stands in for the disk: what fits is there, and the rest is an error.
    """
    code = (
        "import json, resource, signal, sys\n"
        "from remora_exec._security._audit import AuditLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "log = AuditLog(sys.argv[1], max_bytes=10**6, kept=1)\n"
        "for number in range(20):\n"
        "    try:\n"
        "        log.write({'number': number})\n"
        "    except OSError as error:\n"
        "        print(error.errno); break\n"
    )
    path = place / "audit.jsonl"
    done = await anyio.run_process([sys.executable, "-c", code, str(path)])

    assert done.stdout.strip()
    assert [{"number": number} for number in range(7)] == [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.fault(72)
async def test_no_variable_of_the_host_reaches_a_confined_program(place, program, monkeypatch):
    """
    Whatever the policy.
    """
    monkeypatch.setenv("CANARY", "secret")
    path = program("${CANARY-absent}")
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", path))

    assert await answer(path, security) == "absent"


DESCRIPTORS = "import json,os,stat,sys\nfound = {}\n" + (
    "for name in os.listdir('/proc/self/fd'):\n"
    "    try: found[name] = os.readlink('/proc/self/fd/' + name)\n"
    "    except OSError: pass\n"
    "json.dump(found, sys.stdout)\n"
)


@pytest.mark.fault(73)
async def test_a_program_gets_three_descriptors(place):
    """
    And a pinned one a fourth: itself, to read.
    """
    held = os.open(place, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        plain = await answer(sys.executable, SecurityConfig(), args=("-c", DESCRIPTORS))
        security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", PYTHON))
        pinned = await answer(sys.executable, security, args=("-c", DESCRIPTORS))
    finally:
        os.close(held)

    assert {"0", "1", "2"} == plain.keys()
    assert {"0", "1", "2"} < pinned.keys()
    assert [str(PYTHON)] == [file for name, file in pinned.items() if name not in {"0", "1", "2"}]


@pytest.fixture
def held(place: Path) -> Iterator[list[int]]:
    """
    Two open descriptors that children could inherit.
    """
    found = [os.open(place, os.O_RDONLY) for _ in range(2)]
    for number in found:
        os.set_inheritable(number, True)
    yield found
    for number in found:
        os.close(number)


@pytest.mark.fault(73)
async def test_a_program_gets_the_descriptors_that_are_named_and_no_others(place, held):
    """
    Under their numbers, whatever the other measures are.
    """
    plain = await answer(sys.executable, SecurityConfig(), args=("-c", DESCRIPTORS), pass_fds=(held[1],))
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", PYTHON))
    pinned = await answer(sys.executable, security, args=("-c", DESCRIPTORS), pass_fds=(held[1],))

    assert {"0", "1", "2", str(held[1])} == plain.keys()
    assert str(place) == plain[str(held[1])] == pinned[str(held[1])]
    assert [str(PYTHON)] == [file for name, file in pinned.items() if name not in plain]
    assert str(held[0]) not in pinned


@pytest.mark.fault(73)
@pytest.mark.usefixtures("bubblewrap")
async def test_the_sandbox_lets_named_descriptors_through(place, held):
    """
    And no others.
    """
    path = place / "program"
    path.write_text("#!/bin/sh\ncat > /dev/null; printf '\"'; ls -m /proc/$$/fd | tr -d '\\n'; printf '\"'\n")
    path.chmod(0o755)
    seen = await answer(path, SecurityConfig(sandbox="bwrap"), pass_fds=(held[1],))

    assert (True, False) == (str(held[1]) in seen.split(", "), str(held[0]) in seen.split(", "))


async def test_a_descriptor_that_is_not_open_is_one_clear_error(held):
    """
    Before the start, and at calls that start a program of their own: its number may belong to something else by then.
    """
    copy = os.dup(held[0])
    transport = build(ExecOptions(name="p", protocol="oneshot", args=("-c", "print(1)"), pass_fds=(copy,)))
    async with transport.open(Endpoint(f"exec:{sys.executable}")) as channel:
        os.close(copy)
        with pytest.raises(ConfigError, match=rf"the descriptor {copy} is not open in this process"):
            await channel.call(Call(payload=b"null"))
    with pytest.raises(ConfigError, match=rf"the descriptor {copy} is not open in this process \(pass_fds\)"):
        await answer(sys.executable, SecurityConfig(), pass_fds=(copy,))


async def test_the_standard_streams_are_not_for_sharing():
    """
    The configuration is refused.
    """
    plugin = {"endpoint": "exec:sh", "options": {"pass_fds": [4, 2]}}
    with pytest.raises(ConfigError, match=r"options\.pass_fds\S*: expected a whole number of at least 3, got 2"):
        Manager({"plugins": {"p": plugin}})


async def test_named_descriptors_follow_a_reload(held):
    """
    By new instances.
    """
    plugin = {"endpoint": f"exec:{sys.executable}", "protocol": "oneshot", "args": ["-c", DESCRIPTORS]}
    named = {"plugins": {"p": {**plugin, "options": {"pass_fds": held}}}}
    async with Manager({"plugins": {"p": plugin}}) as manager:
        before = await manager.execute("p", None, dict[str, str])
        report = await manager.reload(named)
        after = await manager.execute("p", None, dict[str, str])

    assert ("options",) == report.plugins["p"].keys
    assert {str(number) for number in held} == after.keys() - before.keys()


LIMITS = LimitsConfig(memory=300 * 2**20, open_files=32, processes=20, cpu_seconds=1)
SETTLED = "import resource, time\nwhile resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 32: time.sleep(0.001)\n"


async def run_limited(code: str) -> Any:
    security = SecurityConfig(limits=LIMITS)
    with anyio.fail_after(30):
        return await answer(sys.executable, security, args=("-c", SETTLED + code))


@pytest.mark.fault(20)
async def test_a_program_that_opens_too_many_files_meets_its_limit():
    """
    The host's own limit stays as it is.
    """
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = "import os\nn = 0\ntry:\n  while True: os.dup(0); n += 1\nexcept OSError as e: print(n)"

    assert await run_limited(code) < 32
    assert before == resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.mark.fault(20)
async def test_a_program_that_eats_memory_meets_its_limit():
    """
    It gets an error in place of the memory.
    """
    code = "try:\n  x = bytearray(400 * 2**20); print(1)\nexcept MemoryError: print(0)"

    assert await run_limited(code) == 0


@pytest.mark.fault(20)
async def test_a_program_that_computes_for_ever_is_ended():
    """
    By a signal that says why.
    """
    with pytest.raises(Exception, match="SIGXCPU"):
        await run_limited("while True: pass")


@pytest.mark.fault(20)
async def test_a_program_that_starts_processes_without_end_meets_its_limit():
    """
    The limit does not bind root, so root's child becomes a nobody first.
    """
    code = (
        "import os, sys\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(64999); os.setuid(64999)\n"
        "pids = []\n"
        "try:\n"
        "  while len(pids) < 100:\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os.read(0, 1) or os.pause() if hasattr(os, 'pause') else __import__('signal').pause()\n"
        "    pids.append(pid)\n"
        "except BlockingIOError: pass\n"
        "print(len(pids), flush=True)\n"
        "for pid in pids: os.kill(pid, 9); os.waitpid(pid, 0)\n"
    )

    assert await run_limited(code) < 20


@pytest.mark.parametrize("is_on", [True, False])
async def test_programs_gain_no_privileges_unless_configured(is_on):
    """
    The mark is on the child and not on the host.
    """
    code = "print([l.split()[1] for l in open('/proc/self/status') if 'NoNewPrivs' in l][0])"
    marked = await answer(sys.executable, SecurityConfig(no_new_privileges=is_on), args=("-c", code))
    (host,) = _marks()

    assert marked == (1 if is_on else int(host))


def _marks() -> set[str]:
    """
    Those of all threads of this process.
    """
    texts = [path.read_text() for path in Path("/proc/self/task").glob("*/status")]
    return {line.split()[1] for text in texts for line in text.splitlines() if "NoNewPrivs" in line}


async def test_core_dumps_are_off():
    """
    A core may hold secrets.
    """
    code = (
        "import resource, time\n"
        "for _ in range(2000):\n"
        "    if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0: break\n"
        "    time.sleep(0.001)\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )

    assert await answer(sys.executable, SecurityConfig(), args=("-c", code)) == 0


@pytest.fixture
def bubblewrap() -> None:
    """
    Skips where bubblewrap is not installed.
    """
    if shutil.which("bwrap") is None:
        pytest.skip("needs the program bwrap (bubblewrap)")


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.parametrize("is_pinned", [True, False])
async def test_a_sandboxed_program_sees_itself_its_directory_and_the_system(place, is_pinned):
    """
    No file of the host beside these, no network, no process, no privilege, no further descriptor.
    """
    (place / "work").mkdir()
    (place / "secret").write_text("secret")
    path = place / "program"
    path.write_text(
        "#!/bin/sh\n"
        'cat > /dev/null; touch kept; [ -e "$0" ] && here=yes\n'
        f"[ -e {place}/secret ] && secret=yes; [ -e /etc/passwd ] && passwd=yes; echo x > {place}/new 2>/dev/null\n"
        "nets=$(grep -c : /proc/net/dev); ls /proc/$$/fd > descriptors\n"
        "privs=$(grep NoNewPrivs /proc/self/status | tr -dc 0-9)\n"
        'printf \'["%s","%s","%s","%s","%s","%s"]\' '
        '"$here" "$secret" "$passwd" "$nets" "$privs" "$(ulimit -n)"\n'
    )
    path.chmod(0o755)
    allow_list = pins(place / "list.toml", path) if is_pinned else ""
    security = SecurityConfig(sandbox="bwrap", allow_list=allow_list, limits=LimitsConfig(open_files=50))
    here, secret, passwd, nets, privs, files = await answer(path, security, work_dir=str(place / "work"))

    assert ("yes", "", "") == (here, secret, passwd)
    assert ("1", "1", "50") == (nets, privs, files)
    descriptors = (place / "work" / "descriptors").read_text().split()
    assert {0, 1, 2} == {int(each) for each in descriptors if int(each) < 10}  # a shell keeps its own further up
    assert (place / "work" / "kept").exists()
    assert not (place / "new").exists()


@pytest.mark.usefixtures("bubblewrap")
async def test_a_sandboxed_program_has_no_rights_of_root(place):
    """
    Not where root is the host either, whose files the settings of the kernel are.
    """
    path = place / "program"
    path.write_text(
        "#!/bin/sh\n"
        "cat > /dev/null; caps=$(grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f 2 | tr -d '\\n0')\n"
        "(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && kernel=writable\n"
        'printf \'["%s","%s"]\' "$caps" "$kernel"\n'
    )
    path.chmod(0o755)

    assert ["", ""] == await answer(path, SecurityConfig(sandbox="bwrap"))


@pytest.mark.usefixtures("bubblewrap")
async def test_a_sandboxed_program_sees_certificates_and_no_keys(place):
    """
    Debian keeps the private keys of servers beside the certificates of authorities, for root and a group.
    """
    path = place / "program"
    path.write_text("#!/bin/sh\ncat > /dev/null; printf '\"%s\"' \"$(ls /etc/ssl | tr '\\n' ' ')\"\n")
    path.chmod(0o755)
    seen = await answer(path, SecurityConfig(sandbox="bwrap"))

    assert set() == set(seen.split()) - {"certs", "cert.pem", "ca-bundle.pem", "openssl.cnf"}


@pytest.mark.fault(14)
@pytest.mark.usefixtures("bubblewrap")
async def test_a_sandboxed_program_ends_with_its_channel(place, until):
    """
    With all that it has started, also in a session of its own.
    """
    path = place / "program"
    body = f'setsid sleep {SECONDS} &\nread -r line; echo \'{{"id":1,"result":1}}\'; sleep {SECONDS}\n'
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    options = ExecOptions(
        name="p", protocol="jsonl", stop_grace=0.1, term_grace=0.1, security=SecurityConfig(sandbox="bwrap")
    )
    with anyio.fail_after(20):
        async with build(options).open(Endpoint(f"exec:{path}")) as channel:
            await channel.call(Call(payload=b"null"))
            await until(lambda: len(_sleepers()) == 2)

    await until(lambda: _sleepers() == [])


SECONDS = f"987{os.getpid()}"
"""Marks the processes of this run: others may test the same beside it."""


def _sleepers() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == f"sleep\0{SECONDS}\0".encode():
                found.append(entry.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


async def test_a_sandbox_that_is_not_installed_is_one_clear_error(place, program, monkeypatch):
    """
    The program does not run without it.
    """
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(ConfigError, match="needs the program bwrap: install bubblewrap"):
        await answer(program(), SecurityConfig(sandbox="bwrap"))


async def test_a_plugin_may_differ_from_the_table():
    """
    In its limits and its sandbox.
    """
    options = {"sandbox": "none", "limits": {"open_files": 40}}
    config = {"security": {"sandbox": "bwrap"}, "plugins": {"p": {"endpoint": "exec:sh", "options": options}}}
    (found,) = Manager(config).inspect()

    assert found.inspection is not None
    assert found.inspection.measures["sandbox"] == "none"
    assert "open_files 40" in found.inspection.measures["limits"]


async def test_what_is_put_in_the_wrong_table_is_named():
    """
    Options of a plugin are not the place for what holds for all.
    """
    plugin = {"endpoint": "exec:sh", "options": {"security": {"policy": "audit-only"}}}
    with pytest.raises(ConfigError, match=r"plugins.p.options.security: belongs in a table of its own, \[security\]"):
        Manager({"plugins": {"p": plugin}})


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
