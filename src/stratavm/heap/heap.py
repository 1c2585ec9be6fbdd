# strata: hot
"""The heap of a store: what a new object costs, and what is done in which order when garbage is collected.

Whoever allocates says where roots are (``visit_t``); besides these, what the host holds is one.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.bits import bits_of
from cython.cimports.stratavm.heap.mark import drain, mark_logged, mark_range
from cython.cimports.stratavm.heap.pace import bytes_between, next_nursery, next_rate, processor_ns
from cython.cimports.stratavm.heap.space import (
    clean,
    close_windows,
    forget_holes,
    free_new,
    free_unmarked,
    give_space,
    large_room,
    mark_all,
    reserve_space,
    room_for,
)
from cython.cimports.stratavm.heap.state import (
    EPOCH,
    GRANULE_SHIFT,
    HEAD_STACK,
    LARGE,
    HeapState,
    lock,
    look_up_types,
    unlock,
)
from cython.cimports.stratavm.heap.types import Descriptors

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import Final

LEAST: Final = 4 << 20
"""Bytes that are allocated between two collections, at least."""
FIRST_NURSERY: Final = 1 << 20
FEW_BLOCKS = cython.declare(uint32_t, 16)  # are cleaned at once
FEW_OBJECTS = cython.declare(uint64_t, 8)
FIRST_RATE: Final = 1000
ENDLESS = cython.declare(uint64_t, 1 << 62)
"""No object is as large."""


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Heap:
    """The objects of a store's guests, which take at most ``limit`` bytes, in blocks of 32 KiB."""

    def __init__(self, descriptors: Descriptors, limit: int, least: int = LEAST):
        if self.state != cython.NULL:
            raise TypeError("a heap is initialised once")
        state: cython.pointer(HeapState) = cython.cast(cython.pointer(HeapState), calloc(1, cython.sizeof(HeapState)))
        if state == cython.NULL or not reserve_space(state, limit):
            free(state)
            raise ResourceLimit(f"cannot reserve address space for a heap of {limit} bytes", limit="address space")
        self.state = state
        self.descriptors = descriptors
        state.table = cython.address(descriptors.table)
        state.epoch = state.previous = 1
        state.most_stack = HEAD_STACK
        state.rate = FIRST_RATE
        state.least = state.trigger = least
        state.always = switches.CHECK.value() >= 2
        state.poison = state.always or switches.POISON.value()
        self.bind(cython.address(state.own), cython.NULL, cython.NULL)

    def bind(self, window, visit, owner):
        """Allocate by the words at ``window``; ``visit(owner, state)`` is called for the roots."""
        state: cython.pointer(HeapState) = self.state
        marking: uint64_t = 0
        if state.window != cython.NULL:
            close_windows(state)
            marking = state.window.marking
        state.window, state.visit, state.owner = window, visit, owner
        window.next = window.end = 0
        window.marking = marking
        window.side = cython.cast(uint64_t, state.side) - (cython.cast(uint64_t, state.base) >> GRANULE_SHIFT)

    def __dealloc__(self):
        if self.state != cython.NULL:
            with cython.nogil:
                give_space(self.state)
            free(self.state.held)
            free(self.state.log)
            free(self.state)

    def hold(self, address: int) -> None:
        """The host has an object: it is a root, once for each time that it was held."""
        word: uint64_t = address
        noted: cython.bint
        with cython.nogil:  # whoever waits for the lock does not have the GIL
            noted = note_held(self.state, word)
        if not noted:
            raise MemoryError("no memory for a reference of the host's")

    def release(self, address: int) -> None:
        """The host has it once less. ValueError: it did not have it."""
        word: uint64_t = address
        found: cython.bint
        with cython.nogil:
            found = forget_held(self.state, word)
        if not found:
            raise ValueError(f"{address:#x} is no object that the host holds")

    def collect(self) -> None:
        """Find all garbage, now."""
        with cython.nogil:
            collect_garbage(self.state, True)

    def collect_new(self) -> None:
        """Find garbage among the objects that are new since the last time."""
        with cython.nogil:
            collect_garbage(self.state, not self.state.generational)

    def by_generations(self, pause_ns: int, slices: bool = True) -> None:
        """From here on whoever writes a reference into an old object notes it (``mark.note_write``): most collections
        look at new objects only. They are so many that it should take at most so long. The others go on in slices of
        half of that. ValueError: nothing takes so little."""
        if pause_ns < 2:
            raise ValueError(f"a pause of {pause_ns} ns cannot be aimed at")
        self.collect()
        self.state.generational, self.state.pause_ns, self.state.nursery = True, pause_ns, FIRST_NURSERY
        self.state.incremental = slices

    @property
    def live_bytes(self) -> int:
        """What the last collection found reachable."""
        return self.state.live_bytes

    @property
    def stood_ns(self) -> tuple[int, int]:
        """The thread's processor time of all collections, and of the longest since this was asked last."""
        longest: object = self.state.longest_ns
        self.state.longest_ns = 0
        return self.state.stood_ns, longest

    @property
    def pauses(self) -> dict[int, int]:
        """How many took so many nanoseconds or more, and less than twice as many."""
        return {1 << at: self.state.pauses[at] for at in range(64) if self.state.pauses[at]}

    @property
    def minors(self) -> int:
        """How many collections looked at new objects only."""
        return self.state.minors

    @property
    def is_marking(self) -> bool:
        """Whether a full collection goes on in slices just now."""
        return self.state.window.marking != 0

    @property
    def cycles(self) -> tuple[int, int]:
        """How many full collections went on in slices, and how many of these there were."""
        return self.state.cycles, self.state.slices

    @property
    def collections(self) -> int:
        """How often garbage was collected."""
        return self.state.collections


# ---- what the host holds ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def note_held(state: cython.pointer(HeapState), address: uint64_t) -> cython.bint:
    """One more reference of the host's; false where there is no memory for it."""
    lock(cython.address(state.held_lock))
    room: uint32_t = 2 * state.room_held + 16
    if state.n_held == state.room_held:
        grown: cython.p_void = realloc(state.held, room * 8)
        if grown != cython.NULL:
            state.held, state.room_held = cython.cast(cython.pointer(uint64_t), grown), room
    noted: cython.bint = state.n_held < state.room_held
    if noted:
        state.held[state.n_held] = address
        state.n_held += 1
    unlock(cython.address(state.held_lock))
    return noted


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def forget_held(state: cython.pointer(HeapState), address: uint64_t) -> cython.bint:
    """One less; false where there is none."""
    at: uint32_t = 0
    lock(cython.address(state.held_lock))
    while at < state.n_held and state.held[at] != address:
        at += 1
    found: cython.bint = at < state.n_held
    if found:
        state.n_held -= 1
        state.held[at] = state.held[state.n_held]
    unlock(cython.address(state.held_lock))
    return found


# ---- allocation ----


def heap_new(state, type_id, length, size):
    """A new object of ``size`` bytes, all zero but for its header; NULL where the limit does not allow it, however much
    garbage is collected."""
    room: cython.p_char = cython.NULL
    header: cython.pointer(uint32_t)
    if size < ENDLESS:
        size = (size + 15) & ~cython.cast(uint64_t, 15)
        keep_pace(state)
        room = found_room(state, size)
        if room == cython.NULL and state.window.marking:
            go_on(state, True)
            room = found_room(state, size)
        if room == cython.NULL:
            collect_garbage(state, True)
            room = found_room(state, size)
        if room != cython.NULL:
            header = cython.cast(cython.pointer(uint32_t), room)
            header[0], header[1] = type_id, length
            if state.window.marking and size > LARGE:
                look_up_types(state)
                mark_all(state, (room - state.base) >> GRANULE_SHIFT, ((room - state.base) >> GRANULE_SHIFT) + 1)
            if state.always:
                state.window.end = state.window.next
    return room


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def found_room(state: cython.pointer(HeapState), size: uint64_t) -> cython.p_char:
    """Zeroed room, or NULL."""
    return large_room(state, size) if size > LARGE else room_for(state, size)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def keep_pace(state: cython.pointer(HeapState)) -> cython.void:
    """Do what is due before an allocation."""
    full: cython.bint
    if state.window.marking:
        if state.always or state.allocated >= state.next_slice:
            go_on(state, False)
    elif state.always or state.allocated >= (state.nursery if state.generational else state.trigger):
        full = is_full_due(state)
        collect_garbage(state, full and not state.incremental)
        if full and state.incremental:
            begin_cycle(state)
    else:
        clean(state, FEW_BLOCKS)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_full_due(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether it is time to look at old objects too."""
    if not state.generational:
        return True
    return state.collections & 3 == 0 if state.always else state.grown >= state.trigger


# ---- collections in one pause ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def collect_garbage(state: cython.pointer(HeapState), full: cython.bint) -> cython.void:
    """Find all that is reachable, or all new objects that are, while the guest stands still; the rest is free."""
    if state.collecting:
        return
    if state.window.marking:
        go_on(state, True)
    full |= state.lost
    began: uint64_t = stand_still(state)
    close_windows(state)
    before: uint64_t = state.grown
    handles: uint64_t = state.n_handle_marks
    if full:
        next_number(state)
        memset(state.live, 0, state.n_blocks * 2)
    else:
        state.n_handle_marks = 0  # old objects have handles too
        state.minors += 1
    mark_roots(state)
    if not full:
        mark_logged(state)
    drain(state, 0, 0)
    if full:
        all_is_known(state)
    else:
        free_new(state, state.grown - before)
        state.live_bytes += state.grown - before
        forget_holes(state)
    state.n_handle_marks = handles
    state.allocated = 0
    state.collections += 1
    before = go_ahead(state, began)
    if not full:
        state.nursery = next_nursery(state.nursery, before, state.pause_ns)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def stand_still(state: cython.pointer(HeapState)) -> uint64_t:
    """A pause begins; when, as ``processor_ns`` has it."""
    state.collecting = 1
    look_up_types(state)
    return processor_ns()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def go_ahead(state: cython.pointer(HeapState), began: uint64_t) -> uint64_t:
    """It ends; how long it was."""
    took: uint64_t = processor_ns() - began
    state.collecting = 0
    state.stood_ns += took
    state.longest_ns = max(state.longest_ns, took)
    state.pauses[bits_of(took) - 1] += 1
    return took


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def next_number(state: cython.pointer(HeapState)) -> cython.void:
    """Nothing is known to be reachable; what has the last number was."""
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
    state.previous = state.epoch
    free_unmarked(state)
    forget_holes(state)
    state.grown = 0
    state.trigger = max(state.live_bytes, state.least)


# ---- full collections in slices ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def begin_cycle(state: cython.pointer(HeapState)) -> cython.void:
    """Begin to find all that is reachable now; what is made meanwhile counts as reachable. No object is new."""
    began: uint64_t = stand_still(state)
    next_number(state)
    state.counts = state.spare
    memset(state.counts, 0, state.n_blocks * 2)
    mark_roots(state)
    state.window.marking = 1
    state.slice_bytes = bytes_between(state.live_bytes, state.rate, state.pause_ns // 2, state.trigger // 2)
    state.next_slice = state.slice_bytes
    go_ahead(state, began)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def go_on(state: cython.pointer(HeapState), to_the_end: cython.bint) -> cython.void:
    """A slice, or all that is left."""
    began: uint64_t = stand_still(state)
    before: uint64_t = state.grown
    if to_the_end:
        drain(state, 0, 0)
    elif not drain(state, FEW_OBJECTS if state.always else 0, began + state.pause_ns // 2):
        state.slices += 1
        state.next_slice = state.allocated + state.slice_bytes
        state.rate = next_rate(state.rate, state.grown - before, go_ahead(state, began))
        return
    close_windows(state)
    state.window.marking = 0
    state.spare, state.live, state.counts = state.live, state.counts, state.counts
    all_is_known(state)
    state.allocated = 0
    state.collections += 1
    state.cycles += 1
    go_ahead(state, began)
