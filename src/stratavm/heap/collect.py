# strata: hot
"""How garbage is found: what is done in which order. Owns the collections; when they are due is ``pace``'s."""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.heap.check import check_references
from cython.cimports.stratavm.heap.mark import drain, mark_logged, mark_range
from cython.cimports.stratavm.heap.pace import (
    bytes_between,
    growth_allowed,
    next_born,
    next_nursery,
    next_rate,
    time_for_new,
)
from cython.cimports.stratavm.heap.pauses import ask_clock, go, new_note, spent_ns, stand, tell_of, turn
from cython.cimports.stratavm.heap.space import (
    clean,
    close_windows,
    forget_holes,
    free_new,
    free_unmarked,
)
from cython.cimports.stratavm.heap.state import (
    AT_CLEANING,
    AT_FREEING,
    AT_NEW,
    AT_OLD,
    AT_ROOTS,
    EPOCH,
    NOTE_GROWTH,
    NOTE_NURSERY,
    NOTE_SLICES,
    HeapState,
    add,
    lock,
    look_up_types,
    unlock,
)

FEW_OBJECTS = cython.declare(uint64_t, 8)


# ---- collections in one pause ----


def collect_garbage(state, full):
    """Find all that is reachable, or all new objects that are; the rest is free."""
    if state.collecting:
        return
    opened: cython.bint = stand(state, AT_CLEANING, True)
    if state.window.marking:
        go_on(state, 0)
    full |= state.lost
    stand_still(state)
    began: uint64_t = spent_ns(state)  # before, side bytes were cleaned and pages given back
    rooted: uint64_t = began
    if full:
        find_all(state)
    else:
        rooted = find_new(state)
    state.allocated = 0
    state.collections += 1
    add(cython.address(state.table.totals.collections), 1)
    add(cython.address(state.table.totals.minors), not full)
    if state.always:
        check_references(state)
    state.collecting = 0
    if not full and not state.fixed:
        size_nursery(state, rooted - began, spent_ns(state) - rooted)
    if opened:
        go(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def size_nursery(state: cython.pointer(HeapState), roots: uint64_t, took: uint64_t) -> cython.void:
    """How many bytes are handed out before the next look at new objects, after one that took so long behind its roots:
    of these there are as many however small the nursery is."""
    most: uint64_t = time_for_new(state.pause_ns, roots)
    size: uint64_t = next_nursery(state.nursery, took, most, state.rate)
    note: cython.pointer(uint64_t) = new_note(state, NOTE_NURSERY)
    tell_of(state, NOTE_NURSERY, state.nursery, took, state.rate, size)
    if note != cython.NULL:
        note[0], note[1], note[2], note[3], note[4] = state.nursery, took, most, size, state.rate
    state.nursery = size


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def allow_growth(state: cython.pointer(HeapState), born: uint64_t) -> cython.void:
    """How many bytes may grow old before the next full collection begins, and be handed out until that ends, after
    ``born`` bytes grew old since the last."""
    now: uint64_t = state.known_cpu_ns
    stood: uint64_t = state.stood_ns + spent_ns(state)
    passed: uint64_t = now - min(state.ended_cpu_ns, now)
    state.born = next_born(state.born, born, passed - min(stood - state.ended_stood_ns, passed))
    state.ended_cpu_ns, state.ended_stood_ns = now, stood
    if not state.generational:
        state.trigger = max(state.live_bytes, state.least)
        return
    if state.fixed:
        state.trigger = max(state.live_bytes // 1000 * state.factor, state.least)
        state.runway = state.trigger // 2
        return
    allowed: uint64_t = growth_allowed(state.live_bytes, state.born, state.rate, state.soft, state.share)
    note: cython.pointer(uint64_t) = new_note(state, NOTE_GROWTH)
    tell_of(state, NOTE_GROWTH, state.live_bytes, state.born, state.rate, allowed)
    if note != cython.NULL:
        note[0], note[1], note[2], note[3] = state.live_bytes, state.born, state.rate, state.soft
        note[4], note[5] = state.share, allowed
    state.trigger, state.runway = allowed // 3, allowed - allowed // 3


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def space_slices(state: cython.pointer(HeapState)) -> cython.void:
    """How many bytes are handed out before the next slice."""
    seen: uint64_t = state.grown - min(state.grown_before, state.grown)
    left: uint64_t = state.to_look_at - min(seen, state.to_look_at)
    runway: uint64_t = state.runway - min(state.allocated, state.runway)
    state.slice_bytes = bytes_between(left, state.rate, state.slice_ns, runway)
    state.next_slice = state.allocated + state.slice_bytes
    note: cython.pointer(uint64_t) = new_note(state, NOTE_SLICES)
    tell_of(state, NOTE_SLICES, left, state.rate, runway, state.slice_bytes)
    if note != cython.NULL:
        note[0], note[1], note[2] = left, state.rate, state.slice_ns
        note[3], note[4] = runway, state.slice_bytes


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def stand_still(state: cython.pointer(HeapState)) -> cython.void:
    """A collection begins, or a part of one."""
    ask_clock(state)
    state.collecting = 1
    look_up_types(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def find_all(state: cython.pointer(HeapState)) -> cython.void:
    """All that is reachable."""
    close_windows(state)
    next_number(state)
    memset(state.live, 0, state.n_blocks * 2)
    mark_roots(state)
    turn(state, AT_OLD)
    drain(state, 0, 0)
    all_is_known(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def find_new(state: cython.pointer(HeapState)) -> uint64_t:
    """New objects that are. What the pause had taken when the roots were known."""
    before: uint64_t = state.grown
    handles: uint64_t = state.n_handle_marks
    close_windows(state)
    state.n_handle_marks = 0  # old objects have handles too
    state.minors += 1
    state.only_new = 1
    mark_roots(state)
    rooted: uint64_t = spent_ns(state)
    state.only_new = 0
    turn(state, AT_NEW)
    mark_logged(state)
    drain(state, 0, 0)
    turn(state, AT_FREEING)
    free_new(state, state.grown - before)
    state.live_bytes += state.grown - before
    forget_holes(state)
    state.n_handle_marks = handles
    return rooted


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def next_number(state: cython.pointer(HeapState)) -> cython.void:
    """Nothing is known to be reachable; what has the last number was."""
    turn(state, AT_CLEANING)
    if state.epoch >= EPOCH - 1:  # the last one has been used before, and so have those from the first on
        clean(state, state.n_blocks)
    state.previous = state.epoch
    state.epoch = state.epoch % EPOCH + 1
    state.n_log = 0
    state.lost = 0
    if state.handle_marks != cython.NULL:
        memset(state.handle_marks, 0, state.n_handle_marks)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def mark_roots(state: cython.pointer(HeapState)) -> cython.void:
    """The guest's, and the host's."""
    turn(state, AT_ROOTS)
    state.n_later = state.later_at = 0
    if state.visit != cython.NULL:
        state.visit(state.owner, state)
    lock(cython.address(state.held_lock))
    mark_range(state, state.held, state.n_held)
    unlock(cython.address(state.held_lock))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def all_is_known(state: cython.pointer(HeapState)) -> cython.void:
    """What has not the number is free."""
    turn(state, AT_FREEING)
    state.previous = state.epoch
    free_unmarked(state)
    forget_holes(state)
    state.ends += 1
    if state.window.marking:
        allow_growth(state, state.grown_before + state.allocated)
    else:
        allow_growth(state, state.grown)
    state.grown = 0


# ---- full collections in slices ----


def begin_cycle(state):
    """Begin to find all that is reachable now; what is made meanwhile counts as reachable. No object is new."""
    stand_still(state)
    next_number(state)
    state.counts = state.spare
    memset(state.counts, 0, state.n_blocks * 2)
    mark_roots(state)
    state.window.marking = 1
    state.grown_before, state.to_look_at = state.grown, state.live_bytes
    space_slices(state)
    state.collecting = 0


def go_on(state, budget_ns):
    """A slice, until the pause at hand has taken so long, or with 0 all that is left."""
    before: uint64_t = state.grown
    stand_still(state)
    turn(state, AT_OLD)
    if budget_ns == 0:
        drain(state, 0, 0)
    elif not drain(state, FEW_OBJECTS if state.always else 0, budget_ns):
        state.slices += 1
        state.rate = next_rate(state.rate, state.grown - before, spent_ns(state))
        space_slices(state)
        state.collecting = 0
        return
    close_windows(state)
    state.spare, state.live, state.counts = state.live, state.counts, state.counts
    all_is_known(state)
    state.window.marking = 0
    state.allocated = 0
    state.collections += 1
    state.cycles += 1
    add(cython.address(state.table.totals.collections), 1)
    add(cython.address(state.table.totals.cycles), 1)
    if state.always:
        check_references(state)
    state.collecting = 0


def work_for(state, budget_ns):
    """Collect for so long, with all roots known: go on with what is under way, or begin. Whether something is left."""
    opened: cython.bint = stand(state, AT_CLEANING, True)
    ask_clock(state)
    if not state.window.marking and (state.allocated or state.grown):
        collect_garbage(state, not state.incremental)
        if state.incremental:
            begin_cycle(state)
    if state.window.marking and spent_ns(state) < budget_ns:
        go_on(state, budget_ns)
    left: cython.bint = state.window.marking
    if opened:
        go(state)
    return left
