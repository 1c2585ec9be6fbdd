"""Instances, made ahead and made anew: one for each call, unless an instance can keep nothing of a call.

Resetting an instance is provably complete where there is nothing that a guest could have changed: no memory, table or
global that can be written, no segment that can be dropped, nothing of the kind imported. Such instances serve further
calls. All others are closed with their store; from an engine's pool of memories a new one costs some microseconds.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext

from stratavm.base.errors import DeadlineExceeded
from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeAlias, cast
from stratavm.base.importing import resource
from stratavm.engine.engine import Engine
from stratavm.engine.instance import Instance
from stratavm.engine.instance_pre import InstancePre
from stratavm.engine.ports import GrowthLimiter, NoLimiter
from stratavm.engine.store import Store
from stratavm.pool.closing import Closings
from stratavm.pool.metrics import Counters
from stratavm.spec.types import is_ref

if TYPE_CHECKING:
    from stratavm.module.model import Module
    from stratavm.runtime.limits import StoreLimits

Make: TypeAlias = Callable[[Store], Any]
LARGE_BYTES: Final = 32 << 20
"""A store that holds more is closed beside the loop: the kernel takes a millisecond to take back a dozen MiB."""
SMOOTH: Final = 0.2
"""Weight of the last time that making an instance took."""


def keeps_nothing(model: Module) -> bool:
    """Whether no instance of a module can be told from a new one, whatever guests did with it."""
    if model.memory_types or model.table_types or model.elements or model.datas:
        return False
    if any(type_.mutable or is_ref(type_.value) for type_ in model.global_types):
        return False  # what a reference leads to can be changed
    return all(item.kind in ("func", "global") for item in model.imports)


class Made:
    """An instance that a pool made, its store, and what its maker returned beside it."""

    __slots__ = ("beside", "instance", "is_used", "limits", "store")

    def __init__(self, store: Store, instance: Instance, beside: Any, limits: StoreLimits | None) -> None:
        self.store, self.instance, self.beside, self.limits = store, instance, beside, limits
        self.is_used = False

    def close(self) -> None:
        """Close its store, and what came beside it, where that can be closed."""
        try:
            self.store.close()
        finally:
            self._close_beside()

    def close_by(self, closings: Closings) -> None:
        """The same, the store in a thread where there is one to be had. What came beside it may belong to the loop: it
        is closed here, and first, so that nothing is left to do when the loop has ended meanwhile."""
        try:
            self._close_beside()
        finally:
            if not closings.begin(self.store, self.instance):
                self.store.close()

    def _close_beside(self) -> None:
        close = getattr(self.beside, "close", None)
        if close is not None:
            close()


def _runs_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Nursery:
    """Makes instances.

    Args:
        source: what instances are made from, as ``Pool`` takes it.
        engine: of the stores.
        limits: of stores, where a tenant has none of his own.
        counters: of the pool.
        now: the time, which may be set to another one.

    Attributes:
        ready: those that were made ahead.
        make_seconds: what making one takes.
        recycles: whether an instance may serve another call.
        waits: whether making one is awaited.
    """

    def __init__(
        self,
        source: InstancePre | Make,
        engine: Engine,
        limits: StoreLimits | None,
        counters: Counters,
        now: Callable[[], float],
    ) -> None:
        self.engine, self.limits = engine, limits
        self.ready: deque[Made] = deque()
        self.make_seconds = 0.0
        self._counters, self.now = counters, now
        self._limits_of_made: set[asyncio.Timeout] = set()
        self._closings = Closings()
        self._make: Make
        if isinstance(source, InstancePre):
            self.recycles = source.start_index is None and keeps_nothing(source.module.model) and not engine.config.fuel
            self.waits = source.start_index is not None
            self._make = source.instantiate_async if self.waits else source.instantiate
        else:
            self.recycles, self._make = False, source
            self.waits = inspect.iscoroutinefunction(source)

    def take(self, limits: StoreLimits | None) -> Made | None:
        """One that is ready, for a store with such limits: the newest, so that those that are many stay as they are,
        and the processor and the garbage collector know the few that come and go."""
        if not self.ready or (limits is not None and limits is not self.limits):
            return None
        made = self.ready.pop()
        self._counters.reused += made.is_used
        return made

    def make(self, limits: StoreLimits | None = None, seconds: float | None = None) -> Made:
        """A new one, where that needs not be awaited, in so many seconds.

        Raises:
            DeadlineExceeded: it took longer.
        """
        store, began = Store(self.engine, limits=limits or self.limits), self.now()
        try:
            with nullcontext() if seconds is None else store.deadline(seconds):
                given = self._make(store)
            return self._made(store, given, limits, began)
        except BaseException:
            store.close()
            raise

    async def make_async(self, limits: StoreLimits | None = None, seconds: float | None = None) -> Made:
        """A new one, in so many seconds, and while nobody says ``end``.

        Raises:
            DeadlineExceeded: it took longer, or was ended.
        """
        if not self.waits:
            return self.make(limits, seconds)
        store, began = Store(self.engine, limits=limits or self.limits), self.now()
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._limits_of_made.add(limit)
                given = await cast(Any, self._make(store))
            return self._made(store, given, limits, began)
        except BaseException as error:
            store.close()
            if isinstance(error, TimeoutError) and limit.expired():
                raise DeadlineExceeded(detail="making the instance took all of it") from None
            raise
        finally:
            self._limits_of_made.discard(limit)

    def end(self) -> None:
        """End what is being made."""
        for limit in self._limits_of_made:
            if not limit.expired():
                limit.reschedule(0.0)

    def _made(self, store: Store, given: Any, limits: StoreLimits | None, began: float) -> Made:
        instance, beside = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
        if not isinstance(instance, Instance):
            raise TypeError(f"the source of a pool must return an Instance, or (Instance, world); got {given!r:.80}")
        if instance.store is not store:
            raise ValueError("the source of a pool must make the instance in the store that it is given")
        now = self.now()
        took = now - began
        self.make_seconds = took if not self.make_seconds else self.make_seconds + SMOOTH * (took - self.make_seconds)
        self._counters.made += 1
        self._counters.capacity.add(1, now)
        return Made(store, instance, beside, limits)

    def give_back(self, made: Made, most: int) -> None:
        """A call has ended: keep the instance where it can have kept nothing of it, else close it."""
        if self.recycles and made.limits is None and len(self.ready) < most and not made.instance.poisoned:
            made.is_used = True
            self.ready.append(made)
        else:
            self.discard(made)

    def discard(self, made: Made) -> None:
        """Close an instance."""
        self._counters.discarded += 1
        self._counters.capacity.add(-1, self.now())
        if (
            made.store.bytes_held > LARGE_BYTES
            and not made.store.busy
            and _runs_in_a_loop()
            and self._closings.has_room
            and not self._is_counted(made)
        ):
            made.close_by(self._closings)
        else:
            made.close()

    def _is_counted(self, made: Made) -> bool:
        """Whether something counts what lives: there the next call may want the room of one that is being closed."""
        limits = made.limits or self.limits
        return (
            self.engine.config.memory_slots is not None
            or (limits is not None and (limits.limiter is not None or limits.admit is not None))
            or not isinstance(self.engine.services.get(GrowthLimiter), NoLimiter)
            or resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
        )

    async def closed(self) -> None:
        """All that was discarded has been closed: by threads that have begun, whatever else the process does."""
        await self._closings.wait()

    def join(self) -> None:
        """The same where no loop runs that this would hold up; else nothing."""
        if not _runs_in_a_loop():
            self._closings.join()

    def shrink(self, count: int) -> None:
        """Keep no more than so many ready."""
        while len(self.ready) > count:
            self.discard(self.ready.popleft())
