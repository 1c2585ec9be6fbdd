"""An instance of a pool while a call has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from stratavm.base.errors import Closed, Interrupted, StrataError
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.words import did_you_mean
from stratavm.engine.asynccall import AsyncCall
from stratavm.engine.asynchronous import current_task, drive
from stratavm.engine.func import Func
from stratavm.pool.nursery import Made
from stratavm.pool.rejected import Rejected
from stratavm.pool.seat import Seat

if TYPE_CHECKING:
    from stratavm.engine.exports import Exports
    from stratavm.engine.instance import Instance
    from stratavm.engine.store import Store


class Guest:
    """An instance that a pool lends out: ``async with pool.instance() as guest``.

    Attributes:
        tenant: whose it is.
        beside: what the pool's ``source`` returned beside the instance; None where it is an ``InstancePre``.
        inside: whether a call of it is under way.
        task: that is in a block of ``Pool.instance``; None: it was lent for one call.
    """

    def __init__(self, made: Made, seat: Seat, tenant: str, deadline: float | None) -> None:
        self._made: Made | None = made
        self._seat, self._deadline = seat, deadline
        self.tenant, self.beside = tenant, made.beside
        self.inside = self._is_over = False
        self.task: asyncio.Task[Any] | None = None
        self._cancelling = -1
        self._knows = False

    @property
    def instance(self) -> Instance:
        """The instance; ``Closed`` once it was given back."""
        return self._lent().instance

    @property
    def store(self) -> Store:
        """Its store, which has nothing else in it."""
        return self._lent().store

    @property
    def exports(self) -> Exports:
        """Its exports. Functions that are called by themselves, not through ``call``, hold the loop."""
        return self.instance.exports

    def _lent(self) -> Made:
        if self._made is None:
            raise Closed("the instance was given back to its pool")
        return self._made

    def give_back(self) -> Made:
        """It is not lent any more."""
        made = self._lent()
        self._made = None
        return made

    async def call(self, name: str, *arguments: Any) -> Any:
        """Call an exported function when it is the tenant's turn; its result.

        The guest is suspended while it waits for the host, and at ticks, as by ``Func.call_async``; it goes on when its
        tenant's turn comes again. What is left of the call's time is its deadline.

        Raises:
            DeadlineExceeded: the time is over.
            Trap: the guest trapped.
            AttributeError: there is no such function.
            StrataError: another call of this guest is not over.
            Rejected: the pool was closed.
        """
        made = self._lent()
        function = function_of(made.instance, name)
        if self._is_over:
            raise Rejected("closed", self.tenant)
        if self.inside:
            raise StrataError("a call of this guest is not over: calls of one guest come one after another")
        self.inside = True
        try:
            if self._deadline is None:
                return await self._run(function, arguments)
            with made.store.deadline(self._deadline - self._seat.now()):
                return await self._run(function, arguments)
        finally:
            self._seat.end()
            self.inside = False
            self._call_ended()

    def _call_ended(self) -> None:
        """What a closed pool does to the block soon, for most often the error that comes out ends it."""
        if self._is_over and self.task is not None:
            self.task.get_loop().call_soon(self._end_block)

    def _run(self, function: Func, arguments: tuple[Any, ...]) -> Awaitable[Any]:
        call = AsyncCall(function, arguments, self._seat)
        return drive(call) if self._seat.holds else self._run_later(call)

    async def _run_later(self, call: AsyncCall) -> Any:
        await self._seat.go_on()
        if self._is_over:  # while it waited for its turn; it was not inside, so nothing was interrupted
            raise Interrupted
        return await drive(call)

    def end(self) -> None:
        """End what it does: the pool is closed. A call is interrupted, a block that waits for something else is
        cancelled, as by ``asyncio.timeout``."""
        self._is_over = True
        if self._made is not None:
            self._made.store.interrupt()
            self._knows = self._knows or self.task is current_task()
            self._end_block()

    def _end_block(self) -> None:
        """Cancel the task that is in the block, once, unless that is who closed the pool."""
        task = self.task
        if task is None or self._made is None or self.inside or self._cancelling >= 0 or self._knows:
            return
        cancelling = task.cancelling()
        with suppress(RuntimeError):  # its loop was closed
            if task.cancel():
                self._cancelling = cancelling

    def was_ended(self, error: BaseException | None) -> bool:
        """The block is over: whether by ``end``, and for no other reason."""
        if self._cancelling < 0 or self.task is None:
            return False
        return self.task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError)

    def __repr__(self) -> str:
        return f"<Guest of tenant {self.tenant!r}{'' if self._made else ', given back'}>"


def function_of(instance: Instance, name: str) -> Func:
    """An exported function."""
    found = instance.exports.get(name)
    if not isinstance(found, Func):
        names = [key for key, value in instance.exports.items() if isinstance(value, Func)]
        known = did_you_mean(str(name), names) or f"there are: {', '.join(names)}"
        raise AttributeError(f"no exported function {name!r:.60}; {known}")
    return found
