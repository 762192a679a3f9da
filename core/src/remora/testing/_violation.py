"""
What every contract's check says when it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Bench = TypeVar("Bench")

_BOUND = 10.0


class ContractViolation(AssertionError):
    """
    An extension does not keep its contract; the message names the claim that failed.
    """


async def keep(name: str, checks: Sequence[Callable[[Bench], Awaitable[None]]], bench: Bench) -> list[str]:
    """
    Run checks, each in its time.

    Args:
        name: What is checked, for messages.
        checks: Functions whose names are the claims.
        bench: What each is given.

    Returns:
        The claims, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    claims = [check.__name__.removeprefix("_").replace("_", " ") for check in checks]
    for claim, check in zip(claims, checks, strict=True):
        try:
            with anyio.fail_after(_BOUND):
                await check(bench)
        except Exception as error:
            raise ContractViolation(f"{name}: {claim}: {type(error).__name__}: {error}") from error
    return claims
