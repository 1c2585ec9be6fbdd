# strata: hot
"""A guest for a heap, without machine code: it allocates as that does, and has roots of both kinds. For tests and
benches of the heap alone; no engine has one.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.stratavm.heap.beside import end_beside
from cython.cimports.stratavm.heap.heap import Heap, heap_new, range_noted, write_noted
from cython.cimports.stratavm.heap.mark import mark_range, note_handle, scan_words
from cython.cimports.stratavm.heap.state import GRANULE_SHIFT, UNLOGGED, HeapState

NODE = cython.declare(uint64_t, 24)  # bytes of a struct with two references


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Exerciser:
    """The only guest of a heap: the one that was made last."""

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
        if self.heap is not None and self.heap.state.owner == cython.cast(cython.p_void, self):
            end_beside(self.heap.state)
            self.heap.state.visit = cython.NULL
            self.heap.state.n_handle_marks = 0
            free(self.heap.state.handle_marks)
            self.heap.state.handle_marks = cython.NULL
        free(self.roots)
        free(self.words)

    def new(self, type_id: int, length: int, size: int) -> int:
        """The address of a new object, or 0."""
        return self.make(type_id, length, size)

    def make(self, type_id, length, size):
        """Allocate as the runtime does."""
        return cython.cast(uint64_t, heap_new(self.heap.state, type_id, length, size))

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

    def lose_roots(self, lost: bool) -> None:
        """Nobody knows what the roots are from here on, or somebody does again."""
        self.heap.state.rootless = lost

    def lose_notes(self) -> None:
        """There is no memory to note what is written from here on."""
        self.heap.state.lost = 1

    def write(self, address: int, offset: int, reference: int) -> None:
        """Change a reference in an object as machine code does: where that is old, it is noted."""
        self.put(address, address + offset, reference)

    @property
    def first_block(self) -> int:
        """Where the next search for holes begins that begins anew."""
        return self.heap.state.start_block

    def write_all(self, address: int, references: list[int]) -> None:
        """Change the elements of an array, all at once."""
        at: uint64_t
        range_noted(self.heap.state, address, cython.cast(uint64_t, address) + 8, len(references))
        for at in range(len(references)):
            cython.cast(cython.pointer(uint64_t), cython.cast(uint64_t, address))[1 + at] = references[at]

    def put(self, thing, slot, word):
        """``write``: it is noted where machine code would, of a word of an old object that was not since the last
        look."""
        state: cython.pointer(HeapState) = self.heap.state
        if cython.cast(cython.pointer(uint8_t), (slot >> GRANULE_SHIFT) + state.window.side)[0] & UNLOGGED:
            write_noted(state, thing, slot)
        cython.cast(cython.pointer(uint64_t), slot)[0] = word

    def store(self, address: int, offset: int, word: int) -> None:
        """Change a word of an object: a reference, or what is none."""
        cython.cast(cython.pointer(uint64_t), cython.cast(uint64_t, address + offset))[0] = word

    def expect_handles(self, count: int) -> None:
        """Have marks of handles below ``count``."""
        state: cython.pointer(HeapState) = self.heap.state
        end_beside(state)
        free(state.handle_marks)
        state.handle_marks = cython.cast(cython.pointer(uint8_t), calloc(count + 1, 1))
        state.n_handle_marks = count if state.handle_marks != cython.NULL else 0

    def get_handle(self, handle: int) -> None:
        """The host gives a handle to the guest."""
        note_handle(self.heap.state, handle)

    @property
    def handles(self) -> list[int]:
        """Those that the last full collection met, and those that were given while it went on."""
        state: cython.pointer(HeapState) = self.heap.state
        return [at for at in range(1, state.n_handle_marks) if state.handle_marks[cython.cast(uint64_t, at)]]

    def load_trees(self, type_id: int, depth: int, count: int, replace: bool) -> int:
        """Make so many trees of nodes with two references each, of 2 ** 9 - 1 nodes; drop each at once, or put it in
        the place of a part of the tree in root 0, which is made first and is so deep. How many nodes that has in the
        end."""
        if self.roots[0] == 0:
            self.roots[0] = self.tree(type_id, depth, 0)
        levels: uint32_t = depth
        drawn: uint64_t = 0x9E3779B97F4A7C15
        for _ in range(count):
            drawn ^= drawn << 13
            drawn ^= drawn >> 7
            drawn ^= drawn << 17
            made: uint64_t = self.tree(type_id, 8, 0)
            if replace:
                self.graft(made, levels - 8, drawn)
        return nodes(self.roots[0])

    def load_queue(self, type_id: int, length: int, count: int) -> int:
        """Put so many nodes at the end of a list, between roots 0 and 1, and take them from its beginning once it is so
        long. How long it is in the end, as one counts who goes along it."""
        last: uint64_t
        most: uint64_t = length
        for _ in range(count):
            made: uint64_t = self.make(type_id, 0, NODE)
            if made == 0:
                break
            last, self.roots[1] = self.roots[1], made
            if last:
                self.put(last, last + 8, made)
            else:
                self.roots[0] = made
            self.filled += 1
            if self.filled > most:
                self.roots[0] = cython.cast(cython.pointer(uint64_t), self.roots[0])[1]
                self.filled -= 1
        return listed(self.roots[0])

    def load_table(self, type_id: int, array_id: int, length: int, count: int) -> int:
        """Put so many trees of 31 nodes into places of the array in root 0, which has so many and is made first. How
        many nodes are there in the end."""
        at: uint64_t
        drawn: uint64_t = 0x9E3779B97F4A7C15
        if self.roots[0] == 0:
            self.roots[0] = self.make(array_id, length, 8 + 8 * cython.cast(uint64_t, length))
        for _ in range(count if self.roots[0] else 0):
            drawn ^= drawn << 13
            drawn ^= drawn >> 7
            drawn ^= drawn << 17
            made: uint64_t = self.tree(type_id, 4, 0)
            if made:
                self.put(self.roots[0], self.roots[0] + 8 + 8 * (drawn % cython.cast(uint64_t, length)), made)
        found: uint64_t = 0
        for at in range(length if self.roots[0] else 0):
            found += nodes(cython.cast(cython.pointer(uint64_t), self.roots[0])[1 + at])
        return found

    def load_vectors(self, type_id: int, array_id: int, most: int, count: int) -> int:
        """Put so many nodes at the end of an array, in root 0, that is replaced by one of twice its length when it is
        full, and dropped when it would be longer than ``most``. How many nodes are in it in the end."""
        vector: cython.pointer(uint64_t)
        length: uint64_t
        for _ in range(count):
            self.words[0] = self.make(type_id, 0, NODE)
            vector = cython.cast(cython.pointer(uint64_t), self.roots[0])
            length = vector[0] >> 32 if self.roots[0] else 0
            if self.filled == length and not self.lengthen(array_id, length, most):
                break
            self.put(self.roots[0], self.roots[0] + 8 + 8 * self.filled, self.words[0])
            self.filled += 1
        return self.filled

    def lengthen(self, array_id, length, most):
        """A longer array in root 0, or an empty one; false: there is no room for it."""
        at: uint64_t
        longer: uint64_t = 2 * length if 0 < length <= most // 2 else 16
        made: uint64_t = self.make(array_id, longer, 8 + 8 * longer)
        if longer == 16:
            self.filled = 0
        for at in range(self.filled if made else 0):
            self.put(made, made + 8 + 8 * at, cython.cast(cython.pointer(uint64_t), self.roots[0])[1 + at])
        self.roots[0] = made
        return made != 0

    def tree(self, type_id, depth, at):
        """A tree; what is not yet in it is in words from ``at`` on."""
        if depth:
            self.words[at] = self.tree(type_id, depth - 1, at)
            self.words[at + 1] = self.tree(type_id, depth - 1, at + 1)
        made: uint64_t = self.make(type_id, 0, NODE)
        if depth and made:
            cython.cast(cython.pointer(uint64_t), made)[1] = self.words[at]
            cython.cast(cython.pointer(uint64_t), made)[2] = self.words[at + 1]
        return made

    def graft(self, made, levels, path):
        """Put a tree so many levels below root 0."""
        node: uint64_t = self.roots[0]
        while levels > 1:
            node = cython.cast(cython.pointer(uint64_t), node)[1 + (path & 1)]
            path >>= 1
            levels -= 1
        self.put(node, node + 8 + 8 * (path & 1), made)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def nodes(node: uint64_t) -> uint64_t:
    """How many nodes a tree has."""
    if node == 0:
        return 0
    words: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), node)
    return 1 + nodes(words[1]) + nodes(words[2])


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def listed(node: uint64_t) -> uint64_t:
    """How many nodes a list has."""
    count: uint64_t = 0
    while node:
        count += 1
        node = cython.cast(cython.pointer(uint64_t), node)[1]
    return count


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
