"""
Handlers: the methods of service objects, ready to be called.

What lives here: how a handler is called, and by which names it is found. What must not: calls (see `_dispatch`).
"""

from __future__ import annotations

import inspect
import threading
from dataclasses import field
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from remora._frozen import dataclass
from remora._methods import Method, ServiceInfo, methods_of, refuse_unsendable, service_info
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remora._payloads import Payloads


@dataclass(frozen=True, slots=True)
class Handler:
    """
    One method of one service object, ready to be called.

    Attributes:
        method: Its name, record types and parameters.
        function: The bound method.
        is_async: Whether it returns an awaitable.
        threads: Limits how many synchronous handlers run at once.
        payloads: How it is called in each media type so far, by media type.
    """

    method: Method
    function: Callable[..., Any]
    is_async: bool
    threads: anyio.CapacityLimiter = field(compare=False, repr=False)
    payloads: dict[str, Payloads] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, request: object) -> Awaitable[object]:
        """
        The handler's answer, to be awaited; a synchronous handler runs in a worker thread.
        """
        args, kwargs = self.method.arguments.unpack(request)
        if self.is_async:
            return _awaitable(self.function(*args, **kwargs))
        run = partial(_run, self.function, args, kwargs)
        return anyio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=self.threads)


def handlers_of(instance: object, threads: anyio.CapacityLimiter) -> dict[str, Handler]:
    """
    The handlers of a service object, by the names of their methods.

    Args:
        instance: The object.
        threads: Limits how many synchronous handlers run at once.

    Raises:
        ConfigError: It is a class, or has no public methods.
    """
    if isinstance(instance, type):
        raise ConfigError(f"{instance.__qualname__} is a class; serve an instance of it, {instance.__qualname__}()")
    cls = type(instance)
    refuse_unsendable(cls.__qualname__, service_info(cls).name)
    found = {
        name: Handler(
            method,
            getattr(instance, method.attribute),
            _is_async(getattr(cls, method.attribute)),
            threads,
        )
        for name, method in methods_of(cls).items()
    }
    if not found:
        raise ConfigError(f"{cls.__qualname__} has no public methods to serve")
    return found


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(inspect.unwrap(function))


def by_name(services: Sequence[tuple[ServiceInfo, dict[str, Handler]]]) -> dict[tuple[str, str], Handler]:
    """
    The handlers by service and method; a single service, and a service's single method, also have the empty name.

    Raises:
        ConfigError: Two services have the same name.
    """
    table = {(info.name, name): handler for info, found in services for name, handler in found.items()}
    names = [info.name for info, _ in services]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"two services share the name {min(twice)!r}")
    if len(services) == 1:
        table |= {("", name): handler for (_, name), handler in table.items()}
    for info, found in services:
        if len(found) == 1:
            table[info.name, ""] = next(iter(found.values()))
    if len(services) == 1 and len(services[0][1]) == 1:
        table["", ""] = next(iter(services[0][1].values()))
    return table


def _awaitable(result: object) -> Awaitable[object]:
    """
    The result as an awaitable; the wrapper of a coroutine function may have returned the answer itself.
    """
    if type(result) is CoroutineType or inspect.isawaitable(result):
        return result
    return _given(result)


async def _given(result: object) -> object:
    return result


_busy: set[int] = set()
"""The threads in which handlers run now. They outlive a call that is cancelled or whose time is over."""


def has_busy_threads() -> bool:
    """
    Whether a synchronous handler still runs.
    """
    return bool(_busy)


def _run(function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    thread = threading.get_ident()
    _busy.add(thread)
    try:
        result = function(*args, **kwargs)
    except StopIteration as error:  # futures and coroutines cannot raise it
        raise RuntimeError("the handler raised StopIteration") from error
    finally:
        _busy.discard(thread)
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("a handler without `async` has returned a coroutine: an `await` is missing")
    return result
