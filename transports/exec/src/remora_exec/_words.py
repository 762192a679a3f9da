"""
Messages between a host, its keeper and a warden, apart from orders. The keeper loads this, so nothing heavy here.
"""

READY = b"ready"
"""The keeper takes orders from now on."""

REAP = b"r"
"""To a warden: the host sends the program no more signals."""

KILL = b"k"
"""To a warden: end the program now."""
