"""
Every change of state is an event with its cause: one scene for each class of events, with real files where they are
about files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import anyio
import pytest

import remora.types
from remora import Endpoint, Manager, ReloadOptions, TransportSpec, Unavailable, hookimpl
from remora.testing import Answer, ScriptedTransport
from remora.types import (
    Call,
    EndpointsChanged,
    Event,
    HealthStatus,
    Inspection,
    InstanceLost,
    ProgramReadmitted,
    ProgramRevoked,
    Reply,
    ResolverFailed,
    Status,
)
from tests.core.fleet.told import Told
from tests.core.hosts import NoOptions
from tests.core.scripts import Recorder, Stage, stage, table

pytestmark = pytest.mark.anyio

EVENTS = {
    each
    for name in remora.types.__all__
    if isinstance(each := getattr(remora.types, name), type) and issubclass(each, Event) and each is not Event
}
"""All that there are."""

SELF_EVIDENT = {
    "ManagerStarted": "the program entered its context",
    "ManagerStopped": "the program left it",
    "ReloadApplied": "ends what ReloadStarted has begun, which has the cause",
    "RequirementMet": "what is required is ready, which is an event with its cause",
    "EndpointsChanged": "its resolver has told so, and nobody else can",
    "ProgramReadmitted": "the allow-list has it again, which is why it was revoked",
    "PluginsDiscovered": "the files have changed, and nothing else can",
}
"""Events that can have one cause only, and so need not say it."""

QUICK = ReloadOptions(health_check_timeout=0.2)


@dataclass(frozen=True)
class Scene:
    """
    What makes an event happen, and what its cause says.
    """

    act: Callable[[Stage], Awaitable[object]]
    cause: str = ""
    table: Any = None
    others: Any = None


def fails(host: Stage) -> None:
    """
    The plugin answers with errors.
    """
    host["a"].failure = lambda: Unavailable("out of order")


async def call_and_fail(host: Stage) -> None:
    """
    A call that is not answered by the plugin.
    """
    fails(host)
    await host.outcome()


async def lose(host: Stage) -> None:
    """
    The plugin dies.
    """
    host["a"].crash()


async def lose_for_good(host: Stage) -> None:
    """
    It dies, and what is there in its place is not what is required.
    """
    host["a"].always("Describe", Answer({"name": "p", "version": "0.5"}))
    host["a"].crash()


async def stop_what_another_requires(host: Stage) -> None:
    """
    It dies and cannot be started for a moment.
    """
    host["a"].is_refusing = True
    host["a"].crash()
    await anyio.sleep(0.01)
    host["a"].is_refusing = False


async def fall_ill(host: Stage) -> None:
    """
    The plugin says so.
    """
    host["a"].health = remora.types.HealthStatus(status=remora.types.Status.DEGRADED, message="the disk is full")
    await host.manager.health()


async def move(host: Stage) -> None:
    """
    Another configuration.
    """
    await host.manager.reload({"plugins": {"p": table("b")}})


async def fail_to_move(host: Stage) -> None:
    """
    Another configuration that cannot be in force.
    """
    host["b"].is_refusing = True
    await host.manager.reload({"plugins": {"p": table("b")}}, QUICK)


async def drain(host: Stage) -> None:
    """
    Somebody drains the plugin.
    """
    await host.manager.drain("p", 1)


async def drain_and_restart(host: Stage) -> None:
    """
    And lets calls in again.
    """
    await drain(host)
    host.manager.restart("p")


async def nothing(host: Stage) -> None:
    """
    It happens by itself.
    """


BREAKER = {"circuit_breaker": {"enabled": True, "failure_threshold": 1, "min_request_threshold": 1}}
DEPENDENT = {"q": table("q", requires=["p"])}

SCENES: dict[str, Scene] = {
    "ManagerStarted": Scene(nothing),
    "ManagerStopped": Scene(nothing),
    "InstanceReady": Scene(lose, "the plugin is gone"),
    "InstanceLost": Scene(lose, "the plugin is gone"),
    "InstanceFailed": Scene(lose_for_good, "version >=1 is required", {"version": ">=1"}),
    "InstanceStopped": Scene(move, "it is no longer configured, or another one has taken its place"),
    "BreakerChanged": Scene(call_and_fail, "1 of 1 calls failed: out of order", BREAKER),
    "HealthChanged": Scene(fall_ill, "the disk is full"),
    "FallbackUsed": Scene(call_and_fail, "out of order", {"fallback": {"value": {"text": "x"}}}),
    "DrainProgressed": Scene(drain, "it was asked for"),
    "DrainEnded": Scene(drain, "it was asked for"),
    "DrainLifted": Scene(drain_and_restart, "a restart was asked for"),
    "ReloadStarted": Scene(move, "a reload was asked for"),
    "ReloadApplied": Scene(move),
    "ReloadRolledBack": Scene(fail_to_move, "connection refused"),
    "RequirementLost": Scene(stop_what_another_requires, "the plugin is gone", others=DEPENDENT),
    "RequirementMet": Scene(stop_what_another_requires, others=DEPENDENT),
}
"""Those that a scripted plugin can show; the rest is about resolvers and files, and has tests of its own below."""

ELSEWHERE = {"EndpointsChanged", "ResolverFailed", "PluginsDiscovered", "ManifestRejected", "ConfigRejected"} | {
    "ProgramRevoked",
    "ProgramReadmitted",
}


def test_every_class_of_events_is_shown_here_and_has_its_cause() -> None:
    """
    One that is added needs a scene, and a cause or the reason why it needs none.
    """
    names = {each.__name__ for each in EVENTS}

    assert SCENES.keys() | ELSEWHERE == names
    assert SELF_EVIDENT.keys() == {each.__name__ for each in EVENTS if not _has_cause(each)}


def test_every_class_of_events_is_in_the_page_of_the_hook() -> None:
    """
    With what its fields say.
    """
    page = (Path(__file__).parents[3] / "docs" / "hooks" / "remora_event.md").read_text()

    assert [] == [each.__name__ for each in EVENTS if f"| `{each.__name__}` |" not in page]


@pytest.mark.parametrize("name", SCENES)
async def test_state_change_is_an_event_with_its_cause(name: str, anyio_backend: object) -> None:
    """
    Told to who observes, and with what it is about.
    """
    scene, seen = SCENES[name], list[Event]()
    with anyio.fail_after(10):
        async with _observed(table(**(scene.table or {})), scene.others or {}) as (host, arrived):
            await arrived("InstanceReady", "")
            await scene.act(host)
            if name != "ManagerStopped":
                await arrived(name, scene.cause)
        seen = [each for each in host.recorder.events if type(each).__name__ == name]

    assert any(scene.cause in _cause(each) for each in seen), seen


async def test_what_a_resolver_tells_is_an_event_with_its_cause(anyio_backend: object) -> None:
    """
    Other endpoints, and that it cannot tell them.
    """
    told = Told([Endpoint("script:a")])
    with anyio.fail_after(10):
        async with stage({"resolver": {"method": "told"}}, extensions=[told]) as host:
            arrived = _arrival(host.recorder)
            changed = await arrived("EndpointsChanged")
            told.fail(Unavailable("the directory is away"))
            failed = await arrived("ResolverFailed", "the directory is away")

    assert isinstance(changed, EndpointsChanged)
    assert ("p", ("script:a",), ()) == (changed.plugin, changed.added, changed.removed)
    assert isinstance(failed, ResolverFailed)
    assert "p" == failed.plugin


class Reviewed:
    """
    A transport, and its channel, whose program is judged as a test says.
    """

    def __init__(self, reviews: list[Inspection | Exception]) -> None:
        self._reviews = reviews

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Any]]:
        """Endpoints of the scheme `reviewed`."""
        return [TransportSpec("reviewed", ("reviewed",), options=NoOptions, build=self._build)]

    def _build(self, options: object) -> Any:
        return self

    @asynccontextmanager
    async def open(self, endpoint: Endpoint) -> AsyncIterator[Reviewed]:
        """The channel is the transport."""
        yield self

    async def call(self, call: Call) -> Reply:
        """Echo."""
        return Reply(payload=call.payload, content_type=call.content_type)

    async def probe(self) -> HealthStatus:
        """Never unwell."""
        return HealthStatus(status=Status.HEALTHY)

    async def next_review(self) -> Inspection:
        """One after the other, without a pause."""
        if not self._reviews:
            await anyio.sleep_forever()
        found = self._reviews.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.mark.parametrize("broken", [False, True])
async def test_what_is_thought_of_a_running_program_is_an_event(
    broken: bool, caplog: pytest.LogCaptureFixture, anyio_backend: object
) -> None:
    """
    With what speaks against it; a transport that fails to judge is named, and its instance lives on.
    """
    bad = Inspection(program="/bin/p", sha256="", size=0, outcome="refused", reasons=("not listed", "too large"))
    good = Inspection(program="/bin/p", sha256="", size=0, outcome="allowed")
    transport, recorder = Reviewed([bad, good, *([ValueError("a bug")] if broken else [])]), Recorder()
    config = {"plugins": {"p": {"endpoint": "reviewed:a"}}}
    arrived = _arrival(recorder)
    with anyio.fail_after(10):
        async with Manager(config, extensions=[transport, recorder]) as manager:
            revoked = await arrived("ProgramRevoked", "not listed; too large")
            back = await arrived("ProgramReadmitted")
            assert await manager.execute("p", 1, int) == 1

    assert isinstance(revoked, ProgramRevoked)
    assert isinstance(back, ProgramReadmitted)
    assert ("p", "reviewed:a", "/bin/p") == (revoked.plugin, revoked.instance, revoked.program)
    assert ("p", "reviewed:a", "/bin/p") == (back.plugin, back.instance, back.program)
    assert broken == ("a bug" in caplog.text)
    assert [] == [each for each in recorder.events if isinstance(each, InstanceLost)]


async def test_what_files_say_is_an_event_with_its_cause(tmp_path: Path, anyio_backend: object) -> None:
    """
    A configuration that cannot be used, manifests that can and that cannot; and a reload for a file says that.
    """
    (tmp_path / "more").mkdir()
    good = f'[discovery]\ndirectories = ["{tmp_path}/more"]\n[plugins.p]\nendpoint = "script:a"\n'
    (tmp_path / "remora.toml").write_text(good)
    recorder, transport = Recorder(), ScriptedTransport()
    arrived, extensions = _arrival(recorder), [transport.extension, recorder]
    with anyio.fail_after(30):
        async with Manager.from_file(tmp_path / "remora.toml", watch=True, extensions=extensions):
            (tmp_path / "more" / "q.toml").write_text('name = "q"\nendpoint = "script:q"\n')
            await arrived("PluginsDiscovered")
            await arrived("ReloadStarted", "manifests have changed")
            (tmp_path / "more" / "r.toml").write_text('name = "r"\nendpoint = "nosuch:r"\n')
            await arrived("ManifestRejected", "nosuch")
            (tmp_path / "remora.toml").write_text(good + "instances = 0\n")
            await arrived("ConfigRejected", "plugins.p.instances: expected a whole number of at least 1")
            (tmp_path / "remora.toml").write_text(good + "instances = 2\n")
            await arrived("ReloadStarted", "its files have changed")


@asynccontextmanager
async def _observed(
    settings: dict[str, Any], others: dict[str, Any]
) -> AsyncIterator[tuple[Stage, Callable[[str, str], Awaitable[Event]]]]:
    def script(transport: ScriptedTransport) -> None:
        transport.plugin("a").always("Describe", Answer({"name": "p", "version": "1.5"}))

    async with stage(settings, script=script, **others) as host:
        yield host, _arrival(host.recorder)


def _arrival(recorder: Recorder) -> Callable[..., Awaitable[Event]]:
    async def arrived(name: str, cause: str = "") -> Event:
        while True:
            for event in recorder.events:
                if type(event).__name__ == name and cause in _cause(event):
                    return event
            await anyio.sleep(0.001)

    return arrived


def _has_cause(kind: type[Event]) -> bool:
    return bool({"cause", "causes", "problems"} & {each.name for each in fields(kind)})


def _cause(event: Event) -> str:
    for name in ("cause", "causes", "problems"):
        if hasattr(event, name):
            return str(getattr(event, name))
    return ""
