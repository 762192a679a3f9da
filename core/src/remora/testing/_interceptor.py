"""
The contract of interceptors: of calls, of attempts, and of what a served plugin answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from remora.errors import Code, PluginError, RemoraError
from remora.testing._claims import Claim, keeps, named
from remora.types import Attempt, Call, Endpoint, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.protocols import AttemptInterceptor, Interceptor
    from remora.specs import InterceptorSpec

    Proceed = Callable[[Call], Awaitable[Reply]]

__all__ = ["check_interceptor"]

_CALL = Call(service="s", method="m", payload=b"{}", headers={"x-own": "kept"}, deadline=1e9, request_id="id")
_ATTEMPT = Attempt(number=1, plugin="p", instance="p#1", endpoint=Endpoint("http://127.0.0.1:1"))
_MANY = 20


async def check_interceptor(spec: InterceptorSpec) -> list[str]:
    """
    Put an interceptor through the contract: all that its spec makes, for a plugin named `p`.

    Args:
        spec: What the interceptor's hook returns.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, interceptor_claims(spec))


def interceptor_claims(spec: InterceptorSpec) -> list[Claim]:
    """
    The contract of interceptors, for one of them.
    """
    return [Claim(named(check), partial(_of_each, check, spec)) for check in _CHECKS]


@dataclass(frozen=True)
class _Subject:
    """
    One interceptor; of an attempt, the first one.
    """

    carry: Callable[[Call, Proceed], Awaitable[Reply]]
    may_wait: bool


async def _of_each(check: Callable[[_Subject], Awaitable[None]], spec: InterceptorSpec) -> None:
    """
    Check everything that a spec makes; what leaves calls alone keeps every contract.
    """
    for name, subject in _subjects(spec):
        try:
            await check(subject)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def _subjects(spec: InterceptorSpec) -> list[tuple[str, _Subject]]:
    made = [("build", spec.build("p"), spec.waits), ("serve", spec.serve and spec.serve(), True)]
    found = [(name, _Subject(each, may_wait)) for name, each, may_wait in made if each is not None]
    attempted = spec.attempt and spec.attempt("p")
    return found + ([("attempt", _Subject(_first(attempted), spec.waits))] if attempted is not None else [])


def _first(interceptor: AttemptInterceptor) -> Interceptor:
    async def carry(call: Call, proceed: Proceed, /) -> Reply:
        return await interceptor(call, proceed, attempt=_ATTEMPT)

    return carry


async def _a_call_goes_on_and_its_reply_comes_back(subject: _Subject) -> None:
    seen: list[Call] = []

    async def proceed(call: Call) -> Reply:
        seen.append(call)
        return Reply(payload=b'"answer"')

    reply = await subject.carry(_CALL, proceed)
    assert isinstance(reply, Reply), f"it returns {reply!r}, which is no Reply"
    assert all(isinstance(call, Call) for call in seen), f"it lets go on with {seen!r}"


async def _what_goes_on_can_be_sent(subject: _Subject) -> None:
    async def proceed(call: Call) -> Reply:
        assert call.deadline is not None, "the deadline is gone"
        assert call.deadline <= 1e9, "there is more time than the caller gave"
        for name, value in call.headers.items():
            assert name == name.lower(), f"the name {name!r} is not in lower case"
            assert not set("\r\n\x00") & set(name + value), f"the header {name!r} has a line break"
        return Reply()

    await subject.carry(_CALL, proceed)


async def _an_error_stays_one_of_remora(subject: _Subject) -> None:
    async def proceed(call: Call) -> Reply:
        raise PluginError("no", code=Code.NOT_FOUND)

    try:
        await subject.carry(_CALL, proceed)
    except RemoraError:
        pass
    except Exception as error:  # a stranger's code may raise anything
        raise AssertionError(f"PluginError became {type(error).__name__}: {error}") from error


async def _a_cancelled_call_ends(subject: _Subject) -> None:
    begun = anyio.Event()

    async def proceed(call: Call) -> Reply:
        begun.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def carry() -> None:
        await subject.carry(_CALL, proceed)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(carry)
            with anyio.move_on_after(1):  # one may answer by itself
                await begun.wait()
            group.cancel_scope.cancel()


async def _calls_under_way_at_once_do_not_mix(subject: _Subject) -> None:
    calls = [replace(_CALL, request_id=str(number), payload=f'"payload {number}"'.encode()) for number in range(_MANY)]
    mixed: list[str] = []

    async def proceed(call: Call) -> Reply:
        await anyio.lowlevel.checkpoint()
        return Reply(payload=call.payload)

    async def carry(call: Call) -> None:
        reply = await subject.carry(call, proceed)
        if any(reply.payload == other.payload for other in calls if other is not call):  # it may make one of its own
            mixed.append(call.request_id)

    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(carry, call)
    assert not mixed, f"calls have the replies of others: {', '.join(sorted(mixed, key=int))}"


async def _one_that_does_not_wait_awaits_nothing_but_the_call(subject: _Subject) -> None:
    if subject.may_wait:
        return

    async def proceed(call: Call) -> Reply:
        return Reply()

    steps = subject.carry(_CALL, proceed).__await__()
    try:
        next(steps)
    except StopIteration:
        return
    raise AssertionError("it waits for something, although its spec says waits=False")


_CHECKS: tuple[Callable[[_Subject], Awaitable[None]], ...] = (
    _a_call_goes_on_and_its_reply_comes_back,
    _what_goes_on_can_be_sent,
    _an_error_stays_one_of_remora,
    _a_cancelled_call_ends,
    _calls_under_way_at_once_do_not_mix,
    _one_that_does_not_wait_awaits_nothing_but_the_call,
)
