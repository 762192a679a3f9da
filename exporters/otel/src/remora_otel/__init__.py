"""
OpenTelemetry metrics and traces for Remora.
"""
