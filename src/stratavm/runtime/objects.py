# strata: hot
"""Objects of a store's guests: its heap, where the roots of that are, and what Python has of an object.

A reference is one word (``heap/layout.py`` has how objects lie): 0 is null, bit 63 and 31 bits are a number, less than
2^32 is a handle of a Python object, else it is the object's address. Python sees an ``ObjectRef``, which holds it.
Collections happen where an object is made, with the GIL, and nothing of Python's runs before they have ended.
"""

import cython
from cython.cimports.cpython.dict import PyDict_Next
from cython.cimports.cpython.long import PyLong_AsUnsignedLongLong
from cython.cimports.cpython.ref import PyObject
from cython.cimports.cpython.weakref import PyWeakref_GetObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.libc.string import memcpy, memmove
from cython.cimports.stratavm.contract._gen_layout import ATTENTION_FIBER, Activation, ExecContext
from cython.cimports.stratavm.heap.beside import end_beside
from cython.cimports.stratavm.heap.collect import collect_garbage
from cython.cimports.stratavm.heap.heap import Heap, allocation_is_due, heap_new, range_noted
from cython.cimports.stratavm.heap.mark import is_new, is_object, mark_range, note_admitted, scan_words
from cython.cimports.stratavm.heap.pauses import turn
from cython.cimports.stratavm.heap.space import give_back
from cython.cimports.stratavm.heap.state import AT_NEW, AT_ROOTS, BLOCK_SHIFT, LARGE, TYPE_MASK, HeapState, HeapWindow
from cython.cimports.stratavm.heap.turns import hold, let_on
from cython.cimports.stratavm.runtime.native import stack_pointer
from cython.cimports.stratavm.runtime.python import PyGC_Disable, PyGC_Enable
from cython.cimports.stratavm.runtime.resultcells import ResultCells, next_cells
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block

from stratavm.base.errors import StoreBusy
from stratavm.base.text import printable
from stratavm.spec.types import ARRAY_ID, I31_TAG

HANDLES = cython.declare(uint64_t, 1 << 32)  # smaller references are handles
PARKED = cython.declare(uint64_t, 1 << 63)  # a bit of ``occupant``, as in ``occupancy``
TAG = cython.declare(uint64_t, I31_TAG)
BYTES_EACH = cython.declare(uint64_t, 512)  # of living objects may be looked at for each handle, when these are many
IS_ARRAY = cython.declare(uint32_t, ARRAY_ID)
KINDS = cython.declare(uint32_t, 8)
kinds: list = []
"""Types of what holds references, and by their places in it what tells of these."""
visits = cython.declare(visit_holder_t[8])
changing = cython.declare(cython.bint[8])


def are_visited_by(kind, visit, changes):
    """What tells of the references in each ``kind``, and whether these ``change`` once it is known; its room says so
    when it is loaded."""
    if len(kinds) == KINDS:
        raise ValueError("there are too many kinds of what holds references")
    visits[cython.cast(uint32_t, len(kinds))] = visit
    changing[cython.cast(uint32_t, len(kinds))] = changes
    kinds.append(kind)
    return 0


def is_reference(word):
    """Whether a reference is neither null, nor a handle, nor a number: then it is an object's."""
    return word >= HANDLES and word < TAG


@cython.no_gc_clear  # it uses its home to the end; what has it and is had by its store breaks circles
@cython.auto_pickle(False)
@cython.cclass
class ObjectRef:
    """A struct or an array that Python has; of one object there is one as long as anybody has it. What Python does with
    it is its subclass's (``guestobjects``)."""

    def __init__(self, *arguments: object):
        raise TypeError("objects of guests are made by guests")

    def __dealloc__(self):
        # Weak references to it have gone before: what they called may have made another one.
        mine: uint64_t = cython.cast(uint64_t, cython.cast(cython.p_void, self))
        if self.address != 0:
            self.home.let_go(self)
            try:
                if self.home.things.get(self.address) == mine:
                    del self.home.things[self.address]
            except MemoryError:  # else who asks for the object would get what is no more
                forget(self.home.things, mine)

    @property
    def is_array(self) -> bool:
        """Whether it is an array: its id says so."""
        return self.type_id & IS_ARRAY != 0

    def __reduce__(self):
        raise TypeError("an object of a guest cannot be pickled")

    def __copy__(self):
        raise TypeError("an object of a guest cannot be copied: its type's new() makes another one")

    def __deepcopy__(self, _memo):
        return self.__copy__()

    def __repr__(self) -> str:
        if self.home is None:
            return "<object of a guest that was never initialised>"
        count: object = "?"
        if self.home.exec != cython.NULL:  # it is a root
            layout: object = self.home.heap.descriptors.layouts[self.type_id & TYPE_MASK]
            header: cython.pointer(uint32_t) = cython.cast(cython.pointer(uint32_t), self.address)
            count = header[1] if self.is_array else len(layout.offsets)
        return printable(f"<{'array' if self.is_array else 'struct'} of a guest, {count} values>")


@cython.cfunc
def new_ref() -> object:
    """What Python has of an object where nothing above makes more of it."""
    return ObjectRef.__new__(ObjectRef)


new_thing = cython.declare(new_thing_t, new_ref)


def things_are_made_by(function):
    """What makes what Python has of an object, from now on; it runs nothing of Python's."""
    global new_thing
    new_thing = function


@cython.cfunc
def made_alone() -> ObjectRef:
    """A thing, without the collection of Python's that making one may begin: that could run a guest, and nobody holds
    the object yet."""
    was: cython.int = PyGC_Disable()
    try:
        return new_thing()
    finally:
        if was:
            PyGC_Enable()


@cython.no_gc_clear  # what Python has of an object uses it to the end
@cython.auto_pickle(False)
@cython.cclass
class Objects:
    """The objects of a store."""

    def __cinit__(self, heap: Heap):
        if heap is None or heap.state == cython.NULL:
            raise TypeError("objects need a heap that was initialised")
        self.heap = heap
        self.things = {}
        self.kept = []
        self.shapes = {}
        self.holders = []
        self.known = -1
        self.shown = []
        self.shown_before = []

    def __dealloc__(self):
        if self.exec != cython.NULL:  # before others have the GIL
            self.exec.objects = self.exec.heap = cython.NULL
        if self.heap is not None and self.heap.state != cython.NULL:
            with cython.nogil:
                end_beside(self.heap.state)  # a thread may be looking at the handles' objects
        free(self.words)
        free(self.having)
        free(self.vacant)
        free(self.recent)

    def end(self):
        """The store is closed: no reference means anything any more."""
        if self.views:
            self.heap.leave()  # and the last of them ends it
        else:
            self.heap.end()
        self.known = -1
        if self.exec != cython.NULL:
            self.exec.objects = self.exec.heap = cython.NULL
            self.exec.heap_next = self.exec.heap_end = 0
        self.exec = cython.NULL
        self.shown_before = []
        self.shown = []
        self.holders = []
        self.n_words = 0
        return 0

    # ---- what Python has ----

    def known_thing(self, address):
        """What Python has of an object, or None: it is a root, and nothing of the heap is asked."""
        known: object = self.things.get(address)
        if known is None or not is_alive(known):  # it may be going just now
            return None
        return cython.cast(ObjectRef, cython.cast(cython.p_void, cython.cast(uint64_t, known)))

    def check_here(self):
        """StoreBusy where another thread is inside: its guest uses the heap without the GIL."""
        if is_elsewhere(self.exec):
            raise StoreBusy(why_elsewhere(self.exec.occupant))
        return 0

    def thing_at(self, address):
        """What Python has of an object.

        Raises:
            ValueError: there is none at the address.
            StoreBusy: nobody has asked for it before, and another thread is inside: its guest uses the heap.
        """
        thing: ObjectRef = self.known_thing(address)
        if thing is not None:
            return thing
        self.check_here()
        if not is_object(self.heap.state, address):
            raise ValueError(f"{address:#x} is no reference to an object of this store")
        return self.thing_of(address)

    def thing_of(self, address):
        """``thing_at`` for what is surely a reference: a guest, or what holds its references, had it just now. To look
        for an object takes long where it is new. Nothing of Python's runs."""
        thing: ObjectRef = self.known_thing(address)
        if thing is not None:
            return thing
        self.check_here()
        note_admitted(self.heap.state, address)
        thing = made_alone()
        thing.home = self
        store: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), self.exec.store)
        if store.ob_refcnt > 0:  # else it is taken down just now
            thing.store = cython.cast(object, store)
        thing.type_id = cython.cast(cython.pointer(uint32_t), address)[0]
        self.make_room()
        thing.address = address
        self.take(thing)
        self.things[address] = cython.cast(uint64_t, cython.cast(cython.p_void, thing))
        return thing

    def make_room(self):
        """For one more thing."""
        room: uint32_t = 2 * self.room_having + 64
        grown: cython.p_void
        at: uint32_t
        held: cython.bint
        if self.n_having == self.room_having:
            grown = realloc(self.vacant, room * cython.cast(uint64_t, 4))
            if grown != cython.NULL:
                self.vacant = cython.cast(cython.pointer(uint32_t), grown)
                held = hold(self.heap.state)  # a thread that makes marks reads these
                grown = realloc(self.having, room * cython.cast(uint64_t, 8))
                if grown != cython.NULL:
                    self.having, self.room_having = cython.cast(cython.pointer(uint64_t), grown), room
                    self.heap.state.later = self.having
                if held:
                    let_on(self.heap.state)
            if grown == cython.NULL:
                raise MemoryError("no memory for what Python has of an object")
        room = 2 * self.room_recent + 64
        if self.n_recent == self.room_recent > self.n_having:  # places may be there several times
            for at in range(self.n_having):
                self.recent[at] = at
            self.n_recent = self.n_having
        elif self.n_recent == self.room_recent:
            grown = realloc(self.recent, room * cython.cast(uint64_t, 4))
            if grown == cython.NULL:
                raise MemoryError("no memory for what Python has of an object")
            self.recent, self.room_recent = cython.cast(cython.pointer(uint32_t), grown), room
        return 0

    def take(self, thing):
        """A new thing has a place, for which there is room; while marks are made none that had one when these began.
        Looks at new objects are told of it if it is one of a new object: a host may get very many old ones in one go.
        Nothing of Python's runs here, or in ``let_go``."""
        state: cython.pointer(HeapState) = self.heap.state
        if self.n_vacant and (not state.marking or self.vacant[self.n_vacant - 1] >= state.n_later):
            self.n_vacant -= 1
            thing.place = self.vacant[self.n_vacant]
        else:
            thing.place = self.n_having
            self.n_having += 1
        self.having[thing.place] = thing.address
        if is_new(self.heap.state, thing.address):
            self.recent[self.n_recent] = thing.place
            self.n_recent += 1

    def let_go(self, thing):
        """A thing has none any more. While marks are made its object stays a root if it was one when they began: they
        may be made just now, on the thread of a guest that runs without the GIL. What came since was marked then, and
        its place is another one's: a host may get very many between two slices."""
        if self.heap.state.marking and thing.place < self.heap.state.n_later:
            self.stale = True
        else:
            self.having[thing.place] = 0
        self.vacant[self.n_vacant] = thing.place
        self.n_vacant += 1

    def type_at(self, address):
        """The canonical id of the type of the object at an address; 0: there is none."""
        if not is_object(self.heap.state, address):
            return 0
        return cython.cast(cython.pointer(uint32_t), address)[0]

    def layout_of(self, blueprint, type_index):
        """How objects of the type at an index of a module lie. TypeError: it is one of functions."""
        found: object = blueprint.layout_at(type_index)
        self.keep(blueprint)
        return found

    def keep(self, blueprint):
        """There may be objects of the types of a module from here on."""
        if blueprint.layouts is not None and blueprint not in self.kept:
            self.kept.append(blueprint)
        return 0

    def admitted(self, address):
        """``type_at`` where the reference goes on to a guest or a host, of which collections need not have known."""
        thing: ObjectRef = self.known_thing(address)
        if thing is not None:  # another thread may be inside
            return thing.type_id
        type_id: uint32_t = self.type_at(address)
        if type_id:
            note_admitted(self.heap.state, address)
        return type_id

    def show(self, word):
        """A host sees a raw reference: it has the object until handles were looked at twice."""
        if not is_reference(word):
            return 0
        if self.known_thing(word) is None:
            self.check_here()
        if self.admitted(word):
            self.shown.append(self.thing_of(word))
        return 0

    def unshow(self, raws: list) -> None:
        """Python has what these raw results of one call refer to: what ``show`` did for them is undone."""
        at: cython.Py_ssize_t
        word: uint64_t
        thing: ObjectRef
        for raw in raws:
            word = raw if HANDLES <= raw < TAG else 0  # no object lies at 0
            for at in range(len(self.shown) - 1 if word else -1, -1, -1):
                thing = self.shown[at]
                if thing.address == word:
                    del self.shown[at]
                    break

    def forget_shown(self):
        """Handles are looked at."""
        before: list = self.shown_before
        self.shown_before = self.shown
        self.shown = []
        before.clear()
        return 0

    def place(self, address, offset, size):
        """ValueError unless so many bytes from an offset on lie in the heap."""
        begin: object = cython.cast(uint64_t, self.heap.state.base)
        end: object = begin + self.heap.state.extent
        at: object = address + offset
        if address & 15 or offset < 0 or size < 0 or not begin <= address <= at <= at + size <= end:
            raise ValueError(f"{size} bytes at {address:#x} + {offset} are not in an object of this store")
        return 0

    # ---- roots ----

    def take_words(self, raws):
        """Words of guests that run without machine code, for the collection at hand: any of them may be a reference."""
        for raw in raws:
            if HANDLES <= raw < TAG:
                push(self, raw)
        return 0

    def add_words(self, low, high):
        """The words of a stack that waits."""
        at: uint64_t = low & ~cython.cast(uint64_t, 7)
        while at < high:
            if is_reference(cython.cast(cython.pointer(uint64_t), at)[0]):
                push(self, cython.cast(cython.pointer(uint64_t), at)[0])
            at += 8
        return 0

    # ---- allocation and collection ----

    def collect_is_due(self, size):
        """Whether to make an object of so many bytes may need a collection: then roots have to be there."""
        state: cython.pointer(HeapState) = self.heap.state
        if size <= LARGE and state.window.next + ((size + 15) & ~cython.cast(uint64_t, 15)) <= state.window.end:
            return state.always
        return allocation_is_due(state, size)

    def make(self, type_id, length, layout, spare):
        """The address of a new object, all zero but for its header; 0: there is no room. ``spare``: bytes that the
        store's limits leave besides what the heap has."""
        state: cython.pointer(HeapState) = self.heap.state
        size: uint64_t = layout.size + cython.cast(uint64_t, layout.element) * length
        room: uint64_t = state.n_blocks if state.lost_part != cython.NULL else state.room_blocks // 2  # as reserved
        state.most_blocks = min((self.charged + spare) >> BLOCK_SHIFT, room)
        state.most_blocks = max(state.most_blocks, state.used_blocks)
        return cython.cast(uint64_t, heap_new(state, type_id, cython.cast(uint32_t, length), size))

    def collect(self):
        """Find all garbage, with the GIL: nobody changes what holds references meanwhile."""
        collect_garbage(self.heap.state, True)
        give_back(self.heap.state, self.heap.state.leaving)
        return 0

    def collected(self):
        """A collection has all roots."""
        self.n_recent = 0
        self.listed_anew = False

    def check(self):
        """Under ``STRATA_CHECK=2``: AssertionError if an object that is left refers to what was freed."""
        state: cython.pointer(HeapState) = self.heap.state
        if state.dangling or state.damaged:
            raise AssertionError(
                f"a bug in stratavm: {state.dangling} references to objects that were freed, the last in the object "
                f"at {state.dangling_at:#x}; {state.damaged} freed places were written to"
            )
        return 0

    @property
    def worth_in_handles(self) -> int:
        """How many handles are worth a look through all that lives in the heap."""
        return self.heap.state.live_bytes // BYTES_EACH

    def list_holders(self, references: list) -> None:
        """Have weak references to what holds references, by kinds: each look at new objects goes through these, and
        there may be thousands."""
        at: cython.Py_ssize_t
        kind: cython.Py_ssize_t
        found: list = [[] for _ in kinds]
        for at in range(len(references)):
            holder: object = cython.cast(object, PyWeakref_GetObject(references[at]))
            for kind in range(len(found)):
                if isinstance(holder, cython.cast(type, kinds[kind])):
                    cython.cast(list, found[kind]).append(references[at])
                    break
        self.holders = found

    def mark_handles(self, marks):
        """Mark the handles that reachable objects hold, and no others: all of them are looked for."""
        state: cython.pointer(HeapState) = self.heap.state
        end_beside(state)  # a thread that makes marks makes none of handles
        state.handle_marks, state.n_handle_marks = marks.bytes, marks.n + 1
        self.collect()
        state.handle_marks, state.n_handle_marks = cython.NULL, 0
        return 0

    # ---- for guests that run without machine code ----

    def note(self, address, offset, size):
        """So many bytes of an object, which lie in the heap, are about to be written: there may be references."""
        first: uint64_t = (address + offset) & ~cython.cast(uint64_t, 7)
        end: uint64_t = address + offset + cython.cast(uint64_t, size)
        if size >= 8:  # of what is smaller none is a reference
            range_noted(self.heap.state, address, first, (end - first + 7) >> 3)
        return 0

    def load(self, address: int, offset: int, size: int) -> int:
        """So many bytes of an object, 1, 2, 4, 8 or 16, as a number. ValueError: they are in none."""
        self.place(address, offset, size)
        found: uint64_t[2]
        found[0] = found[1] = 0
        if size > 16:
            raise ValueError(f"no value has {size} bytes")
        memcpy(found, cython.cast(cython.p_void, cython.cast(uint64_t, address + offset)), size)
        return found[0] | cython.cast(object, found[1]) << 64 if size == 16 else found[0]

    def fill(self, address: int, offset: int, size: int, count: int, bits: int) -> None:
        """Write so many bytes so many times, one behind the other. ValueError as ``load``."""
        at: uint64_t
        words: uint64_t[2]
        if count < 0 or size not in (1, 2, 4, 8, 16):
            raise ValueError(f"no value has {size} bytes")
        self.place(address, offset, size * count)
        words[0] = bits & 0xFFFFFFFFFFFFFFFF
        words[1] = bits >> 64 & 0xFFFFFFFFFFFFFFFF
        self.note(address, offset, size * count)
        width: uint64_t = size
        to: cython.p_char = cython.cast(cython.p_char, cython.cast(uint64_t, address + offset))
        for at in range(cython.cast(uint64_t, count)):
            memcpy(to + at * width, words, width)

    def write(self, address: int, offset: int, data: bytes) -> None:
        """Write bytes, which are whole values. ValueError as ``load``."""
        self.place(address, offset, len(data))
        self.note(address, offset, len(data))
        memcpy(
            cython.cast(cython.p_void, cython.cast(uint64_t, address + offset)),
            cython.cast(cython.p_char, data),
            len(data),
        )

    def move(self, address: int, offset: int, source: int, start: int, size: int) -> None:
        """Copy so many bytes from one object to another one, or within it. ValueError as ``load``."""
        self.place(address, offset, size)
        self.place(source, start, size)
        self.note(address, offset, size)
        memmove(
            cython.cast(cython.p_void, cython.cast(uint64_t, address + offset)),
            cython.cast(cython.p_void, cython.cast(uint64_t, source + start)),
            size,
        )


@cython.cfunc
@cython.exceptval(-1)
def forget(things: dict, gone: uint64_t) -> cython.int:
    """Take what is had of an object out, without memory for its key: all are looked through."""
    at: cython.Py_ssize_t = 0
    key: cython.pointer(PyObject) = cython.NULL
    value: cython.pointer(PyObject) = cython.NULL
    while PyDict_Next(things, cython.address(at), cython.address(key), cython.address(value)):
        if PyLong_AsUnsignedLongLong(cython.cast(object, value)) == gone:
            del things[cython.cast(object, key)]
            return 0
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def is_alive(address: uint64_t) -> cython.bint:
    """Whether somebody has a Python object that may be going just now."""
    return cython.cast(cython.pointer(PyObject), cython.cast(cython.p_void, address)).ob_refcnt > 0


@cython.cfunc
@cython.exceptval(check=False)
def is_elsewhere(context: cython.pointer(ExecContext)) -> cython.bint:
    """Whether another thread is inside of a store, or was when its guest was suspended."""
    block: cython.pointer(ThreadBlock)
    if context == cython.NULL or context.occupant == 0:
        return False
    block = current_block()
    return block == cython.NULL or context.occupant & ~PARKED != block.serial


def why_elsewhere(occupant: int) -> str:
    """What to say where a thread may not use a store, of which somebody else is the occupant."""
    if occupant == PARKED:
        return "Python objects that no guest of this store holds are being let go of"
    return "another thread is inside this store"


@cython.cfunc
@cython.exceptval(-1)
def push(objects: Objects, word: uint64_t) -> cython.int:
    """One more word for the collection at hand."""
    room: uint64_t = 2 * objects.room + 256
    if objects.n_words == objects.room:
        grown: cython.p_void = realloc(objects.words, room * 8)
        if grown == cython.NULL:
            raise MemoryError("no memory for the roots of a collection")
        objects.words, objects.room = cython.cast(cython.pointer(uint64_t), grown), room
    objects.words[objects.n_words] = word
    objects.n_words += 1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def tell(owner: cython.p_void, state: cython.pointer(HeapState)) -> cython.void:
    """The roots of a store's guests."""
    with cython.gil:
        tell_all(cython.cast(Objects, owner), state)


@cython.cfunc
@cython.exceptval(check=False)
def tell_all(objects: Objects, state: cython.pointer(HeapState)) -> cython.void:
    """With the GIL: what holders have, cells of calls, and stacks. Nothing of Python's runs. Words that may be anything
    are no handles here: those of stacks are others' business. What is thrown is none of it: its values lie in the frame
    that throws it until a handler has them or Python does (``Exn.hold``), and nothing collects between."""
    context: cython.pointer(ExecContext) = objects.exec
    at: cython.Py_ssize_t
    kind: cython.Py_ssize_t
    for kind in range(len(objects.holders)):
        if changing[kind] or objects.listed_anew or not state.only_new:
            some: list = objects.holders[kind]
            for at in range(len(some)):
                holder: object = cython.cast(object, PyWeakref_GetObject(some[at]))
                if holder is not None:
                    visits[kind](holder, state)
    if state.only_new:
        turn(state, AT_NEW)  # as ``learn``: they are as many as new objects at most
        for at in range(objects.n_recent):
            mark_range(state, objects.having + objects.recent[at], 1)
        turn(state, AT_ROOTS)
    else:
        if objects.stale:
            for at in range(objects.n_vacant):
                objects.having[objects.vacant[at]] = 0
            objects.stale = False
        state.later, state.n_later, state.later_at = objects.having, objects.n_having, 0
    count: uint64_t = state.n_handle_marks
    state.n_handle_marks = 0
    scan_words(state, objects.words, objects.words + objects.n_words)
    objects.collected()
    cells: cython.pointer(ResultCells) = next_cells(context, cython.NULL)
    while cells != cython.NULL:
        scan_words(state, cells.words, cells.words + cells.n)
        cells = next_cells(context, cells)
    scan_stacks(context, state)
    state.n_handle_marks = count


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def scan_stacks(context: cython.pointer(ExecContext), state: cython.pointer(HeapState)) -> cython.void:
    """This thread's stack up to where the outermost guest of the store began: frames of guests, and between them those
    of C, which have arguments and results. What lies above has none: cells of calls are told of by themselves, and
    words that others left there would hold what nobody has. And the stacks of fibers that its guests are on; then all
    of the thread's, of which nobody says where they began."""
    block: cython.pointer(ThreadBlock) = current_block()
    act: cython.pointer(Activation) = cython.NULL if block == cython.NULL else block.activation
    here: uint64_t = stack_pointer()
    above: uint64_t = 0
    inside: cython.bint = block != cython.NULL and block.stack_low <= here < block.stack_high
    while act != cython.NULL:
        if act.exec == context and act.entry_sp != 0:
            if inside and here <= act.entry_sp < block.stack_high:
                above = max(above, act.entry_sp)
            else:
                scan_frames(context, state, act, here)
                above = block.stack_high
        act = act.prev
    if inside and here < above:
        scan_part(state, here, above)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def scan_frames(
    context: cython.pointer(ExecContext),
    state: cython.pointer(HeapState),
    act: cython.pointer(Activation),
    here: uint64_t,
) -> cython.void:
    """The frames of an activation, on a fiber or on the thread's stack; as in ``held``."""
    low: uint64_t = act.exit_sp
    if context.attention & ATTENTION_FIBER != 0 and act.fiber != cython.NULL:
        if low != 0:  # 0: it has not called anything yet
            scan_part(state, low, act.entry_sp)
        return
    if not here <= low <= act.entry_sp:  # it has not called anything
        low = here
    scan_part(state, low, act.entry_sp)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def scan_part(state: cython.pointer(HeapState), low: uint64_t, high: uint64_t) -> cython.void:
    """The words of a part of a stack."""
    scan_words(
        state,
        cython.cast(cython.pointer(uint64_t), low & ~cython.cast(uint64_t, 7)),
        cython.cast(cython.pointer(uint64_t), high),
    )


def new_objects(heap, context):
    """The objects of a store that has none yet."""
    made: Objects = Objects.__new__(Objects, heap)
    made.exec = context
    context.objects = cython.cast(cython.p_void, made)
    context.heap = cython.cast(cython.p_void, heap.state)
    heap.bind(
        cython.cast(cython.pointer(HeapWindow), cython.address(context.heap_next)),
        tell,
        cython.cast(cython.p_void, made),
    )
    return made
