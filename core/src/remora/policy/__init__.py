"""
Decisions as pure state machines: an injected clock and random source, numbers as results, no I/O, no waiting.
"""

from remora.policy._restart import Restart, RestartConfig, RestartPolicy

__all__ = ["Restart", "RestartConfig", "RestartPolicy"]
