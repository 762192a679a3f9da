"""
Programs whose services are context managers: entered before the host's first call, left before the process ends.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import Manager, ReloadOptions, RemoraError
from remora.types import InstanceLost

pytestmark = pytest.mark.anyio

PROGRAM = """
import logging, os, subprocess, sys
import anyio
from remora import serve, serving

def note(words):
    with open("notes", "a") as file:
        print(words, os.getpid(), file=file, flush=True)

class Pool:
    async def __aenter__(self):
        print("noise")
        subprocess.run(["/bin/echo", "more noise"])
        subprocess.run(["/bin/cat"])
        logging.getLogger("pool").warning("is opened")
        if os.environ.get("FAIL"):
            raise OSError("no database")
        await anyio.sleep(0)
        note("opens")

    async def __aexit__(self, *exc):
        await anyio.sleep(0.01)
        print("noise")
        print("more", file=sys.stderr, flush=True)
        note("closes")
        logging.getLogger("pool").warning("is closed")

    async def ask(self) -> int:
        note("call")
        return os.getpid()

async def main():
    async with serving(Pool(), listen=os.environ["REMORA_LISTEN"]) as served:
        await served.wait_closed()
    note("goes on")

if __name__ == "__main__":
    anyio.run(main, backend=os.environ["REMORA_BACKEND"]) if sys.argv[1:] else serve(Pool())
"""

Table = Callable[..., dict[str, Any]]


@pytest.fixture
def table(tmp_path: Path, anyio_backend: str) -> Table:
    """
    The table of a plugin that runs the program.
    """
    (tmp_path / "pool.py").write_text(PROGRAM)

    def make(*args: str, **more: Any) -> dict[str, Any]:
        env = {"REMORA_BACKEND": anyio_backend, **more.pop("env", {})}
        where = {"endpoint": f"exec:{sys.executable}", "work_dir": str(tmp_path), "env": env}
        return {**where, "args": [*(args or ("pool.py",))], "service": "Pool", "retry": {"max_retries": 0}, **more}

    return make


def notes(tmp_path: Path) -> list[str]:
    """
    What the program has noted.
    """
    return [line.split()[0] for line in (tmp_path / "notes").read_text().splitlines()]


WAYS = {
    "serve": ((), {}),
    "serving": (("pool.py", "serving"), {}),
    "cli": (("-m", "remora_cli", "serve", "pool:Pool"), {}),
    "jsonl": ((), {"protocol": "jsonl"}),
    "forkserver": ((), {"options": {"start_method": "forkserver"}}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_service_is_entered_before_the_first_call_and_left_when_its_host_closes_its_input(
    tmp_path: Path, table: Table, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """
    What it and its children print never reaches the wire, and what it logs has its level. Nothing waits for a signal.
    """
    args, more = WAYS[way]
    with caplog.at_level(logging.INFO, "remora.plugin"), anyio.fail_after(20):
        async with Manager({"plugins": {"p": table(*args, **more)}}) as manager:
            assert await manager.execute("p", None, int, method="ask") != os.getpid()
            before = anyio.current_time()
        took = anyio.current_time() - before

    told = [(each.levelno, each.getMessage()) for each in caplog.records if each.name == "remora.plugin.p"]
    assert ["opens", "call", "closes"] == notes(tmp_path)[:3]
    assert took < 4  # `stop_grace` is 5
    assert {(logging.INFO, "noise"), (logging.INFO, "more noise"), (logging.WARNING, "is opened")} <= {*told}
    assert (logging.WARNING, "is closed") in told
    assert not any("stdout:" in text for _, text in told)
    assert ["goes"] * (way == "serving") == notes(tmp_path)[3:]


async def test_each_process_of_a_single_call_has_a_life_of_its_own(tmp_path: Path, table: Table) -> None:
    """
    In the protocol that starts one for every call.
    """
    with anyio.fail_after(20):
        async with Manager({"plugins": {"p": table(protocol="oneshot", method="ask")}}) as manager:
            await manager.execute("p", None, int)
            await manager.execute("p", None, int)
    assert ["opens", "call", "closes"] * 2 == notes(tmp_path)


@pytest.mark.parametrize("way", ["serve", "cli", "forkserver", "jsonl"])
async def test_a_service_that_cannot_start_is_a_failed_start_for_the_host(
    tmp_path: Path, table: Table, way: str
) -> None:
    """
    Whose error quotes the one line that names the service.
    """
    args, more = WAYS[way]
    manager = Manager({"plugins": {"p": table(*args, **more, env={"FAIL": "yes"})}})
    with anyio.fail_after(20), manager.events() as events:
        async with manager:
            async for event in events:
                if isinstance(event, InstanceLost):
                    break
            with pytest.raises(RemoraError, match=r"Pool cannot start: OSError: no database"):
                await manager.execute("p", None, int, method="ask")

    status = 1 if way == "cli" else 2
    assert f"the process exited with status {status}: " in event.cause
    assert event.cause.endswith("remora: Pool cannot start: OSError: no database")
    assert not (tmp_path / "notes").exists()


@pytest.mark.parametrize("strategy", ["graceful", "recreate"])
async def test_a_restarted_service_is_left_and_entered_again(tmp_path: Path, table: Table, strategy: str) -> None:
    """
    The new one before the old one is left, unless the strategy says otherwise.
    """
    config = {"plugins": {"p": table()}}
    other = {"plugins": {"p": table(env={"CHANGED": "yes"})}}
    with anyio.fail_after(20):
        async with Manager(config) as manager:
            first = await manager.execute("p", None, int, method="ask")
            report = await manager.reload(other, ReloadOptions(strategy=strategy))
            second = await manager.execute("p", None, int, method="ask")

    assert report.applied
    assert first != second
    found = notes(tmp_path)
    assert ["opens", "call"] == found[:2]
    assert sorted(["opens", "closes", "call", "closes"]) == sorted(found[2:])
    assert "closes" == found[-1]


async def test_a_host_that_dies_lets_the_service_be_left(
    tmp_path: Path, table: Table, anyio_backend: str, until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    """
    The end of its input is all that the program notices.
    """
    host = f"""
import anyio, os, signal
from remora import Manager
async def main():
    async with Manager({{"plugins": {{"p": {table()!r}}}}}) as manager:
        await manager.execute("p", None, int, method="ask")
        os.kill(os.getpid(), signal.SIGKILL)
anyio.run(main, backend={anyio_backend!r})
"""
    with anyio.fail_after(20):
        await anyio.run_process([sys.executable, "-c", host], check=False)
        await until(lambda: notes(tmp_path) == ["opens", "call", "closes"])
