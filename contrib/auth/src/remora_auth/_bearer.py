"""
Bearer tokens that change: a flow that asks for the token, and once more when it is refused.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from remora.errors import Code, RemoraError
from remora.types import Refresh
from remora_auth._header import AUTHORIZATION, with_header, write_bearer

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

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
        Ask for the token, send the call, and if need be, the same again.
        """
        token = yield Refresh(self._tokens.current)
        try:
            yield with_header(call, AUTHORIZATION, write_bearer(token))
        except RemoraError as error:
            if error.code is not Code.UNAUTHENTICATED:
                raise
            fresh = yield Refresh(partial(self._tokens.renewed, token))
            if fresh == token:
                raise
            yield with_header(call, AUTHORIZATION, write_bearer(fresh))
