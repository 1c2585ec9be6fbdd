"""What references of guests stand for: handles, which are Python objects that the guests of a store hold as externref,
and exceptions that they hold as exnref, by number, and addresses of functions. Who may call when is the store's
business."""

# strata: hot
from _operator import itemgetter

import cython
from cython.cimports.stratavm.contract._gen_layout import FUNCREC_SIZE

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit
from stratavm.base.importing import bisect, weakref

FEW = cython.declare(cython.Py_ssize_t, 1024)  # handles that are never worth a collection
CHECKED = cython.declare(cython.bint, switches.CHECK.value() >= 2)  # who holds exnrefs is looked at for each new one


@cython.cclass
class Handles:
    """The objects by handle - 1, and the tables and globals that may hold handles."""

    def __cinit__(self):
        self.things = []
        self.free = []
        self.numbers = {}
        self.suspects = set()
        self.collect_at = FEW
        self.exceptions = set()
        self.exceptions_at = 0 if CHECKED else FEW
        self.runs = []

    def handle(self, thing, limit):
        """The handle of an object. ResourceLimit beyond ``limit`` of them."""
        found: object = self.numbers.get(id(thing))
        if found is not None:
            self.suspects.discard(found)
            self.exceptions.discard(found)  # a host has it from here on
            return found
        if not self.free and len(self.things) >= limit:
            raise too_many(self.things, self.exceptions)
        key: object = id(thing)
        found = self.free[len(self.free) - 1] if self.free else len(self.things) + 1
        self.numbers[key] = found
        try:  # where there is no memory the tables are as they were
            if self.free:
                self.free.pop()
                self.things[found - 1] = thing
            else:
                self.things.append(thing)
        except BaseException:
            del self.numbers[key]
            raise
        self.used += 1
        return found

    def handle_of_exception(self, thing, limit):
        """The exnref of an exception: while no host has the handle, one that guests drop may go inside of a call."""
        found: object = self.numbers.get(id(thing))
        if found is None:
            found = self.handle(thing, limit)
            self.exceptions.add(found)
        self.suspects.discard(found)
        return found

    def drop(self, handle):
        """Take back a handle that nobody has seen."""
        self.exceptions.discard(handle)
        del self.numbers[id(self.things[handle - 1])]
        self.things[handle - 1] = None
        self.free.append(handle)
        self.used -= 1
        return 0

    def thing(self, handle):
        """The object behind a handle."""
        if not 0 < handle <= len(self.things):
            raise ValueError(f"{handle} is no externref handle of this store")
        return self.things[handle - 1]

    def add_root(self, holder, exceptions):
        """A table or global that may hold handles: anything with ``held_handles()``. And whether those are exnrefs."""
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
        """Whether there are so many that a collection is due."""
        return self.used > self.collect_at

    def collect(self, held):
        """Free the handles that no root held at the last collection either, besides those that are ``held``; the
        objects, for the caller to drop last.

        The second look is for raw results of the call that has just ended: the caller has yet to ask for the objects.
        """
        before: set = self.suspects
        for root in living(self.roots):
            held.update(root.held_handles())
        free: set = set(self.free)
        unheld: set = {h for h in range(1, len(self.things) + 1) if h not in held and h not in free}
        gone: list = sorted(unheld & self.suspects, reverse=True)
        dropped: list = named_by(self, gone)
        suspects: set = unheld.difference(gone)
        # All that may run others, or the collector; from here on nothing does.
        if self.suspects is not before:
            return []
        for h in gone:
            if h not in before:  # somebody has asked for it meanwhile
                return []
        self.suspects = suspects
        del dropped[free_all(self, gone) :]
        self.collect_at = max(FEW, 2 * self.used)
        return dropped

    def unheld_exceptions(self, marks):
        """The exnrefs that have no mark."""
        h: cython.Py_ssize_t
        n: cython.Py_ssize_t = len(self.things)  # before anything is made: there are no more marks
        return [h for h in range(n, 0, -1) if not marks[h] and h in self.exceptions]

    def forget_exceptions(self, gone, things):
        """Free exnrefs of these exceptions, which the caller drops last: how many. Runs nothing of Python's."""
        return free_all(self, gone)


@cython.cfunc
def named_by(handles: Handles, gone: list) -> list:
    """What handles mean. A list of its length from the beginning: of one that cannot grow Cython's comprehensions
    let go of an item once too often."""
    at: cython.Py_ssize_t
    h: cython.Py_ssize_t
    found: list = [None] * len(gone)
    for at in range(len(gone)):
        h = gone[at]
        found[at] = handles.things[h - 1]
    return found


@cython.cfunc
@cython.exceptval(-1)
def free_all(handles: Handles, gone: list) -> cython.Py_ssize_t:
    """Free handles, one after the other: how many. Where there is no memory for the next one it stays as it is."""
    h: cython.Py_ssize_t
    n: cython.Py_ssize_t = 0
    try:
        for handle in gone:
            h = handle
            key: object = id(handles.things[h - 1])
            handles.free.append(handle)  # behind this nothing fails
            del handles.numbers[key]
            handles.things[h - 1] = None
            handles.exceptions.discard(handle)
            handles.suspects.discard(handle)
            n += 1
    except MemoryError:
        pass
    handles.used -= n
    return n


def living(roots: object) -> list:
    """Those of a set of weak references that are there; None: of none. To copy it runs nothing of Python's, so that it
    may get more meanwhile: it is no iteration that this would end."""
    references: list = [] if roots is None else list(roots.data)
    return [root for root in [reference() for reference in references] if root is not None]


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
