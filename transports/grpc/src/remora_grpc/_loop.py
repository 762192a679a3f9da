"""
One asyncio loop in a background thread, for programs whose own loop grpcio cannot use. All of them share it.

What lives here: the thread, its life, and the mailbox that wakes a loop once for many messages. What must not: gRPC.

A message is a function without arguments. Whoever posts appends it first and looks at the flag afterwards; the reader
clears the flag first and takes messages afterwards. So a message that was not announced is always still seen.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LAST_STEPS = 5


class Mailbox:
    """
    Messages for one loop, from any thread. Its loop is woken once for all that gather until it looks.
    """

    __slots__ = ("_announced", "_messages", "_wake")

    def __init__(self, wake: Callable[[Callable[[], None]], object]) -> None:
        self._wake = wake
        self._messages: deque[Callable[[], object]] = deque()
        self._announced = False

    def post(self, message: Callable[[], object]) -> None:
        """
        Have the loop run a message soon. A loop that has ended drops it.
        """
        self._messages.append(message)
        if not self._announced:
            self._announced = True
            self._wake(self._deliver)

    def _deliver(self) -> None:
        self._announced = False
        for _ in range(len(self._messages)):
            self._messages.popleft()()


class BackgroundLoop:
    """
    An asyncio loop in a thread of its own, reached through `inbox`.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(_report)
        self.inbox = Mailbox(self._wake)
        self._context = contextvars.Context()
        self._stopped = asyncio.Event()
        self._ended: Callable[[], object] = _nothing
        self._thread = threading.Thread(target=self._main, name="remora-grpc", daemon=True)

    def start(self) -> None:
        """
        Start the thread.
        """
        self._thread.start()

    def stop(self, ended: Callable[[], object]) -> None:
        """
        Have the thread end soon; it calls `ended` as its last act.
        """
        self._ended = ended
        self.inbox.post(self._stopped.set)

    def join(self, timeout: float) -> None:
        """
        Wait for the thread, which is about to end.
        """
        self._thread.join(timeout)

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._stopped.wait())
        finally:
            self._ended()

    def _wake(self, deliver: Callable[[], None]) -> None:
        if not self.loop.is_closed():
            # In a context of its own: the caller's says that the running loop is trio's.
            self.loop.call_soon_threadsafe(deliver, context=self._context)


async def settle() -> None:
    """
    Let the tasks that grpcio has in the running loop take their last steps.
    """
    for _ in range(_LAST_STEPS):
        await asyncio.sleep(0)


class _Shared:
    """
    The loop of this process and how many use it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: BackgroundLoop | None = None
        self._users = 0

    def acquire(self) -> BackgroundLoop:
        """
        The loop, started if nobody used it until now. Every call is paired with one of `release`.
        """
        with self._lock:
            if self._loop is None:
                self._loop = BackgroundLoop()
                self._loop.start()
            self._users += 1
            return self._loop

    def release(self) -> BackgroundLoop | None:
        """
        Use the loop no more.

        Returns:
            The loop, for the last user, who has to stop it; else None.
        """
        with self._lock:
            self._users -= 1
            if self._users:
                return None
            last, self._loop = self._loop, None
            return last


shared = _Shared()


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # With more than one loop in the process, grpcio wakes all of them for one event and lets the slower ones fail
    # (grpc/grpc#25364); nothing is lost by that.
    if not isinstance(context.get("exception"), BlockingIOError):
        loop.default_exception_handler(context)


def _nothing() -> None:
    return None
