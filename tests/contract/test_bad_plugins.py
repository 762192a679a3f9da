"""
What callers are told of plugins that cannot be reached as they are configured.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from remora import ConfigError, DeadlineExceeded, Manager, RemoraError, Unavailable, WrongProtocol, serving
from remora.testing._contract import Contract, Text

pytestmark = pytest.mark.anyio


async def _error(endpoint: str, timeout: float = 5.0, **table: Any) -> RemoraError:
    """
    What a call of a plugin raises.
    """
    config = {"plugins": {"bad": {"endpoint": endpoint, "retry": {"max_retries": 0}, **table}}}
    async with Manager(config) as manager:
        with pytest.raises(RemoraError) as caught:
            await manager.plugin("bad", Text, Text).execute(Text("hello"), timeout=timeout)
    return caught.value


async def test_a_missing_program_is_an_error_of_the_configuration(anyio_backend: str) -> None:
    """
    It is no weather that passes: nobody is told to try later.
    """
    with anyio.fail_after(10):
        error = await _error("exec:./no-such-program")

    assert type(error) is ConfigError
    assert "there is no program" in str(error)
    assert "next try" not in str(error)  # which would not help
    assert (error.retryable, error.sent) == (False, False)


async def test_a_program_of_another_protocol_is_called_so(anyio_backend: str) -> None:
    """
    The kind of the error is the transport's own.
    """
    with anyio.fail_after(10):
        error = await _error("exec:sh", args=["-c", """while :; do echo '{"id":1,"result":2}'; done"""])

    assert type(error) is WrongProtocol
    assert error.sent is False


async def test_a_grpc_client_recognizes_a_server_of_http(anyio_backend: str) -> None:
    """
    Even one that speaks HTTP/2 and answers politely.
    """
    with anyio.fail_after(20):
        async with serving(Contract(), listen="http:") as served:
            error = await _error(served.endpoints[0].url.replace("http:", "grpc:"))

    assert type(error) is WrongProtocol


async def test_one_of_two_endpoints_may_be_wrong(anyio_backend: str) -> None:
    """
    As long as another may come back, trying later makes sense.
    """
    table = {"endpoint": "", "endpoints": ["exec:./no-such-program", "exec:false"]}
    with anyio.fail_after(10):
        error = await _error(**table)

    assert type(error) is Unavailable


async def test_waiting_in_vain_names_the_reason(anyio_backend: str) -> None:
    """
    A call whose time is over while it waits for an instance says what the instance lacks.
    """
    with anyio.fail_after(10):
        error = await _error("exec:sleep", timeout=0.1, args=["600"])

    assert type(error) is DeadlineExceeded
    assert "no instance became ready in time: starting" in str(error)


async def test_calls_that_fail_at_once_let_others_have_a_turn(anyio_backend: str) -> None:
    """
    A caller that tries again without a pause does not keep the plugin from coming back.
    """
    turns: list[int] = []

    async def count() -> None:
        for number in range(10):
            turns.append(number)
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(10):
        async with Manager({"plugins": {"bad": {"endpoint": "exec:./no-such-program"}}}) as manager:
            bad = manager.plugin("bad", Text, Text)
            async with anyio.create_task_group() as group:
                group.start_soon(count)
                while len(turns) < 10:
                    with pytest.raises(ConfigError):
                        await bad.execute(Text("hello"))

    assert list(range(10)) == turns
