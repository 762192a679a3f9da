"""
Whether plugins that others require are up, and events for their dependants when that changes.

What lives here: what is known, and the events. What must not: starting and stopping (see `_fleet._fleet`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from remora.config import dependants_of
from remora.types import (
    InstanceFailed,
    InstanceLost,
    InstanceReady,
    InstanceStopped,
    RequirementLost,
    RequirementMet,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from remora.config import PluginConfig
    from remora.types import Event

_NEWS = (InstanceReady, InstanceLost, InstanceFailed, InstanceStopped)


class Requirements:
    """
    Turns events of required plugins into events for their dependants.

    Args:
        is_up: Whether any instance of a plugin is ready.
        why: Why an instance of a plugin is out, by their names, in a few words.
    """

    def __init__(self, is_up: Callable[[str], bool], why: Callable[[str, str], str]) -> None:
        self._is_up = is_up
        self._why = why
        self._lost: set[str] = set()

    def news(self, event: Event, plugins: Mapping[str, PluginConfig]) -> Iterator[Event]:
        """
        The events that follow from an event for the plugins that require the one concerned.
        """
        if not isinstance(event, _NEWS) or not (dependants := dependants_of(event.plugin, plugins)):
            return
        is_up = self._is_up(event.plugin)
        if is_up and event.plugin in self._lost:
            self._lost.discard(event.plugin)
            for each in dependants:
                yield RequirementMet(time=time.time(), plugin=each, requirement=event.plugin)
        elif not is_up and event.plugin not in self._lost:
            self._lost.add(event.plugin)
            is_fault = isinstance(event, InstanceLost | InstanceFailed)
            cause = self._why(event.plugin, event.instance) if is_fault else "it was stopped"
            for each in dependants:
                yield RequirementLost(time=time.time(), plugin=each, requirement=event.plugin, cause=cause)
