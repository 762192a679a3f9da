"""
Endpoints and a status page for a running Remora host.
"""
