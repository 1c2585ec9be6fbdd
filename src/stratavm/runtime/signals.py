# cython: linetrace=False
# strata: hot
"""The fault handlers: a fault of guest code becomes a trap of the innermost activation; every other one is
handed on. Keeps them in front of who comes later."""

# Why: docs/ideas/traps.md. The handler runs on the alternate stack, takes no lock, allocates
# nothing and touches no Python object.
import cython
from cython.cimports.libc.signal import SIG_DFL, SIG_IGN, SIGBUS, SIGFPE, SIGILL, SIGSEGV
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.posix.signal import (
    SA_ONSTACK,
    SA_SIGINFO,
    sigaction,
    sigaction_t,
    sigemptyset,
    siginfo_t,
    sigset_t,
)
from cython.cimports.stratavm.contract._gen_layout import (
    MAX_TRAP_FRAMES,
    NO_FRAME,
    TRAP_ARRAY_OUT_OF_BOUNDS,
    TRAP_CAST_FAILURE,
    TRAP_DYNAMIC,
    TRAP_OUT_OF_FUEL,
    Activation,
    ExecContext,
)
from cython.cimports.stratavm.runtime.codemap import CodeRec, TrapEntry, find_code, find_trap
from cython.cimports.stratavm.runtime.native import (
    SI_TKILL,
    getpid,
    gettid,
    handler1_t,
    handler3_t,
    now_ns,
    raise_signal,
    sigismember,
    sigpending,
    uc_fp,
    uc_go,
    uc_pc,
    uc_sp,
    uc_vmctx,
)
from cython.cimports.stratavm.runtime.pot import refill
from cython.cimports.stratavm.runtime.registers import uc_register
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block, tend

from stratavm.contract.layout import (
    HELD_ABOVE_SP,
    HELD_BELOW_FP,
    HELD_MOST,
    HELD_REGISTER,
    HELD_SECOND,
    HELD_SHIFT,
    KIND_BITS,
)
from stratavm.runtime.takeover import follow

KIND = cython.declare(uint32_t, KIND_BITS)
HELD = cython.declare(uint32_t, HELD_SHIFT)
REGISTER = cython.declare(uint32_t, HELD_REGISTER)
ABOVE_SP = cython.declare(uint32_t, HELD_ABOVE_SP)
BELOW_FP = cython.declare(uint32_t, HELD_BELOW_FP)
SECOND = cython.declare(uint32_t, HELD_SECOND)
PLACES = cython.declare(uint32_t, HELD_MOST << 2 | 3)
NOT_TOLD = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)  # no reference has these bits
HALT_BYTES = cython.declare(cython.int, 1)  # of an explicit trap
LOOK_NS = cython.declare(uint64_t, 1_000_000)  # between two looks at all four by new stores
REPLACED = cython.declare(cython.int, 1)
REFUSED = cython.declare(cython.int, 2)
first_actions = cython.declare(sigaction_t[32])  # what was there before us
old_actions = cython.declare(sigaction_t[32])  # what a fault that is not ours goes to: the first, or who came later
was_installed = cython.declare(cython.int[32])
handing = cython.declare(cython.int[32])  # by signal: the thread that is handing it on
installs = cython.declare(uint32_t, 0)
looked_ns = cython.declare(uint64_t, 0)


def walk_frames(act, fp, sp, bare):
    """Follow the frame-pointer chain from the trap up to the entry stub, noting return addresses. ``bare``: who trapped
    has no frame."""
    n: uint32_t = 0
    low: uint64_t = sp
    if bare:
        act.frames[0] = cython.cast(cython.pointer(uint64_t), sp)[0]
        n = 1
        low = sp + 8
    # Every guest frame lies between the trap's SP and the entry stub's, so each read below is of live stack.
    while n < MAX_TRAP_FRAMES and low <= fp and fp + 16 <= act.entry_sp and fp & 7 == 0:
        act.frames[n] = cython.cast(cython.pointer(uint64_t), fp)[1]
        n += 1
        low = fp + 16
        fp = cython.cast(cython.pointer(uint64_t), fp)[0]
    act.n_frames = n


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def held(where: uint32_t, uc: cython.p_void) -> uint64_t:
    """What a trap is about, where its entry says so: a place, and its number above it."""
    place: uint32_t = where & 3
    number: uint64_t = where >> 2
    if place == REGISTER:
        return uc_register(uc, cython.cast(uint32_t, number))
    if place == ABOVE_SP:
        return cython.cast(cython.pointer(uint64_t), uc_sp(uc) + 8 * number)[0]
    if place == BELOW_FP:
        return cython.cast(cython.pointer(uint64_t), uc_fp(uc) - 8 * number)[0]
    return NOT_TOLD


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def outside(kind: uint32_t, uc: cython.p_void) -> uint64_t:
    """The index of an access outside of an array, and the length above it, where the entry says where they are: the
    code has just compared the two."""
    index: uint64_t = held(kind >> HELD & ((1 << SECOND) - 1), uc)
    array: uint64_t = held(kind >> (HELD + SECOND) & ((1 << SECOND) - 1), uc)
    if array == NOT_TOLD:
        return NOT_TOLD
    return cython.cast(uint32_t, index) | cython.cast(uint64_t, cython.cast(cython.pointer(uint32_t), array)[1]) << 32


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def trap_here(block: cython.pointer(ThreadBlock), info: cython.pointer(siginfo_t), uc: cython.p_void) -> cython.bint:
    """Turn a fault at a trap-table entry into a trap; False if this one is not ours."""
    act: cython.pointer(Activation) = block.activation
    context: cython.pointer(ExecContext)
    rec: cython.pointer(CodeRec) = find_code(uc_pc(uc))
    if act == cython.NULL or rec == cython.NULL:
        return False
    trap: cython.pointer(TrapEntry) = find_trap(rec, uc_pc(uc))
    if trap == cython.NULL:
        return False
    context = act.exec
    if trap.kind & KIND == TRAP_OUT_OF_FUEL and refill(context):
        uc_go(uc, uc_pc(uc) + HALT_BYTES, context)  # where the charge is tried again
        return True
    # Before anything else runs: the next C call overwrites the dead frames.
    walk_frames(act, uc_fp(uc), uc_sp(uc), trap.kind & NO_FRAME != 0)
    act.trap_kind = context.trap_code if trap.kind == TRAP_DYNAMIC else trap.kind & KIND
    act.trap_pc = uc_pc(uc)
    act.fault_address = cython.cast(uint64_t, info.si_addr)
    if act.trap_kind == TRAP_CAST_FAILURE:
        act.fault_address = held(trap.kind >> HELD & PLACES, uc)
    elif act.trap_kind == TRAP_ARRAY_OUT_OF_BOUNDS:
        act.fault_address = outside(trap.kind, uc)
    act.vmctx = cython.cast(cython.p_void, uc_vmctx(uc))
    uc_go(uc, cython.cast(uint64_t, context.trap_exit), context)
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def die(sig: cython.int, repeats: cython.bint) -> cython.void:
    """Leave the signal to its default action: it comes again by itself (a fault) or is raised again."""
    action: sigaction_t
    memset(cython.address(action), 0, cython.sizeof(action))
    action.sa_handler = SIG_DFL
    sigaction(sig, cython.address(action), cython.NULL)
    if not repeats:
        raise_signal(sig)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def hand_on(sig: cython.int, info: cython.pointer(siginfo_t), uc: cython.p_void) -> cython.void:
    """Do what would have happened without us."""
    me: cython.int = gettid()
    outer: cython.int = handing[sig]
    # Who came later and knows us may hand back what it gets from us: then it is the turn of who was there first.
    old: cython.pointer(sigaction_t) = cython.address(old_actions[sig])
    if outer == me:
        old = cython.address(first_actions[sig])
    waiting: sigset_t
    is_fault: cython.bint = info.si_code > 0
    handler: cython.p_void = cython.cast(cython.p_void, old.sa_handler)
    if handler == cython.cast(cython.p_void, SIG_IGN) and not is_fault:
        return
    if handler == cython.cast(cython.p_void, SIG_DFL) or handler == cython.cast(cython.p_void, SIG_IGN):
        die(sig, is_fault)
        return
    handing[sig] = me
    if old.sa_flags & SA_SIGINFO:
        cython.cast(handler3_t, cython.cast(cython.p_void, old.sa_sigaction))(sig, info, uc)
    else:
        cython.cast(handler1_t, handler)(sig)
    handing[sig] = outer
    # A handler that has raised the signal again (faulthandler does) wants the process to end. Delivering it to
    # us and from us to that handler would go round for ever.
    if sigpending(cython.address(waiting)) == 0 and sigismember(cython.address(waiting), sig) == 1:
        die(sig, True)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def on_fault(sig: cython.int, info: cython.pointer(siginfo_t), uc: cython.p_void) -> cython.void:
    """The handler of all four signals."""
    block: cython.pointer(ThreadBlock) = current_block()
    if block != cython.NULL:
        if info.si_code > 0 and trap_here(block, info, uc):
            return
        # Another handler in front of us took a guest's fault, reported it and raised it again: the fault
        # itself repeats as soon as this returns, and then it reaches us.
        if info.si_code == SI_TKILL and info.si_pid == getpid() and block.in_guest:
            return
    hand_on(sig, info, uc)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def ours(action: cython.pointer(sigaction_t)) -> cython.bint:
    """Whether an action is our handler."""
    return cython.cast(cython.p_void, action.sa_sigaction) == cython.cast(cython.p_void, on_fault)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_in_front(number: cython.int) -> cython.int:
    """Install the handler of a signal, or install it again where somebody replaced it. 0 if it was in place, else
    REPLACED or REFUSED."""
    global installs
    action: sigaction_t
    now: sigaction_t
    if sigaction(number, cython.NULL, cython.address(now)) != 0:
        return REFUSED
    if ours(cython.address(now)):
        return 0
    memset(cython.address(action), 0, cython.sizeof(action))
    action.sa_sigaction = on_fault
    action.sa_flags = SA_SIGINFO | SA_ONSTACK
    sigemptyset(cython.address(action.sa_mask))
    old_actions[number] = now  # before ours can run
    if not was_installed[number]:
        first_actions[number] = now
        was_installed[number] = 1
    if sigaction(number, cython.address(action), cython.NULL) != 0:
        return REFUSED
    installs += 1
    return REPLACED


def look_at_handlers():
    """Put all four in front, without raising: each tick does, from the ticker's thread. REFUSED if one could not be."""
    global looked_ns
    looked_ns = now_ns()
    return (put_in_front(SIGSEGV) | put_in_front(SIGBUS) | put_in_front(SIGFPE) | put_in_front(SIGILL)) & REFUSED


def ensure_handlers():
    """Put all four in front: when an engine is made, and when guests run again after a pause (``wake_ticker``)."""
    if look_at_handlers():
        raise OSError("cannot install handlers for SIGSEGV, SIGBUS, SIGFPE and SIGILL, without which no guest may run")
    return 0


def ensure_first_handler():
    """At every new store. A look costs a system call, so all four are looked at where the last look was a while ago or
    somebody took over SIGSEGV, which who takes over faults always takes.
    """
    if put_in_front(SIGSEGV) or now_ns() - looked_ns >= LOOK_NS:
        tend_this_thread()
        return ensure_handlers()
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def tend_this_thread() -> cython.void:
    """See that this thread can take faults, if it ever entered a guest."""
    block: cython.pointer(ThreadBlock) = current_block()
    if block != cython.NULL:
        tend(block)


def look() -> None:
    """After something in this thread may have replaced handlers, blocked signals or taken the signal stack away."""
    if installs:
        tend_this_thread()
        ensure_handlers()


def forget_faulthandler() -> None:
    """``faulthandler`` is off, and its handlers would return from a fault that then repeats: not to be called again."""
    number: cython.int
    now: sigaction_t
    for number in (SIGSEGV, SIGBUS, SIGFPE, SIGILL):
        if sigaction(number, cython.NULL, cython.address(now)) == 0 and not ours(cython.address(now)):
            first_actions[number] = now
        old_actions[number] = first_actions[number]
    look()


def install() -> int:
    """Put all four in front now, and follow those who could take them away; the number put in place so far."""
    ensure_handlers()
    follow(look, forget_faulthandler)
    return installs
