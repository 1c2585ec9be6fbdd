# strata: hot
"""The heap of a store: what a new object costs, and what is done in which order when garbage is collected.

Whoever allocates says where roots are (``visit_t``); besides these, what the host holds is one.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memset
from cython.cimports.posix.time import CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec
from cython.cimports.stratavm.heap.mark import drain, mark_logged, mark_range
from cython.cimports.stratavm.heap.pace import next_nursery
from cython.cimports.stratavm.heap.space import (
    clean_epochs,
    close_windows,
    forget_holes,
    free_new,
    free_unmarked,
    give_space,
    large_room,
    reserve_space,
    room_for,
)
from cython.cimports.stratavm.heap.state import (
    EPOCH,
    GRANULE_SHIFT,
    HEAD_STACK,
    LARGE,
    HeapState,
    TypeInfo,
    seen,
)
from cython.cimports.stratavm.heap.types import Descriptors

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import Final

LEAST: Final = 4 << 20
"""Bytes that are allocated between two collections, at least."""
FIRST_NURSERY: Final = 1 << 20
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
        state.least = state.trigger = least
        state.always = switches.CHECK.value() >= 2
        state.poison = state.always or switches.POISON.value()
        self.bind(cython.address(state.own), cython.NULL, cython.NULL)

    def bind(self, window, visit, owner):
        """Allocate by the words at ``window``; ``visit(owner, state)`` is called for the roots."""
        state: cython.pointer(HeapState) = self.state
        state.window, state.visit, state.owner = window, visit, owner
        window.next = window.end = 0
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
        state: cython.pointer(HeapState) = self.state
        room: uint32_t = 2 * state.room_held + 16
        if state.n_held == state.room_held:
            grown: cython.p_void = realloc(state.held, room * 8)
            if grown == cython.NULL:
                raise MemoryError("no memory for a reference of the host's")
            state.held, state.room_held = cython.cast(cython.pointer(uint64_t), grown), room
        state.held[state.n_held] = address
        state.n_held += 1

    def release(self, address: int) -> None:
        """The host has it once less. ValueError: it did not have it."""
        state: cython.pointer(HeapState) = self.state
        wanted: uint64_t = address
        at: uint32_t
        for at in range(state.n_held):
            if state.held[at] == wanted:
                state.n_held -= 1
                state.held[at] = state.held[state.n_held]
                return
        raise ValueError(f"{address:#x} is no object that the host holds")

    def collect(self) -> None:
        """Find all garbage, now."""
        with cython.nogil:
            collect_garbage(self.state, True)

    def collect_new(self) -> None:
        """Find garbage among the objects that are new since the last time."""
        with cython.nogil:
            collect_garbage(self.state, not self.state.generational)

    def by_generations(self, pause_ns: int) -> None:
        """From here on whoever writes a reference into an old object notes it (``mark.log_word``): most collections
        look at new objects only. They are so many that it should take at most so long."""
        self.collect()
        self.state.generational, self.state.pause_ns, self.state.nursery = True, pause_ns, FIRST_NURSERY

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
    def minors(self) -> int:
        """How many collections looked at new objects only."""
        return self.state.minors

    @property
    def collections(self) -> int:
        """How often garbage was collected."""
        return self.state.collections


# ---- allocation ----


def heap_new(state, type_id, length, size):
    """A new object of ``size`` bytes, all zero but for its header; NULL where the limit does not allow it, however much
    garbage is collected."""
    room: cython.p_char = cython.NULL
    header: cython.pointer(uint32_t)
    if size < ENDLESS:
        size = (size + 15) & ~cython.cast(uint64_t, 15)
        if state.always or state.allocated >= (state.nursery if state.generational else state.trigger):
            collect_garbage(state, is_full_due(state))
        room = found_room(state, size)
        if room == cython.NULL:
            collect_garbage(state, True)
            room = found_room(state, size)
        if room != cython.NULL:
            header = cython.cast(cython.pointer(uint32_t), room)
            header[0], header[1] = type_id, length
            if state.always:
                state.window.end = state.window.next
    return room


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def found_room(state: cython.pointer(HeapState), size: uint64_t) -> cython.p_char:
    """Zeroed room, or NULL."""
    return large_room(state, size) if size > LARGE else room_for(state, size)


# ---- collection ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_full_due(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether it is time to look at old objects too."""
    if not state.generational or state.lost:
        return True
    return state.collections & 3 == 0 if state.always else state.grown >= state.trigger


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def collect_garbage(state: cython.pointer(HeapState), full: cython.bint) -> cython.void:
    """Find all that is reachable, or all new objects that are, while the guest stands still; the rest is free."""
    if state.collecting:
        return
    state.collecting = 1
    began: uint64_t = processor_ns()
    state.types = cython.cast(cython.pointer(cython.pointer(TypeInfo)), seen(cython.address(state.table.types)))
    close_windows(state)
    state.previous = state.epoch
    state.marked = 0
    before: uint64_t = state.grown
    handles: uint64_t = state.n_handle_marks
    if full:
        begin_full(state)
    else:
        state.n_handle_marks = 0  # old objects have handles too
        state.minors += 1
    if state.visit != cython.NULL:
        state.visit(state.owner, state)
    mark_range(state, state.held, state.n_held)
    if not full:
        mark_logged(state)
    drain(state)
    if full:
        free_unmarked(state)
        state.grown = 0
        state.trigger = max(state.live_bytes, state.least)
    else:
        free_new(state, state.grown - before)
        state.live_bytes += state.grown - before
    forget_holes(state)
    state.n_handle_marks = handles
    state.previous = state.epoch
    state.allocated = 0
    state.collections += 1
    state.collecting = 0
    took: uint64_t = processor_ns() - began
    state.stood_ns += took
    state.longest_ns = max(state.longest_ns, took)
    if not full:
        state.nursery = next_nursery(state.nursery, took, state.pause_ns)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def begin_full(state: cython.pointer(HeapState)) -> cython.void:
    """Nothing is known to be reachable."""
    if state.epoch >= EPOCH - 1:  # the last one has been used before, and so have those from the first on
        clean_epochs(state, state.epoch)
    state.epoch = state.epoch % EPOCH + 1
    state.n_log = 0
    state.lost = 0
    memset(state.live, 0, state.n_blocks * 2)
    if state.handle_marks != cython.NULL:
        memset(state.handle_marks, 0, state.n_handle_marks)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def processor_ns() -> uint64_t:
    """What the thread has had of a processor."""
    now: timespec
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, cython.address(now))
    return cython.cast(uint64_t, now.tv_sec) * 1000000000 + now.tv_nsec
