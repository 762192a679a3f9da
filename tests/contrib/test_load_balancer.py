"""
The stand-alone load balancer: where calls go, what is counted, and what happens when plugins come and go.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import anyio
import pytest

from remora import (
    Code,
    ConfigError,
    Manager,
    NotInstalled,
    PluginError,
    PluginNotFound,
    Unavailable,
    serving,
)
from remora.protocols import Balancer, Candidate
from remora.testing import ManualClock, MemoryTransport
from remora_balancers import LoadBalancer
from remora_balancers._round_robin import RoundRobin
from remora_balancers.plugin import remora_register_balancers

pytestmark = pytest.mark.anyio
STRATEGIES = [spec.name for spec in remora_register_balancers()]


class Named:
    """
    A plugin that answers with its name.
    """

    def __init__(self, name: str, *, error: Exception | None = None) -> None:
        self.name = name
        self.error = error

    async def execute(self, request: str) -> str:
        if self.error is not None:
            raise self.error
        return self.name


class Held:
    """
    A plugin that answers when it is let.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.entered = anyio.Event()
        self.released = anyio.Event()

    async def execute(self, request: str) -> str:
        self.entered.set()
        await self.released.wait()
        return self.name


class Optioned:
    """
    A plugin that answers with the options that it is given.
    """

    async def execute(self, request: str, **options: object) -> dict[str, object]:
        return options


class Shout:
    async def upper(self, request: str) -> str:
        return request.upper()


def make(strategy: str | Balancer = "round-robin", clock: Callable[[], float] | None = None) -> LoadBalancer[str, str]:
    return LoadBalancer[str, str](strategy, clock=clock or ManualClock(), rng=random.Random(7))


async def shares(balancer: LoadBalancer[str, str], calls: int) -> Counter[str]:
    return Counter([await balancer.execute("?", hash_key=f"user-{number}") for number in range(calls)])


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_strategy_can_be_named_and_uses_all_plugins(strategy: str, anyio_backend: str) -> None:
    """
    Equal plugins all get calls.
    """
    balancer = make(strategy)
    for name in ["a", "b", "c"]:
        balancer.add(name, Named(name))

    assert {"a", "b", "c"} == set(await shares(balancer, 60))


async def test_round_robin_follows_weights_exactly(anyio_backend: str) -> None:
    """
    Within one call of what the weights say.
    """
    balancer = make()
    for name, weight in {"a": 100, "b": 50, "c": 50}.items():
        balancer.add(name, Named(name), weight=weight)

    assert {"a": 200, "b": 100, "c": 100} == await shares(balancer, 400)


async def test_weighted_random_follows_weights_within_a_tenth(anyio_backend: str) -> None:
    """
    The random source is seeded, so the figures never change.
    """
    balancer = make("weighted-random")
    for name, weight in {"a": 60, "b": 30, "c": 10}.items():
        balancer.add(name, Named(name), weight=weight)
    counts = await shares(balancer, 4000)

    for name, part in {"a": 0.6, "b": 0.3, "c": 0.1}.items():
        assert counts[name] == pytest.approx(4000 * part, rel=0.1)


async def test_chance_comes_from_the_source_that_is_given(anyio_backend: str) -> None:
    """
    Or from one of its own.
    """
    runs: list[list[str]] = []
    for source in (random.Random(7), random.Random(7), random.Random(8), None):
        balancer = LoadBalancer[str, str]("random", rng=source)
        for name in ["a", "b"]:
            balancer.add(name, Named(name))
        runs.append([await balancer.execute("?") for _ in range(100)])

    assert runs[0] == runs[1]
    assert runs[0] not in runs[2:]


async def test_strategy_sees_weight_priority_and_calls_under_way(anyio_backend: str) -> None:
    """
    Nobody warms up, and who says nothing weighs 100. It is told who goes.
    """
    seen: list[tuple[str, int, int, int, float]] = []
    forgotten: list[str] = []

    class Curious(RoundRobin):
        def started(self, candidate: Candidate, /) -> None:
            each = candidate
            seen.append((each.name, each.weight, each.priority, each.in_flight, each.warmth))

        def forget(self, name: str, /) -> None:
            forgotten.append(name)

    balancer = make(Curious())
    balancer.add("a", Named("a"))
    balancer.add("b", Named("b"), weight=10**15, priority=-3)
    for _ in range(2):
        await balancer.execute("?")
    balancer.remove("b")

    assert [("a", 100, 1, 1, 1.0), ("b", 10**15, -3, 1, 1.0)] == seen
    assert ["b"] == forgotten


async def test_plugin_of_weight_zero_gets_nothing_while_another_has_some(anyio_backend: str) -> None:
    """
    It is kept for bad times.
    """
    balancer = make()
    balancer.add("a", Named("a"), weight=0)
    balancer.add("b", Named("b"))

    assert {"b": 20} == await shares(balancer, 20)


async def test_priority_falls_over_when_the_best_is_disabled_and_back(anyio_backend: str) -> None:
    """
    The highest number is preferred.
    """
    balancer = make("priority")
    balancer.add("first", Named("first"), priority=2)
    balancer.add("second", Named("second"), priority=1)
    before = await balancer.execute("?")
    balancer.disable("first")
    during = await balancer.execute("?")
    balancer.enable("first")

    assert ["first", "second", "first"] == [before, during, await balancer.execute("?")]


async def test_same_key_goes_to_the_same_plugin(anyio_backend: str) -> None:
    """
    Also when other plugins come: only keys that the newcomer wins move.
    """
    balancer = make("consistent-hash")
    for name in ["a", "b", "c"]:
        balancer.add(name, Named(name))
    keys = [f"user-{number}" for number in range(100)]
    before = {key: await balancer.execute("?", hash_key=key) for key in keys}
    balancer.add("d", Named("d"))
    after = {key: await balancer.execute("?", hash_key=key) for key in keys}

    assert {"d"} == {after[key] for key in keys if after[key] != before[key]}


async def test_least_connections_avoids_the_plugin_that_hangs(anyio_backend: str) -> None:
    """
    Calls under way are counted from the moment of the choice.
    """
    balancer = make("least-connections")
    held = Held("held")
    balancer.add("held", held)
    balancer.add("free", Named("free"))
    async with anyio.create_task_group() as group:
        with anyio.fail_after(5):
            group.start_soon(balancer.execute, "?")
            await held.entered.wait()
            counts = await shares(balancer, 20)
            held.released.set()

    assert {"free": 20} == counts


async def test_least_latency_does_not_fall_for_fast_failures(anyio_backend: str) -> None:
    """
    A failure counts as a slow answer.
    """
    balancer = make("least-latency")
    balancer.add("broken", Named("broken", error=Unavailable("gone")))
    balancer.add("good", Named("good"))
    for _ in range(100):
        with suppress(Unavailable):
            await balancer.execute("?")

    assert balancer.stats()["broken"].calls <= 2


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (Unavailable("gone"), 1),
        (ValueError("a stranger's"), 1),
        (PluginError("broken", code=Code.INTERNAL), 1),
        (PluginError("no such user", code=Code.NOT_FOUND), 0),
        (Unavailable("never sent", sent=False), 1),
    ],
    ids=repr,
)
async def test_failures_are_those_that_speak_against_the_plugin(
    error: Exception, failures: int, anyio_backend: str
) -> None:
    """
    What the plugin says no to is its answer.
    """
    balancer = make()
    balancer.add("a", Named("a", error=error))
    with pytest.raises(type(error)) as caught:
        await balancer.execute("?")

    assert caught.value is error
    assert (1, failures) == (balancer.stats()["a"].calls, balancer.stats()["a"].failures)


async def test_cancelled_call_is_neither_failure_nor_latency(anyio_backend: str) -> None:
    """
    It blames nobody, and leaves nothing in flight.
    """
    balancer = make()
    held = Held("a")
    balancer.add("a", held)
    async with anyio.create_task_group() as group:
        with anyio.fail_after(5):
            group.start_soon(balancer.execute, "?")
            await held.entered.wait()
            group.cancel_scope.cancel()
    stats = balancer.stats()["a"]

    assert (1, 0, 0, None) == (stats.calls, stats.failures, stats.in_flight, stats.average_latency)


async def test_average_latency_is_the_mean(anyio_backend: str) -> None:
    """
    By the clock that was given.
    """
    clock = ManualClock()

    class Slow:
        async def execute(self, request: str) -> str:
            clock.advance(float(request))
            return request

    balancer = make(clock=clock)
    balancer.add("a", Slow())
    for seconds in ["1", "2", "6"]:
        await balancer.execute(seconds)

    assert 3.0 == balancer.stats()["a"].average_latency


@pytest.mark.parametrize("act", ["remove", "disable"])
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_calls_under_way_survive_that_their_plugin_goes(act: str, strategy: str, anyio_backend: str) -> None:
    """
    The call ends well, new calls go elsewhere.
    """
    balancer = make(strategy)
    held = Held("old")
    balancer.add("old", held)
    answers: list[str] = []

    async def call() -> None:
        answers.append(await balancer.execute("?"))

    async with anyio.create_task_group() as group:
        with anyio.fail_after(5):
            group.start_soon(call)
            await held.entered.wait()
            balancer.add("new", Named("new"))
            getattr(balancer, act)("old")
            counts = await shares(balancer, 10)
            held.released.set()

    assert ["old"] == answers
    assert {"new": 10} == counts


async def test_late_end_says_nothing_about_a_namesake(anyio_backend: str) -> None:
    """
    A plugin that is added under the name of a removed one begins with clean figures, also at the strategy.
    """
    ended: list[str] = []

    class Curious(RoundRobin):
        def finished(self, candidate: Candidate, /, *, latency: float, ok: bool | None) -> None:
            ended.append(candidate.name)

    balancer = make(Curious())
    held = Held("a")
    balancer.add("a", held)
    async with anyio.create_task_group() as group:
        with anyio.fail_after(5):
            group.start_soon(balancer.execute, "?")
            await held.entered.wait()
            balancer.remove("a")
            balancer.add("a", Named("a"))
            held.released.set()
    stats = balancer.stats()["a"]

    assert (0, 0) == (stats.calls, stats.in_flight)
    assert [] == ended


async def test_without_an_enabled_plugin_calls_are_unavailable(anyio_backend: str) -> None:
    """
    The message says which are there.
    """
    balancer = make()
    with pytest.raises(Unavailable, match="no plugin has been added") as none:
        await balancer.execute("?")
    balancer.add("a", Named("a"))
    balancer.disable("a")
    with pytest.raises(Unavailable, match="no plugin is enabled; disabled are: a") as disabled:
        await balancer.execute("?")

    assert (False, False) == (none.value.sent, disabled.value.sent)
    assert not balancer.stats()["a"].enabled


async def test_options_are_passed_on_when_they_are_given(anyio_backend: str) -> None:
    """
    A plugin that balances by key as well is told the key.
    """
    balancer = LoadBalancer[str, dict[str, object]]()
    balancer.add("a", Optioned())

    assert {} == await balancer.execute("?")
    assert {"timeout": 2.0, "hash_key": "k"} == await balancer.execute("?", timeout=2.0, hash_key="k")
    assert {"headers": {"a": "b"}, "request_id": "r", "idempotent": False} == await balancer.execute(
        "?", headers={"a": "b"}, request_id="r", idempotent=False
    )


async def test_plugin_that_takes_no_key_is_not_told_it(anyio_backend: str) -> None:
    """
    Nor one that does not say what it takes.
    """

    class Keyed:
        async def execute(self, request: str, *, hash_key: str = "") -> str:
            return hash_key

    class Silent:
        @property
        def __signature__(self) -> object:
            raise ValueError

        async def __call__(self, request: str) -> str:
            return "silent"

    answers: list[str] = []
    for plugin in (Named("named"), Keyed(), SimpleNamespace(execute=Silent())):
        balancer = make()
        balancer.add("a", plugin)
        answers.append(await balancer.execute("?", hash_key="k"))

    assert ["named", "k", "silent"] == answers


async def test_own_balancer_object_can_be_the_strategy(anyio_backend: str) -> None:
    """
    What a stranger has written for a manager serves here too.
    """
    spec = next(each for each in remora_register_balancers() if each.name == "p2c")
    balancer = make(spec.build(ManualClock(), random.Random(1)))
    balancer.add("a", Named("a"))
    balancer.add("b", Named("b"))

    assert {"a", "b"} == set(await shares(balancer, 30))


async def test_strategy_that_fails_leaves_nothing_in_flight(anyio_backend: str) -> None:
    """
    The call is not sent, and its place is given back.
    """

    class Failing(RoundRobin):
        def started(self, candidate: Candidate, /) -> None:
            raise RuntimeError("a stranger's")

    balancer = make(Failing())
    balancer.add("a", Named("a"))
    with pytest.raises(RuntimeError, match="a stranger's"):
        await balancer.execute("?")
    stats = balancer.stats()["a"]

    assert (0, 0, 0) == (stats.calls, stats.in_flight, stats.failures)


async def test_wrong_arguments_are_configuration_errors(anyio_backend: str) -> None:
    """
    The message names what was wrong and what would be right.
    """
    balancer = make()
    balancer.add("a", Named("a"))
    for weight in (-1, 10**15 + 1, 10**400):
        with pytest.raises(ConfigError, match=rf"weight of 'b': expected .*at most 1e\+15, got {weight}"):
            balancer.add("b", Named("b"), weight=weight)
    with pytest.raises(ConfigError, match="'a' has been added already"):
        balancer.add("a", Named("a"))
    for act in [balancer.remove, balancer.enable, balancer.disable]:
        with pytest.raises(PluginNotFound, match="no plugin 'c' has been added; there are: 'a'"):
            act("c")
    with pytest.raises(NotInstalled, match="no strategy 'fastest'; there are: round-robin, "):
        make("fastest")

    assert ["a"] == list(balancer.stats())


async def test_handles_of_a_manager_can_be_added(anyio_backend: str) -> None:
    """
    The use that it is made for.
    """
    memory = MemoryTransport()
    config = {"plugins": {name: {"endpoint": f"memory:{name}"} for name in ["one", "two"]}}
    with anyio.fail_after(5):
        async with (
            serving(Shout(), listen="memory:one", extensions=[memory.extension]),
            serving(Shout(), listen="memory:two", extensions=[memory.extension]),
            Manager(config, extensions=[memory.extension]) as manager,
        ):
            balancer = LoadBalancer[str, str]("least-connections")
            for name in ["one", "two"]:
                balancer.add(name, manager.plugin(name, str, str, service="Shout", method="upper"))
            answers = {await balancer.execute("hello", timeout=3) for _ in range(10)}

    assert {"HELLO"} == answers
    assert [5, 5] == [stats.calls for stats in balancer.stats().values()]
