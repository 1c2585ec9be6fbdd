# strata: hot
"""Helper threads: at most one per processor less one, for the whole process, and none where nothing is to be done.

They never touch Python, so nobody who has the GIL ever waits for somebody who wants it. A thread ends after a second of
rest, before a fork and at the end of the process. Jobs take turns, piece by piece; their memory is their owners'.

A job may be offered to threads that are somebody else's, which run its pieces as visitors: under the same lock, so that
who takes it back, forks or ends waits for their pieces as for ours.
"""

import atexit

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t, uintptr_t
from cython.cimports.stratavm.runtime.native import gettid, now_ns, pthread_t, register_barrier
from cython.cimports.stratavm.runtime.own_threads import (
    POSSIBLE,
    Link,
    Monitor,
    Queue,
    await_done,
    await_work_until,
    begin_monitor,
    call_all,
    call_one,
    lock,
    pthread_join,
    put_last,
    start_thread,
    take_out,
    tell_done,
    unlock,
    wait_gone,
)

from stratavm.base import processors, switches
from stratavm.native import execmem  # noqa: F401  (registers what it does at a fork first, so that we are asked before)

VACANT = cython.declare(uint32_t, 0)
LIVE = cython.declare(uint32_t, 1)
ENDED = cython.declare(uint32_t, 2)  # and not yet joined

Seat = cython.struct(thread=pthread_t, tid=cython.int, state=uint32_t, job=cython.pointer(Job))

MOST_THREADS: int = 256
SEATS = cython.declare(uint32_t, 256)
STACK_BYTES = cython.declare(cython.size_t, 1 << 20)
NICE = cython.declare(cython.int, 5)  # more than the process has
REST_NS = cython.declare(uint64_t, 1_000_000_000)
RETRY_NS = cython.declare(uint64_t, 1_000_000_000)  # after the kernel has refused a thread

monitor = cython.declare(Monitor)  # threads at rest wait for work, others until a piece or a thread is done
seats = cython.declare(Seat[256])
jobs = cython.declare(Queue)  # that wait
living = cython.declare(uint32_t, 0)
running = cython.declare(uint32_t, 0)  # of the living, pieces
visited = cython.declare(Queue)  # the jobs of which visitors run a piece
resting = cython.declare(uint32_t, 0)  # of the living
most = cython.declare(uint32_t, 0)  # that may live
forced = cython.declare(cython.bint, False)  # whatever this thread's affinity says
is_ready = cython.declare(cython.bint, False)
holds = cython.declare(uint32_t, 0)  # who wants no thread to live: forks, and the end
closed = cython.declare(cython.bint, False)
missed = cython.declare(cython.bint, False)  # something was submitted under a hold
retry_ns = cython.declare(uint64_t, 0)
starts = cython.declare(uint64_t, 0)
pieces = cython.declare(uint64_t, 0)
forks = cython.declare(uint32_t, 0)  # between the first process and this one


# ---- the queue; callers hold the lock --------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def append(job: cython.pointer(Job)) -> cython.void:
    """To the end of the queue."""
    job.state = QUEUED
    put_last(cython.address(jobs), job)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def remove(job: cython.pointer(Job), state: uint32_t) -> cython.void:
    """From wherever it is in the queue."""
    take_out(cython.address(jobs), job)
    job.state = state


# ---- threads ---------------------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run_piece(seat: cython.pointer(Seat)) -> cython.void:
    """Of the job that has waited longest. Takes the lock and gives it back meanwhile."""
    global pieces, running
    more: cython.bint
    job: cython.pointer(Job) = cython.cast(cython.pointer(Job), jobs.first)
    remove(job, RUNNING)
    job.stop = 0
    seat.job = job
    running += 1
    unlock(cython.address(monitor))
    more = job.run(job)
    lock(cython.address(monitor))
    seat.job = cython.NULL
    running -= 1
    pieces += 1
    if job.state == LEAVING:
        job.state = IDLE
        tell_done(cython.address(monitor))
    elif more or job.state == AGAIN:
        append(job)
    else:
        job.state = IDLE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def visit(job: cython.pointer(Job)) -> cython.void:
    """One piece on a thread that is not ours. Takes the lock and gives it back meanwhile."""
    global pieces
    more: cython.bint
    job.state = RUNNING
    job.stop = 0
    put_last(cython.address(visited), job)
    unlock(cython.address(monitor))
    more = job.run(job)
    lock(cython.address(monitor))
    take_out(cython.address(visited), job)
    pieces += 1
    job.state = OFFERED if job.state != LEAVING and (more or job.state == AGAIN) else IDLE
    tell_done(cython.address(monitor))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def rest() -> cython.bint:
    """Until there is work. False if the thread has rested long enough."""
    global resting
    is_over: cython.bint = False
    until: uint64_t = now_ns() + REST_NS
    resting += 1
    while jobs.count == 0 and not holds and living <= most and not is_over:
        is_over = await_work_until(cython.address(monitor), until)
    resting -= 1
    return jobs.count != 0 or not is_over


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run(memory: cython.p_void) -> cython.p_void:
    """A thread, from its beginning to its end. Never touches Python."""
    global living
    seat: cython.pointer(Seat) = cython.cast(cython.pointer(Seat), memory)
    be_background(NICE)
    lock(cython.address(monitor))
    seat.tid = gettid()
    while not holds and living <= most:
        if jobs.count:
            run_piece(seat)
        elif not rest():
            break
    seat.state = ENDED
    living -= 1
    tell_done(cython.address(monitor))
    unlock(cython.address(monitor))
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def clear(seat: cython.pointer(Seat)) -> cython.void:
    """Wait for a thread that has left its loop. Caller holds the lock, which such a thread does not want."""
    if seat.state == ENDED:
        pthread_join(seat.thread, cython.NULL)
        seat.state = VACANT


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def allowed() -> uint32_t:
    """Threads that may live, for who would start one: it inherits where that one may run."""
    here: cython.int
    if forced or most == 0:
        return most
    here = processors_here() - 1
    if here < 0:
        here = 0
    return most if cython.cast(uint32_t, here) > most else cython.cast(uint32_t, here)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def start() -> cython.bint:
    """One thread more. False if there may be none, or the kernel has none. Caller holds the lock."""
    global living, starts, retry_ns
    i: uint32_t = 0
    if living >= allowed() or (retry_ns and now_ns() < retry_ns):
        return False
    while seats[i].state == LIVE:
        i += 1
    clear(cython.address(seats[i]))
    if starts == 0:
        register_barrier()  # the runtime wants it anyway: with more threads the kernel waits 13 ms for all processors
    if start_thread(cython.address(seats[i].thread), STACK_BYTES, True, run, cython.address(seats[i])):
        retry_ns = now_ns() + RETRY_NS
        return False
    retry_ns = 0
    seats[i].state = LIVE
    living += 1
    starts += 1
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def staff() -> cython.bint:
    """Wake a thread for what is queued, start those that are missing. False if none lives. Caller holds the lock."""
    while jobs.count + running > living and living < most and start():
        pass
    if resting:
        call_one(cython.address(monitor))
    return living != 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def end_threads() -> cython.void:
    """All of them, and wait until the kernel has forgotten them; work in flight goes back into the queue. Visitors end
    their pieces. Caller holds the lock, which others get meanwhile, and has counted itself in ``holds``."""
    i: uint32_t
    link: cython.pointer(Link) = visited.first
    for i in range(SEATS):
        if seats[i].job != cython.NULL:
            seats[i].job.stop = 1
    while link != cython.NULL:
        cython.cast(cython.pointer(Job), link).stop = 1
        link = link.next
    call_all(cython.address(monitor))
    while living or visited.count:
        await_done(cython.address(monitor))
    for i in range(SEATS):
        if seats[i].state == ENDED:
            clear(cython.address(seats[i]))
            wait_gone(seats[i].tid)


# ---- for owners of jobs ----------------------------------------------------------------------------


def submit(job):
    """See the header."""
    global missed
    before: uint32_t
    has_thread: cython.bint = False
    if not POSSIBLE or most == 0:
        return False
    lock(cython.address(monitor))
    before = job.state
    if not closed and before != LEAVING:
        if before == RUNNING:
            job.state = AGAIN
        elif before == IDLE or before == OFFERED:
            append(job)
        if holds:
            has_thread = missed = True
        else:
            has_thread = staff()
        if not has_thread and job.state == QUEUED:
            remove(job, OFFERED if before == OFFERED else IDLE)
    unlock(cython.address(monitor))
    return has_thread


def offer(job):
    """See the header."""
    now: uint32_t
    if not POSSIBLE:
        return LEAVING
    lock(cython.address(monitor))
    if closed:
        now = LEAVING
    else:
        if job.state == IDLE:
            job.state = OFFERED
        elif job.state == RUNNING:
            job.state = AGAIN
        now = job.state
    unlock(cython.address(monitor))
    return now


def recall(job):
    """See the header."""
    lock(cython.address(monitor))
    if job.state == OFFERED:
        job.state = IDLE
    unlock(cython.address(monitor))
    return 0


def lend(job, ns):
    """See the header."""
    is_left: cython.bint
    end: uint64_t = now_ns() + ns
    if not POSSIBLE:
        return False
    lock(cython.address(monitor))
    while job.state == OFFERED and not holds:
        visit(job)
        if now_ns() >= end:
            break
    is_left = job.state == OFFERED and not closed
    unlock(cython.address(monitor))
    return is_left


def fork_count():
    """See the header."""
    return forks


def withdraw(job):
    """See the header."""
    was_ours: cython.bint
    if not POSSIBLE:
        return False
    lock(cython.address(monitor))
    was_ours = job.state != IDLE
    if job.state == QUEUED:
        remove(job, IDLE)
    elif job.state == OFFERED:
        job.state = IDLE
    elif was_ours:
        job.state = LEAVING
        job.stop = 1
    while job.state == LEAVING:
        await_done(cython.address(monitor))
    unlock(cython.address(monitor))
    return was_ours


def ready():
    """See the header."""
    if not is_ready:
        limit_threads(None)
    return 0


def limit_threads(count: int | None) -> int:
    """Let so many helper threads live from now on, whatever processors there are; None counts these again. Those that
    are too many end. Returns the limit."""
    global forced, is_ready
    limit: uint32_t
    if not is_ready:
        is_ready = True
        atexit.register(close)
    if count is None:
        count = switches.HELPERS.value()
    forced = count is not None
    if not POSSIBLE:
        limit = 0
    elif count is None:
        limit = thread_limit()
    else:
        limit = min(max(count, 0), MOST_THREADS)
    with cython.nogil:
        lock(cython.address(monitor))
        set_most(limit)
        call_all(cython.address(monitor))
        unlock(cython.address(monitor))
    return limit


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def set_most(limit: uint32_t) -> cython.void:
    """Caller holds the lock."""
    global most
    most = limit


def thread_limit() -> int:
    """How many helper threads there may be for the processors that this thread may use."""
    if not POSSIBLE:
        return 0
    here: int = processors_here()
    if here > 1:
        here = processors.whole(here, processors.group_share())
    return max(0, min(here - 1, MOST_THREADS))


# ---- forks and the end -----------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def before_fork() -> cython.void:
    """No thread lives, and no visitor is in a piece."""
    global holds
    holds += 1
    end_threads()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_parent() -> cython.void:
    """Threads start where something is submitted: Python has still to count them."""
    global holds, missed
    holds -= 1
    if missed and not holds:
        missed = False
        staff()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_child() -> cython.void:
    """What waited for the lock or for us is not there. What is queued stays: its memory is there as well."""
    global holds, missed, forks
    holds = 1 if closed else 0
    missed = False
    forks += 1


def close() -> None:
    """End all threads, for good: the process is about to end, and what their pieces use goes."""
    global closed, holds
    with cython.nogil:
        lock(cython.address(monitor))
        if not closed:
            closed = True
            holds += 1
            end_threads()
        unlock(cython.address(monitor))


begin_monitor(cython.address(monitor), before_fork, after_fork_in_parent, after_fork_in_child)


# ---- for tests and reports -------------------------------------------------------------------------


def helper_status() -> dict[str, int]:
    """Threads: that may live (``limit``), that live, that rest, started so far; jobs queued, and pieces done so far."""
    return {
        "limit": most,
        "living": living,
        "resting": resting,
        "starts": starts,
        "queued": jobs.count,
        "pieces": pieces,
    }


def submit_at(address: int) -> bool:
    """``submit`` of the job at that address."""
    return submit(cython.cast(cython.pointer(Job), cython.cast(uintptr_t, address)))


def withdraw_at(address: int) -> bool:
    """``withdraw`` of the job at that address."""
    job: cython.pointer(Job) = cython.cast(cython.pointer(Job), cython.cast(uintptr_t, address))
    with cython.nogil:
        found: cython.bint = withdraw(job)
    return found


def offer_at(address: int) -> int:
    """``offer`` of the job at that address."""
    return offer(cython.cast(cython.pointer(Job), cython.cast(uintptr_t, address)))


def recall_at(address: int) -> None:
    """``recall`` of the job at that address."""
    recall(cython.cast(cython.pointer(Job), cython.cast(uintptr_t, address)))


def lend_at(address: int, ns: int) -> bool:
    """``lend`` of the job at that address."""
    job: cython.pointer(Job) = cython.cast(cython.pointer(Job), cython.cast(uintptr_t, address))
    limit: uint64_t = ns
    with cython.nogil:
        found: cython.bint = lend(job, limit)
    return found
