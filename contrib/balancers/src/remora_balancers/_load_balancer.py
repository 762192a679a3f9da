"""
Calls spread over plugins that an application adds by hand, by any strategy.

What lives here: the plugins, their calls and their figures. What must not: the choice, which is the strategy's.
"""

from __future__ import annotations

import inspect
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from remora.errors import ConfigError, NotInstalled, PluginNotFound, RemoraError, Unavailable
from remora.policy import verdict_of
from remora.values import Limits
from remora_balancers.plugin import remora_register_balancers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from remora.protocols import Balancer

Request = TypeVar("Request")
Response = TypeVar("Response")
Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

_WEIGHT = Limits(0, maximum=10**15)  # as for endpoints


class Executable(Protocol[Request_contra, Response_co]):
    """
    What can be added: a handle from `Manager.plugin`, or anything else with such a method.
    """

    def execute(self, request: Request_contra, /, *args: Any, **kwargs: Any) -> Awaitable[Response_co]:
        """
        Answer a request. The options of `LoadBalancer.execute` that are given arrive as keywords.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStats:
    """
    The figures of one plugin since it was added.

    Attributes:
        calls: How many calls were sent to it.
        failures: How many of them speak against it. Its own "no" does not, nor does a call that was cancelled.
        in_flight: How many are under way.
        average_latency: Mean seconds of the calls that have ended and were not cancelled; None before the first.
        enabled: Whether it is sent calls.
    """

    calls: int
    failures: int
    in_flight: int
    average_latency: float | None
    enabled: bool


class LoadBalancer(Generic[Request, Response]):
    """
    Sends each call to one of the plugins that were added::

        balancer = LoadBalancer[Text, Text]("least-connections")
        balancer.add("paris", manager.plugin("paris", Text, Text))
        balancer.add("tokyo", manager.plugin("tokyo", Text, Text), weight=50)
        reply = await balancer.execute(Text("hello"))

    Only the calls themselves are awaited, so plugins may be added and removed at any time, also during calls.

    Args:
        strategy: The name of a strategy of this distribution, or any other `remora.protocols.Balancer`.
        clock: Returns the time in seconds, for latencies.
        rng: The source of randomness for the strategies that need one.

    Raises:
        NotInstalled: There is no strategy of that name.
    """

    def __init__(
        self,
        strategy: str | Balancer = "round-robin",
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._members: dict[str, _Member[Request, Response]] = {}
        self._balancer = _built(strategy, clock, rng or random.Random()) if isinstance(strategy, str) else strategy

    def add(self, name: str, plugin: Executable[Request, Response], *, weight: int = 100, priority: int = 1) -> None:
        """
        Add a plugin; it gets calls from now on.

        Args:
            name: What it is called here.
            plugin: Where its calls go.
            weight: Its share of the calls, relative to the weights of the others; with 0 it gets calls only when all
                that are enabled have 0.
            priority: The highest number is preferred, by the strategies that look at it.

        Raises:
            ConfigError: The name is taken, or the weight is negative or more than 10**15.
        """
        if name in self._members:
            raise ConfigError(f"a plugin {name!r} has been added already; remove it first")
        if not _WEIGHT.allow(weight):
            raise ConfigError(f"weight of {name!r}: expected {_WEIGHT}, got {weight!r}")
        self._members[name] = _Member(name, plugin, weight=weight, priority=priority)

    def remove(self, name: str) -> None:
        """
        Remove a plugin. Its calls under way go on; it gets no new ones.

        Raises:
            PluginNotFound: There is none of that name.
        """
        self._member(name)
        del self._members[name]
        self._balancer.forget(name)

    def enable(self, name: str) -> None:
        """
        Send calls to a plugin again.

        Raises:
            PluginNotFound: There is none of that name.
        """
        self._member(name).is_enabled = True

    def disable(self, name: str) -> None:
        """
        Send a plugin no new calls until it is enabled. Its calls under way go on.

        Raises:
            PluginNotFound: There is none of that name.
        """
        self._member(name).is_enabled = False

    def stats(self) -> dict[str, PluginStats]:
        """
        The figures of every plugin, by name.
        """
        return {name: member.stats() for name, member in self._members.items()}

    async def execute(
        self,
        request: Request,
        *,
        hash_key: str = "",
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
        idempotent: bool | None = None,
    ) -> Response:
        """
        Call one of the plugins. Options that are given are passed on to it.

        Args:
            request: The request.
            hash_key: What the call is about, for strategies that keep calls about one thing together.
            timeout: Seconds that the call may take.
            headers: Sent along with the request.
            request_id: The identifier of the call.
            idempotent: Whether the call may be made twice.

        Raises:
            Unavailable: No plugin is enabled.
            RemoraError: The call has no reply, as the plugin's handle says.
        """
        member = self._pick(hash_key)
        options = {"timeout": timeout, "headers": headers, "request_id": request_id, "idempotent": idempotent}
        given = {name: value for name, value in options.items() if value is not None}
        if hash_key and member.takes_key:
            given["hash_key"] = hash_key
        return await self._call(member, request, given)

    def _pick(self, key: str) -> _Member[Request, Response]:
        enabled = [each for each in self._members.values() if each.is_enabled]
        if not enabled:
            known = ", ".join(self._members)
            reason = f"no plugin is enabled; disabled are: {known}" if known else "no plugin has been added"
            raise Unavailable(reason, sent=False)
        return enabled[0] if len(enabled) == 1 else self._balancer.pick(enabled, key)

    async def _call(self, member: _Member[Request, Response], request: Request, options: dict[str, Any]) -> Response:
        verdict: bool | None = None
        self._begin(member)
        started = self._clock()
        try:
            response = await member.plugin.execute(request, **options)
            verdict = True
            return response
        except RemoraError as error:
            verdict = verdict_of(error)
            raise
        except Exception:  # a plugin may be a stranger's code
            verdict = False
            raise
        finally:
            self._ended(member, self._clock() - started, verdict)

    def _begin(self, member: _Member[Request, Response]) -> None:
        member.begin()
        try:
            self._balancer.started(member)
        except BaseException:  # the strategy may be a stranger's code; the call is not sent
            member.withdraw()
            raise

    def _ended(self, member: _Member[Request, Response], latency: float, verdict: bool | None) -> None:
        member.end(latency, verdict)
        if self._members.get(member.name) is member:  # the balancer has forgotten one that was removed meanwhile
            self._balancer.finished(member, latency=latency, ok=verdict)

    def _member(self, name: str) -> _Member[Request, Response]:
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(map(repr, self._members)) or "none"
            raise PluginNotFound(f"no plugin {name!r} has been added; there are: {known}") from None


class _Member(Generic[Request, Response]):
    """
    A plugin as a candidate, with its figures.
    """

    warmth = 1.0

    def __init__(self, name: str, plugin: Executable[Request, Response], *, weight: int, priority: int) -> None:
        self.name = name
        self.plugin = plugin
        self.weight = weight
        self.priority = priority
        self.in_flight = 0
        self.is_enabled = True
        self.takes_key = _takes_key(plugin.execute)
        self._calls = 0
        self._failures = 0
        self._judged = 0
        self._seconds = 0.0

    def begin(self) -> None:
        self._calls += 1
        self.in_flight += 1

    def withdraw(self) -> None:
        self._calls -= 1
        self.in_flight -= 1

    def end(self, latency: float, verdict: bool | None) -> None:
        self.in_flight -= 1
        if verdict is not None:
            self._judged += 1
            self._seconds += latency
            self._failures += not verdict

    def stats(self) -> PluginStats:
        return PluginStats(
            calls=self._calls,
            failures=self._failures,
            in_flight=self.in_flight,
            average_latency=self._seconds / self._judged if self._judged else None,
            enabled=self.is_enabled,
        )


def _built(strategy: str, clock: Callable[[], float], rng: random.Random) -> Balancer:
    specs = {spec.name: spec for spec in remora_register_balancers()}
    if strategy not in specs:
        raise NotInstalled(f"there is no strategy {strategy!r}; there are: {', '.join(specs)}")
    return specs[strategy].build(clock, rng)


def _takes_key(execute: Callable[..., object]) -> bool:
    """
    Whether a plugin balances by the key as well.
    """
    try:
        parameters = inspect.signature(execute).parameters.values()
    except ValueError:  # it does not say
        return False
    return any(each.name == "hash_key" or each.kind is each.VAR_KEYWORD for each in parameters)
