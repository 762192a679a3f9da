"""
From the configuration to exporters: which are wanted, and with which options.

What lives here: choosing and building. What must not: exporting (see `metrics`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remora._options import build_exporter_options
from remora.config import ExporterConfig, summary
from remora.errors import ConfigError, ExtensionError, NotInstalled

if TYPE_CHECKING:
    from remora._catalog import Catalog
    from remora.config import ManagerConfig
    from remora.metrics._exports import Exports
    from remora.protocols import MetricExporter, PullExporter

_PORT_OF = "prometheus"
"""The exporter that `metrics_port` belongs to."""


def check_exporters(catalog: Catalog, config: ManagerConfig) -> None:
    """
    Check the tables of exporters, including what only the installed extensions can check.

    Raises:
        NotInstalled: They name exporters that are not installed.
        ConfigError: They are wrong; every problem is named, with the path of its key.
    """
    problems: list[str] = []
    for name, exporter in _wanted(config).items():
        try:
            _options(catalog, name, exporter)
        except (NotInstalled, ExtensionError) as error:  # of an installation, which does not know who needs it
            raise type(error)(f"exporters.{name}: {error.message}") from error
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(summary(problems), problems=problems)


class Exporting:
    """
    The running exporters of a manager, as its configuration wants them.
    """

    def __init__(self, catalog: Catalog, exports: Exports) -> None:
        self._catalog = catalog
        self._exports = exports
        self._running: dict[str, tuple[ExporterConfig, MetricExporter | PullExporter]] = {}

    def start(self, config: ManagerConfig) -> None:
        """
        Start the exporters that are wanted and not running.

        Raises:
            ConfigError: As `check_exporters`, or its builder says what is wrong.
            ExtensionError: An extension failed to build a feature that it registered.
        """
        for name, wanted in _wanted(config).items():
            if name not in self._running:
                exporter, culprit = self._build(name, wanted)
                self._running[name] = wanted, exporter
                self._exports.add(exporter, culprit)

    async def follow(self, config: ManagerConfig) -> None:
        """
        Move to another configuration. A changed exporter stops before its successor starts, which may need its port.

        Raises:
            ConfigError: As `start`; the others have been started.
        """
        wanted = _wanted(config)
        for name, (was, exporter) in list(self._running.items()):
            if wanted.get(name) != was:
                del self._running[name]
                await self._exports.remove(exporter)
        self.start(config)

    def _build(self, name: str, wanted: ExporterConfig) -> tuple[MetricExporter | PullExporter, str]:
        feature = self._catalog.exporter(name)
        try:
            built = feature.build("exporter", _options(self._catalog, name, wanted))
        except ExtensionError:
            raise
        except ConfigError as error:
            raise ConfigError(f"exporters.{name}: {error.message}") from error
        return built, feature.named("exporter")


def _options(catalog: Catalog, name: str, exporter: ExporterConfig) -> object:
    spec = catalog.exporter(name).spec
    return build_exporter_options(spec, where=f"exporters.{name}", own=exporter.options)


def _wanted(config: ManagerConfig) -> dict[str, ExporterConfig]:
    exporters = dict(config.exporters)
    if config.metrics_port is not None:
        known = exporters.get(_PORT_OF, ExporterConfig())
        port = known.options.get("port", config.metrics_port)
        if port != config.metrics_port:
            problem = f"metrics_port: exporters.{_PORT_OF}.port says {port!r}, not {config.metrics_port}"
            raise ConfigError(problem, problems=[problem])
        exporters[_PORT_OF] = replace(known, options={**known.options, "port": port})
    return {name: exporter for name, exporter in exporters.items() if exporter.enabled}
