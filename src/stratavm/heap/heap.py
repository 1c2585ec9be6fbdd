# strata: hot
"""The heap of a store: when garbage is collected, and what a new object costs. Stops the guest for a whole collection.

Whoever allocates says where roots are (``visit_t``); besides these, what the host holds is one.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.heap.mark import drain, mark_range
from cython.cimports.stratavm.heap.space import (
    clean_epochs,
    close_windows,
    forget_holes,
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
        """Collect garbage now."""
        with cython.nogil:
            collect_garbage(self.state)

    @property
    def live_bytes(self) -> int:
        """What the last collection found reachable."""
        return self.state.live_bytes

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
        if state.always or state.allocated >= state.trigger:
            collect_garbage(state)
        room = found_room(state, size)
        if room == cython.NULL and not state.always:
            collect_garbage(state)
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
def collect_garbage(state: cython.pointer(HeapState)) -> cython.void:
    """Find all that is reachable, while the guest stands still; the rest is free."""
    if state.collecting:
        return
    state.collecting = 1
    state.types = cython.cast(cython.pointer(cython.pointer(TypeInfo)), seen(cython.address(state.table.types)))
    close_windows(state)
    state.previous = state.epoch
    if state.epoch >= EPOCH - 1:  # the last one has been used before, and so have those from the first on
        clean_epochs(state, state.epoch)
    state.epoch = state.epoch % EPOCH + 1
    state.marked = 0
    memset(state.live, 0, state.n_blocks * 2)
    if state.handle_marks != cython.NULL:
        memset(state.handle_marks, 0, state.n_handle_marks)
    if state.visit != cython.NULL:
        state.visit(state.owner, state)
    mark_range(state, state.held, state.n_held)
    drain(state)
    forget_holes(state)
    free_unmarked(state)
    state.previous = state.epoch
    state.allocated = 0
    state.trigger = max(state.live_bytes, state.least)
    state.collections += 1
    state.collecting = 0
