"""
Systems other than Linux: what works there, and what is refused.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

pytestmark = pytest.mark.anyio

HOST = Path(__file__).with_name("elsewhere.py")


async def test_calls_need_nothing_that_only_linux_has(anyio_backend_name: str) -> None:
    """
    A measure that the system lacks is refused where somebody asks for it, and does not keep plugins from starting.
    """
    with TemporaryDirectory() as directory, anyio.fail_after(60):
        host = await anyio.run_process([sys.executable, str(HOST), anyio_backend_name, directory])

    assert [
        "child A",
        "forked A",
        "unix A",
        "http A",
        "limits this system cannot set the limits of another process: remove the limits",
        "user plugins.user.options: this system does not tell who is at the other end of a socket, so users cannot be "
        "checked",
    ] == host.stdout.decode().splitlines()
