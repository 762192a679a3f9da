"""
Endpoints and a status page for a running Remora host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora_admin._app import admin_app
    from remora_admin._server import serving_admin
else:  # a type checker would take any name for one of this package

    def __getattr__(name: str) -> object:
        if name == "admin_app":
            from remora_admin._app import admin_app

            return admin_app
        if name == "serving_admin":
            from remora_admin._server import serving_admin

            return serving_admin
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["admin_app", "serving_admin"]
