"""
What a configuration would start, and what stands between that and the host; nothing is started for it.

What lives here: asking the transports. What must not: any rule of what is allowed (see `security`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._fleet._assembly import transports
from remora._frozen import dataclass
from remora.errors import ConfigError
from remora.protocols import InspectableTransport
from remora.types import Inspection  # noqa: TC001, codecs look the field's type up

if TYPE_CHECKING:
    from remora._extensions._catalog import Catalog
    from remora.config import ManagerConfig
    from remora.types import Endpoint

__all__ = ["Inspected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """
    One program that a host would start.

    Attributes:
        plugin: The configured name of the plugin.
        transport: The transport that would start it.
        endpoint: The endpoint that leads to it.
        inspection: What the transport says; None when there is nothing that could be started.
        problem: Why there is nothing; empty otherwise.
    """

    plugin: str
    transport: str
    endpoint: str
    inspection: Inspection | None = None
    problem: str = ""


def inspect(catalog: Catalog, config: ManagerConfig) -> list[Inspected]:
    """
    All programs that a host with this configuration would start; see `Manager.inspect`.

    Raises:
        ConfigError: As for `Manager`.
    """
    return [
        _ask(transport, plugin.name, name, endpoint)
        for plugin in config.plugins.values()
        if plugin.enabled
        for endpoint, name, transport in transports(catalog, plugin, security=config.security)
        if isinstance(transport, InspectableTransport)
    ]


def _ask(transport: InspectableTransport, plugin: str, name: str, endpoint: Endpoint) -> Inspected:
    try:
        inspection = transport.inspect(endpoint)
    except ConfigError as error:
        return Inspected(plugin=plugin, transport=name, endpoint=endpoint.url, problem=error.message)
    return Inspected(plugin=plugin, transport=name, endpoint=endpoint.url, inspection=inspection)
