"""
Results for what peers say again and again.

What lives here: the cache. What must not: what is kept in it.
"""

from __future__ import annotations

from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 256

P = ParamSpec("P")
S = TypeVar("S", str, bytes)
R = TypeVar("R")


def remembered(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """
    Keep a function's results for 1,024 short texts. Long ones are not kept, of which a peer could send any number.
    """
    kept = cast("Callable[Concatenate[S, P], R]", lru_cache(maxsize=1024)(function))

    @wraps(function)
    def result(text: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return (kept if len(text) <= _LONGEST else function)(text, *args, **kwargs)

    return result
