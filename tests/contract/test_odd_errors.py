"""
Errors of handlers with something in them that no wire can carry: the caller gets an error, and nobody else notices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from remora import Code, Manager, PluginError, serving

pytestmark = pytest.mark.anyio


def _altered(**facts: Any) -> PluginError:
    """
    An error whose facts were changed after it was made.
    """
    error = PluginError("no", code=Code.NOT_FOUND)
    for name, value in facts.items():
        setattr(error, name, value)
    return error


def _circular() -> PluginError:
    details: dict[str, object] = {}
    details["again"] = details
    return PluginError("no", code=Code.NOT_FOUND, details=details)


class _Unmade(PluginError):
    """
    Forgets what its base class needs.
    """

    def __init__(self) -> None:
        pass


ODD: dict[str, tuple[Callable[[], Exception], set[Code]]] = {
    "another exception as its message": (
        lambda: PluginError(ValueError("no"), code=Code.NOT_FOUND),  # type: ignore[arg-type]
        {Code.NOT_FOUND},
    ),
    "a number as a header": (
        lambda: PluginError("no", code=Code.NOT_FOUND, headers={"x": 1}),  # type: ignore[dict-item]
        {Code.NOT_FOUND},
    ),
    "details without end": (_circular, {Code.NOT_FOUND}),
    "a number above all others": (
        lambda: PluginError("no", code=Code.NOT_FOUND, details={"x": 10**400}),
        {Code.NOT_FOUND},
    ),
    "details that are a list": (lambda: _altered(details=[1]), {Code.NOT_FOUND, Code.INTERNAL}),
    "another code": (lambda: _altered(code="NO_SUCH"), {Code.INTERNAL}),
    "no message": (lambda: _altered(message=None), {Code.NOT_FOUND}),
    "nothing": (_Unmade, {Code.INTERNAL}),
}


class Odd:
    """
    Fails as it is told.
    """

    async def fail(self, how: str) -> None:
        """
        The error of that name.
        """
        raise ODD[how][0]()

    async def wait(self, seconds: float) -> str:
        """
        A call that is under way meanwhile.
        """
        await anyio.sleep(seconds)
        return "done"


@pytest.mark.parametrize("listen", ["unix:", "http:", "grpc:"])
async def test_an_odd_error_is_answered_and_hurts_no_other_call(listen: str, anyio_backend: str) -> None:
    """
    The code arrives if there is one, and a call that is under way ends well.
    """
    answers: list[str] = []
    odd: Any
    async with serving(Odd(), listen=listen) as served, anyio.create_task_group() as tasks:
        table = {
            "endpoint": served.endpoints[0].url,
            "retry": {"max_retries": 0},
            "circuit_breaker": {"enabled": False},
        }
        async with Manager({"plugins": {"odd": table}}) as manager:
            odd = manager.client("odd", Odd)

            async def stay() -> None:
                answers.append(await odd.wait(0.2))

            with anyio.fail_after(20):
                async with anyio.create_task_group() as meanwhile:
                    meanwhile.start_soon(stay)
                    await anyio.wait_all_tasks_blocked()
                    codes = {how: await _code(odd, how) for how in ODD}
        tasks.cancel_scope.cancel()

    assert ["done"] == answers
    assert {} == {how: code for how, code in codes.items() if code not in ODD[how][1]}


async def _code(odd: Odd, how: str) -> Code:
    with pytest.raises(PluginError) as caught:
        await odd.fail(how)
    return caught.value.code
