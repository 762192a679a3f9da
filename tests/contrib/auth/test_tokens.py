"""
Tokens that change: kept while they are good, and fetched again in time.
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
    A source that counts.
    """

    def __init__(self, lifetime: float | None = None) -> None:
        self.count = 0
        self.lifetime = lifetime
        self.error: NoCredentials | None = None

    def has_changed(self) -> bool:
        """Nobody knows."""
        return False

    async def fetch(self) -> Token:
        """The next token."""
        self.count += 1
        if self.error is not None:
            raise self.error
        return Token(Secret(f"t{self.count}"), self.lifetime)


async def current(tokens: Tokens) -> str:
    """
    What a call sends that waits for a renewal that is due.
    """
    ready = tokens.ready()
    token = await tokens.renewed() if ready is None or tokens.is_due else ready
    return token.reveal()


async def test_token_is_renewed_before_it_ends() -> None:
    """
    Thirty seconds before, or a fifth of its life. It is good until then.
    """
    clock, mint = ManualClock(), Mint(lifetime=100.0)
    tokens = Tokens(mint, clock=clock)
    assert tokens.ready() is None
    await tokens.renewed()
    clock.advance(79)
    assert (Secret("t1"), False) == (tokens.ready(), tokens.is_due)
    clock.advance(2)
    assert (Secret("t1"), True) == (tokens.ready(), tokens.is_due)
    clock.advance(20)
    assert tokens.ready() is None
    await tokens.renewed()

    assert (Secret("t2"), False) == (tokens.ready(), tokens.is_due)


async def test_token_that_cannot_be_renewed_is_used_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """
    With a warning, and without asking again at every call.
    """
    clock, mint = ManualClock(), Mint(lifetime=100.0)
    tokens = Tokens(mint, clock=clock)
    await tokens.renewed()
    mint.error = NoCredentials("the mint is closed")
    clock.advance(98)
    found = [await current(tokens) for _ in range(3)]
    clock.advance(3)

    assert ["t1"] * 3 == found
    assert mint.count == 2
    assert "the mint is closed" in caplog.text
    with pytest.raises(NoCredentials):
        await current(tokens)


async def test_refused_token_is_renewed_once_for_all() -> None:
    """
    Whoever comes later with the same refusal gets the new one.
    """
    mint = Mint()
    tokens = Tokens(mint, clock=ManualClock())
    old = await tokens.renewed()

    assert ["t2", "t2"] == [(await tokens.another(old)).reveal() for _ in range(2)]


async def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """
    Rewritten, replaced, or behind a link that moves.
    """
    (tmp_path / "a").write_text("one\n")
    (tmp_path / "b").write_text("two\n")
    link = tmp_path / "token"
    link.symlink_to(tmp_path / "a")
    tokens = Tokens(FileSource(str(link)), clock=ManualClock())
    found = [await current(tokens)]
    (tmp_path / "next").symlink_to(tmp_path / "b")
    os.replace(tmp_path / "next", link)
    found.append(await current(tokens))
    (tmp_path / "b").write_text("three!\n")
    found.append(await current(tokens))

    assert ["one", "two", "three!"] == found


async def test_empty_file_leaves_the_old_token_in_use(tmp_path: Path) -> None:
    """
    Somebody is writing it.
    """
    path = tmp_path / "token"
    path.write_text("one")
    tokens = Tokens(FileSource(str(path)), clock=ManualClock())
    await tokens.renewed()
    path.write_text("")

    assert "one" == await current(tokens)
    path.write_text("two")
    assert "two" == await current(tokens)


async def test_file_that_is_gone_is_looked_for_now_and_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    Not at every call, each with a warning; one that is there again counts at once.
    """
    path, clock = tmp_path / "token", ManualClock()
    path.write_text("one")
    tokens = Tokens(FileSource(str(path)), clock=clock)
    await tokens.renewed()
    path.unlink()
    found = [await current(tokens) for _ in range(3)]
    clock.advance(6)
    found.append(await current(tokens))
    warnings = len(caplog.messages)
    path.write_text("two")
    found.append(await current(tokens))

    assert ["one"] * 4 + ["two"] == found
    assert 2 == warnings


async def test_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    """
    And may be there later.
    """
    tokens = Tokens(FileSource(str(tmp_path / "nowhere")), clock=ManualClock())
    with pytest.raises(NoCredentials, match=r"nowhere.*No such file") as caught:
        await tokens.renewed()

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
