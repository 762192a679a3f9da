"""
What happens in the life of a manager, one record each, with its cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remora.types._health import Status


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
    An instance takes calls; `start_time` is the seconds that it took to get there, `starts` how often it has;
    `cause` is why it was started: what it was lost by, or who wanted it.
    """

    start_time: float
    starts: int
    cause: str


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
    An instance was closed because it is no longer wanted; `cause` says why not.
    """

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRevoked(_InstanceEvent):
    """
    The program of an instance, which runs on, would not be started any more; `cause` says why not.
    """

    program: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramReadmitted(_InstanceEvent):
    """
    The program of an instance that was revoked would be started again.
    """

    program: str


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
    The manager begins to move to another configuration; `plugins` are the names of those for which something changes,
    `cause` is who wants it.
    """

    plugins: tuple[str, ...]
    cause: str


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
    drained, `cause` says why it is.
    """

    plugin: str
    instance: str
    total: int
    remaining: int
    elapsed: float
    cause: str


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
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLifted(Event):
    """
    A plugin that was drained takes new calls again.
    """

    plugin: str
    cause: str


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
