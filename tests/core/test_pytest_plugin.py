"""
The pytest plugin: what a stranger's test gets from it, and that it costs nothing to who does not ask.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import anyio
import pytest

from remora import ConnectionLost, DeadlineExceeded, PluginDied, Unavailable
from remora.testing import Answer, Crash, Drop, Echo, Fail, Hang, TestHost
from remora.types import InstanceLost, InstanceReady, ManagerStarted

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]
ONCE = {"retry": {"max_retries": 0}}


async def call(manager, method="charge", **options):
    plugin = manager.plugin("pay", dict, dict, method=method)
    return await plugin.execute({"amount": 3}, **options)


async def test_a_script_is_followed(remora_host: TestHost) -> None:
    pay = remora_host.plugin("pay")
    pay.script("charge", Fail(Unavailable("busy", sent=False)), Answer({"receipt": "r1"}))
    pay.script("charge", Answer(lambda request: {"got": request["amount"]}))
    pay.always("charge", Echo(after=20))
    with anyio.fail_after(60):
        manager = await remora_host.start()

    assert await call(manager) == {"receipt": "r1"}
    assert await call(manager) == {"got": 3}
    assert [{"amount": 3}] * 3 == pay.requests("charge")
    started = anyio.current_time()
    assert await call(manager) == {"amount": 3}
    assert anyio.current_time() - started == pytest.approx(20, abs=1)


async def test_the_second_call_kills_the_plugin(remora_host: TestHost) -> None:
    pay = remora_host.plugin("pay", **ONCE)
    pay.at(2, Crash(after=1))
    pay.at(3, Drop())
    pay.at(4, Hang())
    manager = await remora_host.start({"log_level": "error"})
    await remora_host.events.wait_for(InstanceReady, plugin="pay")

    assert await call(manager) == {"amount": 3}
    with pytest.raises(Unavailable):
        await call(manager)
    await remora_host.events.wait_for(InstanceReady, count=2, within=30)
    remora_host.events.assert_order(ManagerStarted, InstanceReady, InstanceLost, InstanceReady)
    assert 1 == len(remora_host.events.of(InstanceLost, plugin="pay"))
    for _ in range(2):
        with pytest.raises((ConnectionLost, DeadlineExceeded)):
            await call(manager, timeout=5)
    with pytest.raises(AssertionError, match="no InstanceLost .* within 1 s; there were: .'ManagerStarted', "):
        await remora_host.events.wait_for(InstanceLost, plugin="other", within=1)


async def test_a_plugin_is_added_before_the_start(remora_host: TestHost) -> None:
    pay = remora_host.plugin("pay", **ONCE)
    await remora_host.start()

    assert remora_host.plugin("pay") is pay
    for name, table in [("late", {}), ("pay", {"retry": {"max_retries": 1}})]:
        with pytest.raises(RuntimeError, match=f"plugin.'{name}'. comes after start"):
            remora_host.plugin(name, **table)
"""


def test_the_fixtures_work_in_a_strangers_project(tmp_path: Path) -> None:
    """
    On every backend, in virtual time, with nothing but an installed remora.
    """
    (tmp_path / "test_it.py").write_text(TESTS)
    result = _pytest(tmp_path)

    assert result.returncode == 0, result.stdout
    assert result.stdout.count("[asyncio]") == 3


def test_a_run_that_does_not_ask_loads_nothing(tmp_path: Path) -> None:
    """
    Remora itself is not imported.
    """
    (tmp_path / "test_it.py").write_text("import sys\ndef test_it(): assert 'remora' not in sys.modules, 'loaded'\n")
    result = _pytest(tmp_path)

    assert result.returncode == 0, result.stdout


def _pytest(directory: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider"]
    variables = {**os.environ, "PYTEST_ADDOPTS": ""}
    return subprocess.run(words, cwd=directory, env=variables, capture_output=True, text=True, timeout=60)
