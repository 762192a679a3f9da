"""
What ships for tests: clocks, a transport without a wire, and the contracts that extensions are checked against.
"""

from remora.testing._clock import ManualClock, virtual_backends
from remora.testing._memory import MemoryTransport
from remora.testing._scripted import ScriptedPlugin, ScriptedTransport
from remora.testing._transport import ContractViolation, check_transport

__all__ = [
    "ContractViolation",
    "ManualClock",
    "MemoryTransport",
    "ScriptedPlugin",
    "ScriptedTransport",
    "check_transport",
    "virtual_backends",
]
