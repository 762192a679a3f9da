"""
What an operator may do to a running host who has the token.
"""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from remora.errors import ConfigError, DrainTimeout, PluginNotFound, RemoraError
from remora_admin._json import Json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from remora import Manager, Secret

_DRAIN_TIME = 30.0
_NO_CONFIGURATION = "this host cannot reload: nothing says where its configuration is"
_TOKEN = re.compile(r"[\x21-\x7e]+(?: +[\x21-\x7e]+)*")


class Actions:
    """
    Restart, drain, reload.

    Raises:
        ConfigError: The token is empty, or cannot be sent.
    """

    def __init__(self, manager: Manager, token: Secret | None, reload: Callable[[], Awaitable[object]] | None) -> None:
        if token is not None and not token:
            raise ConfigError("the admin token is empty: anybody could send an empty token")
        if token is not None and not _TOKEN.fullmatch(token.reveal()):
            raise ConfigError("the admin token has a character that no header can carry: nobody could send it")
        self._manager = manager
        self._token = token
        self._reload = reload

    async def restart(self, request: Request) -> Response:
        """
        Close and start every instance of a plugin.
        """

        async def act() -> str:
            self._manager.restart(request.path_params["name"])
            return "the instances are being started"

        return await self._allowed(request, act)

    async def drain(self, request: Request) -> Response:
        """
        Let no new calls of a plugin in, and wait for those under way.
        """

        async def act() -> str:
            await self._manager.drain(request.path_params["name"], _DRAIN_TIME)
            return "no call is under way any more; restart lets calls in again"

        return await self._allowed(request, act)

    async def reload(self, request: Request) -> Response:
        """
        Read the configuration again, and move to it.
        """
        reload = self._reload
        if reload is None:
            return self._refusal(request) or _answer(501, _NO_CONFIGURATION)

        async def act() -> str:
            await reload()
            return "the configuration is in force"

        return await self._allowed(request, act)

    async def _allowed(self, request: Request, act: Callable[[], Awaitable[str]]) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        try:
            return _answer(200, await act())
        except PluginNotFound as error:
            return _answer(404, error.message)
        except ConfigError as error:
            return _answer(422, error.message)
        except DrainTimeout as error:
            return _answer(504, error.message)
        except RemoraError as error:
            return _answer(503, error.message)

    def _refusal(self, request: Request) -> Response | None:
        if self._token is None:
            return _answer(403, "this host is read-only: start it with --admin-token-file to allow this")
        if not _is_right(request.headers.get("authorization", ""), self._token):
            return _answer(401, "the admin token is missing or wrong")
        return None


def _is_right(header: str, token: Secret) -> bool:
    # Digests are compared, so that the time tells nothing of the token's length either.
    scheme, _, given = header.partition(" ")
    is_right = compare_digest(_digest(given.strip()), _digest(token.reveal()))
    return is_right and scheme.lower() == "bearer"


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _answer(status: int, message: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Json({"message": message}, status_code=status, headers=headers)
