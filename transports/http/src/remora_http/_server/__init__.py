"""
Serving a plugin over HTTP: an own server, and an ASGI application for others.
"""
