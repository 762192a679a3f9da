"""
A plugin: a class with typed methods.
"""

from attrs import frozen

from remora import serve, service


@frozen
class Text:
    text: str


@frozen
class Count:
    words: int


@service("text.v1.Words")
class Words:
    async def count(self, request: Text) -> Count:
        return Count(words=len(request.text.split()))


if __name__ == "__main__":
    serve(Words())
