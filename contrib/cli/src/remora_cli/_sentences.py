"""
What the configuration of one plugin means, in sentences.

What lives here: from a record to words. What must not: printing, files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.config import without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remora.config import PluginConfig
    from remora.specs import TransportSpec
    from remora.types import Endpoint


_TOPICS: dict[str, tuple[str, ...]] = {
    "state": ("enabled",),
    "rate limit": ("rate_limit",),
    "places": ("connection.max_connections", "connection.max_pending", "connection.adaptive_limit"),
    "time": ("connection.request_timeout", "connection.connection_timeout"),
    "retry": ("retry",),
    "target": ("endpoint", "endpoints", "resolver", "executable", "transport", "instances", "balancer", "priority"),
    "method": ("service", "method", "codec"),
    "circuit breaker": ("circuit_breaker",),
    "health": ("health_check",),
    "auth": ("auth",),
    "fallback": ("fallback",),
    "version": ("version",),
    "requirements": ("requires",),
    "options": ("options",),
}
"""What is told, in this order, and the keys of the plugin's table that decide it."""


@dataclass(frozen=True, slots=True)
class Point:
    """
    One thing to know.

    Attributes:
        topic: What it is about, in a word.
        text: The sentences.
        keys: The keys of the plugin's table that decide it, tables with all that is in them.
    """

    topic: str
    text: str
    keys: tuple[str, ...]


def points(plugin: PluginConfig, transports: Sequence[TransportSpec[object]]) -> list[Point]:
    """
    All that there is to know about a plugin, in the order in which a call meets it.

    Args:
        plugin: Its configuration.
        transports: Those that are installed.
    """
    texts = [
        _state(plugin),
        _rate_limit(plugin),
        _places(plugin),
        _time(plugin),
        _retry(plugin),
        _target(plugin, transports),
        _method(plugin),
        _breaker(plugin),
        _health(plugin),
        _auth(plugin),
        _fallback(plugin),
        _version(plugin),
        _requirements(plugin),
        _options(plugin),
    ]
    return [Point(topic, text, keys) for (topic, keys), text in zip(_TOPICS.items(), texts, strict=True)]


def _seconds(value: float) -> str:
    return f"{value * 1000:g} ms" if value < 1 else f"{value:g} s"


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _state(plugin: PluginConfig) -> str:
    if plugin.enabled:
        return "It is switched on."
    return "It is switched off, by enabled = false: every call of it fails with PluginDisabled. Were it on:"


def _rate_limit(plugin: PluginConfig) -> str:
    limit = plugin.rate_limit
    if not limit.enabled:
        return "Off: calls are let through as they come."
    above = "wait for their turn" if limit.mode == "wait" else "are refused with RateLimited"
    rate = f"{limit.requests_per_second:g} calls a second, and {limit.burst_size} at once after a pause"
    return f"No more than {rate}; those above {above}."


def _places(plugin: PluginConfig) -> str:
    connection = plugin.connection
    adaptive = " Fewer while it answers slower than usual." if connection.adaptive_limit.enabled else ""
    under_way = f"At most {_many(connection.max_connections, 'call')} at once to one instance"
    return f"{under_way}; up to {connection.max_pending} wait, more are refused with Overloaded.{adaptive}"


def _time(plugin: PluginConfig) -> str:
    connection = plugin.connection
    longest = f"A call may take at most {_seconds(connection.request_timeout)}, with all its attempts"
    return f"{longest}; a connection, or a process, must be there within {_seconds(connection.connection_timeout)}."


def _retry(plugin: PluginConfig) -> str:
    retry = plugin.retry
    if not retry.max_retries:
        return "Off, by max_retries = 0: every call is tried once."
    methods = ", ".join(retry.idempotent_methods)
    also = f" So may be, as configured here: {methods}." if methods else ""
    waits = f"waits grow from {_seconds(retry.initial_interval)} to {_seconds(retry.max_interval)}"
    jitter = ", each drawn at random up to that" if retry.random_jitter else ""
    condition = "where it was never sent or its method says that it may be called twice"
    times = f"up to {_many(retry.max_retries, 'time')}"
    return f"A call that failed for a passing reason is tried again {times}, {condition}; {waits}{jitter}.{also}"


def _target(plugin: PluginConfig, transports: Sequence[TransportSpec[object]]) -> str:
    endpoints = plugin.endpoints or ()
    if plugin.resolver.method:
        return _resolved(plugin)
    if not endpoints:
        address = plugin.endpoint or f"{plugin.transport or 'exec'}:{plugin.executable}"
        return f"Calls go to {_address(plugin, address, transports)}{_instances(plugin)}."
    spread = f"by the balancer {plugin.balancer!r}" if plugin.balancer else "in turns"
    listed = "; ".join(f"{_address(plugin, each.url, transports)}{_share(each)}" for each in endpoints)
    return f"Calls are spread {spread} over {_many(len(endpoints), 'endpoint')}{_instances(plugin)}: {listed}."


def _resolved(plugin: PluginConfig) -> str:
    known = [without_credentials(each) for each in (plugin.endpoint, *(each.url for each in plugin.endpoints)) if each]
    until = " Until it has told, calls " + (f"go to {', '.join(known)}." if known else "wait.")
    spread = f"by the balancer {plugin.balancer!r}" if plugin.balancer else "in turns"
    return f"Calls go where the resolver {plugin.resolver.method!r} says, spread {spread}{_instances(plugin)}.{until}"


def _address(plugin: PluginConfig, url: str, transports: Sequence[TransportSpec[object]]) -> str:
    scheme = url.partition(":")[0].lower()
    if plugin.transport:
        return f"{without_credentials(url)} over the transport {plugin.transport!r}, as configured"
    names = [each.name for each in transports if scheme in each.schemes]
    found = f"over the transport {names[0]!r}, by its scheme" if names else "for which no transport is installed"
    return f"{without_credentials(url)} {found}"


def _instances(plugin: PluginConfig) -> str:
    return "" if plugin.instances == 1 else f", {plugin.instances} instances of each"


def _share(endpoint: Endpoint) -> str:
    return f" (weight {endpoint.weight}, priority {endpoint.priority})"


def _method(plugin: PluginConfig) -> str:
    what = [f"{kind} {name!r}" for kind, name in (("service", plugin.service), ("method", plugin.method)) if name]
    named = (
        f"A call that names none goes to {' and '.join(what)}." if what else "Each call names its service and method."
    )
    codec = (
        f"in the format {plugin.codec!r}" if plugin.codec else "in JSON, unless their types have a format of their own"
    )
    return f"{named} Payloads are written {codec}."


def _breaker(plugin: PluginConfig) -> str:
    breaker = plugin.circuit_breaker
    if not breaker.enabled:
        return "Off: instances that fail are called on and on."
    failures = f"{_many(breaker.failure_threshold, 'failure')} within {_seconds(breaker.window)}"
    rate = f", and {breaker.failure_rate:.0%} of the calls" if breaker.failure_rate else ""
    slow = (
        f" Calls of {_seconds(breaker.slow_call_duration)} and more count as slow."
        if breaker.slow_call_duration
        else ""
    )
    pause = f"an instance is left alone for {_seconds(breaker.recovery_timeout)}"
    return f"After {failures}{rate}, {pause}; then {_many(breaker.success_threshold, 'probe')} must succeed.{slow}"


def _health(plugin: PluginConfig) -> str:
    health = plugin.health_check
    if not health.enabled:
        return "Off: instances are not probed; their health is what calls tell."
    how = f" at {health.endpoint}" if health.endpoint else ""
    often = f"Each instance is probed{how} every {_seconds(health.interval)}, for at most {_seconds(health.timeout)}"
    return f"{often}; after {_many(health.failure_limit, 'failure')} in a row it gets no calls until it answers again."


def _auth(plugin: PluginConfig) -> str:
    auth = plugin.auth
    if auth.method and plugin.protocol == "oneshot" and _is_program(plugin):
        return "The host does not prove who it is: a program that is started for each call gets no headers."
    proof = f"The host proves who it is by {auth.method!r}" if auth.method else "The host does not prove who it is"
    return " ".join([f"{proof}{_proof_from(plugin)}.", *_certificates(plugin)])


def _is_program(plugin: PluginConfig) -> bool:
    addresses = [plugin.endpoint, *(each.url for each in plugin.endpoints or ())]
    return bool(plugin.executable) or any(each.startswith("exec:") for each in addresses)


def _proof_from(plugin: PluginConfig) -> str:
    auth = plugin.auth
    if auth.token_file:
        return f", with the token in {auth.token_file}"
    if auth.token_command:
        return f", with the token that {auth.token_command[0]} prints"
    return f", as {auth.username!r}" if auth.username else ""


def _certificates(plugin: PluginConfig) -> Iterator[str]:
    if plugin.auth.cert_file:
        yield f"It shows the certificate {plugin.auth.cert_file}."
    if plugin.auth.ca_file:
        yield f"It trusts the authorities in {plugin.auth.ca_file}."


def _fallback(plugin: PluginConfig) -> str:
    fallback = plugin.fallback
    if fallback is None:
        return "Off: a call that cannot be answered fails."
    if fallback.plugin:
        return f"Where the plugin cannot answer, {fallback.plugin!r} is asked."
    if fallback.last_good is not None:
        return f"Where the plugin cannot answer, its last good reply does, up to {_seconds(fallback.last_good)} old."
    return "Where the plugin cannot answer, the configured value is the reply."


def _version(plugin: PluginConfig) -> str:
    if not plugin.version:
        return "Any version is taken."
    if plugin.version[0] in "<>=!~":
        return f"An instance whose version is not {plugin.version} is not used."
    return f"It is shown as {plugin.version} where it does not say so itself."


def _requirements(plugin: PluginConfig) -> str:
    if not plugin.requires:
        return "It is started without waiting for others."
    return f"It is started once these have been ready, and stopped before them: {', '.join(plugin.requires)}."


def _options(plugin: PluginConfig) -> str:
    if not plugin.options:
        return "The transport is used as it is."
    return f"The transport is told: {', '.join(_option(key, value) for key, value in plugin.options.items())}."


def _option(key: str, value: object) -> str:
    # A text may be a secret of an extension's transport.
    shown = str(value).lower() if isinstance(value, bool | int | float) else ""
    return f"{key} = {shown}" if shown else key
