"""
The contract of resolvers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from remora.testing._claims import claims_of, keeps
from remora.types import Endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remora.protocols import Resolver
    from remora.specs import ResolverSpec
    from remora.testing._claims import Claim

__all__ = ["check_resolver"]

_SOON = 5.0


async def check_resolver(
    spec: ResolverSpec[Any], options: object = None, *, change: Callable[[], Awaitable[None]] | None = None
) -> list[str]:
    """
    Put a resolver through the contract.

    What the resolver reads or asks must exist, and must name at least one endpoint.

    Args:
        spec: What the resolver's hook returns.
        options: The options to build it with; None for the defaults.
        change: Changes what the resolver reads or asks, so that it names other endpoints; the resolver must then report
            them within seconds. None to leave that unchecked.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, resolver_claims(spec, options, change))


def resolver_claims(
    spec: ResolverSpec[Any], options: object = None, change: Callable[[], Awaitable[None]] | None = None
) -> list[Claim]:
    """
    The contract of resolvers, for one of them.
    """
    bench = _Bench(spec, options if options is not None else spec.options(), change)
    checks = [*_CHECKS, *([_tells_of_a_change] if change is not None else [])]
    return claims_of(checks, bench)


@dataclass(frozen=True)
class _Bench:
    spec: ResolverSpec[Any]
    options: Any
    change: Callable[[], Awaitable[None]] | None

    def build(self) -> Resolver:
        return self.spec.build(self.options)


class _Listener:
    """
    Takes what a resolver tells.
    """

    def __init__(self) -> None:
        self.told: list[Sequence[Endpoint]] = []
        self._news = anyio.Event()

    def __call__(self, endpoints: Sequence[Endpoint]) -> None:
        self.told.append(list(endpoints))
        self._news.set()

    async def until(self, number: int) -> None:
        """
        Wait until it has told this many times.
        """
        with anyio.move_on_after(_SOON):
            while len(self.told) < number:
                self._news = anyio.Event()
                await self._news.wait()
            return
        raise AssertionError(f"it has told {len(self.told)} times within {_SOON:g} s")

    def urls(self) -> set[str]:
        """
        What it has told last.
        """
        return {each.url for each in self.told[-1]}


async def _tells_where_the_plugin_is(bench: _Bench) -> None:
    (told,) = await _first(bench.build())
    assert told, "it has told of no endpoint"


async def _tells_of_endpoints_with_a_scheme_and_sensible_numbers(bench: _Bench) -> None:
    (told,) = await _first(bench.build())
    for each in told:
        assert isinstance(each, Endpoint), f"{each!r} is not an Endpoint"
        assert each.scheme, f"{each.url!r} has no scheme"
        assert each.url.partition(":")[1], f"{each.url!r} has no scheme"
        assert each.weight >= 0, f"the weight of {each.url} is {each.weight}"


async def _ends_when_it_is_cancelled(bench: _Bench) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await bench.build().watch(_Listener())
    resolver, listener = bench.build(), _Listener()
    async with anyio.create_task_group() as group:
        group.start_soon(resolver.watch, listener)
        await listener.until(1)
        group.cancel_scope.cancel()


async def _tells_the_same_when_it_is_asked_again(bench: _Bench) -> None:
    resolver = bench.build()
    (first,), (second,) = await _first(resolver), await _first(resolver)
    before, after = {each.url for each in first}, {each.url for each in second}
    assert before == after, f"it tells of {sorted(before)}, and then of {sorted(after)}"


async def _tells_two_who_ask_at_the_same_time(bench: _Bench) -> None:
    told = await _first(bench.build(), bench.build())
    assert all(told), "one of them was told of no endpoint"


async def _tells_of_a_change(bench: _Bench) -> None:
    resolver, listener = bench.build(), _Listener()
    async with anyio.create_task_group() as group:
        group.start_soon(resolver.watch, listener)
        await listener.until(1)
        before, known = listener.urls(), len(listener.told)
        assert bench.change is not None, "there is nothing that changes"
        await bench.change()
        while listener.urls() == before:
            known += 1
            await listener.until(known)
        group.cancel_scope.cancel()


async def _first(*resolvers: Resolver) -> list[Sequence[Endpoint]]:
    """
    What resolvers tell first.
    """
    listeners = [_Listener() for _ in resolvers]
    async with anyio.create_task_group() as group:
        for resolver, listener in zip(resolvers, listeners, strict=True):
            group.start_soon(resolver.watch, listener)
        for listener in listeners:
            await listener.until(1)
        group.cancel_scope.cancel()
    return [listener.told[0] for listener in listeners]


_CHECKS: list[Callable[[_Bench], Awaitable[None]]] = [
    _tells_where_the_plugin_is,
    _tells_of_endpoints_with_a_scheme_and_sensible_numbers,
    _ends_when_it_is_cancelled,
    _tells_the_same_when_it_is_asked_again,
    _tells_two_who_ask_at_the_same_time,
]
