# cython: binding=True, embedsignature=False
# strata: hot
"""Linear memories that several stores, and their threads, use at once.

A shared memory belongs to an engine. Each store that has it has a ``Memory`` of its own, whose definition is the one
here: the base never moves, the size only grows, and is published with one store once its pages are usable. So nobody
who looked at the size needs a lock. What changes it runs under the GIL.
"""

import cython
from cython.cimports.cpython.buffer import PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memmove
from cython.cimports.stratavm.contract._gen_layout import PLAN_BOUNDED, PLAN_GUARD
from cython.cimports.stratavm.runtime.atomics import (
    CHANGE_ADD,
    CHANGE_AND,
    CHANGE_COMPARE,
    CHANGE_EXCHANGE,
    CHANGE_LOAD,
    CHANGE_OR,
    CHANGE_STORE,
    CHANGE_SUB,
    CHANGE_XOR,
    change_atomically,
)
from cython.cimports.stratavm.runtime.memory import (
    GUARD_BYTES,
    Copying,
    Memory,
    MemorySpec,
    clip,
    most_pages,
    too_large,
)
from cython.cimports.stratavm.runtime.native import load_32, load_64, now_ns, store_64
from cython.cimports.stratavm.runtime.occupancy import is_closed
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.region import HOST_PAGE, Region
from cython.cimports.stratavm.runtime.slots import SlotAllocator
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.waits import notify, wait_in_python

from stratavm.base.errors import AllocatorFault, Closed, LinkError, ResourceLimit, Trap
from stratavm.base.keywords import unexpected
from stratavm.base.numbers import integer, seconds_or_none, shown, truth, whole
from stratavm.runtime.allocator import checked
from stratavm.runtime.introspect import Signed, constructor
from stratavm.runtime.limits import name_the_limit
from stratavm.runtime.memory import MOST, NO_BUFFER, PAGE_SHIFTS
from stratavm.spec.types import Limits, MemoryType

MOST_WAITERS = 10_000
WAIT_RESULTS = ("ok", "not-equal", "timed-out")
engine_of = None
WIDTHS = (1, 2, 4, 8)
FARTHEST = cython.declare(cython.Py_ssize_t, 0x7FFFFFFFFFFFFFFF)  # what ``clip`` makes of what is no machine word


def engines_are_found_by(function: object) -> None:
    """The room of engines is above: it says how to find the one that somebody gives, or does not give."""
    global engine_of
    engine_of = function


@cython.no_gc_clear  # what it gives back goes to the quotas
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class SharedMemory(Copying):
    """A linear memory of an engine that any stores of it may import, and any threads use, at the same time.

    ``load``, ``store``, ``add`` and so on are atomic, for Python and for guests. ``read`` and ``write`` copy, and see
    other threads' writes in no order. There is no view without a copy: what works on one, such as a decoder, may look
    twice, and trusts that nothing has changed.

    Args:
        engine: the engine; a shared default where it is None.
        minimum: pages at first.
        maximum: pages that it may grow to. Their address space is reserved at once.
        page_size: bytes of a page: 65,536, or 1.
        is64: guests address it with i64.
        waiters: threads and asynchronous calls that may wait at it at a time; one more gets ``ResourceLimit``.

    Raises:
        ResourceLimit: it is larger than ``Config.max_memory_bytes``, or the kernel has no more.
        Closed: the engine is closed.
    """

    __signature__ = Signed("SharedMemory")

    def __init__(
        self,
        engine: object = None,
        minimum: object = None,
        maximum: object = None,
        *,
        page_size: object = 1 << 16,
        is64: object = False,
        waiters: object = MOST_WAITERS,
        **unknown: object,
    ):
        if unknown:
            raise unexpected("SharedMemory()", unknown, constructor("SharedMemory").parameters)
        template: object = engine_of(engine).template
        if template is None:
            raise Closed("the engine is closed")
        page_size = whole("page_size", page_size)
        shift: object = PAGE_SHIFTS.get(page_size)
        if shift is None:
            raise ValueError(f"page_size: a page has 65536 bytes or 1, got {shown(page_size)}")
        reach: object = most_pages(shift, truth("is64", is64))
        if minimum is None or maximum is None:
            raise TypeError(
                "SharedMemory() takes an engine (or None), a minimum and a maximum, which a shared memory needs: its "
                "address space is reserved at once"
            )
        least: object = whole("minimum", minimum, most=reach, unit="pages")
        most: object = whole("maximum", maximum, least, reach, "pages")
        type: object = MemoryType(Limits(least, most, is64, True), shift)
        count: uint32_t = whole("waiters", waiters, most=MOST_WAITERS)
        self.begin(template, MemorySpec(type, template.memory_plan), None, count)

    def begin(self, template, spec, maker, waiters):
        """Become a memory. ResourceLimit where limits, or the kernel, do not allow it."""
        if self.template is not None:
            raise TypeError("a memory is initialised once")
        shift: uint32_t = spec.shift
        top: uint64_t = min(spec.maximum, template.memory_bytes >> shift)
        if spec.minimum > top:
            raise too_large(spec.minimum, shift, template.memory_bytes)
        self.template = template
        self.spec = spec
        self.own.most_waiters = waiters
        if maker is not None:
            self.quota = maker.quota
            self.memory_quota = maker.memory_quota
        self.own.d.page_shift = shift
        self.own.d.plan = spec.plan
        self.own.d.flags = spec.flags
        self.own.d.max_bytes = top << shift
        self.own.d.memory = cython.cast(cython.p_void, self)
        return self.reserve(spec.minimum << shift)

    def reserve(self, size):
        """Get the address space, and the first pages."""
        wanted: uint64_t = (self.own.d.max_bytes + HOST_PAGE) & ~(HOST_PAGE - 1)
        guard: cython.bint = self.own.d.plan == PLAN_GUARD
        allocator: object = self.template.allocator
        region: Region
        if guard:
            wanted = GUARD_BYTES
        if isinstance(allocator, SlotAllocator):
            region = cython.cast(SlotAllocator, allocator).allocate(wanted, size, guard, 0)
        else:
            region = checked(allocator.allocate(wanted, size, guard, 0), wanted)
        region.take()
        if region.reserved < GUARD_BYTES and guard:
            raise AllocatorFault(f"code relies on {GUARD_BYTES} bytes of guarded address space")
        self.region = region
        self.own.d.base = region.base
        self.own.d.reserved = region.reserved
        self.own.d.max_bytes = min(self.own.d.max_bytes, region.most)
        if size > self.own.d.max_bytes or self.commit(size):
            if self.quota is not None:
                self.quota.check(size, "a shared memory")
                self.memory_quota.check(size, "a shared memory")
            raise ResourceLimit("the kernel gives no memory for a new shared memory", limit=name_the_limit())
        return 0

    def __dealloc__(self):
        self.take_less(self.own.d.bytes)

    def commit(self, size):
        """Make the first ``size`` bytes usable, and then known. 1 if a quota, the kernel or the allocator refuses."""
        more: uint64_t = size - self.own.d.bytes
        done: cython.bint = False
        if self.memory_quota is not None and not self.memory_quota.claim(more):
            return 1
        if self.quota is not None and not self.quota.claim(more):
            self.memory_quota.give_back(more)
            return 1
        try:
            # An embedder's may run anything: where the memory has grown meanwhile, ``size`` would shrink it.
            done = self.region.commit(size) and self.own.d.bytes + more == size
        finally:
            if not done:
                self.take_less(more)
        if done:
            store_64(cython.address(self.own.d.bytes), size)
        return 0 if done else 1

    def take_less(self, count):
        """Give bytes back to whoever pays."""
        give_back(self.memory_quota, count)
        give_back(self.quota, count)

    def view_in(self, store):
        """The Memory by which a store of its engine has it."""
        if self.template is None:
            raise Closed("the memory was never initialised")
        if store.template is None or store.template.runtime is not self.template.runtime:
            raise LinkError("a shared memory is for the stores of its engine")
        memory: Memory = Memory.__new__(Memory)
        memory.attach(store, self.spec, self, cython.address(self.own.d))
        return memory

    # ---- size ----

    @property
    def runtime(self) -> object:
        """What the stores that may have it have in common."""
        return self.template.runtime

    @property
    def type(self) -> MemoryType:
        """Its type, with the present size as the minimum (what an importer is checked against)."""
        limits: object = self.spec.declared.limits
        return MemoryType(Limits(self.size_pages, limits.maximum, limits.is64, True), self.spec.shift)

    @property
    def plan(self) -> str:
        """``guard`` or ``bounded``."""
        return "bounded" if self.own.d.plan == PLAN_BOUNDED else "guard"

    @property
    def page_size(self) -> int:
        """Bytes of a page: 65,536, or 1."""
        one: object = 1
        return one << self.own.d.page_shift

    @property
    def size_pages(self) -> int:
        """Size in pages. It may have grown by the time that you look at it."""
        return load_64(cython.address(self.own.d.bytes)) >> self.own.d.page_shift

    @property
    def waiters(self) -> int:
        """Threads and asynchronous calls that wait at it now."""
        return load_32(cython.address(self.own.waiters))

    def __len__(self) -> int:
        return load_64(cython.address(self.own.d.bytes))

    def grow(self, pages: object) -> int:
        """Grow; returns the old size in pages, or -1 if it cannot grow so far."""
        return self.extend(pages)

    def extend(self, delta: object) -> int:
        """``grow`` for guests, of whatever store: the limits of whoever made it decide."""
        wanted: object = min(max(integer("pages", delta), -1), MOST)  # may run anything: nothing is looked at before
        if self.region is None:
            raise Closed("the memory was never initialised")
        shift: uint32_t = self.own.d.page_shift
        while wanted >= 0:
            now: object = self.own.d.bytes
            size: object = now + (wanted << shift)
            if size > self.own.d.max_bytes or not self.may_grow(now, size):
                return -1
            if self.own.d.bytes == now:  # else others have grown it, while the limiter was asked
                if not self.commit(size):
                    return now >> shift
                if self.own.d.bytes == now:
                    return -1
        return -1

    def may_grow(self, now: int, size: int) -> bool:
        """Ask the limiter."""
        limiter: object = self.template.limits.limiter
        return limiter is None or bool(limiter("memory", now, size))

    # ---- bytes ----

    def place(self, address, count):
        """The offset of ``count`` bytes; traps unless they are inside."""
        at: cython.Py_ssize_t = clip("address", address)
        size: uint64_t = load_64(cython.address(self.own.d.bytes))
        if self.region is None:
            raise Closed("the memory was never initialised")
        if (
            count < 0
            or at < 0
            or cython.cast(uint64_t, count) > size
            or cython.cast(uint64_t, at) > size - cython.cast(uint64_t, count)
        ):
            where: str = f"{shown(integer('address', address))}"
            raise Trap("memory_out_of_bounds", detail=f"{count} bytes at {where}, the memory has {size:#x}")
        return at

    def atom(self, address, width):
        """Where so many bytes lie that are accessed as one."""
        size: cython.Py_ssize_t = width
        at: cython.Py_ssize_t = clip("address", address)
        if at % size and -FARTHEST < at < FARTHEST:
            raise Trap("unaligned_atomic", detail=f"{size} bytes at {shown(integer('address', address))}")
        return self.own.d.base + self.place(at, size)

    def change(self, change, address, value, expected, width):
        """One atomic access; what was there."""
        size: uint32_t = width_of(width, 1)
        at: cython.p_void = self.atom(address, size)
        new: uint64_t = word("value", value, size)
        wanted: uint64_t = word("expected", expected, size)
        return change_atomically(change, size, at, new, wanted)

    def rest(self, address, size):
        """The place of an address, and how many bytes there are behind it at least: it only grows."""
        at: cython.Py_ssize_t = self.place(address, 0)
        size[0] = load_64(cython.address(self.own.d.bytes)) - cython.cast(uint64_t, at)
        return self.own.d.base + at

    def load(self, address: object, width: object = 4) -> int:
        """The unsigned number of ``width`` bytes (1, 2, 4 or 8) at an address that is a multiple of it.

        Raises:
            Trap: the address is none, or not inside the memory.
        """
        return self.change(CHANGE_LOAD, address, 0, 0, width)

    def store(self, address: object, value: object, width: object = 4) -> None:
        """Store a number, signed or not. Raises as ``load`` does, and ValueError where it has too many bits."""
        self.change(CHANGE_STORE, address, value, 0, width)

    def add(self, address: object, value: object, width: object = 4) -> int:
        """Add to a number, which wraps around; returns the one before."""
        return self.change(CHANGE_ADD, address, value, 0, width)

    def sub(self, address: object, value: object, width: object = 4) -> int:
        """Subtract from a number, which wraps around; returns the one before."""
        return self.change(CHANGE_SUB, address, value, 0, width)

    def and_(self, address: object, value: object, width: object = 4) -> int:
        """Keep the bits of a number that ``value`` has, too; returns the one before."""
        return self.change(CHANGE_AND, address, value, 0, width)

    def or_(self, address: object, value: object, width: object = 4) -> int:
        """Set the bits of ``value`` in a number; returns the one before."""
        return self.change(CHANGE_OR, address, value, 0, width)

    def xor(self, address: object, value: object, width: object = 4) -> int:
        """Flip the bits of ``value`` in a number; returns the one before."""
        return self.change(CHANGE_XOR, address, value, 0, width)

    def exchange(self, address: object, value: object, width: object = 4) -> int:
        """Put ``value`` in the place of a number; returns the one before."""
        return self.change(CHANGE_EXCHANGE, address, value, 0, width)

    def compare_exchange(self, address: object, expected: object, value: object, width: object = 4) -> int:
        """Put ``value`` in the place of a number that is ``expected``; returns the one before, whatever it was."""
        return self.change(CHANGE_COMPARE, address, value, expected, width)

    def wait(self, address: object, expected: object, timeout: object = None, width: object = 4) -> str:
        """Wait until somebody notifies the address, if the number there is ``expected``.

        ``store.interrupt()`` and the deadline of a call whose host function waits end it; so do handlers of signals.

        Args:
            timeout: seconds to wait at most; None: without end.
            width: 4 or 8 bytes.

        Returns:
            ``ok``: notified; ``not-equal``: the number is another one; ``timed-out``.

        Raises:
            Trap: the address is no multiple of the width, or not inside the memory.
            ResourceLimit: too many wait already.
        """
        limit: object = seconds_or_none("timeout", timeout)
        size: uint32_t = width_of(width, 4)
        at: cython.p_char = cython.cast(cython.p_char, self.atom(address, size))
        until_ns: uint64_t = 0
        if limit is not None:
            until_ns = now_ns() + cython.cast(uint64_t, limit * 1e9)
        return WAIT_RESULTS[
            wait_in_python(cython.address(self.own), at, size, word("expected", expected, size), until_ns)
        ]

    def notify(self, address: object, count: object = None) -> int:
        """Wake who has waited longest at an address, ``count`` of them at most, or all; returns how many.

        Raises:
            Trap: the address is no multiple of 4, or not inside the memory.
        """
        most: uint64_t = MOST_WAITERS if count is None else min(whole("count", count), MOST_WAITERS)
        return notify(cython.cast(cython.p_char, self.atom(address, 4)), most)

    def __getitem__(self, address: object) -> int:
        if isinstance(address, slice):
            raise TypeError(NO_BUFFER)
        return self.change(CHANGE_LOAD, address, 0, 0, 1)

    def __setitem__(self, address: object, value: object) -> None:
        if isinstance(address, slice):
            raise TypeError(NO_BUFFER)
        self.change(CHANGE_STORE, address, value, 0, 1)

    def __iter__(self):
        raise TypeError(NO_BUFFER)

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        raise BufferError(NO_BUFFER)

    def view(self, *arguments: object, **options: object):
        """What a ``Memory`` has, and a shared one does not: raises BufferError."""
        raise BufferError(NO_BUFFER)

    def read(self, address: object, count: object) -> bytes:
        """Copy ``count`` bytes out.

        Raises:
            Trap: the range is not inside the memory.
        """
        size: cython.Py_ssize_t = clip("count", count)
        at: cython.Py_ssize_t = self.place(address, size)
        return PyBytes_FromStringAndSize(self.own.d.base + at, size)

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
            memmove(self.own.d.base + at, source.buf, source.len)
        finally:
            PyBuffer_Release(cython.address(source))

    def __reduce__(self):
        raise TypeError("a shared memory cannot be pickled: it is shared by threads, not by processes")

    def __repr__(self) -> str:
        if self.region is None:
            return "<SharedMemory that was never initialised>"
        declared: object = self.spec.declared
        kind: str = ("" if declared.page_shift else " of 1 byte") + (", 64-bit" if declared.limits.is64 else "")
        return f"<SharedMemory {self.size_pages}..{declared.limits.maximum} pages{kind}>"


@cython.cfunc
@cython.exceptval(0, check=False)
def width_of(width: object, least: uint32_t) -> uint32_t:
    """A number of bytes that are accessed as one: as a native number, for one that is an object may say this and
    that."""
    number: object = integer("width", width)
    if number not in WIDTHS or number < least:
        raise ValueError(f"width must be {'1, 2, ' if least == 1 else ''}4 or 8 bytes, got {shown(number)}")
    return number


@cython.cfunc
@cython.exceptval(-1, check=True)
def word(name: str, value: object, width: uint32_t) -> uint64_t:
    """A number of so many bytes, signed or not, as their bits."""
    number: object = integer(name, value)
    one: object = 1
    bits: object = 8 * width
    if not -(one << (bits - 1)) <= number < one << bits:
        raise ValueError(f"{name} must have at most {bits} bits, got {shown(number)}")
    return number & ((one << bits) - 1)


def define(maker: Store, spec: MemorySpec) -> Memory:
    """A shared memory that a module defines, as its first store has it: that pays for it."""
    return made_of(maker, spec).view_in(maker)


def made_for(store: Store, type: MemoryType) -> SharedMemory:
    """A shared memory of a type that a store pays for, whose limits hold."""
    return made_of(store, MemorySpec(type, store.template.memory_plan))


@cython.cfunc
def made_of(store: Store, spec: MemorySpec) -> SharedMemory:
    """``made_for``, of what memories of a type have in common."""
    if is_closed(store):
        raise store.why_closed()
    shared: SharedMemory = SharedMemory.__new__(SharedMemory)
    shared.begin(store.template, spec, store, MOST_WAITERS)
    return shared
