"""
A host whose plugin is written in TypeScript.
"""

import os
from dataclasses import dataclass
from typing import Protocol

import anyio

from remora import DeadlineExceeded, Manager, PluginError


@dataclass(frozen=True, slots=True)
class Author:
    author: str


@dataclass(frozen=True, slots=True)
class Quote:
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Authors:
    names: list[str]


class Quotes(Protocol):
    """
    What the plugin can do, as its types in TypeScript say.
    """

    async def authors(self) -> Authors: ...

    async def find(self, request: Author) -> Quote: ...


async def main() -> None:
    async with Manager.from_file("remora.toml") as manager:
        quotes = manager.client("quotes", Quotes)
        for name in (await quotes.authors()).names:
            print(f"{name:<11}{(await quotes.find(Author(name))).text}")
        try:
            await quotes.find(Author("Nobody"))
        except PluginError as error:
            print(f"Nobody     {error.code}: {error.message}")

        search = manager.plugin("quotes", dict, dict, method="search")
        try:
            await search.execute({}, timeout=0.2)
        except DeadlineExceeded as error:
            print(f"search     {error.code}")


anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
