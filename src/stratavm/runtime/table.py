# cython: binding=True, embedsignature=False
"""Tables of raw references: FuncRec addresses or externref handles. The maximum is reserved, so the base never
moves."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.posix.mman import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    mmap,
    mprotect,
    munmap,
)
from cython.cimports.posix.unistd import _SC_PAGESIZE, sysconf
from cython.cimports.stratavm.contract._gen_layout import FuncRec
from cython.cimports.stratavm.heap.mark import mark_range
from cython.cimports.stratavm.heap.state import HeapState
from cython.cimports.stratavm.runtime.globals import Global, held_on_its_way
from cython.cimports.stratavm.runtime.handles import Marks, are_marked_by
from cython.cimports.stratavm.runtime.kinds import KIND_TABLE_CREATED, KIND_TABLE_GROWN, KIND_TABLE_REFUSED
from cython.cimports.stratavm.runtime.objects import are_visited_by
from cython.cimports.stratavm.runtime.occupancy import is_closed
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.store import Store

from stratavm.base.errors import ResourceLimit, Trap
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import integer, shown, truth, whole, whole_or_none
from stratavm.runtime.events import TableElementSet
from stratavm.runtime.func import cell_widths
from stratavm.runtime.introspect import Signed
from stratavm.runtime.limits import name_the_limit
from stratavm.runtime.values import MISFITS, called, from_raw, outside, spelled, to_raw_alone, told, value_type
from stratavm.spec.types import (
    EXN,
    NOEXN,
    REF,
    RESOLVED,
    Limits,
    TableType,
    heap,
    holds_handles,
    holds_objects,
    kind,
    type_name,
)

NOWHERE = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
HEAP_ELEMENTS = cython.declare(uint64_t, 8192)  # tables up to this maximum lie on the heap
LARGEST = {False: (1 << 32) - 1, True: (1 << 64) - 1}  # length that indices reach, by whether they have 64 bits
MOST = 1 << 62  # elements or more that nobody ever gets
POLL_EVERY = cython.declare(uint64_t, 1 << 17)  # new elements between two polls: one MiB, see ADR-0009
HOST_PAGE = cython.declare(uint64_t, sysconf(_SC_PAGESIZE))


@cython.cclass
class TableSpec:
    """What all tables of a type have in common."""

    def __cinit__(self, type: object):
        limits: object = type.limits
        outside(type.element)
        self.declared = type
        self.minimum = min(whole("minimum", limits.minimum), cython.cast(object, 1) << 63)
        most: object = whole_or_none("maximum", limits.maximum)
        self.maximum = NOWHERE if most is None else min(most, cython.cast(object, 1) << 63)
        self.holds_handles = holds_handles(type.element)
        self.holds_functions = cell_widths((type.element,)) == b"\x09"


@cython.no_gc_clear  # __dealloc__ uses the store; in the .pxd the directive has no effect
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Table:
    """A table of references: a sequence of ``Func``, any objects (externref), or None.

    Underneath elements are raw bits; 0 is null. What they refer to lives as long as the store.
    """

    __signature__ = Signed("Table")

    def __init__(self, store: Store, type: TableType, raw: object = 0):
        spec: TableSpec = TableSpec(type)
        bits: object = exactly("raw", raw)
        if self.store is None and spec.holds_functions and not is_closed(store):
            store.check_reference(type.element, bits)
        elif self.store is None and spec.holds_handles and not is_closed(store):
            store.check_word(type.element, bits)
        self.begin(store, spec, bits, spec.minimum, None)

    @classmethod
    @checks_keywords
    def new(
        cls,
        store: Store,
        element: object,
        minimum: object,
        maximum: object = None,
        is64: object = False,
        *,
        value: object = None,
    ) -> Table:
        """A table of ``minimum`` elements of a reference type that are all ``value``, and that may grow to ``maximum``,
        or to what limits allow.

        Args:
            store: where it lives.
            element: the type of its elements: ``"funcref"``, ``"externref"``, that of a typed reference which something
                of its engine shows (``table.type.element``, ``function.type.params[0]``,
                ``module.imports[0].type.element``), or a ``GuestType``, which stands for references to its objects or
                null; ``GuestType.ref(nullable=False)`` is without null.
            minimum: how many elements it has at first.
            maximum: up to how many it may grow; None: no bound of its own.
            is64: whether guests index it with i64.
            value: what its first elements are; None is null.

        Raises:
            ValueError: there is no such type of references; elements may not be null, and no ``value`` was given.
            TypeError: the value is none of the type; the ``GuestType`` is another engine's.
            ResourceLimit: the store's limits do not allow it.
        """
        reach: object = LARGEST[truth("is64", is64)]
        least: object = whole("minimum", minimum, most=reach, unit="elements")
        most: object = whole_or_none("maximum", maximum, least, reach, "elements")
        known: object = value_type(element, store, reference=True)
        if kind(known) == REF and value is None:
            wanted: str = spelled(known, store)
            raise ValueError(f"a new table has null elements, which is no {wanted}: it needs a value for them")
        store.keep_type(known)
        type_: object = TableType(known, Limits(least, most, is64))
        try:
            held: Global = held_on_its_way(store, known, value)
            made: object = cls(store, type_, held.bits)
        except BaseException as error:
            store.tell("table", error)
            raise
        store.deliver()
        return made

    def begin(self, store, spec, raw, length, image):
        """Become a table of a store, of so many elements that are ``raw``, which is one of its type, or what an image
        of as many has. ResourceLimit where its limits, or the kernel, do not allow it."""
        if self.store is not None:
            raise TypeError("a table is initialised once")
        if is_closed(store):
            raise store.why_closed()
        top: uint64_t = min(spec.maximum, store.template.table_elements)
        if length > top:
            raise too_long(length, top)
        self.store = store
        self.declared = spec.declared
        self.holds_handles = spec.holds_handles
        self.holds_functions = spec.holds_functions
        self.d.table = cython.cast(cython.p_void, self)
        store.count_table()
        self.counted = True
        self.number = store.made_tables - 1
        if image is not None:
            self.common = image.recs
        self.reserve(top, length, image)
        if self.shows(image):
            self.d.length = length
        elif self.resize(length, raw):
            self.d.max_length = 0  # it holds nothing, whoever still has it: the store does not look at it
            self.store.quota.check(8 * length, "a table")
            raise ResourceLimit("the kernel gives no memory for a new table", limit=name_the_limit())
        elif image is not None:
            memcpy(self.d.base, image.content(), 8 * length)
        if self.holds_handles:
            element: object = spec.declared.element
            store.add_root(self, heap(element) in (EXN, NOEXN) or holds_objects(element))
        store.note(KIND_TABLE_CREATED, self.number, self.d.length, 0)
        return 0

    def reserve(self, top, length, image):
        """Take the address space of the maximum, up to which it may grow from then on."""
        base: cython.p_void
        mapped: cython.bint = image is not None and image.shown is not None
        # One that cannot grow is on the heap whatever its length.
        if not mapped and (top <= HEAP_ELEMENTS or top == length):
            self.store.quota.check(top * 8, "a table")
            base = calloc(top + 1, 8)
            if base == cython.NULL:
                raise MemoryError("no memory for a table")
            self.d.base = cython.cast(cython.pointer(uint64_t), base)
            self.d.max_length = top
            return self.commit(top * 8)
        self.reserved = (top * 8 + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
        base = mmap(cython.NULL, self.reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if base == MAP_FAILED:
            self.reserved = 0
            raise ResourceLimit("cannot reserve address space for a table", limit=name_the_limit())
        self.d.base = cython.cast(cython.pointer(uint64_t), base)
        self.d.max_length = top
        return 0

    def shows(self, image):
        """Map what an image has into a new table: private copies of its pages, made at the first write. False where
        there is nothing to be mapped, or the quota or the kernel refuses."""
        if image is None or image.shown is None:
            return False
        size: uint64_t = image.shown.end
        rights: cython.int = PROT_READ | PROT_WRITE
        flags: cython.int = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE
        if size > self.reserved or not self.store.quota.claim(size):
            return False
        if mmap(self.d.base, size, rights, flags, image.shown.descriptor, 0) == MAP_FAILED:
            self.store.quota.give_back(size)
            return False
        self.committed = size
        self.image = image
        return True

    def commit(self, size):
        """Make the first ``size`` bytes usable. 1 if the store's quota or the kernel refuses."""
        more: uint64_t = size - self.committed
        if not self.store.quota.claim(more):
            return 1
        if self.reserved:
            start: cython.p_char = cython.cast(cython.p_char, self.d.base) + self.committed
            if mprotect(start, more, PROT_READ | PROT_WRITE):
                self.store.quota.give_back(more)
                return 1
        self.committed = size
        return 0

    def __dealloc__(self):
        if self.counted:
            self.store.n_tables -= 1
            give_back(self.store.quota, self.committed)
        if self.reserved:
            munmap(self.d.base, self.reserved)
        else:
            free(self.d.base)

    def resize(self, length, raw):
        """Grow to ``length`` elements, new ones ``raw``. 1 if the store's quota or the kernel refuses, or somebody else
        grows it meanwhile.

        Nobody sees elements before the length says so: a call that is abandoned in the middle has grown nothing.
        """
        old: uint64_t = self.d.length
        if self.commit_for(length):
            return 1
        if self.prepared != length or self.prepared_raw != raw or self.prepared_growths != self.growths:
            self.growths += 1
            if raw and self.spread(length, raw):
                return 1
            if raw == 0 and self.spoiled > old:  # called from inside of another growth, or one ahead was abandoned
                memset(self.d.base + old, 0, 8 * (min(self.spoiled, length) - old))
        self.growths += 1
        self.d.length = length
        return 0

    def commit_for(self, length):
        """Make so many elements usable. 1 if the store's quota or the kernel refuses."""
        wanted: uint64_t = (length * 8 + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
        return self.commit(wanted) if self.reserved and wanted > self.committed else 0

    # ---- growth ahead: a guest on a fiber waits while its new elements are written, and grows the table then ----

    def begin_ahead(self, delta, raw):
        """A growth that its maximum allows is to come: whether elements have to be written behind the length before.

        The limiter is asked here, and not again by ``extend_as_prepared``; what it raises comes out, and counts as no.
        """
        length: uint64_t = self.d.length + delta
        self.answered = 0
        if not self.fits(delta):
            return False
        if self.store.template.limits.limiter is not None:
            self.answered, self.answer, self.answered_growths = length, False, self.growths
            self.answer = self.may_grow(length)
            if not self.answer:
                return False
        if (raw == 0 and self.spoiled <= self.d.length) or self.commit_for(length):
            return False
        self.growths += 1
        self.answered_growths = self.growths
        self.ahead = length
        return True

    def goes_ahead(self, growths, left, n, raw):
        """Whether ``n`` of the bytes that are left may be written behind the length: nobody has grown it meanwhile.

        Who grows it before all of them are there, or if they never are, is told up to where they may be.
        """
        if self.growths != growths:
            return False
        self.spoiled = max(self.spoiled, self.ahead - (left - n) // 8)
        if left == n:
            self.prepared, self.prepared_raw, self.prepared_growths = self.ahead, raw, growths
        return True

    def spread(self, length, raw):
        """Write ``raw`` behind the length. 1, or an error, where it ends midway: then nothing of it stays."""
        at: uint64_t = self.d.length
        end: uint64_t
        mine: uint64_t = self.growths
        before: uint64_t = self.spoiled
        done: cython.bint = False
        try:
            while at < length and self.growths == mine:
                end = at + min(length - at, POLL_EVERY)
                while at < end:
                    self.d.base[at] = raw
                    at += 1
                if at < length and self.store.busy:
                    self.spoiled = max(before, at)
                    self.store.poll()  # raises what ends the call; may run a signal handler, and that anything
            done = self.growths == mine
        finally:
            self.spoiled = before
            if not done and at > self.d.length:
                memset(self.d.base + self.d.length, 0, 8 * (at - self.d.length))
        return 0 if done else 1

    def check_raw(self, raw):
        """Raise ValueError unless ``raw`` may be an element: guests jump through funcrefs."""
        if self.common is not None and self.common.has(raw):
            wanted: object = heap(self.declared.element)
            found: object = cython.cast(cython.pointer(FuncRec), raw).type_id
            if wanted >= RESOLVED and not self.store.runtime.types.matches(found, wanted - RESOLVED):
                raise ValueError(f"{raw:#x} is no {type_name(self.declared.element)}")
        elif self.holds_functions:
            self.store.check_reference(self.declared.element, raw)
        elif self.holds_handles:
            self.store.check_word(self.declared.element, raw)
        return 0

    def place(self, index):
        """The index of an element that is there; the trap where it is not."""
        number: object = exactly("table index", index)  # may run anything: nothing is looked at before
        self.store.check_entry()
        if number < 0 or number >= self.d.length:
            raise self.out_of_bounds(number)
        return number

    @property
    def type(self) -> TableType:
        """Its type, with the present length as the minimum."""
        t: object = self.declared
        now: object = Limits(self.d.length, t.limits.maximum, t.limits.is64, t.limits.shared)
        return told(TableType(t.element, now), self.store)

    @property
    def definition(self) -> int:
        """Address of the TableDef."""
        return cython.cast(uint64_t, cython.address(self.d))

    def __len__(self) -> int:
        return self.d.length

    def __getitem__(self, index: object) -> object:
        element: object = self.declared.element
        if self.holds_handles and heap(element) not in (EXN, NOEXN):
            # From the look at the index to the thing nothing of Python's runs: nobody collects.
            return self.store.thing_of(self.d.base[self.place(within(self, index))])
        return from_raw(element, self.get(within(self, index)), self.store)

    def __setitem__(self, index: object, value: object) -> None:
        index = within(self, index)
        self.store.check_entry()  # before anything of the value's runs, and behind it
        self.store.pinned += 1  # until the table has it, its handle lies nowhere
        try:
            self.set(index, to_raw_alone(self.declared.element, value, self.store))
        except (TypeError, OverflowError) as error:
            if type(error) not in MISFITS:
                raise
            raise type(error)(f"element {index} of {called('table', self)}: {error}") from None
        finally:
            self.store.pinned -= 1
        if self.store.source is not None and self.store.source.hears(TableElementSet):
            self.store.source.emit(TableElementSet(self.number, index))

    @checks_keywords
    def grow(self, delta: object, value: object = None) -> int:
        """Grow by ``delta`` elements of ``value``; returns the old length, or -1 if it cannot grow so far."""
        try:
            held: Global = held_on_its_way(self.store, self.declared.element, value)
            before: object = self.extend(delta, held.bits)
        except BaseException as error:
            self.store.tell("table.grow", error)
            raise
        self.store.deliver()
        return before

    def out_of_bounds(self, index: object) -> Trap:
        """The trap for an index that is not inside."""
        return Trap("table_out_of_bounds", detail=f"element {shown(index)}, the table has {self.d.length}")

    def get(self, index: object) -> int:
        """The raw bits of an element, for tiers: programs write ``table[index]``."""
        return self.d.base[self.place(index)]

    def set(self, index: object, raw: int) -> None:
        """Set an element to raw bits, for tiers: programs write ``table[index] = value``."""
        bits: uint64_t = raw
        at: uint64_t = self.place(index)
        self.check_raw(bits)
        self.d.base[at] = bits

    def put(self, at, items, count):
        """Set consecutive elements that lie inside; they are known to be references of this store."""
        self.store.check_access()
        memcpy(self.d.base + at, items, 8 * count)
        return 0

    def fits(self, delta: int) -> bool:
        """Whether its maximum, and the store's for tables, allow so many more elements."""
        return 0 <= delta <= self.d.max_length - self.d.length

    def extend(self, delta: object, raw: object = 0) -> int:
        """``grow`` for guests, with raw bits: the old length, or -1 if a limit, the limiter or the kernel says no."""
        self.answered = 0
        return self.extend_as_prepared(delta, raw)

    def extend_as_prepared(self, delta, raw):
        """``extend``; behind ``begin_ahead`` the limiter is not asked again, nor what is there written."""
        wanted: object = min(max(integer("delta", delta), -1), MOST)  # may run anything: nothing is looked at before
        bits: uint64_t = exactly("raw", raw)
        self.store.check_entry()
        self.check_raw(bits)
        old: object = self.d.length
        if not self.fits(wanted) or not self.is_allowed(old + wanted) or self.resize(old + wanted, bits):
            self.store.note(KIND_TABLE_REFUSED, self.number, old, wanted)
            return -1
        self.store.note(KIND_TABLE_GROWN, self.number, old, old + wanted)
        return old

    def is_allowed(self, size):
        """What the limiter says, or has said ahead."""
        if self.answered == size and self.answered_growths == self.growths:
            self.answered = 0
            return self.answer
        return self.may_grow(size)

    def may_grow(self, size: int) -> bool:
        """Ask the limiter. It may run anything: where the table has grown meanwhile, ``size`` would shrink it.

        Raises what the limiter raises, and Closed where it has closed the store.
        """
        limiter: object = self.store.template.limits.limiter
        now: object = self.d.length
        if limiter is None:
            return True
        allowed: cython.bint = limiter("table", now, size)
        self.store.check_access()
        return allowed and self.d.length == now

    def __reduce__(self):
        raise TypeError("a table of a store cannot be pickled")

    def __repr__(self) -> str:
        if self.store is None:
            return "<Table that was never initialised>"
        maximum: object = self.declared.limits.maximum
        shown: str = spelled(self.declared.element, self.store)
        return f"<Table {self.d.length}..{'' if maximum is None else maximum} {shown}>"


def too_long(length, top):
    """The error for a table that begins with more elements than it may have."""
    return ResourceLimit(
        f"a table of {length:,} elements is over the limit of {top:,}; StoreLimits(table_elements={length}) allows it",
        limit="table_elements",
        needed=length,
    )


@cython.cfunc
@cython.inline
def exactly(name: str, number: object) -> object:
    """``integer``, which most numbers are."""
    return number if type(number) is int else integer(name, number)


@cython.cfunc
def within(table: Table, index: object) -> object:
    """The index, unless the sequence has none such: lists of Python count from the end, tables do not."""
    number: object = exactly("table index", index)
    if number < 0 or number >= table.d.length:
        there: str = f"out of range 0..{len(table) - 1}" if len(table) else "of a table without elements"
        raise IndexError(f"table index {shown(number)} {there}")
    return number


@cython.cfunc
@cython.exceptval(check=False)
def tell_of(holder: object, state: cython.pointer(HeapState)) -> cython.void:
    """The references in a table, for a collection of objects."""
    table: Table = holder
    mark_range(state, table.d.base, table.d.length)


are_visited_by(Table, tell_of, True)


@cython.cfunc
@cython.exceptval(check=False)
def mark_handles(holder: object, marks: Marks) -> cython.void:
    """The handles in a table."""
    table: Table = holder
    marks.add_words(table.d.base, table.d.length)


are_marked_by(Table, mark_handles)
