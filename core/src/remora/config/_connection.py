"""
The block `connection` of a plugin's table. It is apart from the other records because transports have it in theirs.

What lives here: the record. What must not: anything that connects.
"""

# No postponed annotations here, as in `_records`.

from dataclasses import field

from remora._frozen import dataclass
from remora.policy import GradientConfig
from remora.values import Count, Duration, Number


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionConfig:
    """
    How an instance is connected.

    Attributes:
        max_connections: The most calls that may be under way at one instance at once, whatever the transport.
        max_pending: The most calls that may wait for one of these places; more are refused.
        adaptive_limit: Whether fewer places are given while the instance answers slower than usual.
        max_idle_connections: http: the most connections that are kept open while nobody uses them.
        idle_timeout: http: seconds after which an unused connection is closed.
        connection_timeout: Seconds to wait for a connection, or for a process to be ready.
        request_timeout: Seconds that a call may take at most, with all its attempts.
        keep_alive: http: whether a connection is used for more than one call.
        disable_compression: http: whether to ask for uncompressed replies.
    """

    max_connections: Count = 10
    max_pending: Number = 1000
    adaptive_limit: GradientConfig = field(default_factory=GradientConfig)
    max_idle_connections: Count = 5
    idle_timeout: Duration = 30.0
    connection_timeout: Duration = 10.0
    request_timeout: Duration = 30.0
    keep_alive: bool = True
    disable_compression: bool = False
