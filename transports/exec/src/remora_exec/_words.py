"""
What a host, its keeper and a warden say to one another, apart from orders. The keeper loads it: nothing heavy.
"""

READY = b"ready"
"""The keeper takes orders from now on."""

REAP = b"r"
"""To a warden: the host sends the program no more signals."""

KILL = b"k"
"""To a warden: the program is to end now."""
