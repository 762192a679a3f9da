"""
Decisions as pure state machines: an injected clock and random source, numbers as results, no I/O, no waiting.
"""

from remora.policy._backoff import Backoff
from remora.policy._breaker import BreakerSignal, BreakerState, CircuitBreaker, CircuitBreakerConfig, Permit
from remora.policy._bucket import RateLimitConfig, TokenBucket, Turn
from remora.policy._budget import RetryBudget, RetryBudgetConfig
from remora.policy._change import StateChange
from remora.policy._drain import DrainCounter, DrainProgress, DrainSignal, DrainState
from remora.policy._gradient import Gradient, GradientConfig
from remora.policy._health import HealthCheckConfig, HealthSignal, HealthState
from remora.policy._limit import ConcurrencyLimit, Ticket
from remora.policy._restart import Restart, RestartConfig, RestartPolicy
from remora.policy._retry import Retry, RetryConfig
from remora.policy._slow_start import SlowStart, SlowStartConfig
from remora.policy._verdict import verdict_of
from remora.policy._window import Window

__all__ = [
    "Backoff",
    "BreakerSignal",
    "BreakerState",
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "ConcurrencyLimit",
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
    "Window",
    "verdict_of",
]
