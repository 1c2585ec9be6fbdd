"""The store: who is inside, how a call enters and leaves, interrupts and deadlines, what lives as long as it."""

# strata: hot
import os

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.events.ring import ring_record
from cython.cimports.stratavm.runtime._gen_layout import (
    BUILTIN_POLL,
    PENDING_DEADLINE,
    PENDING_INTERRUPT,
    PENDING_SIGNAL,
    PENDING_SWAP,
    PENDING_TICK,
    TRAP_DEADLINE,
    TRAP_HOST_EXCEPTION,
    TRAP_INTERRUPTED,
    TRAP_OUT_OF_FUEL,
    TRAP_STACK_OVERFLOW,
    Activation,
    ExecContext,
    FuncRec,
)
from cython.cimports.stratavm.runtime.funcindex import FuncIndex
from cython.cimports.stratavm.runtime.gil import let_python_run, regain_gil, release_if_it_pays, signals_are_due
from cython.cimports.stratavm.runtime.greenlets import in_other_greenlet, notice_greenlets
from cython.cimports.stratavm.runtime.handles import Handles
from cython.cimports.stratavm.runtime.kinds import (
    KIND_DEADLINE_SET,
    KIND_HANDLES_COLLECTED,
    KIND_INTERRUPT_REQUESTED,
    KIND_STORE_CLOSED,
    RUNTIME_KINDS,
)
from cython.cimports.stratavm.runtime.native import (
    and_32,
    array_entry_t,
    compiler_fence,
    fence,
    load_32,
    load_64,
    now_ns,
    or_32,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    stack_pointer,
    store_64,
    store_relaxed,
)
from cython.cimports.stratavm.runtime.python import PyErr_SetObject, PyList_SetSlice
from cython.cimports.stratavm.runtime.quota import new_quota
from cython.cimports.stratavm.runtime.signals import ensure_first_handler
from cython.cimports.stratavm.runtime.template import NO_FUEL, StoreTemplate, builtin_table
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block, thread_block, threads_lock
from cython.cimports.stratavm.runtime.ticker import TICKER_TICKS, ticker_state, wake_ticker
from cython.cimports.stratavm.runtime.trapped import fault_detail, guest_frames, poison, poison_between

from stratavm.base.errors import (
    TRAP_KINDS,
    Closed,
    DeadlineExceeded,
    ExitError,
    Interrupted,
    OutOfFuel,
    ResourceLimit,
    StackOverflow,
    StoreBusy,
    StrataError,
    Trap,
)
from stratavm.base.notes import note_frames
from stratavm.base.numbers import whole
from stratavm.runtime.limits import StoreLimits

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

NEVER = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
STICKY = cython.declare(uint32_t, PENDING_INTERRUPT | PENDING_DEADLINE)
# STRATA_POLL=always takes the slow path at every poll, to test that it changes nothing: a bit that stays, without
# a meaning.
FORCED = cython.declare(uint32_t, PENDING_SWAP if os.environ.get("STRATA_POLL") == "always" else 0)

ABANDONS = (Interrupted, DeadlineExceeded)  # what ends calls midway
MAX_FUEL = (1 << 63) - 1
HANDLE_BYTES = cython.declare(uint64_t, 128)  # what a handle takes of the budget: its places in a list, a dict, a set
_ERRORS = {
    TRAP_STACK_OVERFLOW: StackOverflow,
    TRAP_INTERRUPTED: Interrupted,
    TRAP_DEADLINE: DeadlineExceeded,
    TRAP_OUT_OF_FUEL: OutOfFuel,
}


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


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def request(context: cython.pointer(ExecContext), bits: uint32_t) -> cython.void:
    """The requester's half, from any thread."""
    or_32(cython.address(context.pending), bits)
    store_64(cython.address(context.poll_limit), NEVER)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def earlier(one: uint64_t, other: uint64_t) -> uint64_t:
    """Of two deadlines, where 0 is none."""
    return other if one == 0 or (other != 0 and other < one) else one


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


@cython.cfunc
@cython.exceptval(-1, check=False)
def within(kind: str, now: cython.Py_ssize_t, limit: cython.Py_ssize_t) -> cython.int:
    """ResourceLimit unless there may be one more."""
    if now >= limit:
        raise ResourceLimit(f"the store has {now} {kind}, its limit", limit=kind)
    return 0


@cython.cclass
class Resident:
    """What a store keeps a list of, and tells when it closes: an instance."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def let_go(self) -> cython.int:
        """The store is closed."""
        raise NotImplementedError


@cython.freelist(8)
@cython.cclass
class Store:
    """A world of instances that can see each other, occupied by one thread at a time.

    ``on_abort="keep"`` leaves instances usable after an interrupt or a deadline; the default poisons them. Everything
    made in a store lives until the store is closed or unreachable.
    """

    def __cinit__(self):
        self.exec = cython.cast(cython.pointer(ExecContext), malloc(cython.sizeof(ExecContext)))
        if self.exec == cython.NULL:
            raise MemoryError("no memory for an execution context")
        memset(self.exec, 0, cython.sizeof(ExecContext))
        self.instances = []
        self.closed = True  # until it begins: one whose initialiser was skipped is as good as closed

    def __init__(
        self,
        runtime: object,
        limits: object = None,
        *,
        thread_bound: cython.bint = False,
        on_abort: str = "poison",
        fuel: cython.bint = False,
    ):
        self.begin(StoreTemplate(runtime, limits, fuel), thread_bound, on_abort)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def begin(self, template: StoreTemplate, thread_bound: cython.bint, on_abort: str) -> cython.int:
        """Become a store of a kind. ValueError for a wrong ``on_abort``."""
        if self.template is not None:
            raise TypeError("a store is initialised once")
        if on_abort != "poison" and on_abort != "keep":
            raise ValueError(f"on_abort={on_abort!r}: expected 'poison' or 'keep'")
        self.keep_on_abort = on_abort == "keep"
        self.bound_to = thread_block().serial if thread_bound else 0
        memcpy(self.exec, cython.address(template.exec), cython.sizeof(ExecContext))
        self.exec.store = cython.cast(cython.p_void, self)
        self.template = template
        self.stack_bytes = template.stack_bytes
        if template.bus is not None:
            self.source = template.bus.source("store")
            self.ring = template.bus.ring
            memcpy(self.kinds, template.kinds, RUNTIME_KINDS)
        self.fuel_given = 0
        self.quota = new_quota(template.total_bytes)
        self.closed = False
        self.attend()
        notice_greenlets()
        ensure_first_handler()
        return 0

    @property
    def runtime(self) -> object:
        """The engine-wide part."""
        if self.template is None:
            raise self.why_closed()
        return self.template.runtime

    @property
    def limits(self) -> StoreLimits:
        """What it may hold."""
        if self.template is None:
            raise self.why_closed()
        return self.template.limits

    def __dealloc__(self):
        # Forgotten instead of closed: recorded here, delivered by whoever comes next. In a cycle of garbage the source
        # may have lost its bus already, and the ring with it.
        if not self.closed and self.source is not None and self.source.bus is not None:
            ring_record(self.source.bus.ring, self.source.cell, self.kinds[KIND_STORE_CLOSED], 0, 0, 0, 0)
        # The ticker reads running contexts under this lock, and might just have seen this one.
        pthread_mutex_lock(cython.address(threads_lock))
        free(self.exec)
        pthread_mutex_unlock(cython.address(threads_lock))

    # ---- entering and leaving ----

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def enter(self, entry: cython.pointer(Entry)) -> cython.int:
        """Push an activation; the caller must ``leave``. Raises StoreBusy, Closed, StackOverflow and pushes
        nothing."""
        block: cython.pointer(ThreadBlock) = current_block()
        context: cython.pointer(ExecContext) = self.exec
        act: cython.pointer(Activation) = cython.address(entry.act)
        if block == cython.NULL:
            block = thread_block()
        entry.outermost = context.occupant == 0
        if (
            self.closed
            or not (entry.outermost or context.occupant == block.serial)
            or not (self.bound_to == 0 or self.bound_to == block.serial)
            or stack_pointer() < block.limit
            or (block.activation != cython.NULL and in_other_greenlet(block))
        ):
            return self.refuse(block)
        entry.block = block
        if entry.outermost:
            self.occupy(block)
        act.prev = block.activation
        act.exec = context
        act.prev_exec = context.activation
        act.prev_limit = context.real_limit
        act.entry_sp = 0
        act.trap_kind = 0
        act.n_frames = 0
        act.vmctx = cython.NULL
        act.rec = cython.NULL
        entry.prev_running = block.running
        entry.prev_in_guest = block.in_guest
        entry.hurried = not entry.outermost and entry.prev_running != context and hurry(context, entry.prev_running)
        context.activation = act
        block.activation = act
        aim(context, self.budget(block, entry.outermost) if self.stack_bytes else block.limit)
        block.in_guest = 0
        block.calls += entry.outermost
        # Either the ticker, before it parks, sees this thread running, or this thread sees it parked: the ticker runs a
        # barrier on every thread, so that none is needed here.
        store_relaxed(cython.address(block.running), context)
        compiler_fence()
        # Also in a nested call: after a fork inside a host function there is no ticker.
        return 0 if load_32(cython.address(ticker_state)) == TICKER_TICKS else self.wake(entry)

    @cython.cfunc
    @cython.exceptval(check=False)
    def budget(self, block: cython.pointer(ThreadBlock), outermost: cython.bint) -> uint64_t:
        """The limit of guests with a stack budget: it begins at the outermost call, and its nested calls share it."""
        here: uint64_t = stack_pointer()
        if outermost:
            self.stack_limit = here - self.stack_bytes if here - block.limit > self.stack_bytes else block.limit
        return self.stack_limit

    @cython.cfunc
    @cython.exceptval(check=False)
    def attend(self) -> cython.void:
        """Say in the context whether calls must take the long way in and out; after every change of one of these."""
        self.exec.attention = (
            self.closed
            or self.aborted
            or self.bound_to != 0
            or self.deadline != 0
            or self.stack_bytes != 0
            or (self.forced | FORCED) != 0
            or self.reported is not None
            or self.crowded
        )

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def wake(self, entry: cython.pointer(Entry)) -> cython.int:
        """Wake the ticker, or undo the entry."""
        try:
            wake_ticker()
        except BaseException:
            self.leave(entry)
            raise
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def refuse(self, block: cython.pointer(ThreadBlock)) -> cython.int:
        """Say why a thread may not enter."""
        if self.closed:
            raise self.why_closed()
        if self.exec.occupant != 0 and self.exec.occupant != block.serial:
            raise StoreBusy("another thread is inside this store")
        if self.bound_to != 0 and self.bound_to != block.serial:
            raise StoreBusy("this store is bound to the thread that created it")
        if block.activation != cython.NULL and in_other_greenlet(block):
            raise StoreBusy("a guest waits in another greenlet of this thread: calls must end in the order of a stack")
        raise StackOverflow(detail="calls between guest and host are nested too deeply")

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def occupy(self, block: cython.pointer(ThreadBlock)) -> cython.void:
        """The outermost call begins: this thread is the occupant, and most often that is all."""
        context: cython.pointer(ExecContext) = self.exec
        context.occupant = block.serial
        context.thread = block
        if self.aborted:
            self.aborted = False
            self.attend()
        pending: uint32_t = self.forced | FORCED | load_32(cython.address(context.pending))
        if pending or self.deadline or block.running != cython.NULL:
            self.occupy_slowly(block)

    @cython.cfunc
    @cython.exceptval(check=False)
    def occupy_slowly(self, block: cython.pointer(ThreadBlock)) -> cython.void:
        """Forget what was pending for the call before, and take over deadlines."""
        context: cython.pointer(ExecContext) = self.exec
        outer: cython.pointer(ExecContext) = block.running
        and_32(cython.address(context.pending), 0)
        if self.forced | FORCED:
            request(context, self.forced | FORCED)
        self.forced = 0
        self.attend()
        # A call into this store from a host function of another one must not outlive that one's deadline.
        context.deadline_ns = earlier(self.deadline, 0 if outer == cython.NULL else outer.deadline_ns)
        if context.deadline_ns != 0 and now_ns() >= context.deadline_ns:
            request(context, PENDING_DEADLINE)

    @cython.cfunc
    @cython.exceptval(check=False)
    def leave(self, entry: cython.pointer(Entry)) -> cython.void:
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
            if self.crowded:
                self.settle()
        else:
            aim(context, entry.act.prev_limit)
            if entry.hurried:
                self.adopt_deadline()

    @cython.cfunc
    @cython.exceptval(check=False)
    def note(self, kind: uint32_t, a: int64_t, b: int64_t, c: int64_t) -> cython.void:
        """Record an event; the engine delivers it at the next boundary."""
        if self.ring != cython.NULL:
            ring_record(self.ring, self.source.cell, self.kinds[kind], a, b, c, 0)

    @cython.ccall
    def deliver(self) -> object:
        """Deliver what was recorded: at entries of host functions, and when the outermost call has ended."""
        if self.source is not None:
            self.source.bus.drain()

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def report(self, rec: cython.pointer(FuncRec), error: object, outermost: cython.bint) -> cython.int:
        """Tell the engine that a call ended with this error; once, though it passes through several calls."""
        is_new: cython.bint = error is not self.reported
        self.reported = None if outermost else error
        self.attend()
        if is_new and self.reporter is not None:
            what: object = "" if rec == cython.NULL else self.function_at(cython.cast(uint64_t, rec))
            self.reporter(self.source, what, error)
        elif outermost:
            deliver_events(self)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def check_access(self) -> cython.int:
        """Raise Closed, or StoreBusy if another thread is inside; for what the host does to memories, tables and
        globals."""
        if self.closed:
            raise self.why_closed()
        return self.check_thread()

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def check_entry(self) -> cython.int:
        """``check_access`` for what prepares a call: StoreBusy on a thread that the store is not bound to, too."""
        self.check_access()
        if self.bound_to != 0 and self.bound_to != thread_block().serial:
            raise StoreBusy("this store is bound to the thread that created it")
        return 0

    @cython.cfunc
    def why_closed(self) -> object:
        """What to raise where the store is closed."""
        if self.template is None:
            return Closed("the store was never initialised: a subclass calls super().__init__()")
        return Closed("the store is closed")

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def check_thread(self) -> cython.int:
        """Raise StoreBusy if another thread is inside."""
        block: cython.pointer(ThreadBlock)
        if self.exec.occupant != 0:
            block = current_block()
            if block == cython.NULL or self.exec.occupant != block.serial:
                raise StoreBusy("another thread is inside this store")
        return 0

    # ---- how a call ends ----

    @cython.cfunc
    def trap_error(self, entry: cython.pointer(Entry)) -> object:
        """The exception for an activation that ended with a trap."""
        kind: uint32_t = entry.act.trap_kind
        error: object = self.in_flight
        self.in_flight = None
        self.exec.exception = cython.NULL
        # The guest may have trapped before it met what a limiter raised: the callers of this call have no part in it.
        and_32(cython.address(self.exec.pending), ~cython.cast(uint32_t, PENDING_SIGNAL))
        if isinstance(error, ABANDONS):  # it ended a call in another store, and this one with it
            self.aborted = True
        if self.aborted and not self.keep_on_abort:
            poison(cython.cast(cython.p_void, cython.cast(cython.pointer(FuncRec), entry.act.rec).vmctx))
            poison(entry.act.vmctx)
            poison_between(self.instances, cython.address(entry.act))
        if entry.outermost:
            self.aborted = False
            self.attend()
        frames: object = guest_frames(cython.address(entry.act))
        if error is not None:
            if frames != () and not isinstance(error, ExitError):
                note_frames(error, frames, entry.outermost)
            return error
        if kind in _ERRORS:
            return _ERRORS[kind](frames)
        if 0 < kind < len(TRAP_KINDS):
            return Trap(TRAP_KINDS[kind].name, frames, fault_detail(cython.address(entry.act)))
        return StrataError(f"a guest call ended with the unknown trap kind {kind}")

    def fail(self, error: BaseException) -> None:
        """Keep ``error``: the running guest is left with it at its next poll, and it comes out of the call
        unchanged."""
        self.in_flight = error
        self.exec.exception = cython.cast(cython.p_void, error)
        request(self.exec, PENDING_SIGNAL)

    # ---- from other threads ----

    def interrupt(self) -> bool:
        """Stop the running call with ``Interrupted`` at its next poll, from any thread. False if no call is
        running."""
        if self.exec.occupant == 0:
            return False
        # Under the GIL no thread enters or leaves. What the call runs in other stores ends first.
        act: cython.pointer(Activation) = cython.cast(cython.pointer(ThreadBlock), self.exec.thread).activation
        while act != cython.NULL and act.exec != self.exec:
            request(act.exec, PENDING_INTERRUPT)
            act = act.prev
        request(self.exec, PENDING_INTERRUPT)
        self.note(KIND_INTERRUPT_REQUESTED, 0, 0, 0)
        return True

    def request_tick(self) -> None:
        """Make the next call meet a tick at its first poll; for tests."""
        self.forced = PENDING_TICK
        self.attend()

    def set_deadline(self, seconds: float | None) -> None:
        """End calls that still run ``seconds`` from now with ``DeadlineExceeded``; None takes every deadline away."""
        self.check_thread()
        self.deadlines = None
        if seconds is None:
            self.end_deadline(0)
        else:
            self.begin_deadline(seconds)

    def begin_deadline(self, seconds: float) -> int:
        """One deadline more: the earliest counts. What ``end_deadline`` takes."""
        self.check_thread()
        moment: object = now_ns() + cython.cast(uint64_t, max(0.0, seconds) * 1e9)
        self.deadlines = [moment] if self.deadlines is None else [*self.deadlines, moment]
        self.note(KIND_DEADLINE_SET, min(int(max(0.0, seconds) * 1e9), 1 << 62), 0, 0)
        self.adopt_deadline()
        return moment

    def end_deadline(self, moment: int) -> None:
        """One deadline less, in whatever order, and also while another thread is inside."""
        if self.deadlines is not None and moment in self.deadlines:
            self.deadlines.remove(moment)
        self.note(KIND_DEADLINE_SET, -1, 0, 0)
        self.adopt_deadline()

    @cython.cfunc
    @cython.exceptval(check=False)
    def adopt_deadline(self) -> cython.void:
        """The earliest deadline counts from now on, and for the newest call of this thread that is inside: with those
        of the stores that it is nested in."""
        self.deadline = min(self.deadlines) if self.deadlines else 0
        self.attend()
        block: cython.pointer(ThreadBlock) = current_block()
        if block == cython.NULL or self.exec.occupant != block.serial:
            return
        limit: uint64_t = self.deadline
        act: cython.pointer(Activation) = self.exec.activation
        while act != cython.NULL:
            if act.exec != self.exec:
                limit = earlier(limit, act.exec.deadline_ns)
            act = act.prev
        self.exec.deadline_ns = limit

    def poll(self) -> None:
        """What compiled code does at its polls, for guests that run without machine code: raises what is pending."""
        status: uint32_t
        if load_32(cython.address(self.exec.pending)) == 0:
            return
        status = poll_status(self.exec, False)
        if status == TRAP_HOST_EXCEPTION and self.in_flight is not None:
            error: object = self.in_flight
            self.in_flight = None
            raise error
        if status:
            raise _ERRORS[status]()

    # ---- fuel ----

    @property
    def fuel(self) -> object:
        """Units left, or None where fuel is not counted."""
        return None if self.exec.fuel == NO_FUEL else self.exec.fuel

    @property
    def fuel_used(self) -> object:
        """Units that guests have used since the store was made, or None where fuel is not counted."""
        return None if self.exec.fuel == NO_FUEL else self.fuel_given - self.exec.fuel

    def set_fuel(self, units: object) -> None:
        """Set what is left. ValueError where fuel is not counted, or units are below 0 or beyond 63 bits; TypeError for
        what is no whole number."""
        units = whole("fuel", units, most=MAX_FUEL, unit="units")  # may run anything: nothing is looked at before
        left: uint64_t = units
        self.check_access()
        if self.exec.fuel == NO_FUEL:
            raise ValueError("this engine does not count fuel: make it with Config(fuel=True)")
        self.fuel_given += units - self.exec.fuel
        self.exec.fuel = left

    def charge(self, units: object) -> None:
        """Take fuel for a guest that runs without machine code. OutOfFuel, and nothing is taken, if less is left."""
        if self.exec.fuel != NO_FUEL:
            if units > self.exec.fuel:
                raise OutOfFuel()
            self.exec.fuel -= cython.cast(uint64_t, units)

    @property
    def busy(self) -> bool:
        """Whether a call is inside."""
        return self.exec.occupant != 0

    @property
    def address(self) -> int:
        """Address of the ExecContext, for tests and tiers."""
        return cython.cast(uint64_t, self.exec)

    # ---- life ----

    def close(self) -> None:
        """Let everything go. Objects of the store raise ``Closed`` from now on."""
        self.shut()

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def shut(self) -> cython.int:
        """``close`` for compiled callers."""
        if self.exec.occupant != 0:
            raise StoreBusy("a store cannot be closed while a call is inside")
        if not self.closed:
            self.note(KIND_STORE_CLOSED, 0, 0, 0)
        self.closed = True
        self.attend()
        resident: Resident
        for resident in self.instances:
            resident.let_go()
        PyList_SetSlice(self.instances, 0, len(self.instances), cython.NULL)
        self.hosts = None
        self.index = None
        self.functions = None
        self.handles = None
        self.crowded = False
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def admit(self, kind: str, now: cython.Py_ssize_t) -> cython.int:
        """Ask whether there may be one more; the numbers are compared behind it, for it may make some itself."""
        if not self.closed and self.template.admit is not None and not self.template.admit(kind, now):
            raise ResourceLimit(f"one more of the {kind} was not admitted; the store has {now}", limit=kind)
        if self.closed:
            raise self.why_closed()
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def count_instance(self) -> cython.int:
        """Room for one more instance."""
        self.admit("instances", len(self.instances))
        return within("instances", len(self.instances), self.template.max_instances)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def count_memory(self) -> cython.int:
        """One more memory."""
        self.admit("memories", self.n_memories)
        within("memories", self.n_memories, self.template.max_memories)
        self.n_memories += 1
        self.made_memories += 1
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def count_table(self) -> cython.int:
        """One more table."""
        self.admit("tables", self.n_tables)
        within("tables", self.n_tables, self.template.max_tables)
        self.n_tables += 1
        self.made_tables += 1
        return 0

    # ---- functions ----

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def keep(self, host: object) -> cython.int:
        """Keep a host function alive as long as the store: guests hold raw addresses.

        It answers ``records()`` and ``function_of(address)``, as instances do.
        """
        if self.closed:
            raise self.why_closed()
        if self.hosts is None:
            self.hosts = []
        self.hosts.append(host)
        return 0

    def forget(self, owner: object) -> None:
        """Keep an instance or a host function no longer to whose functions nothing refers: no guest ever saw it."""
        for kept in (self.instances, self.hosts or []):
            for at in range(len(kept) - 1, -1, -1):
                if kept[at] is owner:
                    del kept[at]
        self.index = None
        self.functions = None

    @cython.cfunc
    def owner_of(self, address: object) -> object:
        """The instance or host function whose FuncRec lies at ``address``, or None."""
        if self.index is None:
            self.index = FuncIndex()
            self.n_indexed = self.hosts_indexed = 0
        while self.n_indexed < len(self.instances):
            self.index.add(self.instances[self.n_indexed])
            self.n_indexed += 1
        while self.hosts is not None and self.hosts_indexed < len(self.hosts):
            self.index.add(self.hosts[self.hosts_indexed])
            self.hosts_indexed += 1
        return self.index.owner_of(address)

    def check_function(self, address: int) -> None:
        """Raise ValueError, or Closed, unless the bits are a funcref of this store: guests would jump through them."""
        if self.closed:
            raise self.why_closed()
        if self.functions is not None and address in self.functions:
            return
        if self.owner_of(address) is None:
            raise ValueError(f"{address:#x} is no function reference of this store")

    def function_at(self, address: int) -> object:
        """The function whose FuncRec lies at ``address``: a raw funcref of this store; None for 0."""
        if address == 0:
            return None
        functions: dict = self.functions
        found: object = None if functions is None else functions.get(address)
        if found is None:
            self.check_function(address)
            found = self.owner_of(address).function_of(address)
            if self.functions is None:
                self.functions = {}
            self.functions[address] = found
        return found

    # ---- handles ----

    @cython.cfunc
    def all_handles(self) -> Handles:
        """The table of handles, made when the first is needed."""
        if self.handles is None:
            self.handles = Handles()
        return self.handles

    def handle(self, thing: object) -> int:
        """The externref handle of a Python object; 0 for None."""
        if thing is None:
            return 0
        if self.closed:
            raise self.why_closed()
        handles: Handles = self.all_handles()
        used: cython.Py_ssize_t = handles.used
        found: object = handles.handle(thing, self.template.limits.handles)
        if handles.used > used and not self.quota.claim(HANDLE_BYTES):
            handles.drop(found)
            self.quota.check(HANDLE_BYTES, "a handle of a Python object")
        if self.handles.crowded() and not self.crowded:
            self.crowded = True
            self.attend()
        return found

    def object_of(self, handle: int) -> object:
        """The Python object behind an externref handle; None for 0."""
        return None if handle == 0 else self.all_handles().thing(handle)

    def add_root(self, holder: object) -> None:
        """A table or global that may hold handles: anything with ``held_handles()``."""
        self.all_handles().add_root(holder)

    def gc(self) -> int:
        """Let go of Python objects that no table or global holds; the number let go. Not while a call is inside."""
        if self.quota is None:
            raise self.why_closed()
        if self.exec.occupant != 0 or self.pinned:
            raise StoreBusy("handles are collected between calls only")
        self.collect_handles()
        return self.collect_handles()

    @cython.cfunc
    @cython.exceptval(check=False)
    def settle(self) -> cython.void:
        """Collect handles where there are many and nobody is inside."""
        if self.exec.occupant == 0 and self.crowded and self.pinned == 0:
            self.collect_handles()

    def collect_handles(self) -> object:
        """Free the handles that no root held at the last collection either; guest frames hold none between calls."""
        if self.quota is None:
            raise self.why_closed()
        handles: Handles = self.all_handles()
        dropped: list = handles.collect()
        gone: object = len(dropped)
        self.quota.give_back(HANDLE_BYTES * len(dropped))
        self.crowded = handles.crowded()
        self.attend()
        self.note(KIND_HANDLES_COLLECTED, gone, 0, 0)
        dropped.clear()  # finalisers run last, when the tables are consistent again
        return gone


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def poll_status(context: cython.pointer(ExecContext), in_machine_code: cython.bint) -> uint32_t:
    """The slow path of a poll: 0 to go on, or a trap kind. May release the GIL on behalf of machine code.

    Runs with or without the GIL: no Python object before ``regain_gil``.
    """
    block: cython.pointer(ThreadBlock) = current_block()
    bits: uint32_t
    store_64(cython.address(context.poll_limit), context.real_limit)
    fence()
    bits = and_32(cython.address(context.pending), STICKY | FORCED)
    if bits & PENDING_DEADLINE and not past_deadline(context):
        and_32(cython.address(context.pending), ~cython.cast(uint32_t, PENDING_DEADLINE))
        bits &= ~cython.cast(uint32_t, PENDING_DEADLINE)
    if bits & (STICKY | FORCED):
        store_64(cython.address(context.poll_limit), NEVER)
    if in_machine_code and context.saved_sp < context.real_limit:
        return TRAP_STACK_OVERFLOW
    if bits & PENDING_SIGNAL:
        return TRAP_HOST_EXCEPTION
    if bits & STICKY:
        regain_gil(block)
        mark_aborted(context)
        return TRAP_INTERRUPTED if bits & PENDING_INTERRUPT else TRAP_DEADLINE
    if bits & PENDING_TICK:
        return tick(context, block, in_machine_code)
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def past_deadline(context: cython.pointer(ExecContext)) -> cython.bint:
    """Whether the deadline is real: the ticker may have set the bit for a call that has just ended."""
    return context.deadline_ns != 0 and now_ns() >= context.deadline_ns


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def tick(
    context: cython.pointer(ExecContext), block: cython.pointer(ThreadBlock), in_machine_code: cython.bint
) -> uint32_t:
    """The call has run for a whole period: let Python do what is due, then run on without the GIL if that pays."""
    if block.tstate != cython.NULL:
        if not signals_are_due(block):
            return 0
        regain_gil(block)
    block.in_guest = 0
    if not python_is_quiet(context, block):
        return TRAP_HOST_EXCEPTION
    block.in_guest = in_machine_code
    if in_machine_code:
        release_if_it_pays(block)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def mark_aborted(context: cython.pointer(ExecContext)) -> cython.void:
    """The call ends midway: what it ran in may be inconsistent."""
    cython.cast(Store, context.store).aborted = True
    cython.cast(Store, context.store).attend()


@cython.cfunc
@cython.exceptval(check=False)
def python_is_quiet(context: cython.pointer(ExecContext), block: cython.pointer(ThreadBlock)) -> cython.bint:
    """Run what Python has to run. What that raises (KeyboardInterrupt) is kept for the end of the call."""
    store: Store = cython.cast(Store, context.store)
    saved_sp: uint64_t = context.saved_sp
    saved_fp: uint64_t = context.saved_fp
    try:
        let_python_run(block)
    except BaseException as error:
        store.in_flight = error
        store.aborted = True
        store.attend()
        return False
    finally:
        context.saved_sp = saved_sp
        context.saved_fp = saved_fp
    return True


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def poll_builtin(context: cython.pointer(ExecContext), vmctx: cython.p_void) -> uint32_t:
    """Builtin ``poll``."""
    return poll_status(context, True)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the guest may come back without the GIL
def run_guest(
    context: cython.pointer(ExecContext),
    block: cython.pointer(ThreadBlock),
    rec: cython.pointer(FuncRec),
    cells: cython.p_void,
) -> uint32_t:
    """Go to machine code and come back with the GIL; true after a trap."""
    trapped: uint32_t
    block.in_guest = 1
    trapped = cython.cast(array_entry_t, rec.array_entry)(rec, context, cells)
    regain_gil(block)
    block.in_guest = 0
    return trapped


@cython.cfunc
@cython.exceptval(-1, check=False)
def end_of_call(store: Store, entry: cython.pointer(Entry), trapped: uint32_t) -> cython.int:
    """Leave a call that did not simply return; raises what it ended with."""
    error: object = None
    try:
        if trapped:
            error = store.trap_error(entry)
        else:  # a limiter failed after the guest's last poll
            error = store.in_flight
            store.in_flight = None
            and_32(cython.address(store.exec.pending), ~cython.cast(uint32_t, PENDING_SIGNAL))
    finally:
        store.leave(entry)
    store.report(cython.cast(cython.pointer(FuncRec), entry.act.rec), error, entry.outermost)
    # Not by ``raise``, which would add a frame of ours to the traceback: no reader wants it, and it takes its time.
    PyErr_SetObject(type(error), error)
    return -1


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def end_entry(store: Store, entry: cython.pointer(Entry), trapped: uint32_t) -> cython.int:
    """Leave a call that came back from machine code: 0, or -1 with what it ended with set as the error."""
    if trapped or store.in_flight is not None:
        unlucky: end_of_call_t = end_of_call
        return cython.cast(raw_end_of_call_t, unlucky)(store, entry, trapped)
    store.leave(entry)
    if entry.outermost:
        if store.reported is not None:
            store.reported = None
            store.attend()
        if has_events(store):
            lucky: after_call_t = after_call
            return cython.cast(raw_after_call_t, lucky)(store)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def after_call(store: Store) -> cython.int:
    """Deliver what a call has recorded."""
    store.deliver()
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def end_machine_call(
    store: Store, rec: cython.pointer(FuncRec), entry: cython.pointer(Entry), trapped: uint32_t
) -> cython.int:
    """``end_entry`` for machine code that entered by itself: an outermost call on a thread that ran no other."""
    entry.act.prev = cython.NULL
    entry.act.prev_exec = cython.NULL
    entry.act.rec = rec
    entry.block = current_block()
    entry.prev_running = cython.NULL
    entry.prev_in_guest = 0
    entry.outermost = True
    return end_entry(store, entry, trapped)


@cython.cfunc
def run_entry(store: Store, rec: cython.pointer(FuncRec), cells: cython.p_void) -> cython.int:
    """Run a function through its array entry: arguments and results in ``cells``. Raises what the call ends with."""
    entry: Entry
    store.enter(cython.address(entry))
    entry.act.rec = rec
    trapped: uint32_t = run_guest(store.exec, entry.block, rec, cells)
    return end_entry(store, cython.address(entry), trapped)


builtin_table[BUILTIN_POLL] = cython.cast(cython.p_void, poll_builtin)
