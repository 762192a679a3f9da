"""
Ports of the loopback interface for tests that must name one.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = range(10_000, 30_000)
"""Below those that the system gives to whoever asks for any, such as the tests beside this one."""


def free_port() -> int:
    """
    A port to listen on.
    """
    while True:
        with suppress(OSError), socket.socket() as taken:
            taken.bind(("127.0.0.1", secrets.choice(_OURS)))
            port: int = taken.getsockname()[1]
            return port


@contextmanager
def deaf_port() -> Iterator[int]:
    """
    A port on which nobody listens, and nobody can, while the context lasts.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
