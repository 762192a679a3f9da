"""
The circuit breaker: by examples, and as a machine that is given anything in any order.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remora.policy import BreakerSignal, BreakerState, CircuitBreaker, CircuitBreakerConfig, Permit
from remora.policy._breaker import LONGEST, TRANSITIONS
from remora.testing import ManualClock
from tests.share import of_hundred


def make(clock: ManualClock | None = None, **config: object) -> CircuitBreaker:
    """
    A breaker with a seeded source of chance.
    """
    return CircuitBreaker(CircuitBreakerConfig(**config), clock=clock or ManualClock(), rng=random.Random(7))  # type: ignore[arg-type]


def admit(breaker: CircuitBreaker) -> Permit:
    """
    A permit, which must be had.
    """
    permit = breaker.admit()
    assert isinstance(permit, Permit)
    return permit


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    """
    So many calls that fail.
    """
    for _ in range(times):
        breaker.failed(admit(breaker), "it said ouch")


def opened(clock: ManualClock, **config: object) -> CircuitBreaker:
    """
    A breaker that has just opened.
    """
    breaker = make(clock, **config)
    fail(breaker, 5)
    assert breaker.state is BreakerState.OPEN
    return breaker


def probing(clock: ManualClock, **config: object) -> CircuitBreaker:
    """
    A breaker whose recovery time is over.
    """
    breaker = opened(clock, **config)
    clock.advance(30)
    return breaker


def test_opens_at_the_threshold_and_says_why() -> None:
    """
    Four failures are borne, the fifth is not.
    """
    breaker = make()
    fail(breaker, 4)
    assert breaker.state is BreakerState.CLOSED
    change = breaker.failed(admit(breaker), "it said ouch")

    assert change is not None
    assert (change.before, change.after) == (BreakerState.CLOSED, BreakerState.OPEN)
    assert change.cause == "5 of 5 calls failed: it said ouch"


def test_open_breaker_names_the_seconds_left() -> None:
    """
    It refuses for the recovery timeout, less a tenth at most.
    """
    clock = ManualClock()
    breaker = opened(clock)
    first = breaker.admit()
    clock.advance(10)

    assert isinstance(first, float)
    assert 27 <= first <= 30
    assert breaker.admit() == pytest.approx(first - 10)
    assert breaker.refuses_for() == breaker.admit()


def test_never_opens_below_the_least_number_of_requests() -> None:
    """
    Two failures with a minimum of a thousand calls are too few to judge by.
    """
    breaker = make(failure_threshold=2, min_request_threshold=1000)
    fail(breaker, 500)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 500)

    assert breaker.state is BreakerState.OPEN


def test_a_success_may_be_the_call_that_there_were_too_few_of() -> None:
    """
    It counts as a call, and then there is enough to judge by.
    """
    breaker = make(failure_threshold=2, min_request_threshold=3)
    fail(breaker, 2)
    change = breaker.succeeded(admit(breaker))

    assert change is not None
    assert change.cause == "2 of 3 calls failed"


def test_failures_are_forgotten_after_the_window() -> None:
    """
    Failures that lie a window apart have nothing to do with each other.
    """
    clock = ManualClock()
    breaker = make(clock)
    fail(breaker, 4)
    clock.advance(30)
    fail(breaker, 4)

    assert breaker.state is BreakerState.CLOSED
    assert breaker.counts() == (4, 4, 0)


def test_failure_rate_keeps_a_busy_instance_in_service() -> None:
    """
    Five failures among fifty thousand calls are no reason, where a rate is configured.
    """
    breaker = make(failure_rate=0.5)
    for _ in range(50_000):
        breaker.succeeded(admit(breaker))
    fail(breaker, 5)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 49_995)

    assert breaker.state is BreakerState.OPEN


def test_slowness_does_not_open_the_breaker_of_an_instance_that_is_needed() -> None:
    """
    Nor does a probe that takes its time; failures do.
    """
    clock = ManualClock()
    breaker = make(clock, slow_call_duration=1.0, slow_call_rate=0.5, success_threshold=1)
    breaker.is_needed = True
    assert all(breaker.succeeded(admit(breaker), 2.0) is None for _ in range(20))
    fail(breaker, 5)
    assert breaker.state is BreakerState.OPEN
    clock.advance(30)
    breaker.succeeded(admit(breaker), 2.0)

    assert breaker.state is BreakerState.CLOSED


def test_slow_calls_open_it_as_failures_do() -> None:
    """
    Calls that succeed too late are of no use either.
    """
    breaker = make(slow_call_duration=1.0, slow_call_rate=0.5)
    for _ in range(4):
        assert breaker.succeeded(admit(breaker), duration=1.0) is None
    change = breaker.succeeded(admit(breaker), duration=2.0)

    assert change is not None
    assert change.cause == "5 of 5 calls were slow"


@pytest.mark.fault(58)
def test_half_open_counts_probes_when_they_are_admitted() -> None:
    """
    Of a hundred callers at once, two get through.
    """
    clock = ManualClock()
    breaker = probing(clock)
    admitted = [breaker.admit() for _ in range(100)]

    assert [isinstance(each, Permit) for each in admitted] == [True] * 2 + [False] * 98
    assert 0 < breaker.refuses_for() <= 1


def test_first_probe_carries_the_change_to_half_open() -> None:
    """
    Whoever admits can publish it.
    """
    clock = ManualClock()
    breaker = probing(clock)
    first, second = admit(breaker), admit(breaker)

    assert first.change is not None
    assert first.change.after is BreakerState.HALF_OPEN
    assert second.change is None


def test_closes_when_all_probes_succeeded() -> None:
    """
    One is not enough, two are; what failed before is forgotten.
    """
    clock = ManualClock()
    breaker = probing(clock)
    first, second = admit(breaker), admit(breaker)
    assert breaker.succeeded(first) is None
    change = breaker.succeeded(second)

    assert change is not None
    assert change.after is BreakerState.CLOSED
    assert breaker.counts() == (0, 0, 0)


def test_one_failed_probe_opens_it_again_for_longer() -> None:
    """
    Whatever the failure threshold; each time twice as long, up to eightfold.
    """
    clock = ManualClock()
    breaker = opened(clock)
    waits = []
    for _ in range(8):
        clock.advance(breaker.refuses_for())
        fail(breaker)
        assert breaker.state is BreakerState.OPEN
        waits.append(breaker.refuses_for())

    factors = [2, 4, *[LONGEST] * 6]
    assert all(27 * factor <= wait <= 30 * factor for wait, factor in zip(waits, factors, strict=True))


def test_probe_that_fails_says_why_and_when() -> None:
    """
    As every failure does.
    """
    clock = ManualClock()
    breaker = probing(clock)
    assert breaker.last_failure == clock.now - 30
    change = breaker.failed(admit(breaker), "it said ouch")

    assert change is not None
    assert (change.cause, breaker.last_failure) == ("a probe failed: it said ouch", clock.now)


def test_slow_probe_opens_it_again() -> None:
    """
    Where slow calls count at all.
    """
    breaker = probing(ManualClock(), slow_call_duration=1.0, slow_call_rate=0.5)
    change = breaker.succeeded(admit(breaker), 1.0)

    assert change is not None
    assert (change.after, change.cause) == (BreakerState.OPEN, "a probe took 1 s")


def test_half_open_never_sticks_on_one_failure_and_one_success() -> None:
    """
    Both orders of a good and a bad probe lead somewhere.
    """
    for good_first in (True, False):
        clock = ManualClock()
        breaker = probing(clock)
        first, second = admit(breaker), admit(breaker)
        (breaker.succeeded if good_first else breaker.failed)(first)
        (breaker.failed if good_first else breaker.succeeded)(second)
        clock.advance(100)

        assert isinstance(breaker.admit(), Permit)


def test_abandoned_probe_frees_its_place() -> None:
    """
    A probe whose caller went away is replaced.
    """
    clock = ManualClock()
    breaker = probing(clock)
    first, _ = admit(breaker), admit(breaker)
    assert isinstance(breaker.admit(), float)
    breaker.abandoned(first)

    assert isinstance(breaker.admit(), Permit)
    assert isinstance(breaker.admit(), float)


def test_probe_that_is_never_heard_of_again_frees_its_place_in_time() -> None:
    """
    Even a verdict that is never given cannot make it stick; one that comes late still counts.
    """
    clock = ManualClock()
    breaker = probing(clock)
    lost = [admit(breaker), admit(breaker)]
    clock.advance(30)
    again = admit(breaker)
    assert breaker.succeeded(lost[0]) is None
    change = breaker.succeeded(again)

    assert change is not None
    assert change.after is BreakerState.CLOSED


def test_slow_probes_can_close_a_breaker_that_recovers_quickly() -> None:
    """
    Probes may take longer than the recovery timeout.
    """
    clock = ManualClock()
    breaker = opened(clock, recovery_timeout=0.1)
    for _ in range(2):
        clock.advance(1)
        probe = admit(breaker)
        clock.advance(5)
        breaker.succeeded(probe)

    assert breaker.state is BreakerState.CLOSED


def test_verdicts_of_calls_from_before_the_opening_change_nothing() -> None:
    """
    Neither while open, nor half-open, nor closed again; recovery is not pushed back.
    """
    clock = ManualClock()
    breaker = make(clock)
    late = admit(breaker)
    fail(breaker, 5)
    until, failure = breaker.refuses_for(), breaker.last_failure
    clock.advance(1)
    assert breaker.failed(late) is None
    assert breaker.refuses_for() == pytest.approx(until - 1)
    assert breaker.last_failure == failure
    clock.advance(29)
    probes = [admit(breaker), admit(breaker)]
    assert breaker.failed(late) is None
    assert breaker.succeeded(late) is None
    for probe in probes:
        breaker.succeeded(probe)
    for _ in range(10):
        assert breaker.failed(late) is None

    assert (breaker.state, breaker.openings) == (BreakerState.CLOSED, 1)


def test_verdict_counts_once() -> None:
    """
    A probe that is reported twice is one probe.
    """
    clock = ManualClock()
    breaker = probing(clock)
    probe = admit(breaker)
    breaker.succeeded(probe)
    breaker.succeeded(probe)

    assert breaker.state is BreakerState.HALF_OPEN


def test_breaker_that_never_failed_has_no_last_failure() -> None:
    """
    Not the beginning of 1970.
    """
    assert make().last_failure is None


def test_disabled_breaker_admits_everything_and_counts_nothing() -> None:
    """
    Off is off.
    """
    breaker = make(enabled=False)
    fail(breaker, 1000)

    assert breaker.state is BreakerState.CLOSED
    assert breaker.counts() == (0, 0, 0)


def test_disabling_closes_an_open_breaker() -> None:
    """
    Nobody stays refused by a breaker that is not there.
    """
    breaker = opened(ManualClock())
    change = breaker.retune(CircuitBreakerConfig(enabled=False))

    assert change is not None
    assert change.cause == "disabled"
    assert isinstance(breaker.admit(), Permit)


def test_open_breaker_stays_open_in_proportion_when_the_recovery_timeout_changes() -> None:
    """
    From when it has opened on, not from now on.
    """
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(10)
    left = breaker.refuses_for()
    change = breaker.retune(CircuitBreakerConfig(recovery_timeout=60))

    assert change is None
    assert breaker.refuses_for() == pytest.approx(2 * (left + 10) - 10)


@pytest.mark.parametrize(("window", "counts"), [(30.0, (4, 4, 0)), (60.0, (0, 0, 0))])
def test_counts_are_kept_unless_the_window_changes(window: float, counts: tuple[int, int, int]) -> None:
    """
    Those of another window say nothing about this one.
    """
    breaker = make()
    fail(breaker, 4)
    breaker.retune(CircuitBreakerConfig(window=window))

    assert breaker.counts() == counts


def test_reset_forgets_the_failures_of_a_closed_breaker_and_closes_an_open_one() -> None:
    """
    Only what it changes is told.
    """
    closed, open_ = make(), opened(ManualClock())
    fail(closed, 4)
    change = open_.reset("the operator asked for it")

    assert closed.reset() is None
    assert closed.counts() == (0, 0, 0)
    assert change is not None
    assert (change.after, change.cause) == (BreakerState.CLOSED, "the operator asked for it")


def test_fewer_probes_may_be_enough_after_a_change_of_configuration() -> None:
    """
    What has succeeded already counts.
    """
    clock = ManualClock()
    breaker = probing(clock)
    breaker.succeeded(admit(breaker))
    change = breaker.retune(CircuitBreakerConfig(success_threshold=1))

    assert change is not None
    assert change.after is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"failure_threshold": 0}, "failure_threshold: expected a whole number of at least 1, got 0"),
        ({"success_threshold": -1}, "success_threshold: expected a whole number of at least 1, got -1"),
        ({"window": 0}, "window: expected a duration of more than 0 s"),
        ({"recovery_timeout": float("nan")}, "recovery_timeout: expected a duration"),
        ({"failure_rate": 1.5}, "failure_rate: expected a number of more than 0 and at most 1, got 1.5"),
        ({"slow_call_rate": 0.5}, "slow_call_rate: goes together with slow_call_duration"),
    ],
)
def test_impossible_configuration_is_refused(config: dict[str, object], message: str) -> None:
    """
    The message names the key and what it takes.
    """
    with pytest.raises(ValueError, match=message):
        make(**config)


class BreakerMachine(RuleBasedStateMachine):
    """
    Calls that start, end well, badly or not at all, and time that passes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.breaker = make(self.clock, failure_threshold=2, min_request_threshold=2, success_threshold=2)
        self.calls: list[tuple[Permit, int]] = []
        self.generation = 0
        self.probes: list[Permit] = []
        self.seen = self.breaker.state

    def follow(self) -> None:
        """
        Note a change of state, which must be one of the table.
        """
        if self.breaker.state is not self.seen:
            moves = {(before, after) for (before, _), after in TRANSITIONS.items()}
            assert (self.seen, self.breaker.state) in moves
            self.seen = self.breaker.state
            self.generation += 1
            self.probes.clear()

    @rule()
    def start(self) -> None:
        """
        A call asks.
        """
        refused_for = self.breaker.refuses_for()
        answer = self.breaker.admit()
        self.follow()
        if isinstance(answer, float):
            assert answer == refused_for > 0
            return
        assert refused_for == 0
        self.calls.append((answer, self.generation))
        if self.breaker.state is BreakerState.HALF_OPEN:
            self.probes.append(answer)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), verdict=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def end(self, data: st.DataObject, verdict: str) -> None:
        """
        Any of the calls under way ends.
        """
        permit, generation = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        before = self.breaker.state, self.breaker.refuses_for(), self.breaker.counts()
        getattr(self.breaker, verdict)(permit)
        if generation != self.generation:
            assert before == (self.breaker.state, self.breaker.refuses_for(), self.breaker.counts())
        elif before[0] is BreakerState.HALF_OPEN and verdict == "failed":
            assert self.breaker.state is BreakerState.OPEN
        self.probes = [each for each in self.probes if each is not permit]
        self.follow()

    @rule(seconds=st.sampled_from([0.5, 3.0, 26.9, 30.0, 240.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.clock.advance(seconds)
        self.probes = [each for each in self.probes if each.lapses > self.clock.now]

    @invariant()
    def at_most_two_trials_while_half_open(self) -> None:
        """
        Said aloud: at most `success_threshold` trials at once while half-open.
        """
        assert len(self.probes) <= 2

    @invariant()
    def never_refuses_for_longer_than_the_longest(self) -> None:
        """
        Said aloud: whatever happened, there is a time after which a call is admitted.
        """
        assert 0 <= self.breaker.refuses_for() <= 30 * LONGEST

    @invariant()
    def closed_means_admitted(self) -> None:
        """
        Said aloud: a closed breaker refuses nobody.
        """
        assert (self.breaker.state is not BreakerState.CLOSED) or self.breaker.refuses_for() == 0

    def teardown(self) -> None:
        """
        Said aloud: left alone for long enough, it always admits a call, and good probes close it.
        """
        self.clock.advance(30 * LONGEST)
        for _ in range(2):
            if self.breaker.state is not BreakerState.CLOSED:
                self.breaker.succeeded(admit(self.breaker))
        assert self.breaker.state is BreakerState.CLOSED


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=of_hundred(60), stateful_step_count=40)


def test_every_signal_is_in_the_table() -> None:
    """
    The table is what the documentation is drawn from.
    """
    assert {signal for _, signal in TRANSITIONS} == set(BreakerSignal)
