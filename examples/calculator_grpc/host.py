"""
A host that calls the calculator with a typed client.
"""

import os

import anyio
from calculator_pb2 import Operands
from plugin import Calculator

from remora import Manager, PluginError


async def main() -> None:
    async with Manager.from_file("remora.toml") as manager:
        calculator = manager.client("calculator", Calculator)
        operands = Operands(left=6, right=7)

        print(f"6 + 7 = {(await calculator.add(operands)).value:g}")
        print(f"6 * 7 = {(await calculator.multiply(operands)).value:g}")
        print(f"6 / 7 = {(await calculator.divide(operands)).value:g}")
        try:
            await calculator.divide(Operands(left=6, right=0))
        except PluginError as error:
            print(f"6 / 0 : {error.code}: {error.message}")


anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
