"""
All hooks of Remora. An extension implements those it needs, each marked with `hookimpl`.

An extension is an installed distribution with one entry point in the group `remora` whose value is a module
that imports nothing heavy. Hooks are called once, when a manager is built; the call path never comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from remora.specs import (
        AuthSpec,
        BalancerSpec,
        CodecSpec,
        CommandSpec,
        ExporterSpec,
        InterceptorSpec,
        ResolverSpec,
        TransportSpec,
    )
    from remora.types import Event

__all__ = [
    "hookimpl",
    "remora_event",
    "remora_register_auth_methods",
    "remora_register_balancers",
    "remora_register_codecs",
    "remora_register_commands",
    "remora_register_interceptors",
    "remora_register_metric_exporters",
    "remora_register_resolvers",
    "remora_register_transports",
]

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("remora")
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("remora")


@hookspec
def remora_register_transports() -> Iterable[TransportSpec[Any]]:
    """
    Add ways to carry calls.

    Called once per manager, when it is built, and by `remora serve`.

    Returns:
        The transports of this extension. The scheme of a plugin's endpoint chooses among all that are installed.

    Example:
        >>> from dataclasses import dataclass
        >>> from remora import TransportSpec, hookimpl
        >>>
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     max_message_size: int = 4 * 1024 * 1024
        >>>
        >>> def build(options):
        ...     from acme_carrier._transport import CarrierTransport
        ...     return CarrierTransport(options)
        >>>
        >>> @hookimpl
        ... def remora_register_transports():
        ...     return [TransportSpec(name="carrier", schemes=("carrier",), options=Options, build=build)]
    """
    yield from ()


@hookspec
def remora_register_codecs() -> Iterable[CodecSpec]:
    """
    Add formats for payloads.

    Called once per manager, when it is built, and by `remora serve`.

    Returns:
        The codecs of this extension. `codec = "..."` in a plugin's table chooses one, and so does a record type
        that a codec claims for itself.

    Example:
        >>> import ast
        >>>
        >>> from remora import CodecSpec, hookimpl
        >>> from remora.codecs import RecordConverter
        >>>
        >>> WRONG = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)
        >>>
        >>> class LiteralCodec:
        ...     content_type = "text/x-python-literal"
        ...
        ...     def __init__(self):
        ...         self._records = RecordConverter("a Python literal")
        ...
        ...     def encode(self, value):
        ...         text = repr(self._records.unstructure(value))
        ...         try:
        ...             ast.literal_eval(text)
        ...         except WRONG as error:
        ...             raise self._records.refusal(value, error) from error
        ...         return text.encode()
        ...
        ...     def decode(self, payload, type_):
        ...         try:
        ...             plain = ast.literal_eval(payload.decode()) if payload else None
        ...         except WRONG as error:
        ...             raise ValueError(f"not a Python literal: {error}") from error
        ...         return self._records.structure(plain, type_)
        >>>
        >>> @hookimpl
        ... def remora_register_codecs():
        ...     return [CodecSpec(name="literal", content_types=("text/x-python-literal",), build=LiteralCodec)]
    """
    yield from ()


@hookspec
def remora_register_balancers() -> Iterable[BalancerSpec]:
    """
    Add ways to choose among the instances of a plugin.

    Called once per manager, when it is built.

    Returns:
        The balancers of this extension. `balancer = "..."` in a plugin's table chooses one.

    Example:
        >>> from remora import BalancerSpec, hookimpl
        >>>
        >>> class LeastBusy:
        ...     def __init__(self, rng):
        ...         self._rng = rng
        ...
        ...     def pick(self, candidates, key):
        ...         wanted = [each for each in candidates if each.weight] or candidates
        ...         fewest = min(each.in_flight for each in wanted)
        ...         return self._rng.choice([each for each in wanted if each.in_flight == fewest])
        ...
        ...     def started(self, candidate):
        ...         pass
        ...
        ...     def finished(self, candidate, *, latency, ok):
        ...         pass
        ...
        ...     def forget(self, name):
        ...         pass
        >>>
        >>> def build(clock, rng):
        ...     return LeastBusy(rng)
        >>>
        >>> @hookimpl
        ... def remora_register_balancers():
        ...     return [BalancerSpec(name="least-busy", build=build, learns=False)]
    """
    yield from ()


@hookspec
def remora_register_auth_methods() -> Iterable[AuthSpec[Any]]:
    """
    Add ways to prove who calls.

    Called once per manager, when it is built, and by `remora serve`.

    Returns:
        The auth methods of this extension. `auth = { method = "..." }` in a plugin's table chooses one.

    Example:
        >>> from dataclasses import dataclass, replace
        >>> from hmac import compare_digest
        >>> from remora import AuthSpec, Code, ConfigError, PluginError, Secret, hookimpl
        >>>
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     token: Secret = Secret()
        >>>
        >>> class Ticket:
        ...     def __init__(self, token):
        ...         self._token = token
        ...
        ...     def flow(self, call):
        ...         yield replace(call, headers={**call.headers, "x-ticket": self._token.reveal()})
        ...
        ...     def verify(self, call, peer):
        ...         ticket = call.headers.get("x-ticket", "")
        ...         if not compare_digest(ticket.encode(), self._token.reveal().encode()):
        ...             raise PluginError("no valid ticket", code=Code.UNAUTHENTICATED)
        ...         return "ticket holder"
        >>>
        >>> def build(options):
        ...     if not options.token:  # an empty one would let everybody in
        ...         raise ConfigError("the method ticket needs a token")
        ...     return Ticket(options.token)
        >>>
        >>> @hookimpl
        ... def remora_register_auth_methods():
        ...     return [AuthSpec(name="ticket", options=Options, build=build, accept=build)]
    """
    yield from ()


@hookspec
def remora_register_interceptors() -> Iterable[InterceptorSpec]:
    """
    Add code that wraps every call of every plugin.

    Called once per manager, when it is built; the order of the result is fixed then.

    Returns:
        The interceptors of this extension. A table `[interceptors.NAME]` sets the options of one, or switches it off.

    Example:
        >>> from dataclasses import dataclass, replace
        >>> from remora import InterceptorSpec, hookimpl
        >>>
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     tenant: str = "acme"
        >>>
        >>> def build(plugin, options):
        ...     async def add_tenant(call, proceed):
        ...         return await proceed(replace(call, headers={**call.headers, "x-tenant": options.tenant}))
        ...     return add_tenant
        >>>
        >>> @hookimpl
        ... def remora_register_interceptors():
        ...     return [InterceptorSpec(name="tenant", build=build, options=Options)]
    """
    yield from ()


@hookspec
def remora_register_metric_exporters() -> Iterable[ExporterSpec[Any]]:
    """
    Add ways to take metrics out of the process.

    Called once per manager, when it is built.

    Returns:
        The exporters of this extension. A table `[exporters.NAME]` switches one on.

    Example:
        >>> from dataclasses import dataclass
        >>> from remora import ExporterSpec, hookimpl
        >>>
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     path: str = "metrics.log"
        >>>
        >>> class LogFile:
        ...     name = "log-file"
        ...
        ...     def __init__(self, path):
        ...         self._file = open(path, "a")
        ...
        ...     def supports(self, kind):
        ...         return kind in ("counter", "gauge")
        ...
        ...     async def export(self, batch):
        ...         for metric in batch.metrics:
        ...             for point in metric.points:
        ...                 print(batch.time, metric.name, *point.labels, point.value, file=self._file)
        ...
        ...     async def close(self):
        ...         self._file.close()
        >>>
        >>> def build(options):
        ...     return LogFile(options.path)
        >>>
        >>> @hookimpl
        ... def remora_register_metric_exporters():
        ...     return [ExporterSpec(name="log-file", options=Options, build=build)]
    """
    yield from ()


@hookspec
def remora_register_resolvers() -> Iterable[ResolverSpec[Any]]:
    """
    Add ways to find out where a plugin is.

    Called once per manager, when it is built.

    Returns:
        The resolvers of this extension. `resolver = { method = "..." }` in a plugin's table chooses one.

    Example:
        >>> from dataclasses import dataclass
        >>> import anyio
        >>> from remora import Endpoint, ResolverSpec, hookimpl
        >>>
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     url: str = "http://127.0.0.1:8000"
        ...     interval: float = 30.0
        >>>
        >>> class OneMoreEachTime:
        ...     def __init__(self, options):
        ...         self._options = options
        ...
        ...     async def watch(self, report):
        ...         found = []
        ...         while True:
        ...             found.append(Endpoint(f"{self._options.url}/{len(found)}"))
        ...             report(found)
        ...             await anyio.sleep(self._options.interval)
        >>>
        >>> @hookimpl
        ... def remora_register_resolvers():
        ...     return [ResolverSpec(name="one-more", options=Options, build=OneMoreEachTime)]
    """
    yield from ()


@hookspec
def remora_register_commands() -> Iterable[CommandSpec]:
    """
    Add commands to the `remora` command line.

    Called once, when the command line starts.

    Returns:
        The commands of this extension. Each is built, as a `click.Command`, when it is used.

    Example:
        >>> from remora import CommandSpec, hookimpl
        >>>
        >>> def build():
        ...     import click
        ...
        ...     @click.command(help="Say hello.")
        ...     def hello():
        ...         click.echo("hello")
        ...     return hello
        >>>
        >>> @hookimpl
        ... def remora_register_commands():
        ...     return [CommandSpec(name="hello", build=build, help="Say hello.")]
    """
    yield from ()


@hookspec
def remora_event(event: Event) -> None:
    """
    Observe the life of a manager: starts, losses, health.

    Called on the manager's event loop for every event, in the order in which they happen. It must not block.
    An exception in it is logged with the extension's name and hurts nobody else.

    Args:
        event: One of the event records of `remora.types`.

    Example:
        >>> from remora import hookimpl
        >>> from remora.types import InstanceLost
        >>>
        >>> @hookimpl
        ... def remora_event(event):
        ...     if isinstance(event, InstanceLost):
        ...         print(f"{event.plugin}: {event.cause}")
    """
