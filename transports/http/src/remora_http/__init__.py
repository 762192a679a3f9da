"""
Remora over HTTP: the transport `http`; `through`, which calls through an httpx transport of the application's own; and
`asgi`, which serves a plugin in any ASGI server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora_http._client._through import through
    from remora_http._server._asgi import asgi
else:  # a type checker would take any name for one of this package

    def __getattr__(name: str) -> object:
        # The entry point imports this package at start-up, even in programs that never use HTTP.
        if name == "asgi":
            from remora_http._server._asgi import asgi

            return asgi
        if name == "through":
            from remora_http._client._through import through

            return through
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["asgi", "through"]
