# cython: linetrace=False
# strata: hot
"""The map from a program counter to its function, trap and wasm position. Knows nothing of how code gets there."""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.runtime.native import load_ptr

from stratavm.base.importing import WeakValues

owners: "WeakValues[int, object]" = WeakValues()
"""Living code owners by serial; each has ``name`` and ``label`` (function index to name, or None)."""


def find_code(pc):
    """The function that holds ``pc``, or NULL. Async-signal-safe."""
    if arena_base == 0 or pc < arena_base or pc - arena_base >= ARENA_BYTES:
        return cython.NULL
    block: cython.pointer(CodeBlock) = cython.cast(
        cython.pointer(CodeBlock), load_ptr(cython.address(chunk_blocks[(pc - arena_base) >> CHUNK_SHIFT]))
    )
    while block != cython.NULL and not (block.start <= pc < block.end):
        block = block.next
    if block == cython.NULL:
        return cython.NULL
    low: uint32_t = 0
    high: uint32_t = block.n_recs
    middle: uint32_t
    while high - low > 1:
        middle = (low + high) >> 1
        if block.recs[middle].start <= pc:
            low = middle
        else:
            high = middle
    rec: cython.pointer(CodeRec) = cython.address(block.recs[low])
    if rec.start <= pc < rec.start + rec.size:
        return rec
    return cython.NULL


def find_trap(rec, pc):
    """The trap table's entry for exactly ``pc``, or NULL. Async-signal-safe."""
    at: uint32_t = cython.cast(uint32_t, pc - rec.start)
    low: uint32_t = 0
    high: uint32_t = rec.n_traps
    middle: uint32_t
    while low < high:
        middle = (low + high) >> 1
        if rec.traps[middle].pc < at:
            low = middle + 1
        else:
            high = middle
    if low < rec.n_traps and rec.traps[low].pc == at:
        return cython.address(rec.traps[low])
    return cython.NULL


def find_position(rec, pc):
    """Position in its body of a trapping instruction, or of the call whose last byte is at ``pc``. NO_POSITION if
    unknown."""
    trap: cython.pointer(TrapEntry) = find_trap(rec, pc)
    if trap != cython.NULL:
        return trap.offset
    at: uint32_t = cython.cast(uint32_t, pc - rec.start) + 1
    low: uint32_t = 0
    high: uint32_t = rec.n_positions
    middle: uint32_t
    while low < high:
        middle = (low + high) >> 1
        if rec.positions[middle].pc < at:
            low = middle + 1
        else:
            high = middle
    if low < rec.n_positions and rec.positions[low].pc == at:
        return rec.positions[low].offset
    return 0xFFFFFFFF


def find_landing(rec, pc):
    """Where a call that returns to ``pc`` goes on if it ends with an exception; 0: nowhere in its function."""
    at: uint32_t = cython.cast(uint32_t, pc - rec.start)
    low: uint32_t = 0
    high: uint32_t = rec.n_landings
    middle: uint32_t
    while low < high:
        middle = (low + high) >> 1
        if rec.landings[middle].pc < at:
            low = middle + 1
        else:
            high = middle
    if low < rec.n_landings and rec.landings[low].pc == at:
        return rec.start + rec.landings[low].landing
    return 0


def find_entry(newest, pc):
    """The entry for a poll, or NULL."""
    while newest != cython.NULL and newest.pc != pc:
        newest = newest.next
    return newest


def read_words(entry, stub_frame, words):
    """Copy what an entry's code reads first, out of the frame of the poll stub and the one above."""
    i: uint32_t
    guest_frame: uint64_t = cython.cast(cython.pointer(uint64_t), stub_frame)[0]
    at: uint64_t
    for i in range(entry.n):
        if entry.places[i].base == OSR_NOWHERE:
            words[i] = 0
            continue
        at = (stub_frame if entry.places[i].base == OSR_STUB else guest_frame) + entry.places[i].offset
        if entry.places[i].width == 4:
            words[i] = cython.cast(cython.pointer(uint32_t), at)[0]
        else:
            words[i] = cython.cast(cython.pointer(uint64_t), at)[0]


def frames_at(pc: int) -> "tuple[int, list[tuple[int, int]]] | None":
    """The owner's serial, and function index and position in its body of each guest frame at a program counter, the
    innermost first: more than one in inlined code. None for stubs and foreign addresses."""
    rec: cython.pointer(CodeRec) = find_code(pc)
    if rec == cython.NULL or rec.func == NO_FUNC:
        return None
    position: uint32_t = find_position(rec, pc)
    site: cython.pointer(SiteEntry)
    frames: list = []
    while position & SITE_BIT and (position & ~cython.cast(uint32_t, SITE_BIT)) < rec.n_sites:
        site = cython.address(rec.sites[position & ~cython.cast(uint32_t, SITE_BIT)])
        frames.append((site.func, site.offset))
        position = site.caller
    frames.append((rec.func, 0 if position == 0xFFFFFFFF else position))
    return rec.owner, frames


def describe(pc: int) -> tuple[int, int, int] | None:
    """``(owner serial, function index, position in its body)``; None for stubs and foreign addresses."""
    found: object = frames_at(pc)
    return None if found is None else (found[0], *found[1][0])
