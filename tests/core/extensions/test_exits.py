"""
An extension that calls `sys.exit`, or whose library panics, ends what it was asked for, and not the host.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest

from remora import (
    AuthSpec,
    BalancerSpec,
    Call,
    CodecSpec,
    Endpoint,
    ExporterSpec,
    ExtensionError,
    HealthStatus,
    InterceptorSpec,
    Manager,
    RemoraError,
    Reply,
    ResolverSpec,
    ServeOptions,
    TransportSpec,
    hookimpl,
    serving,
)
from remora.codecs import JsonCodec
from remora.testing import MemoryTransport
from remora.types import Refresh, Status
from tests.core.hosts import NoOptions
from tests.fork_server import ForkServer

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Panic(BaseException):
    """
    As raised by libraries in other languages: no `Exception`, and no wish to end the program.
    """


EXITS: dict[str, Callable[[], BaseException]] = {
    "exit": lambda: SystemExit("bye"),
    "panic": lambda: Panic("index out of bounds"),
    "group": lambda: BaseExceptionGroup("several", [SystemExit("bye"), ValueError("and this")]),
}


class Echo:
    async def echo(self, text: str) -> str:
        return text


class Leaving:
    """
    An extension that leaves at one place.
    """

    def __init__(self, place: str, leave: Callable[[], BaseException]) -> None:
        self._place, self._leave = place, leave

    def at(self, place: str) -> None:
        if place == self._place:
            raise self._leave()

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Any]]:
        return [TransportSpec(name="odd", schemes=("odd",), options=NoOptions, build=lambda options: self)]  # type: ignore[arg-type, return-value]

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        return [InterceptorSpec(name="odd", build=lambda plugin: self.intercept if plugin == "odd" else None)]

    @hookimpl
    def remora_register_metric_exporters(self) -> list[ExporterSpec[Any]]:
        return [ExporterSpec(name="odd", options=NoOptions, build=lambda options: self)]  # type: ignore[arg-type, return-value]

    @hookimpl
    def remora_register_resolvers(self) -> list[ResolverSpec[Any]]:
        return [ResolverSpec(name="odd", options=NoOptions, build=lambda options: self)]

    @hookimpl
    def remora_event(self, event: object) -> None:
        self.at("event")

    async def intercept(self, call: Any, proceed: Any, /) -> Reply:
        self.at("interceptor")
        return await proceed(call)  # type: ignore[no-any-return]

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[Leaving]:
        self.at("open")
        yield self
        self.at("close")

    async def call(self, call: Any, /) -> Reply:
        self.at("call")
        return Reply(payload=call.payload)

    async def probe(self) -> HealthStatus:
        self.at("probe")
        return HealthStatus(status=Status.HEALTHY)

    async def watch(self, report: Any, /) -> None:
        report([Endpoint("odd:found")])
        self.at("watch")
        await anyio.sleep_forever()

    name = "odd"

    def supports(self, kind: object, /) -> bool:
        return True

    async def export(self, batch: object, /) -> None:
        self.at("export")

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()

    def listen(self, endpoint: object, dispatch: object, /) -> Any:
        raise NotImplementedError


PLACES = {
    "open": "the transport of",
    "call": "the transport of",
    "probe": "the transport of",
    "close": "the transport of",
    "interceptor": "the interceptor",
    "event": "the observer of extension",
    "watch": "the resolver",
    "export": "the exporter",
}


@pytest.mark.parametrize("leave", EXITS)
@pytest.mark.parametrize("place", PLACES)
async def test_the_host_stays_and_the_extension_is_named(place: str, leave: str, anyio_backend: str) -> None:
    """
    Calls of another plugin succeed, and the fault is in the books; the caller gets an error of Remora.
    """
    memory, odd = MemoryTransport(), Leaving(place, EXITS[leave])
    config = {
        "plugins": {
            "echo": {"endpoint": "memory:echo"},
            "odd": {"resolver": {"method": "odd"}, "retry": {"max_retries": 0}},
        },
        "exporters": {"odd": {}},
        "metrics": {"export_interval": 0.01},
    }
    extensions = [memory.extension, odd]
    with anyio.fail_after(10):
        async with serving(Echo(), listen="memory:echo", extensions=[memory.extension]):
            async with Manager(config, extensions=extensions) as manager:
                try:
                    await manager.execute("odd", "x", str, method="echo", service="Echo")
                except RemoraError as error:
                    assert place in ("open", "call", "interceptor", "watch")
                    assert "passed-2:Leaving" in str(error) or "Leaving (passed to the manager)" in str(error)
                while place != "close" and not manager.extension_faults():
                    await anyio.lowlevel.checkpoint()
                assert await manager.client("echo", Echo).echo("x") == "x"
    faults = manager.extension_faults()

    assert any(culprit.startswith(PLACES[place]) for culprit in faults), faults


class Clerk(JsonCodec):
    """
    A codec, an auth method and a balancer that leave at one place.
    """

    content_type = "application/x-clerk"

    def __init__(self, place: str, leave: Callable[[], BaseException]) -> None:
        super().__init__()
        self._leaving = Leaving(place, leave)

    @hookimpl
    def remora_register_codecs(self) -> list[CodecSpec]:
        return [CodecSpec("clerk", (self.content_type,), build=lambda: self)]

    @hookimpl
    def remora_register_auth_methods(self) -> list[AuthSpec[Any]]:
        return [AuthSpec("clerk", NoOptions, build=lambda options: self, accept=lambda access: self)]

    @hookimpl
    def remora_register_balancers(self) -> list[BalancerSpec]:
        return [BalancerSpec("clerk", lambda clock, rng: self)]  # type: ignore[arg-type, return-value]

    def encode(self, value: object, /) -> bytes:
        self._leaving.at("served-encode" if value == "x!" else "encode")
        return super().encode(value)

    def decode(self, payload: bytes, type_: type[T], /) -> T:
        self._leaving.at("decode" if payload == b'"x!"' else "served-decode")
        return super().decode(payload, type_)

    def encoder(self, type_: type, /) -> Callable[[Any], bytes]:
        return self.encode

    def flow(self, call: Call, /) -> Iterator[Call | Refresh]:
        self._leaving.at("flow")
        yield Refresh(self._refresh)
        yield call

    async def _refresh(self) -> None:
        self._leaving.at("refresh")

    def verify(self, call: Call, peer: str, /) -> str:
        self._leaving.at("verify")
        return "somebody"

    def pick(self, candidates: Sequence[Any], key: str, /) -> Any:
        self._leaving.at("pick")
        return candidates[0]

    def started(self, candidate: object, /) -> None:
        self._leaving.at("started")

    def finished(self, candidate: object, /, *, latency: float, ok: bool | None) -> None:
        self._leaving.at("finished")


CLERKS_PLACES = [
    *("encode", "decode", "served-encode", "served-decode", "flow", "refresh", "verify", "pick", "started", "finished")
]


@pytest.mark.parametrize("leave", EXITS)
@pytest.mark.parametrize("place", CLERKS_PLACES)
async def test_a_call_fails_with_an_error_of_remora(place: str, leave: str) -> None:
    """
    And ends neither the host nor the plugin, whoever leaves; where the call can do without, it succeeds.
    """

    class Shout:
        async def say(self, text: str) -> str:
            return f"{text}!"

    memory = MemoryTransport()
    extensions = [memory.extension, Clerk(place, EXITS[leave])]
    places = ["memory:here", "memory:there"]  # nobody asks a balancer about a single one
    table = {"endpoints": places, "codec": "clerk", "auth": {"method": "clerk"}, "balancer": "clerk"}
    options = ServeOptions(auth={"method": "clerk"})
    with anyio.fail_after(10):
        async with serving(Shout(), listen=places, options=options, extensions=extensions):
            async with Manager({"plugins": {"shout": table}}, extensions=extensions) as manager:
                if place in ("started", "finished"):
                    assert "x!" == await manager.execute("shout", "x", str, method="say", service="Shout")
                else:
                    with pytest.raises(RemoraError):
                        await manager.execute("shout", "x", str, method="say", service="Shout")


@pytest.mark.parametrize("leave", ["exit", "panic"])
def test_a_builder_that_leaves_is_an_error_of_its_extension(leave: str) -> None:
    """
    Also when it is only built to be checked.
    """

    class Building:
        @hookimpl
        def remora_register_transports(self) -> list[TransportSpec[Any]]:
            return [TransportSpec(name="odd", schemes=("odd",), options=NoOptions, build=_build)]

    def _build(options: object) -> Any:
        raise EXITS[leave]()

    manager = Manager({"plugins": {"odd": {"endpoint": "odd:x"}}}, extensions=[Building()])

    async def enter() -> None:
        async with manager:
            raise AssertionError("it was built")

    with pytest.raises(ExtensionError, match="the transport 'odd' of .*Building .* cannot be built: "):
        anyio.run(enter)


async def test_a_hook_that_leaves_breaks_its_extension_only(anyio_backend: str) -> None:
    """
    The manager says so and goes on.
    """

    class Registering:
        @hookimpl
        def remora_register_codecs(self) -> None:
            raise SystemExit("no licence")

    with anyio.fail_after(10):
        async with Manager({}, extensions=[Registering()]) as manager:
            assert manager.list_plugins() == []


async def test_an_interruption_is_no_fault(anyio_backend: str) -> None:
    """
    Ctrl-C ends the program wherever it arrives.
    """
    odd = Leaving("event", lambda: KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        async with Manager({}, extensions=[odd]):
            pass


PROGRAM = """
import signal, sys
from functools import partial
import anyio
from remora import Manager, Reply, TransportSpec, hookimpl, HealthStatus, Status
from remora.testing import MemoryTransport
from contextlib import asynccontextmanager
from dataclasses import dataclass

class Stopping:
    def __call__(self, *_): sys.exit(41)
    def method(self, *_): sys.exit(41)

def stop(*_): sys.exit(41)

HANDLERS = {"function": stop, "method": Stopping().method, "object": Stopping(), "partial": partial(stop, 1)}
signal.signal(signal.SIGTERM, HANDLERS[sys.argv[2]])

@dataclass(frozen=True)
class NoOptions: pass

class Transport:
    def interrupted(self, place):
        if place == sys.argv[3]:
            signal.raise_signal(signal.SIGTERM)  # as if it came from outside at this very moment
    @hookimpl
    def remora_register_transports(self):
        self.interrupted("hook")
        return [TransportSpec("odd", ("odd",), NoOptions, self.build)]
    def build(self, options):
        self.interrupted("build")
        return self
    @asynccontextmanager
    async def open(self, endpoint):
        self.interrupted("open")
        yield self
    async def call(self, call):
        self.interrupted("call")
        return Reply(payload=call.payload)
    async def probe(self):
        return HealthStatus(status=Status.HEALTHY)

async def main():
    async with Manager({"plugins": {"odd": {"endpoint": "odd:x"}}}, extensions=[Transport()]) as manager:
        await manager.execute("odd", "x", str, method="echo", service="Echo")

anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("place", ["hook", "build", "open", "call"])
@pytest.mark.parametrize("handler", ["function", "method", "object", "partial"])
def test_a_signal_handler_ends_the_host_wherever_it_comes(
    handler: str, place: str, anyio_backend_name: str, fork_server: ForkServer, tmp_path: Path
) -> None:
    """
    Also in the middle of third-party code, where Python runs it: that the application calls `sys.exit` is no fault.
    """
    words = ["-c", PROGRAM, anyio_backend_name, handler, place]
    done = fork_server.run(words, cwd=tmp_path, env=os.environ)

    assert 41 == done.returncode, done.stderr
