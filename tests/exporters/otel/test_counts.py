"""
Everybody who counts counts the same: the application, Prometheus, an OpenTelemetry collector and the status page.
"""

from __future__ import annotations

import random
from collections import Counter

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from remora import Code, Manager, PluginError, RemoraError, serving
from remora.testing import MemoryTransport
from remora_admin import serving_admin
from tests.exporters.otel.receiver import receiving

CALLS = 10_000
NAME = "remora_requests_total"
pytestmark = pytest.mark.anyio


class Moody:
    """
    Fails as chance will have it.
    """

    def __init__(self):
        self._chance = random.Random(7)

    async def ask(self, number: int) -> int:
        code = self._chance.choice([None, None, Code.NOT_FOUND, Code.INTERNAL, Code.PERMISSION_DENIED])
        if code is not None:
            raise PluginError("injected", code=code)
        return number


async def test_ten_thousand_calls_are_the_same_number_for_everybody():
    """
    Over real HTTP and real OTLP, with failures in between.
    """
    seen = Counter()
    transport = MemoryTransport()
    extensions = [transport.extension]
    plugin = {"endpoint": "memory:moody", "connection": {"max_pending": CALLS}}
    plugin |= {"retry": {"max_retries": 1}, "circuit_breaker": {"enabled": False}}
    with receiving() as receiver, anyio.fail_after(60):
        exporter = {"endpoint": receiver.endpoint, "traces": False}
        config = {"plugins": {"moody": plugin}, "exporters": {"otel": exporter}}
        async with serving(Moody(), listen="memory:moody", extensions=extensions):
            async with Manager(config, extensions=extensions) as manager, serving_admin(manager, port=0) as url:
                ask = manager.client("moody", Moody).ask

                async def one(number):
                    try:
                        seen["OK" if await ask(number) == number else "WRONG"] += 1
                    except RemoraError as error:
                        seen[str(error.code)] += 1

                async with anyio.create_task_group() as group:
                    for number in range(CALLS):
                        group.start_soon(one, number)
                async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                    scraped = _scraped((await client.get("/metrics")).text)
                    status = (await client.get("/status")).json()
        received = _received(receiver.metrics[NAME])

    (shown,) = status["plugins"]
    assert sum(seen.values()) == CALLS == status["requests"] == shown["requests"]
    assert {"OK", "NOT_FOUND", "INTERNAL", "PERMISSION_DENIED"} == seen.keys()
    assert seen == scraped == received == Counter({**shown["errors"], "OK": CALLS - sum(shown["errors"].values())})
    assert shown["success_rate"] == seen["OK"] / CALLS


def _scraped(text):
    samples = [sample for family in parse(text) for sample in family.samples if sample.name == NAME]
    return Counter({sample.labels["code"]: int(sample.value) for sample in samples})


def _received(metric):
    counts = Counter()
    for point in metric.sum.data_points:
        labels = {pair.key: pair.value.string_value for pair in point.attributes}
        counts[labels["code"]] += int(point.as_double or point.as_int)
    return counts
