"""
Typed handles on a plugin: one method at a time, or a whole service as a Protocol class describes it.
"""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_origin

from remora._calls._caller import NO_OPTIONS, Caller, CallOptions
from remora._methods import Method, methods_of, service_info
from remora.errors import ConfigError, ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from remora._calls._caller import Target
    from remora.config import PluginConfig
    from remora.types import HealthStatus, PluginInfo

__all__ = ["Plugin", "make_client"]

Request = TypeVar("Request")
Response = TypeVar("Response")

if TYPE_CHECKING:
    Call = Callable[..., Awaitable[object]]

_NOTHING = (None, None, None, None, "")


class Handle:
    """
    A plugin by its name: whoever holds it finds what is there when a call is made.

    Args:
        find: Finds what makes the calls, or says why there is nothing.
    """

    def __init__(self, find: Callable[[], Caller]) -> None:
        self.find = find

    def aim(
        self, *, service: str | None, method: str | None, request: object, response: object, idempotent: bool = False
    ) -> Aim:
        """
        A method of the plugin; what is None is as configured at the time of each call.

        Raises:
            ConfigError: The plugin's fallback is a value that is no reply of the method.
            InvalidRequest: A name cannot be sent.
            NotInstalled: The configured codec is not there.
        """
        aim = Aim(
            partial(
                Caller.target,
                service=service,
                method=method,
                request=request,
                response=response,
                idempotent=idempotent,
            )
        )
        _check_fallback([aim.at(self.find())])
        return aim


class Aim:
    """
    One method of a plugin, as the configuration says that is in force.
    """

    def __init__(self, target: Callable[[Caller], Target]) -> None:
        self._make = target
        self._config: PluginConfig | None = None
        self._target: Target

    def at(self, caller: Caller) -> Target:
        """
        What to call; made anew only when the configuration has changed.
        """
        config = caller.route.config
        if config is not self._config:
            self._target, self._config = self._make(caller), config
        return self._target


class Plugin(Generic[Request, Response]):
    """
    One method of a plugin, typed by its request and its response. Made by `Manager.plugin`.
    """

    def __init__(self, handle: Handle, aim: Aim) -> None:
        self._find = handle.find
        self._aim = aim
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
            raise ManagerClosed("this handle is closed")
        options = NO_OPTIONS
        if (timeout, headers, request_id, idempotent, hash_key) != _NOTHING:
            options = CallOptions(
                timeout=timeout, headers=headers, request_id=request_id, idempotent=idempotent, hash_key=hash_key
            )
        caller = self._find()
        response: Response = await caller.call(self._aim.at(caller), request, options)
        return response

    async def info(self) -> PluginInfo:
        """
        What the plugin says about itself.
        """
        return await self._find().info()

    async def health(self) -> HealthStatus:
        """
        The health of the plugin, after asking it.
        """
        return await self._find().health()

    async def close(self) -> None:
        """
        Give the handle back. The plugin itself goes on; it belongs to the manager.
        """
        self._is_closed = True


def make_client(handle: Handle, protocol: Any, *, wait: Callable[[Call], Callable[..., Any]] | None = None) -> Any:
    """
    An object with one coroutine per method of a Protocol class (see `Manager.client`).

    Args:
        handle: Makes the calls.
        protocol: The class, or a generic one with its arguments.
        wait: For synchronous clients: makes a coroutine function one that waits.

    Raises:
        ConfigError: A method cannot be called over a wire, or is not of the kind that the client has; or the plugin's
            fallback is a value that is the reply of none.
    """
    cls = class_of(protocol)
    methods = methods_of(protocol).values()
    check_kind(cls, methods, is_async=wait is None)
    aims = [(method, Aim(partial(_target, method=method, protocol=protocol))) for method in methods]
    _check_fallback([aim.at(handle.find()) for _, aim in aims])
    calls = {method.attribute: _coroutine(handle, method, aim, cls) for method, aim in aims}
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
                f"{where} is to be `async def` in a client of `remora.Manager`; `remora.sync.Manager` has plain ones"
                if is_async
                else f"{where} is `async def`: a client of `remora.sync.Manager` needs a Protocol with plain `def`"
            )


def service_of(caller: Caller, protocol: Any) -> tuple[str, type]:
    """
    The name of the service that a class stands for, and the class.

    Raises:
        ConfigError: It is no class.
    """
    cls = class_of(protocol)
    return caller.route.config.service or service_info(cls).name, cls


def class_of(protocol: Any) -> type:
    """
    The class itself, also of a generic one with its arguments.

    Raises:
        ConfigError: It is no class.
    """
    cls = get_origin(protocol) or protocol
    if not isinstance(cls, type):
        raise ConfigError(f"a client needs a class, such as a Protocol, and {protocol!r} is none")
    return cls


def _check_fallback(targets: Sequence[Target]) -> None:
    """
    Refuse a plugin whose fallback is a value that is the reply of none of these methods.
    """
    errors = [error for target in targets if (error := target.fallback_error()) is not None]
    if errors and len(errors) == len(targets):
        raise errors[0]


def _coroutine(handle: Handle, method: Method, aim: Aim, cls: type) -> Call:
    pack = method.arguments.pack

    async def call(_self: object, *args: object, **kwargs: object) -> object:
        caller = handle.find()
        return await caller.call(aim.at(caller), pack(args, kwargs), NO_OPTIONS)

    return update_wrapper(call, getattr(cls, method.attribute))


def _target(caller: Caller, *, method: Method, protocol: Any) -> Target:
    service, _ = service_of(caller, protocol)
    return caller.target(
        service=service,
        method=method.name,
        request=method.request,
        response=method.response,
        idempotent=method.idempotent,
    )
