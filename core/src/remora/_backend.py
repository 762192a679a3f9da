"""
The event loops that a program can run on.

What lives here: whether one can be had. What must not: running it.
"""

from __future__ import annotations

import importlib.util

from remora.errors import ConfigError, NotInstalled

_KNOWN = ("asyncio", "trio")


def require_backend(backend: str) -> None:
    """
    Check that an event loop is known and installed.

    Raises:
        NotInstalled: It is not installed.
        ConfigError: It is not known.
    """
    if backend not in _KNOWN:
        raise ConfigError(f'there is no event loop "{backend}"; choose {" or ".join(_KNOWN)}')
    if importlib.util.find_spec(backend) is None:
        raise NotInstalled(f'the event loop "{backend}" is not installed: pip install "remora[{backend}]"')
