"""
The weights of instances: whatever chooses among them, and also when nothing does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import BalancerSpec, ConfigError, Endpoint, Manager, PluginConfig, Unavailable, hookimpl, serving
from remora._calls._instance import Instance
from remora._calls._route import Route
from remora.config import structure_config
from remora.protocols import Candidate
from remora.testing import ManualClock
from tests.core.hosts import PlainChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remora.protocols import Balancer

C = TypeVar("C", bound=Candidate)
CONFIG = PluginConfig(name="p")
CALLS = 600


class Named:
    """
    Says which one it is.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def who(self, *, before: str = "", after: str = "") -> str:
        """
        Its name.
        """
        return before + self._name + after


class First:
    """
    A stranger's balancer, which always takes the first and knows no weights.
    """

    @hookimpl
    def remora_register_balancers(self) -> Iterator[BalancerSpec]:
        """
        Itself.
        """
        yield BalancerSpec("first", self._build)

    def _build(self, clock: Callable[[], float], rng: random.Random) -> Balancer:
        return self

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The first.
        """
        return candidates[0]

    def started(self, candidate: Candidate, /) -> None:
        """
        Not of interest.
        """

    def finished(self, candidate: Candidate, /, *, latency: float, ok: bool | None) -> None:
        """
        Not of interest.
        """

    def forget(self, name: str, /) -> None:
        """
        Nothing is kept.
        """


def route_of(weights: Sequence[int]) -> Route:
    """
    A plugin without a balancer, with an open instance of each weight.
    """
    clock = ManualClock()
    instances = [
        Instance(
            str(index), Endpoint("x:", weight=each), CONFIG, native_deadline=True, clock=clock, rng=random.Random(7)
        )
        for index, each in enumerate(weights)
    ]
    for instance in instances:
        instance.ready(PlainChannel())
    return Route(CONFIG, instances, clock=clock, publish=lambda event: None)


def shares(route: Route) -> Counter[str]:
    """
    How many calls each instance gets.
    """
    chosen = [route.choice.pick(0.0, "", ()) for _ in range(CALLS)]
    return Counter(each.name for each in chosen if each is not None)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6).filter(any))
def test_turns_are_in_proportion_to_weights(weights: list[int]) -> None:
    """
    No instance is ever more than its turn away from its share; one of weight 0 gets nothing.
    """
    found = shares(route_of(weights))

    for index, each in enumerate(weights):
        assert found[str(index)] == pytest.approx(CALLS * each / sum(weights), abs=len(weights))


@given(st.lists(st.integers(1, 200), min_size=3, max_size=6))
def test_turns_of_the_rest_are_in_proportion_too(weights: list[int]) -> None:
    """
    When an instance is lost, the others share what it had.
    """
    route = route_of(weights)
    shares(route)
    route.instances[0].stop()

    found = shares(route)

    for index, each in enumerate(weights[1:], start=1):
        expected = CALLS * each / sum(weights[1:])
        assert found[str(index)] == pytest.approx(expected, abs=len(weights) + max(weights))
    assert "0" not in found


def test_all_of_weight_0_take_turns() -> None:
    """
    A resolver may report that.
    """
    assert shares(route_of([0, 0])) == {"0": CALLS / 2, "1": CALLS / 2}


def test_none_of_weight_0_stands_in() -> None:
    """
    When all others are out, the call fails rather than be sent where no calls are to go; the message is about them.
    """
    route = route_of([100, 100, 0])
    for each in route.instances[:2]:
        each.stop()

    with pytest.raises(Unavailable, match="stopped"):
        route.choice.pick(0.0, "", ())


@pytest.mark.anyio
@pytest.mark.parametrize("balancer", ["", "first", "random", "round-robin", "least-connections", "priority"])
async def test_weight_0_ends_new_calls_at_once(balancer: str) -> None:
    """
    The reload retunes it: its connection stays, and it takes calls again with the next one.
    """
    async with serving(Named("old"), listen="unix:") as old, serving(Named("new"), listen="unix:") as new:

        def config(weight: int) -> dict[str, object]:
            endpoints = [
                {"url": old.endpoints[0].url, "weight": weight},
                {"url": new.endpoints[0].url, "weight": 1},
            ]
            return {"plugins": {"p": {"endpoints": endpoints, "service": "Named", "balancer": balancer}}}

        async with Manager(config(100), extensions=[First()]) as manager:

            async def count() -> Counter[str]:
                return Counter([await manager.execute("p", {}, str, method="who") for _ in range(60)])

            await manager.health()
            before = await count()
            report = await manager.reload(config(0))
            meanwhile = await count()
            await manager.reload(config(100))
            after = await count()

    assert before["old"] > 45
    assert report.summary == "p retuned"
    assert meanwhile == {"new": 60}
    assert after["old"] > 45


def test_weight_0_of_all_endpoints_is_refused() -> None:
    """
    Nobody means a plugin that gets no calls; the message says how one is switched off.
    """
    table = {"endpoints": [{"url": "unix:/a", "weight": 0}, {"url": "unix:/b", "weight": 0}]}

    with pytest.raises(ConfigError, match=r"plugins\.p\.endpoints: all have the weight 0.*enabled = false"):
        Manager({"plugins": {"p": table}})


def test_weight_0_of_all_that_a_resolver_reports_is_used_as_it_is() -> None:
    """
    Else its next report, or a reload, would be refused for it.
    """
    table = {"endpoints": [{"url": "unix:/a", "weight": 0}], "resolver": {"method": "static"}}

    assert "p" in structure_config({"plugins": {"p": table}}).plugins
