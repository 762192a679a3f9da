"""
The event loop's clock without the question of which event loop it is, for code that reads it many times a call.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def loop_clock() -> Callable[[], float]:
    """
    A function that gives what `anyio.current_time` gives on the event loop that runs now, in a tenth of the time.
    """
    if "trio" in sys.modules:
        from trio.lowlevel import current_clock, in_trio_run

        if in_trio_run():
            return current_clock().current_time
    from asyncio import BaseEventLoop, get_running_loop

    loop = get_running_loop()
    return time.monotonic if type(loop).time is BaseEventLoop.time else loop.time
