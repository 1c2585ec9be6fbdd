# strata: hot
"""Stacks of fibers: address space in slabs, a guard below each, room for handlers of signals.

Under the GIL. From its lowest address a stack has a guard page, then a reserve below the lowest SP of guests, for
signal handlers that somebody has installed without a stack of their own, then what guests use.
"""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.posix.mman import (
    MADV_DONTNEED,
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    madvise,
    mmap,
    mprotect,
    munmap,
)
from cython.cimports.stratavm.runtime.native import AT_MINSIGSTKSZ, getauxval

from stratavm.base.errors import ResourceLimit

GUARD = cython.declare(uint64_t, 4096)
SMALLEST = cython.declare(uint64_t, 512 << 10)  # that guests can use: the size of class 0, doubled by each further one
CLASSES = cython.declare(cython.int, 8)  # up to 64 MiB
SLAB_STACKS = cython.declare(cython.int, 64)  # in class 0, halved by each further one
KEPT_WARM = cython.declare(cython.int, 32)  # free stacks that keep the pages which their last user has touched
available = cython.declare(cython.pointer(Slab)[8])  # by class: slabs with free stacks
stacks_taken = cython.declare(uint64_t, 0)
slabs = cython.declare(uint64_t, 0)
n_warm = cython.declare(cython.int, 0)
light_guards = cython.declare(cython.bint, True)  # the kernel makes guards that need no mapping of their own


@cython.cfunc
@cython.exceptval(check=False)
def class_of(wanted: uint64_t) -> cython.int:
    """The smallest class with so many bytes for guests."""
    order: cython.int = 0
    while order < CLASSES and SMALLEST << order < wanted:
        order += 1
    return order


@cython.cfunc
def new_slab(order: cython.int) -> cython.int:
    """One more slab of a class, in front of the others."""
    global slabs
    reserve: uint64_t = (65536 + getauxval(AT_MINSIGSTKSZ) + 4095) & ~cython.cast(uint64_t, 4095)
    each: uint64_t = GUARD + reserve + (SMALLEST << order)
    count: cython.int = max(1, SLAB_STACKS >> order)
    slab: cython.pointer(Slab) = cython.cast(cython.pointer(Slab), calloc(1, cython.sizeof(Slab)))
    if slab == cython.NULL:
        raise MemoryError("no memory for stacks of fibers")
    base: cython.p_void = mmap(
        cython.NULL, each * count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
    )
    if base == MAP_FAILED:
        free(slab)
        raise no_room(f"no address space for {count} more stacks of {each >> 10} KiB", "address_space")
    slab.base = cython.cast(cython.p_char, base)
    slab.stack_bytes = each
    slab.whole = ~cython.cast(uint64_t, 0) >> (64 - count)
    slab.free = slab.whole
    slab.order = order
    link(slab)
    slabs += 1
    return 0


@cython.cfunc
def no_room(what: str, limit: str) -> object:
    """The error where an asynchronous call gets no stack."""
    return ResourceLimit(f"an asynchronous call gets no stack: {what}; {stacks_taken} are in use", limit=limit)


@cython.cfunc
@cython.exceptval(check=False)
def link(slab: cython.pointer(Slab)) -> cython.void:
    """Into the list of those with free stacks."""
    slab.prev = cython.NULL
    slab.next = available[slab.order]
    if slab.next != cython.NULL:
        slab.next.prev = slab
    available[slab.order] = slab


@cython.cfunc
@cython.exceptval(check=False)
def unlink(slab: cython.pointer(Slab)) -> cython.void:
    """Out of that list."""
    if slab.prev != cython.NULL:
        slab.prev.next = slab.next
    else:
        available[slab.order] = slab.next
    if slab.next != cython.NULL:
        slab.next.prev = slab.prev


@cython.cfunc
def guard(slab: cython.pointer(Slab), at: cython.int) -> cython.int:
    """Make the guard of a stack that never had a user."""
    global light_guards
    low: cython.p_char = slab.base + at * slab.stack_bytes
    if light_guards and madvise(low, GUARD, MADV_GUARD_INSTALL) != 0:
        light_guards = False
    if not light_guards and mprotect(low, GUARD, PROT_NONE) != 0:
        raise no_room("the kernel allows this process no more mappings (vm.max_map_count)", "mappings")
    slab.guarded |= cython.cast(uint64_t, 1) << at
    return 0


def take_stack(stack, wanted):
    """A stack on which guests can use ``wanted`` bytes. ResourceLimit, and none, where there is no room."""
    global stacks_taken, n_warm
    order: cython.int = class_of(wanted)
    at: cython.int = 0
    bit: uint64_t
    if order == CLASSES:
        raise no_room(f"{wanted >> 20} MiB were wanted (StoreLimits.stack_bytes), the most is 64", "stack_bytes")
    if available[order] == cython.NULL:
        new_slab(order)
    slab: cython.pointer(Slab) = available[order]
    choice: uint64_t = slab.free & slab.warm
    if choice == 0:
        choice = slab.free
    while not choice >> at & 1:
        at += 1
    bit = cython.cast(uint64_t, 1) << at
    if not slab.guarded & bit:
        guard(slab, at)
    slab.free &= ~bit
    if slab.warm & bit:
        slab.warm &= ~bit
        n_warm -= 1
    if slab.free == 0:
        unlink(slab)
    stacks_taken += 1
    stack.slab = slab
    stack.top = cython.cast(uint64_t, slab.base + (at + 1) * slab.stack_bytes)
    stack.limit = stack.top - (SMALLEST << order)
    return 0


def give_stack(stack):
    """Give one back; nothing where there is none."""
    global stacks_taken, n_warm, slabs
    slab: cython.pointer(Slab) = stack.slab
    if slab == cython.NULL:
        return
    stack.slab = cython.NULL
    at: cython.int = cython.cast(cython.int, (stack.top - cython.cast(uint64_t, slab.base)) // slab.stack_bytes) - 1
    bit: uint64_t = cython.cast(uint64_t, 1) << at
    low: cython.p_char = slab.base + at * slab.stack_bytes
    stacks_taken -= 1
    if slab.free == 0:
        link(slab)
    slab.free |= bit
    if n_warm < KEPT_WARM:
        slab.warm |= bit
        n_warm += 1
    else:
        madvise(low + GUARD, slab.stack_bytes - GUARD, MADV_DONTNEED)
    if slab.free == slab.whole and (slab.prev != cython.NULL or slab.next != cython.NULL):
        while slab.warm:
            slab.warm &= slab.warm - 1
            n_warm -= 1
        unlink(slab)
        munmap(slab.base, slab.stack_bytes * max(1, SLAB_STACKS >> slab.order))
        free(slab)
        slabs -= 1


def stack_status() -> dict[str, int]:
    """``taken`` stacks of fibers, the ``slabs`` that they come from, free ones that are ``warm``; whether guards are
    ``light``."""
    return {"taken": stacks_taken, "slabs": slabs, "warm": n_warm, "light": light_guards}


def use_light_guards(yes: bool) -> None:
    """Whether to try the kernel's light guards, from now on; for tests."""
    global light_guards
    light_guards = yes
