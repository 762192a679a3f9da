"""
The plugin author's side: objects with methods become a served plugin.

What lives here: where to listen, how to stop. What must not: how a call is answered (see `_serving._dispatch`).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from remora._backend import require_backend
from remora._extensions._registry import load_catalog
from remora._frozen import dataclass
from remora._serving._assembly import assemble_dispatcher, place_of
from remora._serving._lifetimes import TimeToStop, living, settled, with_lifetimes
from remora._serving._options import ServeOptions, checked_options
from remora._serving._preload import preload
from remora._serving._process import leave_threads_behind, occupy_standard_streams, stopping_signals
from remora._serving._stages import Stages
from remora.errors import ConfigError, RemoraError
from remora.io import background_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from remora._serving._dispatch import Dispatcher
    from remora.config import AccessConfig
    from remora.protocols import Listener
    from remora.types import Endpoint

__all__ = [
    "ServeOptions",
    "Served",
    "dispatcher_for",
    "entered",
    "leave_threads_behind",
    "occupy_standard_streams",
    "preload",
    "require_backend",
    "serve",
    "serve_until_stopped",
    "serving",
    "stopping_signals",
]

_log = logging.getLogger(__name__)

LISTEN = "REMORA_LISTEN"
BACKEND = "REMORA_BACKEND"


@dataclass(frozen=True, slots=True)
class Served:
    """
    A plugin that is being served.

    Attributes:
        endpoints: Where it can be called.
        dispatcher: What answers its calls.
        listeners: What accepts them.
    """

    dispatcher: Dispatcher
    listeners: Sequence[Listener]

    @property
    def endpoints(self) -> list[Endpoint]:
        """
        Where the plugin can be called.
        """
        return [listener.endpoint for listener in self.listeners]

    async def wait_closed(self) -> None:
        """
        Wait until the host has ended it, by closing the pipe to a program that it has started, or by going away itself.
        Without such a pipe this is never.
        """
        await _first_of(*(listener.wait_closed for listener in self.listeners))


def serve(
    *services: object,
    listen: str | Sequence[str] = (),
    backend: str | None = None,
    options: ServeOptions | None = None,
    auth: AccessConfig | Mapping[str, object] | str | None = None,
) -> None:
    """
    Serve one or more objects until the host, or a signal (SIGTERM, SIGINT, SIGHUP), ends it. The last line of a
    plugin's program.

    The address is `listen`, or what the host has set, or what stands on the command line after `--listen`.
    Services that are context managers are entered before the first call, and left after the last one. A plugin that
    cannot be served ends the program with one line on standard error and the status 2. If a synchronous
    handler still runs after the time for draining, or at a second signal, the process ends here, without its thread.

    Args:
        *services: Instances of classes with public, annotated methods.
        listen: One address or more, such as `unix:///run/text.sock`, `http://127.0.0.1:8000` or `stdio:`.
        backend: "asyncio" or "trio"; by default what REMORA_BACKEND says, else asyncio.
        options: Limits and timeouts.
        auth: Who may call, instead of what the options say.
    """
    occupy_standard_streams()
    options = checked_options(options)
    options = options if auth is None else replace(options, auth=auth)
    addresses = _listed(listen) or _addresses_from_outside()
    chosen = backend or os.environ.get(BACKEND) or "asyncio"
    try:
        _require_no_loop()
        with _said_by(BACKEND, chosen):
            require_backend(chosen)
        anyio.run(_serve, services, addresses, options, backend=chosen)
    except RemoraError as error:
        raise SystemExit(_complain(error)) from None
    leave_threads_behind(0)


def _require_no_loop() -> None:
    try:
        anyio.get_current_task()
    except anyio.NoEventLoopError:
        return
    raise ConfigError("serve() runs an event loop of its own; where one runs, use `async with serving(...)`")


async def _serve(services: Sequence[object], addresses: Sequence[str], options: ServeOptions) -> None:
    await serve_until_stopped(*services, listen=addresses, options=options, announce=_announce)


async def serve_until_stopped(
    *services: object,
    listen: str | Sequence[str],
    options: ServeOptions | None = None,
    announce: Callable[[Served], None] | None = None,
) -> None:
    """
    Serve as `serve` does, on the running event loop; returns when the plugin has stopped.

    Args:
        *services: Instances of classes with public, annotated methods.
        listen: One address or more.
        options: Limits and timeouts.
        announce: Called once the plugin can be reached.

    Raises:
        RemoraError: It cannot be served; the message says why.
    """
    _require_signals()
    options = checked_options(options)
    time = TimeToStop(options.drain_timeout)
    with anyio.open_signal_receiver(*stopping_signals()) as signals:
        async with background_tasks() as tasks:
            with anyio.CancelScope() as whole:
                stages = Stages(whole)
                tasks.start_soon(stages.heed, signals)
                async with _served(services, _listed(listen), options, time) as served:
                    if announce is not None:
                        announce(served)
                    await _be_open(served, stages)
                    await _drain(served, stages, time, options.drain_timeout)
                    stages.turn_to(whole)


def _require_signals() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("only the main thread hears the signals that end serve(); elsewhere use `serving(...)`")


async def _be_open(served: Served, stages: Stages) -> None:
    with anyio.CancelScope() as scope:
        stages.turn_to(scope)
        await served.wait_closed()


async def _drain(served: Served, stages: Stages, time: TimeToStop, limit: float) -> None:
    _log.info("stopping; %d calls under way", served.dispatcher.active)
    time.begin()
    with anyio.move_on_after(limit) as scope:
        stages.turn_to(scope)
        await served.dispatcher.drain()
    if scope.cancel_called:
        time.hurry()


@asynccontextmanager
async def serving(
    *services: object,
    listen: str | Sequence[str],
    options: ServeOptions | None = None,
    extensions: Sequence[object] = (),
) -> AsyncIterator[Served]:
    """
    Serve objects while the context lasts, for programs that do more than that, and for tests.

    Objects that are context managers are entered, in their order, before the first call, and left after the last one.

    Args:
        *services: Instances of classes with public, annotated methods.
        listen: One address or more; the bare form `SCHEME:` takes a free local one.
        options: Limits and timeouts.
        extensions: Hook modules or objects beside the installed ones.

    Raises:
        ConfigError: An address makes no sense, or the objects have nothing to serve.
        Unavailable: An address is taken, or an object cannot start.
        PluginError: An object has failed to end.
    """
    options = checked_options(options)
    async with _served(services, _listed(listen), options, TimeToStop(options.drain_timeout), extensions) as served:
        yield served


@asynccontextmanager
async def _served(
    services: Sequence[object],
    addresses: Sequence[str],
    options: ServeOptions,
    time: TimeToStop,
    extensions: Sequence[object] = (),
) -> AsyncIterator[Served]:
    if not addresses:
        raise ConfigError(f"nowhere to listen: pass --listen ADDRESS, or let a host set {LISTEN}")
    catalog = load_catalog(extensions)
    dispatcher = assemble_dispatcher(services, catalog, options)
    lives = with_lifetimes(services)
    places = []
    for address in addresses:
        with _said_by(LISTEN, address):
            places.append(place_of(catalog, address, options))
    stack = AsyncExitStack()
    try:
        for transport, endpoint in places:
            if (preparing := getattr(transport, "preparing", None)) is not None:  # as in `PreparingTransport`
                with _said_by(LISTEN, endpoint.url):
                    stack.enter_context(preparing(endpoint))
        if lives:
            await stack.enter_async_context(living(lives, time))
            stack.push_async_callback(settled, dispatcher)
        listeners = []
        for transport, endpoint in places:
            with _said_by(LISTEN, endpoint.url):
                listeners.append(await stack.enter_async_context(transport.listen(endpoint, dispatcher)))
        yield Served(dispatcher, listeners)
    finally:  # without the body's exception, so that it leaves as it is and not in a group
        await stack.aclose()


def dispatcher_for(
    *services: object, options: ServeOptions | None = None, extensions: Sequence[object] = ()
) -> Dispatcher:
    """
    What answers calls for objects, for servers that Remora does not run itself (see `remora_http.asgi`). Objects that
    are context managers are not entered: see `entered`.

    Args:
        *services: Instances of classes with public, annotated methods.
        options: Limits, and who may call.
        extensions: Hook modules or objects beside the installed ones.

    Raises:
        ConfigError: The objects have nothing to serve.
    """
    return assemble_dispatcher(services, load_catalog(extensions), checked_options(options))


@asynccontextmanager
async def entered(*services: object, options: ServeOptions | None = None) -> AsyncIterator[None]:
    """
    Objects that are context managers, entered as `serving` enters them, for servers that Remora does not run itself.
    Objects that are none are left alone.

    Args:
        *services: What is served.
        options: `drain_timeout` limits the time in which they are left.

    Raises:
        ConfigError: The class of an object has only half of what makes a context manager.
        Unavailable: One of them cannot start.
        PluginError: One of them has failed to end.
    """
    async with living(with_lifetimes(services), TimeToStop(checked_options(options).drain_timeout)):
        yield


@contextmanager
def _said_by(variable: str, word: str) -> Iterator[None]:
    """
    Name the environment variable that a word has come from, in what is wrong with it.
    """
    try:
        yield
    except ConfigError as error:
        if word in os.environ.get(variable, "").split():
            error.found_in(variable)
        raise


def _listed(listen: str | Sequence[str]) -> list[str]:
    return [listen] if isinstance(listen, str) else list(listen)


async def _first_of(*waits: Callable[[], Any]) -> None:
    """
    Return when the first of them does, and cancel the others.
    """
    async with anyio.create_task_group() as group:

        async def wait(one: Callable[[], Any]) -> None:
            await one()
            group.cancel_scope.cancel()

        for one in waits:
            group.start_soon(wait, one)


def _addresses_from_outside() -> list[str]:
    """
    The addresses in the host's variable, or else on the command line.
    """
    if LISTEN in os.environ:
        return os.environ[LISTEN].split()
    import argparse  # only who starts it by hand needs it

    parser = argparse.ArgumentParser(description="A plugin for Remora hosts.")
    parser.add_argument("--listen", action="append", metavar="ADDRESS", default=[], help="where to serve; repeatable")
    listen: list[str] = parser.parse_args().listen
    return listen


def _announce(served: Served) -> None:
    names = ", ".join(info.name for info in served.dispatcher.services)
    for endpoint in served.endpoints:
        if endpoint.scheme == "stdio":  # the host knows, and its log has better things to show
            continue
        with suppress(OSError):  # it is served all the same where its words go to a full disk
            print(f"remora: serving {names} at {endpoint.url}", file=sys.stderr, flush=True)


def _complain(error: RemoraError) -> int:
    print(f"remora: {error}", file=sys.stderr)
    return 2
