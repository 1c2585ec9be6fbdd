# strata: hot
"""Which pages the parts of a heap lie on. Whoever looks at objects all over a heap waits for where its pages are, so
that a heap that is no small one has large pages, where these come soon.

They do not everywhere: a kernel may have to make room first, and a virtual machine's host to find memory for all of
one at once, which takes longer than a pause. So they are tried beside the guests, by a thread of its own, and each that
a heap gets is timed.
"""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.posix.mman import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    madvise,
    mmap,
    munmap,
)
from cython.cimports.posix.time import CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec
from cython.cimports.stratavm.heap.pace import next_small
from cython.cimports.stratavm.heap.pauses import ask_clock, spent_ns, tell_decision
from cython.cimports.stratavm.heap.state import (
    BLOCK_SHIFT,
    NOTE_PAGE,
    PART_BLOCKS,
    SMALL_PARTS,
    VALUES,
    add,
)

ON_LARGE_PAGES = cython.declare(cython.int, 14)  # MADV_HUGEPAGE
PART = cython.declare(uint64_t, PART_BLOCKS << BLOCK_SHIFT)
TRIED = cython.declare(uint64_t, 4)
"""Large pages that are timed at once."""
AGAIN = cython.declare(uint64_t, 512)
"""So many parts are on small pages since large ones were too slow, before they are tried again."""
NEVER = cython.declare(uint64_t, 1 << 62)
MOST_NS = cython.declare(uint64_t, 1_000_000_000)
"""What one may take where every collection is a full one, in one pause."""

slowest_ns = cython.declare(uint64_t, 0)  # of those that were tried; 0: none was
asked = cython.declare(uint64_t, 0)
refused = cython.declare(uint64_t, 0)


@cython.ccall
def believe(ns: uint64_t) -> uint64_t:
    """What a large page takes at most is this, for tests; 0: nobody knows. What it was."""
    swap_64(cython.address(asked), ns != 0)
    return swap_64(cython.address(slowest_ns), ns)


def choose_pages(state):
    """The next part of a heap, behind the others, is about to be used. It is on a large page if these come within a
    pause, which is had now and not as a guest writes, so that it is known how long that took."""
    place: cython.p_char = state.base + (cython.cast(uint64_t, state.n_blocks) << BLOCK_SHIFT)
    most_ns: uint64_t = state.pause_ns if state.generational else MOST_NS
    if state.small_pages or 2 * state.n_blocks < SMALL_PARTS * PART_BLOCKS:
        return
    if not are_quick(most_ns) or state.n_blocks < SMALL_PARTS * PART_BLOCKS:
        return
    if state.small_left:
        state.small_left -= 1
        return
    if madvise(place, PART, ON_LARGE_PAGES) != 0:
        return
    note: uint64_t[VALUES]
    memset(note, 0, cython.sizeof(note))
    ask_clock(state)
    note[0] = spent_ns(state)
    place[0] = 0
    note[0] = spent_ns(state) - note[0]
    note[1], note[2] = most_ns, state.small_parts
    note[3] = state.small_parts = next_small(state.small_parts, note[0], most_ns)
    state.small_left = state.small_parts if note[0] > most_ns else 0
    tell_decision(state, NOTE_PAGE, note)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def are_quick(most_ns: uint64_t) -> cython.bint:
    """Whether large pages come so soon, as far as is known; who asks first has them tried."""
    ns: uint64_t = seen_64(cython.address(slowest_ns))
    if ns > most_ns and add(cython.address(refused), 1) % AGAIN == 0:
        swap_64(cython.address(asked), 0)
    if seen_64(cython.address(asked)) == 0 and swap_64(cython.address(asked), 1) == 0:
        have_them_tried()
    return ns != 0 and ns <= most_ns


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def have_them_tried() -> cython.void:
    """Begin a thread that tries some. It gets no signals: these are for threads that know of Python. In a process that
    is forked meanwhile there is none, and heaps have small pages."""
    all_of_them: sigset_t
    before: sigset_t
    how: pthread_attr_t
    thread: pthread_t
    if pthread_attr_init(cython.address(how)) != 0:
        return
    sigfillset(cython.address(all_of_them))
    pthread_attr_setdetachstate(cython.address(how), PTHREAD_CREATE_DETACHED)
    pthread_sigmask(SIG_SETMASK, cython.address(all_of_them), cython.address(before))
    if pthread_create(cython.address(thread), cython.address(how), try_some, cython.NULL) != 0:
        swap_64(cython.address(slowest_ns), NEVER)
    pthread_sigmask(SIG_SETMASK, cython.address(before), cython.NULL)
    pthread_attr_destroy(cython.address(how))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def try_some(given: cython.p_void) -> cython.p_void:
    """Time some large pages, and give them back."""
    at: uint64_t
    began: uint64_t
    slowest: uint64_t = 1
    size: uint64_t = (TRIED + 1) * PART
    mapping: cython.p_void = mmap(
        cython.NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
    )
    if mapping == MAP_FAILED:
        swap_64(cython.address(slowest_ns), NEVER)
        return cython.NULL
    first: uint64_t = (cython.cast(uint64_t, mapping) + PART - 1) & ~(PART - 1)
    if madvise(cython.cast(cython.p_void, first), TRIED * PART, ON_LARGE_PAGES) != 0:
        slowest = NEVER
    for at in range(TRIED if slowest != NEVER else 0):
        began = now_ns()
        cython.cast(cython.p_char, first + at * PART)[0] = 0
        slowest = max(slowest, now_ns() - began)
    munmap(mapping, size)
    swap_64(cython.address(slowest_ns), slowest)
    return cython.NULL


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def now_ns() -> uint64_t:
    """By the thread's clock: on a busy machine that on the wall measures the others."""
    now: timespec
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, cython.address(now))
    return cython.cast(uint64_t, now.tv_sec) * 1000000000 + now.tv_nsec
