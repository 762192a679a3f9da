"""
Out-of-process plugins for Python applications.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily as _lazily
from remora.serve import ServeOptions, serve, serving

if TYPE_CHECKING:
    from remora._calls._caller import CallOptions
    from remora._context import CurrentCall, current_call
    from remora._manager import Manager
    from remora._methods import idempotent, method, service
    from remora.client import Plugin
    from remora.config import (
        AccessConfig,
        AuthConfig,
        ConnectionConfig,
        DiscoveryConfig,
        ManagerConfig,
        PluginConfig,
        ResolverConfig,
    )
    from remora.errors import (
        Cancelled,
        CertificateRejected,
        CircuitOpen,
        Code,
        ConfigError,
        ConnectionLost,
        DeadlineExceeded,
        Draining,
        DrainTimeout,
        ExecutableRefused,
        ExtensionConflict,
        ExtensionError,
        GiveUp,
        InvalidReply,
        InvalidRequest,
        ManagerClosed,
        MessageTooLarge,
        NoCredentials,
        NotInstalled,
        Overloaded,
        PeerRefused,
        PluginDied,
        PluginDisabled,
        PluginError,
        PluginNotFound,
        RateLimited,
        RemoraError,
        ServiceMismatch,
        TryLater,
        Unavailable,
        VersionMismatch,
        WireError,
        WrongProtocol,
    )
    from remora.hookspecs import hookimpl
    from remora.metrics import MetricsRegistry
    from remora.monitor import CheckChanged, HealthMonitor
    from remora.observability import ObservabilityMetrics
    from remora.reload import PluginPlan, PluginReload, ReloadOptions, ReloadPlan, ReloadReport
    from remora.secret import Secret
    from remora.specs import (
        AuthSpec,
        BalancerSpec,
        CodecSpec,
        CommandSpec,
        ExporterSpec,
        InterceptorSpec,
        ResolverSpec,
        TransportSpec,
    )
    from remora.types import Call, Endpoint, ExtensionFaults, HealthStatus, MethodInfo, PluginInfo, Reply, Status
else:
    __getattr__, __dir__ = _lazily(
        __name__,
        {
            "remora._calls._caller": "CallOptions",
            "remora._context": "CurrentCall current_call",
            "remora._manager": "Manager",
            "remora._methods": "idempotent method service",
            "remora.client": "Plugin",
            "remora.config": (
                "AccessConfig AuthConfig ConnectionConfig DiscoveryConfig ManagerConfig PluginConfig ResolverConfig"
            ),
            "remora.errors": (
                "Cancelled CertificateRejected CircuitOpen Code ConfigError ConnectionLost DeadlineExceeded "
                "Draining DrainTimeout ExecutableRefused ExtensionConflict ExtensionError GiveUp InvalidReply "
                "InvalidRequest ManagerClosed MessageTooLarge NoCredentials NotInstalled Overloaded PeerRefused "
                "PluginDied PluginDisabled PluginError PluginNotFound RateLimited RemoraError ServiceMismatch "
                "TryLater Unavailable VersionMismatch WireError WrongProtocol"
            ),
            "remora.hookspecs": "hookimpl",
            "remora.metrics": "MetricsRegistry",
            "remora.monitor": "CheckChanged HealthMonitor",
            "remora.observability": "ObservabilityMetrics",
            "remora.reload": "PluginPlan PluginReload ReloadOptions ReloadPlan ReloadReport",
            "remora.secret": "Secret",
            "remora.specs": (
                "AuthSpec BalancerSpec CodecSpec CommandSpec ExporterSpec InterceptorSpec ResolverSpec TransportSpec"
            ),
            "remora.types": "Call Endpoint ExtensionFaults HealthStatus MethodInfo PluginInfo Reply Status",
        },
    )

__all__ = [
    "AccessConfig",
    "AuthConfig",
    "AuthSpec",
    "BalancerSpec",
    "Call",
    "CallOptions",
    "Cancelled",
    "CertificateRejected",
    "CheckChanged",
    "CircuitOpen",
    "Code",
    "CodecSpec",
    "CommandSpec",
    "ConfigError",
    "ConnectionConfig",
    "ConnectionLost",
    "CurrentCall",
    "DeadlineExceeded",
    "DiscoveryConfig",
    "DrainTimeout",
    "Draining",
    "Endpoint",
    "ExecutableRefused",
    "ExporterSpec",
    "ExtensionConflict",
    "ExtensionError",
    "ExtensionFaults",
    "GiveUp",
    "HealthMonitor",
    "HealthStatus",
    "InterceptorSpec",
    "InvalidReply",
    "InvalidRequest",
    "Manager",
    "ManagerClosed",
    "ManagerConfig",
    "MessageTooLarge",
    "MethodInfo",
    "MetricsRegistry",
    "NoCredentials",
    "NotInstalled",
    "ObservabilityMetrics",
    "Overloaded",
    "PeerRefused",
    "Plugin",
    "PluginConfig",
    "PluginDied",
    "PluginDisabled",
    "PluginError",
    "PluginInfo",
    "PluginNotFound",
    "PluginPlan",
    "PluginReload",
    "RateLimited",
    "ReloadOptions",
    "ReloadPlan",
    "ReloadReport",
    "RemoraError",
    "Reply",
    "ResolverConfig",
    "ResolverSpec",
    "Secret",
    "ServeOptions",
    "ServiceMismatch",
    "Status",
    "TransportSpec",
    "TryLater",
    "Unavailable",
    "VersionMismatch",
    "WireError",
    "WrongProtocol",
    "current_call",
    "hookimpl",
    "idempotent",
    "method",
    "serve",
    "service",
    "serving",
]
