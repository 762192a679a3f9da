"""
Workers that take one job after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from remora.io._crew import Crew

pytestmark = pytest.mark.anyio

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Errand:
    """
    A job that is a function.
    """

    def __init__(self, do: Callable[[], Awaitable[object]]) -> None:
        self.do = do
        self.scope: anyio.CancelScope | None = None
        self.worker = 0


async def perform(errand: Errand) -> None:
    """
    Do it, and say who did.
    """
    errand.worker = anyio.get_current_task().id
    await errand.do()


async def do_all(*errands: Errand) -> None:
    """
    Have a crew do them, all added at once.
    """
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            crew = Crew(tasks, perform)
            for errand in errands:
                crew.add(errand)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()


async def nothing() -> None:
    """
    Ends at once.
    """


async def test_jobs_that_end_at_once_need_one_worker() -> None:
    """
    However many there are.
    """
    errands = [Errand(nothing) for _ in range(100)]
    await do_all(*errands)

    assert 1 == len({errand.worker for errand in errands})


async def test_a_job_that_takes_its_time_holds_up_nobody() -> None:
    """
    Each waits for all others to have begun.
    """
    begun, all_begun = [], anyio.Event()

    async def wait_for_all() -> None:
        begun.append(1)
        if len(begun) == 200:
            all_begun.set()
        await all_begun.wait()

    errands = [Errand(wait_for_all) for _ in range(200)]
    await do_all(*errands)

    assert all_begun.is_set()
    assert 200 == len({errand.worker for errand in errands})


async def test_workers_that_waited_are_used_again() -> None:
    """
    The second lot needs no new ones.
    """
    workers: list[set[int]] = []
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            crew = Crew(tasks, perform)
            for _ in range(2):
                gate = anyio.Event()
                errands = [Errand(gate.wait) for _ in range(10)]
                for errand in errands:
                    crew.add(errand)
                await anyio.wait_all_tasks_blocked()
                gate.set()
                await anyio.wait_all_tasks_blocked()
                workers.append({errand.worker for errand in errands})
            tasks.cancel_scope.cancel()

    assert workers[1] == workers[0]


async def test_what_a_job_leaves_in_its_context_is_not_seen_by_the_next() -> None:
    """
    Its worker does no other job.
    """
    seen: list[str] = []

    async def look_and_set() -> None:
        seen.append(NAME.get())
        NAME.set("somebody")

    errands = [Errand(look_and_set) for _ in range(5)]
    await do_all(*errands)

    assert ["nobody"] * 5 == seen


class Odd:
    """
    Cannot be compared.
    """

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, _: object) -> bool:
        raise TypeError


async def test_values_that_cannot_be_compared_hurt_nobody() -> None:
    """
    They count as a change.
    """
    odd: ContextVar[Odd] = ContextVar("odd")
    odd.set(Odd())
    done: list[int] = []

    async def set_another() -> None:
        odd.set(Odd())
        done.append(1)

    await do_all(*(Errand(set_another) for _ in range(3)))

    assert 3 == len(done)


async def test_calling_a_job_off_cancels_it_alone() -> None:
    """
    The jobs after it find a worker that is not cancelled.
    """
    done: list[str] = []

    async def call_off() -> None:
        assert first.scope is not None
        first.scope.cancel()
        await anyio.lowlevel.checkpoint()
        done.append("second")

    async def third_thing() -> None:
        await anyio.lowlevel.checkpoint()
        done.append("third")

    first = Errand(anyio.sleep_forever)
    await do_all(first, Errand(call_off), Errand(third_thing))

    assert ["second", "third"] == sorted(done)
    assert first.scope is None


async def test_a_job_that_ends_though_it_is_called_off_costs_the_next_nothing() -> None:
    """
    The cancellation is not delivered to another.
    """
    done: list[str] = []

    async def call_itself_off() -> None:
        assert stubborn.scope is not None
        stubborn.scope.cancel()

    async def next_thing() -> None:
        await anyio.lowlevel.checkpoint()
        done.append("next")

    stubborn = Errand(call_itself_off)
    await do_all(stubborn, Errand(next_thing))

    assert ["next"] == done
