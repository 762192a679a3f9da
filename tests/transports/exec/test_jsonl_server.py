"""
The plugin's side of JSON lines, over two pipes of this process.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from remora import Call, Code, PluginError, Reply
from remora_exec._pipes import ReadPipe, WritePipe
from remora_exec._wires._jsonl_server import serve_jsonl

pytestmark = pytest.mark.anyio

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Host:
    """
    The other end of the pipes.
    """

    def __init__(self, reader: ReadPipe, writer: WritePipe) -> None:
        self.reader = reader
        self.writer = writer
        self._data = b""

    async def ask(self, *messages: dict[str, object]) -> None:
        """
        Write lines.
        """
        await self.writer.send(b"".join(json.dumps(each).encode() + b"\n" for each in messages))

    async def answer(self) -> tuple[object, object]:
        """
        The id of the next answer, with its result or the code of its error.
        """
        while b"\n" not in self._data:
            data = await self.reader.receive()
            assert data, "the plugin has hung up"
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        found = json.loads(line)
        return found["id"], found["error"]["code"] if "error" in found else found["result"]


@asynccontextmanager
async def host(dispatch: Callable[[Call, str], Awaitable[Reply]], *, max_size: int = 1 << 20) -> AsyncIterator[Host]:
    """
    A plugin that answers by a function.
    """
    (to_read, to_answer), (read, to_ask) = os.pipe(), os.pipe()
    reader, writer, end = ReadPipe(read), WritePipe(to_answer), Host(ReadPipe(to_read), WritePipe(to_ask))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve_jsonl(reader, writer, dispatch, "test", max_size=max_size))
            yield end
            end.writer.close()
            end.reader.close()
    reader.close()
    writer.close()


def request(id_: int | str, method: str = "echo", payload: object = None, **context: object) -> dict[str, object]:
    """
    What a host asks.
    """
    return {"id": id_, "method": method, "payload": payload, "context": context}


async def act(call: Call, peer: str) -> Reply:
    """
    What the method says.
    """
    if call.method == "wait":
        await anyio.sleep_forever()
    if call.method == "stray":
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other
    if call.method == "odd":
        error = PluginError("no", code=Code.NOT_FOUND)
        error.message = object()  # type: ignore[assignment]
        raise error
    if call.method == "set":
        NAME.set("somebody")
    return Reply(payload=json.dumps(NAME.get()).encode() if call.method in ("get", "set") else call.payload)


async def test_each_call_ends_as_it_should_and_hurts_no_other() -> None:
    """
    At its deadline, by its host's word, or with its answer.
    """
    async with host(act) as end:
        await end.ask(
            request(1, "wait", timeout_ms=20),
            request("two", "wait"),
            request(3, payload=[3]),
            {"cancel": "two"},
            request("two", payload="again"),  # the first of that name has not left yet
        )
        answers = [await end.answer() for _ in range(3)]
        await end.ask(request(1, payload=1, timeout_ms=5000), request("two", payload=2))
        answers += [await end.answer() for _ in range(2)]

    assert sorted(answers[:3], key=str) == sorted(
        [(3, [3]), ("two", "INVALID_ARGUMENT"), (1, "DEADLINE_EXCEEDED")], key=str
    )
    assert [(1, 1), ("two", 2)] == answers[3:]


async def test_what_a_handler_leaves_in_its_context_is_not_seen_by_the_next() -> None:
    """
    One after the other, or at once.
    """
    async with host(act) as end:
        await end.ask(request(1, "set"), request(2, "get"))
        answers = [await end.answer() for _ in range(2)]
        await end.ask(request(3, "get"))
        answers.append(await end.answer())

    assert [(1, "somebody"), (2, "nobody"), (3, "nobody")] == sorted(answers, key=str)


async def test_an_error_that_cannot_be_written_is_answered_with_its_code() -> None:
    """
    The next call is answered as ever.
    """
    async with host(act) as end:
        await end.ask(request(1, "odd"), request(2, payload=2))
        answers = [await end.answer() for _ in range(2)]

    assert [(1, "NOT_FOUND"), (2, 2)] == sorted(answers, key=str)


async def test_a_request_that_is_no_json_is_refused_and_the_next_one_answered() -> None:
    """
    As Python's `json` writes numbers that are none.
    """
    async with host(act) as end:
        await end.ask(request(1, payload=float("nan")), request(2, payload="b"))

        assert (1, "INVALID_ARGUMENT") == await end.answer()
        assert (2, "b") == await end.answer()


async def test_what_is_no_request_is_logged_and_the_next_one_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    A request that is too large is refused, if its id can be told.
    """
    async with host(act, max_size=200) as end:
        await end.writer.send(b'hello\n\n{"no": "id"}\n' + b"x" * 201 + b"\n")
        await end.ask({"cancel": 9}, request(1, payload="x" * 200), request(2, payload=2))
        answers = [await end.answer() for _ in range(2)]

    assert [(1, "RESOURCE_EXHAUSTED"), (2, 2)] == answers
    assert 3 == len(caplog.messages)
    assert "ignored a line that is not a JSON object: 'hello'" == caplog.messages[0]
    assert "ignored an object that is not a request" == caplog.messages[1]
    assert caplog.messages[2].endswith("its id cannot be told")


async def test_a_line_without_an_end_is_the_last(caplog: pytest.LogCaptureFixture) -> None:
    """
    What comes behind it is nobody's request.
    """
    async with host(act, max_size=200) as end:
        await end.writer.send(b"x" * 3201)

    assert ["the host broke the protocol: a line of more than 3201 bytes does not end"] == caplog.messages


async def test_calls_under_way_are_answered_after_the_last_request() -> None:
    """
    The requests may come from a file.
    """
    asked, released = anyio.Event(), anyio.Event()

    async def wait(call: Call, peer: str) -> Reply:
        asked.set()
        await released.wait()
        return Reply(payload=call.payload)

    async with host(wait) as end:
        await end.writer.send(json.dumps(request(1, payload="last")).encode())
        end.writer.close()
        await asked.wait()
        released.set()

        assert (1, "last") == await end.answer()


@pytest.mark.only_on("asyncio")
async def test_a_call_that_the_plugin_itself_cancels_is_answered_and_alone() -> None:
    """
    On trio nobody can.
    """
    async with host(act) as end:
        await end.ask(request(1, "stray"))
        answers = [await end.answer()]
        await end.ask(request(2, payload=2))
        answers.append(await end.answer())

    assert [(1, "INTERNAL"), (2, 2)] == answers


async def test_a_host_that_does_not_read_its_answers_is_not_read_either() -> None:
    """
    What waits for it is bounded; when it reads again, all arrives.
    """
    arrived = 0

    async def count(call: Call, peer: str) -> Reply:
        nonlocal arrived
        arrived += 1
        return Reply(payload=call.payload)

    async def ask(end: Host) -> None:
        for number in range(60):
            await end.ask(request(number, payload="x" * 500_000))

    async with host(count) as end, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, end)
        while arrived < 16:
            await anyio.lowlevel.checkpoint()
        for _ in range(1000):  # enough to read all
            await anyio.lowlevel.checkpoint()
        arrived_while_stuck = arrived
        answers = [await end.answer() for _ in range(60)]

    assert arrived_while_stuck < 45
    assert list(range(60)) == sorted(int(str(number)) for number, _ in answers)
