"""
What the objects of an extension must be able to do. No base class is needed: any object with these methods will do.

What lives here: protocols. What must not: implementations.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora.protocols._auth import AuthMethod, Verifier
    from remora.protocols._balancers import Balancer, Candidate
    from remora.protocols._codecs import Codec, PreparedCodec
    from remora.protocols._exporters import MetricExporter, PullExporter
    from remora.protocols._interceptors import AttemptInterceptor, Interceptor, Tracing
    from remora.protocols._resolvers import Resolver
    from remora.protocols._transports import (
        Channel,
        Dispatch,
        InspectableTransport,
        Listener,
        PreparingTransport,
        ReviewedChannel,
        Transport,
        WatchedChannel,
    )
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora.protocols._auth": "AuthMethod Verifier",
            "remora.protocols._balancers": "Balancer Candidate",
            "remora.protocols._codecs": "Codec PreparedCodec",
            "remora.protocols._exporters": "MetricExporter PullExporter",
            "remora.protocols._interceptors": "AttemptInterceptor Interceptor Tracing",
            "remora.protocols._resolvers": "Resolver",
            "remora.protocols._transports": (
                "Channel Dispatch InspectableTransport Listener PreparingTransport ReviewedChannel Transport"
                " WatchedChannel"
            ),
        },
    )

__all__ = [
    "AttemptInterceptor",
    "AuthMethod",
    "Balancer",
    "Candidate",
    "Channel",
    "Codec",
    "Dispatch",
    "InspectableTransport",
    "Interceptor",
    "Listener",
    "MetricExporter",
    "PreparedCodec",
    "PreparingTransport",
    "PullExporter",
    "Resolver",
    "ReviewedChannel",
    "Tracing",
    "Transport",
    "Verifier",
    "WatchedChannel",
]
