"""
The messages of grpc.health.v1.Health/Check, the health service on every wire.

What lives here: the call, its reply and their meaning. What must not: when to ask.
"""

from __future__ import annotations

from remora.types import Call, Reply, Status
from remora.wire._protobuf import decode_signed, decode_text, encode_integer, fields

HEALTH_SERVICE = "grpc.health.v1.Health"
HEALTH_METHOD = "Check"

_SERVING, _NOT_SERVING = 1, 2
_MEANING = {_SERVING: Status.HEALTHY, _NOT_SERVING: Status.UNHEALTHY}
_NUMBERS = {status: number for number, status in _MEANING.items()}


def health_call(deadline: float | None = None) -> Call:
    """
    The call that asks for the health of a plugin as a whole. In protobuf, so that peers in any language understand it.
    """
    return Call(
        service=HEALTH_SERVICE,
        method=HEALTH_METHOD,
        content_type="application/proto",
        deadline=deadline,
        idempotent=True,
    )


def decode_health_request(call: Call) -> str:
    """
    The service that a HealthCheckRequest asks for; empty for the plugin as a whole, and for any other request.
    """
    try:
        names = [decode_text(value) for field, value in fields(call.payload) if field == 1]
    except ValueError:
        return ""
    return names[-1] if names else ""


def encode_health(status: Status) -> bytes:
    """
    The bytes of a HealthCheckResponse.
    """
    return encode_integer(1, _NUMBERS.get(status, _NOT_SERVING))


def decode_health(reply: Reply) -> Status:
    """
    The status in a HealthCheckResponse; any other reply counts as unknown.
    """
    try:
        numbers = [decode_signed(value) for field, value in fields(reply.payload) if field == 1]
    except ValueError:
        return Status.UNKNOWN
    return _MEANING.get(numbers[-1], Status.UNKNOWN) if numbers else Status.UNKNOWN
