"""
What this distribution adds to Remora.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from remora import ResolverSpec, hookimpl
from remora.values import Duration, dataclass

if TYPE_CHECKING:
    from remora.protocols import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """
    The keys of a `resolver` table with `method = "file"`.

    Attributes:
        path: A file with a list in JSON: URLs, or tables as in `endpoints`. It is read again when it changes.
        priority: The plugin's own, for endpoints that have none in the file.
    """

    path: str = ""
    priority: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsOptions:
    """
    The keys of a `resolver` table with `method = "dns"`.

    Attributes:
        url: An endpoint whose host is looked up, such as `grpc://search.internal:50051`. For SRV records it has no
            port: `grpc://_grpc._tcp.search.internal`.
        record: "address" asks for A and AAAA records, "A" and "AAAA" for one of them, "SRV" for services.
        nameservers: The name servers to ask, as `ADDRESS` or `ADDRESS:PORT`; by default those of the system.
        timeout: Seconds that an answer may take.
        min_interval: The least seconds between two questions, however short the lifetime of an answer is.
        max_interval: The most seconds between two questions, however long the lifetime of an answer is.
        priority: The plugin's own, for the endpoints that are found.
    """

    url: str = ""
    record: Literal["address", "A", "AAAA", "SRV"] = "address"
    nameservers: tuple[str, ...] = ()
    timeout: Duration = 5.0
    min_interval: Duration = 5.0
    max_interval: Duration = 300.0
    priority: int = 1


def build_file(options: FileOptions) -> Resolver:
    """
    Make the resolver that reads a file.
    """
    from remora_resolvers._file import FileResolver

    return FileResolver(options.path, priority=options.priority)


def build_dns(options: DnsOptions) -> Resolver:
    """
    Make the resolver that asks the domain name system.
    """
    from remora_resolvers._dns import DnsResolver

    return DnsResolver(options)


@hookimpl
def remora_register_resolvers() -> list[ResolverSpec[Any]]:
    """
    Add both.
    """
    return [
        ResolverSpec(name="file", options=FileOptions, build=build_file),
        ResolverSpec(name="dns", options=DnsOptions, build=build_dns),
    ]
