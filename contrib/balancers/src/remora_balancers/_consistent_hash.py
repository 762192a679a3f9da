"""
Where the call's key belongs.

Theory of operation: for a key, every candidate gets a score that depends on nothing but the key, its name and its
weight; the highest wins. When a candidate comes or goes, only the keys that it wins or won move. No table is needed for
few candidates. One that has over 125 % of its part of all calls under way passes on what comes, to the next highest
score, and so always to the same ones; as long as it has few, nothing is passed on. Calls without a key take turns.

Sources: rendezvous hashing (Thaler and Ravishankar), weighted by logarithm; bounded loads (Mirrokni, Thorup and
Zadimoghaddam).
"""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

from remora.policy import Turns
from remora.protocols import Candidate
from remora_balancers._base import BaseBalancer
from remora_balancers._share import eligible, share

if TYPE_CHECKING:
    from collections.abc import Sequence

C = TypeVar("C", bound=Candidate)

BOUND = 1.25
"""The load that one may have beside the mean load for its share."""

FEW = 8
"""Calls under way that are never too many."""

_LONG = 128
"""Characters of a key from which on only its digest is remembered."""

_BITS = 52
"""As many as a float can tell apart from 1."""


class ConsistentHash(BaseBalancer):
    """
    The same candidate for the same key, as far as its load allows.
    """

    def __init__(self) -> None:
        self._turns = Turns(share)

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The one with the highest score for the key that is not too busy.
        """
        some = eligible(candidates)
        if not key:
            return self._turns.next(some)
        short = _shortened(key)
        ranked = sorted(some, key=lambda each: _score(each, short), reverse=True)
        calls = sum(each.in_flight for each in some) + 1
        whole = sum(map(share, some))
        for candidate in ranked:
            if candidate.in_flight < max(FEW, math.ceil(BOUND * calls * share(candidate) / whole)):
                return candidate
        return ranked[0]

    def forget(self, name: str, /) -> None:
        """
        Forget its place among the turns.
        """
        self._turns.forget(name)


def _shortened(key: str) -> str:
    return key if len(key) < _LONG else _digest(key, 32).hex()


def _score(candidate: Candidate, key: str) -> float:
    return max(candidate.weight, 1) / -math.log(_point(candidate.name, key))


@lru_cache(maxsize=4096)
def _point(name: str, key: str) -> float:
    """
    A number between 0 and 1 that is the same in every process.
    """
    digest = _digest(key, 8, by=_digest(name, 16))
    return ((int.from_bytes(digest, "big") >> (64 - _BITS)) + 0.5) / 2.0**_BITS


def _digest(text: str, size: int, by: bytes = b"") -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size, key=by).digest()
