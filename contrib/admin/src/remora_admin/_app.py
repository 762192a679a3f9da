"""
The endpoints of a running host, as an ASGI application that any server can mount.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import create_task_group, sleep
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from remora.types import Status
from remora_admin._actions import Actions
from remora_admin._json import Json
from remora_admin._metrics import exposition
from remora_admin._page import page, page_policy
from remora_admin._recent import Recent
from remora_admin._status import is_dormant, look, status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.requests import Request

    from remora import Manager, Secret

    Reload = Callable[[], Awaitable[object]]

_OUT = (Status.OFFLINE, Status.UNHEALTHY, Status.UNKNOWN)
_INTERVAL = 5.0
_FRESH = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def admin_app(
    manager: Manager,
    *,
    admin_token: Secret | None = None,
    reload: Reload | None = None,
    allowed_hosts: Sequence[str] = ("*",),
) -> Starlette:
    """
    The endpoints of a manager: `/` for people, `/status`, `/metrics`, `/healthz` and `/readyz` for programs.

    Args:
        manager: The manager, entered.
        admin_token: Whoever sends it as `Authorization: Bearer` may restart, drain and reload; None lets nobody.
        reload: What `POST /reload` does; None to refuse it.
        allowed_hosts: The values of the header `Host` that are answered, against DNS rebinding; `*` allows all.

    Raises:
        ConfigError: The token is empty, or cannot be sent.
    """
    endpoints = Endpoints(manager, read_only=admin_token is None)
    actions = Actions(manager, admin_token, reload)
    routes = [
        Route("/", endpoints.page),
        Route("/status", endpoints.status),
        Route("/metrics", endpoints.metrics),
        Route("/healthz", endpoints.alive),
        Route("/readyz", endpoints.ready),
        Route("/reload", actions.reload, methods=["POST"]),
        Route("/plugins/{name}/restart", actions.restart, methods=["POST"]),
        Route("/plugins/{name}/drain", actions.drain, methods=["POST"]),
    ]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))]
    return Starlette(routes=routes, middleware=middleware, lifespan=endpoints.looking)


class Endpoints:
    """
    What can be looked at.
    """

    def __init__(self, manager: Manager, *, read_only: bool) -> None:
        self._manager = manager
        self._read_only = read_only
        self._recent = Recent()

    @asynccontextmanager
    async def looking(self, _: Starlette) -> AsyncIterator[None]:
        """
        Look at the counts now and then, so that whoever comes first gets to know what was wrong in the last minute.
        """
        async with create_task_group() as group:
            group.start_soon(self._look)
            yield
            group.cancel_scope.cancel()

    async def _look(self) -> None:
        while True:
            look(self._manager, self._recent)
            await sleep(_INTERVAL)

    async def page(self, _: Request) -> Response:
        """
        The status page.
        """
        return HTMLResponse(page(), headers={**_FRESH, "Content-Security-Policy": page_policy()})

    async def status(self, _: Request) -> Response:
        """
        All that the page shows, as JSON.
        """
        return Json({**status_of(self._manager, self._recent), "read_only": self._read_only}, headers=_FRESH)

    async def metrics(self, request: Request) -> Response:
        """
        The metrics, in the format that is asked for.
        """
        body, content_type = exposition(self._manager.metrics, request.headers.get("accept", ""))
        return Response(body, headers={**_FRESH, "Content-Type": content_type})

    async def alive(self, _: Request) -> Response:
        """
        The event loop turns; nothing is said about plugins, so that nobody restarts the host for what they do.
        """
        return PlainTextResponse("ok\n", headers=_FRESH)

    async def ready(self, _: Request) -> Response:
        """
        Whether every plugin takes calls, or waits for its first one; otherwise which does not.
        """
        found = self._manager.observability().plugin_metrics
        awake = {name: each for name, each in found.items() if not is_dormant(each)}
        out = [name for name, each in awake.items() if each.is_draining or each.health.status in _OUT]
        text = f"not ready: {', '.join(out)}\n" if out else "ok\n"
        return PlainTextResponse(text, status_code=503 if out else 200, headers=_FRESH)
