"""
Load balancing strategies for Remora.
"""

__all__: list[str] = []
