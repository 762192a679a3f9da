"""
The records that are passed around: calls, replies, endpoints, health, descriptions, lifecycle events.

What lives here: frozen records that cannot be built wrong. What must not: behaviour, I/O, configuration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict

__all__ = [
    "Attempt",
    "BreakerChanged",
    "Call",
    "ConfigRejected",
    "DrainEnded",
    "DrainProgressed",
    "Endpoint",
    "EndpointsChanged",
    "Event",
    "ExtensionFaults",
    "FallbackUsed",
    "HealthChanged",
    "HealthStatus",
    "Inspection",
    "InstanceFailed",
    "InstanceLost",
    "InstanceReady",
    "InstanceStopped",
    "ManagerStarted",
    "ManagerStopped",
    "ManifestRejected",
    "MethodInfo",
    "PluginInfo",
    "PluginsDiscovered",
    "Refresh",
    "ReloadApplied",
    "ReloadRolledBack",
    "ReloadStarted",
    "Reply",
    "RequirementLost",
    "RequirementMet",
    "ResolverFailed",
    "Status",
    "TraceIds",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One call on its way to a plugin: everything that a transport carries.

    Attributes:
        service: The full name of the service; empty when the peer has only one.
        method: The name of the method; empty when the peer has only one.
        payload: The encoded request.
        content_type: The media type of the payload; empty when the peer is to decide.
        headers: Names in lower case, values without line breaks.
        deadline: On the clock of `anyio.current_time`, in seconds; None for no limit.
        request_id: The identifier that follows the call through every log.
        idempotent: Whether the call may be made twice.
        hash_key: What the call is about, for balancers that keep calls about one thing together; it is not sent.
        identity: Served side: who the connection proves the caller to be, by its certificate; it is not sent.
    """

    service: str = ""
    method: str = ""
    payload: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    deadline: float | None = None
    request_id: str = ""
    idempotent: bool = False
    hash_key: str = ""
    identity: str = ""

    @property
    def name(self) -> str:
        """
        Service and method as one word, for messages.
        """
        return f"{self.service}/{self.method}".strip("/") or "(default method)"

    def with_headers(self, headers: Mapping[str, str]) -> Call:
        """
        The same call with these headers in place of its own; what `dataclasses.replace` gives, in half the time.
        """
        return Call(
            service=self.service,
            method=self.method,
            payload=self.payload,
            content_type=self.content_type,
            headers=headers,
            deadline=self.deadline,
            request_id=self.request_id,
            idempotent=self.idempotent,
            hash_key=self.hash_key,
            identity=self.identity,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The good end of a call.

    Attributes:
        payload: The encoded answer.
        content_type: The media type of the payload.
        headers: Names in lower case.
    """

    payload: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class TraceIds(TypedDict):
    """
    A trace and a span of it, both in hexadecimal digits; empty where there are none.
    """

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """
    What an authentication's flow asks for in place of a call: something to be waited for, such as a new token.

    Attributes:
        action: Called without arguments and awaited; the flow gets what it returns, or the error that it raises.
    """

    action: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    One address at which a plugin can be reached.

    Attributes:
        url: The address; its scheme chooses the transport.
        weight: The share of traffic beside other endpoints of the same priority.
        priority: The highest number is preferred.
        labels: What the operator wants to see beside it.
    """

    url: str
    weight: int = 100
    priority: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """
        What stands before the first colon, in lower case.
        """
        return self.url.partition(":")[0].lower()

    @property
    def address(self) -> str:
        """
        What stands after the scheme, without the two slashes of a URL.
        """
        return self.url.partition(":")[2].removeprefix("//")


class Status(StrEnum):
    """
    What is known about the health of a plugin or of one instance.
    """

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One of the attempts of a call.

    Attributes:
        number: 1 for the first, 2 for the first retry.
        plugin: The configured name of the plugin.
        instance: The name of the instance that it is sent to.
        endpoint: The address of that instance.
    """

    number: int
    plugin: str
    instance: str
    endpoint: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthStatus:
    """
    The result of asking for health.

    Attributes:
        status: The verdict.
        message: The reason, in a sentence.
        last_check: When it was found, in seconds since the epoch; None before the first check.
        response_time: Seconds that the answer took; None where nobody was asked.
        metadata: More about it, as the plugin says.
    """

    status: Status = Status.UNKNOWN
    message: str = ""
    last_check: float | None = None
    response_time: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """
    What a transport would start for an endpoint, and what stands between it and the host.

    Attributes:
        program: The path of the program.
        sha256: The hash of its file.
        size: The bytes of its file.
        outcome: "allowed", "refused" or "would-refuse", as the policy says.
        reasons: What speaks against it, one sentence each.
        measures: What is in force and what is not, by a short name.
    """

    program: str
    sha256: str
    size: int
    outcome: str
    reasons: tuple[str, ...] = ()
    measures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodInfo:
    """
    One method of a service, as the plugin describes it.

    Attributes:
        service: The full name of its service.
        name: The name of the method on the wire.
        description: The first paragraph of its docstring.
        idempotent: Whether it may be called twice.
        request: JSON Schema of the request.
        response: JSON Schema of the reply.
    """

    service: str
    name: str
    description: str = ""
    idempotent: bool = False
    request: Mapping[str, object] = field(default_factory=dict)
    response: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """
    What a plugin says about itself, or what the configuration says about one that cannot.

    Attributes:
        name: The name of the plugin.
        version: Its own version.
        description: What it is for.
        author: Who wrote it.
        capabilities: Words that a host may look for.
        metadata: More about it.
        methods: The methods that it serves.
        protocol_versions: The versions of this description that it speaks.
    """

    name: str
    version: str = ""
    description: str = ""
    author: str = ""
    capabilities: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[MethodInfo, ...] = ()
    protocol_versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionFaults:
    """
    What one extension has done wrong while a manager ran it.

    Attributes:
        failures: Exceptions that came out of it.
        delays: Times that it held up the event loop for too long.
        longest: Seconds of the longest of these.
        last: The last of the exceptions, in one line.
    """

    failures: int = 0
    delays: int = 0
    longest: float = 0.0
    last: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    Something that happened in the life of a manager; `time` is in seconds since the epoch.
    """

    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerStarted(Event):
    """
    The manager takes calls; `plugins` are the names that it serves.
    """

    plugins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerStopped(Event):
    """
    The manager has closed everything that it had opened.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class _InstanceEvent(Event):
    plugin: str
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReady(_InstanceEvent):
    """
    An instance takes calls; `start_time` is the seconds that it took to get there, `starts` how often it has.
    """

    start_time: float
    starts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLost(_InstanceEvent):
    """
    A running instance ended, or one could not be started; it is tried again in `retry_in` seconds.
    """

    cause: str
    retry_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFailed(_InstanceEvent):
    """
    An instance failed too often in a row, and is left alone for `retry_in` seconds; or it is not the right one, and is
    left alone until it is restarted (infinity).
    """

    cause: str
    retry_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStopped(_InstanceEvent):
    """
    An instance was closed because it is no longer wanted.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerChanged(_InstanceEvent):
    """
    The circuit breaker of an instance changed: from and to "closed", "open" or "half-open".
    """

    before: str
    after: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackUsed(Event):
    """
    A call of a plugin failed, and its configured fallback answered instead.
    """

    plugin: str
    kind: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged(_InstanceEvent):
    """
    The health of an instance changed.
    """

    before: Status
    after: Status
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadStarted(Event):
    """
    The manager begins to move to another configuration; `plugins` are the names of those for which something changes.
    """

    plugins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadApplied(Event):
    """
    Another configuration is in force, after so many seconds, as far as `failed` plugins have not stayed as they were.
    """

    plugins: tuple[str, ...]
    failed: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadRolledBack(Event):
    """
    Everything is as it was before a reload; `causes` has a sentence for each plugin that could not be changed.
    """

    causes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainProgressed(Event):
    """
    Of `total` calls that are waited for, so many are still under way; `instance` is empty where the whole plugin is
    drained.
    """

    plugin: str
    instance: str
    total: int
    remaining: int
    elapsed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainEnded(Event):
    """
    Nothing is waited for any more; `remaining` calls were still under way, and are cancelled unless they go on.
    """

    plugin: str
    instance: str
    total: int
    remaining: int
    elapsed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementLost(Event):
    """
    A plugin goes on without one that it requires: no instance of that one is ready.
    """

    plugin: str
    requirement: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementMet(Event):
    """
    A plugin that another one requires has an instance again that is ready.
    """

    plugin: str
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsChanged(Event):
    """
    A plugin is called at other endpoints from now on, because its resolver has told so.
    """

    plugin: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverFailed(Event):
    """
    What a plugin's resolver has told last is of no use, or it cannot tell; the endpoints before that stay in use. It
    is asked again in `retry_in` seconds, or will tell by itself (infinity). Told once until it works or the cause
    is another one.
    """

    plugin: str
    cause: str
    retry_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginsDiscovered(Event):
    """
    The manifests of plugins have changed: the names of those that came, that are different, and that went.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRejected(Event):
    """
    A file that ought to add a plugin cannot be used; what it said before stays in force, and all else too.

    `source` is the file; `problems` has a line for each problem, with its place.
    """

    source: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRejected(Event):
    """
    The files of the configuration were changed and cannot be used; the last good one stays in force.

    `source` is the file or the directory; `problems` has a line for each problem, with its place.
    """

    source: str
    problems: tuple[str, ...]
