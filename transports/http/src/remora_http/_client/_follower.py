"""
An engine that follows redirects, over engines that do not.

What lives here: which engine sends which request. What must not: which redirects are allowed (see `_redirect`).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from remora_http._client._redirect import REDIRECTS, NotFollowed, Rules, Stop, parse_origins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from remora.types import Call
    from remora_http._address import Address
    from remora_http._client._engine import Engine
    from remora_http._failure import Answer
    from remora_http.plugin import Options

    Reach = Callable[[Address, Options], AbstractAsyncContextManager[Engine]]
    Send = Callable[[Engine, str], Awaitable[Answer]]


class FollowingEngine:
    """
    Follows redirects as far as the rules allow. One deadline applies to all requests together.

    A server that redirects a call has not processed it. So what is known about the last request, for instance that
    nothing was sent, is true of the call as a whole.
    """

    def __init__(self, home: Address, engine: Engine, others: Mapping[str, Engine], rules: Rules) -> None:
        self._home = home
        self._engine = engine
        self._engines = {**others, home.origin: engine}
        self._rules = rules

    async def post(self, call: Call, /, *, target: str = "") -> Answer:
        """
        Send a call, and read the whole answer (see `Engine`).
        """
        answer = await self._engine.post(call, target=target)
        if answer.status not in REDIRECTS:
            return answer

        def send(engine: Engine, place: str) -> Awaitable[Answer]:
            return engine.post(call, target=place)

        start = target or self._home.target(call.service, call.method)
        return await self._follow(
            answer, start, send, partial(self._rules.next_stop, is_call=True, headers=call.headers)
        )

    async def get(self, target: str, /) -> Answer:
        """
        Ask for a page of the server (see `Engine`).
        """
        answer = await self._engine.get(target)
        if answer.status not in REDIRECTS:
            return answer

        def send(engine: Engine, place: str) -> Awaitable[Answer]:
            return engine.get(place)

        return await self._follow(answer, target, send, partial(self._rules.next_stop, is_call=False))

    async def _follow(self, answer: Answer, start: str, send: Send, find: Callable[..., Stop]) -> Answer:
        way = [Stop(self._home.origin, start)]
        while answer.status in REDIRECTS:
            try:
                way.append(find(answer, way))
            except NotFollowed as refusal:
                return replace(answer, refusal=str(refusal))
            answer = await send(self._engines[way[-1].origin], way[-1].target)
        return answer


@asynccontextmanager
async def open_following(address: Address, options: Options, engine: Engine, reach: Reach) -> AsyncIterator[Engine]:
    """
    An engine that follows the redirects of a server as the options say.

    Args:
        address: The address of the server.
        options: The options, which say what is allowed.
        engine: The engine for that server.
        reach: Makes engines for other servers, with neither the certificate nor the server name meant for this one.

    Raises:
        ConfigError: The options name an invalid origin.
    """
    places = {origin: place for origin, place in parse_origins(options).items() if origin != address.origin}
    plain = replace(options, cert_file="", key_file="", server_name="", follow_redirects=False)
    rules = Rules(
        home=address.origin,
        others=frozenset(places),
        most=options.max_redirects,
        shows_certificate=address.secure and bool(options.cert_file),
    )
    async with AsyncExitStack() as stack:
        others = {
            origin: await stack.enter_async_context(reach(place, plain))
            for origin, place in places.items()
            if place.secure or not address.secure
        }
        yield FollowingEngine(address, engine, others, rules)
