"""
Starting programs with a keeper.

What lives here: which keeper and which warden start a program. What must not: the keeper's own life (see `_keeper`).
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio

from remora.errors import Unavailable
from remora_exec._keeping._hiring import Hiring
from remora_exec._keeping._keeper import END_TIMEOUT, is_running, let_go, release
from remora_exec._keeping._keeper_launch import START_TIMEOUT, KeeperLost
from remora_exec._keeping._kept import LAST_WORDS, KeptChild, Line
from remora_exec._keeping._words import KILL, REAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora_exec._keeping._keeper import Keeper
    from remora_exec._keeping._order import Order

_MOST_IDLE = 8


class KeptStarter:
    """
    Starts programs, each with a warden of a keeper.

    Args:
        keeper: A keeper; None for the one that the first program will need.
    """

    def __init__(self, keeper: Keeper | None) -> None:
        self._keeper = keeper
        self._hiring: Hiring | None = None
        self._idle: list[Line] = []

    async def start(self, order: Order, *, stdin: int, stdout: int) -> KeptChild:
        """
        A child process with these descriptors as its standard input and output.

        Raises:
            OSError: The program cannot be run.
            ConfigError: Its interpreter cannot be a fork server.
            Unavailable: The system lacks resources for another process.
        """
        while self._idle and (keeper := self._usable(order)) is not None:
            with suppress(KeeperLost):  # only this warden is lost
                return await self._try(keeper, self._idle.pop, order, stdin, stdout)
        for _ in range(2):
            keeper = self._usable(order) or await self._replaced(order)
            try:
                return await self._try(keeper, partial(_appointed, keeper), order, stdin, stdout)
            except KeeperLost:
                keeper.is_lost = True
            except Unavailable:  # it hangs
                keeper.is_lost = True
                raise
        raise Unavailable("the keeper of processes was killed", sent=False)

    async def find(self, order: Order) -> None:
        """
        Find the keeper that an order needs, however long that takes.

        Raises:
            ConfigError: Its interpreter cannot be a fork server.
            Unavailable: The system lacks resources for another process; as a `KeeperLate`, it was not ready in time.
        """
        if self._usable(order) is None:
            await self._replaced(order)

    def is_near(self, order: Order) -> bool:
        """
        Whether it is known by now what `find` would bring.
        """
        if self._usable(order) is not None:
            return True
        hiring = self._search_for(order)
        return is_running(order.interpreter) if hiring is None else hiring.is_over

    def waited(self, order: Order) -> float:
        """
        The seconds for which the keeper that an order needs has been searched for already.
        """
        hiring = self._search_for(order)
        return 0.0 if hiring is None else time.monotonic() - hiring.begun

    def give_up(self) -> None:
        """
        Search no more for a keeper.
        """
        if self._hiring is not None:
            self._hiring.give_up()
            self._hiring = None

    async def close(self) -> None:
        """
        End the wardens that have no program, and give the keeper back.
        """
        self._dismiss()
        self.give_up()
        if self._keeper is not None:
            await release(self._keeper)

    def _usable(self, order: Order) -> Keeper | None:
        keeper = self._keeper
        return keeper if keeper and keeper.is_usable and keeper.interpreter == order.interpreter else None

    async def _replaced(self, order: Order) -> Keeper:
        self._dismiss()  # without the keeper nothing would adopt the orphans of these wardens
        try:
            return await self._found(self._search(order))
        except KeeperLost as error:
            raise Unavailable("the keeper of processes cannot be started any more", sent=False) from error

    def _search_for(self, order: Order) -> Hiring | None:
        hiring = self._hiring
        return hiring if hiring is not None and hiring.interpreter == order.interpreter else None

    def _search(self, order: Order) -> Hiring:
        """
        The search for a keeper that all calls wait for.
        """
        if self._search_for(order) is None:
            self.give_up()
            self._hiring = Hiring(order.interpreter)
        assert self._hiring is not None
        return self._hiring

    async def _found(self, hiring: Hiring) -> Keeper:
        try:
            keeper = await hiring.keeper()
        except Exception:  # there is none; after a cancellation there may be one later
            if self._hiring is hiring:
                self._hiring = None
            raise
        if self._hiring is hiring:  # this is the first of the calls that have waited
            self._hiring = None
            before, self._keeper = self._keeper, keeper
            if before is not None:
                let_go(before)
        return keeper

    async def _try(self, keeper: Keeper, find: Callable[[], Line], order: Order, stdin: int, stdout: int) -> KeptChild:
        reading, writing = os.pipe()
        try:
            line = find()
            word, pid = await _started(line, order, (stdin, stdout, writing, *order.descriptors))
            namesake = word.partition(":")[2]
            return KeptChild(pid, reading, line, partial(self._take_back, keeper), namesake=namesake)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)

    def _take_back(self, keeper: Keeper, line: Line) -> None:
        if keeper is self._keeper and keeper.is_usable and len(self._idle) < _MOST_IDLE:
            self._idle.append(line)
        else:
            line.close()

    def _dismiss(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _appointed(keeper: Keeper) -> Line:
    ours, theirs = socket.socketpair()
    with theirs, ExitStack() as stack:
        stack.enter_context(ours)
        keeper.appoint(theirs)
        stack.pop_all()
        return Line(ours)


async def _started(line: Line, order: Order, files: Sequence[int]) -> tuple[str, int]:
    """
    What the warden says of the program that it has started, and its PID.
    """
    try:
        with anyio.move_on_after(START_TIMEOUT):
            await line.send(order, files)
            word, number = await line.listen()
            if word == "lost":
                raise KeeperLost
            if word == "failed":
                raise OSError(number, os.strerror(number))
            return word, number
        raise Unavailable("the keeper of processes does not answer", sent=False)
    except BaseException:
        line.tell(KILL + REAP)
        line.hang_up()  # the rest of the order is not sent
        with anyio.move_on_after(END_TIMEOUT, shield=True):  # the program may have started nevertheless
            while (await line.listen())[0] not in LAST_WORDS:
                pass
        line.close()
        raise
