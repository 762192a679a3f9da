"""
Endpoints that somebody else writes into a file.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from remora import ConfigError, Unavailable
from remora.watching import FileWatch, content_of, folders_of, read_content, require_watching
from remora_resolvers._listing import parse_listing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora import Endpoint

_AGAIN = 1.0
"""Seconds until a file that cannot be used is looked at again."""


class FileResolver:
    """
    Reads a list of endpoints, and again each time that it changes.

    Raises:
        ConfigError: There is no path.
        NotInstalled: What watches files is not there.
    """

    def __init__(self, path: str, *, priority: int = 1) -> None:
        if not path:
            raise ConfigError("the resolver 'file' needs a path")
        require_watching()
        self._path = os.path.abspath(path)
        self._priority = priority

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Report the endpoints in the file, now and after each change.

        Raises:
            Unavailable: The file cannot be read, or holds no such list.
        """
        errors: list[Unavailable] = []

        async def changed() -> None:
            try:
                report(await self._read())
            except Unavailable as error:
                errors.append(error)
                scope.cancel()

        known = await anyio.to_thread.run_sync(content_of, self._path)
        report(await self._read())
        watch = FileWatch(
            content=partial(content_of, self._path),
            folders=partial(folders_of, self._path),
            changed=changed,
            known=known,
        )
        with anyio.CancelScope() as scope:
            await watch.run()
        raise errors[0]

    async def _read(self) -> list[Endpoint]:
        try:
            content = await anyio.to_thread.run_sync(read_content, self._path)
            return parse_listing(content.decode("utf-8-sig"), priority=self._priority)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}", retry_after=_AGAIN, sent=False) from error
        except ValueError as error:
            raise Unavailable(f"{self._path}: {error}", retry_after=_AGAIN, sent=False) from error
