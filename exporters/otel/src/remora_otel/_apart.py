"""
Blocking work in a thread that nobody has to wait for, not even the end of the process.

A thread of anyio's pool would do, but a process ends only after those; a collector that takes connections and never
answers would then hold up a host that is long done.

What lives here: the thread. What must not: OpenTelemetry.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.from_thread import run_sync
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def apart(act: Callable[[], T]) -> T:
    """
    What a function returns, or raises. When this is cancelled, the function goes on, and nobody hears of its end.
    """
    outcome, ended = Future[T](), anyio.Event()
    tell = partial(run_sync, ended.set, token=current_token())
    Thread(target=_work, args=(act, outcome, tell), name="remora-otel", daemon=True).start()
    await ended.wait()
    return outcome.result()


def _work(act: Callable[[], T], outcome: Future[T], tell: Callable[[], object]) -> None:
    try:
        outcome.set_result(act())
    except BaseException as error:  # it belongs to whoever waits
        outcome.set_exception(error)
    with suppress(RuntimeError):  # the event loop has ended
        tell()
