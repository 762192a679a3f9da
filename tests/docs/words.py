"""
The plugin whose calls `docs/wires.md` shows.
"""

from dataclasses import dataclass

from remora import Code, PluginError, serve, service


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Count:
    words: int


@service("text.v1.Words")
class Words:
    async def count(self, request: Text) -> Count:
        if not request.text:
            raise PluginError("nothing to count", code=Code.INVALID_ARGUMENT, details={"field": "text"})
        return Count(words=len(request.text.split()))


if __name__ == "__main__":
    serve(Words())
