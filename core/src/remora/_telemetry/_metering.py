"""
Whether a manager keeps metrics, and with which settings; both may change while it runs.

What lives here: switching. What must not: counting (see `_meters`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._telemetry._meters import Meters
from remora._telemetry._metric_table import BUILT_IN
from remora.metrics import MetricsRegistry

if TYPE_CHECKING:
    from remora._extensions._conduct import Conduct
    from remora._fleet._fleet import Fleet
    from remora._telemetry._events import EventBus
    from remora.config import MetricsConfig


class Metering:
    """
    The metrics of one manager, switched on and off.

    Args:
        config: Its first `[metrics]` table.
        fleet: Its plugins.
        bus: Its events.
        conduct: The record of how extensions behave.

    Attributes:
        registry: The registry that holds the metrics.
    """

    def __init__(self, config: MetricsConfig, fleet: Fleet, bus: EventBus, conduct: Conduct) -> None:
        self._fleet = fleet
        self._bus = bus
        self._conduct = conduct
        self.registry = MetricsRegistry(
            config.export_interval,
            config.batch_size,
            max_series=config.max_series,
            export_timeout=config.export_timeout,
        )
        self._switch(config.enabled)

    def follow(self, config: MetricsConfig) -> None:
        """
        Move to another configuration.
        """
        self.registry.retune(
            export_interval=config.export_interval,
            batch_size=config.batch_size,
            max_series=config.max_series,
            export_timeout=config.export_timeout,
        )
        self._switch(config.enabled)

    def closing(self) -> None:
        """
        The manager shuts down: the counts must be kept until they are exported.
        """
        if self._fleet.meters is not None:
            self._fleet.meters.closing()

    def _switch(self, is_wanted: bool) -> None:
        """
        Start or stop counting; new counts begin at 0.
        """
        if is_wanted is (self._fleet.meters is not None):
            return
        meters = Meters(self.registry) if is_wanted else None
        self._bus.count = None if meters is None else meters.observe
        self._conduct.count = None if meters is None else meters.fault
        self._fleet.count_with(meters)
        if meters is None:
            for metric in BUILT_IN:
                self.registry.remove(metric.name)
