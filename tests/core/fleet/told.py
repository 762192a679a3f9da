"""
A resolver that tells what a test says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from remora import ConfigError, Endpoint, ResolverSpec, hookimpl


@dataclass(frozen=True)
class Options:
    """
    What the resolver of these tests can be told.
    """

    word: str = ""
    priority: int = 1


@dataclass
class Told:
    """
    A resolver that tells what a test says, and an extension that registers it.
    """

    endpoints: Sequence[Any] | None = None
    error: Exception | None = None
    watches: list[Options] = field(default_factory=list)
    ended: int = 0
    news: anyio.Event = field(default_factory=anyio.Event)

    @hookimpl
    def remora_register_resolvers(self) -> list[ResolverSpec[Options]]:
        """
        The resolver.
        """
        return [ResolverSpec("told", Options, self._build)]

    def _build(self, options: Options) -> Any:
        if options.word == "bad":
            raise ConfigError("a bad word")
        return _Resolver(self, options)

    def say(self, *names: Any) -> None:
        """
        From now on, the plugin is there.
        """
        self.endpoints = [Endpoint(f"memory:{name}") if isinstance(name, str) else name for name in names]
        self.error = None
        self.news.set()

    def fail(self, error: Exception) -> None:
        """
        From now on, nobody knows.
        """
        self.error = error
        self.news.set()


@dataclass
class _Resolver:
    told: Told
    options: Options

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        self.told.watches.append(self.options)
        try:
            while True:
                self.told.news = anyio.Event()
                if self.told.error is not None:
                    raise self.told.error
                if self.told.endpoints is not None:
                    report(self.told.endpoints)
                await self.told.news.wait()
        finally:
            self.told.ended += 1
