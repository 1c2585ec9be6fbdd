# cython: binding=True, embedsignature=False
# strata: hot
"""Linear memories: bytes, slices without copies, typed views, checked copies.

Address space is reserved once, so that the base never moves, and lives as long as a view of it: no view dangles. Growth
changes protections only and leaves older views at their old size; a closed store's memory stays readable through views
that exist.
"""

# Plans: *guard* reserves 8 GiB + 64 KiB, so that no 32-bit base plus 32-bit offset leaves the reservation and
# the MMU checks bounds; *bounded* reserves the maximum, and compiled code compares with MemDef.bytes.

import cython
from cython.cimports.cpython.buffer import (
    PyBUF_SIMPLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.cpython.long import PyLong_CheckExact
from cython.cimports.cpython.ref import Py_DECREF, PyObject
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memchr, memcpy, memmove
from cython.cimports.stratavm.base.events.core import Channel
from cython.cimports.stratavm.base.integers import int_value
from cython.cimports.stratavm.contract._gen_layout import PLAN_BOUNDED, PLAN_GUARD
from cython.cimports.stratavm.runtime.kinds import KIND_MEMORY_CREATED, KIND_MEMORY_GROWN, KIND_MEMORY_REFUSED
from cython.cimports.stratavm.runtime.occupancy import is_closed, was_entered
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.region import HOST_PAGE, Region
from cython.cimports.stratavm.runtime.slots import SlotAllocator
from cython.cimports.stratavm.runtime.store import Store

from stratavm.base.errors import AllocatorFault, Closed, ResourceLimit, Trap
from stratavm.base.importing import struct
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import integer, shown, truth, whole, whole_or_none
from stratavm.base.words import amount
from stratavm.contract.layout import PLANS, plan_of
from stratavm.runtime.allocator import checked
from stratavm.runtime.events import MemoryWritten
from stratavm.runtime.introspect import Signed
from stratavm.runtime.limits import GUARD_RESERVATION, name_the_limit
from stratavm.spec.types import Limits, MemoryType

SHARED = 1  # a bit of MemDef.flags
GUARD_BYTES = GUARD_RESERVATION
FARTHEST = cython.declare(cython.Py_ssize_t, 0x7FFFFFFFFFFFFFFF)
NO_BUFFER = (
    "other threads change the bytes of a shared memory at any time, which what works on a view does not expect; "
    "read() and write() copy, and load(), store(), add() and so on of SharedMemory are atomic"
)
MOST = 1 << 62  # pages or more that nobody ever gets
PAGE_SHIFTS = {1: 0, 1 << 16: 16}  # logarithms of what a page may have


@cython.cclass
class MemorySpec:
    """What all memories of a type under a plan have in common."""

    def __cinit__(self, type: object, plan: str):
        limits: object = type.limits
        one: object = 1
        pages: object = most_pages(type.page_shift, limits.is64)
        self.declared = type
        self.shift = type.page_shift
        self.plan = PLANS[plan_of(type, plan)]
        self.flags = (1 if limits.shared else 0) | (2 if limits.is64 else 0)
        self.minimum = min(whole("minimum", limits.minimum), one << 63)
        self.bounded = limits.maximum is not None
        most: object = whole_or_none("maximum", limits.maximum)
        self.maximum = min(pages if most is None else min(most, pages), one << 63)


def most_pages(shift, is64):
    """Pages that addresses reach; of one byte one less, since the size is an address as well."""
    one: object = 1
    reach: object = one << (64 if is64 else 32)
    return reach >> shift if shift else reach - 1


def too_large(pages, shift, most):
    """The error for a memory that begins with more than it may have."""
    wanted: object = pages << shift
    unit: object = ("page" if shift else "byte") + ("" if pages == 1 else "s")
    return ResourceLimit(
        f"a memory of {pages:,} {unit} ({amount(wanted)}) is over the limit of {amount(most)}; "
        f"StoreLimits(memory_bytes=…), and Config(max_memory_bytes=…) where that is set, must be at least {wanted}",
        limit="memory_bytes",
        needed=wanted,
    )


@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Copying:
    """What copies out of bytes that others may change, and into them: the same for a memory of one store and of many.

    ``read`` and ``write`` are the memory's own.
    """

    def rest(self, address, size):
        """The place of an address, and how many bytes there are behind it; traps unless it is inside."""
        raise NotImplementedError

    def __reduce__(self):
        raise TypeError("what copies out of a memory cannot be pickled")

    def unpack(self, format: str, address: object) -> tuple:
        """Read a C structure: ``memory.unpack("<IHH", address)``; see the ``struct`` module.

        Raises:
            Trap: the range is not inside the memory.
            struct.error: the format is none.
        """
        return struct.unpack(format, self.read(address, size_of_format(format)))

    def pack(self, format: str, address: object, *values: object) -> None:
        """Write a C structure: ``memory.pack("<IHH", address, 1, 2, 3)``; see the ``struct`` module.

        Raises:
            Trap: the range is not inside the memory.
            struct.error: the format is none, or the values do not fit it.
        """
        size_of_format(format)
        self.write(address, struct.pack(format, *values))

    def read_cstring(self, address: object, limit: object = None, encoding: str = "utf-8") -> str:
        """The text before the next zero byte.

        Args:
            limit: how many bytes to look at, at most; up to the memory's end where absent.

        Raises:
            Trap: there is no zero byte.
            UnicodeDecodeError: it is not text of that encoding.
        """
        most: cython.Py_ssize_t = FARTHEST if limit is None else max(0, clipped("limit", limit))
        size: cython.Py_ssize_t = 0
        start: cython.p_char = self.rest(address, cython.address(size))
        size = min(most, size)
        end: cython.p_char = cython.cast(cython.p_char, memchr(start, 0, size))
        if end == cython.NULL:
            detail: str = f"no zero byte in the {size} bytes at {shown(integer('address', address))}"
            raise Trap("memory_out_of_bounds", detail=detail)
        return PyBytes_FromStringAndSize(start, end - start).decode(encoding)


@cython.no_gc_clear  # __dealloc__ uses the store; in the .pxd the directive has no effect
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Memory(Copying):
    """A linear memory: ``memory[5]``, ``memory[8:16]`` (a writable view without a copy), ``numpy.frombuffer(memory)``.

    ``read``, ``write``, ``unpack``, ``pack`` and ``read_cstring`` copy, and trap where the range is not inside.
    """

    __signature__ = Signed("Memory")

    def __cinit__(self):
        self.d = cython.address(self.own)

    def __init__(self, store: Store, type: MemoryType, plan: str = "guard", image: object = None):
        self.begin(store, MemorySpec(type, plan), image)

    @classmethod
    @checks_keywords
    def new(
        cls,
        store: Store,
        minimum: object,
        maximum: object = None,
        page_size: object = 1 << 16,
        is64: object = False,
    ) -> Memory:
        """A memory of ``minimum`` pages that may grow to ``maximum``, or to what limits allow.

        Args:
            page_size: bytes of a page: 65,536, or 1.
            is64: guests address it with i64.
        """
        page_size = whole("page_size", page_size)
        shift: object = PAGE_SHIFTS.get(page_size)
        if shift is None:
            raise ValueError(f"page_size: a page has 65536 bytes or 1, got {shown(page_size)}")
        reach: object = most_pages(shift, truth("is64", is64))
        least: object = whole("minimum", minimum, most=reach, unit="pages")
        most: object = whole_or_none("maximum", maximum, least, reach, "pages")
        type_: object = MemoryType(Limits(least, most, is64), shift)
        try:
            if is_closed(store):
                raise store.why_closed()
            made: object = cls(store, type_, store.template.memory_plan)
        except BaseException as error:
            store.tell("memory", error)
            raise
        store.deliver()
        return made

    def begin(self, store, spec, image):
        """Become a memory of a store. ResourceLimit where its limits, or the kernel, do not allow it."""
        return self.begin_with(store, spec, image, spec.minimum)

    def begin_with(self, store, spec, image, pages):
        """``begin`` with another number of pages than its type says."""
        if self.store is not None:
            raise TypeError("a memory is initialised once")
        if spec.flags & SHARED:
            raise TypeError("a memory that threads share is a SharedMemory")
        if is_closed(store):
            raise store.why_closed()
        shift: uint32_t = spec.shift
        top: uint64_t = min(spec.maximum, store.template.memory_bytes >> shift)
        if pages > top:
            raise too_large(pages, shift, store.template.memory_bytes)
        self.store = store
        self.spec = spec
        if spec.plan == PLAN_BOUNDED and not spec.bounded:
            top = max(pages, min(top, store.template.bounded_reservation >> shift))
        self.d.page_shift = shift
        self.d.plan = spec.plan
        self.d.flags = spec.flags
        self.d.max_bytes = top << shift
        self.d.memory = cython.cast(cython.p_void, self)
        store.count_memory()
        self.counted = True
        self.number = store.made_memories - 1
        self.reserve(pages << shift, image)
        store.note(KIND_MEMORY_CREATED, self.number, self.d.bytes >> shift, 0)
        return 0

    def attach(self, store, spec, shared, definition):
        """Become what a store has of a memory that several share: what it is, and how large, is the same for all."""
        if self.store is not None:
            raise TypeError("a memory is initialised once")
        if is_closed(store):
            raise store.why_closed()
        self.store = store
        self.spec = spec
        store.count_memory()
        self.counted = True
        self.number = store.made_memories - 1
        self.shared = shared
        self.d = definition
        store.note(KIND_MEMORY_CREATED, self.number, self.d.bytes >> self.d.page_shift, 0)
        return 0

    def reserve(self, size, image):
        """Get the address space, and what it shows at first."""
        # One host page is the least, so that the base is always valid.
        wanted: uint64_t = (self.d.max_bytes + HOST_PAGE) & ~(HOST_PAGE - 1)
        guard: cython.bint = self.d.plan == PLAN_GUARD
        serial: uint64_t = 0 if image is None else image.serial
        if guard:
            wanted = GUARD_BYTES
        allocator: object = self.store.template.allocator
        region: Region
        if isinstance(allocator, SlotAllocator):
            region = cython.cast(SlotAllocator, allocator).allocate(wanted, size, guard, serial)
        else:
            region = checked(allocator.allocate(wanted, size, guard, serial), wanted)
        region.take()
        if region.reserved < GUARD_BYTES and guard:
            raise AllocatorFault(f"code relies on {GUARD_BYTES} bytes of guarded address space")
        self.region = region
        self.d.base = region.base
        self.d.reserved = region.reserved
        self.d.max_bytes = min(self.d.max_bytes, region.most)
        if size > self.d.max_bytes or self.commit(size):
            self.store.quota.check(size, "a linear memory")
            self.store.memory_quota.check(size, "a linear memory")
            raise ResourceLimit("the kernel gives no memory for a new linear memory", limit=name_the_limit())
        if image is not None:
            self.shows = region.show(image)
            if self.shows:
                for at, content in image.pieces:
                    self.put(at, content)
        return 0

    def __dealloc__(self):
        if self.counted:
            self.store.n_memories -= 1
            self.take_less(self.own.bytes)
            self.judge()

    def let_go(self):
        """The store is closed: give the address space back now, unless a view of it lives."""
        self.whole = None
        if self.shared is not None:
            self.own.page_shift = self.d.page_shift
            self.own.plan = self.d.plan
            self.d = cython.address(self.own)
            self.shared = None
            return 0
        if self.exports == 0 and is_closed(self.store):
            self.take_less(self.d.bytes)
            self.d.bytes = 0
            self.d.max_bytes = 0
            self.d.base = cython.NULL
            self.judge()
            self.region = None
        return 0

    def judge(self):
        """Tell the region, which is about to go, whether anybody can have written to it."""
        if self.region is not None:
            self.region.untouched = not (self.written or was_entered(self.store))

    def withdraw(self) -> None:
        """Take back what the image shows: the memory is as if no data segment had been copied yet.

        Raises:
            ResourceLimit: the kernel refuses.
        """
        if self.shows:
            self.region.conceal()
            self.shows = False
            self.image = None

    def commit(self, size):
        """Make the first ``size`` bytes usable. 1 if the store's quota, the kernel or the allocator refuses."""
        region: Region = self.region
        more: uint64_t = size - self.d.bytes
        done: cython.bint = False
        if not self.store.memory_quota.claim(more):
            return 1
        if not self.store.quota.claim(more):
            self.store.memory_quota.give_back(more)
            return 1
        try:
            # An embedder's may run anything: where the memory has grown meanwhile, ``size`` would shrink it.
            done = region.commit(size) and self.region is region and self.d.bytes + more == size
        finally:
            if not done:
                self.take_less(more)
        if done:
            self.d.bytes = size
        return 0 if done else 1

    def take_less(self, count):
        """Give bytes back to the quotas of the store, which has lost them where the collector takes it apart."""
        give_back(self.store.memory_quota, count)
        give_back(self.store.quota, count)

    def inside(self, address, count):
        """Whether a range lies inside of the memory."""
        return count <= self.d.bytes and address <= self.d.bytes - count

    # ---- size ----

    @property
    def type(self) -> MemoryType:
        """Its type, with the present size as the minimum (what an importer is checked against)."""
        t: object = self.spec.declared
        limits: object = Limits(self.size_pages, t.limits.maximum, t.limits.is64, t.limits.shared)
        return MemoryType(limits, t.page_shift)

    @property
    def page_size(self) -> int:
        """Bytes of a page: 65,536, or 1."""
        one: object = 1
        return one << self.d.page_shift

    @property
    def plan(self) -> str:
        """``guard`` or ``bounded``."""
        return "guard" if self.d.plan == PLAN_GUARD else "bounded"

    @property
    def size_pages(self) -> int:
        """Size in pages."""
        return self.d.bytes >> self.d.page_shift

    @property
    def address(self) -> int:
        """Base address; for tests and tiers."""
        self.written = True
        return cython.cast(uint64_t, self.d.base)

    @property
    def definition(self) -> int:
        """Address of the MemDef."""
        self.written = True
        return cython.cast(uint64_t, self.d)

    @property
    def exports(self) -> int:
        """Living buffers."""
        return 0 if self.views is None else self.views.count

    @checks_keywords
    def grow(self, pages: object) -> int:
        """Grow; returns the old size in pages, or -1 if it cannot grow so far."""
        try:
            before: object = self.extend(pages)
        except BaseException as error:
            self.store.tell("memory.grow", error)
            raise
        self.store.deliver()
        return before

    def extend(self, delta: object) -> int:
        """``grow`` for guests: the old size in pages, or -1 if a limit, the limiter or the kernel says no."""
        if self.shared is not None:
            return self.extend_shared(delta)
        wanted: object = min(max(integer("pages", delta), -1), MOST)  # may run anything: nothing is looked at before
        self.store.check_entry()
        shift: uint32_t = self.d.page_shift
        old: object = self.d.bytes >> shift
        size: object = (old + wanted) << shift
        if wanted < 0 or size > self.d.max_bytes or not self.may_grow(size) or self.commit(size):
            self.store.check_access()  # what was asked may have closed it
            self.store.note(KIND_MEMORY_REFUSED, self.number, old, wanted)
            return -1
        self.store.note(KIND_MEMORY_GROWN, self.number, old, old + wanted)
        return old

    def extend_shared(self, delta: object) -> int:
        """``extend`` of what several stores share: whoever made it pays."""
        self.store.check_entry()
        old: object = self.shared.extend(delta)
        now: object = self.size_pages
        self.store.check_access()  # what was asked may have closed it
        if old < 0:
            self.store.note(KIND_MEMORY_REFUSED, self.number, now, min(max(delta, -1), MOST))
        else:
            self.store.note(KIND_MEMORY_GROWN, self.number, old, old + delta)
        return old

    def may_grow(self, size: int) -> bool:
        """Ask the limiter. It may run anything: where the memory has grown meanwhile, ``size`` would shrink it.

        Raises what the limiter raises, and Closed where it has closed the store.
        """
        limiter: object = self.store.template.limits.limiter
        now: object = self.d.bytes
        if limiter is None:
            return True
        allowed: cython.bint = limiter("memory", now, size)
        self.store.check_access()
        return allowed and self.d.bytes == now

    def where(self, address: int) -> str | None:
        """What a machine address means here; None if it lies outside the reservation."""
        base: object = cython.cast(uint64_t, self.d.base)
        if not base <= address < base + self.d.reserved:
            return None
        return f"at {address - base:#x}, the memory has {self.d.bytes:#x} bytes"

    # ---- without copies ----

    def all_of_it(self):
        """A view of the whole memory, made once for each size; also of a shared one, for callers in this package who
        look at nothing twice."""
        check(self)
        if self.whole is None or self.whole_bytes != self.d.bytes:
            # May run the collector: what is kept is as large as it is.
            made: object = memoryview(self if self.shared is None else lent(self))
            self.whole_bytes = len(made)
            self.whole = made
        return self.whole

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        check(self)
        self.no_views()
        self.written = True
        if self.views is None:
            self.views = Views.__new__(Views)
            self.views.region = self.region
        Py_DECREF(None)  # Cython has put it where the owner comes
        PyBuffer_FillInfo(buffer, self.views, self.d.base, self.d.bytes, 0, flags)
        self.views.count += 1

    def no_views(self):
        """BufferError where other threads use the memory at the same time."""
        if self.shared is not None:
            raise BufferError(NO_BUFFER)
        return 0

    def view(self, format: str = "B", address: object = 0, count: object = None) -> memoryview:
        """A writable view without a copy; a later growth leaves it at its old size.

        Args:
            format: what the items are, as in the ``struct`` module: ``"B"``, ``"i"``, ``"d"``, …
            address: where it begins.
            count: number of items; as many as there are where absent.

        Raises:
            Trap: the range is not inside the memory.
        """
        at: cython.Py_ssize_t
        if format == "B" and count is None and type(address) is int and address == 0:
            check(self)
            return memoryview(self)
        size: object = size_of_format(format)
        if size == 0:
            raise ValueError(f"items of no bytes: expected a format such as 'B' or 'i', got {format!r:.80}")
        if type(address) is not int:
            address = integer("address", address)
        if count is None:
            count = (len(self) - address) // size
        elif type(count) is not int:
            count = integer("count", count)
        at = self.place(address, clipped("count", count * size))
        self.no_views()
        part: object = self.all_of_it()[at : at + count * size]
        return part if format == "B" else cast(part, format)

    def __len__(self) -> int:
        return self.d.bytes

    def __getitem__(self, index: object) -> object:
        at: cython.Py_ssize_t
        if isinstance(index, slice):
            return slice_of(self, index)
        at = clipped("memory index", index)
        check(self)
        if at < 0 or cython.cast(uint64_t, at) >= self.d.bytes:
            raise no_index(self, index)
        return cython.cast(uint8_t, self.d.base[at])

    def __setitem__(self, index: object, value: object) -> None:
        at: cython.Py_ssize_t
        byte: cython.Py_ssize_t
        if isinstance(index, slice):
            part: object = slice_of(self, index)
            try:
                part[:] = value
            except ValueError:
                given: object = memoryview(value)
                raise ValueError(
                    f"a slice of {len(part)} bytes takes as many bytes, got {given.nbytes} in items of format "
                    f"{given.format!r}; Memory.write takes any buffer"
                ) from None
            return
        at = clipped("memory index", index)
        byte = clipped("a byte", value)
        check(self)
        if at < 0 or cython.cast(uint64_t, at) >= self.d.bytes:
            raise no_index(self, index)
        if byte < 0 or byte > 255:
            raise ValueError(f"{shown(integer('a byte', value))} is no byte: expected 0..255")
        self.written = True
        self.d.base[at] = byte

    # ---- copies ----

    def place(self, address, count):
        """The offset of ``count`` bytes; traps unless they are inside."""
        at: cython.Py_ssize_t = clipped("address", address)
        check(self)  # last: the address may have been an object that ran anything
        if count < 0 or at < 0 or not self.inside(at, count):
            raise self.out_of_bounds(address, count)
        return at

    def read(self, address: object, count: object) -> bytes:
        """Copy ``count`` bytes out.

        Raises:
            Trap: the range is not inside the memory.
        """
        size: cython.Py_ssize_t = clipped("count", count)
        at: cython.Py_ssize_t = self.place(address, size)
        return PyBytes_FromStringAndSize(self.d.base + at, size)

    def write(self, address: object, data: object) -> None:
        """Copy the bytes of any contiguous buffer in (bytes, array, NumPy array, …), all or nothing.

        Raises:
            Trap: the range is not inside the memory.
            TypeError: it is no buffer.
            BufferError: the buffer is not contiguous (NumPy says ValueError).
        """
        source: Py_buffer
        if not PyObject_CheckBuffer(data):
            encoded: str = "; text is written as text.encode()" if isinstance(data, str) else ""
            raise TypeError(f"expected bytes or another buffer, got {type(data).__name__}{encoded}")
        PyObject_GetBuffer(data, cython.address(source), PyBUF_SIMPLE)
        try:
            at: cython.Py_ssize_t = self.place(address, source.len)
            self.written = True
            memmove(self.d.base + at, source.buf, source.len)
            count: cython.Py_ssize_t = source.len
        finally:
            PyBuffer_Release(cython.address(source))
        channel: Channel = self.store.template.memory_written
        if channel is not None and channel.heard:
            channel.post(MemoryWritten(self.number, at, count), self.store.source)

    # ---- for guests and tiers ----

    def rest(self, address, size):
        """The place of an address, and how many bytes there are behind it."""
        at: cython.Py_ssize_t = self.place(address, 0)
        size[0] = self.d.bytes - cython.cast(uint64_t, at)
        return self.d.base + at

    def out_of_bounds(self, address: object, count: object) -> Trap:
        """The trap for a range that is not inside."""
        at: object = integer("address", address)
        where: str = f"{at:#x}" if abs(at) >> 64 == 0 else shown(at)
        detail: str = f"{count} bytes at {where}, the memory has {self.d.bytes:#x}"
        return Trap("memory_out_of_bounds", detail=detail)

    def put(self, address: int, data: bytes) -> None:
        """``write`` on behalf of a guest, which is no event."""
        source: bytes = data
        count: cython.Py_ssize_t = len(source)
        at: cython.Py_ssize_t = self.place(address, count)
        self.written = True
        memcpy(self.d.base + at, cython.cast(cython.p_char, source), count)

    def poll(self) -> None:
        """For host functions that wait: raise what is pending for the running call, such as its deadline."""
        self.store.poll()

    def __reduce__(self):
        raise TypeError("a memory of a store cannot be pickled")

    def __repr__(self) -> str:
        if self.store is None:
            return "<Memory that was never initialised>"
        declared: object = self.spec.declared
        maximum: object = declared.limits.maximum
        kind: str = ("" if declared.page_shift else " of 1 byte") + (", 64-bit" if declared.limits.is64 else "")
        what: str = "Memory" if self.shared is None else "shared Memory"
        return f"<{what} {self.size_pages}..{'' if maximum is None else maximum} pages{kind}>"


@cython.auto_pickle(False)
@cython.cclass
class Views:
    """Whose buffers a memory hands out: they keep the address space, and not the memory, which keeps one of them."""

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        raise BufferError("a memory hands out buffers, not what counts them")

    def __releasebuffer__(self, buffer: cython.pointer(Py_buffer)):
        self.count -= 1


@cython.auto_pickle(False)
@cython.cclass
class Lent:
    """What a view of a shared memory is made of."""

    shared: object
    base: cython.p_char
    size: uint64_t

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        Py_DECREF(None)  # Cython has put it where the owner comes
        PyBuffer_FillInfo(buffer, self, self.base, self.size, 0, flags)


def lent(memory):
    """The bytes that a shared memory has now, for callers in this package who look at nothing twice; its address space
    stays as long as a view."""
    made: Lent = Lent.__new__(Lent)
    made.shared = memory.shared
    made.base = memory.d.base
    made.size = memory.d.bytes
    return made


def size_of_format(format):
    """Bytes of a C structure; struct.error, with the format in it, where that is none."""
    try:
        return struct.calcsize(format)
    except (struct.error, UnicodeEncodeError) as error:
        raise struct.error(
            f"expected a format of the struct module such as '<IHH', got {format!r:.60}: {error}"
        ) from None


@cython.cfunc
def cast(part: object, format: str) -> object:
    """A view of other items; views have no structures."""
    try:
        return part.cast(format)
    except ValueError:
        raise ValueError(
            f"a view has items of one native type such as 'B', 'i' or 'd', got {format!r:.80}; Memory.unpack takes any"
        ) from None


@cython.cfunc
def slice_of(memory: Memory, index: object) -> object:
    """A part of it, whose bounds may run anything."""
    memory.no_views()
    found: object = memory.all_of_it()[index]
    check(memory)
    return found


@cython.cfunc
def no_index(memory: Memory, index: object) -> object:
    """What an index outside raises."""
    there: str = f"out of range 0..{len(memory) - 1}" if len(memory) else "of a memory without a page"
    return IndexError(f"memory index {shown(integer('memory index', index))} {there}")


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def clipped(name: str, value: object) -> cython.Py_ssize_t:
    """An integer, the nearest that is a machine word: no memory has bytes beyond."""
    number: cython.longlong = 0
    if PyLong_CheckExact(value) and not int_value(cython.cast(cython.pointer(PyObject), value), cython.address(number)):
        return number
    return nearest(integer(name, value))


def clip(name, value):
    """``clipped`` for others."""
    return clipped(name, value)


@cython.cfunc
@cython.exceptval(-1, check=True)
def nearest(value: object) -> cython.Py_ssize_t:
    """What is left to ``clipped``: an int that was made for it, or a large one."""
    number: cython.longlong = 0
    if int_value(cython.cast(cython.pointer(PyObject), value), cython.address(number)):
        return FARTHEST if value > 0 else -FARTHEST
    return number


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def check(memory: Memory) -> cython.int:
    """Raise unless this thread may touch the memory."""
    if is_closed(memory.store):
        raise no_access(memory)
    if memory.store.exec.occupant != 0 or memory.store.bound_to != 0:
        memory.store.check_entry()
    return 0


@cython.cfunc
def no_access(memory: Memory) -> object:
    """What there is to say where there is no store, or no open one."""
    return Closed("the memory was never initialised" if memory.store is None else "the store of this memory is closed")
