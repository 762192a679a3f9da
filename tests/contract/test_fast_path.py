"""
What does not happen on the way of a warm call, seen by looking at everything that runs in the task that calls.

It is said of a transport that does nothing, and of real ones, which end calls at their deadline by timers of their own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import CodeType, FrameType

import anyio
import anyio.lowlevel
import pluggy
import pytest

from remora import Manager, serving
from remora.testing._contract import Contract, Text
from tests.contract.health import until_healthy
from tests.core.hosts import PlainChannel, Stranger

pytestmark = pytest.mark.anyio

SCOPES = r"\b(CancelScope|FailAfter|fail_after|move_on_\w+|fail_at|Timeout|wait_for)\b"
MACHINERY = r"/pluggy/|/contextlib\.py |\b(TaskGroup|NurseryManager|open_nursery)\b"
WAYS = ("nothing", "unix", "http", "exec", "grpc")
_WARM = 20  # types that are used so often are read in the shortest way, which is made then
_WRITES = {"send", "sendall", "sendmsg", "write", "writev"}

_SERVICE = "remora.testing.v1.Contract"


@asynccontextmanager
async def _warm(way: str) -> AsyncIterator[Callable[[], Awaitable[Text]]]:
    """
    A call, with a deadline, over one of the transports; some like it have been made.
    """
    stranger = Stranger(lambda _: _nothing(), native_deadline=True)
    with anyio.fail_after(30):
        async with serving(Contract(), listen=["unix:", "http:", "grpc:"]) as served:
            tables: Mapping[str, dict[str, object]] = {
                "nothing": {"endpoint": "strange:"},
                "unix": {"endpoint": served.endpoints[0].url},
                "http": {"endpoint": served.endpoints[1].url},
                "grpc": {"endpoint": served.endpoints[2].url},
                "exec": {"endpoint": f"exec:{sys.executable}", "args": ["-m", "remora.testing"]},
            }
            async with Manager({"plugins": {"peer": tables[way]}}, extensions=[stranger]) as manager:
                peer = manager.plugin("peer", Text, Text, service=_SERVICE, method="echo")
                await until_healthy(manager)
                for _ in range(_WARM):
                    await peer.execute(Text("warm"), timeout=5)
                yield lambda: peer.execute(Text("hello"), timeout=5)


@asynccontextmanager
async def _nothing() -> AsyncIterator[PlainChannel]:
    yield PlainChannel()


async def _ran(call: Callable[[], Awaitable[object]]) -> list[str]:
    """
    The functions that ran in this task for a call, each as its file and its name; others' tasks run meanwhile.
    """
    found: dict[CodeType, None] = {}

    async def watched() -> None:
        await call()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and _is_within(frame, watched.__code__):
            found[frame.f_code] = None

    sys.setprofile(note)
    try:
        await watched()
    finally:
        sys.setprofile(None)
    return [f"{code.co_filename} {code.co_qualname}" for code in found]


def _is_within(frame: FrameType | None, code: CodeType) -> bool:
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def _matching(pattern: str, names: list[str]) -> list[str]:
    return [name for name in names if re.search(pattern, name)]


@pytest.mark.parametrize("way", WAYS)
async def test_deadline_of_a_warm_call_takes_no_cancel_scope(way: str, anyio_backend: str) -> None:
    """
    Nor anything that is made of one: the transports' own timers end calls.
    """
    async with _warm(way) as call:
        names = await _ran(call)

    assert any("remora/_calls/_pipeline.py" in name for name in names)
    assert [] == _matching(SCOPES, names)


@pytest.mark.parametrize("way", WAYS[:-1])  # grpcio enters a context manager of its own
async def test_warm_call_meets_no_hook_no_context_manager_and_no_task_group(way: str, anyio_backend: str) -> None:
    """
    Hooks are resolved once, at the start; a generator with a decorator costs more than most of what it would surround.
    """
    async with _warm(way) as call:
        names = await _ran(call)

    assert any("remora/_calls/_pipeline.py" in name for name in names)
    assert [] == _matching(MACHINERY, names)


async def _fail_after() -> None:
    with anyio.fail_after(5):
        await anyio.lowlevel.checkpoint()


async def _cancel_scope() -> None:
    with anyio.CancelScope():
        await anyio.lowlevel.checkpoint()


async def _task_group() -> None:
    async with anyio.create_task_group():
        await anyio.lowlevel.checkpoint()


async def _context_manager() -> None:
    with contextmanager(lambda: iter([None]))():
        await anyio.lowlevel.checkpoint()


async def _hook() -> None:
    await anyio.lowlevel.checkpoint()
    pluggy.PluginManager("remora").hook  # noqa: B018, looking is enough


@pytest.mark.parametrize(
    ("pattern", "step"),
    [
        (SCOPES, _fail_after),
        (SCOPES, _cancel_scope),
        (MACHINERY, _task_group),
        (MACHINERY, _context_manager),
        (MACHINERY, _hook),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_whoever_adds_one_is_seen(pattern: str, step: Callable[[], Awaitable[None]], anyio_backend: str) -> None:
    """
    The two tests above would fail: whatever they look for is found where it is.
    """
    async with _warm("nothing") as call:

        async def longer() -> None:
            await call()
            await step()

        assert _matching(pattern, await _ran(longer))


@pytest.mark.parametrize("way", ["unix", "http", "exec"])
async def test_warm_call_leaves_in_one_write(way: str, anyio_backend: str) -> None:
    """
    Its head and its body together.
    """
    writes: list[str] = []
    async with _warm(way) as call:

        async def watched() -> None:
            await call()

        def note(frame: FrameType, event: str, called: object) -> None:
            if event == "c_call" and getattr(called, "__name__", "") in _WRITES and _is_within(frame, watched.__code__):
                writes.append(str(called))

        sys.setprofile(note)
        try:
            await watched()
        finally:
            sys.setprofile(None)

    assert 1 == len(writes), writes
