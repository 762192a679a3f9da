"""
A host under constant load that moves to other configurations.
"""

import os
import signal
import sys
from pathlib import Path

import anyio
from plugin import Answer, Ask, Counter

from remora import Manager, ReloadOptions, RemoraError
from remora.config import load_config

FILE = Path("remora.toml")


class Load:
    """
    Calls without a pause.
    """

    def __init__(self, manager: Manager) -> None:
        self.counter = manager.client("counter", Counter)
        self.failed = 0
        self.last = Answer(0, "")
        self.answered = anyio.Event()

    async def run(self) -> None:
        number = 0
        while True:
            number += 1
            try:
                self.last = await self.counter.count(Ask(number))
                self.answered.set()
                self.answered = anyio.Event()
            except RemoraError as error:
                self.failed += 1
                print(error)

    async def show(self) -> None:
        for _ in range(100):
            await self.answered.wait()
        print(f"[{self.last.version}] answers")


async def reload(manager: Manager) -> str:
    """
    Read the file again; what has become of the plugin.
    """
    report = await manager.reload(load_config(FILE), ReloadOptions(health_check_timeout=5))
    return str(report.plugins["counter"].action) if report.error is None else "nothing has changed"


def edit(old: str, new: str) -> None:
    """
    What else an editor does.
    """
    FILE.write_text(FILE.read_text().replace(old, new))


async def story(manager: Manager, load: Load) -> None:
    await load.show()
    edit("exec:python3", "exec:./not-there")
    print(f"a program that is not there: {await reload(manager)}")
    await load.show()
    edit("exec:./not-there", "exec:python3")
    edit("--version=1", "--version=2")
    replaced = await reload(manager)
    edit("enabled = false", "enabled = true\nrequests_per_second = 100_000")
    print(f"version 2: {replaced}, {await reload(manager)}")
    await load.show()


async def on_signal(manager: Manager) -> None:
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            print(await reload(manager))


async def main() -> None:
    async with Manager.from_file(FILE) as manager, anyio.create_task_group() as tasks:
        load = Load(manager)
        tasks.start_soon(load.run)
        if "--stay" in sys.argv:
            await on_signal(manager)
        await story(manager, load)
        print(f"{load.failed} calls failed")
        tasks.cancel_scope.cancel()


anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
