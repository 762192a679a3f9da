"""
What a served plugin loads only when it serves or answers its first call, for processes that load it beforehand.

What lives here: the list. What must not: the loading of anything when this module is imported.
"""

from __future__ import annotations

from importlib import import_module

from remora._backend import require_backend
from remora._extensions._registry import load_catalog

_LATE = (
    "anyio._core._signals",
    "remora.codecs",
    "remora._structure._fields",
    "remora._structure._mismatch",
    "remora._structure._objections",
    "remora._structure._quick",
    "remora._structure._shortcuts",
    "remora._structure._written",
    "remora.io._serve",
    "remora.io._landing",
    "remora.io._outbox",
    "remora.io._pipe",
    "remora.io._worker_pool",
    "remora.wire._status",
    "remora.wire._ttrpc",
)


def preload(backend: str = "asyncio") -> None:
    """
    Load all that serving needs, for a process whose forks serve plugins: a fork shares it, and is ready at once.

    It starts neither threads nor an event loop. What the program of the plugin imports is not known here.

    Args:
        backend: The event loop of the plugins, "asyncio" or "trio".

    Raises:
        ConfigError: There is no such event loop, or it is not installed.
        ExtensionError: An installed extension is unusable.
    """
    require_backend(backend)
    for name in (f"anyio._backends._{backend}", *_LATE, f"remora.io._{backend}"):
        import_module(name)
    load_catalog()
