"""
A host whose plugin is written in Go.
"""

import os
from dataclasses import dataclass
from typing import Protocol

import anyio

from remora import Manager, PluginError


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Count:
    words: int
    characters: int


@dataclass(frozen=True, slots=True)
class Place:
    language: str
    has_request_id: bool
    has_deadline: bool


class Words(Protocol):
    """
    What the plugin can do, as its types in Go say.
    """

    async def count(self, request: Text) -> Count: ...

    async def where(self) -> Place: ...


async def main() -> None:
    async with Manager.from_file("remora.toml") as manager:
        words = manager.client("words", Words)
        print("count ", await words.count(Text("Rémoras tiennent bon")))
        print("where ", await words.where())
        try:
            await words.count(Text(""))
        except PluginError as error:
            print("empty ", f"{error.code}: {error.message}")


anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
