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
    from collections.abc import Iterator

    from remora._catalog import Catalog
    from remora.config import ManagerConfig
    from remora.protocols import MetricExporter, PullExporter

_PORT_OF = "prometheus"
"""The exporter that `metrics_port` is about."""


def check_exporters(catalog: Catalog, config: ManagerConfig) -> None:
    """
    Check the tables of exporters, also for what only the installed extensions can tell.

    Raises:
        NotInstalled: They name exporters that are not there.
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


def build_exporters(catalog: Catalog, config: ManagerConfig) -> Iterator[tuple[MetricExporter | PullExporter, str]]:
    """
    The exporters that are wanted, each with what to call it in messages.

    Raises:
        ConfigError: As `check_exporters`, or its builder says what is wrong.
        ExtensionError: An extension cannot build what it has promised.
    """
    for name, exporter in _wanted(config).items():
        feature = catalog.exporter(name)
        try:
            yield feature.build("exporter", _options(catalog, name, exporter)), feature.named("exporter")
        except ExtensionError:
            raise
        except ConfigError as error:
            raise ConfigError(f"exporters.{name}: {error.message}") from error


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
