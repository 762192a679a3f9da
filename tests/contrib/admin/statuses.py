"""
What `/status` says, made up.
"""

from __future__ import annotations

ERROR = {
    "time": 0.0,
    "code": "UNAVAILABLE",
    "message": "connection [bold]reset\x1b[31m\nroot: no",
    "instance": "unix:/b.sock",
}


def part(**said):
    """
    What `/status` says of a plugin or an instance of which nothing is known.
    """
    latency = {"p50": None, "p95": None, "p99": None}
    nothing = {"in_flight": 0, "requests": 0, "success_rate": None, "recent": None, "last_error": None, "message": ""}
    return {"status": "healthy", "latency": latency, "errors": {}, **nothing, **said}


def instance(name, **said):
    return part(name=name, state="ready", breaker="closed", **said)
