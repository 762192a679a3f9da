"""
The contract of interceptors: of calls, of attempts, and of what a served plugin answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from remora._headers import checked_headers
from remora.errors import Code, ConnectionLost, PluginError, RemoraError
from remora.testing._claims import Claim, NotChecked, keeps, named
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


async def check_interceptor(spec: InterceptorSpec, options: object = None) -> list[str]:
    """
    Put an interceptor through the contract: all that its spec makes, for a plugin named `p`.

    Args:
        spec: What the interceptor's hook returns.
        options: The options to build it with; None for the defaults.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, interceptor_claims(spec, options))


def interceptor_claims(spec: InterceptorSpec, options: object = None) -> list[Claim]:
    """
    The contract of interceptors, for one of them with some options.
    """
    given = () if spec.options is None else (spec.options() if options is None else options,)
    return [Claim(named(check), partial(_of_each, check, spec, given)) for check in _CHECKS]


@dataclass(frozen=True)
class _Subject:
    """
    One interceptor; of an attempt, the first one.
    """

    carry: Callable[[Call, Proceed], Awaitable[Reply]]
    may_wait: bool


async def _of_each(
    check: Callable[[_Subject], Awaitable[None]], spec: InterceptorSpec, options: tuple[object, ...]
) -> None:
    """
    Check everything that a spec makes; what leaves calls alone keeps every contract.
    """
    reasons = []
    subjects = _subjects(spec, options)
    for name, subject in subjects:
        try:
            await check(subject)
        except NotChecked as reason:
            reasons.append(str(reason))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
    if len(reasons) == len(subjects):
        raise NotChecked(reasons[0] if reasons else "it leaves the calls of the plugin 'p' alone")


def _subjects(spec: InterceptorSpec, options: tuple[object, ...]) -> list[tuple[str, _Subject]]:
    called, served = _built(spec, "p", *options, by="build"), _built(spec, *options, by="serve")
    made = [("build", called, spec.waits), ("serve", served, True)]
    found = [(name, _Subject(each, may_wait)) for name, each, may_wait in made if each is not None]
    attempted = _built(spec, "p", *options, by="attempt")
    return found + ([("attempt", _Subject(_first(attempted), spec.waits))] if attempted is not None else [])


def _built(spec: InterceptorSpec, *arguments: object, by: str) -> Any:
    """
    What one of the spec's callables makes; None when there is none, or it leaves calls alone.
    """
    build = getattr(spec, by)
    return build and build(*arguments)


def _first(interceptor: AttemptInterceptor) -> Interceptor:
    async def carry(call: Call, proceed: Proceed, /) -> Reply:
        return await interceptor(call, proceed, attempt=_ATTEMPT)

    return carry


async def _what_goes_on_is_a_call_and_what_comes_back_a_reply(subject: _Subject) -> None:
    seen: list[Call] = []

    async def proceed(call: Call) -> Reply:
        seen.append(call)
        return Reply(payload=b'"answer"')

    reply = await subject.carry(_CALL, proceed)
    assert isinstance(reply, Reply), f"it returns {reply!r}, which is not a Reply"
    assert all(isinstance(call, Call) for call in seen), f"it lets go on with {seen!r}"


async def _what_goes_on_can_be_sent(subject: _Subject) -> None:
    async def proceed(call: Call) -> Reply:
        assert call.deadline is not None, "the deadline is gone"
        assert call.deadline <= 1e9, "there is more time than the caller gave"
        assert isinstance(call.payload, bytes), f"the payload is {type(call.payload).__name__}, not bytes"
        for name in checked_headers(call.headers):
            assert name in call.headers, f"the name of the header {name!r} is not in lower case"
        return Reply()

    await subject.carry(_CALL, proceed)


async def _an_error_stays_one_of_remora(subject: _Subject) -> None:
    for error in (PluginError("no", code=Code.NOT_FOUND), ConnectionLost("gone")):
        await _failing(subject, error)


async def _failing(subject: _Subject, error: RemoraError) -> None:
    async def proceed(call: Call) -> Reply:
        raise error

    try:
        reply = await subject.carry(_CALL, proceed)
    except RemoraError:
        return
    except Exception as other:  # a stranger's code may raise anything
        name = type(error).__name__
        raise AssertionError(f"{name} became {type(other).__name__}: {other}") from other
    assert isinstance(reply, Reply), f"instead of {type(error).__name__} it returns {reply!r}, which is not a Reply"


async def _a_cancelled_call_ends_without_an_answer(subject: _Subject) -> None:
    begun = anyio.Event()
    answers: list[object] = []

    async def proceed(call: Call) -> Reply:
        begun.set()
        await anyio.sleep_forever()
        raise AssertionError("nobody waits for ever")

    async def carry() -> None:
        answers.append(await subject.carry(_CALL, proceed))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(carry)
            with anyio.move_on_after(1):  # one may answer by itself
                await begun.wait()
            group.cancel_scope.cancel()
    assert not (begun.is_set() and answers), f"it swallows the cancellation, and returns {answers[0]!r}"


async def _calls_under_way_at_once_do_not_mix(subject: _Subject) -> None:
    calls = [replace(_CALL, request_id=str(number), payload=f'"payload {number}"'.encode()) for number in range(_MANY)]
    mixed: list[str] = []

    async def carry(call: Call) -> None:
        strange = [other.payload for other in calls if other is not call]  # it may well make one of its own

        async def proceed(passed: Call) -> Reply:
            if passed.payload in strange:
                mixed.append(call.request_id)
            await anyio.lowlevel.checkpoint()
            return Reply(payload=passed.payload)

        if (await subject.carry(call, proceed)).payload in strange:
            mixed.append(call.request_id)

    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(carry, call)
    assert not mixed, f"calls have what belongs to others: {', '.join(sorted(set(mixed), key=int))}"


async def _one_that_does_not_wait_awaits_nothing_but_the_call(subject: _Subject) -> None:
    if subject.may_wait:
        raise NotChecked("it may wait; `waits=False` in its spec promises that it does not")

    async def proceed(call: Call) -> Reply:
        return Reply()

    steps = subject.carry(_CALL, proceed).__await__()
    try:
        next(steps)
    except StopIteration:
        return
    raise AssertionError("it waits for something, although its spec says waits=False")


_CHECKS: tuple[Callable[[_Subject], Awaitable[None]], ...] = (
    _what_goes_on_is_a_call_and_what_comes_back_a_reply,
    _what_goes_on_can_be_sent,
    _an_error_stays_one_of_remora,
    _a_cancelled_call_ends_without_an_answer,
    _calls_under_way_at_once_do_not_mix,
    _one_that_does_not_wait_awaits_nothing_but_the_call,
)
