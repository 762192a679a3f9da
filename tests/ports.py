"""
Ports for tests that must name one.
"""

from __future__ import annotations

import socket


def free_port() -> int:
    """
    A port of the loopback interface on which nobody listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
