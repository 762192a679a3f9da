"""
The methods that send what they were given. Each flow yields one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.secret import Secret
from remora_auth._header import AUTHORIZATION, with_header

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from remora.types import Call


class Header:
    """
    One header with one value, made once: api-key, basic, and bearer with a token that never changes.
    """

    def __init__(self, value: str, *, name: str = AUTHORIZATION) -> None:
        self._name = name
        self._value = value
        self._secret = Secret(value)  # so that it is known for one wherever it is told

    def flow(self, call: Call) -> Generator[Call, object, None]:
        """
        The call with the header.
        """
        yield with_header(call, self._name, self._value)


class Headers:
    """
    Any headers: custom.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def flow(self, call: Call) -> Generator[Call, object, None]:
        """
        The call with the headers.
        """
        for name, value in self._headers.items():
            call = with_header(call, name, value)
        yield call
