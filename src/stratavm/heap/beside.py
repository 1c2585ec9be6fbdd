# strata: hot
"""A thread that makes the marks of a full collection beside the guest, on another processor (ADR-0099).

It looks at objects as slices do, with a stack of its own, whatever the guest does meanwhile, its pauses included: side
bytes are written whole, and who marks an object that the other has marked just now looks at it once more. Guests do all
else: looks at new objects, roots, ends, and slices where the thread does not keep up. What they write meanwhile is
noted as it is for slices, so that it is no matter what the thread has seen of it.

``hold`` is for what both have: the thread takes objects from the guest's stack, and gives some back, where the guest
wants to look at some or all is to end in a pause.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc
from cython.cimports.libc.string import memcpy, memmove, memset
from cython.cimports.posix.unistd import getpid
from cython.cimports.stratavm.heap.mark import drain_beside, look_at_later, put_back, put_part_back, take_waiting
from cython.cimports.stratavm.heap.pace import next_rate, rests_next
from cython.cimports.stratavm.heap.pauses import tell_decision, thread_ns, wall_ns
from cython.cimports.stratavm.heap.state import (
    HEAD_ARRAYS,
    HEAD_STACK,
    NOTE_BESIDE,
    VALUES,
    WAITING,
    HeapState,
    sliced_of,
)
from cython.cimports.stratavm.heap.threads import begin_thread
from cython.cimports.stratavm.heap.turns import (
    be_orphaned,
    give,
    have,
    let_on,
    put,
    see,
    sleep_at,
    wait_for_turn,
    wake_at,
    want_no_more,
)

LITTLE = cython.declare(uint64_t, 1 << 18)
"""Bytes that are left to look at for which no thread is begun."""
SOME = cython.declare(uint32_t, 8192)
"""Objects that change hands at once, at most: a few microseconds."""

MANY = cython.declare(uint32_t, 16384)
STARVED = cython.declare(uint64_t, 1_000_000_000)
"""Nanoseconds in which a thread that got no processor has done nothing, as far as its rests go."""

threads = cython.declare(uint64_t, 0)


# ---- of the guest's thread, in a pause ----


def begin_beside(state):
    """A full collection has begun, or goes on: where it has much to do, and processors for it, a thread helps. The
    guest has the stack, and lets go of it as it goes on."""
    whole: uint64_t = state.to_look_at
    if whole < state.beside_least or whole - min(sliced_of(state), whole) < min(state.beside_least, LITTLE):
        return
    if state.beside_most == 0 or state.beside_resting or see(cython.address(state.beside)) or not has_shadow(state):
        return
    state.beside_process = getpid()
    if not count_thread(cython.address(threads), state.beside_process, state.beside_most):
        return
    state.guest_has = 1
    state.beside_called = state.beside_ends = state.hungry = 0
    put(cython.address(state.claimed), 1)
    put(cython.address(state.had), 1)
    put(cython.address(state.beside), 1)
    if not begin_thread(make_marks, state):
        discount_thread(cython.address(threads), state.beside_process)
        put(cython.address(state.beside), 0)
        let_on(state)
        state.beside_resting = 1  # nobody asks again before the next


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def has_shadow(state: cython.pointer(HeapState)) -> cython.bint:
    """The heap as a thread sees it; false: there is no memory for it."""
    shadow: cython.pointer(HeapState) = state.shadow
    if shadow == cython.NULL:
        shadow = state.shadow = cython.cast(cython.pointer(HeapState), calloc(1, cython.sizeof(HeapState)))
    if shadow == cython.NULL:
        return False
    memcpy(shadow, state, cython.sizeof(HeapState))
    shadow.shadow = cython.NULL
    shadow.stack, shadow.parts = state.beside_stack, state.beside_parts
    shadow.waiting, shadow.counts = state.beside_waiting, state.beside_counts
    shadow.n_stack = shadow.n_parts = shadow.overflowed = shadow.work = shadow.waiting_at = 0
    shadow.limit_stack, shadow.limit_parts = min(state.most_stack, cython.cast(uint32_t, HEAD_STACK)), HEAD_ARRAYS
    shadow.n_later = shadow.later_at = shadow.looked_at = 0
    return True


def is_helped(state, whole):
    """Whether the next full collection, which looks at so many bytes, will have a thread that helps."""
    has_one: cython.bint = state.beside_most != 0 and state.beside_resting == 0 and state.beside_missed == 0
    return has_one and whole >= state.beside_least


def end_beside(state):
    """The guest goes on without a thread, which gives back what it has to look at."""
    if see(cython.address(state.beside)) == 0:
        return
    if state.beside_process != cython.cast(uint64_t, getpid()):
        be_orphaned(state)
        return
    put(cython.address(state.beside_ends), 1)
    put(cython.address(state.beside_called), 1)
    if state.guest_has:
        let_on(state)
    want_no_more(cython.address(state.claimed))
    while see(cython.address(state.beside)) == 1:
        sleep_at(cython.address(state.beside), 1)
    while see(cython.address(state.beside)) == 2:
        sleep_at(cython.address(state.beside), 2)


def do_without(state):
    """A thread has had all that is left for too long, as it gets no processor: the guest waits for it, which gives it
    one, and makes the other marks. This collection has none any more, nor have the next, but where each is to have
    one."""
    end_beside(state)
    state.beside_given_up = 1
    decide_rests(state, 0, STARVED)
    state.beside_resting += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def decide_rests(state: cython.pointer(HeapState), took_ns: uint64_t, wall_ns: uint64_t) -> cython.void:
    """How many collections have no thread after one that has had so much of a processor in so long, and tell it."""
    note: uint64_t[VALUES]
    memset(note, 0, cython.sizeof(note))
    note[0], note[1], note[2] = state.beside_sliced, state.beside_ns, state.beside_wall_ns
    note[3] = state.beside_rests
    state.beside_rests = rests_next(state.beside_rests, took_ns, wall_ns)
    note[4], note[5] = state.beside_rests, state.beside_given_up
    state.beside_resting = state.beside_rests if state.beside_least else 0  # all are wanted to have one
    tell_decision(state, NOTE_BESIDE, note)


def forget_beside(state):
    """A full collection in slices begins: no thread has looked at anything."""
    if state.beside_most:
        memset(state.beside_counts, 0, state.n_blocks * 2)
        memset(state.beside_waiting, 0, state.n_blocks)  # what a thread left that another process has
        state.beside_sliced = state.beside_ns = state.beside_wall_ns = 0
        state.beside_given_up = 0


def add_beside(state):
    """It ends, and what threads have looked at is the same as what slices have. Whether the next has one is decided."""
    block: uint32_t
    had_none: cython.bint = state.beside_sliced == 0
    rested: cython.bint = state.beside_resting != 0
    state.beside_resting -= rested
    state.beside_missed = had_none and not rested and state.to_look_at >= state.beside_least
    if had_none:
        return
    for block in range(state.n_blocks):
        state.counts[block] += state.beside_counts[block]
    if not state.beside_given_up:  # else it was told then
        decide_rests(state, state.beside_ns, state.beside_wall_ns)
    state.sliced += state.beside_sliced
    state.beside_bytes += state.beside_sliced
    state.rate = next_rate(state.rate, state.beside_sliced, state.beside_ns)
    state.beside_sliced = 0


# ---- of the other ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def make_marks(given: cython.p_void) -> cython.p_void:
    """Look at objects until nobody has any, or the guest has an end with it."""
    state: cython.pointer(HeapState) = cython.cast(cython.pointer(HeapState), given)
    process: uint64_t = state.beside_process
    going: cython.bint = True
    while going:
        look_at_own(state, state.shadow)
        if not see(cython.address(state.beside_ends)):
            wait_for_turn(cython.address(state.claimed))
        have(cython.address(state.had))
        put(cython.address(state.beside_called), 0)
        if not state.marking or see(cython.address(state.beside_ends)):
            give_all(state, state.shadow)
            going = False
        elif state.hungry:
            give_some(state, state.shadow)
        elif is_at_end(state.shadow):
            going = take_some(state, state.shadow)
            state.closing = not going
        if not going:
            put(cython.address(state.beside), 2)
        give(cython.address(state.had))
    discount_thread(cython.address(threads), process)
    put(cython.address(state.beside), 0)  # from here on the heap may be no more
    wake_at(cython.address(state.beside))
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_at_own(state: cython.pointer(HeapState), shadow: cython.pointer(HeapState)) -> cython.void:
    """Look at what the thread has, until nothing is left or it is called."""
    began_ns: uint64_t = wall_ns()
    began: uint64_t = thread_ns()
    drain_beside(shadow, cython.address(state.beside_called), cython.address(state.beside_sliced))
    state.beside_ns += thread_ns() - began
    state.beside_wall_ns += wall_ns() - began_ns


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_at_end(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether there is nothing to look at."""
    return state.n_stack == 0 and state.n_parts == 0 and state.overflowed == 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def take_some(state: cython.pointer(HeapState), shadow: cython.pointer(HeapState)) -> cython.bint:
    """Take half of what the guest has on its stack, and some of what is not there yet, or none where the guest is
    waiting. False: there is nothing."""
    shadow.types, shadow.extent, shadow.n_blocks = state.types, state.extent, state.n_blocks
    while state.n_stack == 0:
        if state.n_parts:
            state.n_parts -= 1
            shadow.parts[shadow.n_parts] = state.parts[state.n_parts]
            shadow.n_parts += 1
            return True
        if state.overflowed:
            take_waiting(state)
        elif state.later_at < state.n_later:
            look_at_later(state)
        else:
            return False
        if see(cython.address(state.claimed)):
            return True
    pass_on(state, shadow, (state.n_stack + 1) // 2)
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def give_some(state: cython.pointer(HeapState), shadow: cython.pointer(HeapState)) -> cython.void:
    """Give the guest half of what the thread has."""
    state.hungry = 0
    pass_on(shadow, state, shadow.n_stack // 2)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def pass_on(giver: cython.pointer(HeapState), taker: cython.pointer(HeapState), count: uint32_t) -> cython.void:
    """Put so many entries of a stack, or fewer, on another: those that lie there for longest, which lead to most,
    unless there are very many."""
    first: uint32_t = 0
    count = min(min(count, cython.cast(uint32_t, SOME)), taker.limit_stack - min(taker.n_stack, taker.limit_stack))
    if giver.n_stack > MANY:
        first = giver.n_stack - count
    memcpy(taker.stack + taker.n_stack, giver.stack + first, 4 * count)
    taker.n_stack += count
    giver.n_stack -= count
    if first == 0:
        memmove(giver.stack, giver.stack + count, 4 * giver.n_stack)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def give_all(state: cython.pointer(HeapState), shadow: cython.pointer(HeapState)) -> cython.void:
    """Give the guest all that the thread has to look at."""
    block: uint32_t
    while shadow.n_stack:
        shadow.n_stack -= 1
        put_back(state, shadow.stack[shadow.n_stack])
    while shadow.n_parts:
        shadow.n_parts -= 1
        put_part_back(state, shadow.parts[shadow.n_parts].granule, shadow.parts[shadow.n_parts].index)
    if shadow.overflowed == 0:
        return
    for block in range(shadow.n_blocks):
        if shadow.waiting[block]:
            shadow.waiting[block] = 0
            state.overflowed += state.waiting[block] & WAITING == 0
            state.waiting[block] |= WAITING
    shadow.overflowed = 0
