"""
The contract of balancers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.testing._claims import claims_of, keeps
from remora.testing._clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.protocols import Balancer
    from remora.specs import BalancerSpec
    from remora.testing._claims import Claim

__all__ = ["check_balancer"]


async def check_balancer(spec: BalancerSpec) -> list[str]:
    """
    Put a balancer through the contract.

    Args:
        spec: What the balancer's hook returns.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, balancer_claims(spec))


def balancer_claims(spec: BalancerSpec) -> list[Claim]:
    """
    The contract of balancers, for one of them.
    """
    return claims_of(_CHECKS, spec)


@dataclass
class _Candidate:
    name: str
    weight: int = 100
    priority: int = 1
    in_flight: int = 0
    warmth: float = 1.0


class _Run:
    """
    A balancer with a clock and chance that are the same in every run.
    """

    def __init__(self, spec: BalancerSpec, *candidates: _Candidate) -> None:
        self.clock = ManualClock()
        self.candidates = list(candidates) or [_Candidate(name) for name in "abc"]
        self.balancer: Balancer = spec.build(self.clock, random.Random(1))

    def call(self, key: str = "", *, ok: bool | None = True) -> str:
        """
        One call from its start to its end, and who got it.
        """
        before = list(self.candidates)
        chosen = self.balancer.pick(self.candidates, key)
        assert self.candidates == before, "pick has changed the list of candidates"
        assert any(chosen is each for each in self.candidates), f"{chosen!r} is none of the candidates"
        chosen.in_flight += 1
        self.balancer.started(chosen)
        self.clock.advance(0.01)
        chosen.in_flight -= 1
        self.balancer.finished(chosen, latency=0.01, ok=ok)
        return chosen.name

    def calls(self, number: int = 300) -> list[str]:
        """
        Who got each of many calls, each about something else.
        """
        return [self.call(f"key-{index}") for index in range(number)]


def _a_lone_candidate_gets_every_call(spec: BalancerSpec) -> None:
    for weight in (100, 0):
        got = set(_Run(spec, _Candidate("a", weight=weight)).calls(20))
        assert got == {"a"}, f"'a', with the weight {weight}, is alone, but {sorted(got)} get calls"


def _every_candidate_gets_calls(spec: BalancerSpec) -> None:
    run = _Run(spec)
    got = set(run.calls())
    if spec.sticky:
        _only_a_loss_moves_it(run)
        return
    assert got == {"a", "b", "c"}, f"of 300 calls to 'a', 'b' and 'c', which are alike, all go to {sorted(got)}"


def _only_a_loss_moves_it(run: _Run) -> None:
    """
    Each candidate gets calls once those that it would rather stay with are gone.
    """
    reached: list[str] = []
    while run.candidates:
        got = run.call()
        reached.append(got)
        run.candidates = [each for each in run.candidates if each.name != got]
        run.balancer.forget(got)
    assert sorted(reached) == ["a", "b", "c"], f"as one after the other goes, only {reached} get calls"


def _who_has_no_weight_gets_no_call_while_others_have_some(spec: BalancerSpec) -> None:
    got = _Run(spec, _Candidate("a"), _Candidate("b", weight=0)).calls()
    assert "b" not in got, f"'b', with the weight 0, gets {got.count('b')} of 300 calls beside 'a', with 100"


def _the_same_clock_and_chance_make_the_same_choices(spec: BalancerSpec) -> None:
    first, second = _Run(spec).calls(100), _Run(spec).calls(100)
    assert first == second, "two runs with the same clock and the same chance differ: use `clock` and `rng` only"


def _candidates_come_and_go(spec: BalancerSpec) -> None:
    run = _Run(spec)
    run.calls(20)
    gone = run.candidates.pop(0)
    run.balancer.forget(gone.name)
    got = set(run.calls())
    if spec.sticky:
        return
    assert got == {"b", "c"}, f"'a' is gone; of 300 calls to 'b' and 'c', all go to {sorted(got)}"
    run.candidates.append(_Candidate("d"))
    assert "d" in run.calls(), "'d' has come, but gets none of 300 calls"


def _whom_it_does_not_know_it_can_forget(spec: BalancerSpec) -> None:
    _Run(spec).balancer.forget("nobody")


def _a_call_that_it_did_not_choose_is_counted(spec: BalancerSpec) -> None:
    run = _Run(spec)
    run.balancer.started(run.candidates[2])
    run.balancer.finished(run.candidates[2], latency=0.5, ok=False)
    run.calls(10)


def _failures_and_calls_without_a_verdict_leave_it_working(spec: BalancerSpec) -> None:
    run = _Run(spec)
    for index in range(60):
        run.call(ok=(True, False, None)[index % 3])
    run.calls(30)


_CHECKS: tuple[Callable[[BalancerSpec], None], ...] = (
    _a_lone_candidate_gets_every_call,
    _every_candidate_gets_calls,
    _who_has_no_weight_gets_no_call_while_others_have_some,
    _the_same_clock_and_chance_make_the_same_choices,
    _candidates_come_and_go,
    _whom_it_does_not_know_it_can_forget,
    _a_call_that_it_did_not_choose_is_counted,
    _failures_and_calls_without_a_verdict_leave_it_working,
)
