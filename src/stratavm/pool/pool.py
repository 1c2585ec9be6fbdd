"""``Pool``: instances of one program for many callers in one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from stratavm.base.errors import DeadlineExceeded, StrataError
from stratavm.base.events.core import Event
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Self
from stratavm.base.importing import importing, ref
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import integer, seconds_or_none, whole_or_none
from stratavm.base.text import printable
from stratavm.engine.asynchronous import current_task
from stratavm.engine.engine import Engine, engine_of
from stratavm.engine.instance_pre import InstancePre
from stratavm.pool import events
from stratavm.pool.desk import Desk, Line, Ticket
from stratavm.pool.guest import Guest
from stratavm.pool.house import Floor, house_of
from stratavm.pool.meter import Meter
from stratavm.pool.metrics import Counters, PoolMetrics
from stratavm.pool.nursery import Made, Make, Nursery
from stratavm.pool.policy import Policy, Tenant
from stratavm.pool.rejected import Reason, Rejected
from stratavm.pool.seat import Seat
from stratavm.pool.steering import Steering
from stratavm.runtime.limits import StoreLimits
from stratavm.runtime.objects import ObjectRef

if TYPE_CHECKING:
    from types import TracebackType

DEFAULT_TENANT: Final = "default"
LOOKS: Final = 4
"""Times in an interval that the loop's lateness is looked at."""


def check_result(name: str, result: Any) -> None:
    """ValueError where a result is of the instance that made it, which nobody has behind the call."""
    if isinstance(result, ObjectRef) or (type(result) is tuple and any(isinstance(each, ObjectRef) for each in result)):
        raise ValueError(
            f"{printable(name)}: the result is a guest's struct or array, which ends with the call: read it within "
            "`async with pool.instance()`"
        )


class Pool:
    """Runs calls of many callers, each on an instance of its own, in one event loop.

    Args:
        source: the instances: an ``InstancePre``, or a function (also ``async def``) that makes one in the store it is
            given, and may return something beside it: ``(instance, world)``. What has ``close`` is closed with it.
        policy: how the pool decides.
        tenants: whose calls have limits of their own; others get those of the policy, and weight 1.
        limits: what the store of each instance may hold.
        engine: of the stores, where ``source`` is a function; a shared default where absent.
        name: what ``Engine.metrics`` calls it.
        cpu_clock: processor time of the loop's thread in nanoseconds, for tests; None: the system's.

    Every call gets an instance that nobody used before, unless instances can keep nothing of a call. It belongs to a
    tenant; who wants a turn gets it by the tenant's share of processor time (deficit round robin). A pool belongs to
    the loop that it is first used in. As an asynchronous context manager it drains at the end; where an exception
    leaves the block it is closed instead, waits until what it ran has ended, and the exception comes out.
    """

    @checks_keywords
    def __init__(
        self,
        source: InstancePre | Make,
        *,
        policy: Policy | None = None,
        tenants: Iterable[Tenant] = (),
        limits: StoreLimits | None = None,
        engine: Engine | None = None,
        name: str = "pool",
        cpu_clock: Callable[[], int] | None = None,
    ) -> None:
        if not isinstance(source, InstancePre) and not callable(source):
            raise TypeError(f"Pool: source must be an InstancePre or a function of a store, got {source!r:.80}")
        if isinstance(source, InstancePre):
            if engine is not None and engine is not source.module.engine:
                raise ValueError("Pool: the engine is the one of the InstancePre; leave it out")
            engine = source.module.engine
        if not isinstance(tenants, Iterable):
            raise TypeError(f"Pool: tenants must be an iterable of Tenant, got {tenants!r:.60}")
        given = tuple(tenants)
        _check(policy, given, limits)
        self.policy = policy or Policy()
        self.counters = Counters()
        self.meter = Meter(cpu_clock)
        self.desk = Desk(self.policy, given)
        self._source, self._limits, self._engine = source, limits, engine_of(engine)
        self.name = name
        self._source_of_events = self._engine.bus.source("pool")
        self._hears = self._source_of_events.hears
        self._submitted, self._was_drained = 0, False
        self.now: Callable[[], float] = time.monotonic
        pools = self._engine.pools
        pools.append(ref(self, partial(_forget, pools)))
        self._nursery = Nursery(source, self._engine, limits, self.counters, self.now)
        self._steering = Steering(self.policy)
        self._floor = Floor(self.desk, self.counters, self.meter, self._steering)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guests: dict[Ticket, Guest] = {}
        self._draining: Reason | None = None
        self._empty: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._looks = 0
        self._nursing: asyncio.Handle | asyncio.Task[None] | None = None

    # ---- calls ----

    async def call(
        self,
        name: str,
        *arguments: Any,
        tenant: str = DEFAULT_TENANT,
        priority: int = 0,
        timeout: float | None = None,
    ) -> Any:
        """Call an exported function on an instance of its own; its result.

        Args:
            name: the export.
            *arguments: what it is called with.
            tenant: whose call it is.
            priority: calls of the same tenant with a higher one are made first.
            timeout: seconds from now after which it ends, waiting included; None: the tenant's, or the policy's.

        Raises:
            Rejected: the call was not made, for a reason.
            DeadlineExceeded: its time was over while it ran.
            Trap: the guest trapped.
            AttributeError: there is no such function.
            ValueError: the result is a guest's struct or array, which ends with the call.
            ResourceLimit: no instance could be made.
            asyncio.CancelledError: the task was cancelled; the guest was abandoned, and its instance is gone.
        """
        ticket, seat, guest = await self._enter(tenant, priority, timeout)
        try:
            result = await guest.call(name, *arguments)
            check_result(name, result)
        except BaseException as error:
            self._leave(ticket, seat, guest, error)
            raise
        self._leave(ticket, seat, guest, None)
        return result

    @asynccontextmanager
    async def instance(
        self, *, tenant: str = DEFAULT_TENANT, priority: int = 0, timeout: float | None = None
    ) -> AsyncIterator[Guest]:
        """An instance for several calls: ``async with pool.instance() as guest: await guest.call("f", 1)``.

        Arguments and errors are those of ``call``; the time is that of the whole block. Between calls of the block
        others have their turns. Where the pool is closed meanwhile, the block is cancelled and raises ``Rejected``.
        """
        ticket, seat, guest = await self._enter(tenant, priority, timeout)
        seat.end()
        guest.task = current_task()
        try:
            yield guest
        except BaseException as error:
            self._leave(ticket, seat, guest, error)
            if guest.was_ended(error):
                raise Rejected("closed", ticket.line.tenant.name) from error
            raise
        self._leave(ticket, seat, guest, None)
        guest.was_ended(None)

    def map(
        self, name: str, *arguments: Iterable[Any], threads: int | None = None, timeout: float | None = None
    ) -> Iterator[Any]:
        """``map`` for programs without an event loop: results in order, of calls in threads that the pool starts.

        Each call has an instance of its own. Arguments are taken from the iterables as calls begin, some more than
        there are threads. The first error ends the others; so does leaving the iteration.

        Args:
            name: the export.
            *arguments: an iterable for each argument; the shortest ends it.
            threads: how many calls run at once; None: one per core.
            timeout: seconds that each call may take; None: the policy's.
        """
        with importing:
            from stratavm.pool.threads import in_threads

        if self._nursery.waits:
            raise TypeError("Pool.map cannot await what makes its instances: use a plain function, no start function")
        limit = self.policy.timeout if timeout is None else seconds_or_none("timeout", timeout)
        maker = Nursery(self._source, self._engine, self._limits, Counters(), time.monotonic)
        return in_threads(maker, name, arguments, whole_or_none("threads", threads, 1), limit)

    # ---- what it does ----

    def metrics(self) -> PoolMetrics:
        """What the pool does and has done, as numbers that do not change."""
        return self.counters.metrics(self.desk, len(self._nursery.ready), self.now())

    @property
    def is_at_rest(self) -> bool:
        """Whether no call runs or waits."""
        return not self.desk.running and not self.desk.queued and not any(self.desk.waiting())

    def __repr__(self) -> str:
        state = f" {self._draining}" if self._draining else ""
        return (
            f"<Pool{state}: {self.desk.running} running, {self.desk.queued} queued, {len(self._nursery.ready)} ready>"
        )

    # ---- beginning and end ----

    async def __aenter__(self) -> Self:
        self._here()
        try:
            while len(self._nursery.ready) < self.policy.min_ready:
                self._nursery.ready.append(await self._nursery.make_async(seconds=self.policy.timeout))
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.drain()
        else:
            self.close()
            await self._end_of_all(current_task())
            self._tell_drained(False)
        self.close()
        await self._nursery.closed()

    async def drain(self, timeout: float | None = None) -> bool:
        """Take no more calls, and wait until those that there are have ended.

        Args:
            timeout: seconds after which those that still wait are rejected, and those that run are interrupted.

        Returns:
            Whether all ended by themselves. What instances held has been given back by then.
        """
        seconds = seconds_or_none("timeout", timeout)
        self._here()
        if self._draining is None:
            self._draining = "draining"
        try:
            async with asyncio.timeout(seconds):
                await self._end_of_all()
        except TimeoutError:
            self.close()
            await self._end_of_all()
            await self._nursery.closed()
            self._tell_drained(False)
            return False
        await self._nursery.closed()
        self._tell_drained(True)
        return True

    def _tell_drained(self, in_time: bool) -> None:
        if not self._was_drained:
            self._was_drained = True
            self._tell(events.PoolDrained(in_time))

    async def _end_of_all(self, but: asyncio.Task[Any] | None = None) -> None:
        """Wait for it; not for blocks that a task is in which is on its way out, and cannot leave them."""
        while not self.is_at_rest and not (but and self._is_held_by(but)):
            future = asyncio.get_running_loop().create_future()
            self._empty.append(future)
            try:
                await future
            finally:
                self._empty.remove(future)

    def _is_held_by(self, task: asyncio.Task[Any]) -> bool:
        """Whether nothing is under way but blocks of this task."""
        mine = sum(guest.task is task for guest in self._guests.values())
        return self.desk.running == mine and not self.desk.queued and not any(self.desk.waiting())

    def close(self) -> None:
        """Reject calls that wait, interrupt those that run, close the instances that are ready; may be called twice.

        Calls that run end with ``Interrupted`` in their tasks. A block of ``instance`` that another task is in, with no
        call under way, is cancelled where it waits, and raises ``Rejected``. Instances that threads are closing are
        waited for where no loop runs; in a loop ``drain`` waits for them.
        """
        was_closed, self._draining = self._draining == "closed", "closed"
        for ticket in list(self.desk.waiting()):
            self.desk.withdraw(ticket, self.now())
            self._floor.refuse(ticket, "closed")
        for guest in list(self._guests.values()):
            guest.end()
        self._nursery.end()
        self._nursery.shrink(0)
        self._nursery.join()
        for handle in (self._timer, self._nursing):
            if handle is not None:
                handle.cancel()
        self._timer = self._nursing = None
        if not was_closed:
            self._tell(events.PoolClosed())
        self._tell_if_at_rest()

    # ---- in and out ----

    def _here(self) -> asyncio.AbstractEventLoop:
        """The loop, which is the one that the pool belongs to."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise StrataError("this pool belongs to another event loop: make one for each")
            self._loop = loop
            self._floor.house = house_of(loop)
            if getattr(type(loop), "time", None) is not asyncio.BaseEventLoop.time:  # which is what we have, and slow
                self.now = self._floor.now = self._nursery.now = loop.time
            for area in (self.counters.busy, self.counters.capacity):
                area.since = loop.time()
        return loop

    async def _enter(self, tenant: str, priority: int, timeout: float | None) -> tuple[Ticket, Seat, Guest]:
        """A slot, a turn and an instance."""
        loop = self._here()
        line, now = self.desk.line(tenant), self.now()
        deadline = self._deadline(line, timeout, now)
        ticket = Ticket(line, integer("priority", priority), now)
        self._submitted += 1
        ticket.number = self._submitted
        if self._hears(events.CallSubmitted):
            self._tell(events.CallSubmitted(ticket.number, line.tenant.name, ticket.priority))
        if self._timer is None:
            self._look_later(loop)
        if self._draining is not None or not self._floor.begin_at_once(ticket):
            await self._begin(loop, ticket, deadline)
        seat = Seat(self._floor, ticket)
        seat.begin()
        return ticket, seat, await self._lend(ticket, seat, deadline)

    async def _lend(self, ticket: Ticket, seat: Seat, deadline: float | None) -> Guest:
        """An instance for a call that has a turn."""
        tenant, guest = ticket.line.tenant, None
        try:
            if self._hears(events.CallAdmitted):
                self._tell(events.CallAdmitted(ticket.number, tenant.name, self.now() - ticket.arrived))
            made = self._nursery.take(tenant.limits)
            is_ready = made is not None
            if made is None:
                made = await self._make(seat, ticket.line, deadline)
            self.counters.busy.add(1, self.now())
            guest = self._guests[ticket] = Guest(made, seat, tenant.name, deadline)
            if self._draining != "closed" and self._hears(events.CallStarted):
                self._tell(events.CallStarted(ticket.number, tenant.name, is_ready))
        except BaseException as error:
            if self._draining != "closed" or not isinstance(error, DeadlineExceeded):
                self._leave(ticket, seat, guest, error)
                raise
        if self._draining == "closed":
            self._give_up(ticket, seat, guest)
            raise self._rejected("closed", ticket)
        assert guest is not None
        return guest

    def _deadline(self, line: Line, timeout: float | None, now: float) -> float | None:
        for given in (seconds_or_none("timeout", timeout), line.tenant.timeout, self.policy.timeout):
            if given is not None:
                return now + given
        return None

    def _rejected(self, reason: Reason, ticket: Ticket) -> Rejected:
        self.counters.rejected[reason] += 1
        tenant = ticket.line.tenant.name
        if self._hears(events.CallRejected):
            self._tell(events.CallRejected(ticket.number, tenant, reason))
        return Rejected(reason, tenant)

    def _ended(self, ticket: Ticket, error: BaseException | None) -> None:
        """Count how a call ended, and tell it."""
        if error is None:
            outcome = "completed"
            self.counters.completed += 1
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            outcome = "cancelled"
            self.counters.cancelled += 1
        else:
            outcome = "failed"
            self.counters.failed += 1
        if self._hears(events.CallFinished):
            name = type(error).__name__ if outcome == "failed" else ""
            self._tell(events.CallFinished(ticket.number, ticket.line.tenant.name, outcome, name))

    async def _begin(self, loop: asyncio.AbstractEventLoop, ticket: Ticket, deadline: float | None) -> None:
        """Wait for a slot and a turn."""
        if self._draining is not None:
            raise self._rejected(self._draining, ticket)
        if not self.desk.arrive(ticket):
            raise self._rejected("full", ticket)
        timer = None if deadline is None else loop.call_at(deadline, self._expire, ticket)
        try:
            reason = await self._floor.granted(ticket)
        except BaseException as error:
            if ticket.holds_slot:
                self.desk.leave(ticket)
                self._floor.pass_on()
            self._tell_if_at_rest()
            self._ended(ticket, error)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if reason is not None:
            self._tell_if_at_rest()
            raise self._rejected(reason, ticket)

    def _expire(self, ticket: Ticket) -> None:
        if ticket.waits:
            self.desk.withdraw(ticket, self.now())
            self._floor.refuse(ticket, "timeout")

    async def _make(self, seat: Seat, line: Line, deadline: float | None) -> Made:
        """An instance, since none is ready. Others have their turns where it is awaited."""
        began = self.now()
        seconds = None if deadline is None else max(deadline - began, 0.0)
        if self._nursery.waits:
            seat.end()
            made = await self._nursery.make_async(line.tenant.limits, seconds)
            try:
                await seat.go_on()
            except BaseException:
                self._nursery.discard(made)
                raise
        else:
            made = self._nursery.make(line.tenant.limits, seconds)
        self.counters.waits["instance"] += self.now() - began
        return made

    def _leave(self, ticket: Ticket, seat: Seat, guest: Guest | None, error: BaseException | None) -> None:
        """A call has ended."""
        self._give_up(ticket, seat, guest)
        self._ended(ticket, error)

    def _give_up(self, ticket: Ticket, seat: Seat, guest: Guest | None) -> None:
        """The instance, the slot and the turn of a call go back."""
        self.desk.leave(ticket)
        if guest is not None:
            self.counters.busy.add(-1, self.now())
            del self._guests[ticket]
            made = guest.give_back()
            most = 0 if self._draining == "closed" else max(self._steering.ready, 1)
            self._nursery.give_back(made, most)
            if self._draining is None and len(self._nursery.ready) < self._steering.ready:
                self._nurse_soon()
        seat.end()
        self._floor.pass_on()
        self._tell_if_at_rest()

    def _tell_if_at_rest(self) -> None:
        if self._empty and (self.is_at_rest or self._draining == "closed"):
            for future in self._empty:
                if not future.done():
                    future.set_result(None)

    def _tell(self, event: Event) -> None:
        self._source_of_events.emit(event)

    # ---- steering ----

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looks = 0
        self._steering.begin(self.now(), self.meter.cpu_ns())
        self._timer = loop.call_later(self.policy.interval / LOOKS, self._look)

    def _look(self) -> None:
        """See how late the loop is; at the end of an interval, decide."""
        timer, loop = self._timer, self._loop
        if timer is None or loop is None:
            return
        self._steering.was_late(self.now() - timer.when())
        self._looks += 1
        if self._looks < LOOKS:
            self._timer = loop.call_later(self.policy.interval / LOOKS, self._look)
            return
        self._timer = None
        before = self.desk.limit
        limit = self._steering.decide(self.now(), self.meter.cpu_ns(), self.desk, self._nursery.make_seconds)
        self.desk.set_limit(limit)
        if limit != before and self._hears(events.PoolResized):
            self._tell(events.PoolResized(before, limit))
        self._nursery.shrink(self._steering.ready)
        self._nurse_soon()
        self._floor.pass_on()
        kept = max(self._steering.ready, len(self._nursery.ready))
        if kept > self.policy.min_ready or not self.is_at_rest:
            self._look_later(loop)

    def _nurse_soon(self) -> None:
        """Make an instance ahead, at the loop's next turn, if there are too few."""
        missing = self._steering.ready - len(self._nursery.ready)
        if self._nursing or self._draining or self._loop is None or missing <= 0:
            return
        if self._nursery.waits:
            self._nursing = self._loop.create_task(self._nurse_async())
        else:
            self._nursing = self._loop.call_soon(self._nurse)

    def _nurse(self) -> None:
        """Make one. An error is left to the call that will want one."""
        self._nursing = None
        try:
            self._nursery.ready.append(self._nursery.make(seconds=self.policy.timeout))
        except Exception:
            return
        self._nurse_soon()

    async def _nurse_async(self) -> None:
        try:
            made = await self._nursery.make_async(seconds=self.policy.timeout)
        except Exception:
            self._nursing = None
            return
        self._nursing = None
        if self._draining == "closed":
            self._nursery.discard(made)
        else:
            self._nursery.ready.append(made)
            self._nurse_soon()


def _forget(pools: list[Callable[[], Any]], gone: Callable[[], Any]) -> None:
    """A pool has gone."""
    with suppress(ValueError):  # who asked for metrics meanwhile has done it
        pools.remove(gone)


def _check(policy: object, tenants: tuple[object, ...], limits: object) -> None:
    """Raise TypeError or ValueError for what a pool cannot be made with."""
    if policy is not None and not isinstance(policy, Policy):
        raise TypeError(f"Pool: policy must be a Policy or None, got {policy!r:.60}")
    if limits is not None and not isinstance(limits, StoreLimits):
        raise TypeError(f"Pool: limits must be StoreLimits or None, got {limits!r:.60}")
    names: set[str] = set()
    for tenant in tenants:
        if not isinstance(tenant, Tenant):
            raise TypeError(f"Pool: tenants must be an iterable of Tenant, got {tenant!r:.60} in it")
        if tenant.limits is not None and not isinstance(tenant.limits, StoreLimits):
            raise TypeError(f"Pool: limits of a Tenant must be StoreLimits or None, got {tenant.limits!r:.60}")
        if tenant.name in names:
            raise ValueError(f"Pool: tenants must have different names, got two called {tenant.name!r:.60}")
        names.add(tenant.name)
