"""
The arithmetic of rounds, with slices that are made up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import sniffio
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rounds import Round, Slice, measure, row, run_round, spread, steady_of, verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NUMBERS = st.integers(1, 10**6)
SLICES = st.builds(Slice, NUMBERS, NUMBERS, NUMBERS)


def taking(cost: float, pace: float = 1.0, *, calls: int = 1) -> Slice:
    """
    Calls that take so many microseconds of CPU each, and so many of elapsed time.
    """
    return Slice(calls, cost * calls / 1e6, pace * calls / 1e6)


def between(before: float, ours: float, after: float) -> Round:
    """
    A round of so many microseconds of CPU per call.
    """
    return Round(taking(before), taking(ours), taking(after))


def test_costs_are_microseconds_per_call() -> None:
    """
    Those of CPU and the elapsed ones are told apart.
    """
    taken = Slice(calls=500, cpu=0.001, wall=0.004)

    assert (2.0, 8.0) == pytest.approx((taken.cost, taken.pace))


@given(SLICES, SLICES, SLICES)
def test_ours_is_compared_with_the_mean_of_the_two_of_the_peer(before: Slice, ours: Slice, after: Slice) -> None:
    """
    Of CPU as of elapsed time, each per call, however many calls there were.
    """
    found = Round(before, ours, after)

    assert found.peer_cost == pytest.approx((before.cost + after.cost) / 2)
    assert found.ratio == pytest.approx(2 * ours.cost / (before.cost + after.cost))
    assert found.wall_ratio == pytest.approx(2 * ours.pace / (before.pace + after.pace))


@given(NUMBERS, st.integers(0, 10**6), *[NUMBERS] * 3)
def test_a_round_is_steady_below_a_quarter(quarters: int, more: int, calls: int, cpu: int, wall: int) -> None:
    """
    Whichever of the two slices of the peer cost more, and whatever ours did, or the elapsed time.
    """
    less, most = 4 * quarters, 4 * quarters + more
    for pair in ((less, most), (most, less)):
        before, after = (Slice(1, each, wall * number) for number, each in enumerate(pair, start=1))

        assert Round(before, Slice(calls, cpu, wall), after).is_steady == (more < quarters)


@pytest.mark.parametrize(("cost", "is_steady"), [(1249, True), (1250, False), (1251, False)])
def test_exactly_a_quarter_is_too_much(cost: int, is_steady: bool) -> None:
    """
    A thousandth less is not.
    """
    assert is_steady == Round(Slice(1, 1000, 1), Slice(1, 1, 1), Slice(1, cost, 1)).is_steady


def test_a_row_is_about_steady_rounds_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The others are counted.
    """
    rounds = [between(2, 1, 2), between(2, 90, 3), between(4, 1, 4), between(0.1, 90, 0.2), between(1, 1, 1)]

    assert "| p | 0.50 (0.25 to 1.00) | 1.00 (1.00 to 1.00) | 1.0 | 2.0 | 2 of 5 |" == row("p", rounds)
    assert rounds[::2] == steady_of(rounds)
    assert "rounds: 5, of which 2 dropped: the machine moved\n" == capsys.readouterr().out


def test_a_row_without_a_steady_round_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """
    But says how many there were.
    """
    rounds = [between(1, 1, 2)] * 3

    assert "| p | - | - | - | - | 3 of 3 |" == row("p", rounds)
    assert [] == steady_of(rounds)
    assert "nothing to report" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("numbers", "digits", "expected"),
    [([3, 1, 2.04], 1, "2.0 (1.0 to 3.0)"), ([4, 1, 2, 8], 2, "3.00 (1.00 to 8.00)"), ([7], 0, "7 (7 to 7)")],
)
def test_spread_is_median_least_and_most(numbers: list[float], digits: int, expected: str) -> None:
    """
    In whatever order they come.
    """
    assert expected == spread(numbers, digits)


@pytest.mark.parametrize(("found", "expected"), [(1.59, "met"), (1.6, "met"), (1.61, "MISSED")])
def test_a_target_that_is_just_reached_is_met(found: float, expected: str) -> None:
    """
    It is the most that may be.
    """
    assert expected == verdict(found, 1.6)


@pytest.mark.anyio
@pytest.mark.parametrize(("callers", "batch"), [(1, 50), (1, 1), (3, 2)])
@pytest.mark.parametrize("seconds", [0, 0.002])
async def test_calls_are_counted_without_those_that_warm_up(callers: int, batch: int, seconds: float) -> None:
    """
    All of them, in each task, at least a batch; as many are under way at once as there are callers.
    """
    made = under_way = most = 0

    async def call() -> None:
        nonlocal made, under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.lowlevel.checkpoint()
        under_way -= 1
        made += 1

    found = await measure(call, seconds, callers=callers, batch=batch)

    assert found.calls == made - batch >= callers * batch
    assert seconds or found.calls == callers * batch
    assert found.calls % batch == 0
    assert callers == most


@pytest.mark.anyio
async def test_a_call_that_fails_is_no_call() -> None:
    """
    It ends the program, rather than look like a fast one.
    """

    async def call() -> None:
        raise ConnectionError("not answered")

    with pytest.raises(ConnectionError, match="not answered"):
        await measure(call, 0.002)


@pytest.mark.anyio
async def test_only_work_is_cpu_and_waiting_is_elapsed_time() -> None:
    """
    Also that in a thread; what came before is neither.
    """

    def work(seconds: float = 0.01) -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    work(0.2)
    worked = await measure(lambda: anyio.to_thread.run_sync(work), 0.01, batch=1)
    waited = await measure(lambda: anyio.sleep(0.05), 0.01, batch=1)

    assert 0.01 * worked.calls <= worked.cpu < 0.01 * worked.calls + 0.2
    assert waited.cpu < 0.04 * waited.calls < waited.wall


def test_a_round_is_a_slice_of_ours_between_two_of_the_peer(anyio_backend: str) -> None:
    """
    On a new event loop each, of the kind that was asked for.
    """
    made: list[tuple[str, str, float]] = []
    loops = set[object]()

    def named(name: str) -> Callable[[float], Awaitable[Slice]]:
        async def contender(seconds: float) -> Slice:
            loops.add(anyio.lowlevel.current_token())
            made.append((name, sniffio.current_async_library(), seconds))
            return taking(len(made))

        return contender

    found = run_round(named("ours"), named("peer"), 0.5, backend=anyio_backend)

    assert [("peer", "asyncio", 0.5), ("ours", anyio_backend, 0.5), ("peer", "asyncio", 0.5)] == made
    assert between(1, 2, 3) == found
    assert 3 == len(loops)
