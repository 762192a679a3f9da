"""
Where a socket is: from the URL of an endpoint to a path, and from a path to one that the system takes.

What lives here: paths. What must not: sockets.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remora.types import Endpoint

_LIMIT = 107 if sys.platform == "linux" else 103
"""Bytes of a path that fit into the system's address of a socket."""


def path_of(endpoint: Endpoint) -> str:
    """
    The absolute path of an endpoint; empty for the bare `unix:`.

    Raises:
        ConfigError: The URL names none.
    """
    rest = endpoint.url.partition(":")[2]
    if rest.startswith("//") and not rest.startswith("///"):
        raise ConfigError(
            f"{endpoint.url}: write the path after three slashes (unix:///run/x.sock) or none (unix:x.sock)"
        )
    path = endpoint.address
    if "\0" in path or path.endswith("/"):
        raise ConfigError(f"{endpoint.url!r} does not name a file")
    if path.startswith(":"):
        raise ConfigError(f"{endpoint.url!r} has two colons; for a file of that name write unix:./{path}")
    if path.startswith("@"):
        raise ConfigError(
            f"{endpoint.url}: abstract sockets are not supported, since everybody may connect to one; for a file of"
            f" that name write unix:./{path}"
        )
    return os.path.abspath(path) if path else ""


def socket_of(endpoint: Endpoint) -> str:
    """
    The absolute path of an endpoint to call.

    Raises:
        ConfigError: The URL names no socket.
    """
    if path := path_of(endpoint):
        return path
    raise ConfigError(f"{endpoint.url!r}: the path of the socket is missing: write unix:///path/of/the.sock")


@contextmanager
def short_path(path: str, directory: int | None = None) -> Iterator[str]:
    """
    A name for the path that fits into a socket's address, valid inside the context.

    Args:
        path: The path.
        directory: Its directory, when that is open already: then the name leads there, whatever the path leads to.

    Raises:
        ConfigError: There is none.
        OSError: The directory cannot be opened.
    """
    if directory is not None and sys.platform == "linux":
        yield _beneath(directory, path)
    elif len(os.fsencode(path)) <= _LIMIT:
        yield path
    elif sys.platform == "linux":
        with _through_directory(path) as short:
            yield short
    else:
        raise _too_long(path)


@contextmanager
def _through_directory(path: str) -> Iterator[str]:
    descriptor = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _beneath(descriptor, path)
    finally:
        os.close(descriptor)


def _beneath(directory: int, path: str) -> str:
    short = f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    if len(os.fsencode(short)) > _LIMIT:
        raise _too_long(path)
    return short


def _too_long(path: str) -> ConfigError:
    size = len(os.fsencode(path))
    return ConfigError(f"{path}: the path of a socket may have {_LIMIT} bytes on this system, and this has {size}")
