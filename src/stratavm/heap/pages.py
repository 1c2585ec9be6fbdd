# strata: hot
"""Which pages the parts of a heap lie on. Whoever looks at objects all over a heap waits for where its pages are, so
that a heap that is no small one has large pages.

These come late: a kernel fills one with zeros, may have to make room for it first, and a virtual machine's host to find
memory for all of it at once, which can take longer than a pause. So a thread of its own makes some ahead for all heaps
of the process, and a heap that grows has one of them moved to where its next part is, in some microseconds. Where none
is ready that part is on small pages.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
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
    munmap,
)
from cython.cimports.posix.unistd import getpid
from cython.cimports.stratavm.heap.state import BLOCK_SHIFT, PART_BLOCKS, SMALL_PARTS, add
from cython.cimports.stratavm.heap.threads import begin_thread, give_way

ON_LARGE_PAGES = cython.declare(cython.int, 14)  # MADV_HUGEPAGE
TO_A_PLACE = cython.declare(cython.int, 3)  # MREMAP_MAYMOVE | MREMAP_FIXED
NOT_OVER_OTHERS = cython.declare(cython.int, 0x100000)  # MAP_FIXED_NOREPLACE
PART = cython.declare(uint64_t, PART_BLOCKS << BLOCK_SHIFT)
SMALL_PAGE = cython.declare(uint64_t, 4096)
MADE = cython.declare(uint64_t, 4)
"""Large pages that are made ahead."""
FEW = cython.declare(uint64_t, 2)
"""With no more than these ready some are made."""
AGAIN = cython.declare(uint64_t, 512)
"""So many times none is made after the kernel had none, before it is asked again."""
MOST_MAPS = cython.declare(uint64_t, 16_384)
"""That heaps have by large pages, of 65,530 that a process may have: each is one."""
MANY = cython.declare(uint32_t, 1_000_000)  # times that a planted mapping is tried
SPARE_MAPS = cython.declare(uint64_t, 128)
"""That the process can still have when one is made."""
MOVE_MAPS = cython.declare(uint64_t, 8)
"""And when one is moved: the kernel refuses a move that might not find one, and nobody can tell whether it has taken
the place away before."""

ready = cython.declare(uint64_t[4])  # addresses, or 0
making = cython.declare(uint64_t, 0)  # the process whose thread makes some, or 0
users = cython.declare(uint64_t, 0)  # heaps that may want one
moved = cython.declare(uint64_t, 0)  # that heaps have
wishes = cython.declare(uint64_t, 0)
later = cython.declare(uint64_t, 0)  # there is none before so many wishes
planted = cython.declare(uint64_t, 0)


# ---- a heap's ----


def open_part(state):
    """The next part of a heap, behind the others, can be used from here on, on a large page if one is ready. False: it
    cannot, and nobody else has the place."""
    place: cython.p_char = state.base + (cython.cast(uint64_t, state.n_blocks) << BLOCK_SHIFT)
    page: uint64_t = 0
    can: cython.bint
    if not state.small_pages and state.n_blocks >= SMALL_PARTS * PART_BLOCKS and n_ready() != 0:
        page = one_ready() if are_maps_left(MOVE_MAPS) else 0
    if page != 0 and move_to(page, place):
        state.large_pages += 1
        add(cython.address(moved), 1)
        can = True
    elif page != 0 and not is_regained(place):
        state.lost_part = place
        state.room_blocks = state.n_blocks
        can = False
    else:
        can = mprotect(place, PART, PROT_READ | PROT_WRITE) == 0
    if not state.small_pages and state.n_blocks >= (SMALL_PARTS - 1) * PART_BLOCKS:
        if not state.has_asked:
            state.has_asked = 1
            add(cython.address(users), 1)
        if n_ready() <= FEW:  # behind the move: a thread that begins maps something for a moment
            have_some_made()
    return can


def leave_pages(state):
    """A heap ends: it gives all its address space back but a part that may be another's by now."""
    at: uint64_t = cython.cast(uint64_t, state.mapping)
    end: uint64_t = at + state.mapped
    if state.lost_part != cython.NULL:
        munmap(state.mapping, cython.cast(uint64_t, state.lost_part) - at)
        at = cython.cast(uint64_t, state.lost_part) + PART
    munmap(cython.cast(cython.p_void, at), end - at)
    add(cython.address(moved), 0 - cython.cast(uint64_t, state.large_pages))
    if state.has_asked and add(cython.address(users), cython.cast(uint64_t, 0) - 1) == 0:
        let_go_of_ready()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def one_ready() -> uint64_t:
    """The address of a page that is ready, which is the caller's from here on; 0: none is."""
    at: uint64_t
    page: uint64_t = 0
    for at in range(MADE):
        if seen_64(cython.address(ready[at])) != 0:
            page = swap_64(cython.address(ready[at]), 0)
        if page != 0:
            break
    return page


@cython.ccall
@cython.nogil
@cython.exceptval(check=False)
def n_ready() -> uint64_t:
    """How many pages are ready."""
    at: uint64_t
    count: uint64_t = 0
    for at in range(MADE):
        count += seen_64(cython.address(ready[at])) != 0
    return count


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def move_to(page: uint64_t, place: cython.p_char) -> cython.bint:
    """Have a page in another place from here on. Where that fails there is no page any more, and the place may be
    nobody's: the kernel takes away what was there first."""
    at: cython.p_void = cython.cast(cython.p_void, page)
    if planted == 0 and mremap(at, PART, PART, TO_A_PLACE, place) == place:
        return True
    munmap(at, PART)
    if planted != 0:
        munmap(place, PART)
    for _ in range(MANY if planted > 1 else 0):  # the thread that makes some may be there for a moment
        if mmap(place, PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | NOT_OVER_OTHERS, -1, 0) == place:
            break
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_regained(place: cython.p_char) -> cython.bint:
    """Whether a place that was taken away is the heap's again. Where something is there it may be another's mapping."""
    found: cython.p_void = mmap(
        place, PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | NOT_OVER_OTHERS, -1, 0
    )
    if found == place:
        return True
    if found != MAP_FAILED:  # a kernel that takes the place for a hint
        munmap(found, PART)
    return False


@cython.ccall
def plant(fault: uint64_t) -> None:
    """For tests: 1, the kernel cannot move a page from here on, and has taken the place away; 2, and another thread has
    it since; 0, neither."""
    swap_64(cython.address(planted), fault)


# ---- the thread's ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def have_some_made() -> cython.void:
    """Begin a thread that makes some, unless there is one. That of a process that this was forked from does not
    count."""
    process: uint64_t = getpid()
    if add(cython.address(wishes), 1) < seen_64(cython.address(later)) or seen_64(cython.address(moved)) >= MOST_MAPS:
        return
    if seen_64(cython.address(making)) == process or swap_64(cython.address(making), process) == process:
        return
    if not begin_thread(make_some, cython.NULL):
        swap_64(cython.address(making), 0)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def make_some(given: cython.p_void) -> cython.p_void:
    """Make pages until as many are ready as should be, or the kernel has none, or few mappings for
    this process."""
    at: uint64_t
    give_way()
    page: uint64_t = are_maps_left(SPARE_MAPS)
    for at in range(MADE):
        if page != 0 and seen_64(cython.address(ready[at])) == 0:
            page = a_page()
            let_go_of(swap_64(cython.address(ready[at]), page))  # of a thread that ends as this one begins
    if page == 0:
        swap_64(cython.address(later), seen_64(cython.address(wishes)) + AGAIN)
    swap_64(cython.address(making), 0)
    if seen_64(cython.address(users)) == 0:
        let_go_of_ready()
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def a_page() -> uint64_t:
    """The address of a large page that is there, with zeros; 0: the kernel has none."""
    mapping: cython.p_void = mmap(
        cython.NULL, 2 * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
    )
    if mapping == MAP_FAILED:
        return 0
    begin: uint64_t = cython.cast(uint64_t, mapping)
    page: uint64_t = (begin + PART - 1) & ~(PART - 1)
    if page != begin:
        munmap(mapping, page - begin)
    munmap(cython.cast(cython.p_void, page + PART), begin + PART - page)
    there: uint8_t = 0
    last: uint64_t = page + PART - SMALL_PAGE
    if madvise(cython.cast(cython.p_void, page), PART, ON_LARGE_PAGES) == 0:
        cython.cast(cython.pointer(uint8_t), page)[0] = 0
        if mincore(cython.cast(cython.p_void, last), SMALL_PAGE, cython.address(there)) != 0:
            there = 0
    if there & 1 == 0:  # the first byte has brought no more than a small page
        let_go_of(page)
        return 0
    return page


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def are_maps_left(some: uint64_t) -> cython.bint:
    """Whether the process can have so many more mappings: it is tried, with every other page of some that no one
    uses."""
    size: uint64_t = 2 * some * SMALL_PAGE
    at: uint64_t
    left: cython.bint = True
    begin: cython.p_void = mmap(cython.NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if begin == MAP_FAILED:
        return False
    for at in range(some):
        if left and mprotect(cython.cast(cython.p_char, begin) + 2 * at * SMALL_PAGE, SMALL_PAGE, PROT_READ) != 0:
            left = False
    munmap(begin, size)
    return left


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def let_go_of(page: uint64_t) -> cython.void:
    """Give a page back, if it is one."""
    if page != 0:
        munmap(cython.cast(cython.p_void, page), PART)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def let_go_of_ready() -> cython.void:
    """No heap wants one of those that are ready."""
    at: uint64_t
    for at in range(MADE):
        let_go_of(swap_64(cython.address(ready[at]), 0))
