"""
What hooks return: the descriptions of features, each with a name and a way to build the feature when it is needed.

What lives here: frozen records. What must not: anything that imports a feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from remora._frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from remora.config import AccessConfig
    from remora.protocols import (
        AttemptInterceptor,
        AuthMethod,
        Balancer,
        Codec,
        Interceptor,
        MetricExporter,
        PullExporter,
        Resolver,
        Tracing,
        Transport,
        Verifier,
    )
    from remora.types import Endpoint

__all__ = [
    "AuthSpec",
    "BalancerSpec",
    "CodecSpec",
    "CommandSpec",
    "ExporterSpec",
    "InterceptorSpec",
    "ResolverSpec",
    "TransportSpec",
]

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class TransportSpec(Generic[Options]):
    """
    A way to carry calls.

    Attributes:
        name: The word for `transport = "..."`.
        schemes: The URL schemes that choose it.
        options: A dataclass whose fields all have defaults. A field named like a key of a plugin's table
            (`args`, `env`, `connection` ...) receives that key's value, `name` the plugin's name, `security` the
            whole `[security]` table (a `SecurityConfig`); every other field is a key of the plugin's `options` table.
            `ca_file`, `cert_file`, `key_file` and `server_name` may stand in the plugin's `auth` table as well.
            A reload that changes such a key opens new instances; `connection` and `health_check` are told anew only
            when a key of theirs changes that Remora does not see to itself.
        build: Makes the transport from such a record; called when a plugin is made, and for new instances after a
            reload. It may import what is heavy.
        native_deadline: The channel ends a call at `Call.deadline` by itself; otherwise the pipeline does.
        launches: Endpoints are programs that the transport starts; the program serves on `stdio:`.
        secure_schemes: Those of the schemes that encrypt.
        limits_calls: Its channels keep to `connection.max_connections` themselves, so that a change needs new ones.
        check: Raises a ConfigError for an endpoint that can never be called, so that this is found before anything is
            opened. It does no I/O.
    """

    name: str
    schemes: tuple[str, ...]
    options: type[Options]
    build: Callable[[Options], Transport]
    native_deadline: bool = False
    launches: bool = False
    secure_schemes: tuple[str, ...] = ()
    limits_calls: bool = False
    check: Callable[[Endpoint], object] | None = None


@dataclass(frozen=True, slots=True)
class AuthSpec(Generic[Options]):
    """
    A way to prove who calls.

    Attributes:
        name: The word for `method = "..."` in an `auth` table.
        options: A dataclass whose fields all have defaults. A field named like a key of the `auth` table
            (`token`, `header`, `headers` ...) receives that key's value; every other field is a key of its
            `options` table.
        build: Makes the method for one plugin from such a record; None when there is nothing to do for a call.
        accept: Served side: makes what verifies callers, or None to let everybody call. None when it cannot.
        needs_tls: The proof is part of the encryption, so that an endpoint without makes no sense.
    """

    name: str
    options: type[Options]
    build: Callable[[Options], AuthMethod | None]
    accept: Callable[[AccessConfig], Verifier | None] | None = None
    needs_tls: bool = False


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """
    A format for payloads.

    Attributes:
        name: The word for `codec = "..."`.
        content_types: The media types that it reads; the first is the one that it writes.
        build: Makes the codec; called once, when it is first needed.
        claims: Whether a record type can be written in no other format, so that the codec need not be configured.
    """

    name: str
    content_types: tuple[str, ...]
    build: Callable[[], Codec]
    claims: Callable[[object], bool] | None = None


@dataclass(frozen=True, slots=True)
class BalancerSpec:
    """
    A way to choose among the instances of a plugin.

    Attributes:
        name: The word for `balancer = "..."`.
        build: Makes the balancer for one plugin, given a clock in seconds and a source of chance.
        learns: Whether it is to be told how calls begin and end; one that does nothing with it makes calls slower.
        sticky: Whether it stays with one candidate on purpose, as long as that can take calls. Nothing but the contract
            looks at it.
        keyed: Whether it looks at the key of a call; `hash_header` has no effect with one that says no.
    """

    name: str
    build: Callable[[Callable[[], float], Random], Balancer]
    learns: bool = True
    sticky: bool = False
    keyed: bool = True


@dataclass(frozen=True, slots=True)
class InterceptorSpec:
    """
    Something that wraps calls, in the host or in a served plugin.

    Attributes:
        name: Its name, for `remora extensions`, and the word after `interceptors.` in the configuration.
        build: Makes what wraps the calls of one plugin, given the plugin's name; None leaves that plugin alone.
        order: The lowest number is outermost; equal numbers go by name.
        attempt: Likewise, what wraps each attempt: it sees the instance, and every retry by itself.
        serve: Served side: makes what wraps the calls that a plugin answers, or None to leave them alone.
        waits: Whether what `build` and `attempt` make may wait for something of its own. One that awaits nothing but
            `proceed` saves every call a timer by saying no.
        tracing: Makes what knows the trace of a call, or None where there is none; for who makes spans.
        options: A dataclass whose fields all have defaults; each is a key of the `[interceptors.NAME]` table. With it,
            `build`, `attempt`, `serve` and `tracing` get such a record as one more argument, the last.
    """

    name: str
    build: Callable[[str], Interceptor | None] | Callable[[str, Any], Interceptor | None]
    order: int = 0
    attempt: Callable[[str], AttemptInterceptor | None] | Callable[[str, Any], AttemptInterceptor | None] | None = None
    serve: Callable[[], Interceptor | None] | Callable[[Any], Interceptor | None] | None = None
    waits: bool = True
    tracing: Callable[[], Tracing | None] | Callable[[Any], Tracing | None] | None = None
    options: type[Any] | None = None


@dataclass(frozen=True, slots=True)
class ExporterSpec(Generic[Options]):
    """
    A way to take metrics out of the process.

    Attributes:
        name: The word after `exporters.` in the configuration.
        options: A dataclass whose fields all have defaults; each is a key of the `[exporters.NAME]` table.
        build: Makes the exporter for one manager from such a record. It may import what is heavy.
    """

    name: str
    options: type[Options]
    build: Callable[[Options], MetricExporter | PullExporter]


@dataclass(frozen=True, slots=True)
class ResolverSpec(Generic[Options]):
    """
    A way to find out where a plugin is.

    Attributes:
        name: The word for `method = "..."` in a `resolver` table.
        options: A dataclass whose fields all have defaults. A field named like a key of a plugin's table
            (`endpoints`, `priority`, `labels` ...) receives that key's value, `name` the plugin's name; every other
            field is a key of the `resolver` table.
        build: Makes the resolver of one plugin from such a record. It may import what is heavy.
    """

    name: str
    options: type[Options]
    build: Callable[[Options], Resolver]


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """
    A command of the command line.

    Attributes:
        name: The word after `remora`.
        build: Makes the `click.Command`; called when the command is used or its help is shown.
        help: One line for the list of commands.
    """

    name: str
    build: Callable[[], object]
    help: str
