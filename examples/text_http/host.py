"""
A host that calls the text processor with a typed client.
"""

import os

import anyio
from plugin import LONGEST, Text, TextProcessor

from remora import Manager, PluginError


async def main() -> None:
    async with Manager.from_file("remora.toml") as manager:
        client = manager.client("text", TextProcessor)
        text = Text("A Remora holds on")

        print("uppercase  ", (await client.uppercase(text)).text)
        print("lowercase  ", (await client.lowercase(text)).text)
        print("reverse    ", (await client.reverse(text)).text)
        count = await client.count(text)
        print("count      ", f"{count.words} words, {count.characters} characters")
        try:
            await client.reverse(Text("x" * (LONGEST + 1)))
        except PluginError as error:
            print("too long   ", f"{error.code}: {error.message}")


anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
