"""
The plugin author's side: objects with methods become a served plugin.

What lives here: where to listen, how to stop. What must not: how a call is answered (see `_serving._dispatch`).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import anyio

from remora import config
from remora._backend import require_backend
from remora._extensions._interception import served_interceptors
from remora._extensions._options import build_options
from remora._extensions._registry import load_catalog
from remora._frozen import dataclass
from remora._serving._dispatch import Dispatcher
from remora._serving._guard import Guard
from remora._serving._lifetimes import TimeToStop, living, settled, with_lifetimes
from remora._serving._preload import preload
from remora._serving._process import leave_threads_behind, occupy_standard_streams, stopping_signals
from remora._serving._stages import Stages
from remora.errors import ConfigError, RemoraError
from remora.io import background_tasks
from remora.types import Endpoint
from remora.values import Limits, check_number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from remora._extensions._catalog import Catalog
    from remora.config import AccessConfig, InterceptorConfig
    from remora.protocols import Listener, Transport

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """
    How a plugin is served.

    Attributes:
        max_concurrent_calls: Calls that are answered at once.
        drain_timeout: Seconds that calls under way, and then the services, get to end when the plugin is asked to stop.
        transport: Options of the transport, as in a host's `options` table.
        auth: Who may call: a record, a table as in a file, or a text as after `--auth`. None lets everybody call.
        interceptors: Which interceptors are switched off, and the options of others, by name: records, or tables as in
            a host's `[interceptors.NAME]`.
    """

    max_concurrent_calls: int = 1000
    drain_timeout: float = 30.0
    transport: Mapping[str, object] = field(default_factory=dict)
    auth: AccessConfig | Mapping[str, object] | str | None = None
    interceptors: Mapping[str, InterceptorConfig | Mapping[str, object]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.max_concurrent_calls, int):
            raise ValueError(f"max_concurrent_calls: expected a whole number, got {self.max_concurrent_calls!r:.40}")
        check_number("max_concurrent_calls", self.max_concurrent_calls, Limits(1))
        check_number("drain_timeout", self.drain_timeout, Limits(0, is_duration=True))
        for name in ("transport", "interceptors"):
            if not isinstance(given := getattr(self, name), Mapping):
                raise ValueError(f"{name}: expected a table, got {type(given).__name__}")  # it may hold secrets


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
    options = _checked(options)
    options = options if auth is None else replace(options, auth=auth)
    addresses = [listen] if isinstance(listen, str) else list(listen)
    addresses = addresses or _addresses_from_outside()
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
    listen: Sequence[str],
    options: ServeOptions | None = None,
    announce: Callable[[Served], None] | None = None,
) -> None:
    """
    Serve as `serve` does, on the running event loop; returns when the plugin has stopped.

    Args:
        *services: Instances of classes with public, annotated methods.
        listen: The addresses.
        options: Limits and timeouts.
        announce: Called once the plugin can be reached.

    Raises:
        RemoraError: It cannot be served; the message says why.
    """
    options = _checked(options)
    time = TimeToStop(options.drain_timeout)
    with anyio.open_signal_receiver(*stopping_signals()) as signals:
        async with background_tasks() as tasks:
            with anyio.CancelScope() as whole:
                stages = Stages(whole)
                tasks.start_soon(stages.heed, signals)
                async with _served(services, listen, options, time) as served:
                    if announce is not None:
                        announce(served)
                    await _be_open(served, stages)
                    await _drain(served, stages, time, options.drain_timeout)
                    stages.turn_to(whole)


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
    options = _checked(options)
    addresses = [listen] if isinstance(listen, str) else list(listen)
    async with _served(services, addresses, options, TimeToStop(options.drain_timeout), extensions) as served:
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
    dispatcher = _dispatcher(services, catalog, options)
    lives = with_lifetimes(services)
    places = []
    for address in addresses:
        with _said_by(LISTEN, address):
            places.append(_place(catalog, address, options))
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
    return _dispatcher(services, load_catalog(extensions), _checked(options))


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
    async with living(with_lifetimes(services), TimeToStop(_checked(options).drain_timeout)):
        yield


def _checked(options: ServeOptions | None) -> ServeOptions:
    given: object = ServeOptions() if options is None else options
    if not isinstance(given, ServeOptions):
        raise TypeError(f"the options are to be ServeOptions(...), not a {type(given).__name__}")
    return given


def _dispatcher(services: Sequence[object], catalog: Catalog, options: ServeOptions) -> Dispatcher:
    return Dispatcher(
        services,
        catalog=catalog,
        max_concurrent_calls=options.max_concurrent_calls,
        guard=_guard(catalog, _access(options)),
        interceptors=served_interceptors(catalog, _interceptors(options)),
    )


def _interceptors(options: ServeOptions) -> Mapping[str, InterceptorConfig]:
    """
    The tables of interceptors.

    Raises:
        ConfigError: One of them has problems.
    """
    if not options.interceptors:  # the records of a configuration are not loaded for nothing
        return {}
    known: dict[str, InterceptorConfig] = {}
    tables: dict[str, object] = {}
    for name, each in options.interceptors.items():
        if isinstance(each, config.InterceptorConfig):
            known[name] = each
        else:
            tables[name] = each
    _raise(config.problems_of_config(config.ManagerConfig(interceptors=known)))
    return {**known, **config.structure_config({"interceptors": tables}).interceptors}


def _access(options: ServeOptions) -> AccessConfig | None:
    """
    Who may call; None when nothing is said about it.

    Raises:
        ConfigError: What is said makes no sense.
    """
    auth = options.auth
    if auth is None:
        return None
    if isinstance(auth, str):
        return config.read_access(auth)
    if isinstance(auth, Mapping):
        return config.load_access(auth)
    if not isinstance(auth, config.AccessConfig):
        raise ConfigError(f"auth: expected a record, a table or a text, got {type(auth).__name__}")
    _raise(config.problems_of_record(auth, "auth"))
    return auth


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError(config.summary(problems), problems=problems)


def _guard(catalog: Catalog, access: AccessConfig | None) -> Guard | None:
    """
    What admits calls; None when everybody may call.
    """
    if access is None:
        return None
    if not access.method:
        if replace(access, cert_file="", key_file="", ca_file="") != config.AccessConfig():
            raise ConfigError("auth.method: missing")
        return None
    feature = catalog.auth_method(access.method)
    if feature.spec.accept is None:
        raise ConfigError(f"auth.method: {feature.named('auth method')} cannot verify callers")
    verifier = feature.build("auth method", access, by="accept", where="auth")
    if verifier is not None:
        return Guard(verifier, access, feature.named("auth method"))
    if access.allow:
        raise ConfigError(f"auth.allow: the method {access.method!r} lets everybody call, and knows nobody's name")
    return None


def _place(catalog: Catalog, address: str, options: ServeOptions) -> tuple[Transport, Endpoint]:
    """
    An address, and what serves there.
    """
    endpoint = Endpoint(address)
    feature = catalog.transport(endpoint.scheme)
    access = _access(options)
    method = access.method if access is not None else ""
    needs_tls = method and catalog.auth_method(method).spec.needs_tls
    if needs_tls and endpoint.scheme not in feature.spec.secure_schemes:
        raise ConfigError(f"the auth method {method!r} needs an address that encrypts, not {address}")
    where = f"the address {address}"
    record = build_options(feature.spec, where=where, own=options.transport, access=access)
    return feature.build("transport", record), endpoint


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
