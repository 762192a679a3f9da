"""
A contract as a list of claims, each of which an extension keeps or does not.

What lives here: running claims. What must not: any claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

T = TypeVar("T")

_BOUND = 10.0


class ContractViolation(AssertionError):
    """
    An extension does not keep the contract of its kind; the message names the claim that failed.
    """


@dataclass(frozen=True, slots=True)
class Claim:
    """
    One sentence of a contract, and what checks it: it raises where the sentence does not hold.
    """

    sentence: str
    check: Callable[[], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What came of one claim.

    Attributes:
        claim: The sentence.
        problem: Why it does not hold; empty when it does.
    """

    claim: str
    problem: str = ""


def claims_of(checks: Iterable[Callable[[T], Awaitable[None] | None]], subject: T) -> list[Claim]:
    """
    One claim for each check of a subject.
    """
    return [Claim(named(check), partial(check, subject)) for check in checks]


def named(check: Callable[..., object]) -> str:
    """
    The sentence that a function's name is.
    """
    return check.__name__.removeprefix("_").replace("_", " ")


async def find(claims: Sequence[Claim]) -> list[Finding]:
    """
    Check all claims, also after one that does not hold.
    """
    return [(await _check(claim))[0] for claim in claims]


async def keeps(name: str, claims: Sequence[Claim]) -> list[str]:
    """
    Check claims up to the first that does not hold.

    Raises:
        ContractViolation: It does not hold.
    """
    for claim in claims:
        finding, error = await _check(claim)
        if error is not None:
            raise ContractViolation(f"{name}: {claim.sentence}: {finding.problem}") from error
    return [claim.sentence for claim in claims]


async def _check(claim: Claim) -> tuple[Finding, Exception | None]:
    try:
        with anyio.fail_after(_BOUND):
            waiting = claim.check()
            if isawaitable(waiting):
                await waiting
    except Exception as error:  # a stranger's code may raise anything
        return Finding(claim.sentence, f"{type(error).__name__}: {error}".rstrip(": ")), error
    return Finding(claim.sentence), None
