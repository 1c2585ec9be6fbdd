"""Linear memories: address space reserved once, so that the base never moves; growth changes protections only."""

# strata: hot
# Plans: *guard* reserves 8 GiB + 64 KiB, so that no 32-bit base plus 32-bit offset leaves the reservation and
# the MMU checks bounds; *bounded* reserves the maximum, and compiled code compares with MemDef.bytes.
import cython
from cython.cimports.cpython.buffer import PyBuffer_FillInfo
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.contract._gen_layout import PLAN_BOUNDED, PLAN_GUARD
from cython.cimports.stratavm.runtime.kinds import KIND_MEMORY_CREATED, KIND_MEMORY_GROWN, KIND_MEMORY_REFUSED
from cython.cimports.stratavm.runtime.occupancy import is_closed, was_entered
from cython.cimports.stratavm.runtime.pool import Pool
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.region import HOST_PAGE, Region
from cython.cimports.stratavm.runtime.store import Store

from stratavm.base.errors import AllocatorFault, ResourceLimit, Trap
from stratavm.base.words import amount
from stratavm.runtime.allocator import checked
from stratavm.runtime.limits import GUARD_RESERVATION, name_the_limit, plain
from stratavm.spec.types import Limits, MemoryType

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

GUARD_BYTES = cython.declare(uint64_t, GUARD_RESERVATION)
NOWHERE = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
MOST = 1 << 62  # pages or more that nobody ever gets
PLANS = {"guard": PLAN_GUARD, "bounded": PLAN_BOUNDED}


def plan_of(type: MemoryType, wanted: str) -> str:
    """The plan a memory gets: guard needs 32-bit addresses and pages of 64 KiB."""
    if wanted not in PLANS:
        raise ValueError(f"memory plan {wanted!r}: expected guard or bounded")
    return wanted if not type.limits.is64 and type.page_shift == 16 else "bounded"


@cython.cclass
class MemorySpec:
    """What all memories of a type under a plan have in common."""

    def __cinit__(self, type: object, plan: str):
        limits: object = type.limits
        one: object = 1
        address_bits: object = 64 if limits.is64 else 32
        pages: object = (one << address_bits) >> type.page_shift
        self.declared = type
        self.shift = type.page_shift
        self.plan = PLANS[plan_of(type, plan)]
        self.flags = (1 if limits.shared else 0) | (2 if limits.is64 else 0)
        self.minimum = min(limits.minimum, one << 63)
        self.bounded = limits.maximum is not None
        self.maximum = min(pages if limits.maximum is None else min(limits.maximum, pages), one << 63)


@cython.cfunc
def too_large(pages: object, shift: object, most: object) -> object:
    """The error for a memory that begins with more than it may have."""
    wanted: object = pages << shift
    unit: object = "pages" if shift else "bytes"
    return ResourceLimit(
        f"a memory of {pages:,} {unit} ({amount(wanted)}) is over the limit of {amount(most)}; "
        f"StoreLimits(memory_bytes=…), and Config(max_memory_bytes=…) where that is set, must be at least {wanted}",
        limit="memory_bytes",
        needed=wanted,
    )


@cython.no_gc_clear  # __dealloc__ uses the store; in the .pxd the directive has no effect
@cython.freelist(8)
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Memory:
    """A linear memory of a store. Supports the buffer protocol; growth leaves older views at their old size."""

    def __init__(self, store: Store, type: object, plan: str = "guard", image: object = None):
        self.begin(store, MemorySpec(type, plan), image)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def begin(self, store: Store, spec: MemorySpec, image: object) -> cython.int:
        """Become a memory of a store. ResourceLimit where its limits, or the kernel, do not allow it."""
        if self.store is not None:
            raise TypeError("a memory is initialised once")
        if is_closed(store):
            raise store.why_closed()
        shift: uint32_t = spec.shift
        top: uint64_t = min(spec.maximum, store.template.memory_bytes >> shift)
        if spec.minimum > top:
            raise too_large(spec.minimum, shift, store.template.memory_bytes)
        self.store = store
        self.spec = spec
        if spec.plan == PLAN_BOUNDED and not spec.bounded:
            top = max(spec.minimum, min(top, store.template.bounded_reservation >> shift))
        self.d.page_shift = shift
        self.d.plan = spec.plan
        self.d.flags = spec.flags
        self.d.max_bytes = top << shift
        self.d.memory = cython.cast(cython.p_void, self)
        store.count_memory()
        self.counted = True
        self.number = store.made_memories - 1
        self.reserve(spec.minimum << shift, image)
        store.note(KIND_MEMORY_CREATED, self.number, self.d.bytes >> shift, 0)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def reserve(self, size: uint64_t, image: object) -> cython.int:
        """Get the address space, and what it shows at first."""
        # One host page is the least, so that the base is always valid.
        wanted: uint64_t = (self.d.max_bytes + HOST_PAGE) & ~(HOST_PAGE - 1)
        guard: cython.bint = self.d.plan == PLAN_GUARD
        serial: uint64_t = 0 if image is None else image.serial
        if guard:
            wanted = GUARD_BYTES
        allocator: object = self.store.template.allocator
        region: Region
        if isinstance(allocator, Pool):
            region = cython.cast(Pool, allocator).allocate(wanted, size, guard, serial)
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
            raise ResourceLimit("the kernel gives no memory for a new linear memory", limit=name_the_limit())
        if image is not None:
            self.shows = region.show(image)
            if self.shows:
                for at, content in image.pieces:
                    self.write(at, content)
        return 0

    def __dealloc__(self):
        if self.counted:
            self.store.n_memories -= 1
            give_back(self.store.quota, self.d.bytes)
            self.judge()

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def let_go(self) -> cython.int:
        """The store is closed: give the address space back now, unless a view of it lives."""
        if self.exports == 0 and is_closed(self.store):
            give_back(self.store.quota, self.d.bytes)
            self.d.bytes = 0
            self.d.max_bytes = 0
            self.d.base = cython.NULL
            self.judge()
            self.region = None
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def judge(self) -> cython.void:
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

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def commit(self, size: uint64_t) -> cython.int:
        """Make the first ``size`` bytes usable. 1 if the store's quota, the kernel or the allocator refuses."""
        if not self.store.quota.claim(size - self.d.bytes):
            return 1
        if not self.region.commit(size):
            self.store.quota.give_back(size - self.d.bytes)
            return 1
        self.d.bytes = size
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def inside(self, address: uint64_t, count: uint64_t) -> cython.bint:
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
        return cython.cast(uint64_t, cython.address(self.d))

    def __len__(self) -> int:
        return self.d.bytes

    def grow(self, delta: int) -> int:
        """Grow by ``delta`` pages: the old size in pages, or -1 if a limit, the limiter or the kernel says no."""
        wanted: object = min(max(plain(delta), -1), MOST)  # may run anything: nothing is looked at before
        self.store.check_access()
        shift: uint32_t = self.d.page_shift
        old: object = self.d.bytes >> shift
        size: object = (old + wanted) << shift
        if wanted < 0 or size > self.d.max_bytes or not self.may_grow(size) or self.commit(size):
            self.store.note(KIND_MEMORY_REFUSED, self.number, old, wanted)
            return -1
        self.store.note(KIND_MEMORY_GROWN, self.number, old, old + wanted)
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

    # ---- access ----

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        self.store.check_access()
        self.written = True
        PyBuffer_FillInfo(buffer, self, self.d.base, self.d.bytes, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, buffer: cython.pointer(Py_buffer)):
        self.exports -= 1

    def view(self) -> memoryview:
        """All of it as it is now, writable, without a copy."""
        return memoryview(self)

    def out_of_bounds(self, address: object, count: object) -> Trap:
        """The trap for a range that is not inside."""
        detail: str = f"{count} bytes at {address:#x}, the memory has {self.d.bytes:#x}"
        return Trap("memory_out_of_bounds", detail=detail)

    def read(self, address: int, count: int) -> bytes:
        """Copy ``count`` bytes out; traps unless the range is inside."""
        if address < 0 or count < 0 or address + count > self.d.bytes:
            self.store.check_access()
            raise self.out_of_bounds(address, count)
        start: uint64_t = address
        size: uint64_t = count
        # Last, since the numbers may have been objects that ran anything.
        self.store.check_access()
        if not self.inside(start, size):
            raise self.out_of_bounds(address, count)
        return PyBytes_FromStringAndSize(self.d.base + start, size)

    def write(self, address: int, data: object) -> None:
        """Copy bytes in, all or nothing; traps unless the range is inside."""
        source: bytes = bytes(memoryview(data))  # a number is no data
        count: uint64_t = len(source)
        if address < 0 or address + count > self.d.bytes:
            self.store.check_access()
            raise self.out_of_bounds(address, count)
        start: uint64_t = address
        self.store.check_access()
        if not self.inside(start, count):
            raise self.out_of_bounds(address, count)
        self.written = True
        memcpy(self.d.base + start, cython.cast(cython.p_char, source), count)

    def load(self, address: int, width: int) -> int:
        """A little-endian unsigned integer of ``width`` bytes."""
        return int.from_bytes(self.read(address, width), "little")

    def __getitem__(self, index: int) -> int:
        at: uint64_t = index if 0 <= index < self.d.bytes else NOWHERE
        self.store.check_access()
        if at >= self.d.bytes:
            raise IndexError(f"memory index {index} out of range 0..{self.d.bytes}")
        return cython.cast(uint8_t, self.d.base[at])

    def __repr__(self) -> str:
        return f"<memory of {self.size_pages} pages, {self.plan}>"
