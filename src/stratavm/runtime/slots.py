# strata: hot
"""Slots: address space for many memories reserved at once, and what a tenant left wiped before the next one.

A slot keeps its protections and the image that it shows, so that the next memory of the same module needs no system
call at all; giving it back costs one, and the pages that were written.
"""

import cython
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.posix.mman import (
    MADV_DONTNEED,
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_NONE,
    madvise,
    mmap,
    mprotect,
    munmap,
)
from cython.cimports.stratavm.base.events.ring import ring_record
from cython.cimports.stratavm.runtime.region import HOST_PAGE, Region, adopt
from cython.cimports.stratavm.runtime.wipe import Original, wipe

from stratavm.base.errors import ResourceLimit, SlotsExhausted
from stratavm.base.words import amount
from stratavm.runtime import events
from stratavm.runtime.limits import GUARD_RESERVATION, name_the_limit
from stratavm.runtime.region import whole_pages
from stratavm.runtime.wipe import prepare

LARGE = cython.declare(uint64_t, 16 << 20)  # bytes that the kernel takes milliseconds to take back
LOOK_BACK = cython.declare(uint32_t, 64)  # free slots that are searched for one that shows the wanted image


@cython.no_gc_clear  # slots are given back in deallocation
@cython.cclass
class SlotAllocator:
    """An allocator of linear memories with a fixed number of slots; a port like any other (``allocator``).

    Args:
        config: a ``MemorySlots``.
        guard: slots with guard pages behind 4 GiB, for code that leaves bounds to the MMU.
        bus: where its events go.

    Raises:
        ResourceLimit: there is not so much address space.
    """

    def __init__(self, config: object, guard: cython.bint, bus: object):
        i: uint32_t
        if self.base != cython.NULL:
            raise TypeError("an allocator of slots is initialised once")
        self.memory_bytes = config.max_memory_bytes
        self.slot_bytes = GUARD_RESERVATION if guard else whole_pages(self.memory_bytes) + HOST_PAGE
        self.guard = guard
        self.maps_more = config.when_exhausted == "map"
        self.keep_pages = config.keep_pages if prepare() else 0
        self.source = bus.source("slots")
        self.kind_taken = bus.kind(events.SlotTaken)
        self.kind_returned = bus.kind(events.SlotReturned)
        self.kind_retired = bus.kind(events.SlotRetired)
        self.kind_exhausted = bus.kind(events.SlotsRanOut)
        count: uint32_t = config.memories
        self.states = cython.cast(cython.pointer(SlotState), calloc(count, cython.sizeof(SlotState)))
        self.free = cython.cast(cython.pointer(uint32_t), calloc(count, cython.sizeof(uint32_t)))
        if self.states == cython.NULL or self.free == cython.NULL:
            raise MemoryError("no memory for slots")
        size: object = count * self.slot_bytes
        if size > 1 << 47:
            raise ResourceLimit(f"slots for {count} memories need {size} bytes of address space", limit="address space")
        base: cython.p_void = mmap(
            cython.NULL, count * self.slot_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
        )
        if base == MAP_FAILED:
            raise ResourceLimit(f"cannot reserve {size} bytes of address space for slots", limit=name_the_limit())
        self.base = cython.cast(cython.p_char, base)
        self.count = self.n_free = count
        for i in range(count):
            self.free[i] = count - 1 - i

    def __dealloc__(self):
        i: uint32_t
        for i in range(self.count):
            if self.states[i].original != cython.NULL:
                Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), self.states[i].original)))
        free(self.states)
        free(self.free)
        if self.base != cython.NULL:
            munmap(self.base, self.count * self.slot_bytes)

    @property
    def in_use(self) -> int:
        """Slots with a tenant."""
        return self.count - self.n_free - self.retired

    def allocate(self, reserve, size, guard, image=0):
        """A free slot, one that shows ``image`` if there is one; all in it is zero, or the image.

        Raises:
            SlotsExhausted: there is none, and no more may be mapped.
            ResourceLimit: the memory is larger than a slot.
        """
        slot: Slot = Slot.__new__(Slot)  # first: the collector may run anything, which may take the last slot
        if size > self.memory_bytes or (guard and not self.guard):
            raise ResourceLimit(
                f"a memory of {amount(size)} does not fit into a slot of {amount(self.memory_bytes)}; "
                f"MemorySlots(max_memory_bytes={size}) allows it",
                limit="max_memory_bytes",
                needed=size,
            )
        if self.n_free == 0:
            self.note(self.kind_exhausted, self.count, self.maps_more)
            if self.maps_more:
                return Region(reserve)
            raise SlotsExhausted(
                f"all {self.count} slots for memories are in use; MemorySlots(memories={self.count + 1}) has one more",
                limit="memory slots",
                needed=self.count + 1,
            )
        occupy(slot, self, self.pick(image))
        slot.prepare(size, image)
        return slot

    def pick(self, image):
        """Take a slot off the stack: the last one given back that shows the image, else the last one."""
        at: uint32_t = self.n_free - 1
        i: uint32_t = 0
        while i < LOOK_BACK and i < self.n_free:
            if self.states[self.free[self.n_free - 1 - i]].image == image:
                at = self.n_free - 1 - i
                break
            i += 1
        number: uint32_t = self.free[at]
        self.n_free -= 1
        self.free[at] = self.free[self.n_free]
        return number

    def give_back(self, number, region):
        """Wipe a slot: few written pages are overwritten, more dropped. Where neither works it is never used again.

        One that nobody can have written to is not looked at.
        """
        original: Original = region.original if region.image else None
        if (
            region.committed
            and (region.told or not region.untouched)
            and not (self.keep_pages and wipe(region.base, region.committed, original, self.keep_pages))
            and drop_pages(region.base, region.committed) != 0
            and region.hide()
        ):
            # Locked pages are not dropped, and there is no memory for fresh ones.
            mprotect(region.base, region.committed, PROT_NONE)
            self.retired += 1
            self.note(self.kind_retired, number, self.count - self.retired)
            return
        self.remember(number, region)
        self.free[self.n_free] = number
        self.n_free += 1
        self.note(self.kind_returned, number, self.count - self.n_free - self.retired)

    def remember(self, number, region):
        """What the next tenant finds. No list of Python's: the collector empties those of what is garbage."""
        state: cython.pointer(SlotState) = cython.address(self.states[number])
        before: cython.p_void = state.original
        state.committed = region.committed
        state.image = region.image
        state.original = cython.NULL
        if region.image and region.original is not None:
            Py_INCREF(region.original)
            state.original = cython.cast(cython.p_void, region.original)
        if before != cython.NULL:
            Py_DECREF(cython.cast(object, cython.cast(cython.pointer(PyObject), before)))

    def note(self, kind, a, b):
        """Record an event. In a cycle of garbage the source may have lost its bus already."""
        if self.source is not None and self.source.bus is not None:
            ring_record(self.source.bus.ring, self.source.cell, kind, a, b, 0, 0)

    def __repr__(self) -> str:
        return f"<SlotAllocator for {self.count} memories, {self.in_use} in use>"


@cython.no_gc_clear  # deallocation gives it back
@cython.auto_pickle(False)  # it is an address
@cython.cclass
class Slot(Region):
    """The address space of one tenant; free again with the last reference to the memory and its views."""

    def __init__(self):
        raise TypeError("an allocator makes its slots")

    def prepare(self, size, image):
        """Make it what a new memory expects: nothing is reachable behind its size, and no other image is shown."""
        wanted: uint64_t = (size + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
        failed: cython.bint = False
        if self.image and self.image != image:
            failed = self.hide() != 0
        elif self.committed > wanted:  # grown, or larger: its guard pages come back
            failed = mprotect(self.base + wanted, self.committed - wanted, PROT_NONE) != 0
            if not failed:
                self.committed = wanted
        if failed:
            raise ResourceLimit("the kernel refuses to prepare a slot", limit=name_the_limit())
        return 0

    def __dealloc__(self):
        if self.owner is not None:
            self.owner.give_back(self.number, self)


@cython.cfunc
@cython.exceptval(check=False)
def drop_pages(base: cython.p_char, size: uint64_t) -> cython.int:
    """Give pages back to the kernel; of many, while others run. Non-zero: it refuses."""
    failed: cython.int
    if size < LARGE:
        return madvise(base, size, MADV_DONTNEED)
    with cython.nogil:
        failed = madvise(base, size, MADV_DONTNEED)
    return failed


@cython.cfunc
@cython.exceptval(-1, check=False)
def occupy(slot: Slot, owner: SlotAllocator, number: uint32_t) -> cython.int:
    """Make an object for a slot that was taken."""
    adopt(slot, cython.cast(uint64_t, owner.base) + number * owner.slot_bytes, owner.slot_bytes)
    slot.number = number
    slot.committed = owner.states[number].committed
    slot.image = owner.states[number].image
    if owner.states[number].original != cython.NULL:
        slot.original = cython.cast(object, cython.cast(cython.pointer(PyObject), owner.states[number].original))
    slot.most = owner.memory_bytes
    slot.owner = owner
    owner.note(owner.kind_taken, number, owner.count - owner.n_free - owner.retired)
    return 0
