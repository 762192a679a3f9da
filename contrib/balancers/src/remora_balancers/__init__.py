"""
Load balancing strategies for Remora, and a load balancer that needs no manager.
"""

from remora_balancers._load_balancer import Executable, LoadBalancer, PluginStats

__all__ = ["Executable", "LoadBalancer", "PluginStats"]
