"""
What a route knows beforehand about its instances, whatever has become of them.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from remora import Endpoint, ManagerClosed, PluginConfig, Status, Unavailable
from remora._calls._instance import Instance, State
from remora._calls._route import Route
from remora.policy import BreakerState, CircuitBreakerConfig, Permit
from remora.testing import ManualClock
from tests.core.hosts import PlainChannel
from tests.share import of_hundred

TOUCHY = CircuitBreakerConfig(failure_threshold=2, min_request_threshold=1, success_threshold=1, recovery_timeout=5)
CONFIG = PluginConfig(name="p", circuit_breaker=TOUCHY)
WHICH = st.integers(0, 1)


def instance(name: str, clock: ManualClock) -> Instance:
    """
    An instance that has not been opened yet.
    """
    endpoint = Endpoint(f"strange:{name}")
    return Instance(name, endpoint, CONFIG, native_deadline=True, clock=clock, rng=random.Random(7))


def route(clock: ManualClock) -> Route:
    """
    A plugin with two instances.
    """
    instances = [instance(name, clock) for name in "ab"]
    return Route(CONFIG, instances, clock=clock, publish=lambda event: None)


class RouteMachine(RuleBasedStateMachine):
    """
    Instances come and go, calls to them end well or not, and they are probed.
    """

    @initialize()
    def begin(self) -> None:
        """
        Nothing is open yet.
        """
        self.clock = ManualClock()
        self.route = route(self.clock)

    @rule(index=WHICH)
    def opened(self, index: int) -> None:
        """
        An instance can be used, and is well.
        """
        each = self.route.instances[index]
        each.ready(PlainChannel())
        each.prepared = each.send
        self.route.health_changed(each, each.condition.probed(Status.HEALTHY))
        self.route.changed()

    @rule(index=WHICH, what=st.sampled_from(["lost", "close", "stop", "retire", "cut", "reopen", "start"]))
    def moved(self, index: int, what: str) -> None:
        """
        Something else becomes of it.
        """
        each = self.route.instances[index]
        if what == "lost":
            each.lost(Unavailable("it is gone"), State.WAITING, self.clock() + 1)
        else:
            getattr(each, what)()

    @rule(index=WHICH, ok=st.booleans(), times=st.integers(1, 4))
    def called(self, index: int, ok: bool, times: int) -> None:
        """
        Calls to it end.
        """
        each = self.route.instances[index]
        for _ in range(times):
            if isinstance(permit := each.breaker.admit(), Permit):
                self.route.breaker_changed(each, permit.change)
                judge, learn = (
                    (each.breaker.succeeded, each.condition.call_succeeded)
                    if ok
                    else (each.breaker.failed, each.condition.call_failed)
                )
                self.route.breaker_changed(each, judge(permit))
                self.route.health_changed(each, learn())

    @rule(index=WHICH, status=st.sampled_from(list(Status)))
    def probed(self, index: int, status: Status) -> None:
        """
        It says how it is.
        """
        each = self.route.instances[index]
        self.route.health_changed(each, each.condition.probed(status))

    @rule(index=WHICH, enabled=st.booleans())
    def retuned(self, index: int, enabled: bool) -> None:
        """
        The configuration changes.
        """
        each = self.route.instances[index]
        breaker = TOUCHY if enabled else CircuitBreakerConfig(enabled=False)
        change = each.retune(each.name, each.endpoint, PluginConfig(name="p", circuit_breaker=breaker))
        self.route.breaker_changed(each, change)

    @rule(seconds=st.sampled_from([0.01, 1.0, 6.0, 60.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.clock.advance(seconds)

    @invariant()
    def prime_is_what_nothing_speaks_against(self) -> None:
        """
        Said aloud: what is known beforehand is what one would find by looking.
        """
        for each in self.route.instances:
            is_well = each.breaker.state is BreakerState.CLOSED and each.condition.status is Status.HEALTHY
            assert each.is_prime == (is_well and each.state is State.READY)

    @invariant()
    def only_an_open_instance_can_be_sent_to(self) -> None:
        """
        Said aloud: there is a way to it as long as there is a channel.
        """
        for each in self.route.instances:
            assert (each.channel is None) == (each.send is None)
            assert each.prepared in (None, each.send)


TestRouteMachine = RouteMachine.TestCase
TestRouteMachine.settings = settings(max_examples=of_hundred(60), stateful_step_count=30)


def test_instance_takes_its_share_within_ten_seconds_of_each_start() -> None:
    """
    A tenth at first; what is picked from says so in steps too small to be seen.
    """
    clock = ManualClock()
    plugin = route(clock)
    first, second = plugin.instances
    first.ready(PlainChannel())
    second.ready(PlainChannel())
    clock.advance(60)
    plugin.changed()
    plugin.choice.pick(clock(), "", ())
    assert (1.0, 1.0) == (first.warmth, second.warmth)

    second.ready(PlainChannel())
    plugin.changed()
    for _ in range(120):
        plugin.choice.pick(clock(), "", ())
        age = clock() - second._ready_since
        assert second.warmth == pytest.approx(min(1.0, max(0.1, age / 10)), abs=0.01)
        clock.advance(0.1)
    assert (1.0, 1.0) == (first.warmth, second.warmth)


def test_plugin_that_is_closed_for_good_is_not_opened_again() -> None:
    """
    Though a restart that had begun before may try; the refusal says that it is for good.
    """
    plugin = route(ManualClock())
    plugin.close()
    plugin.reopen()

    assert not plugin.is_open
    assert isinstance(plugin.refusal(), ManagerClosed)
