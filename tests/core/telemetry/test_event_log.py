"""
What an operator reads in the log about instances, breakers, requirements and drains, without asking for events.
"""

from __future__ import annotations

import logging
import math
import re

import anyio
import pytest

from remora import Unavailable
from remora._telemetry._event_log import log_event
from remora.testing import Answer
from remora.types import DrainEnded, Event, FallbackUsed, InstanceFailed, InstanceLost, RequirementLost, RequirementMet
from tests.core.scripts import stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """
    Levels and texts of the lines about events.
    """
    return [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "remora._telemetry._events"]


async def test_a_crash_and_the_recovery_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """
    Although nobody makes a call or asks for events, and the level is that of a configuration that names none.
    """
    async with stage(table()) as host:
        caplog.clear()
        host["a"].crash()
        await anyio.sleep(1)
    lines = said(caplog)

    assert ["WARNING", "WARNING", "INFO"] == [level for level, _ in lines], lines
    assert [True, True, True] == [text.startswith("plugin 'p' at script:a is ") for _, text in lines], lines
    assert "(next start in " in lines[1][1]
    assert "ready after " in lines[2][1]


async def test_an_instance_that_never_was_ready_is_not_called_lost(caplog: pytest.LogCaptureFixture) -> None:
    """
    It may be one of a configuration that is refused because of it, while the plugin goes on with another of its name.
    """
    async with stage(table()) as host:
        caplog.clear()
        host["a"].is_refusing = True
        host["a"].crash()
        await anyio.sleep(0.3)
    lines = [text for _, text in said(caplog)]

    assert any(text.startswith("plugin 'p' at script:a is lost: ") for text in lines), lines
    assert lines[-1].startswith("plugin 'p' at script:a could not be started: connection refused (next start in ")


async def test_a_reload_that_fails_is_no_error_of_the_plugin_that_runs(caplog: pytest.LogCaptureFixture) -> None:
    """
    What is said about the instance that was tried says so, as a warning at most; later failures are errors again.
    """
    async with stage(table()) as host:
        host["wrong"].always("Describe", Answer({"name": "p", "version": "0.5"}))
        caplog.clear()
        report = await host.manager.reload({"plugins": {"p": table(["wrong"], version=">=1")}})
        failed = host.events(InstanceFailed)
        outcome = await host.outcome()
        lines = said(caplog)

    assert (True, None) == (report.rolled_back, outcome)
    assert [True] == [each.is_tried for each in failed]
    assert {"WARNING", "INFO"} >= {level for level, _ in lines}, lines
    about = [text for _, text in lines if "script:wrong" in text and "has failed" in text]
    assert ["plugin 'p' at script:wrong, which is only tried (what is in use is not affected),"] == [
        text.partition(" has failed")[0] for text in about
    ], lines


async def test_a_breaker_that_opens_says_why_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """
    As a warning; that it lets probes through is not worth a line.
    """
    async with stage(table(circuit_breaker={"failure_threshold": 3, "recovery_timeout": 1})) as host:
        caplog.clear()
        host["a"].failure = lambda: Unavailable("on fire")
        await host.outcomes(3)
        refused = str(await host.outcome())
        host["a"].failure = None
        await anyio.sleep(2)
        await host.outcomes(2)
    lines = said(caplog)

    assert ["WARNING", "INFO"] == [level for level, text in lines if "circuit breaker" in text], lines
    assert "its circuit breaker is open: " in lines[0][1]
    assert "on fire" in lines[0][1]
    assert "its circuit breaker is open for another " in refused
    assert "on fire" in refused, "who is refused is told why"
    assert 1 == len(re.findall(r"\d+\.\d s\b", refused)), refused


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (
            InstanceFailed(time=0, plugin="p", instance="i", cause="no", retry_in=math.inf),
            "ERROR",
            "plugin 'p' at i has failed: no (it is not started again)",
        ),
        (
            InstanceLost(time=0, plugin="p", instance="i", cause="no", retry_in=1, was_ready=False),
            "WARNING",
            "plugin 'p' at i could not be started: no (next start in 1.0 s)",
        ),
        (
            RequirementLost(time=0, plugin="p", requirement="q", cause="gone"),
            "WARNING",
            "plugin 'p' goes on without 'q': gone",
        ),
        (RequirementMet(time=0, plugin="p", requirement="q"), "INFO", "plugin 'p' has 'q' again"),
        (
            DrainEnded(time=0, plugin="p", instance="", total=3, remaining=2, elapsed=1, cause="reload"),
            "WARNING",
            "plugin 'p': 2 of 3 calls had not ended when the drain was over: reload",
        ),
        (
            DrainEnded(time=0, plugin="p", instance="", total=3, remaining=0, elapsed=1, cause="it was asked for"),
            "INFO",
            "plugin 'p' is drained: it was asked for",
        ),
        (
            InstanceFailed(time=0, plugin="p", instance="i", cause="a\nb\x1b[2J", retry_in=1),
            "ERROR",
            "plugin 'p' at i has failed: a\\nb\\x1b[2J (next start in 1.0 s)",
        ),
    ],
)
async def test_events_that_operators_wait_for_are_sentences(
    caplog: pytest.LogCaptureFixture, event: Event, level: str, text: str
) -> None:
    """
    Of one line each, whatever a plugin has said.
    """
    with caplog.at_level(logging.INFO, "remora"):
        log_event(event)

    assert [(level, text)] == said(caplog)


async def test_an_event_of_every_call_is_for_debugging_only(caplog: pytest.LogCaptureFixture) -> None:
    """
    A fallback may answer a thousand times a second; metrics count that.
    """
    with caplog.at_level(logging.INFO, "remora"):
        log_event(FallbackUsed(time=0, plugin="p", kind="value", cause="down"))

    assert not said(caplog)
