# strata: hot
"""Builtins that act on instances: lazy compilation, the oracle, polls. Fills the builtin table."""

import cython
from cython.cimports.cpython.ref import Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import realloc
from cython.cimports.stratavm.base.budget import Budget
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_COUNT,
    BUILTIN_LAZY_COMPILE,
    BUILTIN_ORACLE_CALL,
    BUILTIN_POLL,
    N_BUILTINS,
    N_COUNTERS,
    PENDING_DEADLINE,
    PENDING_INTERRUPT,
    PENDING_SAMPLE,
    PENDING_SIGNAL,
    PENDING_TICK,
    STATUS_SUSPEND,
    TRAP_DEADLINE,
    TRAP_HOST_EXCEPTION,
    TRAP_INTERRUPTED,
    TRAP_STACK_OVERFLOW,
    Activation,
    ExecContext,
    FiberState,
    FuncRec,
    VMContext,
)
from cython.cimports.stratavm.contract.records import NO_RECORD, ordinal_of
from cython.cimports.stratavm.runtime.blueprint import Segments
from cython.cimports.stratavm.runtime.codemap import NO_FUNC, CodeRec, OsrEntry, find_code, find_position, read_words
from cython.cimports.stratavm.runtime.codetable import (
    NEVER_AGAIN,
    CodeTable,
    Tallies,
    Tally,
    has_better,
    is_due,
    next_put_off,
    span_of,
)
from cython.cimports.stratavm.runtime.exceptions import keep_raised
from cython.cimports.stratavm.runtime.func import LoneFunc, cell_widths, fill_cells, read_cells
from cython.cimports.stratavm.runtime.gil import leave_guest
from cython.cimports.stratavm.runtime.instance import Instance, is_old
from cython.cimports.stratavm.runtime.native import and_32, load_32, load_ptr, thread_cpu_ns
from cython.cimports.stratavm.runtime.occupancy import fiber_here
from cython.cimports.stratavm.runtime.store import Store, is_aborted, poll_status, set_aborted
from cython.cimports.stratavm.runtime.template import builtin_table
from cython.cimports.stratavm.runtime.threads import ThreadBlock, count_poll, current_block

from stratavm.base.budget import Stopped
from stratavm.base.errors import DeadlineExceeded, Interrupted, StrataError
from stratavm.contract.builtins import BUILTINS
from stratavm.contract.builtins import LAZY_AGAIN as LAZY_AGAIN_BIT
from stratavm.contract.builtins import LAZY_WAIT as LAZY_WAIT_BIT

NO_PLACE = cython.declare(uint32_t, 0xFFFFFFFF)  # of ``find_position``
JITTER_FACTOR = cython.declare(uint32_t, 1664525)
JITTER_STEP = cython.declare(uint32_t, 1013904223)
LAZY_WAIT = cython.declare(uint32_t, LAZY_WAIT_BIT)
LAZY_AGAIN = cython.declare(uint32_t, LAZY_AGAIN_BIT)


# ---- host builtins: between `leave_guest` and `in_guest = 1` the thread is in the host and holds the GIL ----


@cython.cfunc
def instance_of(vm: cython.pointer(VMContext)) -> object:
    """The Instance behind a context."""
    return cython.cast(object, cython.cast(cython.pointer(PyObject), vm.instance))


@cython.cfunc
def in_budget(context: cython.pointer(ExecContext), question: object, values: tuple) -> object:
    """Ask the tier, while what is pending for this call does not end the compilation. Stopped if it does."""
    budget: Budget = Budget.__new__(Budget)
    budget.quota.asked = cython.address(context.pending)
    budget.quota.mask = PENDING_INTERRUPT | PENDING_DEADLINE | PENDING_SIGNAL
    budget.begin()
    try:
        return question(*values)
    finally:
        budget.end()


@cython.cfunc
def ask_compiler(
    context: cython.pointer(ExecContext), instance: Instance, index: uint64_t, briefly: cython.bint
) -> object:
    """A function's code from the tier; 0 where that shall be brief, and cannot."""
    values: tuple = (index,)
    if briefly:
        values = (index, True)
    address: object = in_budget(context, instance.compiler, values)
    if not address and not briefly:
        raise ValueError(f"the tier has no code for function {index}")
    return address


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def code_below(act: cython.pointer(Activation)) -> cython.pointer(CodeRec):
    """The code that called the stub that called the builtin at hand; NULL if it is none of ours."""
    stub_frame: uint64_t = cython.cast(cython.pointer(uint64_t), act.exit_sp)[0]
    return find_code(cython.cast(cython.pointer(uint64_t), stub_frame)[1])


@cython.cfunc
@cython.exceptval(check=False)
def has_begun(act: cython.pointer(Activation)) -> cython.bint:
    """Whether guest code has run in the call that met a stub: it has where guest code called the stub."""
    rec: cython.pointer(CodeRec) = code_below(act)
    return rec == cython.NULL or rec.func != NO_FUNC


@cython.cfunc
@cython.exceptval(check=False)
def compile_function(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), index: uint64_t, briefly: cython.bint
) -> uint64_t:
    """Ask the tier for a function's code; 0 with an exception kept, or a trap noted, if there is none, and where the
    guest shall wait for it."""
    instance: Instance = instance_of(vm)
    store: Store = instance.store
    address: uint64_t = 0
    aborted: cython.bint = is_aborted(store)
    context.trap_code = 0
    while address == 0 and context.trap_code == 0:
        try:
            address = ask_compiler(context, instance, index, briefly)
            if address == 0:
                context.trap_code = STATUS_SUSPEND
                return 0
        except Stopped:  # 0 where the deadline was that of a call before
            context.trap_code = poll_status(context, False)
        except BaseException as error:
            store.in_flight = error
            set_aborted(store, not isinstance(error, StrataError))  # a signal's handler raised it
            context.trap_code = TRAP_HOST_EXCEPTION
    if address == 0:
        set_aborted(store, aborted or (is_aborted(store) and has_begun(context.activation)))
    else:  # another version's, if there is one by now
        address = cython.cast(uint64_t, load_ptr(cython.address(vm.slots[index])))
        renew_lone(instance, index, address)
    return address


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def lazy_compile(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), index: uint64_t) -> uint64_t:
    """Builtin ``lazy_compile``: the FuncRec, which may be how the caller came to the stub, gets the code as well.

    A guest on a fiber waits for code that takes long: the stub calls this a second time for that, by the gate of
    statuses, and then anew.
    """
    block: cython.pointer(ThreadBlock)
    asked: uint32_t = cython.cast(uint32_t, index)
    at: uint32_t = asked & ~cython.cast(uint32_t, LAZY_WAIT | LAZY_AGAIN)
    if asked & LAZY_WAIT:
        return wait_for_code(context, vm, at)
    rec: cython.pointer(FuncRec) = record_of(vm, at)
    code: cython.p_void = load_ptr(cython.address(vm.slots[at]))
    address: uint64_t = cython.cast(uint64_t, code)
    if rec == cython.NULL or code == rec.code:  # else another instance, or a call by the slot, had it compiled
        block = current_block()
        leave_guest(block)
        address = compile_function(context, vm, at, not asked & LAZY_AGAIN and fiber_here(context) != cython.NULL)
        block.in_guest = 1
    if rec != cython.NULL:
        rec.code = load_ptr(cython.address(vm.slots[at]))
    return address


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def wait_for_code(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), index: uint32_t) -> uint32_t:
    """Suspend the guest until a function is compiled."""
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    status: uint32_t = request_code(context, vm, index)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.exceptval(check=False)
def request_code(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), index: uint32_t) -> uint32_t:
    """``wait_for_code`` with the GIL."""
    instance: Instance = instance_of(vm)
    store: Store = instance.store
    try:
        suspend_for(context, store.runtime.asynchronous().compiled(instance.compiler, index))
    except BaseException as error:
        store.in_flight = error
        return TRAP_HOST_EXCEPTION
    return STATUS_SUSPEND


def suspend_for(context, request):
    """The guest, which is on a fiber, waits for something that is no host function."""
    state: cython.pointer(FiberState) = fiber_here(context)
    Py_INCREF(request)
    state.request = cython.cast(cython.p_void, request)
    state.host = cython.NULL


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.linetrace(False)
def record_of(vm: cython.pointer(VMContext), index: uint32_t) -> cython.pointer(FuncRec):
    """The FuncRec of a function in its instance, by defined index; NULL where it has none there."""
    known: cython.pointer(Segments) = cython.cast(cython.pointer(Segments), vm.segments)
    ordinal: uint32_t = ordinal_of(known.recorded, known.n_recorded, known.n_imported_funcs + index)
    return cython.NULL if ordinal == NO_RECORD else cython.address(vm.func_recs[ordinal])


# ---- functions that count their calls: see ``CodeTable.count_calls`` ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def tallies_of(vm: cython.pointer(VMContext)) -> cython.pointer(Tallies):
    """Where the functions of an instance's module are counted; NULL where they are not."""
    table: cython.p_void = cython.cast(Instance, vm.instance).table
    if table == cython.NULL or cython.cast(CodeTable, table).tallies.of == cython.NULL:
        return cython.NULL
    return cython.address(cython.cast(CodeTable, table).tallies)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # guests may run without the GIL, here and below
def count(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), index: uint64_t) -> uint32_t:
    """Builtin ``count``: calls since a word began go to the function that is entered, a fair sample, and the word
    begins anew, with a number that no pattern of calls has."""
    at: uint32_t = cython.cast(uint32_t, index)
    word: uint32_t = at % N_COUNTERS
    calls: uint32_t
    tallies: cython.pointer(Tallies) = tallies_of(vm)
    if tallies == cython.NULL:
        return 0
    calls = span_of(tallies.period, context.spans[word]) + 1
    context.jitter = context.jitter * JITTER_FACTOR + JITTER_STEP
    context.spans[word] = cython.cast(uint8_t, context.jitter >> 24)
    context.counters[word] = span_of(tallies.period, context.spans[word])
    return note_use(context, vm, tallies, at, calls, 0)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def note_poll(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), found: uint32_t) -> uint32_t:
    """A poll is asked for: by what ``found`` the guest (bits of ``pending``: a tick, or a sample of a shorter call), or
    for tests. If it is in code of level 0, that function runs much; and at a tick its loop may go on in better code."""
    tallies: cython.pointer(Tallies) = tallies_of(vm)
    rec: cython.pointer(CodeRec)
    status: uint32_t = 0
    if tallies == cython.NULL or not (tallies.polls or (found and tallies.ticks)):
        return 0
    if found:
        status = ask_lifter(context, vm, tallies, next_put_off(tallies, True))
    if status:
        return status
    rec = code_below(context.activation)
    if rec == cython.NULL or rec.func == NO_FUNC or rec.level or is_old(vm, rec):
        return 0
    index: uint32_t = rec.func - cython.cast(cython.pointer(Segments), vm.segments).n_imported_funcs
    if found and tallies.ticks:
        status = note_use(context, vm, tallies, index, 0, 1)
    if status == 0 and wants_entry(
        context,
        vm,
        rec,
        tallies.polls
        or (
            found & PENDING_TICK
            and has_better(cython.address(tallies.of[index]), load_ptr(cython.address(vm.slots[index])))
        ),
    ):
        block: cython.pointer(ThreadBlock) = current_block()
        leave_guest(block)
        status = ask_loop_lifter(context, vm, index)
        block.in_guest = 1
    return status


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def return_of_poll(context: cython.pointer(ExecContext)) -> uint64_t:
    """Where the poll at hand returns to."""
    stub_frame: uint64_t = cython.cast(cython.pointer(uint64_t), context.activation.exit_sp)[0]
    return cython.cast(cython.pointer(uint64_t), stub_frame)[1]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def entry_at(vm: cython.pointer(VMContext), pc: uint64_t) -> cython.pointer(OsrEntry):
    """The code for who polls in a loop, or NULL: nobody has asked for it."""
    table: cython.p_void = cython.cast(Instance, vm.instance).table
    return cython.cast(CodeTable, table).entry_at(pc)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def wants_entry(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    rec: cython.pointer(CodeRec),
    due: cython.bint,
) -> cython.bint:
    """Whether the tier is to be asked for code in which the function that polls can go on: once for each loop. A
    prologue's poll has no position."""
    pc: uint64_t = return_of_poll(context)
    return due and find_position(rec, pc - 1) != NO_PLACE and entry_at(vm, pc) == cython.NULL


@cython.cfunc
@cython.exceptval(check=False)
def ask_loop_lifter(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), index: uint64_t) -> uint32_t:
    """Ask the tier for the entry of a loop. 0, or why the call ends."""
    instance: Instance = instance_of(vm)
    if instance.loop_lifter is None:
        return 0
    try:
        in_budget(context, instance.loop_lifter, (index, return_of_poll(context)))
    except Stopped:  # the next poll ends the call, if it is to end
        return 0
    except BaseException as error:  # a signal's handler raised it
        instance.store.in_flight = error
        set_aborted(instance.store, True)
        return TRAP_HOST_EXCEPTION
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def leave_loop(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext)) -> cython.bint:
    """Have the poll at hand go on in better code, if its loop has some and the stack has room for that."""
    tallies: cython.pointer(Tallies) = tallies_of(vm)
    entry: cython.pointer(OsrEntry)
    words: cython.p_void
    if tallies == cython.NULL:
        return False
    entry = entry_at(vm, return_of_poll(context))
    if entry == cython.NULL or entry.code == 0:
        return False
    entry.polls += 1
    if tallies.polls and entry.polls % tallies.polls:
        return False
    stub_frame: uint64_t = cython.cast(cython.pointer(uint64_t), context.activation.exit_sp)[0]
    guest_frame: uint64_t = cython.cast(cython.pointer(uint64_t), stub_frame)[0]
    if guest_frame < context.real_limit + entry.frame_bytes:
        return False
    words = realloc(context.osr_values, 8 * cython.cast(cython.size_t, entry.n) + 8)
    if words == cython.NULL:
        return False
    context.osr_values = words
    read_words(entry, stub_frame, cython.cast(cython.pointer(uint64_t), words))
    context.osr_code = cython.cast(cython.p_void, entry.code)
    if entry.left_ns == 0:
        entry.left_ns = thread_cpu_ns()
    return True


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def note_use(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    tallies: cython.pointer(Tallies),
    at: uint32_t,
    calls: uint32_t,
    ticks: uint32_t,
) -> uint32_t:
    """Add to a function's tally; ask the tier where that is due, or show better code that there is to whoever came by
    an old address. 0, or why the call ends."""
    tally: cython.pointer(Tally) = cython.address(tallies.of[at])
    status: uint32_t = 0
    tally.calls = min(tally.calls, NEVER_AGAIN - 1 - calls) + calls
    tally.ticks += ticks
    if has_better(tally, load_ptr(cython.address(vm.slots[at]))):
        renew(vm, at)
        return 0
    if not is_due(tallies, at, ticks):
        return 0
    status = ask_lifter(context, vm, tallies, at)
    if has_better(tally, load_ptr(cython.address(vm.slots[at]))):
        renew(vm, at)
    return status


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def renew(vm: cython.pointer(VMContext), at: uint32_t) -> cython.void:
    """A FuncRec, by which somebody has come to code of level 0 though there is better, gets that."""
    rec: cython.pointer(FuncRec) = record_of(vm, at)
    if rec != cython.NULL:
        rec.code = load_ptr(cython.address(vm.slots[at]))
        if cython.cast(Instance, vm.instance).common == cython.NULL:
            return
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    renew_lone(instance_of(vm), at, cython.cast(uint64_t, load_ptr(cython.address(vm.slots[at]))))
    block.in_guest = 1


@cython.cfunc
@cython.exceptval(check=False)
def renew_lone(instance: Instance, index: uint64_t, address: uint64_t) -> cython.void:
    """The same for a FuncRec that an object of the host has."""
    if instance.lone is not None and instance.n_imported_funcs + index in instance.lone:
        lone: LoneFunc = instance.lone[instance.n_imported_funcs + index]
        lone.own_rec.code = cython.cast(cython.p_void, address)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def ask_lifter(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), tallies: cython.pointer(Tallies), at: uint32_t
) -> uint32_t:
    """Ask the tier about a function that runs much, and about those that were put off; none: NO_FUNC. 0, or why the
    call ends."""
    block: cython.pointer(ThreadBlock) = current_block()
    status: uint32_t = 0
    while at != NO_FUNC and status == 0:
        if not has_better(cython.address(tallies.of[at]), load_ptr(cython.address(vm.slots[at]))):
            leave_guest(block)
            status = ask_about(context, instance_of(vm), cython.address(tallies.of[at]), at)
            block.in_guest = 1
        at = next_put_off(tallies, False)
    return status


@cython.cfunc
@cython.exceptval(check=False)
def ask_about(
    context: cython.pointer(ExecContext), instance: Instance, tally: cython.pointer(Tally), index: uint64_t
) -> uint32_t:
    """Ask the tier what to do with a function. 0, or why the call ends."""
    if instance.lifter is None:
        tally.ask_at = NEVER_AGAIN
        return 0
    try:
        tally.ask_at = in_budget(context, instance.lifter, (index, tally.calls, tally.ticks))
    except Stopped:  # the next poll ends the call, if it is to end
        return 0
    except BaseException as error:  # a signal's handler raised it
        instance.store.in_flight = error
        set_aborted(instance.store, True)
        return TRAP_HOST_EXCEPTION
    return 0


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def poll(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), lowest: uint64_t) -> uint32_t:
    """Builtin ``poll``: the stack may have run out, whatever else is pending."""
    status: uint32_t = 0
    if lowest < context.real_limit:
        return TRAP_STACK_OVERFLOW
    found: uint32_t = load_32(cython.address(context.pending)) & (PENDING_TICK | PENDING_SAMPLE)
    if fiber_here(context) != cython.NULL and count_poll(current_block()):
        found |= PENDING_TICK
    status = note_poll(context, vm, found)
    # What is pending waits for the next poll then, which is the first thing in that code.
    if status or leave_loop(context, vm):
        return status
    if found & PENDING_TICK and fiber_here(context) != cython.NULL:
        return poll_on_fiber(context)
    return poll_status(context, True)


@cython.linetrace(False)
def poll_on_fiber(context):
    """The poll of a guest that is suspended at ticks."""
    state: cython.pointer(FiberState) = fiber_here(context)
    status: uint32_t
    and_32(cython.address(context.pending), ~cython.cast(uint32_t, PENDING_TICK))
    status = poll_status(context, True)
    if status:
        return status
    state.host = cython.NULL
    return STATUS_SUSPEND


@cython.cfunc
@cython.exceptval(check=False)
def prepare_oracle(context: cython.pointer(ExecContext), instance: Instance, index: uint64_t) -> uint32_t:
    """Bind a function at its first call. 0, or why the call ends, which leaves nothing midway where no guest called."""
    store: Store = instance.store
    aborted: cython.bint = is_aborted(store)
    status: uint32_t = 0
    try:
        instance.program().prepare(index)
    except Interrupted:
        status = TRAP_INTERRUPTED
    except DeadlineExceeded:
        status = TRAP_DEADLINE
    except BaseException as error:
        store.in_flight = error
        status = TRAP_HOST_EXCEPTION
    if status:
        set_aborted(store, aborted or (is_aborted(store) and has_begun(context.activation)))
    return status


@cython.cfunc
@cython.exceptval(check=False)
def run_oracle(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    index: uint64_t,
    cells: cython.pointer(uint64_t),
) -> uint32_t:
    """Run a defined function on the oracle, with arguments and results in cells."""
    instance: Instance = instance_of(vm)
    store: Store = instance.store
    status: uint32_t = prepare_oracle(context, instance, index)
    if status:
        return status
    try:
        type: object = instance.model.func_type(instance.n_imported_funcs + index)
        args: list = read_cells(cells, cell_widths(type.params))
        results: list = instance.program().call(index, args)
        fill_cells(store, cells, results, cell_widths(type.results), type.results)
        if store.objects is not None:
            store.objects.unshow(results)
    except BaseException as error:
        status = keep_raised(store, error)
    return status


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def oracle_call(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    index: uint64_t,
    cells: cython.pointer(uint64_t),
) -> uint32_t:
    """Builtin ``oracle_call``."""
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    status: uint32_t = run_oracle(context, vm, cython.cast(uint32_t, index), cells)
    block.in_guest = 1
    return status


def check() -> None:
    """Raise RuntimeError unless every declared builtin has an implementation."""
    missing: list = [BUILTINS[i].name for i in range(N_BUILTINS) if builtin_table[i] == cython.NULL]
    if missing or len(BUILTINS) != N_BUILTINS:
        raise RuntimeError(f"builtins without an implementation: {missing}")


builtin_table[BUILTIN_POLL] = cython.cast(cython.p_void, poll)
builtin_table[BUILTIN_COUNT] = cython.cast(cython.p_void, count)
builtin_table[BUILTIN_LAZY_COMPILE] = cython.cast(cython.p_void, lazy_compile)
builtin_table[BUILTIN_ORACLE_CALL] = cython.cast(cython.p_void, oracle_call)
