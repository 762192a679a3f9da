"""
Helpers for tests: clocks, transports without a wire, and the contracts that extensions are checked against.

pytest finds the fixtures by itself: see `remora_pytest`.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora.testing._auth import check_auth_method
    from remora.testing._balancer import check_balancer
    from remora.testing._claims import ContractViolation, Finding
    from remora.testing._clock import ManualClock, virtual_backends
    from remora.testing._codec import check_codec
    from remora.testing._exporter import check_exporter
    from remora.testing._host import TestHost
    from remora.testing._interceptor import check_interceptor
    from remora.testing._kinds import CONTRACTS, examine
    from remora.testing._memory import MemoryTransport
    from remora.testing._recorder import EventRecorder
    from remora.testing._recording import RecordingExporter
    from remora.testing._resolver import check_resolver
    from remora.testing._scripted import ScriptedPlugin, ScriptedTransport
    from remora.testing._steps import Answer, Crash, Drop, Echo, Fail, Hang
    from remora.testing._transport import check_transport
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora.testing._auth": "check_auth_method",
            "remora.testing._balancer": "check_balancer",
            "remora.testing._claims": "ContractViolation Finding",
            "remora.testing._clock": "ManualClock virtual_backends",
            "remora.testing._codec": "check_codec",
            "remora.testing._exporter": "check_exporter",
            "remora.testing._host": "TestHost",
            "remora.testing._interceptor": "check_interceptor",
            "remora.testing._kinds": "CONTRACTS examine",
            "remora.testing._memory": "MemoryTransport",
            "remora.testing._recorder": "EventRecorder",
            "remora.testing._recording": "RecordingExporter",
            "remora.testing._resolver": "check_resolver",
            "remora.testing._scripted": "ScriptedPlugin ScriptedTransport",
            "remora.testing._steps": "Answer Crash Drop Echo Fail Hang",
            "remora.testing._transport": "check_transport",
        },
    )

__all__ = [
    "CONTRACTS",
    "Answer",
    "ContractViolation",
    "Crash",
    "Drop",
    "Echo",
    "EventRecorder",
    "Fail",
    "Finding",
    "Hang",
    "ManualClock",
    "MemoryTransport",
    "RecordingExporter",
    "ScriptedPlugin",
    "ScriptedTransport",
    "TestHost",
    "check_auth_method",
    "check_balancer",
    "check_codec",
    "check_exporter",
    "check_interceptor",
    "check_resolver",
    "check_transport",
    "examine",
    "virtual_backends",
]
