"""
The balancers that this distribution adds to Remora.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora import BalancerSpec, hookimpl

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from remora.protocols import Balancer


def build_round_robin(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make the balancer that gives each its turn.
    """
    from remora_balancers._round_robin import RoundRobin

    return RoundRobin()


def build_random(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make the balancer that draws by weight.
    """
    from remora_balancers._random import Random

    return Random(rng)


def build_least_connections(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make the balancer that looks at the calls under way.
    """
    from remora_balancers._least_connections import LeastConnections

    return LeastConnections(rng)


def build_least_latency(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make the balancer that looks at how long calls take.
    """
    from remora_balancers._least_latency import LeastLatency

    return LeastLatency(clock, rng)


def build_consistent_hash(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make the balancer that looks at the call's key.
    """
    from remora_balancers._consistent_hash import ConsistentHash

    return ConsistentHash()


def build_priority(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make the balancer that prefers the highest priority.
    """
    from remora_balancers._priority import Priority

    return Priority()


def build_p2c(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make the balancer that draws two and takes the better.
    """
    from remora_balancers._two_choices import TwoChoices

    return TwoChoices(rng)


@hookimpl
def remora_register_balancers() -> list[BalancerSpec]:
    """
    Add all strategies.
    """
    return [
        BalancerSpec("round-robin", build_round_robin, learns=False, keyed=False),
        BalancerSpec("random", build_random, learns=False, keyed=False),
        BalancerSpec("weighted-random", build_random, learns=False, keyed=False),
        BalancerSpec("least-connections", build_least_connections, learns=False, keyed=False),
        BalancerSpec("least-latency", build_least_latency, keyed=False),
        BalancerSpec("consistent-hash", build_consistent_hash, learns=False),
        BalancerSpec("priority", build_priority, learns=False, keyed=False),
        BalancerSpec("p2c", build_p2c, learns=False, keyed=False),
    ]
