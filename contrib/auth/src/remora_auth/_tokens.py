"""
The token of the moment: kept while it is good, fetched by one caller at a time when it is not.

What lives here: when to fetch. What must not: where from (see `_sources`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import anyio

from remora.errors import NoCredentials, RemoraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.secret import Secret
    from remora_auth._token import Token

_log = logging.getLogger(__name__.replace("_", ".", 1))

_MARGIN = 30.0
"""Seconds before its end at which a token is renewed, unless it lives so shortly that a fifth of that is less."""

_PATIENCE = 5.0
"""Seconds until a renewal that failed is tried again, while the old token is still good."""


class Source(Protocol):
    """
    Where tokens come from.
    """

    def has_changed(self) -> bool:
        """
        Whether another token is there than the one that was fetched last.
        """
        ...

    async def fetch(self) -> Token:
        """
        The token of now.

        Raises:
            NoCredentials: There is none to be had.
        """
        ...


class Tokens:
    """
    The tokens of one plugin.
    """

    def __init__(self, source: Source, *, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._lock = anyio.Lock(fast_acquire=True)
        self._token: Token | None = None
        self._ends = self._renew_at = float("inf")
        self._failures, self._failure = 0, ""

    async def current(self) -> Secret:
        """
        A token that is good.

        Raises:
            NoCredentials: There is none to be had.
        """
        known = self._token
        good_until = self._ends if self._lock.locked() else self._renew_at  # while somebody renews it, nobody else does
        if known is not None and self._clock() < good_until and not self._source.has_changed():
            return known.secret
        return (await self._renew(known, is_refused=False)).secret

    async def renewed(self, refused: Secret) -> Secret:
        """
        Another token than one that was refused, if there is another.

        Raises:
            NoCredentials: There is none to be had.
        """
        known = self._token
        if known is not None and known.secret != refused:
            return known.secret
        return (await self._renew(known, is_refused=True)).secret

    async def _renew(self, known: Token | None, *, is_refused: bool) -> Token:
        """
        Fetch a token, unless somebody else is doing that: then wait, and share what comes of it.
        """
        is_joining, failures = self._lock.locked(), self._failures
        async with self._lock:
            if self._token is not None and self._token is not known:
                return self._token
            if is_joining and self._failures != failures:
                raise NoCredentials(self._failure)
            return await self._replace(None if is_refused else known)

    async def _replace(self, old: Token | None) -> Token:
        """
        A new token, or the old one if that is still good when there is no new one to be had.
        """
        try:
            return await self._fetch(has_spare=old is not None and self._clock() < self._ends)
        except RemoraError as error:
            if old is None or self._clock() >= self._ends:
                self._failures, self._failure = self._failures + 1, error.message
                raise
            _log.warning("the token cannot be renewed, and is used as long as it is good: %s", error.message)
            self._renew_at = min(self._ends, self._clock() + _PATIENCE)
            return old

    async def _fetch(self, *, has_spare: bool) -> Token:
        """
        A new token; while the old one is still good, only half of the time that the call has is spent on it.
        """
        with anyio.move_on_after(_half_of_the_time_left() if has_spare else None):
            return self._keep(await self._source.fetch())
        if self._clock() < self._ends:
            raise NoCredentials("it took more than half of the time that the call has")
        return self._keep(await self._source.fetch())

    def _keep(self, token: Token) -> Token:
        now = self._clock()
        lifetime = float("inf") if token.lifetime is None else token.lifetime
        self._token = token
        self._ends, self._renew_at = now + lifetime, now + lifetime - min(_MARGIN, lifetime / 5)
        return token


def _half_of_the_time_left() -> float:
    return (anyio.current_effective_deadline() - anyio.current_time()) / 2
