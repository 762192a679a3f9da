"""
Which instances are kept open: each by an owner, in the manager's task group.

What lives here: starting owners, and finding that of an instance. What must not: what an owner does (see `_owner`).
"""

from __future__ import annotations

import os
import random
from contextlib import nullcontext
from typing import TYPE_CHECKING

import anyio

from remora._fleet._owner import SHUT_DOWN, Owner
from remora.errors import ManagerClosed
from remora.policy import Dice, RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anyio.abc import TaskGroup

    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora._fleet._assembly import Part
    from remora.types import Event

LAUNCHES = max(8, 4 * (os.cpu_count() or 1))
"""How many programs are started at once; more would only delay each other."""


class Supervisor:
    """
    Starts an owner for each instance, in the manager's task group.
    """

    def __init__(self, group: TaskGroup, *, publish: Callable[[Event], None], rng: random.Random | None = None) -> None:
        self._group = group
        self._publish = publish
        self._rng = rng or random.Random()
        self._owners: dict[Instance, Owner] = {}
        self._succeeded: set[Owner] = set()
        self._launches = anyio.Semaphore(LAUNCHES, fast_acquire=True)
        self._is_closed = False
        self._is_hurried = False

    def __contains__(self, instance: object) -> bool:
        """
        Whether an instance is kept open or being closed.
        """
        return instance in self._owners

    def kept_open(self, route: Route) -> list[Instance]:
        """
        The instances of a plugin that are kept open or being closed, also those that are only tried or being drained.
        """
        return [owner.instance for owner in self._owners.values() if owner.route is route]

    def start(self, route: Route, part: Part) -> None:
        """
        Open an instance, and keep it open until `stop`. One that is already kept open is left as it is; one that is
        being closed is opened after that.

        Raises:
            ManagerClosed: Nothing is started any more.
        """
        if self._is_closed:
            raise ManagerClosed("the manager is shut down")
        former = self._owners.get(part.instance)
        if former is not None and not former.is_stopping:
            return
        policy = RestartPolicy(part.restart, clock=anyio.current_time, rng=Dice(self._rng.getrandbits(64)))
        turn = self._launches if part.place.feature.spec.launches else nullcontext()
        owner = Owner(route, part, policy=policy, publish=self._publish, turn=turn)
        self._owners[part.instance] = owner
        if former is not None:
            self._succeeded.add(former)
            former.give_over()
        self._group.start_soon(self._run, owner, former, name=f"remora owner of {part.instance.name}")

    async def _run(self, owner: Owner, former: Owner | None) -> None:
        """
        Run an owner, once the former one has ended.
        """
        if former is not None:
            with anyio.CancelScope(shield=True):  # as the former one is while it closes; whoever stops this one waits
                await former.wait_stopped()
        try:
            await owner.run()
        finally:
            self._succeeded.discard(owner)
            if self._owners.get(owner.instance) is owner:
                del self._owners[owner.instance]

    async def stop(self, instances: Iterable[Instance], cause: str) -> None:
        """
        Close instances for good, for a reason; returns when everything that they held is released.

        All are told at once, so that they are closed even if this is cancelled.
        """
        owners = [self._owners[each] for each in instances if each in self._owners]
        for owner in owners:
            owner.stop(cause)
            if self._is_hurried:
                owner.hurry()
        for owner in owners:
            await owner.wait_stopped()

    def close(self) -> None:
        """
        Start nothing any more, not even what is already waiting to start.
        """
        self._is_closed = True
        for owner in self._owners.values():
            if not owner.has_begun:
                owner.stop(SHUT_DOWN)

    async def stop_all(self) -> None:
        """
        Close every instance that has been started.
        """
        await self.stop(list(self._owners), SHUT_DOWN)

    def retire(self, instance: Instance) -> None:
        """
        Let an instance finish its calls, and never open it again.
        """
        instance.retire()
        if owner := self._owners.get(instance):
            owner.retire()

    def hurry(self) -> None:
        """
        Do not wait for instances to close in their own time, now and later, as far as that is possible.
        """
        self._is_hurried = True
        for owner in (*self._owners.values(), *self._succeeded):
            owner.hurry()

    def restart(self, instance: Instance) -> None:
        """
        Close and open an instance again, even one that was given up.
        """
        if owner := self._owners.get(instance):
            owner.restart()
