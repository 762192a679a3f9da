"""
Reloads as records: how one is to be done, what it would do, what it has done.

What lives here: records. What must not: doing it (see `_reload._transition`).
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003, codecs look the fields' types up
from dataclasses import field
from enum import StrEnum
from typing import Literal

from remora._frozen import dataclass
from remora.errors import RemoraError  # noqa: TC001
from remora.values import Count, Duration, Grace, check_limits

__all__ = ["Action", "PluginPlan", "PluginReload", "ReloadOptions", "ReloadPlan", "ReloadReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadOptions:
    """
    How a manager moves to another configuration.

    Attributes:
        strategy: "graceful" opens all new instances, then switches in one step; "rolling" exchanges instance by
            instance; "recreate" closes what is there first, for plugins that cannot be there twice.
        drain_timeout: Seconds that calls to what goes away have to end; then they are cancelled.
        graceful_timeout: Seconds after which the new generation must be in force, or else it is given up.
        max_concurrent_reloads: "rolling": how many instances are exchanged at once.
        health_check_timeout: Seconds that a new instance has to be ready and healthy.
        rollback_on_failure: Whether nothing changes when anything of the new generation fails. Without it, the plugins
            that did not fail are changed.
    """

    strategy: Literal["graceful", "rolling", "recreate"] = "graceful"
    drain_timeout: Grace = 30.0
    graceful_timeout: Duration = 60.0
    max_concurrent_reloads: Count = 3
    health_check_timeout: Duration = 10.0
    rollback_on_failure: bool = True

    def __post_init__(self) -> None:
        check_limits(self)
        if self.strategy not in ("graceful", "rolling", "recreate"):
            raise ValueError(f"strategy: expected graceful, rolling or recreate, got {self.strategy!r}")


class Action(StrEnum):
    """
    What a reload does with a plugin.
    """

    ADDED = "added"
    REMOVED = "removed"
    STARTED = "started"
    STOPPED = "stopped"
    REPLACED = "replaced"
    RETUNED = "retuned"
    NOTED = "noted"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginPlan:
    """
    What a reload does with one plugin.

    Attributes:
        action: "started" and "stopped" are what `enabled` does; "replaced" opens or closes instances, "retuned" changes
            settings in place, "noted" only what nothing depends on, such as labels.
        keys: The keys that have other values.
        opened: The instances that are new.
        kept: The instances that stay, with their connections and all that is known of them.
        closed: The instances that go.
    """

    action: Action
    keys: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginReload(PluginPlan):
    """
    What a reload has done with one plugin.

    Attributes:
        error: Why it is as it was before; None where it is not.
        cancelled: The calls that had not ended within `drain_timeout`.
    """

    error: RemoraError | None = None
    cancelled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadPlan:
    """
    What a reload would do.

    Attributes:
        keys: The keys outside the plugins' tables that have other values.
        plugins: What happens to each plugin, by name.
    """

    keys: tuple[str, ...] = ()
    plugins: Mapping[str, PluginPlan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadReport:
    """
    What a reload has done.

    Attributes:
        applied: The new configuration is in force, all of it.
        rolled_back: Something failed, and everything is as it was before.
        superseded: A newer reload came while this one waited for its turn; it has done nothing.
        keys: The keys outside the plugins' tables that have other values.
        plugins: What happened to each plugin, by name.
    """

    applied: bool = False
    rolled_back: bool = False
    superseded: bool = False
    keys: tuple[str, ...] = ()
    plugins: Mapping[str, PluginReload] = field(default_factory=dict)

    @property
    def error(self) -> RemoraError | None:
        """
        The first thing that failed; None when nothing did.
        """
        return next((each.error for each in self.plugins.values() if each.error is not None), None)

    @property
    def summary(self) -> str:
        """
        What has changed, or why nothing has, in one line for a log.
        """
        if self.superseded:
            return "nothing: a newer reload came while it waited for its turn"
        if self.rolled_back:
            return f"nothing, since it was rolled back: {self.error}"
        changed = [f"{name} {each.action}" for name, each in self.plugins.items() if each.action != "unchanged"]
        return ", ".join([*changed, *self.keys]) or "nothing else than before"
