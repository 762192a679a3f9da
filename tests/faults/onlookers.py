"""
All that anybody gets to see of a host: what it tells, what it shows, and what the system shows of it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from remora import InterceptorSpec, Manager, hookimpl
from remora.config import effective_values
from remora.testing import RecordingExporter
from remora_admin import admin_app
from remora_cli._toml import toml_lines
from remora_otel._spans import attempt_spans, call_spans

PAGES = ("/", "/status", "/metrics", "/readyz")


class Spans:
    """
    An extension that makes the spans of `remora-otel`, and keeps them.
    """

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self._tracer = provider.get_tracer("test")

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """Around every call and every attempt."""
        return [
            InterceptorSpec(
                "kept-spans",
                build=lambda plugin: call_spans(self._tracer, plugin),
                attempt=lambda plugin: attempt_spans(self._tracer, plugin),
            )
        ]

    def told(self) -> list[str]:
        """Every span with all that it carries."""
        return [span.to_json() for span in self._kept.get_finished_spans()]


@asynccontextmanager
async def onlooking(config: Any) -> AsyncIterator[tuple[Manager, list[str]]]:
    """
    A manager, and a list that holds what was seen of it once the context has been left.
    """
    seen = [f"{config!r}", *toml_lines(effective_values(config), lambda _: "")]
    spans, exporter = Spans(), RecordingExporter()
    async with Manager(config, extensions=[spans]) as manager:
        manager.metrics.add_exporter(exporter)
        with manager.events() as events:
            yield manager, seen
            seen += [f"{await manager.health()} {await manager.overall_health()}"]
            seen += [f"{manager!r} {manager.inspect()} {manager.observability()} {manager.extension_faults()}"]
            seen += [*await _pages(manager), *_command_lines()]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_listen, events, seen)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
    seen += [f"{exporter.batches}", *spans.told()]


async def _pages(manager: Manager) -> list[str]:
    transport = httpx.ASGITransport(admin_app(manager))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return [(await client.get(page)).text for page in PAGES]


async def _listen(events: AsyncIterator[object], seen: list[str]) -> None:
    async for event in events:
        seen.append(f"{event!r} {event}")


def _command_lines() -> list[str]:
    """
    What everybody on the machine can read about this process and its descendants, and their environments.
    """
    found = [Path("/proc/self/cmdline").read_text()]
    for pid in _descendants(os.getpid()):
        for name in ("cmdline", "environ"):
            with suppress(OSError):  # it has ended
                found.append(Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace"))
    return found


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            children = [int(each) for each in task.read_text().split()]
            found += [*children, *(below for child in children for below in _descendants(child))]
    return found
