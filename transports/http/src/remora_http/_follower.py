"""
An engine that follows redirects, over engines that do not.

What lives here: which engine carries which part of the way. What must not: which ways are open (see `_redirect`).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from remora_http._redirect import REDIRECTS, NotFollowed, Rules, Stop, parse_origins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from remora.types import Call
    from remora_http._address import Address
    from remora_http._engine import Engine
    from remora_http._failure import Answer
    from remora_http.plugin import Options

    Reach = Callable[[Address, Options], AbstractAsyncContextManager[Engine]]
    Send = Callable[[Engine, str], Awaitable[Answer]]


class FollowingEngine:
    """
    Sends requests on, as long as the rules let it. One deadline is that of the whole way.

    A server that redirects a call has not made it. So what can be said of the last part of the way, for instance that
    nothing was sent, holds for all of it.
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
        address: The server's.
        options: What is allowed.
        engine: The way to that server.
        reach: How other servers are reached. They see neither the certificate nor the name that is meant for this one.

    Raises:
        ConfigError: The options name an origin that is none.
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
