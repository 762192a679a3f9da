"""
Synchronous handlers run in threads, as many at once as the plugin's options say.
"""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread
from anyio.lowlevel import checkpoint

from remora import Call, ServeOptions
from remora.serve import dispatcher_for

pytestmark = pytest.mark.anyio


class Meeting:
    """
    Whoever comes waits until all are there.
    """

    def __init__(self, party: int) -> None:
        self._barrier = threading.Barrier(party)
        self._count = threading.Lock()
        self.here = self.most = 0

    def meet(self) -> int:
        """
        Wait for the others.
        """
        return self._barrier.wait(10)

    def work(self) -> None:
        """
        Use a thread from a thread, as libraries do.
        """
        self.meet()
        from_thread.run(to_thread.run_sync, threading.get_ident)

    def pass_through(self) -> None:
        """
        Let others come in before leaving, if they may.
        """
        with self._count:
            self.here += 1
            self.most = max(self.most, self.here)
        from_thread.run(checkpoint)
        with self._count:
            self.here -= 1


async def call_at_once(number: int, method: str, meeting: Meeting, options: ServeOptions) -> None:
    dispatcher: Any = dispatcher_for(meeting, options=options)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(dispatcher, Call(service="", method=method, payload=b"{}"), "")


@pytest.mark.parametrize("number", [1, 40, 60])
async def test_as_many_run_at_once_as_the_options_say(number: int) -> None:
    """
    More than anyio's default limit, too.
    """
    await call_at_once(number, "meet", Meeting(number), ServeOptions(max_threads=number))


async def test_no_more_than_that() -> None:
    """
    The others wait for a thread.
    """
    meeting = Meeting(1)
    await call_at_once(30, "pass_through", meeting, ServeOptions(max_threads=1))

    assert meeting.most == 1


async def test_threads_that_handlers_use_themselves_are_others() -> None:
    """
    Handlers that all wait for a thread of anyio's would else have taken them all.
    """
    await call_at_once(40, "work", Meeting(40), ServeOptions())
