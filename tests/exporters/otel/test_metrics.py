"""
Metrics and traces by configuration, as a collector receives them over both wires.
"""

from __future__ import annotations

import tracemalloc

import anyio
import pytest
from anyio import to_thread

from remora import ConfigError, Manager, serving
from remora.metrics import Distribution, Metric, MetricKind, Point
from remora.testing import MemoryTransport, check_exporter
from remora_otel._differences import Differences
from remora_otel.plugin import Options, remora_register_metric_exporters
from tests.exporters.otel.receiver import receiving, receiving_http

pytestmark = pytest.mark.anyio
SPEC = remora_register_metric_exporters()[0]


class Echo:
    async def echo(self, words: str) -> str:
        return words


@pytest.fixture(params=["grpc", "http"])
def collector(request):
    with {"grpc": receiving, "http": receiving_http}[request.param]() as receiver:
        yield request.param, receiver


async def test_exporter_keeps_the_contract(collector):
    """
    What every exporter promises.
    """
    protocol, receiver = collector

    assert await check_exporter(SPEC, Options(endpoint=receiver.endpoint, protocol=protocol))


async def test_a_table_in_the_configuration_sends_metrics_and_spans(collector):
    """
    Nothing else is needed, and everything has arrived when the manager is closed.
    """
    protocol, receiver = collector
    transport = MemoryTransport()
    exporter = {"endpoint": receiver.endpoint, "protocol": protocol, "service_name": "shop"}
    config = {"plugins": {"echo": {"endpoint": "memory:one"}}, "exporters": {"otel": exporter}}
    with anyio.fail_after(20):
        async with serving(Echo(), listen="memory:one", extensions=[transport.extension]):
            async with Manager(config, extensions=[transport.extension]) as manager:
                sold = manager.metrics.counter("shop_sold_total", "What was sold.", ["kind"])
                lasted = manager.metrics.histogram("shop_wait_seconds", "How long it took.", [0.1, 1.0])
                for _ in range(3):
                    await manager.client("echo", Echo).echo("x")
                    sold.inc("hat")
                    lasted.observe(0.5)
        spans = await to_thread.run_sync(receiver.wait_for_spans, 6)

    assert {span.process for span in spans} == {"shop"}
    assert [span.kind for span in spans] == ["CLIENT"] * 6
    point = receiver.metrics["shop_sold_total"].sum.data_points[0]
    assert (point.as_double or point.as_int, point.attributes[0].value.string_value) == (3, "hat")
    histogram = receiver.metrics["shop_wait_seconds"]
    assert (histogram.unit, list(histogram.histogram.data_points[0].bucket_counts)) == ("s", [0, 3, 0])
    assert histogram.histogram.aggregation_temporality == 2


@pytest.mark.parametrize(("temporality", "values"), [("cumulative", [1, 3]), ("delta", [1, 2])])
async def test_the_standard_variables_say_what_the_table_does_not(monkeypatch, temporality, values):
    """
    Where to, over which protocol, what is said about the process, and whether totals or differences are sent.
    """
    with receiving_http() as receiver, anyio.fail_after(20):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,service.name=till")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality)
        seen = []
        async with Manager({"exporters": {"otel": {}}, "metrics": {"export_interval": 0.05}}) as manager:
            sold = manager.metrics.counter("sold_total")
            for amount in (1, 2):
                sold.add(amount)
                seen.append(await to_thread.run_sync(receiver.next_number, "sold_total"))

    assert values == seen
    assert {"deployment.environment": "test", "service.name": "till"}.items() <= receiver.resource.items()


async def test_values_that_cannot_be_sent_do_not_hold_up_the_others(collector):
    """
    A number beyond 64 bits is sent as a float; one beyond floats, or a trace that is none, is left out.
    """
    protocol, receiver = collector
    exporter = {"endpoint": receiver.endpoint, "protocol": protocol}
    with anyio.fail_after(20):
        async with Manager({"exporters": {"otel": exporter}}) as manager:
            manager.metrics.gauge("open_files_limit").set(2**64 - 1)
            manager.metrics.gauge("stars").set(10**400)
            waits = manager.metrics.histogram("wait_seconds").bind()
            waits.observe(0.5, trace_id="4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
            waits.observe(5.0, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")

    assert 2.0**64 == receiver.metrics["open_files_limit"].gauge.data_points[0].as_double
    assert "stars" not in receiver.metrics
    point = receiver.metrics["wait_seconds"].histogram.data_points[0]
    assert (2, [5.0]) == (point.count, [each.as_double for each in point.exemplars])


async def test_another_protocol_is_an_error_in_the_configuration():
    """
    It names the key, and what may stand there.
    """
    with pytest.raises(ConfigError, match=r'exporters.otel: protocol: expected "grpc" or "http/protobuf", got \'udp\''):
        async with Manager({"exporters": {"otel": {"protocol": "udp"}}}):
            pass


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("value", ["canary-4711\n", "canary\x00-4711", " canary-4711"])
async def test_a_header_that_cannot_be_sent_is_an_error_that_does_not_show_it(protocol, value, caplog):
    """
    What sends it would write it into the log.
    """
    table = {"endpoint": "http://127.0.0.1:9", "protocol": protocol, "headers": {"authorization": value}}
    with pytest.raises(ConfigError, match=r"exporters.otel: headers.authorization: ") as caught:
        async with Manager({"plugins": {}, "exporters": {"otel": table}}):
            pass

    assert "canary" not in f"{caught.value!r} {caplog.text}"


async def test_an_address_over_grpc_holds_no_credentials(caplog):
    """
    They are not sent there, and what sends the rest would write them into the log.
    """
    table = {"endpoint": "http://user:canary-4711@127.0.0.1:9", "protocol": "grpc"}
    with pytest.raises(ConfigError, match=r"exporters.otel: endpoint: holds credentials") as caught:
        async with Manager({"plugins": {}, "exporters": {"otel": table}}):
            pass

    assert "canary" not in f"{caught.value!r} {caplog.text}"


def test_differences_add_up_to_the_totals_of_what_was_received():
    """
    For receivers that want what came on top; what did not arrive comes with what follows.
    """
    differences = Differences()
    first, lost, third = _metric(5, (1, 0)), _metric(6, (2, 0)), _metric(7, (4, 2))
    seen = [differences.of(first)]
    differences.sent(first, 10.0)
    differences.of(lost)
    seen.append(differences.of(third))

    assert [each.points[0].value for each in seen] == [5, 2]
    assert [each.points[0].started for each in seen] == [1.0, 10.0]
    assert seen[1].points[1].value == Distribution((1.0,), (3, 2), 1.0, (None, None))


def test_differences_of_series_that_are_gone_take_no_memory():
    """
    A host whose plugins come and go would else remember all that it has ever had.
    """
    differences = Differences()
    tracemalloc.start()
    try:
        for number in range(5_000):
            found = Metric("m", MetricKind.COUNTER, "", ("plugin",), (Point((f"plugin-{number}",), 1, float(number)),))
            assert differences.of(found) == found
            differences.sent(found, number + 0.5)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert differences.of(found).points[0].value == 0
    assert kept < 256 * 1024


def _metric(count, counts):
    points = (
        Point((), count, 1.0),
        Point((), Distribution((1.0,), counts, float(sum(counts) > 1), (None, None)), 2.0),
    )
    return Metric("m", MetricKind.COUNTER, "", (), points)
