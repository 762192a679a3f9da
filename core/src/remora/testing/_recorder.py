"""
Lifecycle events, written down for a test to look at and to wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from remora.hookspecs import hookimpl

if TYPE_CHECKING:
    from remora.types import Event

__all__ = ["EventRecorder"]

E = TypeVar("E", bound="Event")


class EventRecorder:
    """
    An extension that records every event: pass it to `Manager(..., extensions=[...])`.

    Attributes:
        events: The events so far, in order.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = anyio.Event()

    @hookimpl
    def remora_event(self, event: Event) -> None:
        """
        Record it, and wake those who wait for it.
        """
        self.events.append(event)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    @property
    def names(self) -> list[str]:
        """
        The kinds of the events so far, such as "InstanceReady".
        """
        return [type(event).__name__ for event in self.events]

    def of(self, kind: type[E], **facts: object) -> list[E]:
        """
        The events of a kind so far.

        Args:
            kind: The class of the events.
            **facts: Values that their attributes must have, such as `plugin="pay"`.
        """
        found = [event for event in self.events if isinstance(event, kind)]
        return [event for event in found if all(getattr(event, name) == value for name, value in facts.items())]

    async def wait_for(self, kind: type[E], *, count: int = 1, within: float = 5.0, **facts: object) -> E:
        """
        Wait for an event, which may have happened already.

        Args:
            kind: The class of the event.
            count: Which of the events of that kind, counted from 1.
            within: Seconds to wait.
            **facts: Values that its attributes must have, such as `plugin="pay"`.

        Raises:
            AssertionError: It did not happen; the message says what did.
        """
        with anyio.move_on_after(within):
            while len(self.of(kind, **facts)) < count:
                await self._changed.wait()
        found = self.of(kind, **facts)
        assert len(found) >= count, f"no {kind.__name__} {facts or ''} within {within} s; there were: {self.names}"
        return found[count - 1]

    def assert_order(self, *kinds: type[Event]) -> None:
        """
        Assert that events of these kinds happened in this order, with any others in between.

        Raises:
            AssertionError: They did not.
        """
        rest = iter(self.events)
        for kind in kinds:
            assert any(isinstance(event, kind) for event in rest), f"no {kind.__name__} in its place in {self.names}"
