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

from remora._extensions._faults import innermost, is_fault, told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

T = TypeVar("T")

_BOUND = 10.0


class ContractViolation(AssertionError):
    """
    An extension does not keep the contract of its kind; the message names the claim that failed.
    """


class NotChecked(Exception):
    """
    A claim is not about this extension, or cannot be checked with what is given; the message says why.
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
        skipped: Why it was not checked; empty when it was.
    """

    claim: str
    problem: str = ""
    skipped: str = ""


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

    Returns:
        The claims that were checked.

    Raises:
        ContractViolation: It does not hold.
    """
    checked = []
    for claim in claims:
        finding, error = await _check(claim)
        if error is not None:
            raise ContractViolation(f"{name}: {claim.sentence}: {finding.problem}") from error
        if not finding.skipped:
            checked.append(claim.sentence)
    return checked


async def _check(claim: Claim) -> tuple[Finding, BaseException | None]:
    try:
        with anyio.move_on_after(_BOUND) as scope:
            waiting = claim.check()
            if isawaitable(waiting):
                await waiting
    except NotChecked as reason:
        return Finding(claim.sentence, skipped=str(reason)), None
    except BaseException as error:  # a stranger's code may raise anything, and `sys.exit` does
        if not is_fault(error):
            raise
        return Finding(claim.sentence, _problem(innermost(error))), error
    if scope.cancelled_caught:
        overdue = TimeoutError(f"it is not done after {_BOUND:g} s")
        return Finding(claim.sentence, str(overdue)), overdue
    return Finding(claim.sentence), None


def _problem(error: BaseException) -> str:
    """
    What the claims say themselves, or what a stranger's code has raised.
    """
    return str(error) if isinstance(error, AssertionError) and str(error) else told(error)
