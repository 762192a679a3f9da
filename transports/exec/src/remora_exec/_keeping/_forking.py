"""
Starting programs of Python in forks of their interpreter where that is possible, and as usual where it is not.

What lives here: which of both, and what is said about it. What must not: how either is done (see `_kept_starter`).

A program is executed if a fork could not run it as its command line wants, if it has a module of its own whose name the
fork server has given to another one (which the server itself finds out), and if the server is not ready in time. The
last is remembered for a while by the whole process: an instance that is started anew does not wait again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError
from remora_exec._keeping._keeper_launch import KeeperLate
from remora_exec._keeping._kept_starter import KeptStarter

if TYPE_CHECKING:
    from remora_exec._keeping._kept import KeptChild
    from remora_exec._keeping._order import Order
    from remora_exec._keeping._python import Interpreter

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_PAUSE = 300.0
"""Seconds in which nobody waits for a fork server that was late; longer than it may take to be ready."""

_late: dict[Interpreter | None, float] = {}


class ForkingStarter:
    """
    Starts programs of Python, each in a fork if possible.

    Args:
        patience: Seconds within which a fork server must be ready.
        is_lasting: Whether only one program is started, so that a fork server that is late is of no use any more.
    """

    def __init__(self, patience: float, *, is_lasting: bool) -> None:
        self._patience = patience
        self._is_lasting = is_lasting
        self._forks = KeptStarter(None)
        self._usual = KeptStarter(None)
        self._said: set[tuple[str, str]] = set()

    async def start(self, order: Order, *, stdin: int, stdout: int) -> KeptChild:
        """
        A child process with these descriptors as its standard input and output.

        Raises:
            OSError: The program cannot be run.
            ConfigError: Its interpreter cannot be a fork server.
            Unavailable: The system lacks resources for another process.
        """
        if order.main is None:
            return await self._usual.start(order, stdin=stdin, stdout=stdout)
        if not await self._has_server(order):
            self._say(order, "its fork server is not ready yet")
            return await self._usual.start(order.to_execute(), stdin=stdin, stdout=stdout)
        child = await self._forks.start(order, stdin=stdin, stdout=stdout)
        if child.namesake:
            self._say(order, f"it has a module {child.namesake!r}, and its fork server has loaded another one")
        return child

    async def close(self) -> None:
        """
        End the wardens that have no program, and give the keepers back.
        """
        await self._forks.close()
        await self._usual.close()

    async def _has_server(self, order: Order) -> bool:
        """
        Wait for the fork server, which is searched for in any case, but not too long.
        """
        if self._forks.is_near(order):
            return await self._finds(order)
        if time.monotonic() < _late.get(order.interpreter, 0):
            return False
        with anyio.move_on_after(self._patience - self._forks.waited(order)):
            return await self._finds(order)
        self._is_late(order.interpreter, f"{_name(order)} is not ready to fork after {self._patience:g} s")
        return False

    async def _finds(self, order: Order) -> bool:
        try:
            await self._forks.find(order)
        except KeeperLate as error:
            self._is_late(order.interpreter, error.message)
            return False
        except ConfigError:
            _late.pop(order.interpreter, None)  # whoever comes next is told it as well
            raise
        _late.pop(order.interpreter, None)
        return True

    def _is_late(self, interpreter: Interpreter | None, why: str) -> None:
        if time.monotonic() >= _late.get(interpreter, 0):
            _logger.warning("%s: programs are executed meanwhile", why)
        _late[interpreter] = time.monotonic() + _PAUSE
        if self._is_lasting:
            self._forks.give_up()

    def _say(self, order: Order, why: str) -> None:
        assert order.main is not None
        what = order.main.module or order.main.words[order.main.count - 1]
        if (what, why) not in self._said:
            self._said.add((what, why))
            _logger.info("%s is executed, not forked: %s", what, why)


def _name(order: Order) -> str:
    return order.interpreter.argv[0] if order.interpreter is not None else ""
