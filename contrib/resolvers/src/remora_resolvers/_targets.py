"""
From what the domain name system says to endpoints.

What lives here: addresses, and the arithmetic of SRV records. What must not: asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from remora import ConfigError, Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVEN = 100


@dataclass(frozen=True, slots=True)
class Service:
    """
    An SRV record; the lowest priority is preferred there.
    """

    target: str
    port: int
    priority: int
    weight: int


@dataclass(frozen=True, slots=True)
class Template:
    """
    A URL whose host stands for what is found.
    """

    url: str
    host: str

    @classmethod
    def of(cls, url: str, *, has_port: bool) -> Template:
        """
        The template in a URL.

        Raises:
            ConfigError: It has no scheme or no host, or a port where the records tell it.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"url: {error}") from error
        if not parts.scheme or not host:
            raise ConfigError(f"url: expected SCHEME://HOST, got {url!r}")
        if port is not None and not has_port:
            raise ConfigError(f"url: SRV records tell the port, and {url!r} has one")
        return cls(url, host)

    def at(self, host: str, port: int | None = None) -> str:
        """
        The URL with another host, and with a port where it has none.
        """
        parts = urlsplit(self.url)
        account, at, _ = parts.netloc.rpartition("@")
        number = port if port is not None else parts.port
        place = f"[{host}]" if ":" in host else host
        netloc = f"{account}{at}{place}" + (f":{number}" if number is not None else "")
        return urlunsplit(parts._replace(netloc=netloc))


def at_addresses(template: Template, addresses: Sequence[str], *, priority: int) -> list[Endpoint]:
    """
    An endpoint for each address.
    """
    return [Endpoint(template.at(each), priority=priority) for each in sorted(set(addresses))]


def at_services(template: Template, services: Sequence[Service], *, priority: int) -> list[Endpoint]:
    """
    An endpoint for each service that there is; a target of "." says that there is none.

    With Remora the highest priority is preferred: the lower that of a record, the higher is the endpoint's. A record
    of weight 0 gets a little beside others, as RFC 2782 has it. Of several records of one service the preferred counts.
    """
    there = [each for each in services if each.target.rstrip(".")]
    weighted = {each.priority for each in there if each.weight}
    endpoints = [
        Endpoint(
            template.at(each.target.rstrip("."), each.port),
            weight=max(1, each.weight) if each.priority in weighted else _EVEN,
            priority=priority - each.priority,
        )
        for each in there
    ]
    preferred: dict[str, Endpoint] = {}
    for each in sorted(endpoints, key=lambda each: (-each.priority, each.url, -each.weight)):
        preferred.setdefault(each.url, each)
    return list(preferred.values())
