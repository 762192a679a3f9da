"""
The retry budget: by examples, and as a machine.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remora.policy import RetryBudget, RetryBudgetConfig
from remora.testing import ManualClock
from tests.share import of_hundred


def make(clock: ManualClock, **config: float) -> RetryBudget:
    """
    A budget.
    """
    return RetryBudget(RetryBudgetConfig(**config), clock=clock)


def spend(budget: RetryBudget) -> int:
    """
    Withdraw until there is nothing left.
    """
    count = 0
    while budget.withdraw():
        count += 1
    return count


def test_quiet_plugin_may_retry_by_the_floor() -> None:
    """
    Three a second over ten seconds.
    """
    assert spend(make(ManualClock())) == 30


@pytest.mark.fault(57)
def test_busy_plugin_may_retry_a_fifth_of_its_calls() -> None:
    """
    Beside the floor.
    """
    clock = ManualClock()
    budget = make(clock)
    for _ in range(1000):
        budget.deposit(clock.now)

    assert spend(budget) == 30 + 200


def test_deposits_expire() -> None:
    """
    An hour of calls does not pay for a storm after it.
    """
    clock = ManualClock()
    budget = make(clock)
    for _ in range(1000):
        budget.deposit(clock.now)
    clock.advance(10)

    assert spend(budget) == 30


@pytest.mark.fault(57)
def test_outage_sends_at_most_1_3_calls_per_call() -> None:
    """
    Sixty seconds at a hundred calls a second, each retried as often as it may be.
    """
    clock = ManualClock()
    budget = make(clock)
    calls = retries = 0
    for _ in range(6000):
        clock.advance(0.01)
        calls += 1
        budget.deposit(clock.now)
        retries += sum(budget.withdraw() for _ in range(3))

    assert (calls + retries) / calls <= 1.3


def test_budget_of_nothing_allows_nothing() -> None:
    """
    Retries can be left to the floor, or to the ratio, or to neither.
    """
    assert spend(make(ManualClock(), ratio=0, floor=0)) == 0


def test_balance_says_how_many_may_be_made() -> None:
    """
    With calls and with retries, and after all of that is too old to count.
    """
    clock = ManualClock()
    budget = make(clock)
    assert budget.balance == 30
    for _ in range(10):
        budget.deposit(clock.now)
    assert budget.balance == 32
    spend(budget)
    assert budget.balance == 0
    clock.advance(10)

    assert budget.balance == 30


def test_impossible_configuration_is_refused() -> None:
    """
    The message names the key.
    """
    with pytest.raises(ValueError, match="ratio: expected a number of at least 0 and at most 10, got -1"):
        make(ManualClock(), ratio=-1)


class BudgetMachine(RuleBasedStateMachine):
    """
    Calls, retries and time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.budget = make(self.clock, floor=0.5)
        self.calls: list[float] = []
        self.retries: list[float] = []

    @rule(number=st.integers(1, 20))
    def call(self, number: int) -> None:
        """
        Calls are made.
        """
        for _ in range(number):
            self.budget.deposit(self.clock.now)
            self.calls.append(self.clock.now)

    @rule(number=st.integers(1, 20))
    def retry(self, number: int) -> None:
        """
        Retries are asked for.
        """
        self.retries += [self.clock.now for _ in range(number) if self.budget.withdraw()]

    @rule(seconds=st.sampled_from([0.3, 1.0, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.clock.advance(seconds)

    @invariant()
    def extra_calls_are_bounded_by_calls_and_the_floor(self) -> None:
        """
        Said aloud: since any moment nine seconds ago or less, retries are at most a fifth of the calls within the
        window before, plus the floor.
        """
        recent = sum(at > self.clock.now - 9 for at in self.retries)
        paid = sum(at > self.clock.now - 19 for at in self.calls)
        assert recent <= 0.2 * paid + 5


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=of_hundred(60), stateful_step_count=40)
