"""
A run of minutes under load, as a program: it has a folder of its own, and ends with a report of what it has counted.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import anyio

from benchmarks.soak_plugin import Done
from remora import Manager, Plugin, RemoraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence


class Job(Protocol):
    """
    What is run; it returns the report, in which `broken` names the rules that were not kept.
    """

    def __call__(self, *, folder: Path) -> Awaitable[dict[str, Any]]: ...


def run_through(name: str, job: Job, *, backend: str) -> NoReturn:
    """
    Run a job, print its report, and end the process: with 1 when a rule was broken.
    """
    logging.getLogger("remora").addHandler(logging.NullHandler())
    logging.getLogger("remora").propagate = False
    with tempfile.TemporaryDirectory(prefix=f"remora-{name}-") as folder:
        report = anyio.run(partial(job, folder=Path(folder)), backend=backend)
    print(json.dumps(report, indent=2))
    sys.exit(1 if report["broken"] else 0)


async def until_ready(manager: Manager) -> None:
    """
    Wait until every plugin has answered once.
    """
    with anyio.fail_after(30):
        for name in manager.list_plugins():
            await _until_answered(manager.plugin(name, int, Done, method="look"))


async def _until_answered(plugin: Plugin[int, Done]) -> None:
    while True:
        with suppress(RemoraError):
            await plugin.execute(0)
            return
        await anyio.sleep(0.1)


def usage() -> dict[str, int]:
    """
    The memory in bytes, and the numbers of descriptors, tasks, threads and child processes.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(anyio.get_running_tasks()),
        "threads": len(os.listdir("/proc/self/task")),
        "children": len(children),
    }


def growth(samples: Sequence[int]) -> int:
    """
    By how much a number that goes up and down has grown for good: the least of the last quarter of the samples against
    the most of the first half.
    """
    half, quarter = samples[: len(samples) // 2], samples[-(len(samples) // 4) :]
    return max(0, min(quarter) - max(half)) if len(samples) >= 4 else 0
