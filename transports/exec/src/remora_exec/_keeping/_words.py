"""
Messages between a host, its keeper and a warden, apart from orders. The keeper loads this, so nothing heavy here.
"""

READY = b"ready 2"
"""
The keeper takes orders from now on. The number grows when they change: a fork server may be of another version. What
follows, each after a NUL, are the directories that it has loaded packages from.
"""

REAP = b"r"
"""To a warden: the host sends the program no more signals."""

KILL = b"k"
"""To a warden: end the program now."""
