"""
Workers that take one job after the other.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import remora.io._worker_pool
from remora.io._loop import Unknown
from remora.io._worker_pool import WorkerPool

pytestmark = pytest.mark.anyio

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Job:
    """
    A job that is a function.
    """

    def __init__(self, do: Callable[[], Awaitable[object]]) -> None:
        self.do = do
        self.scope: anyio.CancelScope | None = None
        self.worker = 0


async def perform(job: Job) -> None:
    """
    Do it, and say who did.
    """
    job.worker = anyio.get_current_task().id
    await job.do()


async def do_all(*jobs: Job) -> None:
    """
    Have a pool do them, all added at once.
    """
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            pool = WorkerPool(tasks, perform)
            for job in jobs:
                pool.add(job)
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
    jobs = [Job(nothing) for _ in range(100)]
    await do_all(*jobs)

    assert 1 == len({job.worker for job in jobs})


async def test_where_nobody_can_tell_how_a_worker_stands_each_job_has_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    As with a version of anyio or trio that keeps it elsewhere.
    """
    monkeypatch.setattr(remora.io._worker_pool, "standing", Unknown)
    jobs = [Job(nothing) for _ in range(100)]
    await do_all(*jobs)

    assert all(job.worker for job in jobs)
    assert all(former.worker != job.worker for former, job in pairwise(jobs))


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

    jobs = [Job(wait_for_all) for _ in range(200)]
    await do_all(*jobs)

    assert all_begun.is_set()
    assert 200 == len({job.worker for job in jobs})


async def test_workers_that_waited_are_used_again() -> None:
    """
    The second lot needs no new ones.
    """
    workers: list[set[int]] = []
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            pool = WorkerPool(tasks, perform)
            for _ in range(2):
                gate = anyio.Event()
                jobs = [Job(gate.wait) for _ in range(10)]
                for job in jobs:
                    pool.add(job)
                await anyio.wait_all_tasks_blocked()
                gate.set()
                await anyio.wait_all_tasks_blocked()
                workers.append({job.worker for job in jobs})
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

    jobs = [Job(look_and_set) for _ in range(5)]
    await do_all(*jobs)

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

    await do_all(*(Job(set_another) for _ in range(3)))

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

    first = Job(anyio.sleep_forever)
    await do_all(first, Job(call_off), Job(third_thing))

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

    stubborn = Job(call_itself_off)
    await do_all(stubborn, Job(next_thing))

    assert ["next"] == done


generators: list[AsyncGenerator[int]] = []


@pytest.fixture
def kept_generators() -> Iterator[None]:
    """
    Those that were left, until the test has ended.
    """
    yield
    for each in generators:
        with suppress(RuntimeError, StopIteration):  # its scope does not end where it began
            each.aclose().send(None)
    generators.clear()


async def leave_a_scope_open() -> None:
    """
    As one who breaks out of an asynchronous generator.
    """

    async def numbers() -> AsyncGenerator[int]:
        with anyio.move_on_after(0.01):
            yield 1

    generators.append(numbers())
    await anext(generators[-1])


async def leave_a_task_group_open() -> None:
    """
    The same with a group, of which a task fails.
    """

    async def fail() -> None:
        raise ValueError

    async def numbers() -> AsyncGenerator[int]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            yield 1

    generators.append(numbers())
    await anext(generators[-1])


@pytest.mark.usefixtures("kept_generators")
@pytest.mark.parametrize(
    "leave",
    [
        leave_a_scope_open,
        pytest.param(leave_a_task_group_open, marks=pytest.mark.only_on("asyncio")),  # trio ends all for that
    ],
)
async def test_what_a_job_leaves_open_is_not_around_the_next(leave: Callable[[], Awaitable[None]]) -> None:
    """
    It would be cancelled with it. The worker of that one ends, and no other.
    """
    deadlines: list[float] = []

    async def look() -> None:
        await anyio.lowlevel.checkpoint()
        deadlines.append(anyio.current_effective_deadline())

    with anyio.fail_after(5) as limit:
        async with anyio.create_task_group() as tasks:
            pool = WorkerPool(tasks, perform)
            for do in (leave, look, leave, look):
                pool.add(Job(do))
            await anyio.wait_all_tasks_blocked()
            pool.add(Job(look))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    assert [limit.deadline] * 3 == deadlines


async def test_a_job_that_is_added_by_another_does_not_see_its_context() -> None:
    """
    The worker for it comes as from outside.
    """
    seen: list[str] = []

    async def look() -> None:
        seen.append(NAME.get())

    async def set_and_add() -> None:
        NAME.set("somebody")
        pool.add(Job(look))
        await anyio.lowlevel.checkpoint()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            pool = WorkerPool(tasks, perform)
            pool.add(Job(set_and_add))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    assert ["nobody"] == seen


async def test_cancellation_from_outside_ends_the_jobs_and_their_workers() -> None:
    """
    It is not taken for a stranger's.
    """
    begun, ended = [], []

    async def stay() -> None:
        begun.append(1)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    await do_all(*(Job(stay) for _ in range(3)))

    assert (3, 3) == (len(begun), len(ended))


@pytest.mark.parametrize("moment", ["busy", "idle", "woken"])
@pytest.mark.only_on("asyncio")  # on trio nobody can
async def test_who_cancels_the_task_of_a_job_ends_one_worker_and_no_other(moment: str) -> None:
    """
    Whenever that is: the jobs that come later are done.
    """
    kept: list[asyncio.Job[object]] = []

    async def keep_the_task() -> None:
        task = asyncio.current_task()
        assert task is not None
        kept.append(task)
        if moment == "busy":
            await anyio.sleep_forever()

    done = anyio.Event()

    async def say_so() -> None:
        done.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            pool = WorkerPool(tasks, perform)
            pool.add(Job(keep_the_task))
            await anyio.wait_all_tasks_blocked()
            if moment == "woken":
                pool.add(Job(say_so))
            kept[0].cancel()
            await anyio.wait_all_tasks_blocked()
            pool.add(Job(say_so))
            await done.wait()
            tasks.cancel_scope.cancel()


@pytest.mark.only_on("asyncio")  # on trio nobody gets it
async def test_a_job_that_waits_for_a_cancelled_task_hurts_no_other() -> None:
    """
    What it gets there looks like its own cancellation.
    """

    async def wait_for_a_cancelled_one() -> None:
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other

    done: list[int] = []

    async def say_so() -> None:
        done.append(1)

    await do_all(*(Job(do) for do in (say_so, wait_for_a_cancelled_one, say_so)))

    assert 2 == len(done)


def test_an_end_of_the_program_that_a_job_asks_for_is_not_held_back(anyio_backend: Any) -> None:
    """
    It ends all.
    """

    async def leave() -> None:
        raise SystemExit(3)

    async def main() -> None:
        await do_all(Job(leave))

    name, options = anyio_backend if isinstance(anyio_backend, tuple) else (anyio_backend, {})
    with pytest.raises((SystemExit, BaseExceptionGroup)) as caught:
        anyio.run(main, backend=name, backend_options=options)

    assert isinstance(caught.value, SystemExit) or caught.group_contains(SystemExit)


class Mix:
    """
    Jobs that end at once, take their time, change their context, leave scopes open, are called off, add others.

    Attributes:
        jobs: All of them.
        called_off: The numbers of those that were called off.
        begun: How often each began, by its number.
        ended: How often each ended.
        wrong: What must not have happened.
    """

    def __init__(self, pool: WorkerPool[Job], chance: random.Random) -> None:
        self.jobs: list[Job] = []
        self.called_off: set[int] = set()
        self.begun: Counter[int] = Counter()
        self.ended: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._pool = pool
        self._chance = chance
        self._limit = anyio.current_effective_deadline()
        self._release = anyio.Event()
        self._acts = [
            nothing,
            self._pause,
            self._pause,
            self._release.wait,
            self._set_name,
            leave_a_scope_open,
            self._add_another,
        ]

    def add(self) -> None:
        """
        Add a job.
        """
        number = len(self.jobs)
        self.jobs.append(Job(partial(self._do, number, self._chance.choice(self._acts))))
        self._pool.add(self.jobs[number])

    def call_one_off(self) -> None:
        """
        Call a job off, if it runs.
        """
        number = self._chance.randrange(len(self.jobs))
        if (scope := self.jobs[number].scope) is not None:
            self.called_off.add(number)
            scope.cancel()

    def release(self) -> None:
        """
        Let those that wait end.
        """
        self._release.set()

    async def _do(self, number: int, act: Callable[[], Awaitable[object]]) -> None:
        self.begun[number] += 1
        if NAME.get() != "nobody" or anyio.current_effective_deadline() != self._limit:
            self.wrong.append(f"{number} did not begin as new")
        try:
            await act()
        except anyio.get_cancelled_exc_class():
            if number not in self.called_off:
                self.wrong.append(f"{number} was cancelled")
            raise
        finally:
            self.ended[number] += 1

    async def _pause(self) -> None:
        for _ in range(self._chance.randrange(1, 6)):
            await anyio.lowlevel.checkpoint()

    async def _set_name(self) -> None:
        NAME.set("somebody")
        await self._pause()

    async def _add_another(self) -> None:
        await self._set_name()
        if len(self.jobs) < 300:
            self.add()


@pytest.mark.usefixtures("kept_generators")
@pytest.mark.parametrize("seed", range(8))
async def test_in_any_mix_every_job_is_done_once_and_only_those_called_off_are_cancelled(seed: int) -> None:
    """
    Whatever the jobs before it have done.
    """
    chance = random.Random(seed)
    async with anyio.create_task_group() as tasks:
        mix = Mix(WorkerPool(tasks, perform), chance)
        for _ in range(200):
            mix.add()
            if chance.random() < 0.3:
                await anyio.lowlevel.checkpoint()
            if chance.random() < 0.2:
                mix.call_one_off()
        mix.release()
        with anyio.fail_after(5):
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert [] == mix.wrong
    assert mix.begun == mix.ended == Counter(range(len(mix.jobs)))
