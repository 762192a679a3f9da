"""
A name server on the loopback interface that says what a test wants.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.abc
import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass
class Zone:
    """
    What the server knows, and what it was asked.

    Attributes:
        records: Lines such as `"10.0.0.1"`, by name and kind, each with its lifetime.
        rcode: What it answers instead, when that is not None.
        failing: The kinds of records for which it answers SERVFAIL.
        is_silent: Whether it answers at all.
        asked: The questions so far.
        address: Where it listens, as `nameservers` wants it.
    """

    records: dict[tuple[str, str], tuple[int, list[str]]] = field(default_factory=dict)
    rcode: dns.rcode.Rcode | None = None
    failing: set[str] = field(default_factory=set)
    is_silent: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def put(self, name: str, kind: str, *values: str, ttl: int = 60) -> None:
        """
        From now on, a name has these records of a kind.
        """
        self.records[name, kind] = (ttl, list(values))

    def answer(self, packet: bytes) -> bytes | None:
        """
        The answer to a question.
        """
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        self.asked.append((name, kind))
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if self.is_silent:
            return None
        if self.rcode is not None:
            reply.set_rcode(self.rcode)
        elif kind in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.records:
            ttl, values = self.records[name, kind]
            reply.answer.append(dns.rrset.from_text(question.name, ttl, "IN", kind, *values))
        elif not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


@asynccontextmanager
async def serving_zone() -> AsyncIterator[Zone]:
    """
    A zone that is served while the context lasts.
    """
    zone = Zone()
    async with (
        await anyio.create_udp_socket(local_host="127.0.0.1") as udp,
        anyio.create_task_group() as group,
    ):
        port = udp.extra_attributes[anyio.abc.SocketAttribute.local_port]()
        zone.address = f"127.0.0.1:{port}"

        async def serve() -> None:
            async for packet, sender in udp:
                if (reply := zone.answer(packet)) is not None:
                    await udp.sendto(reply, *sender)

        group.start_soon(serve)
        yield zone
        group.cancel_scope.cancel()
