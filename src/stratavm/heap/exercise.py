# strata: hot
"""A guest for a heap, without machine code: it allocates as that does, and has roots of both kinds. For tests and
benches of the heap alone; no engine has one.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.stratavm.heap.heap import Heap, heap_new
from cython.cimports.stratavm.heap.mark import mark_range, scan_words
from cython.cimports.stratavm.heap.state import GRANULE_SHIFT, LARGE, HeapState, HeapWindow


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Exerciser:
    """The only guest of a heap."""

    def __init__(self, heap: Heap, roots: int, words: int):
        if self.heap is not None:
            raise TypeError("a guest is initialised once")
        self.roots = cython.cast(cython.pointer(uint64_t), calloc(roots + 1, 8))
        self.words = cython.cast(cython.pointer(uint64_t), calloc(words + 1, 8))
        if self.roots == cython.NULL or self.words == cython.NULL:
            raise MemoryError("no memory for roots")
        self.n_roots, self.n_words = roots, words
        self.heap = heap
        heap.bind(cython.address(heap.state.own), tell, cython.cast(cython.p_void, self))

    def __dealloc__(self):
        if self.heap is not None:
            self.heap.state.visit = cython.NULL
        free(self.roots)
        free(self.words)

    def new(self, type_id: int, length: int, size: int) -> int:
        """The address of a new object, or 0."""
        return self.make(type_id, length, size)

    def make(self, type_id, length, size):
        """Allocate as machine code does: where the window has room, nothing is called."""
        state: cython.pointer(HeapState) = self.heap.state
        window: cython.pointer(HeapWindow) = state.window
        found: uint64_t = window.next
        room: uint64_t = (size + 15) & ~cython.cast(uint64_t, 15)
        if size > LARGE or found + room > window.end:
            return cython.cast(uint64_t, heap_new(state, type_id, length, size))
        window.next = found + room
        cython.cast(cython.pointer(uint64_t), found)[0] = type_id | cython.cast(uint64_t, length) << 32
        return found

    def set_root(self, at: int, word: int) -> None:
        """A precise root."""
        if not 0 <= at < self.n_roots:
            raise IndexError(at)
        self.roots[cython.cast(uint32_t, at)] = word

    def set_word(self, at: int, word: int) -> None:
        """A word of the stack."""
        if not 0 <= at < self.n_words:
            raise IndexError(at)
        self.words[cython.cast(uint32_t, at)] = word

    def load(self, address: int, offset: int) -> int:
        """A word of an object."""
        return cython.cast(cython.pointer(uint64_t), cython.cast(uint64_t, address + offset))[0]

    def side_byte(self, address: int) -> int:
        """Where the side byte of an object is."""
        return self.heap.state.window.side + (address >> GRANULE_SHIFT)

    def shorten_stack(self, entries: int) -> None:
        """Let so few objects wait for their fields to be looked at."""
        self.heap.state.most_stack = entries

    def store(self, address: int, offset: int, word: int) -> None:
        """Change a word of an object."""
        cython.cast(cython.pointer(uint64_t), cython.cast(uint64_t, address + offset))[0] = word


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def tell(owner: cython.p_void, state: cython.pointer(HeapState)) -> cython.void:
    """The roots of a guest."""
    guest: cython.pointer(uint64_t)
    with cython.gil:
        exerciser: Exerciser = cython.cast(Exerciser, owner)
        mark_range(state, exerciser.roots, exerciser.n_roots)
        scan_words(state, exerciser.words, exerciser.words + exerciser.n_words)
