"""
Every installed balancer, auth method and codec keeps the contract of its kind; what breaks it is named.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from opentelemetry.sdk.trace import TracerProvider

import remora.testing
from remora import (
    AccessConfig,
    AuthSpec,
    BalancerSpec,
    CodecSpec,
    Endpoint,
    ExporterSpec,
    InterceptorSpec,
    RemoraError,
    Reply,
    ResolverSpec,
    Secret,
)
from remora._extensions._registry import load_catalog
from remora.codecs import JsonCodec
from remora.protocols import PreparedCodec
from remora.testing import (
    ContractViolation,
    check_auth_method,
    check_balancer,
    check_codec,
    check_exporter,
    check_interceptor,
    check_resolver,
    examine,
)
from remora_otel._spans import attempt_spans, call_spans, served_spans

CATALOG = load_catalog()
VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


def _specs(kind: str) -> list[Any]:
    return [claims[0].spec for _, claims in sorted(getattr(CATALOG, kind).items())]


@pytest.mark.parametrize("spec", _specs("balancers"), ids=lambda spec: spec.name)
async def test_every_balancer_keeps_the_contract(spec: BalancerSpec) -> None:
    """
    Whatever its strategy.
    """
    assert 8 == len(await check_balancer(spec))


@pytest.mark.parametrize("spec", _specs("codecs"), ids=lambda spec: spec.name)
async def test_every_codec_keeps_the_contract(spec: Any) -> None:
    """
    Those that claim their records are only asked what they refuse.
    """
    assert 5 + isinstance(spec.build(), PreparedCodec) == len(await check_codec(spec))


async def test_codec_that_is_prepared_in_a_different_way_is_named() -> None:
    """
    Be it what it writes for a type, or what it reads.
    """

    class Codec(JsonCodec):
        def encoder(self, type_: type) -> Callable[[Any], bytes]:
            return lambda value: self.encode(value) + b" "

    class Reader(JsonCodec):
        def decoder(self, type_: type[Any]) -> Callable[[bytes], Any]:
            return lambda payload: self.decode(payload, dict)

    for build in (Codec, Reader):
        with pytest.raises(ContractViolation, match="what is prepared for a type does the same"):
            await check_codec(CodecSpec("json", ("application/json",), build))


KEY = Secret("k")
OTHERS = ("_scripted", "_steps", "_host", "_recorder", "_recording", "_memory", "_clock", "_script", "_kinds")
"""Modules of `remora.testing` without claims."""
OPTIONS: dict[str, dict[str, Any]] = {
    "api-key": {"api_key": KEY},
    "bearer": {"token": KEY},
    "basic": {"username": "u", "password": KEY},
    "custom": {"headers": {"x-key": KEY}},
    "mtls": {"cert_file": "c", "key_file": "k"},
}
ACCESS = {
    "api-key": AccessConfig(api_key=KEY),
    "bearer": AccessConfig(token=KEY),
    "basic": AccessConfig(username="u", password=KEY),
}


async def test_a_codec_that_leaves_breaks_a_claim_and_not_the_check() -> None:
    """
    As with `sys.exit`: the other claims are checked as well.
    """

    class Leaving(JsonCodec):
        def decode(self, payload: bytes, type_: type[Any], /) -> Any:
            raise SystemExit(0)

    findings = await examine("codec", CodecSpec("leaving", ("application/json",), build=Leaving))

    assert "" == findings[0].problem
    assert "SystemExit: 0" in {finding.problem for finding in findings}


@pytest.mark.parametrize("spec", _specs("auth_methods"), ids=lambda spec: spec.name)
async def test_every_auth_method_keeps_the_contract(spec: Any) -> None:
    """
    With credentials where it needs them.
    """
    options = replace(spec.options(), **OPTIONS.get(spec.name, {}))
    access = ACCESS.get(spec.name)
    assert (8 if access else 6) == len(await check_auth_method(spec, options, access=access))


@pytest.mark.parametrize("spec", _specs("interceptors"), ids=lambda spec: spec.name)
async def test_every_interceptor_keeps_the_contract(spec: InterceptorSpec) -> None:
    """
    Of calls, of attempts, of answers.
    """
    if spec.name == "otel":  # it makes nothing where nobody wants spans
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
        spec = replace(
            spec,
            build=partial(call_spans, tracer),
            attempt=partial(attempt_spans, tracer),
            serve=lambda: served_spans(tracer),
        )
    assert 5 + (not spec.waits) == len(await check_interceptor(spec))


async def _swallow(call: Any, proceed: Any) -> Any:
    try:
        return await proceed(call)
    except RemoraError:
        return None


async def _answer(call: Any, proceed: Any) -> Any:
    try:
        return await proceed(call)
    except anyio.get_cancelled_exc_class():
        return Reply()


async def _text(call: Any, proceed: Any) -> Any:
    return await proceed(replace(call, payload="text"))


async def _odd_name(call: Any, proceed: Any) -> Any:
    return await proceed(replace(call, headers={"a name": "yes"}))


async def _late(call: Any, proceed: Any, *, kept: list[Any] = []) -> Any:  # noqa: B006
    kept.append(call)
    return replace(await proceed(kept[-2:][0]), payload=b"own")


async def _nothing(call: Any, proceed: Any) -> Any:
    await proceed(call)


async def _shout(call: Any, proceed: Any) -> Any:
    return await proceed(replace(call, headers={"X-Loud": "yes"}))


async def _wrap(call: Any, proceed: Any) -> Any:
    try:
        return await proceed(call)
    except Exception as error:
        raise RuntimeError("it failed") from error


async def _hold(call: Any, proceed: Any) -> Any:
    while True:
        try:
            return await proceed(call)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(7)
            raise


async def _wait(call: Any, proceed: Any) -> Any:
    await anyio.lowlevel.checkpoint()
    return await proceed(call)


async def _first_come(call: Any, proceed: Any, *, kept: list[Any] = []) -> Any:  # noqa: B006
    kept.append(await proceed(call))
    return kept.pop(0) if len(kept) > 1 else Reply(payload=call.payload)


@pytest.mark.parametrize(
    ("interceptor", "claim"),
    [
        (_nothing, "what goes on is a call and what comes back a reply"),
        (_shout, "what goes on can be sent"),
        (_text, "what goes on can be sent"),
        (_odd_name, "what goes on can be sent"),
        (_wrap, "an error stays one of remora"),
        (_swallow, "an error stays one of remora"),
        (_hold, "a cancelled call ends without an answer"),
        (_answer, "a cancelled call ends without an answer"),
        (_first_come, "calls under way at once do not mix"),
        (_late, "calls under way at once do not mix"),
        (_wait, "one that does not wait awaits nothing but the call"),
    ],
)
async def test_an_interceptor_that_breaks_a_claim_is_told_which(interceptor: Any, claim: str) -> None:
    """
    Whether it wraps calls or what a plugin answers; the last claim is about hosts alone.
    """
    with pytest.raises(ContractViolation, match=f"odd: {claim}: "):
        await check_interceptor(InterceptorSpec("odd", lambda plugin: interceptor, waits=False))


async def test_an_interceptor_that_leaves_calls_alone_is_not_praised_for_that() -> None:
    """
    There is nothing to be said against it, and nothing for it.
    """
    spec = InterceptorSpec("idle", lambda plugin: None)

    assert [] == await check_interceptor(spec)
    assert {"it leaves the calls of the plugin 'p' alone"} == {
        finding.skipped for finding in await examine("interceptor", spec)
    }


class Swallower:
    """
    An auth method that hides what the plugin says.
    """

    def flow(self, call: Any) -> Any:
        """
        Send, whatever comes of it.
        """
        with suppress(RemoraError):
            yield call


async def test_an_auth_method_that_swallows_an_error_is_named() -> None:
    """
    Its flow would end without a reply.
    """
    claim = "an error comes through or is tried again a few times"
    with pytest.raises(ContractViolation, match=f"odd: {claim}: .*swallows PluginError"):
        await check_auth_method(AuthSpec("odd", Where, lambda _: Swallower()))


async def test_a_served_side_that_nobody_describes_is_not_taken_for_checked() -> None:
    """
    `access` says whom it accepts; without it two claims are left out, and the reason is given.
    """
    spec = next(spec for spec in _specs("auth_methods") if spec.name == "bearer")
    findings = await examine("auth", spec, {"token": "k"})

    assert {"check the served side in a test: `check_auth_method(spec, options, access=...)`"} == {
        finding.skipped for finding in findings[-2:]
    }


async def test_a_served_side_that_refuses_its_own_proof_is_named() -> None:
    """
    Here, since the two sides do not have the same secret.
    """
    spec = next(spec for spec in _specs("auth_methods") if spec.name == "bearer")

    with pytest.raises(ContractViolation, match="bearer: a caller with the proof of this method is known"):
        await check_auth_method(spec, spec.options(token=KEY), access=AccessConfig(token=Secret("other")))


@pytest.mark.parametrize("path", sorted(Path(remora.testing.__file__).parent.glob("_*.py")), ids=lambda path: path.stem)
def test_every_claim_says_what_is_wrong(path: Path) -> None:
    """
    A bare AssertionError tells the author of an extension nothing.
    """
    asserts = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]

    assert [] == [node.lineno for node in asserts if node.msg is None and path.stem not in OTHERS]


async def test_an_error_in_a_group_is_told_as_itself() -> None:
    """
    Not as an ExceptionGroup with one sub-exception.
    """

    class Picky(Favourite):
        def pick(self, candidates: Any, key: str) -> Any:
            raise ExceptionGroup("in a group", [LookupError("nobody is good enough")])

    findings = await examine("balancer", BalancerSpec("picky", lambda clock, rng: Picky()))

    assert "LookupError: nobody is good enough" == findings[0].problem


@dataclass
class Pushing:
    """
    An exporter that pushes, and breaks for good when it is cancelled.
    """

    name: str = "pushing"
    is_broken: bool = False

    def supports(self, kind: Any) -> bool:
        """
        Everything.
        """
        return True

    async def export(self, batch: Any) -> None:
        """
        Take it.
        """
        if self.is_broken:
            raise RuntimeError("the connection was left in the middle of a batch")
        self.is_broken = True
        await anyio.lowlevel.checkpoint()
        self.is_broken = False

    async def close(self) -> None:
        """
        Nothing is left.
        """


@dataclass
class Pulled:
    """
    An exporter that others pull from, with one thing wrong with it.
    """

    fault: str
    held: list[str]
    name: str = "pulled"
    entered: int = 0

    @asynccontextmanager
    async def serving(self, read: Any, /) -> Any:
        """
        Hold something that exists once.
        """
        self.entered += 1
        assert self.entered == 1 or self.fault != "once", "it can be entered once"
        assert not self.held, "somebody has it"
        self.held.append(self.name)
        try:
            yield
        except BaseException:
            if self.fault != "swallows":
                raise
        finally:
            if self.fault != "keeps":
                self.held.clear()

    async def close(self) -> None:
        """
        Nothing is left.
        """


@pytest.mark.parametrize(
    ("make", "claim"),
    [
        (Pushing, "exports again after an export that was cancelled"),
        (partial(Pulled, "once"), "opens again after its context was left"),
        (partial(Pulled, "keeps"), "leaves room for the next one when it is closed"),
        (partial(Pulled, "swallows"), "lets a cancellation through its context"),
    ],
)
async def test_an_exporter_that_breaks_a_claim_is_told_which(make: Any, claim: str) -> None:
    """
    Whether it pushes or others pull.
    """
    held: list[str] = []
    spec = ExporterSpec("odd", Where, lambda _: make() if make is Pushing else make(held))
    with pytest.raises(ContractViolation, match=f"odd: {claim}: "):
        await check_exporter(spec)


@dataclass
class Favourite:
    """
    A balancer that likes the first, wherever calls ought to go.
    """

    def pick(self, candidates: Any, key: str) -> Any:
        """
        The first.
        """
        return candidates[0]

    def started(self, candidate: Any) -> None:
        """
        No matter.
        """

    def finished(self, candidate: Any, *, latency: float, ok: bool | None) -> None:
        """
        No matter.
        """

    def forget(self, name: str) -> None:
        """
        No matter.
        """


async def test_who_breaks_a_contract_is_told_which_claim() -> None:
    """
    The check stops at the first; the examination goes on.
    """
    spec = BalancerSpec("favourite", lambda clock, rng: Favourite())
    with pytest.raises(
        ContractViolation, match="favourite: every candidate gets calls: of 300 calls .* all go to \\['a'\\]"
    ):
        await check_balancer(spec)
    findings = await examine("balancer", spec)

    assert 8 == len(findings)
    assert ["every candidate gets calls", "candidates come and go"] == [
        finding.claim for finding in findings if finding.problem
    ]


async def test_a_balancer_that_stays_with_one_on_purpose_keeps_the_contract() -> None:
    """
    As long as it moves on when that one is gone, and leaves alone what has no weight.
    """

    @dataclass
    class Loyal(Favourite):
        chosen: str = ""

        def pick(self, candidates: Any, key: str) -> Any:
            wanted = [each for each in candidates if each.weight] or candidates
            found = next((each for each in wanted if each.name == self.chosen), wanted[0])
            self.chosen = found.name
            return found

    assert 8 == len(await check_balancer(BalancerSpec("loyal", lambda clock, rng: Loyal(), sticky=True)))
    with pytest.raises(ContractViolation, match="every candidate gets calls"):
        await check_balancer(BalancerSpec("loyal", lambda clock, rng: Loyal()))


@dataclass
class Clinging(Favourite):
    """
    Stays with the first that it has seen, also when that is gone.
    """

    chosen: Any = None

    def pick(self, candidates: Any, key: str) -> Any:
        """
        The first one ever.
        """
        self.chosen = self.chosen or candidates[0]
        return self.chosen


async def test_a_balancer_that_stays_with_one_that_is_gone_is_told_so() -> None:
    """
    Loyalty is no excuse for that.
    """
    findings = await examine("balancer", BalancerSpec("clinging", lambda clock, rng: Clinging(), sticky=True))
    broken = {finding.claim for finding in findings if finding.problem}

    assert {"every candidate gets calls", "candidates come and go"} <= broken


@dataclass(frozen=True)
class Where:
    """
    Where a plugin is.
    """

    urls: tuple[Any, ...] = ("http://a",)


@dataclass
class Once:
    """
    A resolver that tells once, whatever it was given.
    """

    options: Where

    async def watch(self, report: Any) -> None:
        """
        Tell.
        """
        report([Endpoint(each) if isinstance(each, str) else each for each in self.options.urls])


async def test_a_resolver_that_tells_once_keeps_the_contract() -> None:
    """
    Nothing has to change.
    """
    assert 5 == len(await check_resolver(ResolverSpec("once", Where, Once)))


@pytest.mark.parametrize(
    "urls",
    [(), ("nowhere",), (7,), (Endpoint("http://a", weight=-1),)],
    ids=["nowhere", "no-scheme", "no-endpoint", "no-weight"],
)
async def test_what_a_resolver_must_not_tell_is_named(urls: tuple[Any, ...]) -> None:
    """
    Claim by claim.
    """
    findings = await examine("resolver", ResolverSpec("once", Where, lambda _: Once(Where(urls))))

    assert any(each.problem for each in findings)
    with pytest.raises(ContractViolation):
        await check_resolver(ResolverSpec("once", Where, lambda _: Once(Where(urls))))
