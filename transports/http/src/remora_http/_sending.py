"""
Messages, each a head and a body that may be large, on their way to a transport of asyncio.

What lives here: how the two are written. What must not: what they contain.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

APART = 16 * 1024
"""The size in bytes from which a body is handed to the kernel next to its head, instead of being copied behind it."""


class Sender:
    """
    Writes messages to a transport; large ones straight to its socket, if the transport has nothing left to send.

    Attributes:
        unsent: Returns how many bytes have not been given to the system yet.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        is_bare = transport.get_extra_info("ssl_object") is None and hasattr(os, "writev")
        self._descriptor: int | None = transport.get_extra_info("socket").fileno() if is_bare else None
        self._transport = transport
        self._waiting = transport.get_write_buffer_size
        self.unsent = _counter(transport)

    def write(self, head: bytes, body: bytes) -> None:
        """
        Write a message.
        """
        if len(body) < APART or self._descriptor is None or self._transport.is_closing() or self._waiting():
            return self._transport.write(head + body)
        try:
            sent = os.writev(self._descriptor, (head, body))
        except OSError:  # the transport will get the same error, and handles it
            sent = 0
        if sent < len(head):
            self._transport.write(head[sent:] + body)
        elif sent < len(head) + len(body):
            self._transport.write(memoryview(body)[sent - len(head) :])
        return None


def _counter(transport: asyncio.Transport) -> Callable[[], int]:
    """
    A function that returns how many bytes a transport still holds.

    Under TLS nearly all of them wait in another transport, which aborting this one empties, and which asyncio has no
    public name for. On an event loop that keeps it elsewhere these do not count.
    """
    waiting = transport.get_write_buffer_size
    bare = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return waiting if bare is None else lambda: waiting() + bare.get_write_buffer_size()
