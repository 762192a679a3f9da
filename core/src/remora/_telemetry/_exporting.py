"""
From the configuration to exporters: which are wanted, and with which options.

What lives here: choosing and building. What must not: exporting (see `metrics`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remora._extensions._catalog import located
from remora._extensions._options import build_exporter_options
from remora.config import ExporterConfig
from remora.errors import ConfigError, ExtensionError, NotInstalled

if TYPE_CHECKING:
    from remora._extensions._catalog import Catalog
    from remora.config import ManagerConfig
    from remora.metrics._exports import Exports
    from remora.protocols import MetricExporter, PullExporter

_PORT_OF = "prometheus"
"""The exporter that `metrics_port` belongs to."""


def errors_of_exporters(catalog: Catalog, config: ManagerConfig) -> list[ConfigError]:
    """
    What is wrong with the tables of exporters, including what only the installed extensions can check.
    """
    try:
        wanted = _wanted(config)
    except ConfigError as error:
        return [error]
    found = (_error_of(catalog, name, exporter) for name, exporter in wanted.items())
    return [error for error in found if error is not None]


def _error_of(catalog: Catalog, name: str, exporter: ExporterConfig) -> ConfigError | None:
    try:
        _options(catalog, name, exporter)
    except (NotInstalled, ExtensionError) as error:  # of an installation, which does not know who needs it
        return located(error, f"exporters.{name}")
    except ConfigError as error:
        return error
    return None


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
            ConfigError: As `errors_of_exporters` returns them, or its builder says what is wrong.
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
        built = feature.build("exporter", _options(self._catalog, name, wanted), where=f"exporters.{name}")
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
