"""
Endpoints that a name server tells: real packets on the loopback interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import dns.rcode
import pytest
from dns.nameserver import Do53Nameserver
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, Endpoint, Manager, Unavailable, serving
from remora.testing import check_resolver
from remora.types import EndpointsChanged, ResolverFailed
from remora_resolvers._dns import DnsResolver
from remora_resolvers._targets import Service, Template, at_services
from remora_resolvers.plugin import DnsOptions, build_dns, remora_register_resolvers
from tests.contrib.resolvers.zone import Zone, serving_zone
from tests.core.hosts import Text, next_of
from tests.growth import grows_with_size_only

pytestmark = pytest.mark.anyio

SOON = {"min_interval": 0.05, "max_interval": 0.05, "timeout": 2.0}


@dataclass
class Heard:
    """
    What a resolver has told.
    """

    told: list[list[Endpoint]] = field(default_factory=list)
    news: anyio.Event = field(default_factory=anyio.Event)

    def __call__(self, endpoints: Sequence[Endpoint]) -> None:
        self.told.append(list(endpoints))
        self.news.set()

    async def next(self) -> list[Endpoint]:
        """
        What it tells next.
        """
        with anyio.fail_after(10):
            await self.news.wait()
        self.news = anyio.Event()
        return self.told[-1]


def options(zone: Zone, url: str, **more: Any) -> DnsOptions:
    """
    Options that ask the zone, soon again.
    """
    return DnsOptions(url=url, nameservers=(zone.address,), **{**SOON, **more})


async def test_addresses_of_both_kinds_are_told_and_told_again_when_they_change(anyio_backend: object) -> None:
    """
    Once each time, however often they are asked for.
    """
    async with serving_zone() as zone, anyio.create_task_group() as group:
        zone.put("search.test", "A", "10.0.0.2", "10.0.0.1")
        zone.put("search.test", "AAAA", "fd00::1")
        heard = Heard()
        group.start_soon(build_dns(options(zone, "grpcs://me:pw@search.test:50051/x", priority=3)).watch, heard)
        first = await heard.next()
        asked = len(zone.asked)
        with anyio.fail_after(10):
            while len(zone.asked) < asked + 4:
                await anyio.wait_all_tasks_blocked()
                await anyio.sleep(0.01)
        zone.put("search.test", "A", "10.0.0.3")
        second = await heard.next()
        told = len(heard.told)
        group.cancel_scope.cancel()

    assert [
        "grpcs://me:pw@10.0.0.1:50051/x",
        "grpcs://me:pw@10.0.0.2:50051/x",
        "grpcs://me:pw@[fd00::1]:50051/x",
    ] == [each.url for each in first]
    assert {3} == {each.priority for each in first}
    assert ["grpcs://me:pw@10.0.0.3:50051/x", "grpcs://me:pw@[fd00::1]:50051/x"] == [each.url for each in second]
    assert 2 == told


@pytest.mark.parametrize(("failing", "rest"), [("AAAA", "http://10.0.0.1"), ("A", "http://[fd00::1]")])
async def test_a_question_that_fails_takes_nothing_from_the_other(
    failing: str, rest: str, anyio_backend: object
) -> None:
    """
    As with the system's own look-ups, which use what there is.
    """
    async with serving_zone() as zone, anyio.create_task_group() as group:
        zone.put("p.test", "A", "10.0.0.1")
        zone.put("p.test", "AAAA", "fd00::1")
        zone.failing = {failing}
        heard = Heard()
        group.start_soon(build_dns(options(zone, "http://p.test")).watch, heard)
        first = await heard.next()
        zone.failing = set()
        second = await heard.next()
        group.cancel_scope.cancel()

    assert [rest] == [each.url for each in first]
    assert ["http://10.0.0.1", "http://[fd00::1]"] == [each.url for each in second]


async def test_addresses_stay_while_only_their_question_fails(anyio_backend: object) -> None:
    """
    A packet that is lost takes no endpoint away.
    """
    async with serving_zone() as zone, anyio.create_task_group() as group:
        zone.put("p.test", "A", "10.0.0.1")
        zone.put("p.test", "AAAA", "fd00::1")
        heard = Heard()
        group.start_soon(build_dns(options(zone, "http://p.test")).watch, heard)
        await heard.next()
        zone.failing = {"AAAA"}
        zone.put("p.test", "A", "10.0.0.2")
        found = await heard.next()
        group.cancel_scope.cancel()

    assert ["http://10.0.0.2", "http://[fd00::1]"] == [each.url for each in found]


async def test_services_are_told_with_ports_weights_and_priorities(anyio_backend: object) -> None:
    """
    The lowest priority of the records is the highest of the endpoints.
    """
    async with serving_zone() as zone, anyio.create_task_group() as group:
        zone.put("_grpc._tcp.test", "SRV", "10 5 443 b.test.", "0 0 444 a.test.", "10 0 445 c.test.", "5 0 1 .")
        heard = Heard()
        group.start_soon(build_dns(options(zone, "grpc://_grpc._tcp.test", record="SRV")).watch, heard)
        found = await heard.next()
        group.cancel_scope.cancel()

    assert [
        Endpoint("grpc://a.test:444", weight=100, priority=1),
        Endpoint("grpc://b.test:443", weight=5, priority=-9),
        Endpoint("grpc://c.test:445", weight=1, priority=-9),
    ] == found


@pytest.mark.parametrize(
    ("ttl", "least", "most", "wait"), [(1, 0.05, 0.1, 0.1), (0, 0.2, 9.0, 0.2), (3600, 0.1, 0.3, 0.3)]
)
async def test_the_lifetime_of_an_answer_is_kept_within_bounds(
    ttl: int, least: float, most: float, wait: float, anyio_backend: object
) -> None:
    """
    Never sooner than the one, never later than the other.
    """
    async with serving_zone() as zone, anyio.create_task_group() as group:
        zone.put("p.test", "A", "10.0.0.1", ttl=ttl)
        settings = options(zone, "http://p.test", record="A", min_interval=least, max_interval=most)
        heard = Heard()
        group.start_soon(build_dns(settings).watch, heard)
        await heard.next()
        started = anyio.current_time()
        zone.put("p.test", "A", "10.0.0.2", ttl=ttl)
        await heard.next()
        took = anyio.current_time() - started
        group.cancel_scope.cancel()

    assert wait * 0.7 < took


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"rcode": dns.rcode.SERVFAIL}, "p.test: .*SERVFAIL"),
        ({"rcode": dns.rcode.NXDOMAIN}, "p.test: there is no such name"),
        ({"records": {("p.test", "TXT"): (60, ["x"])}}, "p.test: there is no A or AAAA record"),
        ({"records": {("p.test", "TXT"): (60, ["x"])}, "failing": {"AAAA"}}, "p.test: .*SERVFAIL"),
        ({"is_silent": True}, "p.test: no answer within 0.3 s"),
    ],
    ids=["servfail", "nxdomain", "no-data", "half-known", "silence"],
)
async def test_what_cannot_be_found_out_is_unavailable(
    fault: dict[str, Any], message: str, anyio_backend: object
) -> None:
    """
    With the name, so that the operator knows what to look at.
    """
    async with serving_zone() as zone:
        for key, value in fault.items():
            setattr(zone, key, value)
        with pytest.raises(Unavailable, match=message), anyio.fail_after(10):
            await build_dns(options(zone, "http://p.test", timeout=0.3)).watch(Heard())


async def test_the_resolver_keeps_the_contract(anyio_backend: object) -> None:
    """
    Also that it notices changes.
    """
    async with serving_zone() as zone:
        zone.put("p.test", "A", "10.0.0.1")
        spec = next(each for each in remora_register_resolvers() if each.name == "dns")

        async def change() -> None:
            zone.put("p.test", "A", "10.0.0.9")

        assert 6 == len(await check_resolver(spec, options(zone, "http://p.test", record="A"), change=change))


class Echo:
    """
    The same text.
    """

    async def echo(self, request: Text) -> Text:
        """
        The same.
        """
        return request


async def test_a_host_follows_the_name_server_and_keeps_the_last_good_answer(anyio_backend: object) -> None:
    """
    From the table in the file to real calls.
    """
    pytest.importorskip("remora_http")
    async with serving_zone() as zone, serving(Echo(), listen="http://127.0.0.1:0") as server:
        port = server.endpoints[0].url.rpartition(":")[2].rstrip("/")
        zone.put("p.test", "A", "127.0.0.1")
        resolver = {
            "method": "dns",
            "url": f"http://p.test:{port}",
            "record": "A",
            "nameservers": [zone.address],
            "min_interval": "50ms",
            "max_interval": "50ms",
        }
        plugin = {"resolver": resolver, "service": "Echo", "method": "echo"}
        with anyio.fail_after(20):
            added = await _followed(zone, plugin)

    assert (f"http://127.0.0.2:{port}",) == added


async def _followed(zone: Zone, plugin: dict[str, Any]) -> tuple[str, ...]:
    """
    What was added when the zone had failed and then told of one address more; calls are answered all the time.
    """
    async with Manager({"plugins": {"p": plugin}}) as manager:
        with manager.events() as events:
            handle = manager.plugin("p", Text, Text)
            assert "a" == (await handle.execute(Text("a"))).text
            zone.rcode = dns.rcode.SERVFAIL
            await next_of(events, ResolverFailed)
            assert "b" == (await handle.execute(Text("b"))).text
            zone.rcode = None
            zone.put("p.test", "A", "127.0.0.1", "127.0.0.2")
            changed = await next_of(events, EndpointsChanged)
            assert "c" == (await handle.execute(Text("c"))).text
    return changed.added


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "url: expected SCHEME://HOST"),
        ({"url": "http:"}, "url: expected SCHEME://HOST"),
        ({"url": "//h"}, "url: expected SCHEME://HOST"),
        ({"url": "http://h:x"}, "url: "),
        ({"url": "http://h:1", "record": "SRV"}, "SRV records tell the port"),
        ({"url": "http://h", "nameservers": ("dns.example",)}, "nameservers: expected ADDRESS"),
        ({"url": "http://h", "nameservers": ("1.2.3.4:x",)}, "nameservers: expected ADDRESS"),
        ({"url": "http://h", "nameservers": ("1.2.3.4:65536",)}, "nameservers: expected ADDRESS"),
        ({"url": "http://h", "nameservers": ("[::1]:0",)}, "nameservers: expected ADDRESS"),
        ({"url": "http://h", "min_interval": 9.0, "max_interval": 1.0}, "min_interval"),
    ],
)
def test_options_that_make_no_sense_are_refused(table: dict[str, Any], problem: str) -> None:
    """
    Before anything is asked.
    """
    with pytest.raises(ConfigError, match=problem):
        build_dns(replace(DnsOptions(), **table))


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("1.2.3.4", "1.2.3.4", 53),
        ("1.2.3.4:1", "1.2.3.4", 1),
        ("fd00::1", "fd00::1", 53),
        ("[fd00::1]:65535", "fd00::1", 65535),
    ],
)
def test_name_servers_are_written_in_four_ways(text: str, address: str, port: int) -> None:
    """
    With a port and without, of both families.
    """
    (found,) = DnsResolver(DnsOptions(url="http://h", nameservers=(text,)))._nameservers

    assert isinstance(found, Do53Nameserver)
    assert (address, port) == (found.address, found.port)


def test_the_order_of_records_does_not_matter() -> None:
    """
    Name servers turn it with every answer, also among records that differ by weight alone.
    """
    template = Template.of("grpc://h", has_port=False)
    services = [Service("a.", 1, 0, weight) for weight in (7, 5)]

    assert at_services(template, services, priority=1) == at_services(template, services[::-1], priority=1)


def test_of_several_records_of_a_service_the_preferred_one_counts() -> None:
    """
    By priority, and then by weight.
    """
    template = Template.of("grpc://h", has_port=False)
    services = [Service("a.", 1, 10, 9), Service("a.", 1, 0, 5), Service("a.", 1, 0, 7), Service("b.", 1, 5, 1)]

    assert [("grpc://a:1", 1, 7), ("grpc://b:1", -4, 1)] == [
        (each.url, each.priority, each.weight) for each in at_services(template, services, priority=1)
    ]


SERVICES = st.lists(
    st.builds(
        Service,
        target=st.sampled_from(["a.", "b.", "."]),
        port=st.integers(1, 65535),
        priority=st.integers(0, 65535),
        weight=st.integers(0, 65535),
    )
)


@given(SERVICES)
def test_what_records_prefer_endpoints_prefer(services: list[Service]) -> None:
    """
    Those of the lowest priority come out highest, and none without a share.
    """
    found = at_services(Template.of("grpc://h", has_port=False), services, priority=1)
    there = [each for each in services if each.target != "."]

    assert len({(each.target, each.port) for each in there}) == len(found)
    if there:
        best = min(each.priority for each in there)
        chosen = {each.url for each in found if each.priority == max(one.priority for one in found)}
        assert {f"grpc://{each.target[:-1]}:{each.port}" for each in there if each.priority == best} == chosen
        assert all(each.weight > 0 for each in found)


def test_services_without_end_take_a_time_that_grows_with_their_number_only() -> None:
    """
    An answer has room for three thousand.
    """
    template = Template.of("grpc://h", has_port=False)

    assert grows_with_size_only(
        lambda services: at_services(template, services, priority=1),
        lambda number: [Service(f"a{each}.", 1, 1, 0) for each in range(number)],
        6000,
    )
