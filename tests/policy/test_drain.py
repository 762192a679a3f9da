"""
Draining: by examples, and as a machine.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remora.policy import DrainCounter, DrainProgress, DrainSignal, DrainState
from remora.policy._drain import TRANSITIONS
from remora.testing import ManualClock
from tests.share import of_hundred


def test_calls_learn_when_they_leave_that_a_drain_waits_for_them() -> None:
    """
    They wake whoever waits.
    """
    counter = DrainCounter(clock=ManualClock())
    for _ in range(3):
        counter.enter()
    assert not counter.leave()
    assert not counter.drain()

    assert [counter.leave(), counter.leave()] == [True, True]
    assert counter.is_idle


def test_nothing_enters_while_it_drains() -> None:
    """
    New calls are refused, not counted and made to wait, so that the number can only fall.
    """
    counter = DrainCounter(clock=ManualClock())
    counter.enter()
    counter.drain()

    assert not counter.enter()
    assert counter.active == 1


def test_idle_counter_is_drained_at_once() -> None:
    """
    There is nothing to wait for, however often it is asked.
    """
    counter = DrainCounter(clock=ManualClock())

    assert [counter.drain(), counter.drain()] == [True, True]


def test_progress_is_known_all_the_time() -> None:
    """
    How many there were, are, and since when.
    """
    clock = ManualClock()
    counter = DrainCounter(clock=clock)
    counter.enter()
    counter.enter()
    assert counter.progress() is None
    counter.drain()
    clock.advance(2)
    counter.leave()

    assert counter.progress() == DrainProgress(total=2, remaining=1, elapsed=2)


def test_draining_can_be_called_off() -> None:
    """
    Calls enter again, and leaving means nothing special.
    """
    counter = DrainCounter(clock=ManualClock())
    counter.enter()
    counter.drain()
    counter.resume()

    assert counter.enter()
    assert not counter.leave()
    assert not counter.leave()


def test_leaving_without_having_entered_is_a_mistake() -> None:
    """
    A count below zero would never be idle again.
    """
    with pytest.raises(ValueError, match="more calls left than have entered"):
        DrainCounter(clock=ManualClock()).leave()


class DrainMachine(RuleBasedStateMachine):
    """
    Calls that come and go while draining begins and is called off.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counter = DrainCounter(clock=ManualClock())
        self.inside = 0

    @rule()
    def enter(self) -> None:
        """
        A call comes.
        """
        assert self.counter.enter() == (self.counter.state is DrainState.OPEN)
        self.inside += self.counter.state is DrainState.OPEN

    @precondition(lambda self: self.inside)
    @rule()
    def leave(self) -> None:
        """
        A call goes.
        """
        is_draining = self.counter.state is DrainState.DRAINING
        self.inside -= 1
        assert self.counter.leave() == is_draining

    @rule()
    def drain(self) -> None:
        """
        Draining begins.
        """
        assert self.counter.drain() == (not self.inside)

    @rule()
    def resume(self) -> None:
        """
        Draining is called off.
        """
        self.counter.resume()
        assert self.counter.state is DrainState.OPEN

    @invariant()
    def drained_means_empty(self) -> None:
        """
        Said aloud: it is drained exactly when it was asked to drain and nobody is inside.
        """
        assert self.counter.active == self.inside
        assert (self.counter.state is DrainState.DRAINING) <= (self.inside > 0)
        assert (self.counter.state is DrainState.DRAINED) <= (self.inside == 0)


TestDrainMachine = DrainMachine.TestCase
TestDrainMachine.settings = settings(max_examples=of_hundred(40), stateful_step_count=30)


def test_every_signal_is_in_the_table() -> None:
    """
    The table is what the documentation is drawn from.
    """
    assert {signal for _, signal in TRANSITIONS} == set(DrainSignal)
