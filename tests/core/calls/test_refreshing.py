"""
What calls have in common with others: one run of an action, which goes on when they give up.
"""

from __future__ import annotations

from typing import NoReturn

import anyio
import pytest

from remora._calls._refreshing import Refreshing
from remora._extensions._faults import raise_explained
from remora.errors import ManagerClosed, NoCredentials, RemoraError

pytestmark = pytest.mark.anyio

VIRTUAL_TIME = True


class Mint:
    """
    An action that counts its runs, and ends when it is let.
    """

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.entered = anyio.Event()
        self.gate = anyio.Event()

    async def fetch(self) -> str:
        """The next token."""
        self.count += 1
        number = self.count
        self.entered.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return f"t{number}"


def explain(error: BaseException) -> NoReturn:
    """
    As a method of nobody in particular.
    """
    raise_explained("the mint", error)


async def test_one_run_serves_all_who_ask_for_the_same() -> None:
    """
    Whoever comes after its end has another one.
    """
    mint, found = Mint(), list[object]()

    async def ask(refreshing: Refreshing) -> None:
        found.append(await refreshing.run(mint.fetch).result())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            refreshing = Refreshing(group.start_soon, explain)
            async with anyio.create_task_group() as asking:
                for _ in range(10):
                    asking.start_soon(ask, refreshing)
                await mint.entered.wait()
                mint.gate.set()
            await ask(refreshing)

    assert ["t1"] * 10 + ["t2"] == found


async def test_a_run_goes_on_when_nobody_waits_for_it_any_more() -> None:
    """
    Else what takes longer than calls have time would never be done.
    """
    mint = Mint()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            refreshing = Refreshing(group.start_soon, explain)
            for _ in range(3):
                with anyio.move_on_after(0.01):
                    await refreshing.run(mint.fetch).result()
            run = refreshing.run(mint.fetch)
            mint.gate.set()

            assert "t1" == await run.result()


@pytest.mark.parametrize(
    ("error", "words"),
    [(NoCredentials("the mint is closed"), "the mint is closed"), (KeyError("die"), "the mint failed with KeyError")],
)
async def test_a_run_that_fails_fails_all_who_wait(error: Exception, words: str) -> None:
    """
    Each with an error of its own, since errors learn whose call they have ended.
    """
    mint, failures = Mint(), list[RemoraError]()
    mint.error = error

    async def ask(refreshing: Refreshing) -> None:
        try:
            await refreshing.run(mint.fetch).result()
        except RemoraError as raised:
            failures.append(raised)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            refreshing = Refreshing(group.start_soon, explain)
            for _ in range(3):
                group.start_soon(ask, refreshing)
            await mint.entered.wait()
            mint.gate.set()

    assert all(words in each.message for each in failures)
    assert 3 == len({id(each) for each in failures})
    assert 1 == mint.count


async def test_what_nobody_waits_for_fails_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """
    With a warning; the next who asks has another run.
    """
    mint = Mint()
    mint.error = NoCredentials("the mint is closed")
    mint.gate.set()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            Refreshing(group.start_soon, explain).run(mint.fetch)

    assert "the mint is closed" in caplog.text


async def test_whoever_waits_when_the_manager_ends_learns_it() -> None:
    """
    A run ends with the task group that it belongs to.
    """
    mint, failures = Mint(), list[RemoraError]()

    async def ask(refreshing: Refreshing) -> None:
        with pytest.raises(ManagerClosed) as caught:
            await refreshing.run(mint.fetch).result()
        failures.append(caught.value)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as asking:
            async with anyio.create_task_group() as group:
                asking.start_soon(ask, Refreshing(group.start_soon, explain))
                await mint.entered.wait()
                group.cancel_scope.cancel()

    assert 1 == len(failures)


async def test_a_run_that_hangs_is_given_up_after_a_minute() -> None:
    """
    And whoever asks then has another one.
    """
    begun = anyio.current_time()
    async with anyio.create_task_group() as group:
        refreshing = Refreshing(group.start_soon, explain)
        for _ in range(2):
            with pytest.raises(NoCredentials, match="within 60 s"):
                await refreshing.run(anyio.sleep_forever).result()

    assert pytest.approx(120) == anyio.current_time() - begun
