"""
What tests of the exporter need.
"""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def free_port() -> int:
    """
    A port that nobody listens at.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
