"""
Health: by examples, and as a machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remora.policy import HealthCheckConfig, HealthSignal, HealthState
from remora.policy._health import TRANSITIONS
from remora.testing import ManualClock
from remora.types import Status
from tests.share import of_hundred


def make(**config: object) -> HealthState:
    """
    A state with a seeded source of chance.
    """
    return HealthState(HealthCheckConfig(**config), rng=random.Random(7))  # type: ignore[arg-type]


def healthy(**config: object) -> HealthState:
    """
    A state of good health.
    """
    state = make(**config)
    state.probed(Status.HEALTHY)
    return state


def offline() -> HealthState:
    """
    A state after too many failures.
    """
    state = healthy()
    for _ in range(3):
        state.probe_failed("no answer")
    assert state.status is Status.OFFLINE
    return state


def test_nothing_is_known_before_the_first_check() -> None:
    """
    An instance that has not been started yet is not offline, and may be called.
    """
    state = make()

    assert state.status is Status.UNKNOWN
    assert state.takes_calls


@pytest.mark.parametrize("end", [HealthState.probe_failed, HealthState.call_succeeded], ids=["probe", "call"])
def test_it_is_not_proved_until_a_probe_or_a_call_has_ended(end: Callable[[HealthState], object]) -> None:
    """
    Again after each start.
    """
    state = make()
    before, _, after = state.is_proved, end(state), state.is_proved
    state.reset()

    assert (before, after, state.is_proved) == (False, True, False)


def test_it_is_proved_by_an_answer_that_says_nothing_of_its_health() -> None:
    """
    Else a plugin that says "unknown" would get no calls beside others.
    """
    state = make()
    state.probed(Status.UNKNOWN)

    assert state.is_proved


def test_it_is_taken_as_proved_where_nothing_is_probed() -> None:
    """
    Its first call would be the first to tell.
    """
    assert make(enabled=False).is_proved


def test_third_failed_probe_in_a_row_takes_it_offline() -> None:
    """
    The first makes it unhealthy, and each change says why.
    """
    state = healthy()
    changes = [state.probe_failed("no answer") for _ in range(3)]

    assert [change and change.after for change in changes] == [Status.UNHEALTHY, None, Status.OFFLINE]
    assert changes[2] is not None
    assert changes[2].cause == "no answer"
    assert not state.takes_calls


def test_recovery_goes_by_way_of_degraded() -> None:
    """
    The first good probe brings calls back, the second trust.
    """
    state = offline()
    changes = [state.probed(Status.HEALTHY) for _ in range(3)]

    assert [change and change.after for change in changes] == [Status.DEGRADED, Status.HEALTHY, None]


def test_call_can_finish_a_recovery_but_not_begin_it() -> None:
    """
    A late answer of before is no proof.
    """
    state = offline()
    assert state.call_succeeded() is None
    state.probed(Status.HEALTHY)
    change = state.call_succeeded()

    assert change is not None
    assert change.after is Status.HEALTHY


def test_failed_calls_make_it_unhealthy_but_never_offline() -> None:
    """
    Leaving it alone for failed calls is the breaker's business.
    """
    state = healthy()
    changes = [state.call_failed("it said ouch") for _ in range(100)]

    assert [change.after for change in changes if change] == [Status.UNHEALTHY]
    assert changes[2] is not None
    assert state.takes_calls


def test_single_failed_call_among_good_ones_changes_nothing() -> None:
    """
    Only failures in a row count.
    """
    state = healthy()
    for _ in range(100):
        assert state.call_failed() is None
        assert state.call_succeeded() is None


def test_calls_lift_what_calls_brought_down() -> None:
    """
    By way of degraded.
    """
    state = healthy()
    for _ in range(3):
        state.call_failed()
    changes = [state.call_succeeded() for _ in range(2)]

    assert [change and change.after for change in changes] == [Status.DEGRADED, Status.HEALTHY]


def test_calls_do_not_talk_over_a_failed_probe() -> None:
    """
    Nor reset the count of failed probes.
    """
    state = healthy()
    for _ in range(3):
        state.probe_failed()
        state.call_succeeded()

    assert state.status is Status.OFFLINE


def test_plugin_is_taken_at_its_word() -> None:
    """
    "degraded" stays until a probe says otherwise; "unhealthy" is a failure; "unknown" says nothing.
    """
    state = healthy()
    state.probed(Status.DEGRADED)
    state.call_succeeded()
    assert state.status is Status.DEGRADED
    state.probed(Status.UNKNOWN)
    assert state.status is Status.DEGRADED
    state.probed(Status.UNHEALTHY)
    assert state.status is Status.UNHEALTHY
    assert state.cause == "the plugin says that it is unhealthy"


def test_lost_instance_is_offline_and_a_new_start_makes_it_unknown() -> None:
    """
    Without waiting for probes.
    """
    state = healthy()
    lost, again = state.lost("its process ended"), state.reset()

    assert lost is not None
    assert (lost.after, lost.cause) == (Status.OFFLINE, "its process ended")
    assert again is not None
    assert again.after is Status.UNKNOWN


def test_probes_are_spread_by_a_tenth() -> None:
    """
    Instances that started together are not probed together for ever.
    """
    state = healthy()
    waits = [state.next_check() for _ in range(1000)]

    assert 27 <= min(waits) < 28
    assert 32 < max(waits) <= 33


def test_open_question_is_probed_soon() -> None:
    """
    After a first failure, and while it recovers; not for ever while it is offline.
    """
    state = healthy()
    state.call_failed()
    assert state.next_check() < 2
    state.probe_failed()
    assert state.next_check() < 2
    state = offline()
    assert state.next_check() > 20
    state.probed(Status.HEALTHY)
    assert state.next_check() < 2
    state.probed(Status.HEALTHY)
    assert state.next_check() > 20


def test_configuration_can_change_while_it_lives() -> None:
    """
    It holds from the next probe on.
    """
    state = healthy()
    state.retune(HealthCheckConfig(interval=60, failure_limit=1))
    assert state.next_check() > 50
    state.probe_failed()

    assert state.status is Status.OFFLINE


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"interval": 0}, "interval: expected a duration of more than 0 s"),
        ({"failure_limit": 0}, "failure_limit: expected a whole number of at least 1, got 0"),
        ({"interval": 1.0}, "interval: expected at least timeout, 5 s, got 1.0"),
    ],
)
def test_impossible_configuration_is_refused(config: dict[str, object], message: str) -> None:
    """
    The message names the key and what it takes.
    """
    with pytest.raises(ValueError, match=message):
        make(**config)


class HealthMachine(RuleBasedStateMachine):
    """
    Probes and calls with any result, losses and new starts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.state = make()
        self.failed_probes = 0
        self.is_lost = False

    def follow(self, before: Status, change: object) -> None:
        """
        Every change is reported, and is one of the table.
        """
        moves = {(state, after) for (state, _), after in TRANSITIONS.items()}
        assert (change is None) == (before is self.state.status)
        assert change is None or (before, self.state.status) in moves

    @rule(status=st.sampled_from(Status))
    def probe(self, status: Status) -> None:
        """
        The plugin answers a probe.
        """
        before = self.state.status
        self.follow(before, self.state.probed(status))
        if status in (Status.UNHEALTHY, Status.OFFLINE):
            self.failed_probes += 1
        elif status is not Status.UNKNOWN:
            self.failed_probes, self.is_lost = 0, False
            assert self.state.status in (Status.HEALTHY, Status.DEGRADED)

    @rule()
    def probe_fails(self) -> None:
        """
        The plugin does not answer a probe.
        """
        before = self.state.status
        self.follow(before, self.state.probe_failed())
        self.failed_probes += 1

    @rule(ok=st.booleans())
    def call(self, ok: bool) -> None:
        """
        A call ends.
        """
        before = self.state.status
        self.follow(before, self.state.call_succeeded() if ok else self.state.call_failed())
        assert (before is Status.OFFLINE) == (self.state.status is Status.OFFLINE)

    @rule()
    def lose(self) -> None:
        """
        The instance goes.
        """
        before = self.state.status
        self.follow(before, self.state.lost())
        self.is_lost = True

    @rule()
    def restart(self) -> None:
        """
        The instance is started anew.
        """
        before = self.state.status
        self.follow(before, self.state.reset())
        self.failed_probes, self.is_lost = 0, False

    @invariant()
    def offline_means_lost_or_three_failed_probes(self) -> None:
        """
        Said aloud: offline it is if it was lost or failed three probes in a row, and only then.
        """
        assert (self.state.status is Status.OFFLINE) == (self.is_lost or self.failed_probes >= 3)

    @invariant()
    def is_always_asked_again(self) -> None:
        """
        Said aloud: there is always a next probe, within an interval and a tenth.
        """
        assert 0 < self.state.next_check() <= 33


TestHealthMachine = HealthMachine.TestCase
TestHealthMachine.settings = settings(max_examples=of_hundred(60), stateful_step_count=40)


def test_every_signal_is_in_the_table() -> None:
    """
    The table is what the documentation is drawn from.
    """
    assert {signal for _, signal in TRANSITIONS} == set(HealthSignal)
