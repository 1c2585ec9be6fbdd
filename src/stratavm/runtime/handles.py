"""What references of guests stand for: handles, which are Python objects that the guests of a store hold as externref,
and exceptions that they hold as exnref, by number, and addresses of functions. Who may call when is the store's
business."""

# strata: hot
from _operator import itemgetter

import cython
from cython.cimports.cpython.weakref import PyWeakref_GetObject
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.contract._gen_layout import FUNCREC_SIZE

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit
from stratavm.base.importing import bisect, weakref

FEW = cython.declare(cython.Py_ssize_t, 1024)  # handles that are never worth a collection
PIECE = cython.declare(cython.Py_ssize_t, 2048)  # of them go at the end of a call
VACANT = cython.declare(uint8_t, 1)  # a flag of a handle: nobody has it
SUSPECT = cython.declare(uint8_t, 2)  # no root held it at the last collection
GONE = cython.declare(uint8_t, 4)  # nor at the one before: it is to be freed
EACH = cython.declare(uint64_t, 0x0101010101010101)
KINDS = cython.declare(uint32_t, 8)
kinds: list = []
"""Types of roots, and by their places in it what marks the handles that they hold."""
marking = cython.declare(mark_holder_t[8])
CHECKED = cython.declare(cython.bint, switches.CHECK.value() >= 2)  # who holds exnrefs is looked at for each new one


@cython.cclass
class Handles:
    """The objects by handle - 1, and the tables and globals that may hold handles."""

    def __cinit__(self):
        self.things = []
        self.free = []
        self.numbers = {}
        self.collect_at = FEW
        self.exceptions = set()
        self.exceptions_at = 0 if CHECKED else FEW
        self.runs = []

    def __dealloc__(self):
        free(self.flags)

    def handle(self, thing, limit):
        """The handle of an object. ResourceLimit beyond ``limit`` of them."""
        found: object = self.numbers.get(id(thing))
        if found is not None:
            self.forgive(found)
            self.exceptions.discard(found)  # a host has it from here on
            return found
        if not self.free and len(self.things) >= limit:
            raise too_many(self.things, self.exceptions)
        make_room(self)
        key: object = id(thing)
        found = self.free[len(self.free) - 1] if self.free else len(self.things) + 1
        at: cython.Py_ssize_t = found - 1
        self.numbers[key] = found
        try:  # where there is no memory the tables are as they were
            if self.free:
                self.free.pop()
                self.things[at] = thing
            else:
                self.things.append(thing)
        except BaseException:
            del self.numbers[key]
            raise
        self.flags[cython.cast(uint64_t, found)] = 0
        self.used += 1
        self.made += 1
        return found

    def handle_of_exception(self, thing, limit):
        """The exnref of an exception: while no host has the handle, one that guests drop may go inside of a call."""
        found: object = self.numbers.get(id(thing))
        if found is None:
            found = self.handle(thing, limit)
            self.exceptions.add(found)
        self.forgive(found)
        return found

    def drop(self, handle):
        """Take back a handle that nobody has seen."""
        self.exceptions.discard(handle)
        del self.numbers[id(self.things[handle - 1])]
        self.things[handle - 1] = None
        self.free.append(handle)
        self.forgive(handle)
        self.flags[cython.cast(uint64_t, handle)] = VACANT
        self.used -= 1
        return 0

    def thing(self, handle):
        """The object behind a handle."""
        if not 0 < handle <= len(self.things):
            raise ValueError(f"{handle} is no externref handle of this store")
        if self.flags[cython.cast(uint64_t, handle)] & GONE:
            self.forgive(handle)  # it was still to be freed
        return self.things[handle - 1]

    def add_root(self, holder, exceptions):
        """A table or global that may hold handles: of a kind that is known (``are_marked_by``), or with
        ``held_handles()``."""
        if self.roots is None:
            self.roots = weakref.WeakSet()
        self.roots.add(holder)
        self.added += 1
        if exceptions:
            if self.exception_roots is None:
                self.exception_roots = weakref.WeakSet()
            self.exception_roots.add(holder)

    def root_references(self):
        """Weak references to the tables, globals and instances."""
        return [] if self.roots is None else list(self.roots.data)

    def crowded(self):
        """Whether there are so many that a collection is due, or one has left some to be freed."""
        return self.used > self.collect_at or self.n_gone > 0

    def judge(self, marks):
        """See which handles nobody holds: who was held by nobody the last time either is to be freed. Runs nothing of
        Python's.

        The second look is for raw results of the call that has just ended: the caller has yet to ask for the objects.
        """
        at: uint64_t
        word: uint64_t
        unheld: uint64_t
        gone: uint64_t
        n: uint64_t = min(marks.n, cython.cast(uint64_t, len(self.things)))
        flags: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), self.flags)
        held: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), marks.bytes)
        suspects: cython.Py_ssize_t = 0
        for at in range((n + 8) // 8 if n else 0):  # eight at a time
            word = flags[at]
            unheld = ~(word | held[at]) & EACH
            gone = unheld & (word >> 1 | word >> 2)  # suspects, and those that are to be freed already
            flags[at] = word & EACH | (unheld & ~gone) << 1 | gone << 2
            suspects += count_of(unheld & ~gone)
            self.n_gone += count_of(gone) - count_of(word >> 2 & EACH)
        self.n_suspects = suspects
        self.gone_at = n
        self.collect_at = max(FEW, 2 * (self.used - self.n_gone))
        return 0

    def portion(self, limit):
        """How many handles that are to be freed go at the end of a call: few, since it waits for that; but twice as
        many as were made since the last of them went, or they would become more and more; and all where the limit is
        near."""
        made: uint64_t = self.made - self.made_before if self.n_gone else 0
        self.made_before = self.made
        if self.used >= limit - limit // 4:
            return MOST_HANDLES
        return max(PIECE, cython.cast(cython.Py_ssize_t, 2 * made))

    def free_gone(self, most):
        """Free so many of the handles that nobody held twice; the objects, for the caller to drop last. Where there is
        no memory for the next one it stays as it is."""
        h: uint64_t
        count: cython.Py_ssize_t = min(most, self.n_gone)
        n: cython.Py_ssize_t = 0
        dropped: list = [None] * count  # the collector may run here, and that anything; behind it nothing does
        flags: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), self.flags)
        try:
            while n < count and self.gone_at > 0 and self.n_gone > 0:
                h = self.gone_at
                if h & 7 == 7 and flags[h >> 3] & EACH << 2 == 0:
                    self.gone_at -= 8 if h > 7 else 7
                    continue
                if self.flags[h] & GONE:
                    dropped[n] = self.things[h - 1]
                    free_one(self, h)
                    n += 1
                self.gone_at -= 1
        except MemoryError:
            pass
        del dropped[n:]
        return dropped

    def forgive(self, handle):
        """Somebody has asked for a handle: whoever held it before, it stays."""
        if self.flags[handle] & SUSPECT:
            self.n_suspects -= 1
        if self.flags[handle] & GONE:
            self.n_gone -= 1
        self.flags[handle] = 0
        return 0

    def unheld_exceptions(self, marks):
        """The exnrefs that have no mark, those that came last first."""
        at: cython.Py_ssize_t = 0
        found: list = sorted(self.exceptions, reverse=True)
        for handle in found:
            if handle <= marks.n and not marks.bytes[cython.cast(uint64_t, handle)]:
                found[at] = handle
                at += 1
        del found[at:]
        return found

    def named(self, gone):
        """What handles mean."""
        at: cython.Py_ssize_t
        h: cython.Py_ssize_t
        found: list = [None] * len(gone)  # of a list that cannot grow comprehensions let go of an item twice
        for at in range(len(gone)):
            h = gone[at]
            found[at] = self.things[h - 1]
        return found

    def forget_exceptions(self, gone, things):
        """Free exnrefs of these exceptions, which the caller drops last: how many. Runs nothing of Python's."""
        return free_all(self, gone)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def count_of(flags: uint64_t) -> cython.Py_ssize_t:
    """How many of eight flags, one in each byte, are set."""
    return flags * EACH >> 56


@cython.cfunc
@cython.exceptval(-1)
def free_one(handles: Handles, h: uint64_t) -> cython.int:
    """Free a handle: all of it, or nothing where there is no memory."""
    handle: object = h
    key: object = id(handles.things[h - 1])
    handles.free.append(handle)  # behind this nothing fails
    del handles.numbers[key]
    handles.things[h - 1] = None
    handles.exceptions.discard(handle)
    handles.forgive(h)
    handles.flags[h] = VACANT
    handles.used -= 1
    return 0


@cython.cfunc
@cython.exceptval(-1)
def free_all(handles: Handles, gone: list) -> cython.Py_ssize_t:
    """Free handles, one after the other: how many. Where there is no memory for the next one it stays as it is."""
    n: cython.Py_ssize_t = 0
    try:
        for handle in gone:
            free_one(handles, handle)
            n += 1
    except MemoryError:
        pass
    return n


@cython.cfunc
@cython.exceptval(-1)
def make_room(handles: Handles) -> cython.int:
    """Have a flag for one handle more than there are."""
    room: uint64_t = 2 * handles.room + 64
    if cython.cast(uint64_t, len(handles.things)) + 1 < handles.room:
        return 0
    grown: cython.p_void = realloc(handles.flags, room)
    if grown == cython.NULL:
        raise MemoryError("no memory for handles of Python objects")
    handles.flags = cython.cast(cython.pointer(uint8_t), grown)
    memset(handles.flags + handles.room, VACANT, room - handles.room)
    handles.room = room
    return 0


@cython.final
@cython.cclass
class Marks:
    """Which handles somebody holds."""

    def __cinit__(self, n: uint64_t):
        self.bytes = cython.cast(cython.pointer(uint8_t), calloc(n + 16, 1))
        if self.bytes == cython.NULL:
            raise MemoryError("no memory to see which handles guests hold")
        self.n = n
        memset(self.bytes + n + 1, 1, 15)

    def __dealloc__(self):
        free(self.bytes)

    def add(self, raws):
        """Raw values, any: what is no handle is none."""
        for raw in raws:
            if 0 < raw <= self.n:
                self.bytes[cython.cast(uint64_t, raw)] = 1
        return 0

    def add_words(self, words, count):
        """The same where they lie one behind the other."""
        at: uint64_t
        for at in range(count):
            if words[at] <= self.n:
                self.bytes[words[at]] = 1


def are_marked_by(kind, mark):
    """What marks the handles that each ``kind`` of root holds; its room says so when it is loaded."""
    if len(kinds) == KINDS:
        raise ValueError("there are too many kinds of roots")
    marking[cython.cast(uint32_t, len(kinds))] = mark
    kinds.append(kind)
    return 0


def mark_held(marks, roots):
    """Mark what roots hold. Those of no kind that is known say it themselves, and may run anything: they come first."""
    at: cython.Py_ssize_t
    kind: cython.int
    references: list = [] if roots is None else list(roots.data)
    for at in range(len(references)):
        holder: object = cython.cast(object, PyWeakref_GetObject(references[at]))
        if holder is not None and kind_of(holder) < 0:
            marks.add(holder.held_handles())
    for at in range(len(references)):
        holder = cython.cast(object, PyWeakref_GetObject(references[at]))
        if holder is not None:
            kind = kind_of(holder)
            if kind >= 0:
                marking[kind](holder, marks)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def kind_of(holder: object) -> cython.int:
    """By its place in ``kinds``; -1: it is of none."""
    at: cython.int
    for at in range(cython.cast(cython.int, len(kinds))):
        if isinstance(holder, cython.cast(type, kinds[at])):
            return at
    return -1


@cython.cfunc
def too_many(things: list, kept: set) -> object:
    """The error where there may be no further handle; ``kept``: those of exceptions."""
    held: object = len(things)
    exceptions: object = len(kept)
    parts: list = []
    if held > len(kept) or not kept:
        parts.append(f"{held - len(kept)} Python objects")
    if exceptions:
        parts.append(f"{exceptions} exceptions (each that catch_all_ref or catch_ref gave them and they still have)")
    what: str = " and ".join(parts)
    return ResourceLimit(
        f"guests hold {what}, the limit; StoreLimits(handles={held + 1}) allows one more",
        limit="handles",
        needed=held + 1,
    )


first_of = itemgetter(0)


@cython.cclass
class FuncIndex:
    """Which addresses are functions of a store: raw funcrefs that come from outside are checked here before a guest may
    see them. FuncRecs with their owners, instances and functions that have one of their own; made when the first is
    looked up."""

    def __cinit__(self):
        self.lone = {}
        self.ranges = []

    def add(self, owner):
        """Add an owner: ``records()`` says where its FuncRecs lie, and how many."""
        address, count = owner.records()
        if count == 1:
            self.lone[address] = owner
        elif count:
            bisect.insort(self.ranges, (address, address + count * FUNCREC_SIZE, owner), key=first_of)

    def owner_of(self, address):
        """The owner of the FuncRec at an address, or None."""
        found: object = self.lone.get(address)
        if found is not None:
            return found
        at: object = bisect.bisect_right(self.ranges, address, key=first_of) - 1
        if at < 0:
            return None
        start, end, owner = self.ranges[at]
        return owner if address < end and (address - start) % FUNCREC_SIZE == 0 else None
