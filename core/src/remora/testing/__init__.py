"""
What ships for tests: clocks, a transport without a wire, and the contracts that extensions are checked against.
"""

from remora.testing._clock import ManualClock, virtual_backends
from remora.testing._exporter import check_exporter
from remora.testing._memory import MemoryTransport
from remora.testing._recording import RecordingExporter
from remora.testing._scripted import ScriptedPlugin, ScriptedTransport
from remora.testing._transport import check_transport
from remora.testing._violation import ContractViolation

__all__ = [
    "ContractViolation",
    "ManualClock",
    "MemoryTransport",
    "RecordingExporter",
    "ScriptedPlugin",
    "ScriptedTransport",
    "check_exporter",
    "check_transport",
    "virtual_backends",
]
