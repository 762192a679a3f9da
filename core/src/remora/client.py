"""
Typed handles on a plugin: one method at a time, or a whole service as a Protocol class describes it.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_origin

from remora._caller import NO_OPTIONS, CallOptions
from remora._methods import Method, methods_of, service_info
from remora.errors import ConfigError, ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from remora._caller import Caller, Target
    from remora.types import HealthStatus, PluginInfo

__all__ = ["Plugin", "make_client"]

Request = TypeVar("Request")
Response = TypeVar("Response")

if TYPE_CHECKING:
    Call = Callable[..., Awaitable[object]]

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


def make_client(caller: Caller, protocol: Any, *, wait: Callable[[Call], Callable[..., Any]] | None = None) -> Any:
    """
    An object with one coroutine per method of a Protocol class (see `Manager.client`).

    Args:
        caller: Makes the calls.
        protocol: The class, or a generic one with its arguments.
        wait: For synchronous clients: makes a coroutine function one that waits.

    Raises:
        ConfigError: A method cannot be called over a wire, or is not of the kind that the client has.
    """
    service, cls = service_of(caller, protocol)
    methods = methods_of(protocol).values()
    check_kind(cls, methods, is_async=wait is None)
    calls = {method.attribute: _coroutine(caller, service, method, cls) for method in methods}
    shown = calls if wait is None else {name: wait(call) for name, call in calls.items()}
    return type(f"{cls.__name__}Client", (), {"__doc__": cls.__doc__, "__slots__": (), **shown})()


def check_kind(cls: type, methods: Iterable[Method], *, is_async: bool) -> None:
    """
    Make sure that what a type checker says about a client is true.

    A plugin's own class may have plain handlers; its asynchronous client has coroutines all the same.

    Raises:
        ConfigError: A Protocol has plain methods where coroutines come, or coroutines come where something waits.
    """
    if is_async and not getattr(cls, "_is_protocol", False):
        return
    for method in methods:
        if method.is_async is not is_async:
            where = f"{cls.__qualname__}.{method.attribute}"
            raise ConfigError(
                f"{where} is to be `async def` in a client of `remora.Manager`"
                if is_async
                else f"{where} is `async def`: a synchronous client needs a Protocol whose methods are plain `def`"
            )


def service_of(caller: Caller, protocol: Any) -> tuple[str, type]:
    """
    The name of the service that a class stands for, and the class.

    Raises:
        ConfigError: It is no class.
    """
    cls = get_origin(protocol) or protocol
    if not isinstance(cls, type):
        raise ConfigError(f"{protocol!r} is no class")
    return caller.route.config.service or service_info(cls).name, cls


def _coroutine(caller: Caller, service: str, method: Method, protocol: type) -> Call:
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
