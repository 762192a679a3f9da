"""
The exporter `prometheus`: what a scrape gets, in which format, and that it leaves nothing behind.
"""

from __future__ import annotations

import logging
import socket
import threading

import anyio
import httpx
import importlib_metadata
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.samples import Sample

from remora import ConfigError, Manager, MetricsRegistry
from remora.testing import check_exporter
from remora_prometheus import PrometheusExporter, RemoraCollector
from remora_prometheus.plugin import remora_register_metric_exporters
from tests.ports import free_port

pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def _registry() -> MetricsRegistry:
    registry = MetricsRegistry()
    registry.counter("jobs_total", "Jobs.", ["queue"]).add(3, 'a "b" \\ c\nd')
    registry.gauge("users", "Users.").set(42.5)
    seconds = registry.histogram("seconds", "Seconds.", [0.1, 1], ["path"]).bind("/")
    seconds.observe(0.05)
    seconds.observe(0.5, trace_id=TRACE, span_id="00f067aa0ba902b7")
    seconds.observe(7)
    return registry


async def test_scrape_gets_the_text_format_by_default() -> None:
    """
    Awkward label values, numbers and buckets arrive as they were recorded.
    """
    exporter = PrometheusExporter(port=0)
    async with exporter.serving(_registry().snapshot), httpx.AsyncClient() as client:
        answer = await client.get(exporter.url)
    samples = {(each.name, *sorted(each.labels.values())): each.value for each in _samples(answer.text)}

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 3 == samples["jobs_total", 'a "b" \\ c\nd']
    assert 42.5 == samples["users",]
    assert [1, 2, 3] == [samples["seconds_bucket", *sorted(("/", bound))] for bound in ("0.1", "1.0", "+Inf")]
    assert (3, 7.55) == (samples["seconds_count", "/"], pytest.approx(samples["seconds_sum", "/"]))


async def test_scrapes_are_answered_again_once_there_are_threads() -> None:
    """
    Those that there was none for have left no place taken. A thread with so large a stack cannot be started.
    """
    exporter = PrometheusExporter(port=0)
    with anyio.fail_after(20):
        async with exporter.serving(_registry().snapshot), httpx.AsyncClient() as client:
            before = threading.stack_size(2**46)
            try:
                for _ in range(20):
                    with pytest.raises(httpx.RemoteProtocolError):
                        await client.get(exporter.url)
            finally:
                threading.stack_size(before)
            answer = await client.get(exporter.url)

    assert 200 == answer.status_code


async def test_scrape_may_ask_for_single_series_by_their_names() -> None:
    """
    As Prometheus' own clients let it.
    """
    exporter = PrometheusExporter(port=0)
    async with exporter.serving(_registry().snapshot), httpx.AsyncClient() as client:
        answer = await client.get(exporter.url, params={"name[]": ["users", "seconds_count"]})

    assert ["seconds_count", "users"] == sorted(each.name for each in _samples(answer.text))


def _samples(text: str) -> list[Sample]:
    return [sample for family in parse(text) for sample in family.samples]


async def test_openmetrics_has_the_exemplars() -> None:
    """
    In the bucket of the value that was measured in a trace.
    """
    exporter = PrometheusExporter(port=0)
    async with exporter.serving(_registry().snapshot), httpx.AsyncClient(headers=OPENMETRICS) as client:
        answer = await client.get(exporter.url)
    samples = [sample for family in parse_openmetrics(answer.text) for sample in family.samples]
    exemplars = {sample.labels["le"]: sample.exemplar for sample in samples if sample.exemplar}

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {"1.0"} == exemplars.keys()
    assert {"trace_id": TRACE, "span_id": "00f067aa0ba902b7"} == exemplars["1.0"].labels
    assert 0.5 == exemplars["1.0"].value


async def test_a_reload_moves_the_port_and_closes_it() -> None:
    """
    `metrics_port` from one port to another, then none.
    """
    ports = [free_port(), free_port()]
    async with Manager({"metrics_port": ports[0]}) as manager, httpx.AsyncClient() as client:
        await _until_only_at(client, ports[0], ports)
        for port in (ports[1], ports[0], None):
            report = await manager.reload({} if port is None else {"metrics_port": port})
            assert ("metrics_port",) == report.keys
            await _until_only_at(client, port, ports)


async def _until_only_at(client: httpx.AsyncClient, wanted: int | None, ports: list[int]) -> None:
    """
    Wait until the metrics are at one port; a new exporter is there a moment after the reload, an old one gone before.
    """
    with anyio.fail_after(10):
        while [await _is_at(client, port) for port in ports] != [port == wanted for port in ports]:
            await anyio.lowlevel.checkpoint()


async def _is_at(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200
    except httpx.ConnectError:
        return False


async def test_there_is_nothing_but_metrics() -> None:
    """
    Other paths are not found, and nothing can be posted.
    """
    exporter = PrometheusExporter(port=0)
    async with exporter.serving(_registry().snapshot), httpx.AsyncClient() as client:
        other = await client.get(exporter.url + "/x")
        posted = await client.post(exporter.url)

    assert (404, 405) == (other.status_code, posted.status_code)


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:9", 200), ("evil.example:9090", 400), ("[", 400), ("", 400)],
)
async def test_a_page_with_a_name_of_its_own_for_this_machine_gets_no_metrics(host: str, status: int) -> None:
    """
    Its browser says the name that it asks for.
    """
    exporter = PrometheusExporter(port=0)
    async with exporter.serving(_registry().snapshot), httpx.AsyncClient() as client:
        answer = await client.get(exporter.url, headers={"host": host})

    assert status == answer.status_code


@pytest.mark.parametrize("host", ["127.1", "127.0.0.2", "LOCALHOST", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"])
async def test_no_spelling_of_this_machine_gives_metrics_to_such_a_page(host: str) -> None:
    """
    What counts is where it listens, not how that was written.
    """
    exporter = PrometheusExporter(port=0, host=host)
    async with exporter.serving(_registry().snapshot), httpx.AsyncClient() as client:
        theirs = await client.get(exporter.url, headers={"host": "evil.example"})
        ours = await client.get(exporter.url)

    assert (400, 200) == (theirs.status_code, ours.status_code)


async def test_metrics_can_be_scraped_while_something_holds_up_the_event_loop() -> None:
    """
    That is when one wants to see them.
    """
    exporter = PrometheusExporter(port=0)
    async with exporter.serving(_registry().snapshot):
        found = httpx.get(exporter.url)  # noqa: ASYNC210, it is to block

    assert "jobs_total" in found.text


async def test_silent_client_is_in_nobodys_way() -> None:
    """
    It is let go when the exporter is.
    """
    exporter = PrometheusExporter(port=0)
    async with exporter.serving(_registry().snapshot), httpx.AsyncClient() as client:
        with socket.create_connection(("127.0.0.1", exporter.port)):
            answer = await client.get(exporter.url)

    assert 200 == answer.status_code
    assert [] == [each.name for each in threading.enumerate() if each.name == "remora-prometheus"]


async def test_manager_serves_metrics_at_metrics_port() -> None:
    """
    The short form; only this machine is answered.
    """
    port = free_port()
    async with Manager({"metrics_port": port}) as manager:
        manager.metrics.counter("mine_total", "The application's own.").inc()
        async with httpx.AsyncClient() as client:
            with anyio.fail_after(5):
                answer = await _scrape(client, f"http://127.0.0.1:{port}/metrics")

    assert "mine_total 1.0" in answer
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))


async def _scrape(client: httpx.AsyncClient, url: str) -> str:
    while True:
        try:
            return (await client.get(url)).text
        except httpx.ConnectError:
            await anyio.lowlevel.checkpoint()


async def test_port_that_is_taken_is_said_and_hurts_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """
    In one line, without a traceback; the exporter is tried again later.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with Manager({"metrics_port": taken.getsockname()[1]}) as manager:
            with anyio.fail_after(5):
                while not manager.extension_faults():
                    await anyio.lowlevel.checkpoint()
            (fault,) = manager.extension_faults().values()

    (line,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "in use; for several processes, raise `ports`" in fault.last
    assert "failed: cannot listen at http://127.0.0.1:" in line.getMessage()
    assert line.exc_info is None


async def test_each_process_of_an_application_takes_a_port_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """
    The first one that is free, so that a server can scrape all of them.
    """
    caplog.set_level(logging.INFO, "remora")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with Manager({"exporters": {"prometheus": {"port": port, "ports": 50}}}) as manager:
            with anyio.fail_after(5):
                while not (found := [each for each in caplog.messages if "can be scraped" in each]):
                    await anyio.lowlevel.checkpoint()
            url = found[0].split()[-1]
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(url)

            assert 200 == answer.status_code
            assert {} == manager.extension_faults()
    assert port < httpx.URL(url).port < port + 50


def test_default_port_is_not_that_of_the_prometheus_server() -> None:
    """
    Which runs on the same machine more often than not; OpenTelemetry's exporters have the same one.
    """
    (spec,) = remora_register_metric_exporters()

    assert (9464, 9464) == (spec.options().port, PrometheusExporter().port)


async def test_two_ports_are_an_error() -> None:
    """
    Unless they are the same.
    """
    port = free_port()
    Manager({"metrics_port": port, "exporters": {"prometheus": {"port": port}}})
    with pytest.raises(ConfigError, match="metrics_port: exporters.prometheus.port says 1, not"):
        Manager({"metrics_port": port, "exporters": {"prometheus": {"port": 1}}})
    with pytest.raises(ConfigError, match="exporters.prometheus.port: expected a whole number"):
        Manager({"exporters": {"prometheus": {"port": 70000}}})


def test_collector_fits_into_a_registry_of_the_application() -> None:
    """
    Beside what else is in there.
    """
    registry = CollectorRegistry()
    registry.register(RemoraCollector(_registry().snapshot))

    assert b"users 42.5" in generate_latest(registry)


async def test_exporter_is_found_by_its_entry_point_and_keeps_the_contract() -> None:
    """
    By name, as a configuration finds it.
    """
    port = free_port()
    (found,) = importlib_metadata.entry_points(group="remora", name="prometheus")
    module = found.load()
    (spec,) = module.remora_register_metric_exporters()

    assert "prometheus" == spec.name
    assert await check_exporter(spec, module.Options(port=port))
