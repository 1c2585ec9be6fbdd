# strata: hot
"""Descriptors of types by canonical id: how large their objects are, and which of their words may be references."""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcmp, memcpy
from cython.cimports.stratavm.heap.state import GRANULE_SHIFT, LARGE, TYPE_MASK, Totals, TypeInfo, show

FEW = cython.declare(uint32_t, 64)
POINTER = cython.declare(uint64_t, 8)


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Descriptors:
    """The descriptors of an engine. A number that comes to mean another type is described anew; until then no heap has
    objects of it.
    """

    def __cinit__(self):
        self.outgrown = []
        self.layouts = {}

    def __dealloc__(self):
        for at in range(self.table.room):
            free(self.table.types[at])
        free(self.table.types)
        for address in self.outgrown:
            free(cython.cast(cython.p_void, cython.cast(uint64_t, address)))

    def describe(self, type_id: int, layout: object) -> None:
        """Say how objects of a type lie (``layout.Layout``). What is known is left as it is: others may be reading."""
        number: uint32_t = type_id & TYPE_MASK
        if self.layouts.get(number) == layout:
            return
        self.make_room(number)
        offsets: tuple = layout.traced
        size: cython.size_t = cython.sizeof(TypeInfo) + 4 * cython.cast(cython.size_t, len(offsets) + 2)
        info: cython.pointer(TypeInfo) = cython.cast(cython.pointer(TypeInfo), calloc(1, size))
        if info == cython.NULL:
            raise MemoryError("no memory for a descriptor of a type")
        info.size, info.element, info.n_traced = layout.size, layout.element, len(offsets)
        info.traced = cython.cast(cython.pointer(uint32_t), info + 1) + 1
        if info.element == 0 and info.size <= LARGE:
            (info.traced - 1)[0] = (info.size + 15) >> GRANULE_SHIFT
        for at, offset in enumerate(offsets):
            info.traced[cython.cast(cython.size_t, at)] = offset
        before: cython.pointer(TypeInfo) = self.table.types[number]
        self.layouts[number] = layout
        if before != cython.NULL and is_same(before, info):  # another thread was faster: guests may be reading that
            free(info)
            return
        show(cython.address(self.table.types[number]), info)
        free(before)

    @property
    def totals(self) -> dict[str, int]:
        """What all heaps with these descriptors come to: how many live, their bytes as of the last pause of each, what
        they have collected, and how long guests stood for it."""
        totals: cython.pointer(Totals) = cython.address(self.table.totals)
        return {
            "heaps": totals.heaps,
            "used_bytes": totals.used,
            "live_bytes": totals.live,
            "collections": totals.collections,
            "minors": totals.minors,
            "cycles": totals.cycles,
            "pauses": totals.pauses,
            "stood_ns": totals.stood_ns,
            "longest_ns": totals.longest_ns,
        }

    def make_room(self, number):
        """Have a table that is large enough."""
        if number < self.table.room:
            return 0
        room: uint32_t = max(2 * self.table.room, FEW, number + 1)
        grown: cython.pp_void = cython.cast(cython.pp_void, calloc(room, POINTER))
        if grown == cython.NULL:
            raise MemoryError("no memory for descriptors of types")
        memcpy(grown, self.table.types, self.table.room * POINTER)
        self.outgrown.append(cython.cast(uint64_t, self.table.types))
        show(cython.address(self.table.types), grown)
        self.table.room = room
        return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_same(one: cython.pointer(TypeInfo), other: cython.pointer(TypeInfo)) -> cython.bint:
    """Whether two descriptors say the same."""
    if one.size != other.size or one.element != other.element or one.n_traced != other.n_traced:
        return False
    return memcmp(one.traced, other.traced, other.n_traced * 4) == 0
