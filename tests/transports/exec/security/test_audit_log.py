"""
The log of what was allowed and what was refused.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import threading

import anyio
import anyio.from_thread
import pytest

from remora.config import SecurityConfig
from remora.errors import ExecutableRefused
from remora.types import Call, Endpoint
from remora_exec._security._audit import AuditLog
from remora_exec.plugin import ExecOptions, build
from tests.transports.exec.security.pinned import answer, pins

pytestmark = pytest.mark.anyio


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


async def test_a_pipe_in_the_place_of_the_audit_log_blocks_nobody(place, program):
    """
    A start would wait for ever for somebody who reads it.
    """
    os.mkfifo(place / "audit.jsonl")
    security = SecurityConfig(policy="strict", audit_log=str(place / "audit.jsonl"))
    with anyio.fail_after(5), pytest.raises(ExecutableRefused, match="the audit log .* cannot be written"):
        await answer(program(), security)


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
