"""
A plugin that counts words, and is slow when it is asked to be.
"""

from dataclasses import dataclass

import anyio

from remora import Code, PluginError, idempotent, serve, service


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    pause: float = 0


@dataclass(frozen=True, slots=True)
class Count:
    words: int


@service("text.v1.Words")
class Words:
    """
    Counts words.
    """

    @idempotent
    async def count(self, request: Text) -> Count:
        """
        The number of words, after a pause in seconds.
        """
        await anyio.sleep(request.pause)
        if not request.text:
            raise PluginError("nothing to count", code=Code.INVALID_ARGUMENT)
        return Count(words=len(request.text.split()))


if __name__ == "__main__":
    serve(Words())
