"""
Decisions as pure state machines: clock and random source are injected, results are values; no I/O, no waiting.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora.policy._backoff import Backoff
    from remora.policy._breaker import BreakerSignal, BreakerState, CircuitBreaker, CircuitBreakerConfig, Permit
    from remora.policy._bucket import RateLimitConfig, TokenBucket, Turn
    from remora.policy._budget import RetryBudget, RetryBudgetConfig
    from remora.policy._chance import Chance, Dice
    from remora.policy._change import StateChange
    from remora.policy._drain import DrainCounter, DrainProgress, DrainSignal, DrainState
    from remora.policy._gradient import Gradient, GradientConfig
    from remora.policy._health import HealthCheckConfig, HealthSignal, HealthState
    from remora.policy._limit import ConcurrencyLimit, Ticket
    from remora.policy._restart import Restart, RestartConfig, RestartPolicy
    from remora.policy._retry import Retry, RetryConfig
    from remora.policy._slow_start import SlowStart, SlowStartConfig
    from remora.policy._turns import Turns
    from remora.policy._verdict import verdict_of
    from remora.policy._window import Window
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora.policy._backoff": "Backoff",
            "remora.policy._breaker": "BreakerSignal BreakerState CircuitBreaker CircuitBreakerConfig Permit",
            "remora.policy._bucket": "RateLimitConfig TokenBucket Turn",
            "remora.policy._budget": "RetryBudget RetryBudgetConfig",
            "remora.policy._chance": "Chance Dice",
            "remora.policy._change": "StateChange",
            "remora.policy._drain": "DrainCounter DrainProgress DrainSignal DrainState",
            "remora.policy._gradient": "Gradient GradientConfig",
            "remora.policy._health": "HealthCheckConfig HealthSignal HealthState",
            "remora.policy._limit": "ConcurrencyLimit Ticket",
            "remora.policy._restart": "Restart RestartConfig RestartPolicy",
            "remora.policy._retry": "Retry RetryConfig",
            "remora.policy._slow_start": "SlowStart SlowStartConfig",
            "remora.policy._turns": "Turns",
            "remora.policy._verdict": "verdict_of",
            "remora.policy._window": "Window",
        },
    )

__all__ = [
    "Backoff",
    "BreakerSignal",
    "BreakerState",
    "Chance",
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "ConcurrencyLimit",
    "Dice",
    "DrainCounter",
    "DrainProgress",
    "DrainSignal",
    "DrainState",
    "Gradient",
    "GradientConfig",
    "HealthCheckConfig",
    "HealthSignal",
    "HealthState",
    "Permit",
    "RateLimitConfig",
    "Restart",
    "RestartConfig",
    "RestartPolicy",
    "Retry",
    "RetryBudget",
    "RetryBudgetConfig",
    "RetryConfig",
    "SlowStart",
    "SlowStartConfig",
    "StateChange",
    "Ticket",
    "TokenBucket",
    "Turn",
    "Turns",
    "Window",
    "verdict_of",
]
