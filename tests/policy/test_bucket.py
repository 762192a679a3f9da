"""
The token bucket: by examples, and as a machine.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remora.policy import RateLimitConfig, TokenBucket, Turn
from remora.testing import ManualClock


def make(clock: ManualClock, **config: object) -> TokenBucket:
    """
    A bucket that is switched on.
    """
    return TokenBucket(RateLimitConfig(enabled=True, **config), clock=clock)  # type: ignore[arg-type]


def granted(bucket: TokenBucket, times: int) -> int:
    """
    How many of so many calls at once are let through.
    """
    return sum(bucket.reserve().is_granted for _ in range(times))


def test_burst_is_let_through_and_no_more() -> None:
    """
    The bucket starts full.
    """
    assert granted(make(ManualClock()), 100) == 20


def test_refused_call_learns_when_to_come_back() -> None:
    """
    Whoever comes back then is let through.
    """
    clock = ManualClock()
    bucket = make(clock)
    granted(bucket, 20)
    refused = bucket.reserve()
    assert (refused.is_granted, refused.wait) == (False, pytest.approx(0.1))
    clock.advance(refused.wait)

    assert bucket.reserve().is_granted


def test_refused_calls_cost_nothing() -> None:
    """
    A thousand refusals do not keep the next call waiting.
    """
    clock = ManualClock()
    bucket = make(clock)
    granted(bucket, 1000)
    clock.advance(0.1)

    assert granted(bucket, 10) == 1


def test_rate_holds_in_the_long_run() -> None:
    """
    Fifty a second, whatever is asked for.
    """
    clock = ManualClock()
    bucket = make(clock, requests_per_second=50, burst_size=1)
    passed = 0
    for _ in range(100_000):
        clock.advance(0.0007)
        passed += granted(bucket, 1)

    assert passed == pytest.approx(70 * 50, rel=0.03)


def test_waiting_calls_get_turns_in_order() -> None:
    """
    One interval apart, first come, first served.
    """
    bucket = make(ManualClock(), burst_size=1, mode="wait")
    turns = [bucket.reserve() for _ in range(4)]

    assert [turn.wait for turn in turns] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert all(turn.is_granted for turn in turns)


def test_nobody_waits_beyond_their_time() -> None:
    """
    A turn that would come too late is not taken.
    """
    bucket = make(ManualClock(), burst_size=1, mode="wait")
    bucket.reserve()

    assert not bucket.reserve(0.05).is_granted
    assert bucket.reserve(0.1).is_granted
    assert bucket.reserve(0.1).wait == pytest.approx(0.2)


@pytest.mark.parametrize("order", [range(100), range(99, -1, -1)])
def test_cancelled_crowd_leaves_no_queue_behind(order: range) -> None:
    """
    In whatever order a hundred callers go away.
    """
    bucket = make(ManualClock(), burst_size=1, mode="wait")
    bucket.reserve()
    turns = [bucket.reserve() for _ in range(100)]
    for index in order:
        bucket.cancel(turns[index])

    assert bucket.reserve().wait == pytest.approx(0.1)


def test_cancelled_turn_goes_to_the_next_who_asks() -> None:
    """
    Nobody else's turn moves.
    """
    bucket = make(ManualClock(), burst_size=1, mode="wait")
    bucket.reserve()
    turns = [bucket.reserve() for _ in range(3)]
    bucket.cancel(turns[0])
    bucket.cancel(turns[0])

    assert bucket.reserve().wait == pytest.approx(0.1)
    assert bucket.reserve().wait == pytest.approx(0.4)


def test_last_turns_that_are_cancelled_go_back_to_the_bucket() -> None:
    """
    It is full again as soon as if those callers had never come.
    """
    clock = ManualClock()
    bucket = make(clock, burst_size=5, mode="wait")
    turns = [bucket.reserve() for _ in range(25)]
    for turn in turns[5:]:
        bucket.cancel(turn)
    assert pytest.approx(0) == bucket.level
    clock.advance(0.5)

    assert pytest.approx(5) == bucket.level


def test_turn_that_has_come_cannot_be_given_back() -> None:
    """
    The call may have been made.
    """
    clock = ManualClock()
    bucket = make(clock, burst_size=1, mode="wait")
    first, second = bucket.reserve(), bucket.reserve()
    clock.advance(0.1)
    bucket.cancel(first)
    bucket.cancel(second)

    assert bucket.reserve().wait == pytest.approx(0.1)


def test_retuning_keeps_the_tokens() -> None:
    """
    A change of configuration is no free burst, and takes nothing away that still fits.
    """
    clock = ManualClock()
    bucket = make(clock)
    granted(bucket, 15)
    clock.advance(0.2)
    bucket.retune(RateLimitConfig(enabled=True, requests_per_second=1, burst_size=100))
    assert bucket.level == pytest.approx(7)
    clock.advance(1)
    assert bucket.level == pytest.approx(8)
    bucket.retune(RateLimitConfig(enabled=True, requests_per_second=1, burst_size=2))

    assert granted(bucket, 10) == 2


def test_turns_follow_the_rate_when_it_changes() -> None:
    """
    In their order: those who wait for ten seconds wait for one when the rate is ten times as high, and the reverse.
    """
    clock = ManualClock()
    bucket = make(clock, requests_per_second=1, burst_size=1, mode="wait")
    turns = [bucket.reserve() for _ in range(11)]
    clock.advance(2)
    assert [0, 0, 0, *range(1, 9)] == pytest.approx([bucket.wait_for(each) for each in turns])
    bucket.retune(RateLimitConfig(enabled=True, requests_per_second=10, burst_size=1, mode="wait"))
    assert [0, 0, 0, *(each / 10 for each in range(1, 9))] == pytest.approx([bucket.wait_for(each) for each in turns])
    assert pytest.approx(0.9) == bucket.reserve().wait
    bucket.retune(RateLimitConfig(enabled=True, requests_per_second=0.1, burst_size=1, mode="wait"))

    assert pytest.approx(10) == bucket.wait_for(turns[3])


def test_turns_come_at_once_when_the_limit_goes_and_cost_nothing_when_it_is_back() -> None:
    """
    Nobody waits for a limit that is not there.
    """
    clock = ManualClock()
    bucket = make(clock, requests_per_second=1, burst_size=1, mode="wait")
    turns = [bucket.reserve() for _ in range(10)]
    bucket.retune(RateLimitConfig())
    assert {0.0} == {bucket.wait_for(each) for each in turns}
    for each in turns:
        bucket.cancel(each)
    bucket.retune(RateLimitConfig(enabled=True, requests_per_second=1, burst_size=1))

    assert (0, False) == (bucket.level, bucket.reserve().is_granted)


def test_bucket_that_is_off_refuses_nobody() -> None:
    """
    Off by default.
    """
    bucket = TokenBucket(RateLimitConfig(), clock=ManualClock())

    assert granted(bucket, 1000) == 1000


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"requests_per_second": 0}, "requests_per_second: expected a number of more than 0, got 0"),
        ({"requests_per_second": float("inf")}, "requests_per_second: expected a number of more than 0, got inf"),
        ({"burst_size": 0}, "burst_size: expected a whole number of at least 1, got 0"),
    ],
)
def test_impossible_configuration_is_refused(config: dict[str, object], message: str) -> None:
    """
    The message names the key and what it takes.
    """
    with pytest.raises(ValueError, match=message):
        make(ManualClock(), **config)


RATE, BURST = 10.0, 3


class BucketMachine(RuleBasedStateMachine):
    """
    Callers who wait, or go away, and time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.bucket = make(self.clock, requests_per_second=RATE, burst_size=BURST, mode="wait")
        self.waiting: list[Turn] = []
        self.made: list[float] = []

    @rule(remaining=st.sampled_from([0.0, 0.25, 1.0, None]))
    def ask(self, remaining: float | None) -> None:
        """
        A call asks.
        """
        turn = self.bucket.reserve(remaining)
        if not turn.is_granted:
            assert remaining is not None
            assert turn.wait > remaining
            return
        assert turn.wait <= (float("inf") if remaining is None else remaining)
        if turn.wait:
            self.waiting.append(turn)
        else:
            self.made.append(self.clock.now)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def go_away(self, data: st.DataObject) -> None:
        """
        One who waits is cancelled.
        """
        self.bucket.cancel(self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1))))

    @rule(seconds=st.sampled_from([0.05, 0.1, 0.13, 2.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes, and turns come.
        """
        self.clock.advance(seconds)
        self.made += [turn.due for turn in self.waiting if turn.due <= self.clock.now]
        self.waiting = [turn for turn in self.waiting if turn.due > self.clock.now]

    @invariant()
    def never_more_than_burst_and_rate(self) -> None:
        """
        Said aloud: in no span of time are more calls made than the burst and what flows in meanwhile.
        """
        calls = sorted(self.made)
        for index, start in enumerate(calls):
            for number, end in enumerate(calls[index:], start=1):
                assert number <= BURST + RATE * (end - start) + 1e-3

    @invariant()
    def no_two_have_the_same_turn(self) -> None:
        """
        Said aloud: those who wait are an interval apart.
        """
        turns = sorted(turn.due for turn in self.waiting)
        assert all(later - turn > 1 / RATE - 1e-6 for turn, later in pairwise(turns))


TestBucketMachine = BucketMachine.TestCase
TestBucketMachine.settings = settings(stateful_step_count=40)
