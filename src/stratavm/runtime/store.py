"""The store: how a call in it ends, what its polls do, and its life."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.contract._gen_layout import (
    ATTENTION_ABORTED,
    ATTENTION_CLOSED,
    ATTENTION_REPORTED,
    N_TRAPS,
    PENDING_DEADLINE,
    PENDING_INTERRUPT,
    PENDING_SIGNAL,
    PENDING_SWAP,
    PENDING_TICK,
    PENDING_TURN,
    STATUS_SUSPEND,
    STATUS_THROW,
    TRAP_DEADLINE,
    TRAP_HOST_EXCEPTION,
    TRAP_INTERRUPTED,
    TRAP_OUT_OF_FUEL,
    TRAP_STACK_OVERFLOW,
    ExecContext,
    FuncRec,
)
from cython.cimports.stratavm.runtime import gil
from cython.cimports.stratavm.runtime.gil import (
    give_turn,
    let_python_run,
    regain_gil,
    release_if_it_pays,
    signals_are_due,
)
from cython.cimports.stratavm.runtime.kinds import KIND_STORE_CLOSED, RUNTIME_KINDS
from cython.cimports.stratavm.runtime.native import and_32, array_entry_t, fence, load_32, now_ns, store_64
from cython.cimports.stratavm.runtime.occupancy import (
    FORCED,
    NEVER,
    PARKED,
    Entry,
    deliver_events,
    fiber_here,
    has_events,
    is_closed,
    mark,
    request,
    stands,
)
from cython.cimports.stratavm.runtime.python import PyErr_SetObject
from cython.cimports.stratavm.runtime.residents import Residence
from cython.cimports.stratavm.runtime.template import StoreTemplate
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block
from cython.cimports.stratavm.runtime.trapped import fault_detail, found_type, guest_frames, poison, poison_between

from stratavm.base.errors import (
    TRAP_KINDS,
    DeadlineExceeded,
    ExitError,
    Interrupted,
    OutOfFuel,
    StackOverflow,
    StoreBusy,
    StrataError,
    Trap,
    note_frames,
    trap_of,
)
from stratavm.runtime.gil import answer

STICKY = cython.declare(uint32_t, PENDING_INTERRUPT | PENDING_DEADLINE)
ABANDONS = (Interrupted, DeadlineExceeded)  # what ends calls midway
_ERRORS = {
    TRAP_STACK_OVERFLOW: StackOverflow,
    TRAP_INTERRUPTED: Interrupted,
    TRAP_DEADLINE: DeadlineExceeded,
    TRAP_OUT_OF_FUEL: OutOfFuel,
}
_REFUSED = {STATUS_SUSPEND: "asked to suspend it", STATUS_THROW: "threw an exception of WebAssembly"}


@cython.cclass
class Store(Residence):
    """A world of instances that can see each other, occupied by one thread at a time.

    ``on_abort="keep"`` leaves instances usable after an interrupt or a deadline; the default poisons them. Everything
    made in a store lives until the store is closed or unreachable.
    """

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

    def begin(self, template, thread_bound, on_abort):
        """Become a store of a kind. ValueError for a wrong ``on_abort``."""
        if self.template is not None:
            raise TypeError("a store is initialised once")
        if on_abort != "poison" and on_abort != "keep":
            raise ValueError(f"on_abort={on_abort!r}: expected 'poison' or 'keep'")
        self.keep_on_abort = on_abort == "keep"
        self.begin_residence(template)
        if template.bus is not None:
            self.source = template.bus.source("store")
            self.ring = template.bus.ring
            memcpy(self.kinds, template.kinds, RUNTIME_KINDS)
        return self.begin_occupancy(cython.address(template.exec), thread_bound, template.stack_bytes)

    # ---- how a call ends ----

    def trap_error(self, entry):
        """The exception for an activation that ended with a trap."""
        kind: uint32_t = entry.act.trap_kind
        found: uint32_t = found_type(cython.address(entry.act))
        error: object = self.in_flight
        self.in_flight = None
        self.exec.exception = cython.NULL
        # The guest may have trapped before it met what a limiter raised: the callers of this call have no part in it.
        and_32(cython.address(self.exec.pending), ~cython.cast(uint32_t, PENDING_SIGNAL))
        if kind == STATUS_THROW and error is None and self.thrown is not None:  # a guest threw it
            error = self.thrown.error() if self.thrown_error is None else self.thrown_error
            self.thrown_error = None
        # It ended a call in another store, and this one with it; or nobody knows what the call has left midway.
        if isinstance(error, ABANDONS) or (kind >= N_TRAPS and (kind != STATUS_THROW or error is None)):
            mark(self.exec, ATTENTION_ABORTED, True)
        if stands(self.exec, ATTENTION_ABORTED):
            self.poison_all(entry)
        if entry.outermost:
            mark(self.exec, ATTENTION_ABORTED, False)
        frames: object = guest_frames(cython.address(entry.act))
        if error is not None:
            if frames != () and not isinstance(error, ExitError):
                note_frames(error, frames, entry.outermost)
            return error
        if kind == TRAP_OUT_OF_FUEL:
            return trap_of(self.out_of_fuel(frames), entry.outermost)
        if kind in _ERRORS:
            return trap_of(_ERRORS[kind](frames), entry.outermost)
        if 0 < kind < len(TRAP_KINDS):
            detail: str = fault_detail(cython.address(entry.act), found)
            return trap_of(Trap(TRAP_KINDS[kind].name, frames, detail), entry.outermost)
        what: str = _REFUSED.get(kind, "returned what is no kind of trap")
        error = StrataError(f"a bug in stratavm: a builtin that a guest called {what} (status {kind:#x})")
        note_frames(error, frames, entry.outermost)
        return error

    def poison_all(self, entry):
        """Poison the instances of a call that was abandoned midway, unless they are to be kept."""
        if not self.keep_on_abort:
            poison(cython.cast(cython.p_void, cython.cast(cython.pointer(FuncRec), entry.act.rec).vmctx))
            poison(entry.act.vmctx)
            poison_between(self.instances, cython.address(entry.act))
        return 0

    def fail(self, error: BaseException) -> None:
        """Keep ``error``: the running guest is left with it at its next poll, and it comes out of the call
        unchanged."""
        self.in_flight = error
        self.exec.exception = cython.cast(cython.p_void, error)
        request(self.exec, PENDING_SIGNAL)

    def report(self, rec, error, outermost):
        """Tell the engine that a call ended with this error; once, though it passes through several calls."""
        is_new: cython.bint = error is not self.reported
        remember_report(self, None if outermost else error)
        if is_new and self.reporter is not None:
            # It may be closed by now, by who collects handles behind the call.
            what: object = "" if rec == cython.NULL or is_closed(self) else self.function_at(cython.cast(uint64_t, rec))
            self.reporter(self.source, what, error)
        elif outermost:
            deliver_events(self)
        return 0

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

    def tell(self, what: str, error: BaseException) -> None:
        """Tell the engine that an operation of the host ended with this error, which goes on."""
        if self.reporter is not None:
            self.reporter(self.source, what, error)

    # ---- life ----

    def close(self) -> None:
        """Let everything go; objects of the store raise ``Closed`` from then on.

        An asynchronous call that waits for the host is abandoned: it ends with ``Closed``.

        Raises:
            StoreBusy: a call is inside.
        """
        self.shut()
        deliver_events(self)

    def __enter__(self):
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.shut()
        deliver_events(self)

    def __repr__(self) -> str:
        return f"<Store {'closed' if is_closed(self) else 'busy' if self.exec.occupant else 'idle'}>"

    def shut(self):
        """``close`` for compiled callers."""
        ended: list = []
        if self.exec.occupant != 0 and not self.exec.occupant & PARKED:  # before anything of it ends
            raise StoreBusy("a store cannot be closed while a call is inside")
        while self.parked is not None:  # one, and those in whose host functions it was called
            ended.append(self.parked)
            self.parked.close()
        if self.exec.occupant != 0:
            raise StoreBusy("a store cannot be closed while a call is inside")
        if not is_closed(self):
            self.note(KIND_STORE_CLOSED, 0, 0, 0)
        mark(self.exec, ATTENTION_CLOSED, True)
        self.let_all_go()
        for fiber in ended:  # last: other threads run meanwhile
            fiber.wake(0)
        return 0


def remember_report(store, error):
    """The error that the reporter saw last, until the outermost call has ended; or None."""
    store.reported = error
    mark(store.exec, ATTENTION_REPORTED, error is not None)


@cython.linetrace(False)
def poll_status(context, in_machine_code):
    """The slow path of a poll: 0 to go on, or a trap kind. May release the GIL on behalf of machine code.

    Runs with or without the GIL: no Python object before ``regain_gil``.
    """
    block: cython.pointer(ThreadBlock) = current_block()
    bits: uint32_t
    forced: uint32_t = PENDING_SWAP if block.polls_per_tick else FORCED
    store_64(cython.address(context.poll_limit), context.real_limit)
    fence()
    bits = and_32(cython.address(context.pending), STICKY | forced)
    if bits & PENDING_DEADLINE and not past_deadline(context):
        and_32(cython.address(context.pending), ~cython.cast(uint32_t, PENDING_DEADLINE))
        bits &= ~cython.cast(uint32_t, PENDING_DEADLINE)
    if bits & (STICKY | forced):
        store_64(cython.address(context.poll_limit), NEVER)
    if bits & PENDING_SIGNAL:
        return TRAP_HOST_EXCEPTION
    if bits & STICKY:
        regain_gil(block)
        mark(context, ATTENTION_ABORTED, True)  # the call ends midway: what it ran in may be inconsistent
        return TRAP_INTERRUPTED if bits & PENDING_INTERRUPT else TRAP_DEADLINE
    if bits & PENDING_TICK:
        return tick(context, block, in_machine_code)
    if bits & PENDING_TURN and in_machine_code and fiber_here(context) == cython.NULL:
        give_turn(block)
    return 0


def past_deadline(context):
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
        if not (gil.asked or signals_are_due(block)):
            return 0
        regain_gil(block)
    block.in_guest = 0
    if not python_is_quiet(context, block):
        return TRAP_HOST_EXCEPTION
    block.in_guest = in_machine_code
    if fiber_here(context) != cython.NULL:  # in a bulk operation, where it cannot be suspended: at its next poll
        request(context, PENDING_TICK)
    elif in_machine_code:
        release_if_it_pays(block)
    return 0


def python_is_quiet(context, block):
    """Run what Python has to run. What that raises (KeyboardInterrupt) is kept for the end of the call."""
    store: Store = cython.cast(Store, context.store)
    try:
        let_python_run(block)
        if gil.asked:
            answer(cython.cast(uint64_t, context))
    except BaseException as error:
        store.in_flight = error
        mark(context, ATTENTION_ABORTED, True)
        return False
    return True


def begins_late(context, entry):
    """Whether a call that was entered ends before it begins, with a kind of trap, since its deadline has passed: the
    function may be one that never polls. What called it from a guest is left midway."""
    if not load_32(cython.address(context.pending)) & PENDING_DEADLINE or not past_deadline(context):
        return 0
    entry.act.trap_kind = TRAP_DEADLINE
    if not entry.outermost:
        mark(context, ATTENTION_ABORTED, True)
    return TRAP_DEADLINE


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the guest may come back without the GIL
def run_guest(
    context: cython.pointer(ExecContext),
    block: cython.pointer(ThreadBlock),
    rec: cython.pointer(FuncRec),
    array_entry: cython.p_void,
    cells: cython.p_void,
) -> uint32_t:
    """Go to machine code and come back with the GIL; true after a trap."""
    trapped: uint32_t
    block.in_guest = 1
    trapped = cython.cast(array_entry_t, array_entry)(rec, context, cells)
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
        if stands(store.exec, ATTENTION_REPORTED):
            remember_report(store, None)
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


def end_machine_call(store, rec, entry, trapped):
    """``end_entry`` for machine code that entered by itself: an outermost call on a thread that ran no other."""
    entry.act.prev = cython.NULL
    entry.act.prev_exec = cython.NULL
    entry.act.rec = rec
    entry.block = current_block()
    entry.prev_running = cython.NULL
    entry.prev_in_guest = 0
    entry.outermost = True
    return end_entry(store, entry, trapped)


def end_fiber_call(store, entry, trapped):
    """``end_entry`` for a call that ran on a fiber."""
    return end_entry(store, entry, trapped)


def run_entry(store, rec, array_entry, cells):
    """Run a function through its type's array entry: arguments and results in ``cells``. Raises what the call ends
    with."""
    entry: Entry
    store.enter(cython.address(entry))
    entry.act.rec = rec
    trapped: uint32_t = begins_late(store.exec, cython.address(entry))
    if not trapped:
        trapped = run_guest(store.exec, entry.block, rec, array_entry, cells)
    return end_entry(store, cython.address(entry), trapped)
