"""Turns by tenant: who asks much waits for those who ask little, and gives up places to them where one waits."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stratavm


class Turns:
    """``running`` at once; of those who wait, ``waiting`` at most, each tenant has its turn after the others. Where
    there is no place, a tenant with fewer of them takes the last one of whoever has most."""

    def __init__(self, running: int, waiting: int) -> None:
        self._free, self._most = running, waiting
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """A turn.

        Raises:
            stratavm.Rejected: too many wait already.
        """
        if not self._free:
            await self._wait(tenant)
        else:
            self._free -= 1
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, tenant: str) -> None:
        mine = self._waiting.get(tenant, deque())
        if sum(map(len, self._waiting.values())) >= self._most:
            self._make_room(tenant, len(mine))
        let_in = asyncio.get_running_loop().create_future()
        mine.append(let_in)
        self._waiting[tenant] = mine
        try:
            await let_in
        except asyncio.CancelledError:
            if not let_in.done() or let_in.cancelled():
                self._leave(tenant, let_in)
            elif let_in.exception() is None:  # it was its turn just now
                self._pass_on()
            raise

    def _make_room(self, tenant: str, count: int) -> None:
        """For a tenant of whom so many wait.

        Raises:
            stratavm.Rejected: nobody has more places than it would have then.
        """
        other = max(self._waiting, key=lambda name: len(self._waiting[name]), default=tenant)
        if other == tenant or len(self._waiting[other]) <= count + 1:
            raise stratavm.Rejected("full", tenant)
        last = self._waiting[other].pop()
        if not last.done():  # else it was cancelled just now, and leaves by itself
            last.set_exception(stratavm.Rejected("full", other))

    def _leave(self, tenant: str, waiting: asyncio.Future[None]) -> None:
        mine = self._waiting.get(tenant, deque())
        if waiting not in mine:  # somebody has passed it over already
            return
        mine.remove(waiting)
        if not mine:
            del self._waiting[tenant]

    def _pass_on(self) -> None:
        """A place is free: for the first of the tenant that has waited longest for a turn."""
        while self._waiting:
            tenant, mine = self._waiting.popitem(last=False)
            first = mine.popleft()
            if mine:
                self._waiting[tenant] = mine  # behind all others
            if not first.done():  # else it was cancelled just now
                first.set_result(None)
                return
        self._free += 1
