# strata: hot
"""Where there is room for objects: blocks, holes in them, and whole blocks for large objects. Marks are others'.

A hole is a run of granules that the last collection found unreachable. Holes are looked for as they are needed, in the
order of addresses, each block once between two collections: so nobody sweeps.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.libc.string import memchr, memcmp, memset
from cython.cimports.posix.mman import (
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
)
from cython.cimports.stratavm.heap.pages import leave_pages, open_part
from cython.cimports.stratavm.heap.pauses import turn
from cython.cimports.stratavm.heap.state import (
    ALL_ZEROS,
    AT_NEW,
    BLOCK_GRANULES,
    BLOCK_SHIFT,
    CLEAR,
    EPOCH,
    GRANULE_SHIFT,
    HEAD,
    HEAD_ARRAYS,
    HEAD_STACK,
    LEAVING,
    MEDIUM,
    PART_BLOCKS,
    POISON_BYTE,
    SMALL,
    START,
    TAIL,
    UNUSED,
    ArrayPart,
    HeapState,
    HeapWindow,
    Hole,
    TypeInfo,
    first_free,
    first_live,
    free_of,
    header_at,
    info_of,
    size_of,
)

BLOCK = cython.declare(uint64_t, 1 << BLOCK_SHIFT)
LOWEST = cython.declare(uint64_t, 1 << 32)
"""Smaller references are handles."""
MANY_BLOCKS = cython.declare(uint32_t, 256)  # are searched for a hole before one is taken that nobody used
MANY_HOLES = cython.declare(uint64_t, 1024)  # are passed over then
THIN = cython.declare(uint64_t, 4 << 20)  # bytes of holes that are no matter
WORTH_IT = cython.declare(uint32_t, 8)  # granules of a hole
FEW_LEFT = cython.declare(uint32_t, 64)  # blocks
MOST_KNOWN = cython.declare(uint32_t, 254)  # granules of a block's largest hole
MOST_READY = cython.declare(uint32_t, 15)  # holes that are handed out ahead
FEW_BLOCKS = cython.declare(uint32_t, 4)  # are searched for such a one
FEW_HOLES = cython.declare(uint64_t, 16)  # are passed over then
MUCH = cython.declare(uint64_t, 1 << 18)  # bytes that were made
PASSED = cython.declare(uint32_t, 64)  # blocks that need no cleaning take as long as one that does
ENDLESS = cython.declare(uint64_t, 1 << 63)
ENDLESS_BLOCKS = cython.declare(uint32_t, 0xFFFFFFFF)
GIVEN_BACK = cython.declare(cython.int, 4)  # MADV_DONTNEED
MOST_BLOCKS = cython.declare(uint64_t, (1 << 20) - PART_BLOCKS // 2)
"""A granule's number has 32 bits, and so has the one behind the last; half of them, since there is address space for
twice as many blocks as may be used: nothing moves, so that large objects may find no run of blocks though there are
enough."""


# ---- the reservation ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def carved(at: cython.pointer(uint64_t), size: uint64_t) -> uint64_t:
    """The address of a table, and move on behind it."""
    begin: uint64_t = at[0]
    at[0] = (begin + size + 63) & ~cython.cast(uint64_t, 63)
    return begin


def reserve_space(state, limit):
    """Address space for the tables and twice as many blocks as ``limit`` bytes have; false where there is none."""
    most: uint64_t = min(max(limit >> BLOCK_SHIFT, 1), MOST_BLOCKS)
    room: uint64_t = (2 * most + PART_BLOCKS - 1) // PART_BLOCKS * PART_BLOCKS
    tables: uint64_t = room * (BLOCK_GRANULES + 4 + 4 + 8) + HEAD_STACK * 4 + HEAD_ARRAYS * cython.sizeof(ArrayPart)
    tables += MOST_MET * 4 + room * 3 + HEAD_STACK * 4 + HEAD_ARRAYS * cython.sizeof(ArrayPart)  # a thread's
    tables = (tables + 1024 + BLOCK - 1) & ~(BLOCK - 1)
    part: uint64_t = PART_BLOCKS * BLOCK
    size: uint64_t = tables + part + room * BLOCK
    mapping: cython.p_void = mmap(cython.NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if mapping == MAP_FAILED:
        return False
    state.mapping, state.mapped = mapping, size
    base: uint64_t = (cython.cast(uint64_t, mapping) + tables + part - 1) & ~(part - 1)
    at: uint64_t = base - tables
    state.base = cython.cast(cython.p_char, base)
    if at < LOWEST or mprotect(cython.cast(cython.p_void, at), tables, PROT_READ | PROT_WRITE) != 0:
        give_space(state)
        return False
    state.room_blocks, state.most_blocks = room, most
    state.side = cython.cast(cython.pointer(uint8_t), carved(cython.address(at), room * BLOCK_GRANULES))
    state.kinds = cython.cast(cython.pointer(uint8_t), carved(cython.address(at), room))
    state.zeroed = cython.cast(cython.pointer(uint8_t), carved(cython.address(at), room))
    state.waiting = cython.cast(cython.pointer(uint8_t), carved(cython.address(at), room))
    state.largest = cython.cast(cython.pointer(uint8_t), carved(cython.address(at), room))
    state.live = cython.cast(cython.pointer(uint16_t), carved(cython.address(at), room * 2))
    state.spare = cython.cast(cython.pointer(uint16_t), carved(cython.address(at), room * 2))
    state.counts = state.live
    state.spans = cython.cast(cython.pointer(uint32_t), carved(cython.address(at), room * 4))
    state.fresh = cython.cast(cython.pointer(uint32_t), carved(cython.address(at), room * 4))
    state.stack = cython.cast(cython.pointer(uint32_t), carved(cython.address(at), HEAD_STACK * 4))
    state.met = cython.cast(cython.pointer(uint32_t), carved(cython.address(at), MOST_MET * 4))
    state.parts = cython.cast(
        cython.pointer(ArrayPart), carved(cython.address(at), HEAD_ARRAYS * cython.sizeof(ArrayPart))
    )
    state.beside_waiting = cython.cast(cython.pointer(uint8_t), carved(cython.address(at), room))
    state.beside_counts = cython.cast(cython.pointer(uint16_t), carved(cython.address(at), room * 2))
    state.beside_stack = cython.cast(cython.pointer(uint32_t), carved(cython.address(at), HEAD_STACK * 4))
    state.beside_parts = cython.cast(
        cython.pointer(ArrayPart), carved(cython.address(at), HEAD_ARRAYS * cython.sizeof(ArrayPart))
    )
    return True


def give_space(state):
    """Give all of it back."""
    if state.mapping != cython.NULL:
        leave_pages(state)
        state.mapping = cython.NULL
    free(state.holes)
    free(state.shadow)
    state.holes, state.shadow = cython.NULL, cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extend(state: cython.pointer(HeapState), blocks: uint32_t) -> cython.bint:
    """Have so many more blocks that can be used, or a few more than that."""
    parts: uint32_t = (blocks + PART_BLOCKS - 1) // PART_BLOCKS * PART_BLOCKS
    if parts > state.room_blocks - state.n_blocks:
        parts = state.room_blocks - state.n_blocks
    if blocks > parts:
        return False
    if parts == PART_BLOCKS:
        if not open_part(state):
            return False
    elif mprotect(state.base + state.n_blocks * BLOCK, parts * BLOCK, PROT_READ | PROT_WRITE) != 0:
        return False
    memset(state.zeroed + state.n_blocks, ALL_ZEROS | CLEAR, parts)
    state.n_blocks += parts
    state.extent = state.n_blocks * BLOCK
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def unused_run(state: cython.pointer(HeapState), blocks: uint32_t) -> cython.longlong:
    """The first of so many blocks in a row that nobody uses, or -1."""
    if blocks > state.most_blocks - state.used_blocks:
        return -1
    run: uint32_t = 0
    block: uint32_t = state.unused
    first: cython.bint = True
    while True:
        while block < state.n_blocks:
            if state.kinds[block] == UNUSED:
                if first:
                    state.unused, first = block, False
                run += 1
                if run == blocks:
                    return block + 1 - run
            else:
                run = 0
            block += 1
        if first:
            state.unused = block
        if not extend(state, blocks - run):
            return -1


# ---- holes ----


def spoil_fresh(state):
    """Fill what is free in blocks of small objects where some were made since the last collection, which are old."""
    n: uint32_t
    block: uint32_t
    for n in range(state.n_holes if state.poison else 0):
        block = state.holes[n].start >> (BLOCK_SHIFT - GRANULE_SHIFT)
        if state.kinds[block] == SMALL:
            spoil(state, block)
    state.start_block, state.start_granule = state.block, state.granule


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def close_window(state: cython.pointer(HeapState), window: cython.pointer(HeapWindow), hole: uint32_t) -> cython.void:
    """Nothing more goes into a hole."""
    if hole:
        state.holes[hole - 1].used = (window.next - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT
    window.next = window.end = 0


def close_windows(state):
    """Nothing more goes into the holes that were handed out."""
    close_window(state, state.window, state.hole)
    close_window(state, cython.address(state.aside), state.hole_aside)
    state.hole = state.hole_aside = state.ready = state.n_ready = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def note_hole(state: cython.pointer(HeapState), start: uint32_t, end: uint32_t) -> cython.bint:
    """Note what is handed out; false where there is no memory for it."""
    room: uint32_t = 2 * state.room_holes + 64
    if state.n_holes == state.room_holes:
        grown: cython.p_void = realloc(state.holes, room * cython.sizeof(Hole))
        if grown == cython.NULL:
            return False
        state.holes, state.room_holes = cython.cast(cython.pointer(Hole), grown), room
    hole: cython.pointer(Hole) = state.holes + state.n_holes
    hole.start, hole.used, hole.end, hole.before, hole.known = start, start, end, 0, 0
    state.n_holes += 1
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def get_ready(state: cython.pointer(HeapState), start: uint32_t, end: uint32_t) -> cython.bint:
    """A hole is to be handed out, with what is in it; false where there is no memory to note it."""
    if not note_hole(state, start, end):
        return False
    block: uint32_t = start >> (BLOCK_SHIFT - GRANULE_SHIFT)
    begin: cython.p_char = state.base + (cython.cast(uint64_t, start) << GRANULE_SHIFT)
    size: uint64_t = cython.cast(uint64_t, end - start) << GRANULE_SHIFT
    state.holes[state.n_holes - 1].before = state.fresh[block]
    state.fresh[block] = state.n_holes
    if state.poison and not state.zeroed[block] & ALL_ZEROS:
        state.damaged += touched(begin, size)
    memset(state.side + start, 0, end - start)
    state.zeroed[block] = 0
    state.allocated += size
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def hand_out(state: cython.pointer(HeapState), window: cython.pointer(HeapWindow), hole: uint32_t) -> cython.bint:
    """Let a hole be filled with objects from here on, by its number + 1."""
    if window == cython.address(state.aside):
        close_window(state, window, state.hole_aside)
        state.hole_aside = hole
    else:
        close_window(state, window, state.hole)
        state.hole = hole
    base: uint64_t = cython.cast(uint64_t, state.base)
    window.next = base + (cython.cast(uint64_t, state.holes[hole - 1].start) << GRANULE_SHIFT)
    window.end = base + (cython.cast(uint64_t, state.holes[hole - 1].end) << GRANULE_SHIFT)
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def touched(begin: cython.p_char, size: uint64_t) -> cython.bint:
    """Whether somebody has written to a freed run."""
    return cython.cast(cython.pointer(uint8_t), begin)[0] != POISON_BYTE or memcmp(begin, begin + 1, size - 1) != 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def begin_at(state: cython.pointer(HeapState), changes: uint32_t, granule: uint32_t) -> cython.void:
    """After the next look at new objects the search begins where it is now, or at the block before that changes."""
    if changes > state.block:
        state.start_block, state.start_granule = state.block, granule
    elif changes > state.start_block:
        state.start_block, state.start_granule = changes, 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def next_hole(state: cython.pointer(HeapState), wanted: uint32_t, blocks: uint32_t, smaller: uint64_t) -> cython.bint:
    """Get the next hole ready that has so many granules, within so many blocks that have holes, and pass over so many
    ``smaller`` ones: these are looked at again after the next full collection. Where no hole was handed out since the
    last look at new objects, the search begins behind them the next time, but not behind blocks that have new ones or
    may get some: what is left there will be holes. Nor are blocks looked into of which it is known that none is there.
    """
    idle: cython.bint = state.block == state.start_block and state.granule == state.start_granule
    changes: uint32_t = ENDLESS_BLOCKS
    first: uint32_t
    start: uint32_t
    end: uint32_t
    largest: uint32_t
    while blocks and smaller and state.block < state.n_blocks:
        first = state.block * BLOCK_GRANULES
        end = first + BLOCK_GRANULES
        if state.kinds[state.block] == SMALL and (
            state.granule or (state.live[state.block] < BLOCK_GRANULES and state.fresh[state.block] == 0)
        ):
            if state.largest[state.block] and state.largest[state.block] <= wanted and state.granule == 0:
                state.block += 1
                continue
            largest = 0
            start = first_free(state, first + state.granule, end)
            while start < end:
                end = first_live(state, start, end)
                if end - start >= wanted:
                    if idle:
                        begin_at(state, changes, start - first)
                    state.granule = end - first
                    if state.granule == BLOCK_GRANULES:
                        state.block += 1
                        state.granule = 0
                    return get_ready(state, start, end)
                largest = max(largest, end - start)
                smaller -= smaller != 0
                start = end
                end = first + BLOCK_GRANULES
                start = first_free(state, start, end)
            blocks -= 1
            if state.granule == 0 and largest < MOST_KNOWN:
                state.largest[state.block] = largest + 1
        elif state.fresh[state.block] or state.kinds[state.block] == UNUSED or state.kinds[state.block] == LEAVING:
            changes = min(changes, state.block)
        state.block += 1
        state.granule = 0
    if idle:
        begin_at(state, changes, 0)
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def whole_block(state: cython.pointer(HeapState)) -> cython.bint:
    """Get a block ready that nobody used."""
    block: cython.longlong = unused_run(state, 1)
    if block < 0:
        return False
    start: uint32_t = cython.cast(uint32_t, block) * BLOCK_GRANULES
    if not get_ready(state, start, start + BLOCK_GRANULES):
        return False
    state.kinds[block] = SMALL
    state.live[block] = state.counts[block] = 0
    state.used_blocks += 1
    return True


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_there(state: cython.pointer(HeapState)) -> cython.bint:
    """Whether there is a block that nobody uses, without a part more, which may take as long as a pause."""
    return state.used_blocks < state.n_blocks


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def have_ready(state: cython.pointer(HeapState), whole: cython.bint) -> cython.void:
    """Have some more holes ready than the last one, without a long search, or blocks that nobody used: where much has
    been made since the last collection, and as much may be until the next."""
    most: uint64_t = state.nursery if state.generational else state.trigger
    most = min(most - min(MUCH, most), state.allocated + AHEAD * BLOCK)
    if state.always or state.allocated < MUCH or state.most_blocks - state.used_blocks <= FEW_LEFT:
        return
    state.ready = state.n_holes + 1
    while (
        state.allocated < most
        and state.n_ready < MOST_READY
        and (is_there(state) and whole_block(state) if whole else next_hole(state, WORTH_IT, FEW_BLOCKS, FEW_HOLES))
    ):
        state.n_ready += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fresh_hole(state: cython.pointer(HeapState), wanted: uint32_t, soon: cython.bint) -> cython.bint:
    """Hand out the next hole that has so many granules, or a block that nobody used. While there are some of these,
    holes are passed over that are not worth it."""
    whole: cython.bint = False
    hole: uint32_t
    while state.n_ready:
        state.n_ready -= 1
        state.ready += 1
        hole = state.ready - 1
        if state.holes[hole - 1].end - state.holes[hole - 1].start >= wanted:
            return hand_out(state, state.window, hole)
    hole = state.n_holes + 1
    if not next_hole(state, max(wanted, worth_it(state)), MANY_BLOCKS, holes_passed(state)):
        if soon and not is_there(state):
            return False
        whole = whole_block(state)
        if not whole and (soon or not next_hole(state, wanted, state.n_blocks, ENDLESS)):
            return False
    have_ready(state, whole)
    return hand_out(state, state.window, hole)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def worth_it(state: cython.pointer(HeapState)) -> uint32_t:
    """Granules that a hole has at least to be handed out: each hole costs as much as some objects. But where few blocks
    are left all are used, and where all garbage is found in one pause, behind which all holes are looked for anew."""
    return WORTH_IT if state.generational and state.most_blocks - state.used_blocks > FEW_LEFT else 1


def is_thin(state):
    """Whether holes have more room than objects, so that a long search for one is better than another block. Where all
    garbage is found in one pause it always is: the search begins anew behind each."""
    return (
        not state.generational or cython.cast(uint64_t, state.used_blocks) << BLOCK_SHIFT > 2 * state.live_bytes + THIN
    )


def room_left(state):
    """Bytes below the limit that may still be handed out: blocks that nobody uses, and holes. Behind the middle of the
    heap it is fewer of these the less is ahead of the search, which has passed over some."""
    used: uint64_t = (cython.cast(uint64_t, state.used_blocks) - state.leaving) * BLOCK
    holes: uint64_t = used - min(state.live_bytes + state.allocated, used)
    ahead: uint64_t = 2 * cython.cast(uint64_t, state.n_blocks - min(state.block, state.n_blocks))
    if ahead < state.n_blocks:
        holes = holes // state.n_blocks * ahead
    return cython.cast(uint64_t, state.most_blocks) * BLOCK - used + holes


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def holes_passed(state: cython.pointer(HeapState)) -> uint64_t:
    """How many holes are passed over before a block is taken that nobody uses."""
    if not state.generational:
        return ENDLESS
    return MANY_HOLES << 4 if is_thin(state) else MANY_HOLES


def room_for(state, size, soon):
    """Room for an object of up to LARGE bytes that the window has no room for, or NULL; ``soon``: in a few
    microseconds, or NULL."""
    window: cython.pointer(HeapWindow) = state.window
    wanted: uint32_t = cython.cast(uint32_t, size) >> GRANULE_SHIFT
    found: uint64_t
    if size > MEDIUM:  # what is left of the window goes on being used
        window = cython.address(state.aside)
        if size > window.end - window.next and not (whole_block(state) and hand_out(state, window, state.n_holes)):
            window = state.window
    if size > window.end - window.next and not fresh_hole(state, wanted, soon):
        return cython.NULL
    found = window.next
    window.next += size
    return cython.cast(cython.p_char, found)


def large_room(state, size):
    """Zeroed blocks for a larger object, or NULL."""
    if size > cython.cast(uint64_t, state.most_blocks) << BLOCK_SHIFT:
        return cython.NULL
    blocks: uint32_t = (size + BLOCK - 1) >> BLOCK_SHIFT
    found: cython.longlong = unused_run(state, blocks)
    if found < 0:
        return cython.NULL
    head: uint32_t = cython.cast(uint32_t, found)
    if not note_hole(state, head * BLOCK_GRANULES, head * BLOCK_GRANULES):
        return cython.NULL
    at: uint32_t
    for at in range(blocks):
        if not state.zeroed[head + at] & ALL_ZEROS:
            if state.poison:
                state.damaged += touched(state.base + (head + at) * BLOCK, BLOCK)
            memset(state.base + (head + at) * BLOCK, 0, BLOCK)
        state.kinds[head + at] = TAIL
        state.zeroed[head + at] = 0
        state.spans[head + at] = at
    memset(state.side + head * BLOCK_GRANULES, 0, cython.cast(uint64_t, blocks) * BLOCK_GRANULES)
    state.kinds[head] = HEAD
    state.spans[head] = blocks
    state.side[head * BLOCK_GRANULES] = START
    state.used_blocks += blocks
    state.allocated += blocks * BLOCK
    state.allocated_large += blocks * BLOCK
    return state.base + head * BLOCK


def learn(state, block):
    """Give the objects of a block's fresh holes their side bytes: a word may point to one of them. It takes as long as
    they are many, and so counts as a look at what is new, not as one at roots. Most are of one type with the one
    before, as in ``mark_all``."""
    at: uint32_t
    next: uint32_t = state.fresh[block]
    part: uint32_t = state.pause.part
    hole: cython.pointer(Hole)
    header: cython.pointer(uint32_t)
    info: cython.pointer(TypeInfo) = cython.NULL
    type_id: uint32_t = 0
    granules: uint64_t = 0
    while next and state.holes[next - 1].known:
        next = state.holes[next - 1].before
    if next == 0:
        return
    turn(state, AT_NEW)
    while next:
        hole = state.holes + (next - 1)
        next = hole.before
        if hole.known:
            continue
        hole.known = 1
        at = hole.start
        while at < hole.used:
            if state.side[at] == 0:
                state.side[at] = START
            header = header_at(state, at)
            if info == cython.NULL or header[0] != type_id or info.element:
                type_id = header[0]
                info = info_of(state, header)
                granules = size_of(info, header) >> GRANULE_SHIFT
            at += granules
    turn(state, part)


# ---- after a collection ----


def forget_holes(state):
    """No hole is fresh any more: what the collection did not reach in them is free."""
    n: uint32_t
    at: uint32_t
    hole: cython.pointer(Hole)
    side: cython.pointer(uint8_t) = state.side
    for n in range(state.n_holes):
        hole = state.holes + n
        state.fresh[hole.start >> (BLOCK_SHIFT - GRANULE_SHIFT)] = 0
        state.largest[hole.start >> (BLOCK_SHIFT - GRANULE_SHIFT)] = 0
        if hole.known:
            for at in range(hole.start, hole.used):
                if side[at] & EPOCH == 0:
                    side[at] = 0
    state.n_holes = 0


def free_unmarked(state):
    """Blocks in which nothing was reached are unused from here on; so says ``live_bytes`` what is left."""
    block: uint32_t = 0
    blocks: uint32_t
    live: uint64_t = 0
    while block < state.n_blocks:
        blocks = 1
        if state.kinds[block] == SMALL:
            live += cython.cast(uint64_t, state.live[block]) << GRANULE_SHIFT
            if state.live[block] == 0:
                state.kinds[block] = UNUSED
                state.used_blocks -= 1
            if state.poison:
                spoil(state, block)
        elif state.kinds[block] == HEAD:
            blocks = state.spans[block]
            if state.side[block * BLOCK_GRANULES] & EPOCH == state.epoch:
                live += blocks * BLOCK
            else:
                free_large(state, block, blocks)
        block += blocks
    memset(state.largest, 0, state.n_blocks)
    state.unused = state.clean = 0
    state.block = state.granule = state.start_block = state.start_granule = 0
    state.live_bytes = live


def free_new(state, survived):
    """The same of what was handed out since the last collection, of which so many bytes survived: where that is little,
    the same holes are looked for again. How many bytes of large objects are left."""
    n: uint32_t
    block: uint32_t
    large: uint64_t = 0
    for n in range(state.n_holes):
        block = state.holes[n].start >> (BLOCK_SHIFT - GRANULE_SHIFT)
        if state.kinds[block] == HEAD:
            if state.side[block * BLOCK_GRANULES] & EPOCH != state.epoch:
                free_large(state, block, state.spans[block])
            else:
                large += state.spans[block] * BLOCK
        elif state.kinds[block] == SMALL:
            if state.poison:
                spoil(state, block)
            if state.live[block] == 0:
                state.kinds[block] = UNUSED
                state.used_blocks -= 1
                state.unused = min(state.unused, block)
    if 2 * survived < state.allocated:
        state.block, state.granule = state.start_block, state.start_granule
    state.start_block, state.start_granule = state.block, state.granule
    return large


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def free_large(state: cython.pointer(HeapState), head: uint32_t, blocks: uint32_t) -> cython.void:
    """The blocks of a large object are nobody's; their pages go back to the kernel bit by bit."""
    state.side[head * BLOCK_GRANULES] = 0
    memset(state.kinds + head, LEAVING, blocks)
    state.first_leaving = min(state.first_leaving, head) if state.leaving else head
    state.leaving += blocks
    if state.poison:
        give_back(state, state.leaving)


def give_back(state, blocks):
    """Give the pages of so many blocks back to the kernel, or of all that are leaving; then they are unused."""
    found: cython.p_void
    head: uint32_t
    run: uint32_t
    while blocks and state.leaving:
        found = memchr(state.kinds + state.first_leaving, LEAVING, state.n_blocks - state.first_leaving)
        head = cython.cast(cython.pointer(uint8_t), found) - state.kinds
        run = 1
        while run < blocks and head + run < state.n_blocks and state.kinds[head + run] == LEAVING:
            run += 1
        give_run(state, head, run)
        blocks -= run
        state.leaving -= run
        state.first_leaving = head + run


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def give_run(state: cython.pointer(HeapState), head: uint32_t, blocks: uint32_t) -> cython.void:
    """Give the pages of some blocks back. No object began there but the large ones, which have lost their mark."""
    zeroed: cython.bint = madvise(state.base + head * BLOCK, blocks * BLOCK, GIVEN_BACK) == 0
    memset(state.zeroed + head, ALL_ZEROS | CLEAR if zeroed else CLEAR, blocks)
    memset(state.kinds + head, UNUSED, blocks)
    state.used_blocks -= blocks
    state.unused = min(state.unused, head)
    if not zeroed and state.poison:
        memset(state.base + head * BLOCK, POISON_BYTE, blocks * BLOCK)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def spoil(state: cython.pointer(HeapState), block: uint32_t) -> cython.void:
    """Fill what is free in a block: who reads it has a reference that no collection saw."""
    at: uint32_t = block * BLOCK_GRANULES
    end: uint32_t = at + BLOCK_GRANULES
    stop: uint32_t
    while at < end:
        at = first_free(state, at, end)
        stop = first_live(state, at, end)
        memset(state.base + (cython.cast(uint64_t, at) << GRANULE_SHIFT), POISON_BYTE, (stop - at) << GRANULE_SHIFT)
        memset(state.side + at, 0, stop - at)
        at = stop


def clean(state, blocks):
    """Side bytes of so many more blocks have no other number than the heap's, so that the others can be used again;
    those of a block that nobody uses have none: a reference that is seen half written may lead anywhere. These are
    cleared once, since nobody marks anything there until they are used again. A block without small objects has little
    to clean, and counts as little: large ones may make more of them in a pause than are to be cleaned in one."""
    at: uint32_t
    passed: uint32_t = 0
    epoch: uint64_t = state.epoch  # as far as C knows a side byte could be this
    previous: uint64_t = state.previous
    words: cython.pointer(uint64_t)
    while blocks and state.clean < state.n_blocks:
        if state.kinds[state.clean] == SMALL:
            words = cython.cast(cython.pointer(uint64_t), state.side + state.clean * BLOCK_GRANULES)
            for at in range(BLOCK_GRANULES // 8):
                words[at] &= ~((free_of(words[at], epoch, previous) >> 7) * 0xFF)
            blocks -= 1
        else:
            if state.kinds[state.clean] == UNUSED and not state.zeroed[state.clean] & CLEAR:
                memset(state.side + state.clean * BLOCK_GRANULES, 0, BLOCK_GRANULES)
                state.zeroed[state.clean] |= CLEAR
                passed += PASSED - 1
            passed += 1
            if passed >= PASSED:
                passed -= PASSED
                blocks -= 1
        state.clean += 1
