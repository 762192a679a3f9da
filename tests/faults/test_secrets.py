"""
Canaries: every secret that a host can hold has a value to grep for, and nothing that anybody sees has it.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import Manager, PluginError, RemoraError, ServeOptions, serving
from remora.config import structure_config
from tests.architecture.sources import ROOT
from tests.faults.vault import Vault

pytestmark = pytest.mark.anyio

CANARY = "canary-4711"
METHODS: dict[str, dict[str, Any]] = {
    "api-key": {"api_key": CANARY},
    "bearer": {"token": CANARY},
    "bearer.file": {"token_file": "{folder}/token"},
    "bearer.command": {"token_command": [sys.executable, "{folder}/print_token.py"]},
    "basic": {"username": "u", "password": CANARY},
    "custom": {"headers": {"x-secret": CANARY}},
}


@pytest.mark.fault(71)
@pytest.mark.parametrize("carrier", ["http:", "grpc:", "unix:", "ttrpc", "jsonl"])
async def test_no_credential_is_seen_anywhere(carrier: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    By whatever way a call ends: answered, refused, or with nobody there.
    """
    caplog.set_level(logging.DEBUG)
    (tmp_path / "token").write_text(CANARY)
    (tmp_path / "print_token.py").write_text(f"print({CANARY!r})")
    with anyio.fail_after(60):
        async with _endpoints(carrier, tmp_path) as tables:
            methods = METHODS if carrier.endswith(":") else ("bearer.command", "custom")  # each is a process there
            auths = {name: _auth(name, tmp_path) for name in methods}
            plugins = {
                f"{to}.{how}": {**table, "auth": auth} for to, table in tables.items() for how, auth in auths.items()
            }
            config = structure_config({"plugins": plugins})
            shown = [f"{config!r}", *await _everything_said(config)]

    assert any("InstanceReady" in text for text in shown)
    assert carrier.endswith(":") or any("PYTHONPATH=" in text for text in shown)
    assert [] == [text for text in [*shown, caplog.text] if CANARY in text]


@asynccontextmanager
async def _endpoints(carrier: str, folder: Path) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """
    A plugin that answers, one that knows other secrets, and one that is away.
    """
    common = {"service": "Vault", "method": "seen", "retry": {"max_retries": 0}}
    if not carrier.endswith(":"):
        here = {"PYTHONPATH": str(ROOT)}
        child = {**common, "endpoint": f"exec:{sys.executable}", "protocol": carrier, "env": here}
        program = ["-m", "tests.faults.vault"]
        yield {
            "open": {**child, "args": program},
            "closed": {**child, "args": [*program, "closed"]},
            "away": {**child, "args": ["-c", "raise SystemExit(3)"]},
        }
        return
    closed = ServeOptions(auth={"method": "bearer", "token": "another"})
    async with serving(Vault(), listen=carrier) as one, serving(Vault(), listen=carrier, options=closed) as other:
        away = "unix:///nowhere/at/all" if carrier == "unix:" else f"{carrier}//127.0.0.1:1"
        urls = {"open": one.endpoints[0].url, "closed": other.endpoints[0].url, "away": away}
        yield {name: {**common, "endpoint": url} for name, url in urls.items()}


def _auth(name: str, folder: Path) -> dict[str, Any]:
    """
    The table of a method, with its files in the folder.
    """

    def placed(value: Any) -> Any:
        return [placed(each) for each in value] if isinstance(value, list) else str(value).format(folder=folder)

    table = {key: value if key == "headers" else placed(value) for key, value in METHODS[name].items()}
    return {"method": name.partition(".")[0], **table}


async def _everything_said(config: Any) -> list[str]:
    """
    All that a host tells while it calls every plugin: answers, errors, events, health, reports, command lines.
    """
    told: list[str] = []
    async with Manager(config) as manager:
        with manager.events() as events:
            for name in config.plugins:
                told.append(await _outcome(manager, name))
            told += [f"{await manager.health()}", f"{manager.inspect()}", f"{manager!r} {manager.extension_faults()}"]
            told += _command_lines()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_listen, events, told)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
    return told


async def _listen(events: AsyncIterator[object], told: list[str]) -> None:
    async for event in events:
        told.append(f"{event!r} {event}")


async def _outcome(manager: Manager, name: str) -> str:
    """
    What a caller gets: the names of the credentials that arrived, or an error with its whole history.
    """
    where, _, how = name.partition(".")
    try:
        seen = await manager.execute(name, None, list[str])
    except RemoraError as error:
        assert where != "open", error
        assert (where == "closed") == (isinstance(error, PluginError) and error.code == "UNAUTHENTICATED"), error
        return "".join(traceback.format_exception(error)) + f"{error!r} {vars(error)}"
    assert where == "open"
    assert seen == [{"api-key": "x-api-key", "custom": "x-secret"}.get(how, "authorization")]
    return f"{seen}"


def _command_lines() -> list[str]:
    """
    What everybody on the machine can read about this process and its children, and the children's environments.
    """
    found = [Path("/proc/self/cmdline").read_text()]
    for pid in Path("/proc/self/task").glob("*/children"):
        for child in pid.read_text().split():
            for name in ("cmdline", "environ"):
                try:
                    found.append((Path("/proc") / child / name).read_bytes().decode(errors="replace"))
                except OSError:  # it has ended
                    continue
    return found
