"""
Load balancing strategies for Remora, and a load balancer that needs no manager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora_balancers._load_balancer import Executable, LoadBalancer, PluginStats
else:

    def __getattr__(name: str) -> object:  # loaded when it is used: reading the entry points comes by here
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from remora_balancers import _load_balancer

        return getattr(_load_balancer, name)


__all__ = ["Executable", "LoadBalancer", "PluginStats"]
