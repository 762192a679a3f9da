"""
Typed handles for synchronous programs: one method at a time, or a whole service as a Protocol class describes it.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import remora.client
    from remora.sync._loop import Loop
    from remora.types import HealthStatus, PluginInfo

Request = TypeVar("Request")
Response = TypeVar("Response")


class Plugin(Generic[Request, Response]):
    """
    One method of a plugin, typed by its request and its response. Made by `sync.Manager.plugin`.

    Any number of threads may use it.
    """

    def __init__(self, loop: Loop, plugin: remora.client.Plugin[Request, Response]) -> None:
        self._loop = loop
        self._plugin = plugin

    def execute(
        self,
        request: Request,
        *,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
        idempotent: bool | None = None,
        hash_key: str = "",
    ) -> Response:
        """
        Call the plugin and wait for its reply, as `remora.Plugin.execute`.

        Args:
            request: The request.
            timeout: Seconds that the call may take; None for the configured `request_timeout`, which always holds too.
            headers: Sent along with the request.
            request_id: The identifier of the call; None for a new one.
            idempotent: Whether the call may be made twice; None for what the method says.
            hash_key: What the call is about, for balancers that keep calls about one thing together.

        Raises:
            PluginError: The plugin said no.
            DeadlineExceeded: There was no reply in time.
            Unavailable: No instance can take the call now.
            InvalidReply: The reply is not a `Response`.
            ManagerClosed: The manager is not open.
        """
        return self._loop.call(
            self._plugin.execute,
            request,
            timeout=timeout,
            headers=headers,
            request_id=request_id,
            idempotent=idempotent,
            hash_key=hash_key,
        )

    def info(self) -> PluginInfo:
        """
        What the plugin says about itself.

        Raises:
            RemoraError: The plugin cannot be asked.
        """
        return self._loop.call(self._plugin.info)

    def health(self) -> HealthStatus:
        """
        The health of the plugin, after asking it.
        """
        return self._loop.call(self._plugin.health)

    def close(self) -> None:
        """
        Make this handle unusable. The plugin itself stays open; it belongs to the manager.
        """
        self._loop.call(self._plugin.close)


def blocking(loop: Loop, call: Callable[..., Awaitable[object]]) -> Callable[..., Any]:
    """
    The method of a client that waits for a coroutine of the asynchronous one.
    """

    def wait(self: object, *args: object, **kwargs: object) -> object:
        return loop.call(call, self, *args, **kwargs)

    return update_wrapper(wait, call)
