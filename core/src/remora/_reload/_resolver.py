"""
One running resolver: it runs in a task of its own, and what it reports is checked before it is used.

What lives here: running it, and checking reports. What must not: what follows from a report (see `_adoption`).
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora._extensions._faults import innermost, is_fault, told
from remora._extensions._options import build_resolver_options
from remora._reload._admission import check_endpoints
from remora.config import is_same
from remora.errors import ManagerClosed, RemoraError
from remora.policy import RestartConfig, RestartPolicy
from remora.types import Endpoint, ResolverFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remora._extensions._conduct import Conduct
    from remora._fleet._fleet import Fleet
    from remora.config import PluginConfig

_log = logging.getLogger(__name__)

_PATIENCE = RestartConfig(initial=1.0, maximum=30.0, limit=None)
"""How long to wait before a resolver that has failed is run again."""


class RunningResolver:
    """
    One running resolver.

    Attributes:
        name: The name of its plugin.
        has_told: Whether anything that it reported has been in force.
    """

    def __init__(
        self,
        plugin: PluginConfig,
        fleet: Fleet,
        conduct: Conduct,
        adopt: Callable[[RunningResolver, Sequence[Endpoint]], Awaitable[None]],
    ) -> None:
        self.name = plugin.name
        self.has_told = False
        self._plugin = plugin
        self._fleet = fleet
        self._conduct = conduct
        self._adopt = adopt
        self._feature = fleet.catalog.resolver(plugin.resolver.method)
        self._culprit = self._feature.named("resolver")
        self._options = build_resolver_options(self._feature.spec, config=plugin)
        self._policy = RestartPolicy(_PATIENCE, clock=anyio.current_time, rng=random.Random())
        self._scope = anyio.CancelScope()
        self._found: deque[Sequence[Endpoint]] = deque(maxlen=1)
        self._news = anyio.Event()
        self._cause = ""

    def is_about(self, plugin: PluginConfig) -> bool:
        """
        Whether another table of its plugin needs no other resolver.
        """
        if plugin.resolver.method != self._plugin.resolver.method:
            return False
        return is_same(build_resolver_options(self._feature.spec, config=plugin), self._options)

    def end(self) -> None:
        """
        Stop it.
        """
        self._scope.cancel()

    async def run(self) -> None:
        """
        Run it, and have what it reports put in force, until `end`.
        """
        with self._scope:
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_adopting)
                await self._keep_asking()

    async def _keep_asking(self) -> None:
        while True:
            soon = None
            try:
                resolver = self._feature.build("resolver", self._options)
                await resolver.watch(self._report)
                return
            except RemoraError as error:
                cause, soon = error.message, error.retry_after
            except BaseException as error:  # a resolver may be third-party code
                if not is_fault(error):
                    raise self._conduct.cancelled(self._culprit, error) from None
                self._conduct.failed(self._culprit, error)
                cause = f"{self._culprit} failed with {told(innermost(error))}"
            delay = soon if soon and soon > 0 else self._policy.failed().delay  # at once would be again and again
            self._failed(cause, delay)
            await anyio.sleep(delay)

    def _report(self, endpoints: Sequence[Endpoint]) -> None:
        """
        Take a report of the resolver; it replaces an earlier one that has not been handled yet.
        """
        self._found.append(list(endpoints))
        self._news.set()

    async def _keep_adopting(self) -> None:
        """
        Put reports in force; endpoints that cannot be reached yet are tried again until there is a newer report.
        """
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            found = self._found.pop() if self._found else None
            delay = None if found is None else await self._take(found)
            if found is None or delay is None:
                continue
            with anyio.move_on_after(delay):
                await self._news.wait()
            if not self._found:
                self._report(found)

    async def _take(self, found: Sequence[Endpoint]) -> float | None:
        """
        Put endpoints in force.

        Returns:
            The seconds until another try; None when none is needed.
        """
        try:
            self._check(found)
            await self._adopt(self, list({each.url: each for each in found}.values()))
        except ManagerClosed:
            return None
        except _Refused as refused:
            self._failed(str(refused), math.inf)
            return None
        except RemoraError as error:
            delay = self._policy.failed().delay
            self._failed(error.message, delay)
            return delay
        self._policy.ready()
        self.has_told, self._cause = True, ""
        return None

    def _check(self, found: Sequence[object]) -> None:
        """
        Refuse a report that cannot be right.
        """
        if not found:
            raise _Refused("it has told that the plugin is nowhere, which is not believed")
        if strange := [each for each in found if not isinstance(each, Endpoint)]:
            raise _Refused(f"it has told a {type(strange[0]).__name__} instead of an Endpoint")
        plugin = self._fleet.config.plugins.get(self.name)
        if plugin is None:
            return
        try:
            told = tuple(each for each in found if isinstance(each, Endpoint))
            plugin = replace(plugin, endpoint="", endpoints=told)
            check_endpoints(self._fleet.catalog, plugin, security=self._fleet.config.security)
        except RemoraError as error:
            raise _Refused(error.message) from error

    def _failed(self, cause: str, retry_in: float) -> None:
        self._unresolvable(cause)
        if cause == self._cause:
            return
        self._cause = cause
        _log.warning("plugin %r: the resolver %r: %s", self.name, self._plugin.resolver.method, cause)
        self._fleet.publish(ResolverFailed(time=time.time(), plugin=self.name, cause=cause, retry_in=retry_in))

    def _unresolvable(self, cause: str) -> None:
        """
        Let calls of a plugin without known endpoints fail with the cause, instead of waiting in vain.
        """
        plugged = self._fleet.get(self.name)
        if plugged is not None and not plugged.parts:
            plugged.route.unresolved = f"its resolver cannot tell where it is: {cause}"
            plugged.route.is_unresolvable = True
            plugged.route.changed()


class _Refused(Exception):
    """
    A resolver has reported something that cannot be used.
    """
