"""
Typed handles on a plugin: one method at a time, or a whole service as a Protocol class describes it.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from remora._caller import NO_OPTIONS, CallOptions
from remora._methods import Method, methods_of, service_info
from remora.errors import ConfigError, ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remora._caller import Caller, Target
    from remora.types import HealthStatus, PluginInfo

__all__ = ["Plugin", "make_client"]

Request = TypeVar("Request")
Response = TypeVar("Response")

_NOTHING = (None, None, None, None, "")


class Plugin(Generic[Request, Response]):
    """
    One method of a plugin, typed by its request and its response. Made by `Manager.plugin`.
    """

    def __init__(self, caller: Caller, target: Target) -> None:
        self._caller = caller
        self._target = target
        self._is_closed = False

    async def execute(
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
        Call the plugin.

        Args:
            request: The request.
            timeout: Seconds that the call may take; None for no limit beside the configured one.
            headers: Sent along with the request.
            request_id: The identifier of the call; a new one when there is none.
            idempotent: Whether the call may be made twice.
            hash_key: What the call is about, for balancers that keep calls about one thing together.

        Raises:
            PluginError: The plugin said no.
            DeadlineExceeded: There was no reply in time.
            Unavailable: No instance can take the call now.
            InvalidReply: The reply is not a `Response`.
        """
        if self._is_closed:
            raise ManagerClosed("this handle is closed", plugin=self._caller.route.name)
        options = NO_OPTIONS
        if (timeout, headers, request_id, idempotent, hash_key) != _NOTHING:
            options = CallOptions(
                timeout=timeout, headers=headers, request_id=request_id, idempotent=idempotent, hash_key=hash_key
            )
        response: Response = await self._caller.call(self._target, request, options)
        return response

    async def info(self) -> PluginInfo:
        """
        What the plugin says about itself.
        """
        return await self._caller.info()

    async def health(self) -> HealthStatus:
        """
        The health of the plugin, after asking it.
        """
        return await self._caller.health()

    async def close(self) -> None:
        """
        Give the handle back. The plugin itself goes on; it belongs to the manager.
        """
        self._is_closed = True


def make_client(caller: Caller, protocol: Callable[..., Any]) -> Any:
    """
    An object with one coroutine per method of a Protocol class (see `Manager.client`).

    Raises:
        ConfigError: A method cannot be called over a wire.
    """
    service, protocol = service_of(caller, protocol)
    calls = {
        method.attribute: _coroutine(caller, service, method, protocol) for method in methods_of(protocol).values()
    }
    return type(f"{protocol.__name__}Client", (), {"__doc__": protocol.__doc__, "__slots__": (), **calls})()


def service_of(caller: Caller, protocol: Callable[..., Any]) -> tuple[str, type]:
    """
    The name of the service that a class stands for, and the class.

    Raises:
        ConfigError: It is no class.
    """
    if not isinstance(protocol, type):
        raise ConfigError(f"{protocol!r} is no class")
    return caller.route.config.service or service_info(protocol).name, protocol


def _coroutine(caller: Caller, service: str, method: Method, protocol: type) -> Callable[..., Any]:
    target = caller.target(
        service=service,
        method=method.name,
        request=method.request,
        response=method.response,
        idempotent=method.idempotent,
    )

    async def call(_self: object, *args: object, **kwargs: object) -> object:
        return await caller.call(target, method.pack(args, kwargs), NO_OPTIONS)

    return update_wrapper(call, getattr(protocol, method.attribute))
