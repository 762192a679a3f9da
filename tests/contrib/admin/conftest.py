"""
A host with one plugin that does as it is told, and its endpoints; the file of another host.
"""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from remora import Code, Manager, PluginError, Secret, serving
from remora.testing import MemoryTransport
from remora_admin import serving_admin
from tests.contrib.admin.hosts import write

TOKEN = "open sesame"


class Moody:
    """
    Answers, or says no.
    """

    async def ask(self, words: str) -> str:
        if words == "fail":
            raise PluginError("not today", code=Code.NOT_FOUND)
        if words == "break":
            raise KeyError(words)
        return words


@pytest.fixture
def config(tmp_path):
    """
    A file with one plugin.
    """
    path = tmp_path / "remora.toml"
    write(path, "words")
    return path


@pytest.fixture
def open_host():
    return _open_host


@asynccontextmanager
async def _open_host(*, admin_token=None, reload=None):
    """
    The manager, and a client of its endpoints.
    """
    transport = MemoryTransport()
    token = None if admin_token is None else Secret(admin_token)
    plugin = {"endpoint": "memory:moody", "labels": {"team": "<b>shop</b>"}}
    config = {"plugins": {"moody": plugin, "away": {"endpoint": "memory:nowhere"}}}
    with anyio.fail_after(20):
        async with (
            serving(Moody(), listen="memory:moody", extensions=[transport.extension]),
            Manager(config, extensions=[transport.extension]) as manager,
            serving_admin(manager, port=0, admin_token=token, reload=reload) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as client,
        ):
            yield manager, client
