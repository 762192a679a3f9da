"""
What the `open` of a transport gives, which may be a stranger's.

What lives here: telling what is wrong with it, in the words of the protocol. What must not: opening anything.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Channel


def context_of(opened: object) -> AbstractAsyncContextManager[Channel]:
    """
    What a transport's `open` has returned, if it is what it should be.
    """
    if hasattr(opened, "__aenter__"):
        return cast("AbstractAsyncContextManager[Channel]", opened)
    if inspect.iscoroutine(opened):
        opened.close()
    kind = type(opened).__name__
    hint = "; is `@asynccontextmanager` missing?" if kind in ("coroutine", "async_generator") else ""
    raise TypeError(f"`open` returned a {kind}, instead of an async context manager{hint}")


def channel_of(opened: Channel) -> Channel:
    """
    What the context of a transport's `open` has given, likewise.
    """
    for method in ("call", "probe"):
        if not hasattr(opened, method):
            raise TypeError(f"the context of `open` gave a {type(opened).__name__}, which has no `{method}`")
    return opened
