"""
The search for a keeper, which may take long: a fork server loads what its programs need.

What lives here: the thread in which a keeper starts, so that a call waits for it no longer than it wants to. What must
not: which keepers there are (see `_keeper`).
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import anyio

from remora.errors import Unavailable
from remora_exec._keeping._keeper import Keeper, acquire, let_go, shared
from remora_exec._keeping._keeper_launch import KeeperLost
from remora_exec._pipes import having_room

if TYPE_CHECKING:
    from remora_exec._keeping._python import Interpreter


class Hiring:
    """
    A keeper that is wanted by one channel, whose calls may all wait for it. It starts also if none of them still does.

    Attributes:
        begun: When the search began, as `time.monotonic` says.

    Args:
        interpreter: What its forks run programs with; None when it executes them.

    Raises:
        Unavailable: The system lacks resources for a thread.
    """

    def __init__(self, interpreter: Interpreter | None) -> None:
        self.interpreter = interpreter
        self.begun = time.monotonic()
        self._lock = threading.Lock()
        self._turn = anyio.Lock()  # only one task may wait for a descriptor
        self._outcome: Keeper | Exception | None = shared(interpreter)
        self._is_wanted = True
        self._end = -1
        if self._outcome is None:
            self._start()

    def _start(self) -> None:
        with having_room():
            self._end, end = os.pipe()
        try:
            threading.Thread(target=self._find, args=(end,), name="remora-hiring", daemon=True).start()
        except RuntimeError as error:
            os.close(end)
            self._close()
            raise Unavailable(f"no process can be started: {error}", sent=False) from error

    def _find(self, end: int) -> None:
        outcome: Keeper | Exception
        try:
            outcome = acquire(self.interpreter)
        except Exception as error:  # raised where somebody waits for it
            outcome = error
        with self._lock:
            self._outcome = outcome
            is_wanted = self._is_wanted
            if is_wanted:  # closing it says nothing while a fork of the host has a copy
                os.write(end, b".")
            os.close(end)
        if not is_wanted:
            _refuse(outcome)

    @property
    def is_over(self) -> bool:
        """
        Whether the keeper is there, or it is known why not.
        """
        return self._outcome is not None

    async def keeper(self) -> Keeper:
        """
        Wait for the keeper, which is the channel's, to be let go after use.

        Raises:
            KeeperLost: None can run here.
            ConfigError: The interpreter cannot be a fork server.
            Unavailable: The system lacks resources for another process.
        """
        async with self._turn:
            if self._outcome is None or self._end >= 0:  # until the thread has said so
                await self._wait()
            self._close()
        if isinstance(self._outcome, Keeper):
            return self._outcome
        assert self._outcome is not None  # it is there before the descriptor is readable
        raise self._outcome

    async def _wait(self) -> None:
        try:
            await anyio.wait_readable(self._end)
        except anyio.ClosedResourceError as error:  # the channel has given up meanwhile
            raise KeeperLost from error

    def give_up(self) -> None:
        """
        Let the keeper go if it is there, or as soon as it is.
        """
        with self._lock:
            self._is_wanted = False
            outcome = self._outcome
        self._close()
        _refuse(outcome)

    def _close(self) -> None:
        with self._lock:  # until the thread has closed its end too
            if self._end >= 0:
                anyio.notify_closing(self._end)
                os.close(self._end)
                self._end = -1


def _refuse(outcome: Keeper | Exception | None) -> None:
    if isinstance(outcome, Keeper):
        let_go(outcome)
