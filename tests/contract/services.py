"""
The services that are served over every wire. They stand apart from their tests, since a program that serves one imports
this module, and pytest takes longer to import than all that serving needs.
"""

from __future__ import annotations

import attrs

from remora import current_call, service


class Lengths:
    """
    Makes long replies of short requests, and short ones of long requests.
    """

    async def repeat(self, times: int) -> str:
        """
        So many letters.
        """
        return "x" * times

    async def count(self, text: str) -> int:
        """
        How many letters there are.
        """
        return len(text)


@service("Repeater")
class Repeater:
    """
    A plugin with defaults of its own.
    """

    async def up(self, *, text: str, times: int = 3, end: str | None = "!") -> str:
        """
        Two that may be left out.
        """
        return text * times + str(end)

    async def once(self, number: int | None = 7) -> int | None:
        """
        The only one may be left out, and null is a value.
        """
        return number

    def twice(self, *, number: int = 7) -> int:
        """
        By its name, in a thread.
        """
        return 2 * number


class Looker:
    """
    Says what it sees, and answers with headers of its own.
    """

    async def look(self) -> dict[str, str]:
        """
        The headers of the call.
        """
        return dict(current_call().headers)

    async def answer(self, name: str) -> None:
        """
        A reply with a header.
        """
        current_call().reply_headers[name] = "x"


@attrs.frozen
class Private:
    """
    Its constructor has other names than its fields.
    """

    _first: int
    _second: str = "two"
    third: int = attrs.field(default=3, alias="other")


class Kinds:
    """
    One of each.
    """

    async def named(self, *, number: int) -> int:
        """
        One parameter, which is given by its name.
        """
        return number

    async def private(self, request: Private) -> Private:
        """
        The same record.
        """
        return request
