"""
Endpoints that the domain name system knows.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import anyio
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from dns.asyncbackend import get_backend, sniff

from remora import ConfigError, Unavailable
from remora_resolvers._targets import Service, Template, at_addresses, at_services

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora import Endpoint
    from remora_resolvers.plugin import DnsOptions

_PORT, _LAST_PORT = 53, 65535


class DnsResolver:
    """
    Looks a host up, and again when the answer has outlived its time.

    Names are looked up as they stand: neither `/etc/hosts` nor a search list counts.

    Raises:
        ConfigError: The options make no sense.
    """

    def __init__(self, options: DnsOptions) -> None:
        if options.min_interval > options.max_interval:
            raise ConfigError("min_interval: must not be more than max_interval")
        self._options = options
        self._template = Template.of(options.url, has_port=options.record != "SRV")
        self._nameservers = [_nameserver(each) for each in options.nameservers]

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Report what is found, now and when it is something else.

        Raises:
            Unavailable: There is no answer, or no such name.
        """
        known: list[Endpoint] | None = None
        answers: dict[str, dns.resolver.Answer] = {}
        while True:
            found, lifetime = await self._ask(answers)
            if found != known:
                known = found
                report(found)
            await anyio.sleep(min(max(lifetime, self._options.min_interval), self._options.max_interval))

    async def _ask(self, answers: dict[str, dns.resolver.Answer]) -> tuple[list[Endpoint], float]:
        """
        The endpoints, and the seconds that they hold.

        Args:
            answers: The last answer to each question; it stands while that question fails and another does not.
        """
        kinds = ("A", "AAAA") if self._options.record == "address" else (self._options.record,)
        resolver, failures = self._resolver(), []
        for kind in kinds:
            try:
                answers[kind] = await self._answer(resolver, kind)
            except Unavailable as error:
                failures.append(error)
        records = [record for answer in answers.values() for record in answer.rrset or ()]
        if failures and (len(failures) == len(kinds) or not records):
            raise failures[0]
        if not records:
            raise Unavailable(f"{self._template.host}: there is no {' or '.join(kinds)} record", sent=False)
        lifetime = min(answer.chaining_result.minimum_ttl for answer in answers.values() if answer.rrset)
        return self._endpoints(records), lifetime

    def _endpoints(self, records: Sequence[Any]) -> list[Endpoint]:
        priority = self._options.priority
        if self._options.record != "SRV":
            return at_addresses(self._template, [each.address for each in records], priority=priority)
        services = [Service(each.target.to_text(), each.port, each.priority, each.weight) for each in records]
        return at_services(self._template, services, priority=priority)

    async def _answer(self, resolver: dns.asyncresolver.Resolver, kind: str) -> dns.resolver.Answer:
        host = self._template.host
        try:
            return await resolver.resolve(
                host,
                kind,
                search=False,
                raise_on_no_answer=False,
                lifetime=self._options.timeout,
                backend=get_backend(sniff()),  # the one that dnspython finds by itself is that of its first question
            )
        except dns.resolver.NXDOMAIN as error:
            raise Unavailable(f"{host}: there is no such name", sent=False) from error
        except dns.exception.Timeout as error:
            raise Unavailable(f"{host}: no answer within {self._options.timeout:g} s", sent=False) from error
        except (dns.exception.DNSException, OSError) as error:
            raise Unavailable(f"{host}: {error}", sent=False) from error

    def _resolver(self) -> dns.asyncresolver.Resolver:
        """
        What asks; the system's settings are read each time, for they may change as well.
        """
        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        except dns.resolver.NoResolverConfiguration as error:
            raise Unavailable("the system has no name server configured: set nameservers", sent=False) from error
        if self._nameservers:
            resolver.nameservers = list(self._nameservers)
        return resolver


def _nameserver(text: str) -> dns.nameserver.Nameserver:
    """
    A name server, from `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.

    Raises:
        ConfigError: It is none of these.
    """
    host, colon, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    try:
        address = str(ip_address(host.strip("[]")))
        number = int(port) if colon else _PORT
        if 0 < number <= _LAST_PORT:
            return dns.nameserver.Do53Nameserver(address, number)
    except ValueError:
        pass
    raise ConfigError(f"nameservers: expected ADDRESS or ADDRESS:PORT, got {text!r}")
