"""
A plugin that changes and counts text.
"""

from dataclasses import dataclass

from remora import Code, PluginError, idempotent, service

LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Count:
    words: int
    characters: int


@service("text.v1.TextProcessor", version="1.0.0")
class TextProcessor:
    """
    Changes and counts text.
    """

    @idempotent
    async def uppercase(self, request: Text) -> Text:
        """
        The text in capital letters.
        """
        return Text(checked(request).upper())

    @idempotent
    async def lowercase(self, request: Text) -> Text:
        """
        The text in small letters.
        """
        return Text(checked(request).lower())

    @idempotent
    async def reverse(self, request: Text) -> Text:
        """
        The text from its end to its beginning.
        """
        return Text(checked(request)[::-1])

    @idempotent
    async def count(self, request: Text) -> Count:
        """
        The number of words and of characters.
        """
        text = checked(request)
        return Count(words=len(text.split()), characters=len(text))


def checked(request: Text) -> str:
    """
    The text of a request, if it is not too long.
    """
    length = len(request.text)
    if length > LONGEST:
        raise PluginError(f"{length} characters are more than {LONGEST}", code=Code.INVALID_ARGUMENT)
    return request.text
