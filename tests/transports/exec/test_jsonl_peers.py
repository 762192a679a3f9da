"""
Plugins in other languages that know nothing of Remora but one page about JSON lines.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import anyio
import pytest

from remora.errors import Code, DeadlineExceeded, PluginError
from remora.types import Endpoint

pytestmark = pytest.mark.anyio

PEERS = Path(__file__).parents[2] / "peers" / "jsonl"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


async def test_a_shell_script_answers(open_script, ask):
    async with open_script(Endpoint(f"exec:{PEERS}/plugin.sh"), protocol="jsonl") as channel:
        assert await ask(channel, "hello") == {"method": "hello"}
        with pytest.raises(PluginError, match=r"^it failed$") as caught:
            await ask(channel, "fail")

    assert caught.value.code is Code.UNKNOWN


@needs("perl")
async def test_a_perl_script_answers(open_script, ask):
    async with open_script(Endpoint(f"exec:{PEERS}/plugin.pl"), protocol="jsonl") as channel:
        reply = await ask(channel, "upper", {"text": "grün"}, request_id="r-7")
        with pytest.raises(PluginError, match="no method lower") as caught:
            await ask(channel, "lower")

    assert reply == {"text": "GRÜN", "request_id": "r-7"}
    assert (Code.NOT_FOUND, {"tried": 1}) == (caught.value.code, caught.value.details)


@needs("node")
async def test_a_node_script_answers_many_calls_out_of_order(open_script, ask):
    sums = {}

    async def add(channel, number: int) -> None:
        sums[number] = (await ask(channel, "add", {"a": number, "b": 1, "wait": 50 - number}))["sum"]

    opened = open_script(Endpoint(f"exec:{PEERS}/plugin.js"), protocol="jsonl")
    async with opened as channel, anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(add, channel, number)

    assert sums == {number: number + 1 for number in range(50)}


@needs("node")
async def test_a_node_script_hears_that_a_call_is_called_off(open_script, ask, until, caplog):
    caplog.set_level(logging.INFO, "remora.plugin.adder")
    async with open_script(Endpoint(f"exec:{PEERS}/plugin.js"), protocol="jsonl", name="adder") as channel:
        with pytest.raises(DeadlineExceeded):
            await ask(channel, "add", {"a": 1, "b": 1, "wait": 60_000}, timeout=1)
        await until(lambda: "cancelled 1" in caplog.messages)

        assert (await ask(channel, "add", {"a": 1, "b": 1}))["in_flight"] == 0
