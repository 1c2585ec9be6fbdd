# strata: hot
"""The ring of events: fixed records that any thread writes without the GIL, and that are delivered later."""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.base.events.atomics import increment, load, store, swap


def new_ring(capacity):
    size: uint64_t = 16
    i: uint64_t
    ring: cython.pointer(Ring)
    while size < capacity:
        size *= 2
    ring = cython.cast(cython.pointer(Ring), calloc(1, cython.sizeof(Ring)))
    if ring == cython.NULL:
        raise MemoryError("no memory for a ring of events")
    ring.records = cython.cast(cython.pointer(Record), calloc(size, cython.sizeof(Record)))
    if ring.records == cython.NULL:
        free(ring)
        raise MemoryError("no memory for a ring of events")
    ring.mask = size - 1
    for i in range(size):
        ring.records[i].turn = i
    return ring


def free_ring(ring):
    node: cython.pointer(Overflow)
    following: cython.pointer(Overflow)
    if ring == cython.NULL:
        return None
    node = ring.overflow
    while node != cython.NULL:
        following = node.next
        free(node)
        node = following
    free(ring.records)
    free(ring)


@cython.linetrace(False)
@cython.profile(False)
def ring_record(ring, source, kind, a, b, c, d):
    """A bounded queue of many writers (Vyukov's): claim a place by moving the head, fill it, publish it by its turn."""
    at: uint64_t
    turn: uint64_t
    record: cython.pointer(Record)
    if ring == cython.NULL or kind >= 64 or not ring.heard[kind]:
        return 0
    while True:
        at = load(cython.address(ring.head))
        record = cython.address(ring.records[at & ring.mask])
        turn = load(cython.address(record.turn))
        if turn == at:
            if swap(cython.address(ring.head), at, at + 1):
                break
        elif turn < at:  # the place still holds a record of the last round: full
            if ring.keeps[kind]:
                return keep_record(ring, source, kind, a, b, c, d)
            increment(cython.address(ring.dropped))
            return 0
    fill(record, source, kind, a, b, c, d)
    store(cython.address(record.turn), at + 1)
    return 1


def ring_record_wide(ring, source, kind, values):
    """As ``ring_record``, of places in a row: readers free them in their order, so that all are free if the last one
    is; and they look at the first one only, which is published when all have been filled."""
    at: uint64_t
    turn: uint64_t
    last: uint64_t
    i: uint64_t
    record: cython.pointer(Record)
    if ring == cython.NULL or kind >= 64 or not ring.heard[kind]:
        return 0
    last = ring.places[kind] - 1
    while True:
        at = load(cython.address(ring.head))
        turn = load(cython.address(ring.records[(at + last) & ring.mask].turn))
        if turn == at + last:
            if swap(cython.address(ring.head), at, at + last + 1):
                break
        elif turn < at + last:
            increment(cython.address(ring.dropped))
            return 0
    record = cython.address(ring.records[at & ring.mask])
    fill(record, source, kind, values[0], values[1], values[2], values[3])
    for i in range(1, last + 1):
        memcpy(ring.records[(at + i) & ring.mask].values, values + 4 * i, cython.sizeof(int64_t) * 4)
    store(cython.address(record.turn), at + 1)
    return 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.linetrace(False)
@cython.profile(False)
def fill(
    record: cython.pointer(Record),
    source: cython.pointer(Cell),
    kind: uint32_t,
    a: int64_t,
    b: int64_t,
    c: int64_t,
    d: int64_t,
) -> cython.void:
    record.sequence = increment(cython.address(source.last))
    record.source = source.identity
    record.kind = kind
    record.values[0] = a
    record.values[1] = b
    record.values[2] = c
    record.values[3] = d


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.linetrace(False)
@cython.profile(False)
def keep_record(
    ring: cython.pointer(Ring),
    source: cython.pointer(Cell),
    kind: uint32_t,
    a: int64_t,
    b: int64_t,
    c: int64_t,
    d: int64_t,
) -> cython.int:
    """A record that must not be dropped goes on a stack beside the full ring."""
    node: cython.pointer(Overflow) = cython.cast(cython.pointer(Overflow), malloc(cython.sizeof(Overflow)))
    old: uint64_t
    if node == cython.NULL:
        increment(cython.address(ring.dropped))
        return 0
    fill(cython.address(node.record), source, kind, a, b, c, d)
    while True:
        old = load(cython.address(ring.overflow))
        node.next = cython.cast(cython.pointer(Overflow), old)
        if swap(cython.address(ring.overflow), old, cython.cast(uint64_t, node)):
            return 1
