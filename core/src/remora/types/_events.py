"""
What happens in the life of a manager, one record each, with its cause.
"""

from __future__ import annotations

from collections.abc import Mapping

from remora._frozen import dataclass
from remora.types._health import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    Something that happened in the life of a manager.

    Attributes:
        time: When, in seconds since the epoch.
    """

    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerStarted(Event):
    """
    The manager takes calls.

    Attributes:
        plugins: The names of its plugins.
    """

    plugins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerStopped(Event):
    """
    The manager has closed everything that it had opened.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class _InstanceEvent(Event):
    """
    Something that happened to one instance.

    Attributes:
        plugin: The name of the plugin.
        instance: The name of the instance.
        is_tried: Whether the instance is only tried, by a change of the configuration that is not in force: calls do
            not go to it, and the instances that they go to are not affected.
    """

    plugin: str
    instance: str
    is_tried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReady(_InstanceEvent):
    """
    An instance takes calls.

    Attributes:
        start_time: Seconds that the start took.
        starts: How often the instance has become ready, this time included.
        cause: Why it was started: how the one before it was lost, or who asked for it.
    """

    start_time: float
    starts: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLost(_InstanceEvent):
    """
    A running instance ended, or one could not be started.

    Attributes:
        cause: Why.
        retry_in: Seconds until it is started again.
        was_ready: Whether it had been ready; False for one that could not be started.
    """

    cause: str
    retry_in: float
    was_ready: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFailed(_InstanceEvent):
    """
    An instance failed too often in a row, or is not the plugin that the configuration asks for.

    Attributes:
        cause: Why.
        retry_in: Seconds until it is started again; infinity when only `Manager.restart` or a reload does that.
    """

    cause: str
    retry_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStopped(_InstanceEvent):
    """
    An instance was closed because it is no longer wanted.

    Attributes:
        cause: Why it is not.
    """

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRevoked(_InstanceEvent):
    """
    The program of a running instance is not allowed any more. The instance runs on, but would not be started again.

    Attributes:
        program: The path of the program.
        cause: Why it is not allowed.
    """

    program: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramReadmitted(_InstanceEvent):
    """
    A program that was revoked while an instance of it runs is allowed again.

    Attributes:
        program: The path of the program.
    """

    program: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerChanged(_InstanceEvent):
    """
    The circuit breaker of an instance changed its state.

    Attributes:
        before: The state that it left: "closed", "open" or "half-open".
        after: The state that it is in now.
        cause: Why it changed.
    """

    before: str
    after: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackUsed(Event):
    """
    A call of a plugin failed, and its configured fallback answered instead.

    Attributes:
        plugin: The name of the plugin.
        kind: Which fallback: "value", "last_good" or "plugin".
        cause: The error of the call.
    """

    plugin: str
    kind: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged(_InstanceEvent):
    """
    The health of an instance changed.

    Attributes:
        before: What it was.
        after: What it is now.
        cause: Why it changed.
    """

    before: Status
    after: Status
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadStarted(Event):
    """
    The manager begins to move to another configuration.

    Attributes:
        plugins: The names of the plugins for which something changes.
        cause: Who asked for it.
    """

    plugins: tuple[str, ...]
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadApplied(Event):
    """
    Another configuration is in force.

    Attributes:
        plugins: The names of the plugins for which something was to change.
        failed: The names of those among them that could not be changed, and stay as they were.
        seconds: How long it took.
    """

    plugins: tuple[str, ...]
    failed: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadRolledBack(Event):
    """
    A reload failed, and everything is as it was before.

    Attributes:
        causes: By name, why each plugin that could not be changed could not.
    """

    causes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainProgressed(Event):
    """
    A plugin or an instance is being drained: new calls go elsewhere or are refused, those under way are waited for.

    Attributes:
        plugin: The name of the plugin.
        instance: The name of the instance; empty when the whole plugin is drained.
        total: Calls that were under way when the drain began.
        remaining: Those that still are.
        elapsed: Seconds since the drain began.
        cause: Why it is drained.
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
    A drain is over: all calls have ended, its time is up, or the plugin takes calls again.

    Attributes:
        plugin: The name of the plugin.
        instance: The name of the instance; empty when the whole plugin was drained.
        total: Calls that were under way when the drain began.
        remaining: Those that still were when it ended; 0 when all had ended in time.
        elapsed: Seconds that it took.
        cause: Why it was drained.
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

    Attributes:
        plugin: The name of the plugin.
        cause: Why.
    """

    plugin: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementLost(Event):
    """
    A plugin that another one requires has no ready instance any more. The one that requires it goes on without it.

    Attributes:
        plugin: The name of the plugin that requires the other.
        requirement: The name of the one that is required.
        cause: Why it has none.
    """

    plugin: str
    requirement: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementMet(Event):
    """
    A plugin that another one requires has a ready instance again.

    Attributes:
        plugin: The name of the plugin that requires the other.
        requirement: The name of the one that is required.
    """

    plugin: str
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsChanged(Event):
    """
    A resolver has reported other endpoints for a plugin, and they are in use.

    Attributes:
        plugin: The name of the plugin.
        added: The URLs that are new.
        removed: The URLs that are gone.
    """

    plugin: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverFailed(Event):
    """
    A plugin's resolver has failed, or has reported endpoints that cannot be used; those before them stay in use.

    Published once for each failure: not again until the resolver has worked in between, or the cause is another one.

    Attributes:
        plugin: The name of the plugin.
        cause: Why.
        retry_in: Seconds until the resolver is asked again; infinity when it still runs and will report by itself.
    """

    plugin: str
    cause: str
    retry_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginsDiscovered(Event):
    """
    The manifests of plugins have changed.

    Attributes:
        added: The names of the plugins that are new.
        changed: The names of those whose tables are different.
        removed: The names of those that are gone.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRejected(Event):
    """
    A manifest, a file that adds a plugin, cannot be used. What it said before stays in force, as do all other plugins.

    Attributes:
        source: The file.
        problems: A line for each problem, with its place.
    """

    source: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRejected(Event):
    """
    The files of the configuration have changed and cannot be used. The last good configuration stays in force.

    Attributes:
        source: The file or the directory.
        problems: A line for each problem, with its place.
    """

    source: str
    problems: tuple[str, ...]
