"""
Lifecycle events on their way to observers and subscribers. A slow subscriber cannot slow the manager down.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from remora._extensions._faults import is_fault
from remora._telemetry._event_log import log_event
from remora.types import Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from anyio.streams.memory import MemoryObjectSendStream

    from remora._extensions._conduct import Conduct
    from remora._extensions._feature import Origin

_log = logging.getLogger(__name__)

_BUFFER = 1000


class EventBus:
    """
    Hands every event to the observing extensions and to everyone who iterates over the events.
    """

    def __init__(self, observers: Sequence[tuple[Origin, Callable[[Event], None]]], conduct: Conduct) -> None:
        self._observers = [
            (f"the observer of extension {each.entry_point!r} of {each}", tell) for each, tell in observers
        ]
        self._conduct = conduct
        self.count: Callable[[Event], object] | None = None  # the manager's own metrics, called before everyone else
        self._subscribers: set[MemoryObjectSendStream[Event]] = set()
        self._is_closed = False

    def publish(self, event: Event) -> None:
        """
        Hand an event to everyone; an observer's errors are logged with the name of its extension.
        """
        log_event(event)
        if self.count is not None:
            self.count(event)
        for culprit, observe in self._observers:
            with self._conduct.watching(culprit):
                try:
                    observe(event)
                except BaseException as error:  # a third-party observer may raise anything
                    if not is_fault(error):
                        raise
                    self._conduct.failed(culprit, error)
        for subscriber in self._subscribers:
            _offer(subscriber, event)

    def close(self) -> None:
        """
        End every subscriber's iteration once it has seen what was published so far.
        """
        self._is_closed = True
        for subscriber in self._subscribers:
            subscriber.close()

    @contextmanager
    def subscribe(self, buffer: float = _BUFFER) -> Iterator[AsyncIterator[Event]]:
        """
        An iterator over the events from now on; it ends when the manager does.

        Args:
            buffer: Events that may wait to be read; later ones are dropped, with a warning in the log.
        """
        send, receive = anyio.create_memory_object_stream[Event](buffer)
        if self._is_closed:
            send.close()
        self._subscribers.add(send)
        try:
            with send, receive:
                yield receive
        finally:
            self._subscribers.discard(send)


def _offer(subscriber: MemoryObjectSendStream[Event], event: Event) -> None:
    try:
        subscriber.send_nowait(event)
    except anyio.WouldBlock:
        _log.warning("a subscriber is too far behind and misses %s", type(event).__name__)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # the subscriber has closed its end, but has not been removed yet
