"""
Prometheus metrics for Remora.
"""
