"""
Traces as a collector receives them: real processes, a real OTLP receiver.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import httpx
import pytest
from anyio import to_thread
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from remora import Manager, RemoraError, serving
from remora.testing import MemoryTransport
from remora_admin import serving_admin
from remora_otel import _over_grpc
from remora_otel._traces import open_traces
from remora_otel.plugin import Options
from tests.exporters.otel.receiver import receiving
from tests.exporters.otel.relay import Relay
from tests.mumbling import MUMBLING

RELAY = str(Path(__file__).with_name("relay.py"))
SHORT = {"initial_interval": 0.01}
pytestmark = pytest.mark.anyio


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def traces(receiver):
    """
    Traces of this process, as `[exporters.otel]` turns them on.
    """
    opened = open_traces(Options(endpoint=receiver.endpoint, service_name="host"), _over_grpc)
    assert opened is not None
    yield opened.provider()
    opened.close()


async def test_spans_arrive_whatever_a_plugin_says(receiver, traces):
    """
    Half of a surrogate pair in its error, which JSON may carry, is written as an escape.
    """
    with anyio.fail_after(30):
        async with Manager({"plugins": {"mumbling": MUMBLING}}) as manager:
            with pytest.raises(RemoraError):
                await manager.plugin("mumbling", str, str).execute("hello")
        await to_thread.run_sync(traces.force_flush)
        spans = await to_thread.run_sync(receiver.wait_for_spans, 2)

    assert ["CLIENT"] * 2 == [span.kind for span in spans]


async def test_one_trace_shows_host_retry_plugin_and_nested_call(receiver, traces, tmp_path):
    """
    Three processes, one trace: every span hangs below the one that caused it.
    """
    async with serving(Relay(), listen=f"unix:{tmp_path}/last.sock"):
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_SERVICE_NAME": "relay"}
        table = {
            "endpoint": f"exec:{sys.executable}",
            "args": [RELAY, f"unix:{tmp_path}/last.sock"],
            "env": env,
            "retry": SHORT,
        }
        async with Manager({"plugins": {"relay": table}}) as manager:
            with anyio.fail_after(30):
                assert await manager.client("relay", Relay).say("hello") == "hello"
    await to_thread.run_sync(traces.force_flush)
    spans = await to_thread.run_sync(receiver.wait_for_spans, 10)

    by_id = {span.span_id: span for span in spans}
    tree = sorted(_path(span, by_id) for span in spans)
    assert {span.trace_id for span in spans} == {spans[0].trace_id}
    call, nested = "host:CLIENT", "relay:CLIENT"
    second = f"{call} > {call} 2 > relay:SERVER"
    assert tree == sorted(
        [
            call,
            f"{call} > {call} 1 ERROR",
            f"{call} > {call} 1 ERROR > relay:SERVER ERROR",
            f"{call} > {call} 2",
            second,
            f"{second} > {nested}",
            f"{second} > {nested} > {nested} 1 ERROR",
            f"{second} > {nested} > {nested} 1 ERROR > host:SERVER ERROR",
            f"{second} > {nested} > {nested} 2",
            f"{second} > {nested} > {nested} 2 > host:SERVER",
        ]
    )


async def test_a_span_says_where_the_call_went_and_how_it_ended(receiver, traces):
    """
    What the semantic conventions ask for, and the words of Remora beside it.
    """
    async with serving(Relay(), listen="http:") as served:
        url = served.endpoints[0].url
        async with Manager({"plugins": {"relay": {"endpoint": url, "retry": {"max_retries": 0}}}}) as manager:
            with anyio.fail_after(10), pytest.raises(RemoraError):
                await manager.plugin("relay", str, str, service="test.Relay", method="say").execute("x")
    await to_thread.run_sync(traces.force_flush)
    spans = await to_thread.run_sync(receiver.wait_for_spans, 3)

    attempt = next(span for span in spans if "remora.attempt" in span.attributes)
    host, _, port = url.removeprefix("http://").partition(":")
    assert attempt.name == "test.Relay/say"
    assert attempt.attributes == {
        "rpc.system.name": "connectrpc",
        "rpc.method": "test.Relay/say",
        "rpc.response.status_code": "UNAVAILABLE",
        "error.type": "UNAVAILABLE",
        "server.address": host,
        "server.port": int(port),
        "remora.plugin": "relay",
        "remora.instance": url,
        "remora.attempt": 1,
    }


def _path(span, by_id):
    number = span.attributes.get("remora.attempt")
    name = f"{span.process}:{span.kind}" + (f" {number}" if number else "") + (" ERROR" if span.is_error else "")
    return f"{_path(by_id[span.parent_id], by_id)} > {name}" if span.parent_id in by_id else name


async def test_histograms_of_calls_carry_the_trace_as_an_exemplar(receiver, traces, tmp_path):
    """
    From a slow bucket to the trace of a call that is in it.
    """
    async with serving(Relay(), listen=f"unix:{tmp_path}/r.sock"):
        table = {"endpoint": f"unix:{tmp_path}/r.sock", "retry": SHORT}
        async with Manager({"plugins": {"relay": table}}) as manager:
            with anyio.fail_after(10):
                await manager.client("relay", Relay).say("hello")
            metric = manager.metrics.snapshot().metric("remora_attempt_duration_seconds")
    await to_thread.run_sync(traces.force_flush)
    spans = await to_thread.run_sync(receiver.wait_for_spans, 3)

    exemplars = [each for point in metric.points for each in point.value.exemplars if each is not None]
    attempts = {span.span_id for span in spans if "remora.attempt" in span.attributes}
    assert {each.trace_id for each in exemplars} == {spans[0].trace_id}
    assert {each.span_id for each in exemplars} <= attempts


async def test_exemplars_arrive_at_whoever_reads_the_metrics(receiver):
    """
    A scrape in OpenMetrics and a collector of OTLP get the trace and the span of a call that is in the bucket.
    """
    transport = MemoryTransport()
    exporters = {"otel": {"endpoint": receiver.endpoint}}
    config = {"plugins": {"relay": {"endpoint": "memory:r", "retry": SHORT}}, "exporters": exporters}
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    with anyio.fail_after(20):
        async with serving(Relay(), listen="memory:r", extensions=[transport.extension]):
            async with (
                Manager(config, extensions=[transport.extension]) as manager,
                serving_admin(manager, port=0) as url,
                httpx.AsyncClient(base_url=url, trust_env=False, headers=accept) as client,
            ):
                await manager.client("relay", Relay).say("hello")
                page = (await client.get("/metrics")).text
    spans = receiver.wait_for_spans(3)

    name = "remora_request_duration_seconds"
    scraped = [each.exemplar for family in parse(page) for each in family.samples if each.name == f"{name}_bucket"]
    received = [each for point in receiver.metrics[name].histogram.data_points for each in point.exemplars]
    call = next(span for span in spans if "remora.attempt" not in span.attributes)
    context = (call.trace_id, call.span_id)
    assert [context] == [(each.labels["trace_id"], each.labels["span_id"]) for each in scraped if each]
    assert [context] == [(each.trace_id.hex(), each.span_id.hex()) for each in received]


async def test_the_spans_of_a_one_shot_plugin_that_fails_are_sent(receiver, traces):
    """
    A process for each attempt, which ends with a status of its own; its last act is to send its span.
    """
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_SERVICE_NAME": "relay"}
    table = {"endpoint": f"exec:{sys.executable}", "args": [RELAY], "env": env, "protocol": "oneshot"}
    async with Manager({"plugins": {"relay": {**table, "retry": {**SHORT, "max_retries": 1}}}}) as manager:
        with anyio.fail_after(30), pytest.raises(RemoraError) as caught:
            await manager.client("relay", Relay).say("hello")
    await to_thread.run_sync(traces.force_flush)
    spans = await to_thread.run_sync(receiver.wait_for_spans, 5)

    by_id = {span.span_id: span for span in spans}
    attempts = [f"host:CLIENT ERROR > host:CLIENT {number} ERROR" for number in (1, 2)]
    assert "not yet" in str(caught.value)
    assert sorted(_path(span, by_id) for span in spans) == sorted(
        ["host:CLIENT ERROR", *attempts, *(f"{each} > relay:SERVER ERROR" for each in attempts)]
    )


@pytest.mark.parametrize("listen", ["http:", "grpc:", "unix:"])
async def test_the_context_crosses_every_wire(receiver, traces, listen):
    """
    What the plugin does hangs below the attempt that asked for it; pipes are in the first test of this file.
    """
    async with serving(Relay(), listen=listen) as served:
        table = {"endpoint": served.endpoints[0].url, "retry": {"max_retries": 0}}
        async with Manager({"plugins": {"relay": table}}) as manager:
            with anyio.fail_after(10), pytest.raises(RemoraError):
                await manager.client("relay", Relay).say("x")
    await to_thread.run_sync(traces.force_flush)
    spans = await to_thread.run_sync(receiver.wait_for_spans, 3)

    attempt = next(span for span in spans if "remora.attempt" in span.attributes)
    answer = next(span for span in spans if span.kind == "SERVER")
    assert (answer.parent_id, answer.trace_id) == (attempt.span_id, attempt.trace_id)
