"""
Tokens that change: kept while they are good, fetched once for all who wait.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from remora import NoCredentials, Secret
from remora.testing import ManualClock
from remora_auth._sources import CallableSource, CommandSource, FileSource
from remora_auth._token import Token
from remora_auth._tokens import Tokens

pytestmark = pytest.mark.anyio


class Mint:
    """
    A source that counts, and answers when it is let.
    """

    def __init__(self, lifetime: float | None = None) -> None:
        self.count = 0
        self.lifetime = lifetime
        self.error: NoCredentials | None = None
        self.entered = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()

    def has_changed(self) -> bool:
        """Nobody knows."""
        return False

    async def fetch(self) -> Token:
        """The next token."""
        self.count += 1
        number = self.count
        self.entered.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Token(Secret(f"t{number}"), self.lifetime)


async def test_one_fetch_serves_all_who_wait() -> None:
    """
    Single flight.
    """
    mint = Mint()
    mint.gate = anyio.Event()
    tokens = Tokens(mint, clock=ManualClock())
    found: list[str] = []

    async def ask() -> None:
        found.append((await tokens.current()).reveal())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
            await mint.entered.wait()
            await anyio.wait_all_tasks_blocked()
            mint.gate.set()

    assert ["t1"] * 10 == found
    assert mint.count == 1


async def test_failed_fetch_fails_all_who_waited_for_it() -> None:
    """
    Nobody queues up to fail on his own; the next one tries again.
    """
    mint = Mint()
    mint.gate, mint.error = anyio.Event(), NoCredentials("the mint is closed")
    tokens = Tokens(mint, clock=ManualClock())
    failures = []

    async def ask() -> None:
        try:
            await tokens.current()
        except NoCredentials as error:
            failures.append(error.message)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
            await mint.entered.wait()
            await anyio.wait_all_tasks_blocked()
            mint.gate.set()
        mint.error = None
        after = await tokens.current()

    assert ["the mint is closed"] * 5 == failures
    assert (mint.count, after.reveal()) == (2, "t2")


async def test_whoever_fetches_may_be_cancelled_and_the_next_one_fetches() -> None:
    """
    The others do not wait for ever.
    """
    mint = Mint()
    mint.gate = anyio.Event()
    tokens = Tokens(mint, clock=ManualClock())
    found: list[str] = []

    async def ask() -> None:
        found.append((await tokens.current()).reveal())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(tokens.current)
                    await mint.entered.wait()
                    group.start_soon(ask)
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
            mint.gate.set()

    assert ["t2"] == found


async def test_token_is_renewed_before_it_ends() -> None:
    """
    Thirty seconds before, or a fifth of its life.
    """
    clock, mint = ManualClock(), Mint(lifetime=100.0)
    tokens = Tokens(mint, clock=clock)
    found = [(await tokens.current()).reveal()]
    clock.advance(79)
    found.append((await tokens.current()).reveal())
    clock.advance(2)
    found.append((await tokens.current()).reveal())

    assert ["t1", "t1", "t2"] == found


async def test_token_that_cannot_be_renewed_is_used_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """
    With a warning, and without asking again at every call.
    """
    clock, mint = ManualClock(), Mint(lifetime=100.0)
    tokens = Tokens(mint, clock=clock)
    await tokens.current()
    mint.error = NoCredentials("the mint is closed")
    clock.advance(98)
    found = [(await tokens.current()).reveal() for _ in range(3)]
    clock.advance(3)

    assert ["t1"] * 3 == found
    assert mint.count == 2
    assert "the mint is closed" in caplog.text
    with pytest.raises(NoCredentials):
        await tokens.current()


async def test_token_is_used_to_its_end_while_one_caller_renews_it() -> None:
    """
    The others wait for nothing.
    """
    clock, mint = ManualClock(), Mint(lifetime=100.0)
    tokens = Tokens(mint, clock=clock)
    await tokens.current()
    clock.advance(85)
    mint.entered, mint.gate = anyio.Event(), anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(tokens.current)
            await mint.entered.wait()
            found = [(await tokens.current()).reveal() for _ in range(3)]
            mint.gate.set()
        found.append((await tokens.current()).reveal())

    assert ["t1"] * 3 + ["t2"] == found
    assert 2 == mint.count


async def test_caller_who_renews_a_good_token_has_time_left_for_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """
    However long the renewal takes; it is tried again later.
    """
    clock, mint = ManualClock(), Mint(lifetime=100.0)
    tokens = Tokens(mint, clock=clock)
    await tokens.current()
    clock.advance(85)
    mint.gate = anyio.Event()
    with anyio.fail_after(1):
        found = [(await tokens.current()).reveal() for _ in range(3)]
    mint.gate.set()
    clock.advance(6)
    found.append((await tokens.current()).reveal())

    assert ["t1"] * 3 + ["t3"] == found
    assert "more than half of the time" in caplog.text


async def test_caller_whose_token_ends_while_it_is_renewed_waits_for_another() -> None:
    """
    As long as the call may take.
    """
    clock, mint = ManualClock(), Mint(lifetime=100.0)
    tokens = Tokens(mint, clock=clock)
    await tokens.current()
    clock.advance(85)
    mint.entered, mint.gate = anyio.Event(), anyio.Event()
    found: list[str] = []

    async def ask() -> None:
        with anyio.fail_after(2):
            found.append((await tokens.current()).reveal())

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await mint.entered.wait()
        clock.advance(20)
        mint.entered = anyio.Event()
        await mint.entered.wait()
        mint.gate.set()

    assert ["t3"] == found


async def test_refused_token_is_renewed_once_for_all() -> None:
    """
    Whoever comes later with the same refusal gets the new one.
    """
    mint = Mint()
    tokens = Tokens(mint, clock=ManualClock())
    old = await tokens.current()

    assert ["t2", "t2"] == [(await tokens.renewed(old)).reveal() for _ in range(2)]


async def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """
    Rewritten, replaced, or behind a link that moves.
    """
    (tmp_path / "a").write_text("one\n")
    (tmp_path / "b").write_text("two\n")
    link = tmp_path / "token"
    link.symlink_to(tmp_path / "a")
    tokens = Tokens(FileSource(str(link)), clock=ManualClock())
    found = [(await tokens.current()).reveal()]
    (tmp_path / "next").symlink_to(tmp_path / "b")
    os.replace(tmp_path / "next", link)
    found.append((await tokens.current()).reveal())
    (tmp_path / "b").write_text("three!\n")
    found.append((await tokens.current()).reveal())

    assert ["one", "two", "three!"] == found


async def test_empty_file_leaves_the_old_token_in_use(tmp_path: Path) -> None:
    """
    Somebody is writing it.
    """
    path = tmp_path / "token"
    path.write_text("one")
    tokens = Tokens(FileSource(str(path)), clock=ManualClock())
    await tokens.current()
    path.write_text("")

    assert "one" == (await tokens.current()).reveal()
    path.write_text("two")
    assert "two" == (await tokens.current()).reveal()


async def test_file_that_is_gone_is_looked_for_now_and_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    Not at every call, each with a warning; one that is there again counts at once.
    """
    path, clock = tmp_path / "token", ManualClock()
    path.write_text("one")
    tokens = Tokens(FileSource(str(path)), clock=clock)
    await tokens.current()
    path.unlink()
    found = [(await tokens.current()).reveal() for _ in range(3)]
    clock.advance(6)
    found.append((await tokens.current()).reveal())
    warnings = len(caplog.messages)
    path.write_text("two")
    found.append((await tokens.current()).reveal())

    assert ["one"] * 4 + ["two"] == found
    assert 2 == warnings


async def test_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    """
    And may be there later.
    """
    tokens = Tokens(FileSource(str(tmp_path / "nowhere")), clock=ManualClock())
    with pytest.raises(NoCredentials, match=r"nowhere.*No such file") as caught:
        await tokens.current()

    assert caught.value.retryable
    assert not caught.value.sent


async def test_program_prints_the_token() -> None:
    """
    As JSON or alone.
    """
    with anyio.fail_after(20):
        token = await CommandSource([sys.executable, "-c", 'print(\'{"token": "t", "expires_in": 5}\')']).fetch()

    assert Token(Secret("t"), 5.0) == token


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["/nowhere/program"], "No such file"),
        ([sys.executable, "-c", "print('canary'); raise SystemExit(3)"], "ended with status 3"),
        ([sys.executable, "-c", "print('canary canary')"], "no header can carry"),
    ],
)
async def test_program_that_fails_is_an_error_without_its_words(command: list[str], message: str) -> None:
    """
    They may hold the token.
    """
    with anyio.fail_after(20), pytest.raises(NoCredentials, match=message) as caught:
        await CommandSource(command).fetch()

    assert "canary" not in str(caught.value)


async def test_callable_returns_the_token_with_or_without_its_seconds() -> None:
    """
    Synchronous or not.
    """

    async def later() -> tuple[str, float]:
        return "t", 7.0

    tokens = [await CallableSource(function).fetch() for function in (lambda: "t", lambda: Secret("t"), later)]

    assert [Token(Secret("t")), Token(Secret("t")), Token(Secret("t"), 7.0)] == tokens


@pytest.mark.parametrize("value", [None, 7, "a b", ("t",), ("t", "soon"), ""])
async def test_callable_that_returns_no_token_is_an_error(value: object) -> None:
    """
    Which does not show what it returned.
    """
    with pytest.raises(NoCredentials, match="token"):
        await CallableSource(lambda: value).fetch()


async def test_callable_that_fails_is_named_without_its_words() -> None:
    """
    Its message may hold the token.
    """

    def fail() -> str:
        raise RuntimeError("canary")

    with pytest.raises(NoCredentials, match="failed with RuntimeError") as caught:
        await CallableSource(fail).fetch()

    assert "canary" not in str(caught.value)
