# strata: hot
"""The heap of a store: what a new object costs, and what is done in which order when garbage is collected.

Whoever allocates says where roots are (``visit_t``); besides these, what the host holds is one.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.events.core import Source
from cython.cimports.stratavm.heap.beside import end_beside
from cython.cimports.stratavm.heap.collect import (
    begin_cycle,
    collect_garbage,
    collect_new,
    finish,
    go_on,
    is_clean_within,
    keep_new,
    space_slices,
)
from cython.cimports.stratavm.heap.mark import note_range, note_rewritten, note_write
from cython.cimports.stratavm.heap.pace import MOST_KEEPING, lives_on, next_nursery
from cython.cimports.stratavm.heap.pauses import go, stand, turn
from cython.cimports.stratavm.heap.space import (
    AHEAD,
    clean,
    close_windows,
    give_back,
    give_space,
    is_thin,
    large_room,
    reserve_space,
    room_for,
    room_left,
)
from cython.cimports.stratavm.heap.state import (
    AT_CLEANING,
    AT_GIVING,
    AT_HOLES,
    AT_LARGE,
    AT_OLD,
    BLOCK_SHIFT,
    EPOCH,
    GRANULE_SHIFT,
    HEAD_STACK,
    LARGE,
    LONG_ONES,
    MEDIUM,
    NOTES,
    VALUES,
    HeapState,
    Note,
    Totals,
    add,
    lock,
    unlock,
)
from cython.cimports.stratavm.heap.turns import see
from cython.cimports.stratavm.heap.types import Descriptors

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import Final
from stratavm.base.importing import begin_import, end_import

LEAST: Final = 4 << 20
"""Bytes that are allocated between two collections, at least."""
FIRST_NURSERY: Final = 1 << 20
FEW_BLOCKS = cython.declare(uint32_t, 16)  # are cleaned at once
FEW_PAGES = cython.declare(uint64_t, 64)  # blocks whose pages go back at once
FIRST_RATE: Final = 1000
FIRST_SPEED: Final = 1 << 20
FULL_SHARE: Final = 720
"""Thousandths of the time that full collections may take where nothing else is said."""
UNCOUNTED_BLOCKS = cython.declare(uint64_t, 32)  # that a heap may take before whoever counts them looks
FEW_NOTES = cython.declare(uint64_t, 16)  # are, with an object for each collection
MANY_NOTES = cython.declare(uint64_t, 1 << 13)  # are worth a slice
LONG_LOG = cython.declare(uint64_t, 1 << 15)  # words; what is new grows old before there are many more
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
        add(cython.address(state.table.totals.heaps), 1)
        state.in_totals = 1
        state.epoch = state.previous = 1
        state.unfound = EPOCH + 1
        state.most_stack = HEAD_STACK
        state.rate, state.keeping = FIRST_RATE, MOST_KEEPING
        state.least = state.trigger = state.runway = least
        state.speed = FIRST_SPEED
        state.soft, state.share = limit, FULL_SHARE
        state.always = switches.CHECK.value() >= 2
        state.poison = state.always or switches.POISON.value()
        self.bind(cython.address(state.own), cython.NULL, cython.NULL)

    def bind(self, window, visit, owner):
        """Allocate by the words at ``window``; ``visit(owner, state)`` is called for the roots."""
        state: cython.pointer(HeapState) = self.state
        if state.window != cython.NULL:
            close_windows(state)
        state.window, state.visit, state.owner = window, visit, owner
        window.next = window.end = 0
        window.side = cython.cast(uint64_t, state.side) - (cython.cast(uint64_t, state.base) >> GRANULE_SHIFT)

    def leave(self):
        """Its guests are gone; what was in its objects stays to be read until it ends."""
        state: cython.pointer(HeapState) = self.state
        end_beside(state)
        state.window = cython.address(state.own)
        state.own.next = state.own.end = state.marking = 0
        state.visit = cython.NULL
        state.collecting = 1
        state.ring = cython.NULL
        leave_totals(state)

    def end(self):
        """Its guests are gone, and so are its objects: no address lies in it any more."""
        state: cython.pointer(HeapState) = self.state
        self.leave()
        state.extent = state.n_blocks = state.used_blocks = state.most_blocks = state.room_blocks = 0
        give_space(state)

    def __dealloc__(self):
        if self.state != cython.NULL:
            leave_totals(self.state)
            with cython.nogil:
                end_beside(self.state)
                give_space(self.state)
            free(self.state.held)
            free(self.state.log)
            free(self.state.journal)
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
        self.state.generational, self.state.pause_ns = True, pause_ns
        first: uint64_t = next_nursery(FIRST_NURSERY, 0, pause_ns, FIRST_RATE, 2 * FIRST_RATE, False, 0, 0, 0)
        self.state.nursery = min(FIRST_NURSERY, first)
        self.state.incremental, self.state.slice_ns = slices, pause_ns // 2

    def tell_events(self, source: Source, numbers: tuple) -> None:
        """Record pauses and decisions as events of a source, by the numbers that its bus has for them."""
        self.state.ring, self.state.cell = source.bus.ring, source.cell
        for at in range(NOTES):
            self.state.numbers[cython.cast(uint32_t, at)] = numbers[at]

    def grow_within(self, soft: int, share: int) -> None:
        """Let the heap take at most ``soft`` bytes, unless full collections would take more than ``share`` thousandths
        of the time then. ValueError: it is no such number."""
        if soft <= 0 or not 0 < share <= 1000:
            raise ValueError(f"a soft limit of {soft} bytes, and {share} thousandths of the time")
        self.state.soft, self.state.share = soft, share

    def on_small_pages(self) -> None:
        """Have no large pages from here on."""
        self.state.small_pages = True

    def mark_beside(self, threads: int, least: int) -> None:
        """Have full collections in slices that look at ``least`` bytes or more helped by a thread beside the guest from
        here on, of which the process has at most so many; 0: by none. With no least each has one, whether threads keep
        up or not. ValueError: it is no such number."""
        if threads < 0 or least < 0:
            raise ValueError(f"{threads} threads for collections of {least} bytes")
        self.state.beside_most, self.state.beside_least = threads, least

    def fix(self, nursery: int, slice_ns: int, factor: int) -> None:
        """For comparison, after ``by_generations``: a look at new objects after so many bytes, slices of so long, and a
        full collection when ``factor`` thousandths of what was reachable have grown old. ValueError: one is too small.
        """
        if min(nursery, slice_ns, factor) <= 0 or not self.state.generational:
            raise ValueError(f"a nursery of {nursery} bytes, slices of {slice_ns} ns, a factor of {factor} thousandths")
        self.state.nursery, self.state.slice_ns, self.state.factor = nursery, slice_ns, factor
        self.state.fixed = True
        self.collect()

    @property
    def live_bytes(self) -> int:
        """What the last collection found reachable."""
        return self.state.live_bytes

    @property
    def used_bytes(self) -> int:
        """What the blocks take that are in use, and those whose pages have not gone back."""
        return cython.cast(uint64_t, self.state.used_blocks) << BLOCK_SHIFT

    @property
    def stood_ns(self) -> tuple[int, int]:
        """The thread's processor time of all collections, and of the longest since this was asked last."""
        longest: object = self.state.longest_ns
        self.state.longest_ns = 0
        return self.state.stood_ns, longest

    def metrics(self) -> object:
        """What it has and has done."""
        begin_import()
        try:
            from types import MappingProxyType

            from stratavm.heap.metrics import GcMetrics
        finally:
            end_import()
        state: cython.pointer(HeapState) = self.state
        return GcMetrics(
            live_bytes=state.live_bytes,
            used_bytes=self.used_bytes,
            collections=state.collections,
            minors=state.minors,
            cycles=state.cycles,
            slices=state.slices,
            marking=self.is_marking,
            pauses=MappingProxyType(self.pauses),
            stood_ns=state.stood_ns,
            longest_ns=state.most_ns,
            large_pages=state.large_pages,
            concurrent_bytes=state.beside_bytes,
        )

    @property
    def pauses(self) -> dict[int, int]:
        """How many took so many nanoseconds or more, and less than twice as many."""
        return {1 << at: self.state.pauses[at] for at in range(64) if self.state.pauses[at]}

    def watch(self, entries: int) -> None:
        """Keep a journal of pauses and decisions from here on, of which the last so many are there to be read."""
        state: cython.pointer(HeapState) = self.state
        if entries <= 0 or state.journal != cython.NULL:
            raise ValueError(f"a journal of {entries} entries" if entries <= 0 else "the heap has a journal")
        state.room_journal = entries
        state.journal = cython.cast(cython.pointer(Note), calloc(state.room_journal, cython.sizeof(Note)))
        if state.journal == cython.NULL:
            raise MemoryError(f"no memory for a journal of {entries} entries")

    def read_journal(self) -> list[tuple[int, ...]]:
        """What was noted since it was read last, as (kind, nanoseconds, values...), without what had no room."""
        state: cython.pointer(HeapState) = self.state
        first: uint64_t = max(state.n_taken, state.n_journal - min(state.n_journal, state.room_journal))
        found: list = [noted(state.journal + at % state.room_journal) for at in range(first, state.n_journal)]
        state.n_taken = state.n_journal
        return found

    @property
    def long_pauses(self) -> list[tuple[int, ...]]:
        """The last pauses of a millisecond or more, in the same way; there may have been more."""
        state: cython.pointer(HeapState) = self.state
        count: uint64_t = min(state.n_long, LONG_ONES)
        return [noted(state.long_ones + at % LONG_ONES) for at in range(state.n_long - count, state.n_long)]

    @property
    def minors(self) -> int:
        """How many collections looked at new objects only."""
        return self.state.minors

    @property
    def is_marking(self) -> bool:
        """Whether a full collection goes on in slices just now."""
        return self.state.marking != 0

    @property
    def cycles(self) -> tuple[int, int]:
        """How many full collections went on in slices, and how many of these there were."""
        return self.state.cycles, self.state.slices

    @property
    def collections(self) -> int:
        """How often garbage was collected."""
        return self.state.collections


@cython.cfunc
def noted(note: cython.pointer(Note)) -> tuple:
    """A note of the journal."""
    return (note.kind, note.at_ns, *[note.values[at] for at in range(VALUES)])


@cython.cfunc
@cython.exceptval(check=False)
def leave_totals(state: cython.pointer(HeapState)) -> cython.void:
    """The engine has one heap less, if it had this one."""
    if not state.in_totals:
        return
    state.in_totals = 0
    totals: cython.pointer(Totals) = cython.address(state.table.totals)
    add(cython.address(totals.heaps), -1)
    add(cython.address(totals.used), -state.told_used)
    add(cython.address(totals.live), -state.told_live)


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
    garbage is collected. Whoever does not make it in machine code has it from here."""
    room: cython.p_char = cython.NULL
    opened: cython.bint
    if size < ENDLESS:
        size = (size + 15) & ~cython.cast(uint64_t, 15)
        if size <= LARGE and size <= state.window.end - state.window.next and not state.always:
            return made_at_next(state, type_id, length, size)  # as machine code does: nothing is asked
        if size <= MEDIUM and (is_ready(state) or nothing_is_due(state)) and room_for(state, size, True) != cython.NULL:
            state.window.next -= size
            return made_at_next(state, type_id, length, size)
        opened = stand(state, AT_HOLES, will_collect(state))
        give_pages(state, size >> BLOCK_SHIFT)  # as many as it takes, and some: they do not become more and more
        keep_pace(state, size)
        room = found_room(state, size)
        if room == cython.NULL:
            room = room_after_all(state, size)
        if room != cython.NULL:
            made(room, type_id, length, size)
            if state.always:
                state.window.end = state.window.next
        if opened:
            go(state)
    return room


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_ready(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether an allocation has a hole ahead, and nothing to do before."""
    return state.n_ready != 0 and not will_collect(state)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def nothing_is_due(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether an allocation has nothing to do but to look for a hole, not for long, and nobody reads how long that
    takes: a few microseconds, so that no clock is asked."""
    return (
        state.journal == cython.NULL
        and not state.always
        and state.pause.standing == 0
        and state.leaving == 0
        and (state.collecting or state.clean >= state.n_blocks or see(cython.address(state.beside)))
        and not will_collect(state)
        and not is_thin(state)
    )


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def made_at_next(
    state: cython.pointer(HeapState), type_id: uint32_t, length: uint32_t, size: uint64_t
) -> cython.p_char:
    """A new object where the window has room for it."""
    room: cython.p_char = cython.cast(cython.p_char, state.window.next)
    state.window.next += size
    return made(room, type_id, length, size)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def made(room: cython.p_char, type_id: uint32_t, length: uint32_t, size: uint64_t) -> cython.p_char:
    """A new object in its room. Who makes one writes all of it, since a hole has what was there before (ADR-0091): here
    that is so for all but machine code. Blocks of a large object are zeroed as they become its room."""
    if size <= LARGE:
        memset(room, 0, size)
    cython.cast(cython.pointer(uint64_t), room)[0] = type_id | cython.cast(uint64_t, length) << 32
    return room


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def room_after_all(state: cython.pointer(HeapState), size: uint64_t) -> cython.p_char:
    """Room that there was none for: after all pages have gone back, after all marks are made, after all garbage is
    found; where roots are known."""
    room: cython.p_char = cython.NULL
    if state.leaving:
        give_back(state, state.leaving)
        room = found_room(state, size)
    if state.collecting:
        return room
    if room == cython.NULL and state.marking and not state.rootless and not state.lost:
        finish(state)
        room = found_room(state, size)
    if room == cython.NULL and not state.rootless:
        collect_garbage(state, True)
        room = found_room(state, size)
    if room == cython.NULL and state.leaving:
        give_back(state, state.leaving)
        room = found_room(state, size)
    return room


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def found_room(state: cython.pointer(HeapState), size: uint64_t) -> cython.p_char:
    """Room, or NULL; that of a large object is zeroed."""
    turn(state, AT_LARGE if size > LARGE else AT_HOLES)
    return large_room(state, size) if size > LARGE else room_for(state, size, False)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def give_pages(state: cython.pointer(HeapState), blocks: uint64_t) -> cython.void:
    """Give some pages back, and more of them where much is to be had at once."""
    if state.leaving:
        turn(state, AT_GIVING)
        give_back(state, min(FEW_PAGES + blocks, cython.cast(uint64_t, state.leaving)))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_due(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether it is time for a collection, or for letting what is new grow old: as soon as it may end a full one."""
    if state.always or state.closing:
        return True
    return state.allocated >= (state.nursery if state.generational else state.trigger)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def slice_is_due(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether it is time for a slice, which needs no roots."""
    if not state.marking or state.closing or state.lost:
        return False
    return state.always or state.handed + state.allocated >= state.next_slice


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_beside(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether the slice at hand is left to a thread, which is there."""
    return state.left_beside and not state.always and see(cython.address(state.beside)) != 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def keeps_new(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether all that is new is to grow old this time, for which no roots are needed: not with large objects, each of
    which may be much garbage, and which cost nothing to find; nor where a look may end a full collection. With an
    object for each collection it is now and then so while marks are made."""
    if not state.generational or state.fixed or state.allocated_large or state.closing:
        return False
    if not state.marking and is_full_due(state):
        return False
    if state.always:
        return state.marking and state.collections & 3 == 1 and state.tenured == 0
    return lives_on(state.survival, state.tenured)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def will_collect(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether something is due that can be done now."""
    if state.collecting:
        return False
    return slice_is_due(state) or (is_due(state) and (not state.rootless or keeps_new(state)))


def allocation_is_due(state, size):
    """Whether an object of so many bytes may need more than the heap has by itself: the roots, for a collection, or a
    look at the budget of whoever counts its blocks. Else ``heap_new`` does not begin a collection."""
    blocks: uint64_t = (size >> BLOCK_SHIFT) + 1
    if is_due(state) and not keeps_new(state):
        return True
    if state.used_blocks + blocks >= state.most_blocks:
        return True
    return state.used_blocks + blocks + AHEAD > state.counted_blocks + UNCOUNTED_BLOCKS


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def keep_pace(state: cython.pointer(HeapState), size: uint64_t) -> cython.void:
    """Do what is due before an allocation of so many bytes: a slice, or a look at new objects. Where both are, the look
    comes before the next allocation, unless much more than a nursery was made: then the slice waits for that. Where it
    is large objects that are much, each allocation may be one: both are done as soon as twice a nursery is there, or
    what takes half of a pause to keep."""
    if state.collecting:
        return
    kept: cython.bint = keeps_new(state)
    due: cython.bint = (kept or not state.rootless) and is_due(state)
    sliced: cython.bint = slice_is_due(state)
    if sliced and is_beside(state):
        space_slices(state)
        sliced = False
    if due and not state.always and state.allocated - state.allocated_large >= state.nursery // 4 * 5:
        sliced = False
    opened: cython.bint = stand(state, AT_CLEANING, sliced or due)
    full: cython.bint
    clean_now: cython.bint
    if sliced:
        go_on(state, state.slice_ns + (size >> 4))  # a large object is zeroed in no less
        due = due and (state.always or state.allocated >= 2 * max(state.nursery, kept_soon(state)))
    if due and kept:
        keep_new(state)
    elif due:
        full = not state.marking and is_full_due(state)
        clean_now = not full or is_clean_within(state, state.slice_ns)
        if full and not state.incremental:
            collect_garbage(state, True)
        elif clean_now or state.allocated >= state.nursery // 4 * 5:  # a pause has no time for both
            collect_new(state)
            if full and clean_now:
                begin_cycle(state)
    elif not sliced and state.clean < state.n_blocks and not see(cython.address(state.beside)):
        clean(state, FEW_BLOCKS)
    if opened:
        go(state)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def kept_soon(state: cython.pointer(HeapState)) -> uint64_t:
    """Bytes that can be kept without a look at them in a quarter of a pause; near the limit fewer."""
    return min(state.pause_ns // 4 * state.keeping // 1000, room_left(state) // 8)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_full_due(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether it is time to look at old objects too."""
    if not state.generational:
        return True
    return state.collections & 3 == 0 if state.always else state.grown >= state.trigger


# ---- writes ----


def write_noted(state, thing, slot):
    """``note_write``, and before it what many notes make due: slices go on though a guest makes nothing, and only
    writes; and a log may not be as long as all that is old, so that what is new grows old. The write at hand is noted
    behind that, or what it writes would be forgotten before it is there."""
    opened: cython.bint
    state.noted += 1
    if state.noted >= (FEW_NOTES if state.always else MANY_NOTES) and state.generational and not state.collecting:
        state.noted = 0
        if state.n_log + 1 >= LONG_LOG:
            keep_new(state)
        elif state.marking and not state.closing and not is_beside(state):
            opened = stand(state, AT_OLD, True)
            go_on(state, state.slice_ns)
            if opened:
                go(state)
    note_write(state, thing, slot)


def range_noted(state, thing, slot, count):
    """``note_range``; before many words are written what is new grows old, and an array that slices have been in is
    looked at again, instead of a note for each."""
    able: cython.bint = state.generational and not state.collecting
    if able and (count >= LONG_LOG or state.n_log >= LONG_LOG):
        keep_new(state)
    if able and count >= LONG_LOG:
        note_rewritten(state, thing)
    else:
        note_range(state, thing, slot, count)
