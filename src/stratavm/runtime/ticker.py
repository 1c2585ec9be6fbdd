# cython: linetrace=False
# strata: hot
"""The ticker: one native thread that asks long-running calls to poll, sets their deadlines off, and sees whether the
fault handlers are still in front. Parked when idle."""

import sys

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.posix.signal import sigset_t
from cython.cimports.stratavm.contract._gen_layout import (
    PENDING_DEADLINE,
    PENDING_SAMPLE,
    PENDING_TICK,
    ExecContext,
)
from cython.cimports.stratavm.runtime.native import (
    SIG_BLOCK,
    barrier_everywhere,
    gettid,
    load_32,
    load_ptr,
    now_ns,
    or_32,
    pthread_atfork,
    pthread_attr_destroy,
    pthread_attr_init,
    pthread_attr_setstacksize,
    pthread_attr_t,
    pthread_cond_init,
    pthread_cond_signal,
    pthread_cond_t,
    pthread_cond_wait,
    pthread_create,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_t,
    pthread_mutex_unlock,
    pthread_sigmask,
    pthread_t,
    register_barrier,
    sigfillset,
    store_64,
)
from cython.cimports.stratavm.runtime.own_threads import broadcast, make_cond, pthread_join, wait_gone, wait_until
from cython.cimports.stratavm.runtime.signals import ensure_handlers, look_at_handlers
from cython.cimports.stratavm.runtime.threads import ThreadBlock, first_block, threads_lock

from stratavm.base.errors import ResourceLimit

ABSENT = cython.declare(uint32_t, 0)
PARKED = cython.declare(uint32_t, 2)
IDLE_TICKS = cython.declare(uint32_t, 20)  # without a running call before the ticker parks

period_ns = 5_000_000  # until the first wake
ticks = cython.declare(uint64_t, 0)
starts = cython.declare(uint32_t, 0)
lock = cython.declare(pthread_mutex_t)
wake = cython.declare(pthread_cond_t)
ended = cython.declare(pthread_cond_t)
thread = cython.declare(pthread_t)
thread_id = cython.declare(cython.int, 0)  # the kernel's
ending = cython.declare(cython.bint, False)  # it is asked to


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look(tick: cython.bint) -> cython.bint:
    """Visit every thread that runs a guest; with ``tick``, ask those whose call ran the whole period, and have the
    others, which are in a shorter call, say where (ADR-0045). False if none runs."""
    block: cython.pointer(ThreadBlock)
    context: cython.pointer(ExecContext)
    bits: uint32_t
    any_runs: cython.bint = False
    now: uint64_t = now_ns()
    pthread_mutex_lock(cython.address(threads_lock))
    block = first_block
    while block != cython.NULL:
        context = cython.cast(cython.pointer(ExecContext), load_ptr(cython.address(block.running)))
        if context != cython.NULL:
            any_runs = True
            bits = 0
            if block.calls == block.seen_calls:
                bits = PENDING_TICK
            elif load_32(cython.address(block.in_guest)):  # not in what it calls of the host
                bits = PENDING_SAMPLE
            block.seen_calls = block.calls
            if context.deadline_ns != 0 and now >= context.deadline_ns:
                bits |= PENDING_DEADLINE
            if tick and bits:
                or_32(cython.address(context.pending), bits)
                store_64(cython.address(context.poll_limit), 0xFFFFFFFFFFFFFFFF)
        block = block.next
    pthread_mutex_unlock(cython.address(threads_lock))
    return any_runs


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run(unused: cython.p_void) -> cython.p_void:
    """The thread. Never touches Python."""
    global thread_id
    everything: sigset_t
    idle: uint32_t = 0
    rest: uint64_t = period_ns
    sigfillset(cython.address(everything))
    pthread_sigmask(SIG_BLOCK, cython.address(everything), cython.NULL)
    pthread_mutex_lock(cython.address(lock))
    thread_id = gettid()
    while pause(rest):
        pthread_mutex_unlock(cython.address(lock))
        idle = 0 if look(True) else idle + 1
        look_at_handlers()
        pthread_mutex_lock(cython.address(lock))
        rest = period_ns
        if idle >= IDLE_TICKS:
            # As good as random: who calls seldom, and wakes the ticker each time, is found in the middle of it too.
            rest = now_ns() % period_ns if park() else period_ns
            idle = 0
    set_absent()
    broadcast(cython.address(ended))
    pthread_mutex_unlock(cython.address(lock))
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def pause(rest: uint64_t) -> cython.bint:
    """Until the next tick, so many nanoseconds. False if the thread is to end. Caller holds the lock, which others get
    meanwhile."""
    global ticks
    is_over: cython.bint = False
    until: uint64_t = now_ns() + rest
    while not ending and not is_over:
        is_over = wait_until(cython.address(wake), cython.address(lock), until)
    ticks += 1
    return not ending


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def park() -> cython.bint:
    """Until a guest is entered; whether that was to be waited for. Caller holds the lock, which others get
    meanwhile."""
    global ticker_state
    has_waited: cython.bint = False
    ticker_state = PARKED
    # A thread that entered before it could see PARKED is seen here; one that enters later wakes us. Without the
    # barrier that this needs (an old kernel, a filter) the ticker never parks.
    if barrier_everywhere() != 0 or look(False):
        ticker_state = TICKER_TICKS
    while ticker_state == PARKED and not ending:
        has_waited = True
        pthread_cond_wait(cython.address(wake), cython.address(lock))
    return has_waited


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def set_absent() -> cython.void:
    """There is no thread. Caller holds the lock."""
    global ticker_state, ending
    ticker_state = ABSENT
    ending = False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def end() -> cython.void:
    """End the thread, and wait until the kernel has forgotten it. Caller holds the lock."""
    global ending, thread_id
    while ticker_state != ABSENT:  # it may have ended for another fork, and begun again
        ending = True
        broadcast(cython.address(wake))
        pthread_cond_wait(cython.address(ended), cython.address(lock))
    if thread_id:
        pthread_join(thread, cython.NULL)
        wait_gone(thread_id)
        thread_id = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def start() -> cython.int:
    """Create the thread. Caller holds the lock."""
    global ticker_state, starts
    attributes: pthread_attr_t
    failed: cython.int
    register_barrier()
    pthread_attr_init(cython.address(attributes))
    pthread_attr_setstacksize(cython.address(attributes), 256 << 10)
    failed = pthread_create(cython.address(thread), cython.address(attributes), run, cython.NULL)
    pthread_attr_destroy(cython.address(attributes))
    if failed:
        return 1
    ticker_state = TICKER_TICKS
    starts += 1
    return 0


def wake_ticker():
    """Called with ``running`` set, by an entry that does not see the ticker tick: start it or wake it.

    It is where guests run again after a pause, and so the place to see whether somebody took over faults meanwhile.
    """
    failed: cython.int = 0
    if load_32(cython.address(ticker_state)) == TICKER_TICKS:
        return 0
    ensure_handlers()
    update_period()
    pthread_mutex_lock(cython.address(lock))
    if ticker_state == ABSENT:
        failed = start()
    elif ticker_state == PARKED:
        set_ticking()
        pthread_cond_signal(cython.address(wake))
    pthread_mutex_unlock(cython.address(lock))
    if failed:
        raise ResourceLimit("cannot create the ticker thread", limit="threads")
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def set_ticking() -> cython.void:
    """Leave the park. Caller holds the lock."""
    global ticker_state
    ticker_state = TICKER_TICKS


@cython.cfunc
def update_period() -> cython.int:
    """Follow Python's switch interval."""
    global period_ns
    period_ns = max(100_000, min(1_000_000_000, int(sys.getswitchinterval() * 1e9)))
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def before_fork() -> cython.void:
    """Nobody holds the lock in the child; and who runs no guest has no ticker, of which Python would warn."""
    pthread_mutex_lock(cython.address(lock))
    if ticker_state != ABSENT and not look(False):
        end()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_parent() -> cython.void:
    """The lock is free again. A guest that was entered meanwhile has taken a ticker for ticking that ended."""
    if ticker_state == ABSENT and starts and (barrier_everywhere() != 0 or look(False)):
        start()
    pthread_mutex_unlock(cython.address(lock))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_child() -> cython.void:
    """The child has no ticker until it enters a guest."""
    set_absent()
    make_locks()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def make_locks() -> cython.void:
    """Free ones, that nobody waits for."""
    pthread_mutex_init(cython.address(lock), cython.NULL)
    make_cond(cython.address(wake))
    pthread_cond_init(cython.address(ended), cython.NULL)


make_locks()
pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child)


def ticker_status() -> dict[str, int | str]:
    """State, ticks so far, threads started so far, period."""
    names: tuple = ("absent", "ticking", "parked")
    return {"state": names[ticker_state], "ticks": ticks, "starts": starts, "period_ns": period_ns}
