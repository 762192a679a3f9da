"""
What the demo shows: one plugin over every installed transport, and how its calls look on each wire.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora import NotInstalled
from remora.extensions import installed
from remora_cli.demo._children import arguments, serving_children

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Act:
    """
    One transport of the demo.

    Attributes:
        transport: Its name.
        wire: What is spoken.
        address: Where a child process serves; empty when the host itself starts the plugin.
    """

    transport: str
    wire: str
    address: str = ""


EXEC = "exec"

_ACTS = (
    Act("http", "JSON over HTTP/1.1", "http://127.0.0.1:0"),
    Act("grpc", "gRPC over HTTP/2", "grpc://127.0.0.1:0"),
    Act("unix", "ttrpc over a socket", "unix://{directory}/text.sock"),
    Act(EXEC, "ttrpc over pipes"),
)


def acts() -> tuple[list[Act], list[str]]:
    """
    What can be shown, and the names of the transports that are not installed.

    Raises:
        NotInstalled: None is.
    """
    features = {feature for extension in installed() for feature in extension.features}
    shown = [act for act in _ACTS if f"transport {act.transport}" in features]
    if not shown:
        raise NotInstalled('there is no transport to show: pip install "remora[all]"')
    return shown, [act.transport for act in _ACTS if act not in shown]


@asynccontextmanager
async def stage(shown: Sequence[Act], *, backend: str) -> AsyncIterator[Mapping[str, object]]:
    """
    A host's configuration with one plugin for each transport, all of them served; by the end of the context
    the child processes are gone.

    Raises:
        Unavailable: One could not be started.
    """
    with tempfile.TemporaryDirectory(prefix="remora-demo-") as directory:
        served = [act for act in shown if act.address]
        addresses = [act.address.format(directory=directory) for act in served]
        async with serving_children(addresses, backend=backend) as urls:
            found = {act.transport: url for act, url in zip(served, urls, strict=True)}
            plugins = {act.transport: _table(found.get(act.transport), backend) for act in shown}
            yield {"log_level": "error", "plugins": plugins}


def _table(url: str | None, backend: str) -> dict[str, object]:
    if url is not None:
        return {"endpoint": url}
    inherited = [name for name in ("PYTHONPATH", "REMORA_DISABLE") if name in os.environ]
    return {
        "endpoint": f"exec:{sys.executable}",
        "args": list(arguments(backend)),
        "options": {"inherit_env": inherited},
    }
