# strata: hot
"""How long guests stand still, and for what. Owns the clocks and the journal; what is done meanwhile is others'.

A pause is all that a call into the heap does before the guest goes on, in the thread's processor time, but no more than
the wall's: on a busy machine the clock on the wall measures the others, and on a virtual one that of a thread may jump
by what the host took before (ADR-0085). Asking for the thread's may take two microseconds, so that of an
allocation that collects nothing only the clock on the wall is asked, and that counts as a pause from 20 on; but where
there is a journal each is measured.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.posix.time import (
    CLOCK_MONOTONIC,
    CLOCK_THREAD_CPUTIME_ID,
    clock_gettime,
    clockid_t,
    timespec,
)
from cython.cimports.stratavm.base.bits import bits_of
from cython.cimports.stratavm.base.events.ring import ring_record, ring_record_wide
from cython.cimports.stratavm.heap.state import (
    BLOCK_SHIFT,
    LONG_ONES,
    NOTE_PAUSE,
    PARTS,
    VALUES,
    HeapState,
    Note,
    Pause,
    Totals,
    add,
    raise_to,
)
from cython.cimports.stratavm.heap.turns import let_on

LEAST_NS = cython.declare(uint64_t, 20_000)
"""Shorter waits for room are none."""
LONG_NS = cython.declare(uint64_t, 1_000_000)
"""Pauses from here on are remembered one by one."""


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def clock_ns(which: clockid_t) -> uint64_t:
    """What a clock says."""
    now: timespec
    clock_gettime(which, cython.address(now))
    return cython.cast(uint64_t, now.tv_sec) * 1000000000 + now.tv_nsec


def thread_ns():
    """What this thread's clock says: its processor time."""
    return clock_ns(CLOCK_THREAD_CPUTIME_ID)


def wall_ns():
    """What the clock on the wall says."""
    return clock_ns(CLOCK_MONOTONIC)


def stand(state, part, exact):
    """The guest stands still from here on, for ``part``; false: it does already, and ``go`` is another's to say.
    ``exact``: by the thread's clock, and it is a pause however short. Where there is a journal that clock is asked for
    each, as it says of a wait for room, if that is long enough to be one."""
    pause: cython.pointer(Pause) = cython.address(state.pause)
    if pause.standing:
        turn(state, part)
        return False
    memset(pause, 0, cython.sizeof(Pause))
    pause.standing = 1
    pause.part, pause.collects = part, exact
    pause.began_ns = pause.turned_ns = wall_ns()
    if exact or state.journal != cython.NULL:
        pause.exact = 1
        pause.began_cpu_ns = state.known_cpu_ns = thread_ns()
    return True


def ask_clock(state):
    """From here on by the thread's clock, and it is a pause however short."""
    pause: cython.pointer(Pause) = cython.address(state.pause)
    pause.collects = 1
    if not pause.exact:
        pause.exact = 1
        before: uint64_t = state.known_cpu_ns
        pause.began_cpu_ns = state.known_cpu_ns = thread_ns()
        pause.before_ns = min(wall_ns() - pause.began_ns, state.known_cpu_ns - before)


def turn(state, part):
    """And now for another part."""
    pause: cython.pointer(Pause) = cython.address(state.pause)
    now: uint64_t = wall_ns()
    pause.parts_ns[pause.part] += now - pause.turned_ns
    pause.turned_ns, pause.part = now, part


def go(state):
    """The guest goes on, and a thread that makes marks may. How long it stood: by the thread's clock, if it was
    asked."""
    pause: cython.pointer(Pause) = cython.address(state.pause)
    if state.guest_has:
        let_on(state)
    turn(state, pause.part)
    pause.standing = 0
    wall: uint64_t = pause.turned_ns - pause.began_ns
    took: uint64_t
    now: uint64_t
    if wall < LEAST_NS and not pause.collects:
        return wall
    if pause.exact:
        took = min(wall, spent_ns(state))
    else:  # what the thread has had since its clock was asked last cannot be less
        now = thread_ns()
        took = min(wall, now - state.known_cpu_ns)
        state.known_cpu_ns = now
    state.stood_ns += took
    state.longest_ns = max(state.longest_ns, took)
    state.most_ns = max(state.most_ns, took)
    state.pauses[bits_of(took) - 1] += 1
    add_up(state, took)
    used: uint64_t = cython.cast(uint64_t, state.used_blocks) << BLOCK_SHIFT
    if state.ring != cython.NULL:
        ring_record(state.ring, state.cell, state.numbers[NOTE_PAUSE], took, wall, used, state.live_bytes)
    tell(state, new_note(state, NOTE_PAUSE), took)
    if took >= LONG_NS:
        state.long_ones[state.n_long % LONG_ONES].at_ns = pause.turned_ns
        tell(state, cython.cast(cython.pointer(uint64_t), state.long_ones[state.n_long % LONG_ONES].values), took)
        state.n_long += 1
    return took


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def add_up(state: cython.pointer(HeapState), took: uint64_t) -> cython.void:
    """What the engine's heaps come to has this pause, and what this heap has now."""
    if not state.in_totals:
        return
    totals: cython.pointer(Totals) = cython.address(state.table.totals)
    used: uint64_t = cython.cast(uint64_t, state.used_blocks) << BLOCK_SHIFT
    add(cython.address(totals.pauses), 1)
    add(cython.address(totals.stood_ns), took)
    raise_to(cython.address(totals.longest_ns), took)
    add(cython.address(totals.used), used - state.told_used)
    add(cython.address(totals.live), state.live_bytes - state.told_live)
    state.told_used, state.told_live = used, state.live_bytes


def tell_decision(state, kind, values):
    """Record what was decided with all that it was made of, as an event if somebody hears it, and in the journal if
    somebody reads it."""
    if state.ring != cython.NULL:
        ring_record_wide(state.ring, state.cell, state.numbers[kind], cython.cast(cython.pointer(int64_t), values))
    note: cython.pointer(uint64_t) = new_note(state, kind)
    if note != cython.NULL:
        memcpy(note, values, VALUES * 8)


def spent_ns(state):
    """What the pause at hand has taken so far, after ``ask_clock``."""
    state.known_cpu_ns = thread_ns()
    return state.known_cpu_ns - state.pause.began_cpu_ns + state.pause.before_ns


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def tell(state: cython.pointer(HeapState), values: cython.pointer(uint64_t), took: uint64_t) -> cython.void:
    """Note the pause that has just ended."""
    at: uint32_t
    if values == cython.NULL:
        return
    values[0], values[1] = took, state.pause.turned_ns - state.pause.began_ns
    values[2], values[3] = cython.cast(uint64_t, state.used_blocks) << BLOCK_SHIFT, state.live_bytes
    for at in range(PARTS):
        values[4 + at] = state.pause.parts_ns[at]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def new_note(state: cython.pointer(HeapState), kind: uint64_t) -> cython.pointer(uint64_t):
    """Where to write the values of a note, all 0; NULL: nobody reads them. The oldest that nobody read goes."""
    note: cython.pointer(Note)
    if state.journal == cython.NULL:
        return cython.cast(cython.pointer(uint64_t), cython.NULL)
    note = state.journal + state.n_journal % state.room_journal
    state.n_journal += 1
    note.kind, note.at_ns = kind, wall_ns()
    memset(note.values, 0, cython.sizeof(note.values))
    return cython.cast(cython.pointer(uint64_t), note.values)


def out_of_time(state, budget_ns):
    """Whether the pause has taken so much of a processor: asked of the thread's clock only when the clock on the wall
    says so."""
    passed: uint64_t = wall_ns() - state.pause.began_ns
    return passed >= budget_ns + state.pause.slack_ns and is_spent(state, budget_ns, passed)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_spent(state: cython.pointer(HeapState), budget_ns: uint64_t, passed: uint64_t) -> cython.bint:
    """By the thread's clock; what others had of its processor meanwhile does not count from here on."""
    took: uint64_t = spent_ns(state)
    state.pause.slack_ns = passed - min(took, passed)
    return took >= budget_ns
