"""
The records that are passed around: calls, replies, endpoints, health, descriptions, lifecycle events.

What lives here: frozen records that cannot be built wrong. What must not: behaviour, I/O, configuration.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora.types._attempts import Attempt, Refresh, TraceIds
    from remora.types._calls import Call, Reply
    from remora.types._endpoints import Endpoint
    from remora.types._events import (
        BreakerChanged,
        ConfigRejected,
        DrainEnded,
        DrainLifted,
        DrainProgressed,
        EndpointsChanged,
        Event,
        FallbackUsed,
        HealthChanged,
        InstanceFailed,
        InstanceLost,
        InstanceReady,
        InstanceStopped,
        ManagerStarted,
        ManagerStopped,
        ManifestRejected,
        PluginsDiscovered,
        ProgramReadmitted,
        ProgramRevoked,
        ReloadApplied,
        ReloadRolledBack,
        ReloadStarted,
        RequirementLost,
        RequirementMet,
        ResolverFailed,
    )
    from remora.types._extensions import ExtensionFaults
    from remora.types._health import HealthStatus, Status
    from remora.types._plugins import Inspection, MethodInfo, PluginInfo
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora.types._attempts": "Attempt Refresh TraceIds",
            "remora.types._calls": "Call Reply",
            "remora.types._endpoints": "Endpoint",
            "remora.types._events": (
                "BreakerChanged ConfigRejected DrainEnded DrainLifted DrainProgressed EndpointsChanged Event "
                "FallbackUsed HealthChanged InstanceFailed InstanceLost InstanceReady InstanceStopped "
                "ManagerStarted ManagerStopped ManifestRejected PluginsDiscovered ProgramReadmitted "
                "ProgramRevoked ReloadApplied ReloadRolledBack ReloadStarted RequirementLost RequirementMet "
                "ResolverFailed"
            ),
            "remora.types._extensions": "ExtensionFaults",
            "remora.types._health": "HealthStatus Status",
            "remora.types._plugins": "Inspection MethodInfo PluginInfo",
        },
    )

__all__ = [
    "Attempt",
    "BreakerChanged",
    "Call",
    "ConfigRejected",
    "DrainEnded",
    "DrainLifted",
    "DrainProgressed",
    "Endpoint",
    "EndpointsChanged",
    "Event",
    "ExtensionFaults",
    "FallbackUsed",
    "HealthChanged",
    "HealthStatus",
    "Inspection",
    "InstanceFailed",
    "InstanceLost",
    "InstanceReady",
    "InstanceStopped",
    "ManagerStarted",
    "ManagerStopped",
    "ManifestRejected",
    "MethodInfo",
    "PluginInfo",
    "PluginsDiscovered",
    "ProgramReadmitted",
    "ProgramRevoked",
    "Refresh",
    "ReloadApplied",
    "ReloadRolledBack",
    "ReloadStarted",
    "Reply",
    "RequirementLost",
    "RequirementMet",
    "ResolverFailed",
    "Status",
    "TraceIds",
]
