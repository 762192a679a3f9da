"""
The endpoints of gRPC.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, Endpoint
from remora_grpc._address import Address, local_address, remote_address, with_address


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("grpc://127.0.0.1:50051", "127.0.0.1", 50051),
        ("grpc://search.example.com:1", "search.example.com", 1),
        ("grpc://[::1]:50051/", "::1", 50051),
        ("grpcs://search.example.com", "search.example.com", 443),
        ("grpc:localhost:7", "localhost", 7),
    ],
)
def test_host_and_port_are_found(url: str, host: str, port: int):
    """
    Only grpcs has a port of its own.
    """
    assert Address(host, port) == remote_address(Endpoint(url))


def test_bare_scheme_listens_on_a_free_local_port():
    """
    Nothing is offered to the network that was not asked for.
    """
    assert Address("127.0.0.1", 0) == local_address(Endpoint("grpc:"))


def test_host_and_port_to_listen_at_are_found():
    """
    Port 0 stands for any free one.
    """
    assert Address("::1", 0) == local_address(Endpoint("grpc://[::1]:0/"))


@pytest.mark.parametrize("url", ["grpc://:1", "grpc://host", "grpcs://host"])
def test_listening_needs_a_host_and_a_port(url: str):
    """
    A half address is a mistake.
    """
    with pytest.raises(ConfigError, match=f"'{url}' needs the form"):
        local_address(Endpoint(url))


@pytest.mark.parametrize(
    "url", ["grpc://:1", "grpcs://:1", "grpcs://", "grpc://host", "grpc://host:0", "grpcs://host:0"]
)
def test_calling_needs_a_host_and_a_port_that_somebody_can_have(url: str):
    """
    Nobody can be called at port 0, and it does not stand for another one.
    """
    with pytest.raises(ConfigError, match=f"'{url}' needs the form"):
        remote_address(Endpoint(url))


@pytest.mark.parametrize("rest", ["/path", "?query", "#fragment"])
@pytest.mark.parametrize("find", [remote_address, local_address])
def test_what_grpc_cannot_use_is_refused(find: Callable[[Endpoint], Address], rest: str):
    """
    It would be left out without a word.
    """
    with pytest.raises(ConfigError, match="more than a host and a port"):
        find(Endpoint(f"grpc://host:1{rest}"))


@pytest.mark.parametrize("place", ["user:secret@host:1", "secret@host:1", "user:secret/x@host:1"])
@pytest.mark.parametrize("find", [remote_address, local_address])
def test_credentials_are_refused_and_not_repeated(find: Callable[[Endpoint], Address], place: str):
    """
    They would end in logs.
    """
    with pytest.raises(ConfigError) as caught:
        find(Endpoint(f"grpc://{place}"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "url"), [(Address("::1", 5), "grpcs://[::1]:5"), (Address("127.0.0.1", 6), "grpcs://127.0.0.1:6")]
)
def test_address_that_was_taken_stands_in_the_endpoint(address: Address, url: str):
    """
    Weight, priority and labels stay.
    """
    endpoint = with_address(Endpoint("grpcs:", weight=7), address)

    assert (url, 7) == (endpoint.url, endpoint.weight)


@given(st.text())
def test_any_endpoint_is_an_address_or_a_mistake(rest: str):
    """
    No text makes anything else happen.
    """
    for find in (remote_address, local_address):
        try:
            address = find(Endpoint(f"grpc:{rest}"))
        except ConfigError:
            continue
        assert 0 <= address.port < 65536
