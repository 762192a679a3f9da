"""
What Remora's own log records carry, and that structlog takes them as they are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from remora import (
    Call,
    InterceptorSpec,
    Manager,
    PluginError,
    RemoraError,
    Unavailable,
    current_call,
    hookimpl,
    serving,
)
from remora._log_fields import of_call
from remora.testing import MemoryTransport
from tests.core.scripts import stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """
    What structlog's formatter makes of the records of the logger `remora`, a line of JSON each.
    """
    handler = logging.StreamHandler(StringIO())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logger = logging.getLogger("remora")
    level = logger.level
    logger.addHandler(handler)
    yield handler.stream
    logger.removeHandler(handler)
    logger.setLevel(level)


async def test_records_say_which_plugin_instance_call_and_trace(lines: StringIO) -> None:
    """
    As fields of their own, which structlog's formatter passes on.
    """
    async with stage(table(), config={"log_level": "debug"}) as host:
        host["a"].failure = lambda: Unavailable("on fire")
        error = await host.outcome(headers=HEADERS, request_id="r-1")
        host["a"].crash()
    records = [json.loads(line) for line in lines.getvalue().splitlines()]
    (failed,) = [each for each in records if "failed: " in each["event"]]
    (ready,) = [each for each in records if each["event"].startswith("plugin 'p' at script:a is ready")]

    assert error is not None
    assert {
        "logger": "remora._calls._pipeline",
        "plugin": "p",
        "instance": "script:a",
        "request_id": "r-1",
        "trace_id": TRACE,
        "code": "UNAVAILABLE",
        "method": "(default method)",
    } == {name: value for name, value in failed.items() if name != "event"}
    assert ("p", "script:a") == (ready["plugin"], ready["instance"])


@pytest.mark.fault(26)
async def test_an_error_of_a_plugin_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """
    Whatever it says, it writes no other line into the log.
    """
    async with stage(table(), config={"log_level": "debug"}) as host:
        host["a"].failure = lambda: PluginError("no\nERROR root: forged \x1b[31m")
        await host.outcome()
    messages = [record.getMessage() for record in caplog.records]

    assert [text for text in messages if text.endswith(r": no\nERROR root: forged \x1b[31m")]
    assert not [text for text in messages if "\n" in text or "\x1b" in text]


async def test_of_a_long_error_only_the_beginning_is_kept() -> None:
    """
    The caller gets all of it; who looks at the host later does not want megabytes.
    """
    async with stage(table()) as host:
        host["a"].failure = lambda: PluginError("x" * 1_000_000)
        error = await host.outcome()
        kept = host.manager.observability().plugin_metrics["p"].last_error

    assert 1_000_000 == len(error.message)
    assert kept is not None
    assert 1004 == len(kept.message)


async def test_calls_are_not_logged_unless_somebody_wants_that(caplog: pytest.LogCaptureFixture) -> None:
    """
    The caller has the error already.
    """
    async with stage(table()) as host:
        host["a"].failure = lambda: Unavailable("on fire")
        await host.outcome()

    assert [] == [each for each in caplog.records if each.name == "remora._calls._pipeline"]


def test_header_that_is_no_trace_context_is_no_trace() -> None:
    """
    It comes from whoever makes the call.
    """
    for header in ("", "x", "00-abc-def-01", "----"):
        call = Call(headers={"traceparent": header})
        assert "trace_id" not in of_call(call, Unavailable("x"))


async def test_what_strangers_do_wrong_says_for_whom_they_did_it(caplog: pytest.LogCaptureFixture) -> None:
    """
    Plugin, instance and call, as far as there are any, and whose fault it is.
    """

    def interceptor(plugin: str) -> Any:
        async def fail(call: Call, proceed: Any) -> Any:
            if call.headers.get("x-odd"):
                raise KeyError("interceptor")
            return await proceed(call)

        return fail

    class Extension:
        @hookimpl
        def remora_register_interceptors(self) -> list[InterceptorSpec]:
            return [InterceptorSpec(name="odd", build=interceptor)]

    def break_down() -> RemoraError:
        raise KeyError("transport")

    async with stage(table(), extensions=[Extension()]) as host:
        host["a"].failure = break_down
        await host.outcome(request_id="r-1")
        await host.outcome(request_id="r-2", headers={"x-odd": "yes", **HEADERS})
    transport, extension = [each for each in caplog.records if each.levelno == logging.ERROR]

    assert ("p", "script:a") == (_of(transport, "plugin"), _of(transport, "instance"))
    assert _of(transport, "culprit").startswith("the transport of ")
    assert ("p", "r-2", TRACE) == tuple(_of(extension, name) for name in ("plugin", "request_id", "trace_id"))
    assert _of(extension, "culprit").startswith("the interceptor 'odd'")


def _of(record: logging.LogRecord, name: str) -> Any:
    return getattr(record, name, None)


async def test_what_a_served_handler_does_wrong_says_in_which_call_and_trace(caplog: pytest.LogCaptureFixture) -> None:
    """
    The same identifiers as on the side of the host.
    """

    class Broken:
        async def ask(self, words: str) -> str:
            raise KeyError(words)

    transport = MemoryTransport()
    config = {"plugins": {"b": {"endpoint": "memory:b"}}}
    async with (
        serving(Broken(), listen="memory:b", extensions=[transport.extension]),
        Manager(config, extensions=[transport.extension]) as manager,
    ):
        plugin = manager.plugin("b", str, str, service="Broken", method="ask")
        with pytest.raises(RemoraError):
            await plugin.execute("x", headers=HEADERS, request_id="r-3")
    (record,) = [each for each in caplog.records if each.name == "remora._serving._dispatch"]

    assert ("Broken/ask", "r-3", TRACE) == tuple(_of(record, name) for name in ("method", "request_id", "trace_id"))


async def test_a_call_within_a_handler_has_an_identifier_of_its_own_unless_it_is_given_one() -> None:
    """
    A plugin that knows repeated calls by their identifier must not take two calls of one handler for one.
    """

    class Inner:
        async def ask(self) -> str:
            return current_call().request_id

    class Outer:
        async def ask(self) -> list[str]:
            inner = manager.plugin("inner", dict, str, service="Inner", method="ask")
            known = current_call().request_id
            return [await inner.execute({}), await inner.execute({}), await inner.execute({}, request_id=known)]

    transport = MemoryTransport()
    config = {"plugins": {name: {"endpoint": f"memory:{name}"} for name in ("inner", "outer")}}
    extensions = [transport.extension]
    async with (
        serving(Inner(), listen="memory:inner", extensions=extensions),
        serving(Outer(), listen="memory:outer", extensions=extensions),
        Manager(config, extensions=extensions) as manager,
    ):
        outer = manager.plugin("outer", dict, list[str], service="Outer", method="ask")
        first, second, given = await outer.execute({}, request_id="r-4")

    assert 3 == len({first, second, "r-4"})
    assert "r-4" == given
