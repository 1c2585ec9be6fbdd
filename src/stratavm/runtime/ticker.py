# cython: linetrace=False
# strata: hot
"""The ticker: one native thread that asks long-running calls to poll, sets their deadlines off, and sees whether the
fault handlers are still in front. Parked when idle."""

import sys

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    ATTENTION_FIBER,
    PENDING_DEADLINE,
    PENDING_SAMPLE,
    PENDING_TICK,
    PENDING_TURN,
    ExecContext,
)
from cython.cimports.stratavm.runtime.native import (
    barrier_everywhere,
    gettid,
    load_32,
    load_ptr,
    now_ns,
    or_32,
    pthread_t,
    register_barrier,
    store_64,
)
from cython.cimports.stratavm.runtime.own_threads import (
    Link,
    Monitor,
    await_done,
    await_work,
    await_work_until,
    begin_monitor,
    call_all,
    call_one,
    lock,
    pthread_join,
    start_thread,
    tell_done,
    unlock,
    wait_gone,
)
from cython.cimports.stratavm.runtime.signals import ensure_handlers, look_at_handlers
from cython.cimports.stratavm.runtime.threads import ThreadBlock, blocks, cpu_ns_of, current_block, side_blocks, threads

from stratavm.base.errors import ResourceLimit

ABSENT = cython.declare(uint32_t, 0)
PARKED = cython.declare(uint32_t, 2)
IDLE_TICKS = cython.declare(uint32_t, 20)  # without a running call before the ticker parks
# An event loop waits for a guest on a fiber: from its beginning to its tick there are two looks, so they are three in
# a period, and no more than one in a millisecond.
LOOKS = cython.declare(uint64_t, 3)
LEAST_NS = cython.declare(uint64_t, 1_000_000)
WATCH_NS = cython.declare(uint64_t, 250_000)  # from an entry to its turn (ADR-0060)

period_ns = 5_000_000  # until the first wake
ticks = cython.declare(uint64_t, 0)
starts = cython.declare(uint32_t, 0)
STACK_BYTES = cython.declare(cython.size_t, 256 << 10)
monitor = cython.declare(Monitor)  # its work: to tick again, or to end
thread = cython.declare(pthread_t)
thread_id = cython.declare(cython.int, 0)  # the kernel's
ending = cython.declare(cython.bint, False)  # it is asked to
hurried = cython.declare(cython.bint, False)  # the pause that it makes may be too long
look_ns = cython.declare(uint64_t, 0)  # when that pause will be over

# The thread that is watched since it entered, what it had done then, when to look at it, and how long after that.
watched = cython.declare(uint64_t, 0)  # its serial
watched_calls = cython.declare(uint64_t, 0)
watched_host_calls = cython.declare(uint64_t, 0)
watched_cpu_ns = cython.declare(uint64_t, 0)
watch_ns = cython.declare(uint64_t, 0)  # 0: nobody is watched
watch_pause = cython.declare(uint64_t, 0)
watches = cython.declare(uint64_t, 0)  # so far


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look(tick: cython.bint, whole: cython.bint) -> cython.bint:
    """Visit every thread that runs a guest; with ``tick``, ask those whose call ran since the last look, and have the
    others, which are in a shorter call, say where (ADR-0045). A look that is not ``whole``, in the middle of a period,
    is at guests on fibers alone. False if none runs."""
    link: cython.pointer(Link)
    block: cython.pointer(ThreadBlock)
    context: cython.pointer(ExecContext)
    bits: uint32_t
    any_runs: cython.bint = False
    now: uint64_t = now_ns()
    lock(cython.address(threads))
    link = blocks.first
    while link != cython.NULL:
        block = cython.cast(cython.pointer(ThreadBlock), link)
        context = cython.cast(cython.pointer(ExecContext), load_ptr(cython.address(block.running)))
        if context != cython.NULL and not sleeps(block):
            any_runs = True
            bits = asked_of(block, context, whole)
            if context.deadline_ns != 0 and now >= context.deadline_ns:
                bits |= PENDING_DEADLINE
            if tick and bits:
                or_32(cython.address(context.pending), bits)
                store_64(cython.address(context.poll_limit), 0xFFFFFFFFFFFFFFFF)
        link = link.next
    unlock(cython.address(threads))
    return any_runs


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def sleeps(block: cython.pointer(ThreadBlock)) -> cython.bint:
    """Whether a thread waits at a shared memory: it looks at its deadline itself, and wakes us when it goes on."""
    return block.parker != cython.NULL and load_32(cython.address(block.parker.sleeps)) != 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def asked_of(block: cython.pointer(ThreadBlock), context: cython.pointer(ExecContext), whole: cython.bint) -> uint32_t:
    """Pending bits for the guest that a thread runs. On a fiber the processor's time counts as well: one that had none,
    on a busy machine, has not held its loop up."""
    on_fiber: cython.bint = context.attention & ATTENTION_FIBER != 0
    cpu_ns: uint64_t = 0
    if on_fiber:
        if block.polls_per_tick != 0:  # its clock is another one
            return 0
        cpu_ns = cpu_ns_of(block.cpu_clock)
    elif not whole:
        return 0
    if block.calls != block.seen_calls:
        block.seen_calls = block.calls
        block.seen_cpu_ns = cpu_ns
        return PENDING_SAMPLE if whole and load_32(cython.address(block.in_guest)) else 0  # not in a host call
    return PENDING_TICK if not on_fiber or cpu_ns - block.seen_cpu_ns >= pause_ns() // 2 else 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run(unused: cython.p_void) -> cython.p_void:
    """The thread. Never touches Python."""
    global thread_id
    idle: uint32_t = 0
    looks: uint64_t = 0  # in this period
    rest: uint64_t = pause_ns()
    lock(cython.address(monitor))
    thread_id = gettid()
    while pause(rest):
        unlock(cython.address(monitor))
        looks += 1
        if looks * pause_ns() < period_ns:
            look(True, False)
        else:
            looks = 0
            idle = 0 if look(True, True) else idle + 1
            look_at_handlers()
        lock(cython.address(monitor))
        if looks == 0:
            become_attentive(0)
        rest = pause_ns()
        if idle >= IDLE_TICKS:
            # As good as random: who calls seldom, and wakes the ticker each time, is found in the middle of it too.
            rest = now_ns() % pause_ns() if park() else pause_ns()
            looks = LOOKS
            idle = 0
    set_absent()
    tell_done(cython.address(monitor))
    unlock(cython.address(monitor))
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def pause(rest: uint64_t) -> cython.bint:
    """Until the next tick, so many nanoseconds. False if the thread is to end. Caller holds the lock, which others get
    meanwhile."""
    global ticks, hurried, look_ns
    is_over: cython.bint = False
    hurried = False
    look_ns = now_ns() + rest
    while not ending and not is_over:
        is_over = await_work_until(cython.address(monitor), watch_ns if 0 < watch_ns < look_ns else look_ns)
        if is_over and watch_ns != 0 and now_ns() < look_ns:
            watch()
            is_over = False
        if hurried:
            hurried = False
            look_ns = min(look_ns, now_ns() + pause_ns())
    ticks += 1
    return not ending


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def become_attentive(to_others_than: uint64_t) -> cython.void:
    """The next entry tells the ticker, if there is anybody to whom a turn could be given, and nobody is watched. Caller
    holds the lock."""
    global ticker_state, watched
    if is_ticking() and watch_ns == 0 and load_32(cython.address(side_blocks)):
        watched = to_others_than
        ticker_state = TICKER_ATTENTIVE


def meet_newcomer():
    """A thread is about to enter for the first time: others may be behind it."""
    lock(cython.address(monitor))
    become_attentive(0)
    unlock(cython.address(monitor))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def begin_watch(block: cython.pointer(ThreadBlock)) -> cython.void:
    """The calling thread has entered, with the GIL; unless it was watched last. Caller holds the lock."""
    global watched, watched_calls, watched_host_calls, watched_cpu_ns, watch_ns, watch_pause, watches
    if block.serial != watched and load_32(cython.address(side_blocks)):
        watched = block.serial
        watched_calls = block.calls
        watched_host_calls = block.host_calls
        watched_cpu_ns = cpu_ns_of(block.cpu_clock)
        watch_pause = WATCH_NS
        watch_ns = now_ns() + watch_pause
        watches += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def watch() -> cython.void:
    """Look at the thread that is watched: give others their turn if it has the GIL and did nothing but run its guest;
    else look again later, unless it has let go of it or is gone. Caller holds the lock."""
    global watched_calls, watched_host_calls, watched_cpu_ns, watch_ns, watch_pause
    cpu_ns: uint64_t
    context: cython.pointer(ExecContext)
    block: cython.pointer(ThreadBlock)
    watch_ns = 0
    lock(cython.address(threads))
    block = block_of(watched)
    if block != cython.NULL and load_ptr(cython.address(block.tstate)) == cython.NULL:
        context = cython.cast(cython.pointer(ExecContext), load_ptr(cython.address(block.running)))
        cpu_ns = cpu_ns_of(block.cpu_clock)
        if (
            context != cython.NULL
            and load_32(cython.address(block.in_guest))
            and block.calls == watched_calls
            and block.host_calls == watched_host_calls
            and cpu_ns - watched_cpu_ns >= WATCH_NS // 2  # else it waited for a processor, and not the others for it
        ):
            or_32(cython.address(context.pending), PENDING_TURN)
            store_64(cython.address(context.poll_limit), 0xFFFFFFFFFFFFFFFF)
            become_attentive(watched)
        elif watch_pause < period_ns:
            watched_calls = block.calls
            watched_host_calls = block.host_calls
            watched_cpu_ns = cpu_ns
            watch_pause *= 2
            watch_ns = now_ns() + watch_pause
    unlock(cython.address(threads))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def block_of(serial: uint64_t) -> cython.pointer(ThreadBlock):
    """The block of a thread that lives, or NULL. Caller holds the lock of threads."""
    link: cython.pointer(Link) = blocks.first
    while link != cython.NULL and cython.cast(cython.pointer(ThreadBlock), link).serial != serial:
        link = link.next
    return cython.cast(cython.pointer(ThreadBlock), link)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def pause_ns() -> uint64_t:
    """From one look to the next. A period has a whole number of them."""
    if not is_fine or period_ns < 2 * LEAST_NS:
        return period_ns
    return (period_ns + LOOKS - 1) // LOOKS if period_ns >= LOOKS * LEAST_NS else (period_ns + 1) // 2


def quicken():
    """A guest goes on a fiber, and the ticker looks at its period's ends only. Called with ``running`` set: then it
    looks more often until it parks."""
    global is_fine, hurried
    lock(cython.address(monitor))
    is_fine = 1
    hurried = True
    if ticker_state == TICKER_TICKS:
        call_one(cython.address(monitor))
    unlock(cython.address(monitor))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def park() -> cython.bint:
    """Until a guest is entered; whether that was to be waited for. Caller holds the lock, which others get
    meanwhile."""
    global ticker_state, is_fine
    has_waited: cython.bint = False
    ticker_state = PARKED
    # A thread that entered before it could see PARKED is seen here; one that enters later wakes us. Without the
    # barrier that this needs (an old kernel, a filter) the ticker never parks.
    if barrier_everywhere() != 0 or look(False, True):
        ticker_state = TICKER_TICKS
    while ticker_state == PARKED and not ending:
        has_waited = True
        is_fine = 0
        await_work(cython.address(monitor))
    return has_waited


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def set_absent() -> cython.void:
    """There is no thread. Caller holds the lock."""
    global ticker_state, ending, is_fine, watch_ns, watched
    ticker_state = ABSENT
    ending = False
    is_fine = 0
    watch_ns = 0
    watched = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def end() -> cython.void:
    """End the thread, and wait until the kernel has forgotten it. Caller holds the lock."""
    global ending, thread_id
    while ticker_state != ABSENT:  # it may have ended for another fork, and begun again
        ending = True
        call_all(cython.address(monitor))
        await_done(cython.address(monitor))
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
    register_barrier()
    # Of the starter's scheduling policy: a guest that runs under one of real time has to be asked to poll, too.
    if start_thread(cython.address(thread), STACK_BYTES, False, run, cython.NULL):
        return 1
    ticker_state = TICKER_TICKS
    starts += 1
    return 0


def wake_ticker():
    """Called with ``running`` set, by an entry that does not see the ticker tick: start it, wake it, or tell it, if it
    is attentive.

    It is where guests run again after a pause, and so the place to see whether somebody took over faults meanwhile.
    """
    failed: cython.int = 0
    if load_32(cython.address(ticker_state)) == TICKER_TICKS:
        return 0
    if not is_ticking():
        ensure_handlers()
        update_period()
    lock(cython.address(monitor))
    if ticker_state == ABSENT:
        failed = start()
    elif ticker_state != TICKER_TICKS:
        set_ticking()
        call_one(cython.address(monitor))
    if not failed:
        begin_watch(current_block())
    unlock(cython.address(monitor))
    if failed:
        raise ResourceLimit("cannot create the ticker thread", limit="threads")
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def set_ticking() -> cython.void:
    """Leave the park, or be attentive no longer. Caller holds the lock."""
    global ticker_state
    ticker_state = TICKER_TICKS


def update_period():
    """Follow Python's switch interval: when the ticker is woken, and at each tick that a guest meets with the GIL.
    Where Python has no room for a call, next time: the guest is not to blame."""
    global period_ns
    try:
        period_ns = max(100_000, min(1_000_000_000, int(sys.getswitchinterval() * 1e9)))
    except RecursionError:
        return 0
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def before_fork() -> cython.void:
    """Who runs no guest has no ticker, of which Python would warn."""
    if ticker_state != ABSENT and not look(False, True):
        end()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_parent() -> cython.void:
    """A guest that was entered meanwhile has taken a ticker for ticking that ended."""
    if ticker_state == ABSENT and starts and (barrier_everywhere() != 0 or look(False, True)):
        start()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_child() -> cython.void:
    """The child has no ticker until it enters a guest."""
    set_absent()


begin_monitor(cython.address(monitor), before_fork, after_fork_in_parent, after_fork_in_child)


def ticker_status() -> dict[str, int | str]:
    """State, looks so far, threads started so far, entries watched so far, period, from one look to the next, and when
    that is."""
    names: tuple = ("absent", "ticking", "parked", "attentive")
    return {
        "state": names[ticker_state],
        "ticks": ticks,
        "starts": starts,
        "watches": watches,
        "period_ns": period_ns,
        "pause_ns": pause_ns(),
        "look_ns": look_ns,
    }
