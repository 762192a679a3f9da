"""
A host whose plugin is a shell script.
"""

import logging
import os
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

import anyio

from remora import Manager, PluginError


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Process:
    pid: int


class Shell(Protocol):
    """
    The methods of the script, and one that it lacks.
    """

    async def upper(self, request: Text) -> Text: ...

    async def pid(self) -> Process: ...

    async def lower(self, request: Text) -> Text: ...


async def main() -> None:
    async with Manager.from_file("remora.toml") as manager:
        shell = manager.client("shell", Shell)
        text = (await shell.upper(Text("make fast"))).text
        print(f'upper  "{text}" took {len(text)} characters')
        print("pid    the same process answers:", await shell.pid() == await shell.pid())
        await expect_refusal("hard", shell.upper(Text('"make fast"')))
        await expect_refusal("fail", shell.lower(Text("MAKE FAST")))


async def expect_refusal(what: str, call: Awaitable[object]) -> None:
    try:
        await call
    except PluginError as error:
        print(f"{what}   {error.code}: {error.message}")


logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
