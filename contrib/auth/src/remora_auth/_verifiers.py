"""
The served side: who calls, by the credentials of a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from remora.errors import Code, PluginError
from remora_auth._header import AUTHORIZATION, read_basic, read_bearer

if TYPE_CHECKING:
    from remora.types import Call
    from remora_auth._callers import Callers


class ApiKeys:
    """
    Verifies keys in a header.
    """

    def __init__(self, callers: Callers, *, header: str) -> None:
        self._callers = callers
        self._header = header

    def verify(self, call: Call, peer: str) -> str:
        """
        The holder of the call's key.
        """
        key = call.headers.get(self._header)
        if key is None:
            _refuse(f"an API key is expected in the header {self._header}")
        return self._callers.holder(key.strip()) or _refuse("the API key is not accepted")


class Bearers:
    """
    Verifies bearer tokens.
    """

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def verify(self, call: Call, peer: str) -> str:
        """
        The holder of the call's token.
        """
        token = read_bearer(call.headers.get(AUTHORIZATION, ""))
        if token is None:
            _refuse("a bearer token is expected", challenge="Bearer")
        return self._callers.holder(token) or _refuse("the token is not accepted", challenge="Bearer")


class Passwords:
    """
    Verifies names and passwords.
    """

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def verify(self, call: Call, peer: str) -> str:
        """
        The name, when the password is its own.
        """
        given = read_basic(call.headers.get(AUTHORIZATION, ""))
        if given is None:
            _refuse("a name and a password are expected", challenge=_BASIC)
        if not self._callers.is_password(*given):
            _refuse("the name or the password is not accepted", challenge=_BASIC)
        return given[0]


class Certificates:
    """
    Takes the word of the connection, which has verified the caller's certificate.
    """

    def verify(self, call: Call, peer: str) -> str:
        """
        The name in the certificate.
        """
        return call.identity or _refuse("a client certificate is expected")


_BASIC = 'Basic realm="remora", charset="UTF-8"'


def _refuse(reason: str, *, challenge: str = "") -> NoReturn:
    headers = {"www-authenticate": challenge} if challenge else None
    raise PluginError(reason, code=Code.UNAUTHENTICATED, headers=headers)
