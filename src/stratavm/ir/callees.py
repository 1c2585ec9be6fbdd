# strata: hot
"""Small functions as the inliner wants them, without the GIL: a table for each thread, of the last few thousand.

What a function becomes depends on the module alone: whichever thread asks, and whatever it asked before, it gets the
same.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import OP_CALL
from cython.cimports.stratavm.ir.passes.inline import Callee, Inline, let_go, size_of
from cython.cimports.stratavm.ir.passes.numbers import (
    numbers_clear,
    numbers_find,
    numbers_free,
    numbers_put,
    numbers_room,
)
from cython.cimports.stratavm.ir.prune import Pruner
from cython.cimports.stratavm.ir.ssa import NO_VALUE, Block, Edge, MemArg, Node, Site, Ssa

from stratavm.ir.stage import source_of

MAX_BYTES = cython.declare(uint32_t, 160)
"""Code bytes of a function that is looked at: more than a small one can have."""
KEPT: int = 1 << 15
"""Forms that are kept, of about a kilobyte each: all of a program's, and not all that a module can have."""

NodePtr = cython.typedef(cython.pointer(Node))
BlockPtr = cython.typedef(cython.pointer(Block))
EdgePtr = cython.typedef(cython.pointer(Edge))
MemArgPtr = cython.typedef(cython.pointer(MemArg))
SitePtr = cython.typedef(cython.pointer(Site))
WordPtr = cython.typedef(cython.pointer(uint32_t))
LongPtr = cython.typedef(cython.pointer(uint64_t))
BytePtr = cython.typedef(cython.pointer(uint8_t))
CalleePtr = cython.typedef(cython.pointer(Callee))


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def aligned(count: uint32_t, size: cython.size_t) -> cython.size_t:
    """Bytes of so many items, such that another array may follow."""
    return (count * size + 7) & ~cython.cast(cython.size_t, 7)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def put(at: cython.pointer(cython.p_char), items: cython.p_void, count: uint32_t, size: cython.size_t) -> cython.p_void:
    """Copy an array behind those that are there; returns where it begins."""
    start: cython.p_char = at[0]
    if count != 0:
        memcpy(start, items, count * size)
    at[0] = start + aligned(count, size)
    return start


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def bytes_of(ssa: Ssa) -> cython.size_t:
    """What a form takes in one piece of memory."""
    size: cython.size_t = aligned(1, cython.sizeof(Callee))
    size += aligned(ssa.n_nodes, cython.sizeof(Node)) + aligned(ssa.n_nodes, cython.sizeof(uint32_t))
    size += aligned(ssa.n_blocks, cython.sizeof(Block)) + aligned(ssa.n_edges, cython.sizeof(Edge))
    size += aligned(ssa.n_memargs, cython.sizeof(MemArg)) + aligned(ssa.n_sites, cython.sizeof(Site))
    size += aligned(ssa.n_constants, cython.sizeof(uint64_t))
    return size + aligned(ssa.n_args, cython.sizeof(uint32_t)) + aligned(ssa.n_results, 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def pack(ssa: Ssa, found: cython.pointer(CalleePtr)) -> cython.int:
    """A form in one piece of memory, which nobody holds."""
    i: uint32_t
    word: cython.size_t = cython.sizeof(uint32_t)
    size: uint32_t = 0
    at: cython.p_char = cython.NULL
    vec_room(at, size, cython.cast(uint32_t, bytes_of(ssa)))
    callee: CalleePtr = cython.cast(CalleePtr, at)
    at += aligned(1, cython.sizeof(Callee))
    callee.holders = callee.n_calls = 0
    callee.func, callee.type_index, callee.n_params = ssa.func, ssa.type_index, ssa.n_params
    callee.n_nodes, callee.n_blocks, callee.n_edges = ssa.n_nodes, ssa.n_blocks, ssa.n_edges
    callee.n_args, callee.n_memargs, callee.n_sites = ssa.n_args, ssa.n_memargs, ssa.n_sites
    callee.n_results, callee.n_constants, callee.size = ssa.n_results, ssa.n_constants, size_of(ssa)
    callee.nodes = cython.cast(NodePtr, put(cython.address(at), ssa.nodes, ssa.n_nodes, cython.sizeof(Node)))
    callee.positions = cython.cast(WordPtr, put(cython.address(at), ssa.positions, ssa.n_nodes, word))
    callee.blocks = cython.cast(BlockPtr, put(cython.address(at), ssa.blocks, ssa.n_blocks, cython.sizeof(Block)))
    callee.edges = cython.cast(EdgePtr, put(cython.address(at), ssa.edges, ssa.n_edges, cython.sizeof(Edge)))
    callee.memargs = cython.cast(MemArgPtr, put(cython.address(at), ssa.memargs, ssa.n_memargs, cython.sizeof(MemArg)))
    callee.constants = cython.cast(
        LongPtr, put(cython.address(at), ssa.constants, ssa.n_constants, cython.sizeof(uint64_t))
    )
    callee.sites = cython.cast(SitePtr, put(cython.address(at), ssa.sites, ssa.n_sites, cython.sizeof(Site)))
    callee.args = cython.cast(WordPtr, put(cython.address(at), ssa.args, ssa.n_args, word))
    callee.result_types = cython.cast(BytePtr, put(cython.address(at), ssa.result_types, ssa.n_results, 1))
    for i in range(ssa.n_nodes):
        callee.n_calls += ssa.nodes[i].op == OP_CALL
    found[0] = callee
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def holds(callee: CalleePtr, func: uint32_t) -> cython.bint:
    """Whether something of a function was inlined there."""
    i: uint32_t
    count: uint32_t = 0
    for i in range(callee.n_sites):
        count += callee.sites[i].func == func
    return count != 0


@cython.cclass
class Level:
    """What makes a small function of one that has calls itself: one such level of calls."""

    def __init__(self) -> None:
        self.inline = Inline()
        self.inline.ssa, self.inline.out = Ssa(), Ssa()
        self.inline.ssa.lent = True
        self.pruner = Pruner(self.inline.out)

    def __dealloc__(self):
        if self.plain != cython.NULL:
            let_go(self.plain)

    def whole(self, plain, source, depth):
        """Inline calls of a small function, so many levels of them, into the output; 0 if that is none any more."""
        self.take(plain)
        if not self.inline.choose_calls(source, depth):
            return 0
        self.inline.apply()
        self.inline.forget()
        self.pruner.prune()
        return size_of(self.inline.out) != NO_VALUE

    def take(self, plain):
        """The input has a small function's arrays, which are held meanwhile and only read."""
        plain.holders += 1
        if self.plain != cython.NULL:
            let_go(self.plain)
        self.plain = plain
        return lend(plain, self.inline.ssa)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def lend(callee: CalleePtr, ssa: Ssa) -> cython.int:
    """A form gets the arrays of a small function."""
    ssa.func, ssa.type_index, ssa.n_params = callee.func, callee.type_index, callee.n_params
    ssa.nodes, ssa.n_nodes, ssa.positions = callee.nodes, callee.n_nodes, callee.positions
    ssa.blocks, ssa.n_blocks = callee.blocks, callee.n_blocks
    ssa.edges, ssa.n_edges = callee.edges, callee.n_edges
    ssa.args, ssa.n_args = callee.args, callee.n_args
    ssa.memargs, ssa.n_memargs = callee.memargs, callee.n_memargs
    ssa.constants, ssa.n_constants = callee.constants, callee.n_constants
    ssa.sites, ssa.n_sites = callee.sites, callee.n_sites
    ssa.result_types, ssa.n_results = callee.result_types, callee.n_results
    return 0


@cython.cclass
class Callees:
    """The small functions of a front end's module: forms in which calls of other small functions are inlined already.

    ``kept`` is how many forms are kept at most.
    """

    def __init__(self, front: object, kept: uint32_t = KEPT) -> None:
        self.source = source_of(front, Ssa())
        self.inner, self.outer = Level(), Level()
        self.imported = len(front.shape.imported_funcs)
        self.inlines = front.inlines
        self.kept = kept
        self.n_funcs = len(front.shape.func_type_indices)
        self.refused = cython.cast(BytePtr, calloc(self.n_funcs // 8 + 1, 1))
        if self.refused == cython.NULL:
            raise MemoryError("out of memory for functions to inline")

    def __dealloc__(self):
        self.drop()
        numbers_free(cython.address(self.known))
        free(self.forms)
        free(self.refused)

    def form(self, func: uint32_t, depth: uint32_t, caller: uint32_t, ssa: Ssa) -> bool:
        """``template`` for tests: fills a form; false where the function stays a call."""
        found: CalleePtr = cython.NULL
        with cython.nogil:
            if not self.refuses(func):
                self.template(func, depth, caller, cython.address(found))
        if found == cython.NULL:
            return False
        self.inner.take(found)
        ssa.assign(self.inner.inline.ssa)
        return True

    def template(self, func, depth, caller, found):
        """As the inliner asks."""
        while depth != 0:
            depth -= 1
            self.find(func, depth, found)
            if found[0] == cython.NULL:
                self.refused[func >> 3] |= 1 << (func & 7)
                return 0
            if not holds(found[0], caller):
                return 0
        found[0] = cython.NULL
        return 0

    def find(self, func, depth, found):
        """A function in which so many levels of calls are inlined. What was found before may be gone then."""
        number: uint32_t = NO_VALUE
        if numbers_find(cython.address(self.known), 3 * func + depth, cython.address(number)):
            found[0] = cython.NULL if number == NO_VALUE else self.forms[number]
            return 0
        if self.known.n >= self.kept:
            self.drop()
        return self.find_plain(func, found) if depth == 0 else self.find_whole(func, depth, found)

    def find_plain(self, func, found):
        """A function as it is, if it may be inlined."""
        defined: uint32_t = func - self.imported
        if (
            func < self.imported
            or not self.inlines
            or not self.source.is_short(defined, MAX_BYTES)
            or not self.source.attempt(defined)
            or size_of(self.source.ssa) == NO_VALUE
        ):
            return self.keep(3 * func, cython.NULL, found)
        return self.keep_copy(3 * func, self.source.ssa, found)

    def find_whole(self, func, depth, found):
        """A function with its own calls inlined, if that leaves it small."""
        plain: CalleePtr = cython.NULL
        key: uint32_t = 3 * func + depth
        self.find(func, 0, cython.address(plain))
        if plain == cython.NULL or plain.n_calls == 0:
            return self.keep(key, plain, found)
        if depth == 1:
            if self.inner.whole(plain, self, depth):
                return self.keep_copy(key, self.inner.inline.out, found)
            return self.keep(key, self.inner.plain, found)
        if self.outer.whole(plain, self, depth):
            return self.keep_copy(key, self.outer.inline.out, found)
        return self.keep(key, self.outer.plain, found)

    def keep(self, key, form, found):
        """Note what became of a function: NULL is a call that stays."""
        number: uint32_t = NO_VALUE
        if form != cython.NULL:
            vec_room(self.forms, self.cap_forms, self.n_forms + 1)
            number = self.n_forms
        numbers_put(cython.address(self.known), key, number)
        if form != cython.NULL:
            form.holders += 1
            self.forms[number] = form
            self.n_forms += 1
        found[0] = form
        return 0

    def keep_copy(self, key, ssa, found):
        """The same of a form that is used for others."""
        vec_room(self.forms, self.cap_forms, self.n_forms + 1)
        numbers_room(cython.address(self.known))
        pack(ssa, found)
        return self.keep(key, found[0], found)

    def drop(self):
        """Forget all forms; who uses one holds it."""
        i: uint32_t
        for i in range(self.n_forms):
            let_go(self.forms[i])
        self.n_forms = 0
        return numbers_clear(cython.address(self.known))
