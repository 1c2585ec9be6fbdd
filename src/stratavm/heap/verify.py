# strata: hot
"""The heap verifier: what must hold of a heap between two collections. Finds faults; mends none.

It reads what the collector reads, but does not mark: objects, their extents and references are looked at one by one.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.stratavm.heap.beside import end_beside
from cython.cimports.stratavm.heap.heap import Heap
from cython.cimports.stratavm.heap.state import (
    BLOCK_GRANULES,
    BLOCK_SHIFT,
    CLEAR,
    EPOCH,
    GRANULE_SHIFT,
    HEAD,
    LARGE,
    LEAVING,
    POISON_BYTE,
    REWRITTEN,
    SMALL,
    START,
    TAIL,
    TYPE_MASK,
    UNLOGGED,
    UNUSED,
    WAITING,
    WAITING_NEW,
    HeapState,
    HeapWindow,
    Hole,
    TypeInfo,
    header_at,
    size_of,
)

SPOILED = cython.declare(uint64_t, 0x0101010101010101 * POISON_BYTE)
PER_BLOCK = cython.declare(uint32_t, BLOCK_SHIFT - GRANULE_SHIFT)


@cython.cclass
class Verifier:
    """One look at a heap."""

    state: cython.pointer(HeapState)
    starts: dict  # granules of the object by the granule where it begins
    counts: cython.pointer(uint64_t)  # or, to count only: objects and granules by the number of their type
    found: list
    noted: set  # addresses of words of old objects that were written to
    awaited: set  # granules of objects that slices have on their stack
    parted: dict  # how far slices have been in an array, by its granule, where they have not been in all of it

    def __cinit__(self, heap: Heap):
        self.state = heap.state
        self.counts = cython.NULL
        self.starts = {}
        self.found = []
        self.noted, self.awaited, self.parted = set(), set(), {}

    def __dealloc__(self):
        free(self.counts)

    def count(self) -> dict[int, tuple[int, int]]:
        """Objects and their bytes, by the number of their type."""
        at: uint32_t
        self.counts = cython.cast(cython.pointer(uint64_t), calloc(2 * self.state.table.room + 1, 8))
        if self.counts == cython.NULL:
            raise MemoryError("no memory to count objects by their type")
        self.check()
        found: dict = {}
        for at in range(self.state.table.room):
            if self.counts[2 * at]:
                found[at] = (self.counts[2 * at], self.counts[2 * at + 1] << GRANULE_SHIFT)
        return found

    @cython.cfunc
    def begins(self, granule: uint32_t, size: uint64_t) -> object:
        """An object of so many granules begins at one."""
        if self.counts == cython.NULL:
            self.starts[granule] = size
        else:
            number: uint64_t = header_at(self.state, granule)[0] & TYPE_MASK
            self.counts[2 * number] += 1
            self.counts[2 * number + 1] += size
        return None

    def check(self) -> list[str]:
        """What is wrong. No thread makes marks meanwhile."""
        end_beside(self.state)
        return self.look()

    def look(self) -> list[str]:
        """``check`` where nobody else has the heap."""
        state: cython.pointer(HeapState) = self.state
        block: uint32_t = 0
        used: uint32_t = 0
        leaving: uint32_t = 0
        span: uint32_t
        waiting: uint32_t = state.n_stack or state.n_parts or state.overflowed
        if state.collecting or state.n_met or state.met_blocks or (not state.marking and waiting):
            self.found.append("a collection left something to look at")
        if cython.cast(uint64_t, state.room_blocks) * BLOCK_GRANULES >> 32:
            self.found.append("there is no number behind the last granule's")
        if state.damaged:
            self.found.append(f"{state.damaged} freed runs of granules were written to")
        while block < state.n_blocks:
            span = 1
            leaving += state.kinds[block] == LEAVING
            if state.kinds[block] == SMALL:
                self.small(block)
            elif state.kinds[block] == HEAD:
                span = state.spans[block]
                self.large(block, span)
            elif state.kinds[block] == TAIL:
                self.found.append(f"block {block} is a tail without a head")
            elif state.kinds[block] == UNUSED and state.zeroed[block] & CLEAR:
                self.unused(block)
            used += span if state.kinds[block] != UNUSED else 0
            block += span
        if used != state.used_blocks:
            self.found.append(f"{used} blocks are used, the count says {state.used_blocks}")
        if leaving != state.leaving:
            self.found.append(f"{leaving} blocks are leaving, the count says {state.leaving}")
        self.noted = {state.log[at] for at in range(state.n_log)}
        self.awaited = {state.stack[at] for at in range(state.n_stack)}
        for at in range(state.n_parts):
            granule = state.parts[at].granule
            self.parted[granule] = min(state.parts[at].index, self.parted.get(granule, state.parts[at].index))
        self.window(state.window, state.hole, "the window")
        self.window(cython.address(state.aside), state.hole_aside, "the window for medium objects")
        base: uint64_t = cython.cast(uint64_t, state.base)
        for word in self.noted:
            if not self.has_number((cython.cast(uint64_t, word) - base) >> GRANULE_SHIFT):
                self.found.append(f"a write to {word:#x} is noted, where nothing old lies")
        for start in self.starts:
            self.references(start)
        return self.found

    @cython.cfunc
    def size(self, granule: uint32_t) -> uint64_t:
        """Granules of the object at one, as its header says; 0 if that cannot be."""
        header: cython.pointer(uint32_t) = header_at(self.state, granule)
        number: uint32_t = header[0] & TYPE_MASK
        if number >= self.state.table.room or self.state.table.types[number] == cython.NULL:
            self.found.append(f"granule {granule} has a header of no type: {header[0]:#x}")
            return 0
        return size_of(self.state.table.types[number], header) >> GRANULE_SHIFT

    @cython.cfunc
    def has_number(self, granule: uint32_t) -> cython.bint:
        """Whether a collection has reached it, the one at hand or the last."""
        number: uint32_t = self.state.side[granule] & EPOCH
        return number == self.state.epoch or number == self.state.previous

    @cython.cfunc
    def small(self, block: uint32_t) -> object:
        """A block of small objects: those that the last collection found, and the fresh ones."""
        state: cython.pointer(HeapState) = self.state
        at: uint32_t = block * BLOCK_GRANULES
        end: uint32_t = at + BLOCK_GRANULES
        live: uint32_t = 0
        size: uint32_t
        step: uint32_t
        hole: uint32_t = state.fresh[block]
        while at < end:
            if not self.has_number(at):
                at += 1
                continue
            size = self.size(at) if state.side[at] & START else 0
            if (
                size == 0
                or size > end - at
                or state.side[at] & (WAITING_NEW if state.marking else WAITING | WAITING_NEW)
            ):
                self.found.append(f"granule {at} is reachable, and no object begins there: {state.side[at]:#x}")
                at += 1
                continue
            for step in range(1, size):
                if state.side[at + step] & START or not self.has_number(at + step):
                    self.found.append(f"granule {at + step}, of an object at {at}: {state.side[at + step]:#x}")
            self.begins(at, size)
            live += size
            at += size
        if live > state.live[block] or (live < state.live[block] and not state.beside_bytes):  # what both found
            self.found.append(f"block {block} has {live} reachable granules, its count says {state.live[block]}")
        if state.poison and not hole:
            self.free(block)
        while hole:
            self.fresh(hole - 1)
            hole = state.holes[hole - 1].before
        return None

    @cython.cfunc
    def unused(self, block: uint32_t) -> object:
        """A block that nobody uses, of which it is known that no object begins there."""
        at: uint32_t
        for at in range(block * BLOCK_GRANULES, (block + 1) * BLOCK_GRANULES):
            if self.state.side[at] & START:
                self.found.append(f"granule {at}, which nobody uses, is the beginning of an object by its side byte")
        return None

    @cython.cfunc
    def free(self, block: uint32_t) -> object:
        """Nobody has written to what is free."""
        at: uint32_t
        step: uint32_t
        words: cython.pointer(uint64_t)
        for at in range(block * BLOCK_GRANULES, (block + 1) * BLOCK_GRANULES):
            if self.has_number(at):
                continue
            words = cython.cast(cython.pointer(uint64_t), header_at(self.state, at))
            for step in range(2):
                if words[step] != SPOILED:
                    self.found.append(f"granule {at} is free and was written to: {words[step]:#x}")
        return None

    @cython.cfunc
    def fresh(self, number: uint32_t) -> object:
        """A hole that was handed out: objects without gaps, then nothing that anybody wrote."""
        state: cython.pointer(HeapState) = self.state
        hole: cython.pointer(Hole) = state.holes + number
        at: uint32_t = hole.start
        used: uint32_t = hole.used
        size: uint32_t
        step: uint32_t
        if number + 1 == state.hole:
            used = (state.window.next - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT
        elif number + 1 == state.hole_aside:
            used = (state.aside.next - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT
        while at < used:
            if state.side[at] & EPOCH:
                self.found.append(f"granule {at} of a fresh hole has the number of a collection: {state.side[at]:#x}")
            size = self.size(at)
            if size == 0 or size > used - at:
                self.found.append(f"granule {at} of a fresh hole has no object that ends within it")
                return None
            self.begins(at, size)
            at += size
        words: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), header_at(state, at))
        for step in range((hole.end - at) * 2 if state.poison else 0):
            if words[step] != words[0] or words[step] not in (0, SPOILED):
                self.found.append(f"a fresh hole that ends at granule {hole.end} was written to behind its objects")
                break
        return None

    @cython.cfunc
    def large(self, block: uint32_t, span: uint32_t) -> object:
        """A large object has its blocks alone."""
        state: cython.pointer(HeapState) = self.state
        at: uint32_t
        first: uint32_t = block * BLOCK_GRANULES
        size: uint64_t = self.size(first)
        if size << GRANULE_SHIFT <= LARGE or (size + BLOCK_GRANULES - 1) >> PER_BLOCK != span:
            self.found.append(f"the large object of block {block} has {size} granules in {span} blocks")
        for at in range(1, span):
            if state.kinds[block + at] != TAIL or state.spans[block + at] != at:
                self.found.append(f"block {block + at} is no part of the large object of block {block}")
        if size:
            self.begins(first, size)
        return None

    @cython.cfunc
    def window(self, window: cython.pointer(HeapWindow), hole: uint32_t, name: str) -> object:
        """What is handed out lies in its hole."""
        base: uint64_t = cython.cast(uint64_t, self.state.base)
        if hole == 0:
            if window.next or window.end:
                self.found.append(f"{name} has no hole")
            return None
        found: cython.pointer(Hole) = self.state.holes + (hole - 1)
        begin: uint64_t = base + (cython.cast(uint64_t, found.start) << GRANULE_SHIFT)
        end: uint64_t = base + (cython.cast(uint64_t, found.end) << GRANULE_SHIFT)
        if not (begin <= window.next <= window.end <= end):
            self.found.append(f"{name} is not within its hole")
        return None

    @cython.cfunc
    def references(self, start: object) -> object:
        """What an object refers to is an object."""
        state: cython.pointer(HeapState) = self.state
        header: cython.pointer(uint32_t) = header_at(state, start)
        info: cython.pointer(TypeInfo) = state.table.types[header[0] & TYPE_MASK]
        words: cython.p_char = cython.cast(cython.p_char, header)
        at: uint32_t
        if info.element:
            for at in range(header[1] if info.n_traced else 0):
                self.reference(start, cython.cast(cython.pointer(uint64_t), words + 8) + at)
            if state.marking and self.is_black(start):
                for at in range(self.parted.get(start, header[1]) if info.n_traced else 0):
                    self.found_too(start, cython.cast(cython.pointer(uint64_t), words + 8) + at)
        else:
            for at in range(info.n_traced):
                self.reference(start, cython.cast(cython.pointer(uint64_t), words + info.traced[at]))
            for at in range(info.n_traced if state.marking and self.is_black(start) else 0):
                self.found_too(start, cython.cast(cython.pointer(uint64_t), words + info.traced[at]))
        return None

    @cython.cfunc
    def is_black(self, granule: uint32_t) -> cython.bint:
        """Whether slices have been in an object, or never will be."""
        side: uint32_t = self.state.side[granule]
        block: uint32_t = granule >> PER_BLOCK
        again: cython.bint = self.state.kinds[block] == HEAD and self.state.waiting[block] & REWRITTEN != 0
        return side & EPOCH == self.state.epoch and side & WAITING == 0 and not again

    @cython.cfunc
    def found_too(self, start: object, slot: cython.pointer(uint64_t)) -> object:
        """One word of an object that slices have been in: they have found what it refers to or it was noted."""
        state: cython.pointer(HeapState) = self.state
        offset: uint64_t = slot[0] - cython.cast(uint64_t, state.base)
        granule: uint64_t = offset >> GRANULE_SHIFT
        if (
            offset < state.extent
            and state.side[granule] & EPOCH == state.previous
            and not state.lost
            and granule not in self.awaited
            and cython.cast(uint64_t, slot) not in self.noted
        ):
            self.found.append(
                f"slices have been in the object at granule {start}, and do not know of {slot[0]:#x} there"
            )
        return None

    @cython.cfunc
    def reference(self, start: object, slot: cython.pointer(uint64_t)) -> object:
        """One word: it refers to an object, and if that is new and this one old, somebody has noted it."""
        state: cython.pointer(HeapState) = self.state
        base: uint64_t = cython.cast(uint64_t, state.base)
        word: uint64_t = slot[0]
        offset: uint64_t = word - base
        here: uint64_t = (cython.cast(uint64_t, slot) - base) >> GRANULE_SHIFT
        if offset >= state.extent:
            if word >> 32 and not word >> 63:
                self.found.append(f"the object at granule {start} refers to {word:#x}, outside of the heap")
        elif offset & 15 or (offset >> GRANULE_SHIFT) not in self.starts:
            self.found.append(f"the object at granule {start} refers to {word:#x}, where no object begins")
        elif (
            state.generational
            and state.side[here] & UNLOGGED
            and not state.lost  # the next collection looks at everything
            and not self.has_number(offset >> GRANULE_SHIFT)
            and cython.cast(uint64_t, slot) not in self.noted  # a slice may have put the bit back
        ):
            self.found.append(f"the old object at granule {start} refers to {word:#x}, which is new: nobody noted it")
        return None


def verify(heap: Heap) -> list[str]:
    """What is wrong with a heap."""
    return Verifier(heap).check()


def census(heap: Heap) -> dict[int, tuple[int, int]]:
    """What lies in a heap, reachable or made since the last collection: objects and their bytes, by the number of their
    type."""
    return Verifier(heap).count()
