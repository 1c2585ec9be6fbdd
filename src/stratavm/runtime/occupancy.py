"""Who is inside a store: how a call enters and leaves, what is pending for it, interrupts and deadlines."""

# strata: hot

import cython
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.events.ring import ring_record
from cython.cimports.stratavm.contract._gen_layout import (
    ATTENTION_ABORTED,
    ATTENTION_BOUND,
    ATTENTION_CLOSED,
    ATTENTION_CROWDED,
    ATTENTION_DEADLINE,
    ATTENTION_FIBER,
    ATTENTION_FORCED,
    ATTENTION_STACK,
    ATTENTION_THROWN,
    PENDING_DEADLINE,
    PENDING_INTERRUPT,
    PENDING_SAMPLE,
    PENDING_SWAP,
    PENDING_TICK,
    PENDING_TURN,
    TRAP_INTERRUPTED,
    Activation,
    ExecContext,
)
from cython.cimports.stratavm.runtime.greenlets import in_other_greenlet, notice_greenlets
from cython.cimports.stratavm.runtime.kinds import (
    KIND_DEADLINE_SET,
    KIND_INTERRUPT_REQUESTED,
    KIND_STORE_CLOSED,
)
from cython.cimports.stratavm.runtime.native import (
    and_32,
    compiler_fence,
    load_32,
    load_64,
    now_ns,
    or_32,
    stack_pointer,
    store_64,
    store_relaxed,
)
from cython.cimports.stratavm.runtime.objects import Objects
from cython.cimports.stratavm.runtime.own_threads import lock, unlock
from cython.cimports.stratavm.runtime.parking import unpark
from cython.cimports.stratavm.runtime.signals import ensure_first_handler
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block, thread_block, threads
from cython.cimports.stratavm.runtime.ticker import (
    TICKER_TICKS,
    is_fine,
    meet_newcomer,
    quicken,
    ticker_state,
    wake_ticker,
)

from stratavm.base import switches
from stratavm.base.errors import Closed, StackOverflow, StoreBusy
from stratavm.base.importing import warnings
from stratavm.base.numbers import seconds_or_none
from stratavm.runtime.objects import why_elsewhere

NEVER = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
PARKED = cython.declare(uint64_t, 0x8000000000000000)  # a bit of `occupant`: no thread is inside, a suspended guest is
# STRATA_POLL=always takes the slow path at every poll, to test that it changes nothing: a bit that stays, without
# a meaning.
FORCED = cython.declare(uint32_t, PENDING_SWAP if switches.POLL.value() == "always" else 0)

ASKED = cython.declare(uint32_t, PENDING_TICK | PENDING_SAMPLE | PENDING_TURN)  # by the ticker, of who ran then


SEED_STEP = cython.declare(uint32_t, 0x9E3779B9)
seeds = cython.declare(uint32_t, 0)


@cython.cfunc
@cython.exceptval(check=False)
def next_seed() -> uint32_t:
    """Another one for each store: where many make few calls each, they do not all see the same of their functions."""
    global seeds
    seeds += SEED_STEP
    return seeds


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def set_limit(context: cython.pointer(ExecContext), limit: uint64_t) -> cython.void:
    """The owner's half of the interrupt protocol: set the limit, then look again whether something is pending."""
    context.real_limit = limit
    store_64(cython.address(context.poll_limit), limit)  # sequentially consistent: no fence is needed
    if load_32(cython.address(context.pending)):
        store_64(cython.address(context.poll_limit), NEVER)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def aim(context: cython.pointer(ExecContext), limit: uint64_t) -> cython.void:
    """``set_limit``, without a barrier where both limits stand already: what is not written overwrites no request."""
    if context.real_limit != limit or load_64(cython.address(context.poll_limit)) != limit:
        set_limit(context, limit)


def request(context, bits):
    """The requester's half, from any thread."""
    or_32(cython.address(context.pending), bits)
    store_64(cython.address(context.poll_limit), NEVER)


@cython.cfunc
@cython.exceptval(check=False)
def hurry(context: cython.pointer(ExecContext), outer: cython.pointer(ExecContext)) -> cython.bint:
    """A store is entered again, from a host function of another one: whether that one's deadline is earlier, and is
    taken over until the call has ended."""
    limit: uint64_t = 0 if outer == cython.NULL else outer.deadline_ns
    if limit == 0 or earlier(context.deadline_ns, limit) == context.deadline_ns:
        return False
    context.deadline_ns = limit
    if now_ns() >= limit:
        request(context, PENDING_DEADLINE)
    return True


@cython.cclass
class Deadline:
    """The block of ``Store.deadline``. One that no ``with`` has begun limits nothing, and says so as it goes."""

    store: Occupied
    seconds: object
    moments: list
    begun: cython.bint

    def __init__(self, store: Occupied, seconds: object) -> None:
        """``seconds`` was checked: a number, or None for no deadline."""
        self.store, self.seconds = store, seconds
        self.moments = []
        self.begun = False

    def __enter__(self) -> None:
        self.begun = True
        if self.seconds is not None:
            self.moments.append(self.store.begin_deadline(self.seconds))
            deliver_events(self.store)

    def __exit__(self, _type: object, _error: object, _traceback: object) -> None:
        if self.seconds is not None:
            self.store.end_deadline(self.moments.pop())
            deliver_events(self.store)

    def __reduce__(self):
        raise TypeError("a deadline cannot be copied or pickled: it is of one store")

    def __del__(self) -> None:
        if not self.begun:
            said = f"deadline({self.seconds}) limits nothing by itself: write `with store.deadline({self.seconds}):`"
            warnings.warn(said, RuntimeWarning, stacklevel=1)


@cython.freelist(8)
@cython.cclass
class Occupied:
    """A store as threads see it, which enter it one at a time."""

    def __cinit__(self):
        self.exec = cython.cast(cython.pointer(ExecContext), malloc(cython.sizeof(ExecContext)))
        if self.exec == cython.NULL:
            raise MemoryError("no memory for an execution context")
        memset(self.exec, 0, cython.sizeof(ExecContext))
        self.exec.attention = (
            ATTENTION_CLOSED  # until it begins: one whose initialiser was skipped is as good as closed
        )

    def begin_occupancy(self, first, thread_bound, stack_bytes):
        """Calls may enter from now on."""
        self.bound_to = thread_block().serial if thread_bound else 0
        memcpy(self.exec, first, cython.sizeof(ExecContext))
        self.exec.store = cython.cast(cython.p_void, self)
        self.exec.jitter = next_seed()
        self.stack_bytes = stack_bytes
        mark(self.exec, ATTENTION_BOUND, thread_bound)
        mark(self.exec, ATTENTION_STACK, stack_bytes != 0)
        mark(self.exec, ATTENTION_FORCED, FORCED != 0)
        notice_greenlets()
        ensure_first_handler()
        return 0

    def __dealloc__(self):
        # Forgotten instead of closed: recorded here, delivered by whoever comes next. In a cycle of garbage the source
        # may have lost its bus already, and the ring with it.
        if self.source is not None and self.source.bus is not None and not is_closed(self):
            ring_record(self.source.bus.ring, self.source.cell, self.kinds[KIND_STORE_CLOSED], 0, 0, 0, 0)
        objects: Objects
        if self.exec.objects != cython.NULL:
            objects = cython.cast(Objects, self.exec.objects)  # what it lets go of may be all that holds it
            objects.end()
        # The ticker reads running contexts under this lock, and might just have seen this one.
        lock(cython.address(threads))
        free(self.exec.osr_values)
        free(self.exec)
        unlock(cython.address(threads))

    @property
    def closed(self) -> bool:
        """Whether everything was let go."""
        return is_closed(self)

    @property
    def busy(self) -> bool:
        """Whether a call is inside."""
        return self.exec.occupant != 0

    @property
    def bus(self) -> object:
        """Where the events of this store go."""
        return None if self.source is None else self.source.bus

    @property
    def address(self) -> int:
        """Address of the ExecContext, for tests and tiers."""
        return cython.cast(uint64_t, self.exec)

    # ---- entering and leaving ----

    def enter(self, entry):
        """Push an activation; the caller must ``leave``. Raises StoreBusy, Closed, StackOverflow and pushes
        nothing."""
        block: cython.pointer(ThreadBlock) = current_block()
        context: cython.pointer(ExecContext) = self.exec
        act: cython.pointer(Activation) = cython.address(entry.act)
        if block == cython.NULL:
            block = thread_block()
            meet_newcomer()
        elsewhere: cython.bint = block.activation != cython.NULL and in_other_greenlet(block)
        entry.outermost = context.occupant == 0  # read now: other threads may have run meanwhile
        if (
            elsewhere
            or is_closed(self)
            or not (entry.outermost or context.occupant == block.serial)
            or not (self.bound_to == 0 or self.bound_to == block.serial)
            or stack_pointer() < block.limit
        ):
            if not admits(self, block):
                return refuse(self, block)
            step_over(self, entry, block)
        else:
            entry.parent = cython.NULL
        entry.block = block
        if entry.outermost:
            occupy(self, block)
        act.prev = block.activation
        act.exec = context
        act.prev_exec = context.activation
        act.prev_limit = context.real_limit
        act.entry_sp = 0
        act.trap_kind = 0
        act.n_frames = 0
        act.vmctx = cython.NULL
        act.rec = cython.NULL
        act.fiber = cython.NULL
        self.entries += 1
        entry.prev_running = block.running
        entry.prev_in_guest = block.in_guest
        entry.hurried = not entry.outermost and entry.prev_running != context and hurry(context, entry.prev_running)
        context.activation = act
        block.activation = act
        aim(context, budget(self, block, entry.outermost) if self.stack_bytes else block.limit)
        block.in_guest = 0
        block.calls += entry.outermost
        # Either the ticker, before it parks, sees this thread running, or this thread sees it parked: the ticker runs a
        # barrier on every thread, so that none is needed here.
        store_relaxed(cython.address(block.running), context)
        compiler_fence()
        # Also in a nested call: after a fork inside a host function there is no ticker.
        return 0 if load_32(cython.address(ticker_state)) == TICKER_TICKS else wake(self, entry)

    def leave(self, entry):
        """Pop the activation."""
        context: cython.pointer(ExecContext) = self.exec
        block: cython.pointer(ThreadBlock) = entry.block
        block.running = entry.prev_running
        block.in_guest = entry.prev_in_guest
        block.activation = entry.act.prev
        context.activation = cython.cast(cython.pointer(Activation), entry.act.prev_exec)
        if entry.outermost:
            # The limits stay as they are: most often the next call comes from the same thread.
            context.thread = cython.NULL
            context.deadline_ns = 0
            context.occupant = 0
            if stands(context, ATTENTION_CROWDED | ATTENTION_THROWN):
                self.settle()
        else:
            aim(context, entry.act.prev_limit)
            if entry.parent != cython.NULL:
                self.step_back(entry)
            if entry.hurried:
                adopt_deadline(self)

    # ---- a guest on a fiber: after `enter` it goes there, then it steps out and comes back, until it leaves ----

    def go_on_fiber(self, entry, state, limit):
        """The call that was entered, an outermost one, runs on a stack with this lowest SP."""
        context: cython.pointer(ExecContext) = self.exec
        entry.act.fiber = state
        context.gate = self.template.fiber_gate
        context.value_gate = self.template.fiber_value_gate
        mark(context, ATTENTION_FIBER, True)
        aim(context, limit)
        if entry.block.polls_per_tick:
            request(context, PENDING_SWAP)  # every poll is asked for, and counted
        if not is_fine:
            quicken()

    def step_out(self, entry, fiber):
        """The guest is suspended: no thread is inside, and nobody may enter."""
        context: cython.pointer(ExecContext) = self.exec
        block: cython.pointer(ThreadBlock) = entry.block
        block.running = entry.prev_running
        block.in_guest = entry.prev_in_guest
        block.activation = entry.act.prev
        self.leave_fiber(0)
        context.activation = cython.NULL
        context.thread = cython.NULL
        context.occupant = block.serial | PARKED
        self.parked = fiber

    def step_back(self, entry):
        """A call has ended that the host made while a guest was suspended: that guest waits again."""
        self.exec.thread = cython.NULL
        self.exec.occupant |= PARKED  # of the same thread, whose block is gone where it has ended since
        self.parked = cython.cast(object, cython.cast(cython.pointer(PyObject), entry.parent))
        entry.parent = cython.NULL
        self.under.pop()
        Py_DECREF(self.parked)
        if self.parked.is_left:  # meanwhile
            self.parked.abandon()

    def drop(self, entry):
        """The guest that is suspended never goes on: the store is free, or its caller's guest waits in it."""
        self.parked = None
        self.exec.activation = cython.NULL
        if entry.parent != cython.NULL:
            self.step_back(entry)
        else:
            self.exec.deadline_ns = 0
            self.exec.occupant = 0
            mark(self.exec, ATTENTION_ABORTED, False)
            self.settle()

    def leave_fiber(self, limit):
        """What runs next in this store is on a thread's stack, most often with this lowest SP; 0: it is not known."""
        if limit:
            aim(self.exec, limit)
        self.exec.gate = self.template.exec.gate
        self.exec.value_gate = self.template.exec.value_gate
        mark(self.exec, ATTENTION_FIBER, False)

    def come_back(self, entry, state, limit):
        """The guest that has stepped out goes on, in whatever thread. Raises Closed, StoreBusy, StackOverflow, and
        changes nothing."""
        block: cython.pointer(ThreadBlock) = thread_block()
        context: cython.pointer(ExecContext) = self.exec
        act: cython.pointer(Activation) = cython.address(entry.act)
        fiber: object = self.parked
        if (
            (block.activation != cython.NULL and in_other_greenlet(block))  # first: other threads may run meanwhile
            or is_closed(self)
            or not (self.bound_to == 0 or self.bound_to == block.serial)
            or stack_pointer() < block.limit
            or self.parked is not fiber
        ):
            return refuse(self, block)
        entry.block = block
        act.prev = block.activation
        entry.prev_running = block.running
        entry.prev_in_guest = block.in_guest
        self.parked = None
        context.occupant = block.serial
        context.thread = block
        context.activation = act
        block.activation = act
        if self.stack_bytes:
            budget(self, block, True)  # of what its host functions call
        if load_32(cython.address(context.pending)) & ASKED:
            and_32(cython.address(context.pending), ~ASKED)
        outer: cython.pointer(ExecContext) = block.running
        context.deadline_ns = earlier(self.own_deadline, 0 if outer == cython.NULL else outer.deadline_ns)
        if context.deadline_ns != 0 and now_ns() >= context.deadline_ns:
            request(context, PENDING_DEADLINE)
        self.go_on_fiber(entry, state, limit)
        block.in_guest = 0
        block.calls += 1
        store_relaxed(cython.address(block.running), context)
        compiler_fence()
        if load_32(cython.address(ticker_state)) != TICKER_TICKS:
            try:
                wake_ticker()
            except BaseException:
                self.step_out(entry, fiber)
                raise
        return 0

    def settle(self):
        """The outermost call has ended, and left too many handles behind."""

    def check_access(self):
        """Raise Closed, or StoreBusy if another thread is inside; for what the host does to memories, tables and
        globals."""
        if is_closed(self):
            raise self.why_closed()
        return self.check_thread()

    def check_entry(self):
        """``check_access`` for what prepares a call: StoreBusy on a thread that the store is not bound to, too."""
        block: cython.pointer(ThreadBlock)
        self.check_access()
        if self.bound_to != 0:
            block = current_block()
            if block == cython.NULL or self.bound_to != block.serial:
                raise StoreBusy("this store is bound to the thread that created it")
        return 0

    def check_thread(self):
        """Raise StoreBusy if another thread is inside."""
        block: cython.pointer(ThreadBlock)
        if self.exec.occupant != 0:
            block = current_block()
            if block == cython.NULL or self.exec.occupant & ~PARKED != block.serial:
                raise StoreBusy(why_elsewhere(self.exec.occupant))
        return 0

    def why_closed(self):
        """What to raise where the store is closed."""
        return Closed("the store is closed")

    # ---- events ----

    def note(self, kind, a, b, c):
        """Record an event; the engine delivers it at the next boundary."""
        if self.ring != cython.NULL:
            ring_record(self.ring, self.source.cell, self.kinds[kind], a, b, c, 0)

    def deliver(self):
        """Deliver what was recorded: at entries of host functions, and when the outermost call has ended."""
        if self.source is not None:
            self.source.bus.drain()

    # ---- from other threads ----

    def interrupt(self) -> bool:
        """Stop the running call with ``Interrupted`` at its next poll, from any thread; False if none is running.

        An asynchronous call that waits for the host is stopped in what it waits for.
        """
        if self.parked is not None:
            request(self.exec, PENDING_INTERRUPT)
            self.parked.wake(TRAP_INTERRUPTED)
        elif not request_interrupt(self.exec):
            return False
        self.note(KIND_INTERRUPT_REQUESTED, 0, 0, 0)
        deliver_events(self)
        return True

    def request_tick(self) -> None:
        """Make the next call meet a tick at its first poll; for tests."""
        force(self, PENDING_TICK)

    def request_sample(self) -> None:
        """Have the function say that it runs that polls first in the next call; for tests."""
        force(self, PENDING_SAMPLE)

    def deadline(self, seconds: object) -> Deadline:
        """End calls in this block with ``DeadlineExceeded`` once ``seconds`` have passed; None sets no deadline.

        Of blocks inside each other the earliest deadline counts, also where a host function begins one. Without
        ``with`` nothing is limited, which a RuntimeWarning says.
        """
        return Deadline(self, seconds_or_none("seconds", seconds))

    def set_deadline(self, seconds: object) -> None:
        """End calls that still run ``seconds`` from now with ``DeadlineExceeded``; None takes every deadline away."""
        seconds = seconds_or_none("seconds", seconds)
        self.check_thread()
        self.deadlines = None
        if seconds is None:
            self.end_deadline(0)
        else:
            self.begin_deadline(seconds)

    def begin_deadline(self, seconds: float) -> int:
        """One deadline more, at a time that was checked: the earliest counts. What ``end_deadline`` takes."""
        self.check_thread()
        moment: object = now_ns() + cython.cast(uint64_t, seconds * 1e9)
        made: list = [moment]  # may run the collector, and that begin another one
        if self.deadlines is None:
            self.deadlines = made
        else:
            self.deadlines.append(moment)
        self.note(KIND_DEADLINE_SET, cython.cast(int64_t, seconds * 1e9), 0, 0)
        adopt_deadline(self)
        return moment

    def end_deadline(self, moment: int) -> None:
        """One deadline less, in whatever order, and also while another thread is inside."""
        if self.deadlines is not None and moment in self.deadlines:
            self.deadlines.remove(moment)
        self.note(KIND_DEADLINE_SET, -1, 0, 0)
        adopt_deadline(self)


@cython.cfunc
@cython.linetrace(False)  # one step: a thread that the tracer let in would leave, and take its activations along
@cython.exceptval(check=False)
def request_interrupt(context: cython.pointer(ExecContext)) -> cython.bint:
    """End the call inside, and first what it runs in other stores; whether there is one. Under the GIL no thread enters
    or leaves meanwhile."""
    block: cython.pointer(ThreadBlock) = cython.cast(cython.pointer(ThreadBlock), context.thread)
    if context.occupant == 0 or block == cython.NULL:
        return False
    act: cython.pointer(Activation) = block.activation
    while act != cython.NULL and act.exec != context:
        request(act.exec, PENDING_INTERRUPT)
        act = act.prev
    request(context, PENDING_INTERRUPT)
    if block.parker != cython.NULL:  # it may sleep, and looks at what is pending when it is woken
        unpark(block.parker)
    return True


@cython.cfunc
@cython.exceptval(check=False)
def force(self: Occupied, bits: uint32_t) -> cython.void:
    """Pending bits for the next call; those of STRATA_POLL stay."""
    self.forced = bits
    mark(self.exec, ATTENTION_FORCED, (bits | FORCED) != 0)


@cython.cfunc
@cython.exceptval(check=False)
def adopt_deadline(self: Occupied) -> cython.void:
    """The earliest deadline counts from now on, and for the newest call of this thread that is inside: with those
    of the stores that it is nested in."""
    self.own_deadline = min(self.deadlines) if self.deadlines else 0
    mark(self.exec, ATTENTION_DEADLINE, self.own_deadline != 0)
    if self.parked is not None:
        self.parked.set_timer()
    block: cython.pointer(ThreadBlock) = current_block()
    if block == cython.NULL or self.exec.occupant != block.serial:
        return
    limit: uint64_t = self.own_deadline
    act: cython.pointer(Activation) = self.exec.activation
    while act != cython.NULL:
        if act.exec != self.exec:
            limit = earlier(limit, act.exec.deadline_ns)
        act = act.prev
    self.exec.deadline_ns = limit


@cython.cfunc
@cython.exceptval(check=False)
def budget(self: Occupied, block: cython.pointer(ThreadBlock), outermost: cython.bint) -> uint64_t:
    """The limit of guests with a stack budget: it begins at the outermost call, and its nested calls share it."""
    here: uint64_t = stack_pointer()
    if outermost:
        self.stack_limit = here - self.stack_bytes if here - block.limit > self.stack_bytes else block.limit
    return self.stack_limit


@cython.cfunc
@cython.exceptval(-1, check=False)
def wake(self: Occupied, entry: cython.pointer(Entry)) -> cython.int:
    """Wake the ticker, or undo the entry."""
    try:
        wake_ticker()
    except BaseException:
        self.leave(entry)
        raise
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def admits(self: Occupied, block: cython.pointer(ThreadBlock)) -> cython.bint:
    """Whether a call may enter though a guest is suspended: one by the host function that the guest waits for."""
    fiber: object = self.parked
    if (
        fiber is None
        or not (self.bound_to == 0 or self.bound_to == block.serial)
        or stack_pointer() < block.limit
        or (block.activation != cython.NULL and in_other_greenlet(block))
        or not fiber.admits()
    ):
        return False
    # Last: those two run Python, and another thread may have closed the store meanwhile.
    return self.parked is fiber and self.exec.occupant == block.serial | PARKED


@cython.cfunc
@cython.exceptval(check=False)
def step_over(self: Occupied, entry: cython.pointer(Entry), block: cython.pointer(ThreadBlock)) -> cython.void:
    """A call by the host enters over a guest that is suspended."""
    outer: cython.pointer(ExecContext) = block.running
    fiber: object = self.parked
    Py_INCREF(fiber)
    entry.parent = cython.cast(cython.p_void, fiber)
    if self.under is None:
        self.under = []
    self.under.append(fiber)
    entry.outermost = False
    self.parked = None
    self.exec.occupant = block.serial
    self.exec.thread = block
    self.exec.deadline_ns = earlier(self.own_deadline, 0 if outer == cython.NULL else outer.deadline_ns)


@cython.cfunc
@cython.exceptval(-1, check=False)
def refuse(self: Occupied, block: cython.pointer(ThreadBlock)) -> cython.int:
    """Say why a thread may not enter."""
    if is_closed(self):
        raise self.why_closed()
    if self.exec.occupant != 0 and self.exec.occupant != block.serial and not self.exec.occupant & PARKED:
        raise StoreBusy(why_elsewhere(self.exec.occupant))
    if self.bound_to != 0 and self.bound_to != block.serial:
        raise StoreBusy("this store is bound to the thread that created it")
    if stack_pointer() < block.limit:
        raise StackOverflow(detail="calls between guest and host are nested too deeply")
    if block.activation != cython.NULL and in_other_greenlet(block):
        raise StoreBusy("a guest waits in another greenlet of this thread: calls must end in the order of a stack")
    if self.exec.occupant == PARKED:
        raise StoreBusy(why_elsewhere(PARKED))
    raise StoreBusy("a guest of this store waits in an asynchronous call, which has to end first")


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def occupy(self: Occupied, block: cython.pointer(ThreadBlock)) -> cython.void:
    """The outermost call begins: this thread is the occupant, and most often that is all."""
    context: cython.pointer(ExecContext) = self.exec
    context.occupant = block.serial
    context.thread = block
    mark(context, ATTENTION_ABORTED, False)
    if (
        stands(context, ATTENTION_FORCED | ATTENTION_DEADLINE)
        or load_32(cython.address(context.pending))
        or block.running != cython.NULL
    ):
        occupy_slowly(self, block)


@cython.cfunc
@cython.exceptval(check=False)
def occupy_slowly(self: Occupied, block: cython.pointer(ThreadBlock)) -> cython.void:
    """Forget what was pending for the call before, and take over deadlines."""
    context: cython.pointer(ExecContext) = self.exec
    outer: cython.pointer(ExecContext) = block.running
    and_32(cython.address(context.pending), 0)
    if self.forced | FORCED:
        request(context, self.forced | FORCED)
    force(self, 0)
    # A call into this store from a host function of another one must not outlive that one's deadline.
    context.deadline_ns = earlier(self.own_deadline, 0 if outer == cython.NULL else outer.deadline_ns)
    if context.deadline_ns != 0 and now_ns() >= context.deadline_ns:
        request(context, PENDING_DEADLINE)
