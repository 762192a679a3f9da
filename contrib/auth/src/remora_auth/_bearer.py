"""
Bearer tokens that change: a flow that asks for the token, and once more when it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.errors import Code, RemoraError
from remora.types import Refresh
from remora_auth._header import AUTHORIZATION, with_header, write_bearer

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from remora.secret import Secret
    from remora.types import Call
    from remora_auth._tokens import Tokens


class RefreshingBearer:
    """
    Sends the token of the moment. When the plugin refuses it, a new one is fetched and the call is made once more.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def flow(self, call: Call) -> Generator[Call | Refresh, Any, None]:
        """
        Have the token fetched when it is missing or ends soon, send the call, and if need be, the same again.
        """
        token = self._tokens.ready()
        if token is None:
            token = yield Refresh(self._tokens.renewed)
        elif self._tokens.is_due:
            yield Refresh(self._tokens.renewed, is_awaited=False)
        try:
            yield with_header(call, AUTHORIZATION, write_bearer(token))
        except RemoraError as error:
            if error.code is not Code.UNAUTHENTICATED:
                raise
            fresh = yield Refresh(_Another(self._tokens, token))
            if fresh == token:
                raise
            yield with_header(call, AUTHORIZATION, write_bearer(fresh))


@dataclass(frozen=True)
class _Another:
    """
    The fetching of another token than one that was refused, which all calls whose token was refused have in common.
    """

    tokens: Tokens
    refused: Secret

    async def __call__(self) -> Secret:
        return await self.tokens.another(self.refused)
