"""
When a lost instance is started again.
"""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remora.policy import RestartConfig, RestartPolicy
from remora.testing import ManualClock


def policy(clock: ManualClock, **config: object) -> RestartPolicy:
    """
    A policy with a fixed chance.
    """
    return RestartPolicy(RestartConfig(**config), clock=clock, rng=random.Random(1))  # type: ignore[arg-type]


def test_pauses_double_up_to_the_maximum() -> None:
    """
    Jittered by a fifth either way.
    """
    restarts = policy(ManualClock(), limit=None)

    pauses = [restarts.failed().delay for _ in range(12)]

    for number, pause in enumerate(pauses):
        expected = min(30.0, 0.2 * 2**number)
        assert 0.8 * expected <= pause <= 1.2 * expected
    assert len(set(pauses)) == 12


def test_the_fifth_failure_within_a_minute_gives_up() -> None:
    """
    For five minutes; then the count begins anew.
    """
    clock = ManualClock()
    restarts = policy(clock)
    decisions = []
    for _ in range(10):
        decisions.append(restarts.failed())
        clock.advance(decisions[-1].delay)

    assert [4, 9] == [number for number, decision in enumerate(decisions) if decision.gave_up]
    assert 300.0 == decisions[4].delay


def test_failures_further_apart_than_the_window_never_give_up() -> None:
    """
    They are bad luck, not a crash loop.
    """
    clock = ManualClock()
    restarts = policy(clock)
    for _ in range(50):
        assert not restarts.failed().gave_up
        clock.advance(15.1)


def test_stable_runs_count_towards_giving_up() -> None:
    """
    They only begin the backoff anew.
    """
    clock = ManualClock()
    restarts = policy(clock)
    decisions = []
    for _ in range(5):
        restarts.ready()
        clock.advance(11)
        decisions.append(restarts.failed())

    assert [False] * 4 + [True] == [decision.gave_up for decision in decisions]
    assert all(decision.delay <= 0.24 for decision in decisions[:4])


def test_a_reset_forgets_everything() -> None:
    """
    The next pause is the first one again.
    """
    restarts = policy(ManualClock())
    for _ in range(4):
        restarts.failed()
    restarts.reset()
    decision = restarts.failed()

    assert not decision.gave_up
    assert decision.delay <= 0.24


class Restarts(RuleBasedStateMachine):
    """
    Any life of an instance, against a list of when it failed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.config = RestartConfig()
        self.clock = ManualClock()
        self.policy = RestartPolicy(self.config, clock=self.clock, rng=random.Random(0))
        self.failures: list[float] = []
        self.ready_at: float | None = None
        self.in_a_row = 0
        self.delays: list[float] = []

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        """
        However long.
        """
        self.clock.advance(seconds)

    @rule()
    @precondition(lambda self: self.ready_at is None)
    def becomes_ready(self) -> None:
        """
        It takes calls.
        """
        self.ready_at = self.clock()
        self.policy.ready()

    @rule()
    def fails(self) -> None:
        """
        It could not be started, or it died; a fifth failure within the window, and no other, gives up.
        """
        now = self.clock()
        if self.ready_at is not None and now - self.ready_at >= self.config.stable:
            self.in_a_row = 0
        self.ready_at = None
        self.in_a_row += 1
        self.failures.append(now)
        recent = [time for time in self.failures if time > now - self.config.window]

        decision = self.policy.failed()

        assert decision.gave_up == (len(recent) >= 5)
        if decision.gave_up:
            assert self.config.cooldown == decision.delay
            self.failures.clear()
            self.in_a_row = 0
        else:
            expected = min(self.config.maximum, self.config.initial * 2 ** (self.in_a_row - 1))
            assert 0.8 * expected <= decision.delay <= 1.2 * expected
        self.delays.append(decision.delay)

    @rule()
    def is_restarted_by_hand(self) -> None:
        """
        An operator asks for it.
        """
        self.policy.reset()
        self.failures.clear()
        self.in_a_row = 0

    @invariant()
    def no_start_comes_at_once_or_never(self) -> None:
        """
        There is always a pause, and always an end to it.
        """
        assert all(0 < delay <= self.config.cooldown for delay in self.delays)

    @invariant()
    def it_is_never_left_alone_after_fewer_than_five_failures(self) -> None:
        """
        The list of failures that count is shorter than the limit between decisions.
        """
        recent = [time for time in self.failures if time > self.clock() - self.config.window]
        assert len(recent) < 5


TestRestarts = Restarts.TestCase
