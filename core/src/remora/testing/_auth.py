"""
The contract of auth methods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from remora.errors import Code, ConnectionLost, PluginError, RemoraError
from remora.testing._claims import NotChecked, claims_of, keeps
from remora.types import Call, Refresh, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.config import AccessConfig
    from remora.protocols import Verifier
    from remora.specs import AuthSpec
    from remora.testing._claims import Claim

__all__ = ["check_auth_method"]

_CALL = Call(service="s", method="m", payload=b"{}", headers={"x-own": "kept"}, deadline=1e9, request_id="id")
_MOST_ATTEMPTS = 10


async def check_auth_method(
    spec: AuthSpec[Any], options: object = None, *, access: AccessConfig | None = None
) -> list[str]:
    """
    Put an auth method through the contract.

    Args:
        spec: What the method's hook returns.
        options: The options to build it with, with credentials where it needs them; None for the defaults.
        access: Whom its served side is to accept; None to leave the served side unchecked.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, auth_claims(spec, options, access))


def auth_claims(spec: AuthSpec[Any], options: object = None, access: AccessConfig | None = None) -> list[Claim]:
    """
    The contract of auth methods, for one of them.
    """
    subject = _Subject(spec, options if options is not None else spec.options(), access)
    return claims_of(_CHECKS, subject)


@dataclass(frozen=True)
class _Subject:
    spec: AuthSpec[Any]
    options: Any
    access: AccessConfig | None

    async def sent(self, answer: Reply | RemoraError, call: Call = _CALL) -> list[Call]:
        """
        The calls that a flow sends, each of which ends in the same way.

        Raises:
            RemoraError: The flow lets the error through.
        """
        method = self.spec.build(self.options)
        if method is None:
            return [call]
        flow, sent = method.flow(call), []
        step: Any = next(flow)
        try:
            while True:
                if isinstance(step, Refresh):
                    result = await step.action()
                    step = flow.send(result if step.is_awaited else None)
                    continue
                assert isinstance(step, Call), f"the flow yields {step!r}"
                sent.append(step)
                assert len(sent) <= _MOST_ATTEMPTS, "the flow never ends"
                step = flow.throw(answer) if isinstance(answer, RemoraError) else flow.send(answer)
        except StopIteration:
            return sent


async def _a_good_reply_ends_the_flow(subject: _Subject) -> None:
    sent = await subject.sent(Reply())
    assert len(sent) == 1, f"after a good reply the call is sent again: {len(sent)} times in all"


async def _nothing_but_headers_is_added_to_a_call(subject: _Subject) -> None:
    for call in await subject.sent(Reply()):
        assert replace(call, headers=_CALL.headers) == _CALL, f"{call} was {_CALL}"
        assert call.headers.get("x-own") == "kept", "a header of the caller is gone"


async def _headers_can_be_sent(subject: _Subject) -> None:
    for call in await subject.sent(Reply()):
        for name, value in call.headers.items():
            assert name == name.lower(), f"the name {name!r} is not in lower case"
            assert not set("\r\n\x00") & set(name + value), f"the header {name!r} has a line break"


async def _an_error_comes_through_or_is_tried_again_a_few_times(subject: _Subject) -> None:
    for error in (PluginError("no", code=Code.UNAUTHENTICATED), ConnectionLost("gone")):
        try:
            await subject.sent(error)
        except RemoraError as raised:
            if raised is not error:
                raise
        else:
            assert subject.spec.build(subject.options) is None, f"the flow ends without a reply, and swallows {error!r}"


async def _an_abandoned_flow_can_be_closed(subject: _Subject) -> None:
    method = subject.spec.build(subject.options)
    if method is not None:
        flow = method.flow(_CALL)
        next(flow)
        flow.close()


async def _flows_of_two_calls_do_not_mix(subject: _Subject) -> None:
    method = subject.spec.build(subject.options)
    if method is None:
        return
    calls = [replace(_CALL, request_id=name) for name in ("one", "two")]
    flows = [method.flow(call) for call in calls]
    for call, step in zip(calls, [next(flow) for flow in flows], strict=True):
        assert isinstance(step, Refresh) or step.request_id == call.request_id, (
            f"the flow of call {call.request_id!r} sends call {step.request_id!r}"
        )


async def _a_caller_without_proof_is_turned_away(subject: _Subject) -> None:
    verifier = _verifier(subject)
    try:
        name = verifier.verify(_CALL, "nobody")
    except PluginError as error:
        if error.code in (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED):
            return
        raise
    raise AssertionError(f"it is taken for {name!r}")


async def _a_caller_with_the_proof_of_this_method_is_known(subject: _Subject) -> None:
    verifier = _verifier(subject)
    if subject.spec.needs_tls:
        raise NotChecked("its proof is part of TLS")
    for number in range(2):
        (call,) = await subject.sent(Reply(), replace(_CALL, request_id=str(number)))
        name = verifier.verify(call, "somebody")
        assert name, f"`verify` returns {name!r} instead of a name"


def _verifier(subject: _Subject) -> Verifier:
    """
    The served side.
    """
    if subject.spec.accept is None:
        raise NotChecked("it has no served side")
    if subject.access is None:
        raise NotChecked("check the served side in a test: `check_auth_method(spec, options, access=...)`")
    verifier = subject.spec.accept(subject.access)
    if verifier is None:
        raise NotChecked("its served side lets everybody call")
    return verifier


_CHECKS: tuple[Callable[[_Subject], Awaitable[None]], ...] = (
    _a_good_reply_ends_the_flow,
    _nothing_but_headers_is_added_to_a_call,
    _headers_can_be_sent,
    _an_error_comes_through_or_is_tried_again_a_few_times,
    _an_abandoned_flow_can_be_closed,
    _flows_of_two_calls_do_not_mix,
    _a_caller_without_proof_is_turned_away,
    _a_caller_with_the_proof_of_this_method_is_known,
)
