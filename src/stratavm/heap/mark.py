# strata: hot
"""Which objects can be reached: marks and the stack of what is to be looked at. Where roots are is the caller's to say.

A word that is known to be a reference is an object, if it lies in the heap; a handle, if it is smaller than 2^32;
else null or a number. A word of a guest's stack may be anything: it counts if it points into an object that lives.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import realloc
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.heap.pauses import out_of_time
from cython.cimports.stratavm.heap.space import MOST_MET, learn
from cython.cimports.stratavm.heap.state import (
    ARRAY_PART,
    BLOCK_GRANULES,
    BLOCK_SHIFT,
    EPOCH,
    GRANULE_SHIFT,
    HEAD,
    LARGE,
    LEAVING,
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
    Hole,
    TypeInfo,
    add_bits,
    header_at,
    info_of,
    keep_bits,
    look_up_types,
    prefetch,
    size_of,
    word_at,
)
from cython.cimports.stratavm.heap.turns import hold, let_on, see

NOWHERE = cython.declare(uint32_t, 0xFFFFFFFF)
STEPS = cython.declare(uint32_t, 128)  # between two looks at the clock
MANY_BLOCKS = cython.declare(uint32_t, 4096)
MANY_TIMES = cython.declare(uint32_t, 1 << 14)
"""Granules of the objects of a block, each as often as it was looked at, beyond which arrays are not counted again: a
thread that ends often leaves some to be looked at anew, and what is counted must not come round to nothing."""
MANY_WORDS = cython.declare(uint64_t, 1024)  # of the log between two looks at the clock

Coming = cython.struct(granules=uint32_t[32], first=uint64_t, count=uint64_t)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def push(state: cython.pointer(HeapState), granule: uint32_t) -> cython.void:
    """An object that is gray is to be looked at."""
    if state.n_stack < state.limit_stack:
        state.stack[state.n_stack] = granule
        state.n_stack += 1
    else:
        let_wait(state, granule)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def let_wait(state: cython.pointer(HeapState), granule: uint32_t) -> cython.void:
    """An object that is gray is to be looked at when others have been: it will be found by its block."""
    block: uint32_t = granule >> (BLOCK_SHIFT - GRANULE_SHIFT)
    state.overflowed += state.waiting[block] & state.gray == 0
    state.waiting[block] |= state.gray


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def mark_object(state: cython.pointer(HeapState), granule: uint32_t) -> cython.void:
    """An object is reachable: if it is one of those that are looked for just now, it is to be looked at; in a look at
    new ones an old one that slices have not found is theirs to look at. A reference that is seen half written, by a
    thread beside the guest, may lead into the midst of an object: what that becomes is noted, and looked at later."""
    side: cython.pointer(uint8_t) = state.side + granule
    number: uint8_t = side[0]
    if state.wanted >> (number & EPOCH) & 1 == 0:
        if number & EPOCH == state.unfound:
            meet(state, granule)
        return
    if number & EPOCH and number & START == 0:
        return
    side[0] = START | UNLOGGED | state.gray | state.epoch
    push(state, granule)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def meet(state: cython.pointer(HeapState), granule: uint32_t) -> cython.void:
    """A look at new objects has met an old one that slices have not found: it has its mark, and waits for
    ``hand_over``."""
    block: uint32_t = granule >> (BLOCK_SHIFT - GRANULE_SHIFT)
    state.side[granule] = START | UNLOGGED | WAITING | state.epoch
    if state.n_met < MOST_MET:
        state.met[state.n_met] = granule
        state.n_met += 1
    else:
        state.met_blocks += state.waiting[block] & WAITING == 0
        state.waiting[block] |= WAITING


def hand_over(state):
    """What a look at new objects has met of old ones is the slices' from here on, whose stack it is again."""
    at: uint32_t
    state.overflowed += state.met_blocks
    for at in range(state.n_met):
        push(state, state.met[at])
    state.n_met = state.met_blocks = 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def mark(state: cython.pointer(HeapState), word: uint64_t) -> cython.void:
    """What a reference refers to is reachable."""
    offset: uint64_t = word - cython.cast(uint64_t, state.base)
    if offset < state.extent:
        mark_object(state, offset >> GRANULE_SHIFT)
    elif word < state.n_handle_marks:
        state.handle_marks[word] = 1


def mark_range(state, words, count):
    """So many roots."""
    at: uint64_t
    for at in range(count):
        mark(state, word_at(words + at))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def object_around(state: cython.pointer(HeapState), offset: uint64_t) -> uint32_t:
    """The granule where the living object begins that an offset lies in, or NOWHERE."""
    at: uint32_t = offset >> GRANULE_SHIFT
    block: uint32_t = at >> (BLOCK_SHIFT - GRANULE_SHIFT)
    first: uint32_t
    if state.kinds[block] == UNUSED or state.kinds[block] == LEAVING:
        return NOWHERE
    if state.kinds[block] == SMALL:
        if state.fresh[block]:
            learn(state, block)
        first = block * BLOCK_GRANULES
        while state.side[at] & START == 0:
            if at == first:
                return NOWHERE
            at -= 1
    else:
        if state.kinds[block] == TAIL:
            block -= state.spans[block]
        at = block * BLOCK_GRANULES
    epoch: uint32_t = state.side[at] & EPOCH
    if epoch and epoch != state.epoch and epoch != state.previous:
        return NOWHERE
    header: cython.pointer(uint32_t) = header_at(state, at)
    begin: uint64_t = cython.cast(uint64_t, at) << GRANULE_SHIFT
    return at if offset - begin < size_of(info_of(state, header), header) else NOWHERE


def scan_words(state, low, high):
    """What lies on a guest's stack: each word that points into an object is taken for a reference to it."""
    offset: uint64_t
    granule: uint32_t
    while low < high:
        offset = low[0] - cython.cast(uint64_t, state.base)
        if offset < state.extent:
            granule = object_around(state, offset)
            if granule != NOWHERE:
                mark_object(state, granule)
        elif low[0] < state.n_handle_marks:
            state.handle_marks[low[0]] = 1
        low += 1


def is_object(state, word):
    """Whether a living object begins at an address, which may be anything. It changes nothing."""
    offset: uint64_t = word - cython.cast(uint64_t, state.base)
    if offset >= state.extent or offset & ((1 << GRANULE_SHIFT) - 1):
        return False
    look_up_types(state)
    at: uint32_t = offset >> GRANULE_SHIFT
    block: uint32_t = at >> (BLOCK_SHIFT - GRANULE_SHIFT)
    if state.kinds[block] == SMALL:
        return begins_in_hole(state, at, state.fresh[block]) or lives(state, at)
    return state.kinds[block] == HEAD and at == block * BLOCK_GRANULES and lives(state, at)


def is_new(state, address):
    """Whether an object was made since the last collection."""
    return state.side[(address - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT] & EPOCH == 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def lives(state: cython.pointer(HeapState), at: uint32_t) -> cython.bint:
    """Whether an object begins at a granule that the last collection has reached, or that has blocks of its own and is
    new."""
    epoch: uint32_t = state.side[at] & EPOCH
    if state.side[at] & START == 0:
        return False
    if epoch == 0:
        return state.kinds[at >> (BLOCK_SHIFT - GRANULE_SHIFT)] == HEAD
    return epoch == state.epoch or epoch == state.previous


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def begins_in_hole(state: cython.pointer(HeapState), wanted: uint32_t, next: uint32_t) -> cython.bint:
    """Whether an object begins at a granule in one of a block's fresh holes."""
    at: uint32_t
    end: uint32_t
    hole: cython.pointer(Hole)
    header: cython.pointer(uint32_t)
    while next:
        hole = state.holes + (next - 1)
        if hole.start <= wanted < hole.end:
            end = hole.used
            if next == state.hole:  # it is being filled
                end = (state.window.next - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT
            elif next == state.hole_aside:
                end = (state.aside.next - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT
            at = hole.start
            while at < wanted and at < end:
                header = header_at(state, at)
                at += size_of(info_of(state, header), header) >> GRANULE_SHIFT
            return at == wanted and at < end
        next = hole.before
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_at_elements(state: cython.pointer(HeapState), granule: uint32_t, index: uint32_t) -> cython.void:
    """Mark what some elements of an array of references refer to, and leave the rest for later: so do the side bytes of
    a large one."""
    header: cython.pointer(uint32_t) = header_at(state, granule)
    words: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), header) + 1
    end: uint32_t = header[1]
    if end - index > ARRAY_PART and state.n_parts < state.limit_parts:
        end = index + ARRAY_PART
        state.parts[state.n_parts].granule = granule
        state.parts[state.n_parts].index = end
        state.n_parts += 1
    first: uint64_t = max((8 + 8 * cython.cast(uint64_t, index)) >> GRANULE_SHIFT, 1)
    last: uint64_t = (8 + 8 * cython.cast(uint64_t, end) + 15) >> GRANULE_SHIFT
    if size_of(info_of(state, header), header) > LARGE and first < last:  # two parts may share a granule
        memset(state.side + granule + first, UNLOGGED | state.epoch, last - first)
    state.work += (end - index) >> 3
    if state.n_stack + cython.cast(uint64_t, end - index) <= roomy(state):
        push_all(state, words + index, end - index)
    else:
        mark_range(state, words + index, end - index)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def roomy(state: cython.pointer(HeapState)) -> uint64_t:
    """Up to here the stack has so much room that what may be marked, or be there already, is put on it all the same:
    whether it is wanted is asked when it comes out, with its side byte at hand by then."""
    return (cython.cast(uint64_t, state.floor_stack) + state.limit_stack) >> 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def push_all(state: cython.pointer(HeapState), words: cython.pointer(uint64_t), count: uint64_t) -> cython.void:
    """``mark_range`` where the stack is roomy."""
    base: uint64_t = cython.cast(uint64_t, state.base)
    extent: uint64_t = state.extent
    stack: cython.pointer(uint32_t) = state.stack
    n: uint64_t = state.n_stack
    at: uint64_t
    word: uint64_t
    offset: uint64_t
    for at in range(count):
        word = word_at(words + at)
        offset = word - base
        stack[n] = offset >> GRANULE_SHIFT
        n += offset < extent
        if word < state.n_handle_marks:
            state.handle_marks[word] = 1
    state.n_stack = n


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def cover(place: cython.pointer(uint8_t), number: uint8_t, granules: uint64_t) -> cython.void:
    """Side bytes of an object's granules but the first; most objects have few."""
    word: uint64_t
    if granules <= 4:
        if granules > 1:
            place[1] = place[granules - 1] = place[granules >> 1] = number
    elif granules <= 16:
        word = number * cython.cast(uint64_t, 0x0101010101010101)
        if granules <= 8:
            memcpy(place + 1, cython.address(word), 4)
            memcpy(place + granules - 4, cython.address(word), 4)
        else:
            memcpy(place + 1, cython.address(word), 8)
            memcpy(place + granules - 8, cython.address(word), 8)
    else:
        memset(place + 1, number, granules - 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_at(state: cython.pointer(HeapState), granule: uint32_t) -> cython.void:
    """All of an object is reachable: its granules, and what it refers to."""
    header: cython.pointer(uint32_t) = header_at(state, granule)
    info: cython.pointer(TypeInfo) = info_of(state, header)
    granules: uint64_t = size_of(info, header) >> GRANULE_SHIFT
    if granules > LARGE >> GRANULE_SHIFT and info.element and info.n_traced and state.n_parts >= state.limit_parts:
        state.side[granule] = START | UNLOGGED | state.gray | state.epoch  # else all of it would be looked at at once
        let_wait(state, granule)
        return
    state.side[granule] = START | UNLOGGED | state.epoch
    state.looked_at += granules << GRANULE_SHIFT
    if granules <= LARGE >> GRANULE_SHIFT:
        if state.counts[granule >> (BLOCK_SHIFT - GRANULE_SHIFT)] < MANY_TIMES:
            state.counts[granule >> (BLOCK_SHIFT - GRANULE_SHIFT)] += granules
        if state.only_new and state.counts != state.live:
            state.live[granule >> (BLOCK_SHIFT - GRANULE_SHIFT)] += granules
    else:
        granules = granules if info.n_traced and info.element == 0 else 1  # of arrays part by part
    cover(state.side + granule, UNLOGGED | state.epoch, granules)
    if info.element:
        if info.n_traced:
            look_at_elements(state, granule, 0)
        return
    at: uint32_t
    state.work += info.n_traced >> 3  # as of arrays: some have thousands of fields
    for at in range(info.n_traced):
        mark(
            state, word_at(cython.cast(cython.pointer(uint64_t), cython.cast(cython.p_char, header) + info.traced[at]))
        )


def take_waiting(state):
    """Put objects of a block on the stack that found no room there; there are some, here or farther on. They stay gray,
    for who takes them out."""
    block: uint32_t = state.waiting_at
    at: uint32_t
    state.work += STEPS
    for at in range(MANY_BLOCKS):
        if state.waiting[block] & state.gray:
            break
        block = block + 1 if block + 1 < state.n_blocks else 0
    state.waiting_at = block
    if state.waiting[block] & state.gray == 0:
        return
    for at in range(block * BLOCK_GRANULES, (block + 1) * BLOCK_GRANULES):
        if state.side[at] & state.gray:
            if state.n_stack >= state.limit_stack:
                return
            state.stack[state.n_stack] = at
            state.n_stack += 1
    state.waiting[block] &= ~state.gray
    state.overflowed -= 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def have_come(state: cython.pointer(HeapState), at: uint64_t) -> cython.void:
    """Words of the log behind one are on their way from memory, and the side bytes of these and of what they have."""
    base: uint64_t = cython.cast(uint64_t, state.base)
    if at + 32 < state.n_log:
        prefetch(cython.cast(cython.p_void, state.log[at + 32]))
        prefetch(state.side + ((state.log[at + 32] - base) >> GRANULE_SHIFT))
    if at + 16 < state.n_log:
        offset: uint64_t = cython.cast(cython.pointer(uint64_t), state.log[at + 16])[0] - base
        if offset < state.extent:
            prefetch(state.side + (offset >> GRANULE_SHIFT))


def mark_logged(state, budget_ns):
    """What was written into old objects since the last look at new ones is a root of these: all of it, or until the
    pause has taken so long; 0: no matter. False: there is more of it, and all of the log is left."""
    at: uint64_t
    word: uint64_t
    for at in range(state.n_log):
        if budget_ns and at % MANY_WORDS == MANY_WORDS - 1 and out_of_time(state, budget_ns):
            return False
        have_come(state, at)
        word = state.log[at]
        add_bits(state.side + ((word - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT), UNLOGGED)
        mark(state, cython.cast(cython.pointer(uint64_t), word)[0])
    state.n_log = 0
    return True


def forget_logged(state):
    """Nothing is new any more. While marks are made, what was written is reachable: slices may have been there."""
    at: uint64_t
    for at in range(state.n_log):
        have_come(state, at)
        add_bits(state.side + ((state.log[at] - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT), UNLOGGED)
        if state.marking:
            mark(state, cython.cast(cython.pointer(uint64_t), state.log[at])[0])
    state.n_log = 0


def mark_fresh(state):
    """All that was made since the last collection counts as reachable, and is old. How many bytes that are, without
    those that a look at new objects has counted which was given up. While a full collection goes on in slices what it
    refers to is reachable too: slices never come to what has its mark, but to large objects, which wait for them."""
    n: uint32_t
    block: uint32_t
    granules: uint64_t
    found: uint64_t = 0
    for n in range(state.n_holes):
        block = state.holes[n].start >> (BLOCK_SHIFT - GRANULE_SHIFT)
        state.waiting[block] &= ~WAITING_NEW
        if state.kinds[block] == HEAD:
            found += mark_all(state, state.holes[n].start, state.holes[n].start + 1)
            if state.marking:
                look_again(state, state.holes[n].start)
            continue
        granules = mark_all(state, state.holes[n].start, state.holes[n].used)
        state.counts[block] += granules
        if state.counts != state.live:
            state.live[block] += granules
        found += granules
    return found << GRANULE_SHIFT


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def mark_all(state: cython.pointer(HeapState), start: uint32_t, end: uint32_t) -> uint64_t:
    """Objects without gaps have marks; how many granules those have that nobody has looked at: they have no number, or
    wait for that with one. Most are of one type with the one before, so that the processor need not wait for what says
    where the next begins."""
    header: cython.pointer(uint32_t)
    info: cython.pointer(TypeInfo) = cython.NULL
    side: cython.pointer(uint8_t)
    number: uint8_t = UNLOGGED | state.epoch
    unfound: uint32_t = state.previous if state.marking else EPOCH + 1
    type_id: uint32_t = 0
    granules: uint64_t = 0
    found: uint64_t = 0
    while start < end:
        header = header_at(state, start)
        if info == cython.NULL or header[0] != type_id or info.element:
            type_id = header[0]
            info = info_of(state, header)
            granules = size_of(info, header) >> GRANULE_SHIFT
        side = state.side + start
        if side[0] & EPOCH == 0 or side[0] & WAITING_NEW:
            found += granules
        side[0] = START | number
        if granules == 2:  # as most have
            side[1] = number
        elif granules <= LARGE >> GRANULE_SHIFT or info.n_traced:
            memset(side + 1, number, granules - 1)
        if unfound <= EPOCH and info.n_traced:
            look_into(state, header, info, granules, unfound)
        start += granules
    return found


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def look_into(
    state: cython.pointer(HeapState),
    header: cython.pointer(uint32_t),
    info: cython.pointer(TypeInfo),
    granules: uint64_t,
    unfound: uint32_t,
) -> cython.void:
    """Mark what an object refers to that slices have not found; not of a large one, to which they come."""
    words: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), header)
    traced: cython.pointer(uint32_t) = info.traced
    base: uint64_t = cython.cast(uint64_t, state.base)
    word: uint64_t
    if granules > LARGE >> GRANULE_SHIFT:
        return
    if info.element:
        mark_range(state, words + 1, header[1])
        return
    while traced[0]:  # there is a 0 behind the last
        word = words[traced[0] >> 3]
        traced += 1
        if word - base < state.extent:
            if state.side[(word - base) >> GRANULE_SHIFT] & EPOCH == unfound:
                mark(state, word)
        elif word < state.n_handle_marks:
            state.handle_marks[word] = 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_again(state: cython.pointer(HeapState), granule: uint32_t) -> cython.void:
    """A large object that has its mark is to be looked at by slices, whether they have been there or not."""
    if info_of(state, header_at(state, granule)).n_traced:
        state.side[granule] = START | UNLOGGED | WAITING | state.epoch
        push(state, granule)


def note_rewritten(state, thing):
    """Much of a large array is about to be written, without a note for each word, when nothing is new. If slices have
    begun to look at it, it is looked at again at their end: not before, or who writes it again and again would have
    them look at it for ever. A thread beside the guest may begin at any time, and before all is written."""
    granule: uint64_t = (thing - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT
    block: uint64_t = granule >> (BLOCK_SHIFT - GRANULE_SHIFT)
    side: uint8_t = state.side[granule]
    held: cython.bint
    if state.marking and state.kinds[block] == HEAD and side & START:
        if side & EPOCH == state.epoch or (side & EPOCH and see(cython.address(state.beside))):
            held = hold(state)
            state.waiting[block] |= REWRITTEN
            if held:
                let_on(state)


def look_at_rewritten(state):
    """Slices have found nothing left: these arrays are left."""
    block: uint32_t = 0
    while block < state.n_blocks:
        if state.kinds[block] == HEAD:
            if state.waiting[block] & REWRITTEN:
                state.waiting[block] &= ~REWRITTEN
                if state.side[block * BLOCK_GRANULES] & EPOCH == state.epoch:  # else nobody has been there
                    look_again(state, block * BLOCK_GRANULES)
            block += state.spans[block]
        else:
            block += 1


def note_write(state, thing, slot):
    """A reference is about to be written into an object. Both words of the slot's granule are noted, if they are
    references: for the next look at new objects they are roots. Of what is old too while a full collection goes on in
    slices, for these may have been there."""
    look_up_types(state)
    log_granule(
        state,
        info_of(state, cython.cast(cython.pointer(uint32_t), thing)),
        thing,
        slot & ~cython.cast(uint64_t, 15),
    )


def note_range(state, thing, slot, count):
    """So many words of an object are about to be written: ``note_write`` for each that its type has as a reference. The
    header may be anything: whoever writes for a guest without machine code may have made the object's address up."""
    header: cython.pointer(uint32_t) = cython.cast(cython.pointer(uint32_t), thing)
    number: uint32_t = header[0] & TYPE_MASK
    room: uint32_t = state.table.room  # before the types, which may get more room just now
    look_up_types(state)
    if number >= room or state.types[number] == cython.NULL or state.types[number].n_traced == 0:
        return
    info: cython.pointer(TypeInfo) = state.types[number]
    end: uint64_t = slot + 8 * count
    slot &= ~cython.cast(uint64_t, 15)
    while slot < end:
        log_granule(state, info, thing, slot)
        slot += 16


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def log_granule(
    state: cython.pointer(HeapState), info: cython.pointer(TypeInfo), thing: uint64_t, first: uint64_t
) -> cython.void:
    """Note the words of a granule of an object that are references, if it is old and that was not done."""
    side: cython.pointer(uint8_t) = state.side + ((first - cython.cast(uint64_t, state.base)) >> GRANULE_SHIFT)
    if side[0] & UNLOGGED == 0 or state.lost:
        return
    keep_bits(side, ~UNLOGGED & 0xFF)  # a thread beside the guest may be writing the others
    room: uint64_t = 2 * state.room_log + 1024
    if state.n_log + 2 > state.room_log:
        grown: cython.p_void = realloc(state.log, room * 8)
        if grown == cython.NULL:
            state.lost = 1
            return
        state.log, state.room_log = cython.cast(cython.pointer(uint64_t), grown), room
    word: uint64_t
    for word in range(first, first + 16, 8):
        if is_traced(info, cython.cast(cython.pointer(uint32_t), thing), word - thing):
            state.log[state.n_log] = word
            state.n_log += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_traced(info: cython.pointer(TypeInfo), header: cython.pointer(uint32_t), offset: uint64_t) -> cython.bint:
    """Whether the word at an offset of an object is a reference."""
    at: uint32_t = 0
    if info.element != 0:
        return info.n_traced != 0 and offset != 0 and offset >> 3 <= header[1]
    while at < info.n_traced and info.traced[at] != offset:
        at += 1
    return at < info.n_traced


def note_admitted(state, word):
    """Somebody outside of the guests asks for an object by its address, of which nobody may know any more: while marks
    are made it counts as reachable."""
    if state.marking:
        held: cython.bint = hold(state)
        mark(state, word)
        if held:
            let_on(state)


def note_handle(state, handle):
    """A guest gets a handle, new or not. While marks are made it counts as reachable, as new objects do: it may lie
    where nobody looks any more."""
    if state.marking and handle < state.n_handle_marks:
        state.handle_marks[handle] = 1


def look_at_later(state):
    """Mark some more of the roots that may wait."""
    count: uint64_t = min(cython.cast(uint64_t, ARRAY_PART), state.n_later - state.later_at)
    mark_range(state, state.later + state.later_at, count)
    state.later_at += count
    state.work += STEPS >> 1


def put_part_back(state, granule, index):
    """Elements of an array from one on are still to be looked at; or all of them, where there is no room to note it."""
    if state.n_parts < state.limit_parts:
        state.parts[state.n_parts].granule = granule
        state.parts[state.n_parts].index = index
        state.n_parts += 1
    else:
        look_again(state, granule)


def put_back(state, granule):
    """What was taken from the stack is still to be looked at, if it is wanted or gray."""
    if state.n_stack < state.limit_stack:
        state.stack[state.n_stack] = granule
        state.n_stack += 1
    elif asked_of(state) >> (state.side[granule] & 63) & (state.side[granule] >> 7 | state.wanted) & 1:
        state.side[granule] = START | UNLOGGED | state.gray | state.epoch
        push(state, granule)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def asked_of(state: cython.pointer(HeapState)) -> uint64_t:
    """A bit for each value of the low six bits of a side byte: whether who has it and comes from the stack is to be
    looked at."""
    asked: uint64_t = state.wanted * cython.cast(uint64_t, 0x0101010101010101)
    if state.gray == WAITING_NEW:
        return asked | cython.cast(uint64_t, 0xFFFF0000FFFF0000)
    return asked | cython.cast(uint64_t, 0xFFFFFFFF00000000)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def look_on(state: cython.pointer(HeapState), coming: cython.pointer(Coming), steps: uint64_t) -> uint64_t:
    """Take so many objects from the stack, or all, and look at them; how many. What they refer to is put there whether
    it is wanted or not, without a branch. All that the loop needs stands in locals, since a side byte that is written
    could be any of the heap's fields as far as C knows."""
    base: cython.p_char = state.base
    side: cython.pointer(uint8_t) = state.side
    extent: uint64_t = state.extent
    last_handle: uint64_t = state.n_handle_marks - (state.n_handle_marks != 0)
    types: cython.pointer(cython.pointer(TypeInfo)) = state.types
    counts: cython.pointer(uint16_t) = state.counts
    live: cython.pointer(uint16_t) = cython.NULL
    if state.only_new and state.counts != state.live:
        live = state.live
    asked: uint64_t = asked_of(state)
    anew: uint64_t = state.wanted  # 1: new objects too, which have no side bytes; others begin where these say so
    number: uint64_t
    unfound: uint64_t = state.unfound
    old: uint8_t = UNLOGGED | state.epoch
    pair: uint16_t = (START | old) + (old << 8)
    stack: cython.pointer(uint32_t) = state.stack
    floor: uint64_t = state.floor_stack
    most: uint64_t = roomy(state)
    n: uint64_t = state.n_stack
    first: uint64_t = coming.first
    count: uint64_t = coming.count
    ahead: uint64_t = 32  # on the way from memory
    stop: uint64_t = first + steps
    granules: uint64_t
    sum: uint64_t = 0
    granule: uint64_t
    next: uint64_t
    word: uint64_t
    offset: uint64_t
    place: cython.pointer(uint8_t)
    object: cython.p_char
    info: cython.pointer(TypeInfo)
    traced: cython.pointer(uint32_t)
    while first != stop:
        granule = coming.granules[first & (ahead - 1)]
        if count == ahead and n > floor:
            n -= 1
            next = stack[n]
            prefetch(base + (next << GRANULE_SHIFT))
            prefetch(side + next)
            coming.granules[first & (ahead - 1)] = next
        elif n > floor:
            n -= 1
            next = stack[n]
            prefetch(base + (next << GRANULE_SHIFT))
            prefetch(side + next)
            coming.granules[(first + count) & (ahead - 1)] = next
            count += 1
            continue
        elif count:
            count -= 1
        else:
            break
        first += 1
        place = side + granule
        number = place[0]
        if asked >> (number & 63) & (number >> 7 | anew) & 1 == 0:
            if number & EPOCH == unfound:
                meet(state, granule)
            continue
        if number & WAITING and anew == 0:  # one that became old since a thread beside the guest has asked for types
            look_up_types(state)
            types = state.types
        object = base + (granule << GRANULE_SHIFT)
        info = types[cython.cast(cython.pointer(uint32_t), object)[0] & TYPE_MASK]
        traced = info.traced
        granules = (traced - 1)[0]
        if granules == 0 or n >= most:
            state.n_stack = n
            look_at(state, granule)
            n = state.n_stack
            if state.work >= STEPS:
                break
            continue
        counts[granule >> (BLOCK_SHIFT - GRANULE_SHIFT)] += granules
        if live != cython.NULL:
            live[granule >> (BLOCK_SHIFT - GRANULE_SHIFT)] += granules
        sum += granules
        if granules == 2:
            cython.cast(cython.pointer(uint16_t), place)[0] = pair
        else:
            place[0] = START | old
            cover(place, old, granules)
        while traced[0]:
            word = word_at(cython.cast(cython.pointer(uint64_t), object + traced[0]))
            traced += 1
            offset = word - cython.cast(uint64_t, base)
            stack[n] = offset >> GRANULE_SHIFT
            n += offset < extent
            if word - 1 < last_handle:
                state.handle_marks[word] = 1
    steps -= stop - first
    coming.first, coming.count = first, count
    state.n_stack = n
    state.looked_at += sum << GRANULE_SHIFT
    return steps


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def look_further(state: cython.pointer(HeapState), coming: cython.pointer(Coming), steps: uint64_t) -> uint64_t:
    """Look at so many objects, or else at a part of an array, or at what has found no room on the stack, or at roots
    that may wait; how many that were. 0: nothing is left."""
    did: uint64_t = look_on(state, coming, steps)
    part: uint32_t
    if did:
        return did
    if state.n_parts > state.floor_parts:
        state.n_parts -= 1
        part = state.n_parts
        look_at_elements(state, state.parts[part].granule, state.parts[part].index)
    elif state.overflowed:
        take_waiting(state)
    elif state.later_at < state.n_later and not state.only_new:
        look_at_later(state)
    else:
        return 0
    return 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_all_back(state: cython.pointer(HeapState), coming: cython.pointer(Coming)) -> cython.void:
    """What is on its way from memory is to be looked at by others."""
    while coming.count:
        coming.count -= 1
        put_back(state, coming.granules[(coming.first + coming.count) & 31])


def drain(state, most, budget_ns):
    """Look at what is reachable, down to the floor of the stack: at all of it, or at so many objects and parts of
    arrays, or until the pause has taken so long; 0: no matter. Whether nothing is left."""
    coming: Coming
    did: uint64_t
    steps: uint64_t = 0
    coming.first = coming.count = 0
    while True:
        did = look_further(state, cython.address(coming), 1 if most else STEPS)
        if did == 0:
            return True
        steps += did
        state.work += did
        if state.work < STEPS and steps != most:
            continue
        state.work = 0
        if steps == most or (budget_ns and out_of_time(state, budget_ns)):
            put_all_back(state, cython.address(coming))
            return False


def drain_beside(state, called, sliced):
    """``drain`` of what a thread beside the guest has, until nothing is left of it or the thread is called. What it has
    looked at is added to ``sliced`` bit by bit."""
    coming: Coming
    left: cython.bint = True
    before: uint64_t = state.looked_at - sliced[0]
    coming.first = coming.count = 0
    while left and see(called) == 0:
        left = look_further(state, cython.address(coming), STEPS) != 0
        sliced[0] = state.looked_at - before
    state.work = 0
    put_all_back(state, cython.address(coming))
