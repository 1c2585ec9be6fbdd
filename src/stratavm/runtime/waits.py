# cython: linetrace=False
# strata: hot
"""Waiting at shared memories: queues by address, threads that sleep at a word of their own, calls on fibers that an
event loop wakes; and the builtins for it.

Who waits compares and queues up under one lock, so that no notification falls in between. What ends a call (an
interrupt, a deadline, a signal's handler) takes the waiter out of its queue again; a notification that it has got by
then goes to the next one.
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_MEMORY_NOTIFY,
    BUILTIN_MEMORY_WAIT,
    PENDING_DEADLINE,
    PENDING_INTERRUPT,
    PENDING_SIGNAL,
    STATUS_SUSPEND,
    TRAP_HOST_EXCEPTION,
    TRAP_MEMORY_OUT_OF_BOUNDS,
    TRAP_NOT_SHARED,
    TRAP_UNALIGNED_ATOMIC,
    ExecContext,
    MemDef,
    VMContext,
)
from cython.cimports.stratavm.runtime.atomics import CHANGE_LOAD, change_atomically
from cython.cimports.stratavm.runtime.builtin_calls import suspend_for
from cython.cimports.stratavm.runtime.gil import leave_guest, let_go_of_gil, let_python_run, regain_gil
from cython.cimports.stratavm.runtime.instance import memory_at
from cython.cimports.stratavm.runtime.memory import SHARED
from cython.cimports.stratavm.runtime.native import compiler_fence, load_32, load_64, now_ns, or_32
from cython.cimports.stratavm.runtime.occupancy import earlier, fiber_here, request
from cython.cimports.stratavm.runtime.own_threads import Link, Monitor, Queue, begin_monitor, put_last, take_out
from cython.cimports.stratavm.runtime.own_threads import lock as hold
from cython.cimports.stratavm.runtime.own_threads import unlock as let_go
from cython.cimports.stratavm.runtime.parking import EINTR, Parker, park, spin, unpark
from cython.cimports.stratavm.runtime.pot import put_back, refill
from cython.cimports.stratavm.runtime.store import Store, past_deadline, poll_status, python_is_quiet
from cython.cimports.stratavm.runtime.template import builtin_table
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block, parker_of, thread_block
from cython.cimports.stratavm.runtime.ticker import is_ticking, wake_ticker

from stratavm.base.errors import ResourceLimit

QUEUES = cython.declare(uint32_t, 256)
QUEUE_BITS = cython.declare(uint32_t, 8)
SPIN_TURNS = cython.declare(uint32_t, 100)  # looks at the flag before the thread sleeps, where that helps
SLICE_NS = cython.declare(uint64_t, 100_000_000)  # a signal that came just before the sleep is heard then
TO_END = cython.declare(uint32_t, PENDING_INTERRUPT | PENDING_SIGNAL)
NOTIFIED = cython.declare(uint32_t, 0)
DIFFERS = cython.declare(uint32_t, 1)
TOO_LATE = cython.declare(uint32_t, 2)
FULL = cython.declare(uint32_t, 3)
ASKED = cython.declare(uint32_t, 4)
SIGNALS = cython.declare(uint32_t, 5)

monitor = cython.declare(Monitor)  # of all queues
queues = cython.declare(Queue[256])
to_tell = cython.declare(Queue)  # calls on fibers that were notified, for who has the GIL


# ---- queues ----


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def queue_of(at: cython.p_char) -> cython.pointer(Queue):
    """Where waiters at an address queue up, with those at others."""
    place: uint64_t = (cython.cast(uint64_t, at) >> 2) * cython.cast(uint64_t, 0x9E3779B97F4A7C15)
    return cython.address(queues[place >> (64 - QUEUE_BITS)])


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def queue_up(waiter: cython.pointer(Waiter), width: uint32_t, expected: uint64_t) -> uint32_t:
    """Join the queue unless the memory has another value by now (DIFFERS) or as many waiters as it may (FULL)."""
    found: uint32_t = NOTIFIED
    hold(cython.address(monitor))
    if change_atomically(CHANGE_LOAD, width, waiter.at, 0, 0) != expected:
        found = DIFFERS
    elif waiter.memory.waiters >= waiter.memory.most_waiters:
        found = FULL
    else:
        waiter.is_notified = 0
        waiter.is_queued = 1
        waiter.memory.waiters += 1
        put_last(queue_of(waiter.at), waiter)
    let_go(cython.address(monitor))
    return found


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def withdraw(waiter: cython.pointer(Waiter)) -> cython.bint:
    """Wait no longer; true if it was notified meanwhile."""
    hold(cython.address(monitor))
    if waiter.is_queued:
        waiter.is_queued = 0
        if waiter.is_notified:
            take_out(cython.address(to_tell), waiter)
        else:
            waiter.memory.waiters -= 1
            take_out(queue_of(waiter.at), waiter)
    let_go(cython.address(monitor))
    return waiter.is_notified != 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def abandon(waiter: cython.pointer(Waiter)) -> cython.void:
    """``withdraw`` for a call that ends: somebody else gets the notification."""
    if withdraw(waiter):
        wake(waiter.at, 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def wake(at: cython.p_char, count: uint64_t) -> uint32_t:
    """Notify those who have waited longest at an address; how many. Calls on fibers are left to ``tell``."""
    woken: uint32_t = 0
    waiter: cython.pointer(Waiter)
    parker: cython.pointer(Parker)
    last: cython.pointer(Parker) = cython.NULL
    queue: cython.pointer(Queue) = queue_of(at)
    hold(cython.address(monitor))
    link: cython.pointer(Link) = queue.first
    while link != cython.NULL and woken < count:
        waiter = cython.cast(cython.pointer(Waiter), link)
        link = link.next
        if waiter.at == at:
            take_out(queue, waiter)
            waiter.memory.waiters -= 1
            woken += 1
            parker = waiter.parker
            if parker == cython.NULL:
                put_last(cython.address(to_tell), waiter)
                waiter.is_notified = 1
                continue
            waiter.is_queued = 0
            or_32(cython.address(waiter.is_notified), 1)  # its thread may return as soon as it sees this
            if last != cython.NULL:
                unpark(last)
            last = parker
    let_go(cython.address(monitor))
    if last != cython.NULL:
        unpark(last)
    return woken


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_child() -> cython.void:
    """Only this thread goes on: others wait no longer."""
    i: uint32_t
    waiter: cython.pointer(Waiter)
    link: cython.pointer(Link)
    block: cython.pointer(ThreadBlock) = current_block()
    mine: cython.pointer(Parker) = cython.NULL if block == cython.NULL else block.parker
    for i in range(QUEUES):
        link = queues[i].first
        while link != cython.NULL:
            waiter = cython.cast(cython.pointer(Waiter), link)
            link = link.next
            if waiter.parker != mine and waiter.parker != cython.NULL:
                waiter.memory.waiters -= 1
                take_out(cython.address(queues[i]), waiter)


begin_monitor(cython.address(monitor), cython.NULL, cython.NULL, after_fork_in_child)


# ---- threads ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def sleep(
    context: cython.pointer(ExecContext),
    block: cython.pointer(ThreadBlock),
    waiter: cython.pointer(Waiter),
    until_ns: uint64_t,
) -> uint32_t:
    """Without the GIL, until it is NOTIFIED or TOO_LATE, or the call, if there is one, is ASKED to end, or SIGNALS may
    be due. The ticker does not see who sleeps: see ``is_seen``."""
    seen: uint32_t
    limit: uint64_t
    now: uint64_t = 0
    slice_ns: uint64_t = now_ns() + SLICE_NS if block.is_main else 0
    parker: cython.pointer(Parker) = waiter.parker
    spin(parker, cython.address(waiter.is_notified), SPIN_TURNS)
    while True:
        seen = load_32(cython.address(parker.word))
        if load_32(cython.address(waiter.is_notified)):
            return NOTIFIED
        limit = until_ns
        if context != cython.NULL:
            if load_32(cython.address(context.pending)) & TO_END or past_deadline(context):
                return ASKED
            limit = earlier(limit, context.deadline_ns)
        limit = earlier(limit, slice_ns)
        if limit:  # else it has no end: no clock is asked, nor set, which takes longer than all else
            now = now_ns()
            if until_ns and now >= until_ns:
                return TOO_LATE
            if slice_ns and now >= slice_ns:
                return SIGNALS
        if park(parker, seen, limit) == EINTR and block.is_main:
            return SIGNALS


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_seen() -> cython.bint:
    """Whether there is a ticker that sees who sleeps no longer: either it, before it parks, has seen this thread awake,
    or this thread, awake, sees it parked: the ticker runs a barrier on every thread, so that none is needed here."""
    compiler_fence()
    return is_ticking()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def begin_wait(
    waiter: cython.pointer(Waiter),
    block: cython.pointer(ThreadBlock),
    memory: cython.pointer(SharedDef),
    at: cython.p_char,
) -> cython.bint:
    """Fill in what a thread is as a waiter; false where there is no memory for that."""
    waiter.at = at
    waiter.memory = memory
    waiter.notice = cython.NULL
    waiter.is_queued = 0
    waiter.is_notified = 0
    waiter.parker = parker_of(block)
    return waiter.parker != cython.NULL


@cython.cfunc
def too_many(memory: cython.pointer(SharedDef)) -> object:
    """The error for one waiter too many."""
    most: object = memory.most_waiters
    return ResourceLimit(
        f"{most} threads and asynchronous calls wait at this shared memory already, which is the most that may",
        limit="waiters",
        needed=most + 1,
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def sleep_loose(
    context: cython.pointer(ExecContext),
    block: cython.pointer(ThreadBlock),
    waiter: cython.pointer(Waiter),
    until_ns: uint64_t,
) -> uint32_t:
    """``sleep`` for who has the GIL, and wants it back."""
    let_go_of_gil(block)
    found: uint32_t = sleep(context, block, waiter, until_ns)
    regain_gil(block)
    return found


def wait_in_python(memory, at, width, expected, until_ns):
    """Wait in a thread that has the GIL: in no guest, or in a host function or an oracle that a guest has called."""
    waiter: Waiter
    found: uint32_t
    block: cython.pointer(ThreadBlock) = thread_block()
    context: cython.pointer(ExecContext) = block.running
    if not begin_wait(cython.address(waiter), block, memory, at):
        raise MemoryError("no memory for a thread to wait")
    found = queue_up(cython.address(waiter), width, expected)
    if found == FULL:
        raise too_many(memory)
    if found == DIFFERS:
        return DIFFERS
    try:
        while True:
            found = sleep_loose(context, block, cython.address(waiter), until_ns)
            if context != cython.NULL and not is_seen():
                wake_ticker()
            if found == NOTIFIED:
                return NOTIFIED
            if found == TOO_LATE:
                return NOTIFIED if withdraw(cython.address(waiter)) else TOO_LATE
            if found == SIGNALS:
                let_python_run(block)
            else:
                if past_deadline(context):
                    request(context, PENDING_DEADLINE)
                cython.cast(Store, context.store).poll()
    except BaseException:
        abandon_and_tell(cython.address(waiter))
        raise


@cython.cfunc
@cython.exceptval(check=False)
def abandon_and_tell(waiter: cython.pointer(Waiter)) -> cython.void:
    """``abandon`` with the GIL."""
    abandon(waiter)
    if to_tell.count:
        tell()


def notify(at, count):
    """``wake`` with the GIL."""
    woken: uint32_t = wake(at, count)
    if to_tell.count:
        tell()
    return woken


# ---- guests ----


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def trouble(memory: cython.pointer(MemDef), address: uint64_t, width: uint64_t) -> uint32_t:
    """The kind of trap of an access, or 0."""
    size: uint64_t = load_64(cython.address(memory.bytes))
    if address & (width - 1):
        return TRAP_UNALIGNED_ATOMIC
    if width > size or address > size - width:
        return TRAP_MEMORY_OUT_OF_BOUNDS
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def end_of(timeout: uint64_t) -> uint64_t:
    """When so many nanoseconds, signed, will be over; 0, never, where they are negative or very many."""
    end: uint64_t = now_ns() + timeout
    return 0 if cython.cast(int64_t, timeout) < 0 or cython.cast(int64_t, end) < 0 else end


@cython.cfunc
@cython.exceptval(check=False)
def fail(context: cython.pointer(ExecContext), memory: cython.pointer(SharedDef), has_room: cython.bint) -> uint32_t:
    """With the GIL: the status of a guest that cannot wait."""
    store: Store = cython.cast(Store, context.store)
    store.in_flight = too_many(memory) if has_room else MemoryError("no memory for a thread to wait")
    return TRAP_HOST_EXCEPTION


@cython.cfunc
@cython.exceptval(check=False)
def memory_wait(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    memory_width: uint64_t,
    address: uint64_t,
    expected: uint64_t,
    timeout: uint64_t,
) -> uint32_t:
    """Builtin ``memory_wait``: between compiled code and the kernel there is no GIL, if it was let go of before."""
    waiter: Waiter
    status: uint32_t
    width: uint32_t = cython.cast(uint32_t, memory_width >> 32)
    definition: cython.pointer(MemDef) = memory_at(vm, cython.cast(uint32_t, memory_width))
    memory: cython.pointer(SharedDef) = cython.cast(cython.pointer(SharedDef), definition)
    block: cython.pointer(ThreadBlock) = current_block()
    status = trouble(definition, address, width)
    if status == 0 and not definition.flags & SHARED:
        status = TRAP_NOT_SHARED
    if status:
        return status
    if width == 4:
        expected = cython.cast(uint32_t, expected)
    at: cython.p_char = cython.cast(cython.p_char, definition.base + address)
    if timeout == 0:
        context.waited = DIFFERS if change_atomically(CHANGE_LOAD, width, at, 0, 0) != expected else TOO_LATE
        return 0
    if fiber_here(context) != cython.NULL:
        leave_guest(block)
        status = wait_on_fiber(context, definition, width, at, expected, timeout)
        block.in_guest = 1
        return status
    has_room: cython.bint = begin_wait(cython.address(waiter), block, memory, at)
    context.waited = queue_up(cython.address(waiter), width, expected) if has_room else FULL
    if context.waited == FULL:
        leave_guest(block)
        status = fail(context, memory, has_room)
        block.in_guest = 1
        return status
    return 0 if context.waited == DIFFERS else sleep_in_guest(context, block, cython.address(waiter), end_of(timeout))


@cython.cfunc
@cython.exceptval(check=False)
def sleep_in_guest(
    context: cython.pointer(ExecContext),
    block: cython.pointer(ThreadBlock),
    waiter: cython.pointer(Waiter),
    until_ns: uint64_t,
) -> uint32_t:
    """``memory_wait``, once it has queued up; comes back without the GIL, if that is no longer needed."""
    found: uint32_t
    status: uint32_t = 0
    while True:
        let_go_of_gil(block)
        put_back(context)
        found = sleep(context, block, waiter, until_ns)
        refill(context)
        if found == SIGNALS or not is_seen():
            regain_gil(block)
            block.in_guest = 0
            status = 0 if look_around(context, block, found == SIGNALS) else TRAP_HOST_EXCEPTION
            block.in_guest = 1
        if status == 0 and found == ASKED:
            if past_deadline(context):
                request(context, PENDING_DEADLINE)
            status = poll_status(context, True)
        if status:
            break
        if found == TOO_LATE and withdraw(waiter):
            found = NOTIFIED
        if found == NOTIFIED or found == TOO_LATE:
            context.waited = found
            return 0
    abandon(waiter)
    tell_from_guest(block)
    return status


@cython.cfunc
@cython.exceptval(check=False)
def tell_from_guest(block: cython.pointer(ThreadBlock)) -> cython.void:
    """``tell``, where there is somebody to be told."""
    if to_tell.count:
        leave_guest(block)
        tell()
        block.in_guest = 1


@cython.cfunc
@cython.exceptval(check=False)
def look_around(
    context: cython.pointer(ExecContext), block: cython.pointer(ThreadBlock), for_signals: cython.bint
) -> cython.bint:
    """With the GIL, after a sleep: false if something was raised, which is kept for the end of the call."""
    store: Store = cython.cast(Store, context.store)
    try:
        wake_ticker()
    except BaseException as error:
        store.in_flight = error
        return False
    return not for_signals or python_is_quiet(context, block)


@cython.cfunc
@cython.exceptval(check=False)
def memory_notify(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    memory: uint64_t,
    address: uint64_t,
    count: uint64_t,
) -> uint32_t:
    """Builtin ``memory_notify``: nobody waits at a memory that is not shared."""
    definition: cython.pointer(MemDef) = memory_at(vm, cython.cast(uint32_t, memory))
    status: uint32_t = trouble(definition, address, 4)
    context.waited = 0
    if status == 0 and definition.flags & SHARED:
        context.waited = wake(cython.cast(cython.p_char, definition.base + address), cython.cast(uint32_t, count))
        tell_from_guest(current_block())
    return status


# ---- calls on fibers ----


@cython.no_gc_clear  # where it waits is part of the memory
@cython.cclass
class Notice:
    """What a call on a fiber waits for: an awaitable. In the queue from its beginning, until it is notified or goes."""

    waiter: Waiter
    store: Store
    memory: object  # keeps it
    until_ns: uint64_t
    tell: object  # called once, by whoever notifies
    driver: object

    def __init__(self):
        raise TypeError("a guest that waits makes it")

    def __dealloc__(self):
        if self.waiter.is_queued:
            abandon_and_tell(cython.address(self.waiter))

    def __await__(self):
        return self.driver(self).__await__()

    @property
    def seconds_left(self) -> float | None:
        """Until it is too late; None: never."""
        if self.until_ns == 0:
            return None
        now: uint64_t = now_ns()
        return (self.until_ns - now) / 1e9 if self.until_ns > now else 0.0

    def listen(self, tell: object) -> bool:
        """Have ``tell`` called, in any thread, once it is notified; true if it was, and then nothing is called."""
        self.tell = tell
        return self.waiter.is_notified != 0

    def end(self) -> None:
        """It is over: the guest learns whether it was notified."""
        if self.store is None:
            raise TypeError("this was never initialised")
        self.tell = None
        self.store.exec.waited = NOTIFIED if withdraw(cython.address(self.waiter)) else TOO_LATE

    def give_up(self) -> None:
        """Nobody wants to know any more."""
        self.tell = None
        abandon_and_tell(cython.address(self.waiter))

    def __reduce__(self):
        raise TypeError("what a guest waits for cannot be pickled")


@cython.cfunc
@cython.exceptval(check=False)
def wait_on_fiber(
    context: cython.pointer(ExecContext),
    definition: cython.pointer(MemDef),
    width: uint32_t,
    at: cython.p_char,
    expected: uint64_t,
    timeout: uint64_t,
) -> uint32_t:
    """With the GIL: ``memory_wait`` by which the guest is suspended. Whoever awaits its Notice writes the result."""
    store: Store = cython.cast(Store, context.store)
    try:
        notice: Notice = Notice.__new__(Notice)
        notice.store = store
        notice.memory = cython.cast(object, cython.cast(cython.pointer(PyObject), definition.memory))
        notice.driver = store.runtime.asynchronous().noticed
        notice.until_ns = end_of(timeout)
        notice.waiter.at = at
        notice.waiter.memory = cython.cast(cython.pointer(SharedDef), definition)
        notice.waiter.notice = cython.cast(cython.p_void, notice)
        context.waited = queue_up(cython.address(notice.waiter), width, expected)
        if context.waited == DIFFERS:
            return 0
        if context.waited == FULL:
            raise too_many(notice.waiter.memory)
        suspend_for(context, notice)
        put_back(context)
    except BaseException as error:
        store.in_flight = error
        return TRAP_HOST_EXCEPTION
    return STATUS_SUSPEND


@cython.cfunc
@cython.exceptval(check=False)
def tell() -> cython.void:
    """With the GIL: tell the loops of calls on fibers that were notified. Who has the GIL finds each of them alive: it
    leaves the queue before it goes."""
    waiter: cython.pointer(Waiter)
    notice: Notice
    while True:
        notice = None
        hold(cython.address(monitor))
        waiter = cython.cast(cython.pointer(Waiter), to_tell.first)
        if waiter != cython.NULL:
            take_out(cython.address(to_tell), waiter)
            waiter.is_queued = 0
        let_go(cython.address(monitor))
        if waiter == cython.NULL:
            return
        notice = cython.cast(object, cython.cast(cython.pointer(PyObject), waiter.notice))
        if notice.tell is not None:
            notice.tell()


def waiter_count() -> int:
    """How many threads, and calls on fibers, are in a queue now, of the whole process."""
    number: uint32_t
    count: uint64_t = 0
    hold(cython.address(monitor))
    for number in range(QUEUES):
        count += queues[number].count
    let_go(cython.address(monitor))
    return count


builtin_table[BUILTIN_MEMORY_WAIT] = cython.cast(cython.p_void, memory_wait)
builtin_table[BUILTIN_MEMORY_NOTIFY] = cython.cast(cython.p_void, memory_notify)
