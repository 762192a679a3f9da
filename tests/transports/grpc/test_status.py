"""
What grpcio's statuses mean.
"""

from __future__ import annotations

import math

import grpc
import grpc.aio
import pytest

from remora import (
    Cancelled,
    ConnectionLost,
    DeadlineExceeded,
    MessageTooLarge,
    PluginError,
    RemoraError,
    Unavailable,
    WrongProtocol,
)
from remora.wire import encode_status
from remora_grpc._status import error_from_rpc, rejection
from tests.growth import grows_with_size_only

CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "text", "expected", "sent"),
    [
        (CODE.UNAVAILABLE, "failed to connect to all addresses; last error: UNKNOWN: refused", Unavailable, False),
        (CODE.UNAVAILABLE, "errors resolving nosuch:1", Unavailable, False),
        (CODE.UNAVAILABLE, "failed to connect to all addresses; Failed parsing HTTP/2", WrongProtocol, False),
        (CODE.UNAVAILABLE, "failed to connect to all addresses; an http1.x server", WrongProtocol, False),
        (CODE.UNAVAILABLE, "Stream removed (Socket closed)", ConnectionLost, True),
        (CODE.UNAVAILABLE, "Cancelling all calls", ConnectionLost, True),
        (CODE.UNAVAILABLE, "busy", PluginError, True),
        (CODE.CANCELLED, "CANCELLED", Unavailable, True),
        (CODE.CANCELLED, "Stream removed (RST_STREAM (error code 8))", Cancelled, True),
        (CODE.CANCELLED, "I changed my mind", PluginError, True),
        (CODE.DEADLINE_EXCEEDED, "Deadline Exceeded", DeadlineExceeded, True),
        (CODE.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (5 vs. 4)", MessageTooLarge, True),
        (CODE.RESOURCE_EXHAUSTED, f"message larger than max (5 vs. {'4' * 5000})", PluginError, True),
        (CODE.RESOURCE_EXHAUSTED, "out of quota", PluginError, True),
        (CODE.INTERNAL, "Received http2 header with status: 400", WrongProtocol, True),
        (CODE.PERMISSION_DENIED, "Received http2 header with status: 403", PluginError, True),
        (CODE.UNIMPLEMENTED, "Method not found!", PluginError, True),
    ],
)
def test_text_tells_grpcios_statuses_from_the_plugins(
    code: grpc.StatusCode, text: str, expected: type[RemoraError], sent: bool
):
    """
    The connection's errors look like answers; the words of grpcio give them away.
    """
    error = error_from_rpc(_rpc_error(code, text), connected=True)

    assert (expected, sent) == (type(error), error.sent)
    assert isinstance(error.__cause__, grpc.aio.AioRpcError)


@pytest.mark.parametrize("piece", ["1", "message larger than max (", "Stream removed (", "Tls handshake failed"])
@pytest.mark.parametrize("code", [CODE.RESOURCE_EXHAUSTED, CODE.UNAVAILABLE, CODE.INTERNAL])
def test_no_text_takes_long(code: grpc.StatusCode, piece: str):
    """
    A plugin's error is read in a time that grows with the length of its text only.
    """
    assert grows_with_size_only(
        lambda error: error_from_rpc(error, connected=True),
        lambda length: _rpc_error(code, piece * (length // len(piece))),
        64_000,
    )


def test_unavailable_without_a_connection_is_no_answer():
    """
    A word that nobody knows counts as the plugin's only while the connection stands.
    """
    error = error_from_rpc(_rpc_error(CODE.UNAVAILABLE, "something new"), connected=False)

    assert ConnectionLost is type(error)


def test_server_without_tls_is_told_so():
    """
    Not in the words of the library that grpcio uses.
    """
    words = (
        "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:100000f7:SSL routines:OPENSSL_internal:"
        "WRONG_VERSION_NUMBER: Invalid certificate verification context: OK"
    )
    text = f"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:8126: {words}"
    error = error_from_rpc(_rpc_error(CODE.UNAVAILABLE, text), connected=False)

    assert (WrongProtocol, "127.0.0.1:8126: the server does not speak TLS") == (type(error), error.message)


def test_status_with_details_is_always_the_plugins():
    """
    Whatever words a plugin of Remora chooses.
    """
    sent = PluginError("Socket closed", code=PluginError("").code, details={"a": 1})
    error = error_from_rpc(_rpc_error(CODE.UNAVAILABLE, "Socket closed", encode_status(sent)), connected=False)

    assert isinstance(error, PluginError)
    assert {"a": 1} == error.details


@pytest.mark.fault(40)
def test_details_that_cannot_be_read_do_not_hide_the_error():
    """
    Foreign details may be anything.
    """
    error = error_from_rpc(_rpc_error(CODE.NOT_FOUND, "no", b"\xff\xff"), connected=True)

    assert isinstance(error, PluginError)
    assert ("no", {}) == (error.message, error.details)


def test_headers_that_grpc_cannot_carry_do_not_hide_the_answer():
    """
    The answer is sent without them.
    """
    code, message, trailing = rejection(PluginError("no", headers={"x": "a\nb"}))

    assert (CODE.UNKNOWN, "no", ["grpc-status-details-bin"]) == (code, message, [name for name, _ in trailing])


@pytest.mark.parametrize("seconds", [math.inf, -math.inf, math.nan, 1e300, 10**400, 10**12, -1, 0, 0.5, 10**11])
def test_every_time_to_wait_is_a_push_back(seconds: float):
    """
    What is none, or longer than anybody waits, asks not to try again.
    """
    _, _, trailing = rejection(PluginError("no", retry_after=seconds))

    assert str({0: 0, 0.5: 500, 10**11: 10**14}.get(seconds, -1)) == dict(trailing)["grpc-retry-pushback-ms"]


def _rpc_error(code: grpc.StatusCode, text: str, details: bytes | None = None) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata(*([("grpc-status-details-bin", details)] if details is not None else []))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=text)
