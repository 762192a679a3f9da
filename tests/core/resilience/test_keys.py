"""
Every configuration key of the policies does something: changed, it changes what a host can see. So it does whether a
manager starts with it or a reload brings it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from remora import CircuitOpen, Unavailable
from remora.config import Effect, FallbackConfig, effect_of
from remora.types import Endpoint
from tests.core.resilience.blocks import BLOCKS
from tests.core.resilience.cases import BREAKER, CASES, Case, broken
from tests.core.scripts import stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

OF_TRANSPORTS = {
    "connection.max_idle_connections",
    "connection.idle_timeout",
    "connection.keep_alive",
    "connection.disable_compression",
    "health_check.endpoint",
    "endpoint.url",
    "endpoint.labels",
}
"""Keys that only transports and people read; their tests are elsewhere."""

RECORDS = {**BLOCKS, "fallback": FallbackConfig, "endpoint": Endpoint}
KEYS = {f"{block}.{each.name}" for block, record in RECORDS.items() for each in fields(record)} - OF_TRANSPORTS


def _table(key: str, case: Case, value: object) -> dict[str, Any]:
    block, _, name = key.rpartition(".")
    if block == "endpoint":
        first, *others = case.addresses
        return table(({**first, name: value}, *others), **case.beside)
    if not block:
        return table(case.addresses, **{**case.beside, key: value})
    return table(case.addresses, **{**case.beside, block: {**case.beside.get(block, {}), **case.block, name: value}})


def test_every_key_has_a_case() -> None:
    """
    A key that is added to a record needs a row in the table.
    """
    assert KEYS == {key for key in CASES if "." in key}


@pytest.mark.parametrize("key", CASES)
async def test_key_changes_what_is_seen(key: str, anyio_backend: object) -> None:
    """
    One value, then another.
    """
    case = CASES[key]
    for value, expected in (case.one, case.other):
        others = {"q": table("q"), "r": table("r", retry={"max_retries": 0})} if key == "fallback.plugin" else {}
        async with stage(_table(key, case, value), script=case.script, **others) as host:
            host["r"].failure = broken

            assert expected == await case.measure(host), f"{key} = {value!r}"


@pytest.mark.parametrize("key", CASES)
async def test_key_changes_what_is_seen_by_reload(key: str, anyio_backend: object) -> None:
    """
    One value, and another one brought by a reload, there and back; what can be changed in place keeps its connections.
    """
    case = CASES[key]
    others = {"q": table("q"), "r": table("r", retry={"max_retries": 0})} if key == "fallback.plugin" else {}
    for (before, _), (after, expected) in [(case.one, case.other), (case.other, case.one)]:
        async with stage(_table(key, case, before), script=case.script, **others) as host:
            host["r"].failure = broken
            instances = list(host.route().instances)
            report = await host.manager.reload({"plugins": {"p": _table(key, case, after), **others}})

            assert report.applied
            if effect_of(key.replace("endpoint.", "endpoints.")) is Effect.TUNED:
                assert instances == host.route().instances
            assert expected == await case.measure(host), f"{key}: {before!r} to {after!r}"


async def test_open_breaker_says_so(anyio_backend: object) -> None:
    """
    The rows above count arrivals; this is what the others get.
    """
    async with stage(table(circuit_breaker=BREAKER)) as host:
        host["a"].failure = broken
        outcomes = await host.outcomes(3)

        assert [Unavailable, CircuitOpen, CircuitOpen] == [type(each) for each in outcomes]
