"""
The token of the moment: kept while it is good, fetched when it is not.

What lives here: when to fetch. What must not: where from (see `_sources`), and who waits for it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from remora.errors import RemoraError

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
        self._token: Token | None = None
        self._ends = self._renew_at = float("inf")

    def ready(self) -> Secret | None:
        """
        The token, while it is good and no other one is there.
        """
        if self._token is None or self._clock() >= self._ends or self._source.has_changed():
            return None
        return self._token.secret

    @property
    def is_due(self) -> bool:
        """
        Whether it is time for the next token, although the present one may still be good.
        """
        return self._clock() >= self._renew_at

    async def renewed(self) -> Secret:
        """
        A new token; the old one when there is no other and it is still good.

        Raises:
            NoCredentials: There is none to be had.
        """
        try:
            return await self._fetch()
        except RemoraError as error:
            if self._token is None or self._clock() >= self._ends:
                raise
            _log.warning("the token cannot be renewed, and is used as long as it is good: %s", error.message)
            self._renew_at = min(self._ends, self._clock() + _PATIENCE)
            return self._token.secret

    async def another(self, refused: Secret) -> Secret:
        """
        Another token than one that was refused, if there is another.

        Raises:
            NoCredentials: There is none to be had.
        """
        if self._token is not None and self._token.secret != refused:
            return self._token.secret
        return await self._fetch()

    async def _fetch(self) -> Secret:
        self._token = token = await self._source.fetch()
        now = self._clock()
        lifetime = float("inf") if token.lifetime is None else token.lifetime
        self._ends, self._renew_at = now + lifetime, now + lifetime - min(_MARGIN, lifetime / 5)
        return token.secret
