"""
A real Prometheus server scrapes a manager and answers a query; `promtool` looks at what is scraped, at the alert rules
and at every query of the dashboard and of the documentation.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import run_sync
from anyio.lowlevel import current_token
from prometheus_client.parser import text_string_to_metric_families as parse

from remora import Manager, PluginError, serving
from remora._telemetry._metric_table import BUILT_IN
from remora.testing import MemoryTransport
from remora_prometheus import PrometheusExporter
from tests.architecture.sources import ROOT
from tests.core.hosts import Echo, Text
from tests.exporters.prometheus.alerts import ALERTS
from tests.ports import free_port

pytestmark = pytest.mark.anyio


def program(name: str) -> str:
    """
    Where a program is; without it the test is skipped.
    """
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (Debian's package prometheus)")
    return found


class Service(Echo):
    """
    Answers, unless it is asked not to.
    """

    async def echo(self, request: Text) -> Text:
        """
        The same text.
        """
        if request.text == "fail":
            raise PluginError("no")
        return request


@asynccontextmanager
async def host() -> AsyncIterator[tuple[Manager, PrometheusExporter]]:
    """
    A manager that has made three good calls and two bad ones of the plugin `p`.
    """
    transport, exporter = MemoryTransport(), PrometheusExporter(port=0)
    table = {"endpoint": "memory:p", "method": "echo"}
    async with serving(Service(), listen="memory:p", extensions=[transport.extension]):
        async with Manager({"plugins": {"p": table}}, extensions=[transport.extension]) as manager:
            plugin = manager.plugin("p", Text, Text)
            for text in ("a", "fail", "b", "fail", "c"):
                with suppress(PluginError):
                    await plugin.execute(Text(text))
            async with exporter.serving(manager.metrics.snapshot):
                yield manager, exporter


def _watch(manager: Manager, scraped: anyio.Event) -> None:
    """
    Set an event when somebody scrapes for the second time: then the first scrape is in the server's storage.
    """
    token, count = current_token(), 0

    def seen() -> float:
        nonlocal count
        count += 1
        if count == 2:
            run_sync(scraped.set, token=token)
        return count

    manager.metrics.gauge("scrapes", "Scrapes.").watch(seen)


@pytest.mark.long
async def test_prometheus_server_scrapes_a_manager_and_answers_a_query(tmp_path: Path) -> None:
    """
    Every call has arrived there, by its code, and every attempt, by the instance of the plugin.
    """
    port = free_port()
    prometheus = program("prometheus")
    scraped = anyio.Event()
    async with host() as (manager, exporter):
        _watch(manager, scraped)
        (tmp_path / "prometheus.yml").write_text(
            "scrape_configs:\n- job_name: remora\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{exporter.port}']}}]\n"
        )
        command = [
            prometheus,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        async with await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                with anyio.fail_after(30):
                    await scraped.wait()
                    answer = await _query(port, "sum by (code) (remora_requests_total{plugin='p'})", "code")
                    query = "sum by (plugin_instance) (remora_attempts_total{plugin='p'})"
                    by_instance = await _query(port, query, "plugin_instance")
            finally:
                server.terminate()
        said = manager.observability()

    assert {"OK": 3, "UNKNOWN": 2} == answer
    assert {"memory:p": 5} == by_instance
    assert 5 == sum(answer.values()) == said.total_requests


async def _query(port: int, query: str, label: str) -> dict[str, float]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query})
    result = answer.raise_for_status().json()["data"]["result"]
    return {each["metric"][label]: float(each["value"][1]) for each in result}


async def test_promtool_finds_nothing_wrong_with_the_metrics() -> None:
    """
    Names, units, help texts: as the ecosystem expects them.
    """
    promtool = program("promtool")
    async with host() as (_, exporter), httpx.AsyncClient() as client:
        page = await client.get(exporter.url)
    done = await anyio.run_process([promtool, "check", "metrics"], input=page.content, check=False)

    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


def test_promtool_finds_nothing_wrong_with_the_alert_rules() -> None:
    """
    As they are shipped.
    """
    promtool = program("promtool")
    rules = str(files("remora_prometheus") / "alerts.yml")
    done = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True, timeout=30)

    assert 0 == done.returncode, done.stderr


def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    """
    As shipped, over series as a host exports them; every alert has its case.
    """
    promtool = program("promtool")
    rules = files("remora_prometheus") / "alerts.yml"
    cases = json.loads(json.dumps(ALERTS).replace("ALERTS", str(rules)))
    (tmp_path / "cases.yml").write_text(json.dumps(cases))
    command = [promtool, "test", "rules", str(tmp_path / "cases.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert 0 == done.returncode, done.stdout + done.stderr
    fired = {each["alertname"] for case in ALERTS["tests"] for each in case["alert_rule_test"] if each["exp_alerts"]}
    assert fired == set(re.findall(r"- alert: (\w+)", rules.read_text()))


def test_promtool_can_read_every_query(tmp_path: Path) -> None:
    """
    Of the dashboard and of the documentation, as recording rules.
    """
    promtool = program("promtool")
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(_queries())]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    command = [promtool, "check", "rules", str(tmp_path / "queries.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert 0 == done.returncode, done.stderr


async def test_every_query_is_about_metrics_that_exist() -> None:
    """
    Those of the dashboard, of the alerts and of the documentation: names and labels are those of a real scrape, or of a
    metric that is declared and has nothing to show yet.
    """
    async with host() as (_, exporter), httpx.AsyncClient() as client:
        page = (await client.get(exporter.url)).text
    known = {family.name for family in parse(page)}
    known |= {f"{each}{end}" for each in known for end in ("_total", "_bucket")}
    labels = {each.name: {*each.labels, "le"} for each in BUILT_IN}
    named = set()
    for query in [*_queries(), *_alerts()]:
        names = set(re.findall(r"\bremora_\w+", query))
        spent = re.findall(r"(?:by|without) \(([^)]*)\)", query)
        asked = {*re.findall(r"(\w+)(?:=|!)~?\"", query), *(label for each in spent for label in each.split(", "))}
        assert asked <= set().union(*(labels[each.removesuffix("_bucket")] for each in names)), query
        named |= names

    assert set() == named - known
    assert len(named) > 12


def _alerts() -> list[str]:
    text = (files("remora_prometheus") / "alerts.yml").read_text()
    return re.findall(r"(?s)expr: (?:>-)?(.*?)\n        (?:for|labels):", text)


def _queries() -> list[str]:
    dashboard: Any = json.loads((files("remora_prometheus") / "dashboard.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    table = re.findall(r"(?m)^\|[^|]+\| `([^`]*remora_[^`]*)` \|$", (ROOT / "docs" / "metrics.md").read_text())
    assert len(table) == 7
    return [each.replace("$__rate_interval", "5m").replace("$plugin", ".*") for each in [*shown, *table]]
