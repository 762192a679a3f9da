"""
Out-of-process plugins for Python applications.
"""

from remora._caller import CallOptions
from remora._context import CurrentCall, current_call
from remora._manager import Manager
from remora._methods import idempotent, method, service
from remora.client import Plugin
from remora.config import ConnectionConfig, ManagerConfig, PluginConfig
from remora.errors import (
    Cancelled,
    CircuitOpen,
    Code,
    ConfigError,
    ConnectionLost,
    DeadlineExceeded,
    Draining,
    ExtensionConflict,
    ExtensionError,
    GiveUp,
    InvalidReply,
    InvalidRequest,
    ManagerClosed,
    MessageTooLarge,
    NotInstalled,
    Overloaded,
    PluginDied,
    PluginDisabled,
    PluginError,
    PluginNotFound,
    RateLimited,
    RemoraError,
    TryLater,
    Unavailable,
    WireError,
    WrongProtocol,
)
from remora.hookspecs import hookimpl
from remora.monitor import CheckChanged, HealthMonitor
from remora.serve import ServeOptions, serve, serving
from remora.specs import BalancerSpec, CodecSpec, CommandSpec, InterceptorSpec, TransportSpec
from remora.types import Call, Endpoint, HealthStatus, MethodInfo, PluginInfo, Reply, Status

__all__ = [
    "BalancerSpec",
    "Call",
    "CallOptions",
    "Cancelled",
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
    "Draining",
    "Endpoint",
    "ExtensionConflict",
    "ExtensionError",
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
    "NotInstalled",
    "Overloaded",
    "Plugin",
    "PluginConfig",
    "PluginDied",
    "PluginDisabled",
    "PluginError",
    "PluginInfo",
    "PluginNotFound",
    "RateLimited",
    "RemoraError",
    "Reply",
    "ServeOptions",
    "Status",
    "TransportSpec",
    "TryLater",
    "Unavailable",
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
