"""
What answers a call when a plugin cannot: a fixed value, the last good reply, or another plugin.

What lives here: the three kinds, and when none of them may be used. What must not: the call itself.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from remora.errors import Code, ConfigError, GiveUp, InvalidReply, ManagerClosed, PluginError, RemoraError
from remora.types import FallbackUsed, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.config import FallbackConfig, PluginConfig
    from remora.types import Call, Event

    Ask = Callable[[str, Call, PluginConfig], Awaitable[Reply]]

FALLBACK_HEADER = "x-remora-fallback"
"""The header of a reply that came from a fallback; its value is the kind: value, last_good or plugin."""

_JSON = "application/json"
_MOST_REMEMBERED = 256

_asking: ContextVar[frozenset[str]] = ContextVar("remora_fallback", default=frozenset())
"""The plugins for which others are standing in now, so that fallbacks to plugins never go in a circle."""

_Key = tuple[str, str, str, bytes, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Remembered:
    reply: Reply
    at: float


class Fallback:
    """
    The fallback of one plugin. It never hides mistakes in a call, nor errors that the plugin itself answers with, but
    UNAVAILABLE: by this the plugin, or a proxy in front of it, says that it cannot answer now.
    """

    def __init__(
        self,
        plugin: PluginConfig,
        config: FallbackConfig,
        *,
        clock: Callable[[], float],
        publish: Callable[[Event], None],
        ask: Ask,
    ) -> None:
        self._plugin = plugin
        self._name = plugin.name
        self._config = config
        self._clock = clock
        self._publish = publish
        self._ask = ask
        self._remembered: OrderedDict[_Key, _Remembered] = OrderedDict()

    def follow(self, former: Fallback | None) -> None:
        """
        Take over the good replies of the former fallback.
        """
        if former is not None and self._config.last_good is not None:
            self._remembered = former._remembered

    def remember(self, call: Call, reply: Reply) -> None:
        """
        Keep a good reply, if this is a fallback to the last good reply.
        """
        if self._config.last_good is None:
            return
        key = _key(call)
        self._remembered[key] = _Remembered(reply, self._clock())
        self._remembered.move_to_end(key)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    async def answer(self, call: Call, error: RemoraError, read: Callable[[Call, Reply], Any] | None) -> Any:
        """
        What to answer instead of an error.

        Args:
            call: The call.
            error: The error.
            read: Turns a reply into the answer; None when that is the reply itself.

        Raises:
            ConfigError: The configured value is no reply of this method.
            RemoraError: The same error, when the fallback does not apply to it or has no reply to give.
        """
        if not _may_stand_in(error):
            raise error
        kind, reply = await self._find(call, error)
        reply = replace(reply, headers={**reply.headers, FALLBACK_HEADER: kind})
        try:
            answer = reply if read is None else read(call, reply)
        except InvalidReply as wrong:
            raise (misfit(self._name, call, wrong) if kind == "value" else wrong) from error
        self._publish(FallbackUsed(time=time.time(), plugin=self._name, kind=kind, cause=str(error)))
        return answer

    async def _find(self, call: Call, error: RemoraError) -> tuple[str, Reply]:
        if self._config.plugin:
            return "plugin", await self._stand_in(call, error)
        if self._config.last_good is None:
            return "value", fixed_reply(self._config)
        known = self._remembered.get(_key(call))
        if known is None or self._clock() - known.at > self._config.last_good:
            raise error
        return "last_good", known.reply

    async def _stand_in(self, call: Call, error: RemoraError) -> Reply:
        """
        The reply of the other plugin. When that one fails as well, the caller gets the error of the first.
        """
        asking = _asking.get() | {self._name}
        if self._config.plugin in asking or (call.deadline is not None and call.deadline <= self._clock()):
            raise error
        token = _asking.set(asking)
        try:
            return await self._ask(self._config.plugin, call, self._plugin)
        except RemoraError as second:
            raise error from second
        finally:
            _asking.reset(token)


def _may_stand_in(error: RemoraError) -> bool:
    if isinstance(error, PluginError):
        return error.code is Code.UNAVAILABLE
    return not isinstance(error, GiveUp | ConfigError | ManagerClosed)


def renamed(call: Call, plugin: PluginConfig, other: PluginConfig) -> Call:
    """
    A call of a plugin as one of the other that stands in for it: what the table of the first names, or leaves open, has
    the name that the table of the other gives it.
    """
    service = other.service if other.service and call.service == plugin.service else call.service
    method = other.method if other.method and call.method == plugin.method else call.method
    return replace(call, service=service, method=method)


def fixed_reply(config: FallbackConfig) -> Reply:
    """
    The configured value as a reply.
    """
    return Reply(payload=json.dumps(config.value).encode(), content_type=_JSON)


def misfit(plugin: str, call: Call, error: InvalidReply) -> ConfigError:
    """
    The error for a configured value that cannot be read as the reply to a call.
    """
    return ConfigError(f"plugins.{plugin}.fallback.value: it is no reply of {call.name}: {error.__cause__}")


def _key(call: Call) -> _Key:
    # with the headers, since the reply may depend on whom they name
    return call.service, call.method, call.content_type, call.payload, frozenset(call.headers.items())
