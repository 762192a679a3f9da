"""
The demo from start to finish: every transport in turn, then the crash.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora import Manager
from remora_cli.demo._crash import Crash, run_crash
from remora_cli.demo._round import Round, run_round
from remora_cli.demo._stage import EXEC, Act, acts, stage
from remora_cli.demo.text import TextProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Show:
    """
    What was seen.

    Attributes:
        backend: The event loop, of the host and of the plugins.
        rounds: The calls over each transport.
        missing: The transports that are not installed.
        crash: What came of the process that was killed; None without the transport `exec`.
        seconds: What all of it took.
    """

    backend: str
    rounds: Sequence[tuple[Act, Round]]
    missing: Sequence[str]
    crash: Crash | None
    seconds: float

    @property
    def is_good(self) -> bool:
        """
        Whether everything went as it should.
        """
        has_failed = any(each.failures for _, each in self.rounds)
        return not has_failed and not (self.crash and self.crash.failure)


async def run_show(*, backend: str, calls: int, progress: Callable[[str], None]) -> Show:
    """
    Start the plugins, call them, kill one.

    Args:
        backend: The event loop on which this runs, and on which the plugins are to run.
        calls: The number of calls over each transport.
        progress: Told what happens now.

    Raises:
        NotInstalled: No transport is installed.
        Unavailable: A plugin could not be started.
    """
    started = time.monotonic()
    shown, missing = acts()
    names = [act.transport for act in shown]
    progress(f"starting plugins for {', '.join(names)}")
    async with stage(shown, backend=backend) as config, Manager(config) as manager:
        rounds = []
        for act in shown:
            progress(f"calling {act.transport}: {calls} calls")
            rounds.append((act, await run_round(manager.client(act.transport, TextProcessor), calls)))
        crash = None
        if EXEC in names:
            progress("killing the plugin's process under a call")
            crash = await run_crash(manager, EXEC, manager.client(EXEC, TextProcessor))
        progress("stopping the plugins")
    return Show(backend, rounds, missing, crash, time.monotonic() - started)
