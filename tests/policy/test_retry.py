"""
Retries: which errors, which calls, and how long to wait.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import CircuitOpen, Code, ConnectionLost, DeadlineExceeded, InvalidRequest, PluginError, RemoraError
from remora.policy import Backoff, Retry, RetryConfig

LOST = ConnectionLost("it is gone")


def make(**config: object) -> Retry:
    """
    A policy with a seeded source of chance.
    """
    return Retry(RetryConfig(**config), rng=random.Random(7))  # type: ignore[arg-type]


def test_connection_error_is_tried_again_when_the_call_may_be_made_twice() -> None:
    """
    Three times by default, and not a fourth time.
    """
    retry = make()
    delays = [retry.delay(attempt, LOST, idempotent=True, remaining=None) for attempt in (1, 2, 3, 4)]

    assert [delay is None for delay in delays] == [False, False, False, True]


def test_without_jitter_the_first_wait_is_the_configured_one() -> None:
    """
    100 ms, then twice as much each time, up to the longest.
    """
    retry = make(random_jitter=False, max_retries=9)
    delays = [retry.delay(attempt, LOST, idempotent=True, remaining=None) for attempt in range(1, 9)]

    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_jitter_is_full() -> None:
    """
    Waits are spread evenly from nothing up to the ceiling.
    """
    retry = make()
    delays = [retry.delay(3, LOST, idempotent=True, remaining=None) or 0.0 for _ in range(10_000)]

    assert max(delays) <= 0.4
    assert sum(delays) / len(delays) == pytest.approx(0.2, rel=0.05)
    assert sum(delay < 0.1 for delay in delays) == pytest.approx(2500, rel=0.1)


@pytest.mark.fault(57)
def test_call_that_may_have_acted_is_not_made_twice() -> None:
    """
    Only what is idempotent, or was never sent.
    """
    retry = make()

    assert retry.delay(1, LOST, idempotent=False, remaining=None) is None
    assert retry.delay(1, ConnectionLost("refused", sent=False), idempotent=False, remaining=None) is not None
    assert retry.delay(1, CircuitOpen("open"), idempotent=False, remaining=None) is not None


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (DeadlineExceeded("too slow"), True),
        (PluginError("busy", code=Code.UNAVAILABLE), True),
        (PluginError("no such user", code=Code.NOT_FOUND), False),
        (PluginError("what", code=Code.UNKNOWN), False),
        (InvalidRequest("no"), False),
    ],
)
def test_only_errors_that_may_be_gone_are_retried(error: RemoraError, is_retried: bool) -> None:
    """
    The plugin's own "no" is an answer.
    """
    assert (make().delay(1, error, idempotent=True, remaining=None) is not None) is is_retried


def asking(retry_after: float) -> RemoraError:
    """
    An error of a plugin that says when to come back.
    """
    return PluginError("busy", code=Code.UNAVAILABLE, retry_after=retry_after)


def test_retry_after_is_waited_for_in_full() -> None:
    """
    Jitter comes on top of it.
    """
    retry = make()
    delays = [retry.delay(1, asking(2), idempotent=True, remaining=10) or 0.0 for _ in range(100)]

    assert 2 <= min(delays) < max(delays) <= 2.1


def test_retry_after_that_just_fits_is_not_lost_to_jitter() -> None:
    """
    With no room for jitter there is none.
    """
    assert make(random_jitter=False).delay(1, asking(2), idempotent=True, remaining=2.05) == 2


def test_retry_after_beyond_the_deadline_ends_the_call() -> None:
    """
    Nobody waits for what comes too late.
    """
    assert make().delay(1, asking(2), idempotent=True, remaining=1.5) is None
    assert make().delay(1, asking(2), idempotent=True, remaining=2) is None


def test_negative_push_back_ends_the_call() -> None:
    """
    The plugin asks not to be asked again.
    """
    assert make().delay(1, asking(-1), idempotent=True, remaining=None) is None


def test_no_time_means_no_retry() -> None:
    """
    Not even at once.
    """
    assert make().delay(1, LOST, idempotent=True, remaining=0) is None
    assert make().delay(1, asking(0), idempotent=True, remaining=0) is None


def test_zero_retries_is_off() -> None:
    """
    No retries are asked for, none are made.
    """
    assert make(max_retries=0).delay(1, LOST, idempotent=True, remaining=None) is None


@pytest.mark.parametrize(
    ("methods", "is_idempotent"),
    [((), False), (("Get",), True), (("text.v1.Words/Get",), True), (("Words/Get",), False), (("*",), True)],
)
def test_configuration_can_say_what_may_be_made_twice(methods: tuple[str, ...], is_idempotent: bool) -> None:
    """
    By method, by service and method, or all.
    """
    assert make(idempotent_methods=methods).is_idempotent("text.v1.Words", "Get") is is_idempotent


@given(
    initial=st.floats(1e-9, 1e9),
    factor=st.floats(1, 1e12),
    multiplier=st.floats(1, 1e300),
    attempt=st.integers(1, 10**9),
)
def test_ceiling_never_leaves_its_range(initial: float, factor: float, multiplier: float, attempt: int) -> None:
    """
    No configuration and no number of attempts makes the arithmetic fail.
    """
    maximum = initial * factor
    backoff = Backoff(
        initial=initial, maximum=maximum, multiplier=multiplier, is_jittered=True, rng=random.Random(attempt)
    )

    assert min(initial, maximum) <= backoff.ceiling(attempt) <= maximum
    assert 0 <= backoff.delay(attempt) <= maximum


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"multiplier": 0.5}, "multiplier: expected a number of at least 1, got 0.5"),
        ({"max_retries": -1}, "max_retries: expected a whole number of at least 0, got -1"),
        ({"initial_interval": 0}, "initial_interval: expected a duration of more than 0 s"),
        ({"initial_interval": 9}, "max_interval: expected at least initial_interval, 9 s, got 5.0"),
    ],
)
def test_impossible_configuration_is_refused(config: dict[str, object], message: str) -> None:
    """
    The message names the key and what it takes.
    """
    with pytest.raises(ValueError, match=message):
        make(**config)
