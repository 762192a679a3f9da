"""
Helpers for tests: clocks, transports without a wire, and the contracts that extensions are checked against.

pytest finds the fixtures by itself: see `remora_pytest`.
"""

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
