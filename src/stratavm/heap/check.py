# strata: hot
"""What ``STRATA_CHECK=2`` asks after every collection: whether an object that is left refers to what was freed. Then
somebody has written a reference without a note, or a root was not told. Reads marks; changes nothing but the count."""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.heap.state import (
    BLOCK_GRANULES,
    EPOCH,
    GRANULE_SHIFT,
    HEAD,
    SMALL,
    START,
    HeapState,
    TypeInfo,
    header_at,
    info_of,
    size_of,
)


def check_references(state):
    """Count the words of objects that refer to free places, and remember the last of these objects. No object is new,
    and ``look_up_types`` was called."""
    block: uint32_t = 0
    at: uint32_t
    end: uint32_t
    while block < state.n_blocks:
        at = block * BLOCK_GRANULES
        if state.kinds[block] == HEAD:
            if is_left(state, at):
                check_object(state, at)
            block += state.spans[block]
            continue
        end = at + BLOCK_GRANULES if state.kinds[block] == SMALL else at
        while at < end:
            if is_left(state, at):
                at += check_object(state, at)
            else:
                at += 1
        block += 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_left(state: cython.pointer(HeapState), at: uint32_t) -> cython.bint:
    """Whether an object begins at a granule that collections have left."""
    number: uint32_t = state.side[at] & EPOCH
    return state.side[at] & START != 0 and (number == state.epoch or number == state.previous)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def check_object(state: cython.pointer(HeapState), granule: uint32_t) -> uint32_t:
    """Look at the words of an object; how many granules it has."""
    header: cython.pointer(uint32_t) = header_at(state, granule)
    info: cython.pointer(TypeInfo) = info_of(state, header)
    words: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), header)
    at: uint32_t
    count: uint32_t = header[1] if info.element else info.n_traced
    for at in range(count if info.n_traced else 0):
        check_word(state, granule, words[1 + at] if info.element else words[info.traced[at] >> 3])
    return cython.cast(uint32_t, size_of(info, header) >> GRANULE_SHIFT)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def check_word(state: cython.pointer(HeapState), holder: uint32_t, word: uint64_t) -> cython.void:
    """What a reference of the heap refers to is an object that is left."""
    offset: uint64_t = word - cython.cast(uint64_t, state.base)
    if offset < state.extent and not (offset & 15 == 0 and is_left(state, offset >> GRANULE_SHIFT)):
        state.dangling += 1
        state.dangling_at = cython.cast(uint64_t, header_at(state, holder))
