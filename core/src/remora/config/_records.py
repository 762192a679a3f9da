"""
The configuration as frozen records: every key, its type and its default.

What lives here: records. What must not: files, dictionaries, anything that reads or checks them.
"""

# No postponed annotations here: cattrs reads those of dataclasses without what `Annotated` adds, the limits.

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from remora._frozen import dataclass
from remora._hidden import discreet
from remora.config._connection import ConnectionConfig
from remora.config._security import SecurityConfig
from remora.policy import CircuitBreakerConfig, HealthCheckConfig, RateLimitConfig, RetryConfig
from remora.secret import Secret
from remora.types import Endpoint
from remora.values import Count, Duration, Number, Port

TRANSPORT = {"for": "transport"}
"""Marks keys that only the transport uses."""

OBJECT = {"for": "code"}
"""Marks keys whose values are objects, which no file can hold."""

TLS = {"for": "tls"}
"""Marks keys that the transport uses where it encrypts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """
    How the host proves to a plugin who it is.

    Attributes:
        method: The method's name; empty for none.
        api_key: api-key: the key.
        header: api-key: the header that carries it.
        token: bearer: the token.
        token_file: bearer: a file with the token, read again when it changes.
        token_command: bearer: a program and its arguments that print the token, or JSON with it and its lifetime.
        token_source: bearer, in code: a callable, async or not, that returns the token, or a pair of the token and
            the seconds for which it is good.
        username: basic: the name.
        password: basic: the password.
        headers: custom: headers to send.
        custom: custom, in code: an object with the methods of `remora.protocols.AuthMethod`.
        cert_file: A PEM file with the certificate to show, and its chain.
        key_file: A PEM file with the key of that certificate.
        ca_file: A PEM file with the authorities to trust instead of the public ones.
        server_name: The name that the plugin's certificate must be for, when that is not the endpoint's host.
        options: Options of the method, for methods that extensions add.
    """

    method: str = ""
    api_key: Secret = Secret()
    header: str = ""
    token: Secret = Secret()
    token_file: str = ""
    token_command: tuple[str, ...] = ()
    token_source: object = field(default=None, metadata=OBJECT)
    username: str = ""
    password: Secret = Secret()
    headers: Mapping[str, Secret] = field(default_factory=dict)
    custom: object = field(default=None, metadata=OBJECT)
    cert_file: str = field(default="", metadata=TLS)
    key_file: str = field(default="", metadata=TLS)
    ca_file: str = field(default="", metadata=TLS)
    server_name: str = field(default="", metadata=TLS)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessConfig:
    """
    Who may call a served plugin.

    Attributes:
        method: The method's name; empty lets everybody call.
        callers: The accepted keys, tokens or passwords, by the name of the caller that each belongs to.
        callers_file: The same in a file, one `NAME:SECRET` a line, read again when it changes.
        header: api-key: the header that carries the key.
        api_key: api-key: one accepted key.
        token: bearer: one accepted token.
        token_file: bearer: a file with one accepted token, read again when it changes.
        username: basic: one accepted name.
        password: basic: its password.
        custom: custom, in code: an object with the methods of `remora.protocols.Verifier`.
        cert_file: A PEM file with the certificate to show, and its chain.
        key_file: A PEM file with the key of that certificate.
        ca_file: A PEM file with the authorities of the callers' certificates; with it, every caller must have one.
        allow: By caller, what it may call, as patterns such as `text.v1.TextProcessor/*`; empty lets all call all.
        open_health: Whether health is answered without credentials.
        open_describe: Whether the plugin describes itself without credentials.
        options: Options of the method, for methods that extensions add.
    """

    method: str = ""
    callers: Mapping[str, Secret] = field(default_factory=dict)
    callers_file: str = ""
    header: str = ""
    api_key: Secret = Secret()
    token: Secret = Secret()
    token_file: str = ""
    username: str = ""
    password: Secret = Secret()
    custom: object = field(default=None, metadata=OBJECT)
    cert_file: str = field(default="", metadata=TLS)
    key_file: str = field(default="", metadata=TLS)
    ca_file: str = field(default="", metadata=TLS)
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    open_health: bool = True
    open_describe: bool = False
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackConfig:
    """
    What answers a call instead of a plugin that cannot. Exactly one key; the plugin's own errors are never replaced.

    Attributes:
        value: A JSON value that is the reply.
        last_good: Reply as the plugin last did to the same request, if that is at most this many seconds ago.
        plugin: The name of another plugin that is asked instead.
    """

    value: object = None
    last_good: Duration | None = None
    plugin: str = ""

    def __post_init__(self) -> None:
        if (self.value is not None) + (self.last_good is not None) + bool(self.plugin) != 1:
            raise ValueError("expected exactly one of value, last_good and plugin")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverConfig:
    """
    Where the endpoints of a plugin come from when they may change while it runs.

    Attributes:
        method: The resolver's name; empty when only `endpoint` and `endpoints` say where the plugin is.
        options: The other keys of the table, which depend on the resolver.
    """

    method: str = ""
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptorConfig:
    """
    One interceptor, as its `[interceptors.NAME]` table says, or one of that name in a plugin's own `interceptors`.

    Attributes:
        enabled: Whether calls go through it. They do unless it is switched off.
        options: The other keys of the table, which depend on the interceptor.
    """

    enabled: bool | None = None
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


@discreet
@dataclass(frozen=True, slots=True, kw_only=True)
class PluginConfig:
    """
    One plugin, as its `[plugins.NAME]` table says.

    Attributes:
        name: The word after `plugins.`.
        endpoint: Where it is; short for `endpoints` with one entry.
        endpoints: Where it is, when it is in more than one place.
        resolver: What finds out where it is, and notices changes; `endpoints` are used until it has reported some.
        instances: How many processes or connections there are for each endpoint.
        transport: The transport's name; empty to choose it by the endpoint's scheme.
        service: The service to call when a call names none.
        method: The method to call when a call names none.
        codec: The name of the format of payloads; empty for JSON, unless the record types need another one.
        protocol: exec: "ttrpc", "jsonl" or "oneshot".
        executable: exec: the program, instead of the path in `exec:`.
        args: exec: the program's arguments.
        env: exec: variables that the program gets in addition to a short allow-list of the host's own.
        work_dir: exec: the program's working directory.
        enabled: Whether the plugin is there at all; calls of one that is not fail with PluginDisabled.
        start: When its instances are opened: "eager" with the host, "lazy" by its first call.
        priority: The priority of endpoints that have none of their own; the highest number is preferred.
        balancer: The name of the balancer, which spreads calls over the instances; empty for taking turns.
        hash_header: The header that says what a call is about, for balancers that keep such calls together.
        fallback: What answers when the plugin cannot.
        labels: Free text for operators, by name; `/status` shows it beside the plugin.
        annotations: Free text for operators and their tools, by name; Remora does nothing with it.
        version: A requirement such as ">=1.2,<2" that the plugin's own version must meet, or else it is not used; or
            a plain version, for `info()` of plugins that do not say it themselves.
        requires: The names of plugins that are started before this one, and stopped after it.
        interceptors: What is different about interceptors for this plugin, by name: key by key, instead of what
            `[interceptors]` says.
        options: Options of the transport.
        auth: How the host proves to the plugin who it is.
        connection: How instances are connected.
        retry: How often a call is tried again.
        circuit_breaker: When the breaker of a failing instance opens and closes.
        health_check: How instances are probed.
        rate_limit: How many calls are let through.
    """

    name: str
    endpoint: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    resolver: ResolverConfig = field(default_factory=ResolverConfig)
    instances: Count = 1
    transport: str = ""
    service: str = ""
    method: str = ""
    codec: str = ""
    protocol: Literal["ttrpc", "jsonl", "oneshot"] = field(default="ttrpc", metadata=TRANSPORT)
    executable: str = field(default="", metadata=TRANSPORT)
    args: tuple[str, ...] = field(default=(), repr=False, metadata=TRANSPORT)
    env: Mapping[str, str] = field(default_factory=dict, repr=False, metadata=TRANSPORT)
    work_dir: str = field(default="", metadata=TRANSPORT)
    enabled: bool = True
    start: Literal["eager", "lazy"] = "eager"
    priority: int = 1
    balancer: str = ""
    hash_header: str = ""
    fallback: FallbackConfig | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    requires: tuple[str, ...] = ()
    interceptors: Mapping[str, InterceptorConfig] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    auth: AuthConfig = field(default_factory=AuthConfig)
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    circuit_breaker: CircuitBreakerConfig = field(default_factory=CircuitBreakerConfig)
    health_check: HealthCheckConfig = field(default_factory=HealthCheckConfig)
    rate_limit: RateLimitConfig = field(default_factory=RateLimitConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """
    The defaults of all plugins, merged into each plugin's table field by field.

    `auth` is the exception: a plugin that names another method gets none of its fields.
    """

    auth: AuthConfig = field(default_factory=AuthConfig)
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    circuit_breaker: CircuitBreakerConfig = field(default_factory=CircuitBreakerConfig)
    health_check: HealthCheckConfig = field(default_factory=HealthCheckConfig)
    rate_limit: RateLimitConfig = field(default_factory=RateLimitConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterConfig:
    """
    One exporter of metrics, as its `[exporters.NAME]` table says.

    Attributes:
        enabled: Whether it gets anything.
        options: The other keys of the table, which depend on the exporter.
    """

    enabled: bool = True
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """
    How metrics are kept and exported.

    Attributes:
        enabled: Whether calls are counted at all.
        export_interval: Seconds between two exports to the same exporter.
        export_timeout: Seconds that an exporter may take for one batch, to start, and to close.
        batch_size: The most points that an exporter gets at once.
        max_series: The most series (combinations of label values) of one metric; further ones are counted together.
    """

    enabled: bool = True
    export_interval: Duration = 15.0
    export_timeout: Duration = 10.0
    batch_size: Count = 1000
    max_series: Count = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryConfig:
    """
    Where to look for manifests: files that each add a plugin.

    Attributes:
        directories: The folders to look through.
        patterns: Glob patterns for the names of the files; one with a slash is for their paths below the folder.
        max_depth: How many levels of subfolders to look through; 0 for the folder itself only.
        watch: Whether to follow files that come, change and go while the host runs.
    """

    directories: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ("*.toml", "*.json", "*.yaml", "*.yml")
    max_depth: Number = 3
    watch: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerConfig:
    """
    The whole configuration of a manager.

    Attributes:
        log_level: The level of the logger `remora`, the parent of all of Remora's: debug, info, warning or error.
        defaults: The defaults of all plugins.
        plugins: The plugins, by name.
        discovery: Where to look for manifests: files that each add a plugin.
        security: Which programs may be started, and how they are confined.
        metrics_port: Short for `port` in `[exporters.prometheus]`: where metrics can be scraped.
        metrics: How metrics are kept and exported.
        exporters: The exporters of metrics, by name.
        interceptors: The interceptors of calls, by name: their options, and whether they are switched on.
    """

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    defaults: Defaults = field(default_factory=Defaults)
    plugins: Mapping[str, PluginConfig] = field(default_factory=dict)
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    metrics_port: Port | None = None
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    exporters: Mapping[str, ExporterConfig] = field(default_factory=dict)
    interceptors: Mapping[str, InterceptorConfig] = field(default_factory=dict)
