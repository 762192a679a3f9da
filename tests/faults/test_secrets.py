"""
Canaries: every secret that a host can hold has a value to grep for, and nothing that anybody sees has it.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import CertificateRejected, ConfigError, Manager, PluginError, RemoraError, ServeOptions, serving
from remora.config import structure_config
from tests.architecture.sources import ROOT
from tests.faults.onlookers import onlooking
from tests.faults.vault import Vault
from tests.fork_server import ForkServer
from tests.transports.tls import Authority

pytestmark = pytest.mark.anyio

CANARY = "canary-4711"
BASIC = b64encode(f"u:{CANARY}".encode()).decode()
METHODS: dict[str, dict[str, Any]] = {
    "api-key": {"api_key": CANARY},
    "bearer": {"token": CANARY},
    "bearer.file": {"token_file": "{folder}/token"},
    "bearer.command": {"token_command": [sys.executable, "{folder}/print_token.py"]},
    "basic": {"username": "u", "password": CANARY},
    "custom": {"headers": {"x-secret": CANARY}},
}
HEADER = {"api-key": "x-api-key", "custom": "x-secret"}


@pytest.mark.fault(27, 71)
@pytest.mark.parametrize("carrier", ["http:", "grpc:", "unix:", "ttrpc", "jsonl"])
@pytest.mark.long
async def test_no_credential_is_seen_anywhere(carrier: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    By whatever way a call ends: answered, refused, with nobody there, or told back by whoever was shown it.
    """
    caplog.set_level(logging.DEBUG)
    (tmp_path / "token").write_text(CANARY)
    (tmp_path / "print_token.py").write_text(f"print({CANARY!r})")
    is_served = carrier.endswith(":")
    with anyio.fail_after(60):
        async with _endpoints(carrier) as tables:
            methods = METHODS if is_served else ("bearer.command", "basic", "custom")  # each is a process there
            auths = {name: _auth(name, tmp_path) for name in methods}
            plugins = {
                f"{to}.{how}": {**table, "auth": auth} for to, table in tables.items() for how, auth in auths.items()
            }
            plugins["away.url"] = {**COMMON, "endpoint": f"http://h/?token={CANARY}"}
            config = structure_config({"plugins": plugins})
            async with onlooking(config) as (manager, seen):
                told = [await _outcome(manager, name) for name in config.plugins]
    with pytest.raises(ConfigError, match="holds credentials") as refused:
        Manager({"plugins": {"url": {"endpoint": f"http://u:{CANARY}@h/?token={CANARY}"}}})
    told += [repr(refused.value), *refused.value.problems, repr(refused.value.__cause__)]

    shown = [*told, *seen, caplog.text, *(f"{vars(record)}" for record in caplog.records)]
    assert [] == [text for text in shown if CANARY in text or BASIC in text]
    _see_that_all_was_looked_at(shown, is_served=is_served)


def _see_that_all_was_looked_at(shown: list[str], *, is_served: bool) -> None:
    looked_at = "InstanceReady", "remora_requests_total", '"last_error"', "rpc.response.status_code", "[plugins."
    assert [] == [word for word in looked_at if not any(word in text for text in shown)]
    assert any("these are no good: " in text and "***" in text for text in shown)
    assert is_served or any("PYTHONPATH=" in text for text in shown)
    assert is_served or any("shown {" in text and "'API_TOKEN': '***'" in text for text in shown)


@pytest.mark.fault(71)
@pytest.mark.parametrize("scheme", ["https", "grpcs"])
async def test_no_private_key_is_seen_anywhere(scheme: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    Of a host that is let in, of one that is not, and of one that finds nobody.
    """
    caplog.set_level(logging.DEBUG)
    good, bad = Authority(tmp_path / "good"), Authority(tmp_path / "bad")
    mine = {**good.issue("host", into="mine"), "ca_file": good.ca_file}
    strange = {**bad.issue("host", into="strange"), "ca_file": good.ca_file}
    theirs = {"method": "mtls", **good.issue("127.0.0.1", into="theirs"), "ca_file": good.ca_file}
    with anyio.fail_after(60):
        async with serving(Vault(), listen=f"{scheme}://127.0.0.1:0", options=ServeOptions(auth=theirs)) as served:
            url = served.endpoints[0].url
            tables = {"open": (url, mine), "closed": (url, strange), "away": (f"{scheme}://127.0.0.1:1", mine)}
            plugins = {
                name: {**COMMON, "endpoint": endpoint, "auth": {"method": "mtls", **files}}
                for name, (endpoint, files) in tables.items()
            }
            async with onlooking(structure_config({"plugins": plugins})) as (manager, seen):
                assert [] == await manager.execute("open", None, list[str])
                told = [await _failure(manager, name, "seen") for name in ("closed", "away")]
                told += [await _failure(manager, "open", "blurt")]

    keys = [line for each in (mine, strange, theirs) for line in _lines_of_key(each["key_file"])]
    assert len(keys) > 6
    assert any(CertificateRejected.__name__ in text for text in told)
    assert [] == [text for text in [*told, *seen, caplog.text] if any(key in text for key in keys)]


def _lines_of_key(file: str) -> list[str]:
    return Path(file).read_text().splitlines()[1:-1]


COMMON = {"service": "Vault", "method": "seen", "retry": {"max_retries": 0}}


@pytest.mark.fault(71)
def test_no_command_shows_a_secret_of_a_configuration(tmp_path: Path, fork_server: ForkServer) -> None:
    """
    Neither `config show` nor the others that tell what is in one, from literals and from the environment.
    """
    auths = {name: {"method": name.partition(".")[0], **table} for name, table in METHODS.items() if "." not in name}
    plugins: dict[str, Any] = {name: {"endpoint": "https://h", "auth": auth} for name, auth in auths.items()}
    plugins["child"] = {"endpoint": "exec:true", "env": {"API_TOKEN": CANARY}, "args": [f"--token={CANARY}"]}
    plugins["url"] = {"endpoints": [{"url": f"http://u:{CANARY}@h/"}, {"url": f"http://h/?token={CANARY}"}]}
    plugins["variable"] = {"endpoint": "http://h", "auth": {"method": "bearer", "token": "${TOKEN}"}}
    exporters = {"otel": {"endpoint": "http://h:1", "headers": {"authorization": CANARY}}}
    path = tmp_path / "remora.json"
    path.write_text(json.dumps({"plugins": plugins, "exporters": exporters}))
    (tmp_path / "other.json").write_text(json.dumps({"plugins": {}}))
    lines = ["config show {0} --origin", "config show {0} --json", "check {0}", "plan {0} {1}", "plan {1} {0} --json"]
    lines += [f"explain {{0}} {name}" for name in ("bearer", "url")]
    words = [["-m", "remora_cli", *line.format(path, tmp_path / "other.json").split()] for line in lines]
    env = {"TOKEN": CANARY, "PATH": "/usr/bin:/bin"}
    ran = [fork_server.run(each, cwd=tmp_path, env=env) for each in words]
    said = [done.stdout + done.stderr for done in ran]

    assert all("***" in text for text in said[:2])
    assert all(len(text) > 50 for text in said)
    assert [] == [text for text in said if CANARY in text]


@asynccontextmanager
async def _endpoints(carrier: str) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """
    A plugin that answers, one that knows other secrets, and one that is away.
    """
    if not carrier.endswith(":"):
        here = {"PYTHONPATH": str(ROOT), "API_TOKEN": "another canary"}
        child = {**COMMON, "endpoint": f"exec:{sys.executable}", "protocol": carrier, "env": here}
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
        yield {name: {**COMMON, "endpoint": url} for name, url in urls.items()}


def _auth(name: str, folder: Path) -> dict[str, Any]:
    """
    The table of a method, with its files in the folder.
    """

    def placed(value: Any) -> Any:
        return [placed(each) for each in value] if isinstance(value, list) else str(value).format(folder=folder)

    table = {key: value if key == "headers" else placed(value) for key, value in METHODS[name].items()}
    return {"method": name.partition(".")[0], **table}


async def _outcome(manager: Manager, name: str) -> str:
    """
    What a caller gets: the names of the credentials that arrived and the words of whoever got them, or an error.
    """
    where, _, how = name.partition(".")
    if where != "open":
        return await _failure(manager, name, "seen", is_refused=where == "closed")
    seen = await manager.execute(name, None, list[str])
    assert [HEADER.get(how, "authorization")] == seen
    return f"{seen} {await _failure(manager, name, 'blurt')}"


async def _failure(manager: Manager, name: str, method: str, *, is_refused: bool | None = None) -> str:
    """
    An error with its whole history.
    """
    with pytest.raises(RemoraError) as caught:
        await manager.execute(name, None, list[str], method=method)
    error = caught.value
    if is_refused is not None:
        assert is_refused == (isinstance(error, PluginError) and error.code == "UNAUTHENTICATED"), error
    return "".join(traceback.format_exception(error)) + f"{error!r} {vars(error)}"
