"""
When to start a lost instance again, and when to leave it alone.

Theory of operation: every failed start, and every unexpected end, is a failure. After each the caller waits for a
backoff that doubles, is jittered by +-20 %, and begins anew after a stable run. If there is a `limit`, that many
failures within `window` seconds end in giving up: one wait of `cooldown` seconds, after which the count begins anew.

No locks: the event loop serialises, because no method awaits. Figures: Erlang/OTP's restart intensity, systemd's
StartLimit, and the backoff of gRPC's connection-backoff document, for plugins on the same machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.policy._chance import Chance


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartConfig:
    """
    How soon a lost instance is started again, and after how many failures it is left alone.

    Attributes:
        initial: Seconds before the first restart.
        maximum: The longest wait before a restart, in seconds.
        stable: Seconds after which a run counts as stable.
        limit: Failures within `window` that end in giving up; None to try forever.
        window: Seconds over which the failures are counted.
        cooldown: Seconds before an instance that was given up is tried again.
    """

    initial: float = 0.2
    maximum: float = 30.0
    stable: float = 10.0
    limit: int | None = 5
    window: float = 60.0
    cooldown: float = 300.0


@dataclass(frozen=True, slots=True)
class Restart:
    """
    A decision: wait `delay` seconds; `gave_up` when that is the long wait after too many failures.
    """

    delay: float
    gave_up: bool = False


class RestartPolicy:
    """
    The restart decisions for one instance.
    """

    def __init__(self, config: RestartConfig, *, clock: Callable[[], float], rng: Chance) -> None:
        self._config = config
        self._clock = clock
        self._rng = rng
        self._failures: list[float] = []
        self._streak = 0
        self._ready_since: float | None = None

    def ready(self) -> None:
        """
        The instance is ready for calls.
        """
        self._ready_since = self._clock()

    def failed(self) -> Restart:
        """
        The instance could not be started, or has ended; returns when to start it again.
        """
        now = self._clock()
        if self._ready_since is not None and now - self._ready_since >= self._config.stable:
            self._streak = 0
        self._ready_since = None
        self._streak += 1
        self._failures.append(now)
        while self._failures[0] <= now - self._config.window:
            self._failures.pop(0)
        if self._config.limit is not None and len(self._failures) >= self._config.limit:
            self.reset()
            return Restart(self._config.cooldown, gave_up=True)
        return Restart(self._backoff())

    def reset(self) -> None:
        """
        Forget all failures: an operator asked for a start.
        """
        self._streak = 0
        self._failures.clear()

    def _backoff(self) -> float:
        doublings = min(self._streak - 1, 30)  # beyond it the maximum holds anyhow
        delay = min(self._config.maximum, self._config.initial * 2.0**doublings)
        return delay * self._rng.uniform(0.8, 1.2)
