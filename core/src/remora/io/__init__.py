"""
The asynchronous halves that more than one transport shares. What only rearranges bytes lives in `remora.wire`.
"""

from remora.io._probe import probe_health

__all__ = ["probe_health"]
