"""
Whether to make another attempt at a call, and when.

Theory of operation: a retry needs an attempt that is left, an error that may be gone next time, certainty that the
call may be made twice (its method is idempotent, or the request never reached the plugin), and time. The plugin's own
`retry_after` is waited for in full, with jitter on top; one that is longer than the time left, or negative (gRPC's
push-back for "do not retry"), ends the call. The budget is asked separately, last of all.

No locks: the event loop serialises, because no method awaits. Sources: gRFC A6 for push-back, RFC 9110 for Retry-After.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from remora._frozen import dataclass
from remora.policy._backoff import Backoff
from remora.values import Duration, Limits, Number, check_limits

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.policy._chance import Chance

Multiplier = Annotated[float, Limits(1)]

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """
    How often and when a call is tried again.

    Attributes:
        max_retries: Attempts after the first one; 0 for none.
        initial_interval: The longest wait before the second attempt, in seconds.
        max_interval: The longest wait before any attempt, in seconds.
        multiplier: The factor by which the longest wait grows with each attempt.
        random_jitter: Whether each wait is drawn at random between 0 and the longest.
        idempotent_methods: Methods that may be called twice, besides those declared idempotent: "Method",
            "package.Service/Method", or "*" for all.
    """

    max_retries: Number = 3
    initial_interval: Duration = 0.1
    max_interval: Duration = 5.0
    multiplier: Multiplier = 2.0
    random_jitter: bool = True
    idempotent_methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_limits(self)
        if self.max_interval < self.initial_interval:
            least = f"initial_interval, {self.initial_interval:g} s"
            raise ValueError(f"max_interval: expected at least {least}, got {self.max_interval!r}")


class Retry:
    """
    Decides on further attempts at a call.
    """

    __slots__ = ("_backoff", "_methods", "_retries")

    def __init__(self, config: RetryConfig, *, rng: Chance) -> None:
        self._retries = config.max_retries
        self._methods = frozenset(config.idempotent_methods) if config.idempotent_methods else _NONE
        self._backoff = Backoff(
            initial=config.initial_interval,
            maximum=config.max_interval,
            multiplier=config.multiplier,
            is_jittered=config.random_jitter,
            rng=rng,
        )

    def is_idempotent(self, service: str, method: str) -> bool:
        """
        Whether the configuration says that a method may be called twice.
        """
        names = self._methods
        return bool(names) and (method in names or f"{service}/{method}" in names or "*" in names)

    def delay(self, attempt: int, error: RemoraError, *, idempotent: bool, remaining: float | None) -> float | None:
        """
        The seconds to wait before another attempt; None to give up.

        Args:
            attempt: How many attempts have been made, at least 1.
            error: How the last one ended.
            idempotent: Whether the call may be made twice.
            remaining: Seconds left for the call; None for no limit.
        """
        if attempt > self._retries or not error.retryable or (error.sent and not idempotent):
            return None
        asked = error.retry_after
        if asked is not None and asked < 0:
            return None
        wait = self._backoff.delay(attempt) + (asked or 0.0)
        if remaining is None or wait < remaining:
            return wait
        return asked if asked is not None and asked < remaining else None
