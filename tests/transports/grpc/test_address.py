"""
The endpoints of gRPC.
"""

from __future__ import annotations

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


def test_listening_needs_a_host_and_a_port():
    """
    A half address is a mistake.
    """
    for url in ("grpc://:1", "grpc://host"):
        with pytest.raises(ConfigError, match=url):
            local_address(Endpoint(url))


def test_address_that_was_taken_stands_in_the_endpoint():
    """
    Weight, priority and labels stay.
    """
    endpoint = with_address(Endpoint("grpcs:", weight=7), Address("::1", 5))

    assert ("grpcs://[::1]:5", 7) == (endpoint.url, endpoint.weight)


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
