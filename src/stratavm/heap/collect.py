# strata: hot
"""How garbage is found: what is done in which order. Owns the collections; when they are due is ``pace``'s."""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.heap.beside import (
    add_beside,
    begin_beside,
    do_without,
    end_beside,
    forget_beside,
    is_helped,
)
from cython.cimports.stratavm.heap.check import check_references
from cython.cimports.stratavm.heap.mark import (
    drain,
    forget_logged,
    hand_over,
    look_at_rewritten,
    mark_fresh,
    mark_logged,
    mark_range,
)
from cython.cimports.stratavm.heap.pace import (
    ALL_OF_TIME,
    averaged,
    bytes_between,
    bytes_near,
    due_after,
    due_near,
    growth_allowed,
    is_left_beside,
    next_born,
    next_keeping,
    next_nursery,
    next_rate,
    nursery_near,
    rests_shortly,
    runway_beside,
    runway_near,
    runway_within,
    share_beside,
    time_for_new,
    time_to_look,
)
from cython.cimports.stratavm.heap.pauses import ask_clock, go, spent_ns, stand, tell_decision, turn
from cython.cimports.stratavm.heap.space import (
    clean,
    close_windows,
    forget_holes,
    free_new,
    free_unmarked,
    room_left,
    spoil_fresh,
)
from cython.cimports.stratavm.heap.state import (
    AT_CLEANING,
    AT_FREEING,
    AT_NEW,
    AT_OLD,
    AT_ROOTS,
    BLOCK_GRANULES,
    EPOCH,
    HEAD_ARRAYS,
    NOTE_GROWTH,
    NOTE_KEPT,
    NOTE_NURSERY,
    NOTE_SLICES,
    VALUES,
    WAITING,
    WAITING_NEW,
    HeapState,
    add,
    lock,
    look_up_types,
    sliced_of,
    unlock,
)
from cython.cimports.stratavm.heap.turns import hold, see

FEW_OBJECTS = cython.declare(uint64_t, 8)
FEW_TRIES = cython.declare(uint32_t, 8)
"""So often a full collection in slices may meet too much at its end, before more time is taken for that."""
MOST_TRIES = cython.declare(uint32_t, 127)
CLEANED = cython.declare(uint32_t, 16)
"""Blocks whose side bytes are cleaned between two looks at the clock: that takes some ten microseconds."""
LEAST_GUEST_NS = cython.declare(uint64_t, 10_000)
"""Less of a guest's time says nothing of how much it makes."""

Look = cython.struct(
    brief=cython.bint, roots=uint64_t, most=uint64_t, keeping=uint64_t, budget=uint64_t, given_up=cython.bint
)
"""At new objects: whether it may be given up, and in the end what its roots took, what they have left of the pause, how
much of that it had, since so many bytes are kept in a microsecond, and whether it was."""


# ---- collections in one pause ----


def collect_garbage(state, full):
    """Find all that is reachable, or all new objects that are; the rest is free. What goes on in slices comes to its
    end before the first, and may with the second."""
    if not state.collecting:
        find_garbage(state, full, False)


def collect_new(state):
    """The same of new objects, but where that takes longer than a pause may all of them count as reachable."""
    if not state.collecting:
        find_garbage(state, False, True)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def find_garbage(state: cython.pointer(HeapState), full: cython.bint, brief: cython.bint) -> cython.void:
    """Find what is reachable, of all or of what is new; ``brief``: a look at that may be given up."""
    opened: cython.bint = stand(state, AT_CLEANING, True)
    look: Look
    hold(state)
    full |= state.lost
    if full and state.marking:
        end_beside(state)
        if state.lost:
            abandon(state)
        else:
            finish(state)
    stand_still(state)
    began: uint64_t = spent_ns(state)  # before, side bytes were cleaned and pages given back
    made: uint64_t = state.allocated
    large: uint64_t = state.allocated_large
    took: uint64_t
    if full:
        find_all(state)
        count_collection(state)
    else:
        look.brief = brief and not state.fixed
        find_new(state, cython.address(look))
        took = spent_ns(state) - began
        measure(state, took)
        if not state.fixed and not (state.closing and 2 * made < state.nursery):  # of few objects it says nothing
            size_nursery(state, cython.address(look), made, large, took - min(look.roots, took))
        if state.closing:
            close_cycle(state)
    if state.always:
        check_references(state)
    state.collecting = 0
    if opened:
        go(state)


def keep_new(state):
    """All that is new grows old without a look at it, and so without roots: what goes on in slices does not end."""
    opened: cython.bint = stand(state, AT_NEW, True)
    stand_still(state)
    began: uint64_t = spent_ns(state)
    turn(state, AT_NEW)
    note: uint64_t[VALUES]
    memset(note, 0, cython.sizeof(note))
    note[0], note[1], note[2], note[3] = state.allocated, state.survival, state.tenured, state.n_log
    tell_decision(state, NOTE_KEPT, note)
    tenure(state)
    state.tenured += 1
    measure(state, spent_ns(state) - began)
    if state.always:
        check_references(state)
    state.collecting = 0
    if opened:
        go(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def tenure(state: cython.pointer(HeapState)) -> cython.void:
    """What is new counts as reachable, and is old."""
    close_windows(state)
    kept: uint64_t = keep_rest(state)
    state.grown += kept
    state.live_bytes += kept
    forget_made(state)
    forget_holes(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def keep_rest(state: cython.pointer(HeapState)) -> uint64_t:
    """What is new and was not looked at is old from here on; how many bytes that are. Nothing is new then, so that no
    word of an old object has to be noted. While a full collection goes on in slices what it refers to is reachable too,
    and what was written into old objects: slices never come to what has its mark."""
    kept: uint64_t = mark_fresh(state)
    spoil_fresh(state)
    forget_logged(state)
    return kept


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def count_collection(state: cython.pointer(HeapState)) -> cython.void:
    """One more has ended."""
    state.collections += 1
    add(cython.address(state.table.totals.collections), 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def measure(state: cython.pointer(HeapState), took: uint64_t) -> cython.void:
    """What a guest makes in its time, and what looks at new objects take besides, after one that took so long."""
    now: uint64_t = state.pause.began_cpu_ns - min(state.pause.before_ns, state.pause.began_cpu_ns)
    passed: uint64_t = now - min(state.looked_cpu_ns, now)
    guest: uint64_t = passed - min(state.stood_ns - state.looked_stood_ns, passed)
    handed: uint64_t = state.handed - state.handed_large  # large objects are zeroed in pauses, not in its time
    made: uint64_t = handed - state.handed_before
    if state.looked_cpu_ns and guest >= LEAST_GUEST_NS:
        state.speed = averaged(state.speed, made * 1000 // (guest // 1000))
        state.looking = averaged(state.looking, took * 1000 // guest)
    state.looked_cpu_ns, state.looked_stood_ns, state.handed_before = now, state.stood_ns, handed


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def size_nursery(
    state: cython.pointer(HeapState), look: cython.pointer(Look), made: uint64_t, large: uint64_t, took: uint64_t
) -> cython.void:
    """How many bytes are handed out before the next look at new objects, after one at so many, of which so many were of
    large objects, that took so long behind its roots: of these there are as many however small the nursery is."""
    kept_ns: uint64_t = took - min(look.budget, took) if look.given_up else 0
    state.keeping = next_keeping(look.keeping, made, kept_ns, look.most, large)
    size: uint64_t = next_nursery(
        state.nursery, took, look.most, state.rate, state.keeping, look.given_up, made, large, state.survival
    )
    room: uint64_t = room_left(state)
    size = nursery_near(size, room)
    note: uint64_t[VALUES]
    note[0], note[1], note[2], note[3], note[4] = state.nursery, took, look.most, size, state.rate
    note[5], note[6], note[7], note[8] = look.keeping, look.given_up, made, look.budget
    note[9], note[10], note[11], note[12], note[13] = room, large, state.keeping, look.roots, state.pause_ns
    note[14], note[15] = state.survival, 0
    tell_decision(state, NOTE_NURSERY, note)
    state.nursery = size


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def allow_growth(state: cython.pointer(HeapState), live: uint64_t) -> cython.void:
    """How many bytes may grow old before the next full collection begins, and until that ends, after one that found
    ``live`` bytes reachable: of what was made while it went on nobody knows how much is."""
    now: uint64_t = state.known_cpu_ns
    stood: uint64_t = state.stood_ns + spent_ns(state)
    passed: uint64_t = now - min(state.ended_cpu_ns, now)
    state.born = next_born(state.born, state.grown, passed - min(stood - state.ended_stood_ns, passed))
    state.ended_cpu_ns, state.ended_stood_ns = now, stood
    if not state.generational:
        state.trigger = max(state.live_bytes, state.least)
        return
    if state.fixed:
        state.trigger = max(state.live_bytes // 1000 * state.factor, state.least)
        state.runway = state.trigger // 2
        return
    helped: cython.bint = state.incremental and is_helped(state, live)
    alone: cython.bint = state.incremental and not helped and state.beside_most != 0
    rests: cython.bint = alone and rests_shortly(state.beside_resting, state.beside_rests)
    allowed: uint64_t = growth_allowed(live, state.born, state.rate, state.soft, state.share, helped, alone)
    guests: uint64_t = ALL_OF_TIME
    runway: uint64_t
    if helped:
        runway = runway_beside(allowed, live, state.rate, state.survival, state.speed)
    else:
        guests = share_beside(live, state.rate, 0, 0, state.survival, state.speed, state.looking, False, rests)
        runway = runway_within(
            allowed, live, state.rate, state.slice_ns, state.survival, state.speed, state.looking, guests
        )
    trigger: uint64_t = due_after(allowed, runway, live, state.rate, state.survival, state.speed, state.looking, guests)
    room: uint64_t = room_near(state)
    if state.incremental:
        runway = runway_near(runway, room, live, state.rate, state.slice_ns, state.survival, state.speed, state.looking)
        trigger = due_near(trigger, runway, room)
    note: uint64_t[VALUES]
    note[0], note[1], note[2], note[3], note[4] = live, state.born, state.rate, state.soft, state.share
    note[5], note[6], note[7] = allowed, state.grown_before, state.grown
    note[8], note[9], note[10] = room, runway, trigger
    note[11], note[12], note[13] = state.survival, state.speed, state.looking
    note[14], note[15] = state.slice_ns, state.incremental + helped + 3 * alone - rests
    tell_decision(state, NOTE_GROWTH, note)
    state.runway, state.trigger = runway, trigger


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def room_near(state: cython.pointer(HeapState)) -> uint64_t:
    """Bytes that may grow old below the limit. A nursery is made before anybody sees that slices should begin, and
    another one between the last of them and the end."""
    room: uint64_t = room_left(state)
    return room - min(2 * state.nursery, room)


def space_slices(state):
    """How many bytes are handed out before the next slice, and whether that is left to a thread beside the guest, which
    may be looking at objects just now."""
    sliced: uint64_t = sliced_of(state)
    helped: cython.bint = see(cython.address(state.beside)) == 1
    rests: cython.bint = not helped and rests_shortly(state.beside_resting, state.beside_rests)
    left: uint64_t = state.to_look_at - min(sliced, state.to_look_at)
    grown: uint64_t = state.grown - state.grown_before
    runway: uint64_t = state.runway - min(grown, state.runway)
    guests: uint64_t = share_beside(
        state.to_look_at, state.rate, state.runway, grown, state.survival, state.speed, state.looking, helped, rests
    )
    between: uint64_t = bytes_between(
        left, state.rate, state.slice_ns, runway, state.survival, state.speed, state.looking, guests
    )
    unseen: uint64_t = state.live_bytes - min(grown + sliced, state.live_bytes)
    room: uint64_t = room_near(state)
    state.slice_bytes = bytes_near(
        between, left, unseen, state.rate, state.slice_ns, state.survival, state.speed, state.looking, room
    )
    state.next_slice = state.handed + state.allocated + state.slice_bytes
    state.left_beside = helped and is_left_beside(left, state.to_look_at, grown, between, state.slice_bytes)
    note: uint64_t[VALUES]
    note[0], note[1], note[2], note[3], note[4] = left, state.rate, state.slice_ns, runway, state.slice_bytes
    note[5], note[6], note[7], note[8] = state.survival, state.speed, state.looking, guests
    note[9], note[10], note[11], note[12], note[13] = unseen, room, state.to_look_at, state.runway, grown
    note[14], note[15] = helped + 2 * rests, state.left_beside
    tell_decision(state, NOTE_SLICES, note)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def stand_still(state: cython.pointer(HeapState)) -> cython.void:
    """A collection begins, or a part of one. The stack is the guest's until it goes on."""
    hold(state)
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
    state.wanted = 1 | 1 << state.previous  # what is new has no number, which is 0
    state.gray, state.unfound = WAITING, EPOCH + 1
    state.limit_stack, state.limit_parts = state.most_stack, HEAD_ARRAYS
    memset(state.live, 0, state.n_blocks * 2)
    mark_roots(state)
    turn(state, AT_OLD)
    drain(state, 0, 0)
    forget_made(state)
    all_is_known(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def find_new(state: cython.pointer(HeapState), look: cython.pointer(Look)) -> cython.void:
    """New objects that are. While a full collection goes on in slices new objects that are reachable have its number,
    its stack and its objects that wait stay as they are, and old ones that are met come to these: slices have been in
    what refers to them, or never will be."""
    before: uint64_t = state.looked_at
    handles: uint64_t = state.n_handle_marks
    waiting: uint32_t = state.overflowed
    survived: uint64_t
    large: uint64_t
    began: uint64_t = spent_ns(state)
    close_windows(state)
    if not state.marking:
        state.n_handle_marks = 0  # old objects have handles too
    look_for_new(state)
    state.overflowed = 0
    state.only_new = 1
    turn(state, AT_ROOTS)
    looked: uint64_t = state.pause.parts_ns[AT_NEW]
    mark_roots(state)
    looked = state.pause.parts_ns[AT_NEW] - looked  # at new objects, for words of stacks that may point to one
    turn(state, AT_NEW)
    look.roots = spent_ns(state) - began
    look.roots -= min(looked, look.roots)
    look.most = time_for_new(state.pause_ns, look.roots)
    look.keeping = state.keeping
    look.budget = time_to_look(look.most, state.allocated, look.keeping)
    look.given_up = not (look_briefly(state, began + look.roots + look.budget) if look.brief else look_at_new(state))
    state.only_new = 0
    if look.given_up:
        state.n_stack, state.n_parts = state.floor_stack, state.floor_parts
    state.overflowed = waiting
    look_for_old(state)
    hand_over(state)
    if look.given_up:
        survived, large = keep_rest(state) + state.looked_at - before, state.allocated_large
    else:
        turn(state, AT_FREEING)
        survived = state.looked_at - before
        large = free_new(state, survived)
    small: uint64_t = survived - min(large, survived)
    made: uint64_t = state.allocated - state.allocated_large
    state.grown += survived
    state.live_bytes += survived
    if 2 * made >= state.nursery:  # of less it says nothing
        state.surviving = averaged(state.surviving, small * 1_000_000 // max(made, 1))
        state.survival = (state.surviving + 999) // 1000
    forget_made(state)
    forget_holes(state)
    state.n_handle_marks = handles
    state.tenured = 0
    state.minors += 1
    add(cython.address(state.table.totals.minors), 1)
    count_collection(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_at_new(state: cython.pointer(HeapState)) -> cython.bint:
    """All that the roots and what was noted lead to."""
    return mark_logged(state, 0) and drain(state, 0, 0)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_briefly(state: cython.pointer(HeapState), budget_ns: uint64_t) -> cython.bint:
    """The same until the pause has taken so long: whether that is all. With an object for each collection some are
    given up behind the roots, and some behind the first object."""
    if state.always and state.collections % 5 == 3:
        return False
    return mark_logged(state, budget_ns) and drain(state, state.always and state.collections % 5 == 4, budget_ns)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_for_new(state: cython.pointer(HeapState)) -> cython.void:
    """From here on what is new is marked, which has no number; old ones that slices have not found are met."""
    state.wanted, state.gray = 1, WAITING_NEW
    state.unfound = state.previous if state.marking else EPOCH + 1
    state.floor_stack, state.floor_parts = state.n_stack, state.n_parts
    state.limit_stack, state.limit_parts = max(state.most_stack, state.n_stack + 1), HEAD_ARRAYS


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_for_old(state: cython.pointer(HeapState)) -> cython.void:
    """From here on what is old and was not reached is marked. What is new is not, or an object would count as old, with
    its number, that waits to be looked at while nobody keeps what it refers to. A quarter of the stack is left to looks
    at new objects."""
    state.wanted, state.gray, state.unfound = 1 << state.previous, WAITING, EPOCH + 1
    state.floor_stack = state.floor_parts = 0
    state.limit_stack = max(state.most_stack - state.most_stack // 4, 1)
    state.limit_parts = HEAD_ARRAYS - HEAD_ARRAYS // 4


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def forget_made(state: cython.pointer(HeapState)) -> cython.void:
    """Nothing was handed out since the last collection, which is now."""
    state.handed += state.allocated
    state.handed_large += state.allocated_large
    state.allocated = state.allocated_large = 0


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
    if not state.only_new:
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
    allow_growth(state, min(state.sliced, state.live_bytes) if state.marking else state.live_bytes)
    state.grown = 0


# ---- full collections in slices ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def found_before(state: cython.pointer(HeapState)) -> uint64_t:
    """How many bytes slices will find: as many as those before, if what was made since is as much as what was dropped,
    or all that is not known to be garbage; half way between."""
    before: uint64_t = state.sliced if state.cycles else state.live_bytes
    return (min(before, state.live_bytes) + state.live_bytes) // 2


def begin_cycle(state):
    """Begin to find all that is reachable now, when no object is new."""
    stand_still(state)
    next_number(state)
    look_for_old(state)
    state.counts = state.spare
    memset(state.counts, 0, state.n_blocks * 2)
    forget_beside(state)
    mark_roots(state)
    state.marking = 1
    state.closing = state.put_off = 0
    state.to_look_at = found_before(state)
    state.grown_before, state.sliced = state.grown, 0
    begin_beside(state)
    space_slices(state)
    state.collecting = 0


def go_on(state, budget_ns):
    """A slice, until the pause at hand has taken so long."""
    before: uint64_t = state.looked_at
    stand_still(state)
    if state.lost:  # slices come to nothing
        state.collecting = 0
        return
    began: uint64_t = spent_ns(state)
    turn(state, AT_OLD)
    state.closing = drain(state, FEW_OBJECTS if state.always else 0, budget_ns)
    if state.closing and see(cython.address(state.beside)) == 1:
        state.closing, state.hungry = 0, 1  # a thread may have some left
        if state.grown - state.grown_before > 2 * max(state.runway, state.nursery):
            do_without(state)
    state.slices += 1
    state.sliced += state.looked_at - before
    state.rate = next_rate(state.rate, state.looked_at - before, spent_ns(state) - began)
    if not state.closing:
        begin_beside(state)
    space_slices(state)
    state.collecting = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def close_cycle(state: cython.pointer(HeapState)) -> cython.void:
    """Right after a look at new objects, and after a slice that left nothing: what that look has met of old ones is
    looked at, and if it can be done in this pause all is known, since no guest has run since the roots were told. Else
    slices go on. Each time there is less that they have not found; but a guest that writes long arrays again and again
    has these looked at each time: so there is more time for it when that has been often."""
    before: uint64_t = state.looked_at
    times: uint64_t = cython.cast(uint64_t, 1) << state.put_off // FEW_TRIES
    end_beside(state)  # it is about to: nothing was left
    if state.lost:
        return
    turn(state, AT_OLD)
    look_at_rewritten(state)
    known: cython.bint = drain(state, FEW_OBJECTS * times if state.always else 0, state.pause_ns * times)
    state.sliced += state.looked_at - before
    if known:
        end_cycle(state)
        return
    state.closing = 0
    state.put_off = min(state.put_off + 1, MOST_TRIES)
    begin_beside(state)
    space_slices(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def end_cycle(state: cython.pointer(HeapState)) -> cython.void:
    """Nothing is new, and nothing is left to look at."""
    add_beside(state)
    state.spare, state.live, state.counts = state.live, state.counts, state.counts
    all_is_known(state)
    state.marking = state.closing = 0
    state.cycles += 1
    add(cython.address(state.table.totals.cycles), 1)
    count_collection(state)


def finish(state):
    """All that is left of what goes on in slices, in this pause. Roots are known, and no note was lost."""
    before: uint64_t = state.looked_at
    look: Look
    look.brief = False
    end_beside(state)
    if state.lost:  # by a thread that another process has: what it had to look at
        return
    stand_still(state)
    turn(state, AT_OLD)
    drain(state, 0, 0)
    state.sliced += state.looked_at - before  # else what lives would seem to be less, and the next to be due later
    find_new(state, cython.address(look))
    turn(state, AT_OLD)
    look_at_rewritten(state)
    drain(state, 0, 0)
    end_cycle(state)
    if state.always:
        check_references(state)
    state.collecting = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def abandon(state: cython.pointer(HeapState)) -> cython.void:
    """What went on in slices comes to nothing, since of some writes nobody knows: all that is old has one number again,
    and nothing waits."""
    at: uint64_t
    side: uint8_t
    for at in range(cython.cast(uint64_t, state.n_blocks) * BLOCK_GRANULES):
        side = state.side[at] & ~cython.cast(uint8_t, WAITING)
        if side & EPOCH == state.previous:
            side = (side & ~cython.cast(uint8_t, EPOCH)) | state.epoch
        state.side[at] = side
    memset(state.waiting, 0, state.n_blocks)
    state.previous = state.epoch
    state.n_stack = state.n_parts = state.overflowed = 0
    state.n_later = state.later_at = 0
    state.counts = state.live
    state.marking = state.closing = 0


def is_clean_within(state, budget_ns):
    """Whether a full collection in slices may begin: not where it takes the last number and side bytes of some blocks
    still have that from before. These are cleaned until the pause has taken so long, some of them in any case."""
    ask_clock(state)
    while state.incremental and not state.always and state.epoch >= EPOCH - 1 and state.clean < state.n_blocks:
        clean(state, CLEANED)
        if spent_ns(state) >= budget_ns:
            return state.clean >= state.n_blocks
    return True


def work_for(state, budget_ns):
    """Collect for so long, with all roots known: go on with what is under way, or begin. Whether something is left."""
    opened: cython.bint = stand(state, AT_CLEANING, True)
    end_beside(state)  # who asks for it has the time
    ask_clock(state)
    if state.marking and state.lost:  # slices come to nothing
        collect_garbage(state, True)
    left: cython.bint = not state.marking and (state.allocated or state.grown)
    if left and is_clean_within(state, budget_ns):
        left = False
        if state.incremental:
            collect_new(state)
            begin_cycle(state)
        else:
            collect_garbage(state, True)
    if state.marking and spent_ns(state) < budget_ns:
        go_on(state, budget_ns)
        if state.closing:
            collect_new(state)
    left |= state.marking
    if opened:
        go(state)
    return left
