"""Claims about the port for guest memory: replaced by one registration, and believed nothing."""

import ctypes
import gc
import mmap
import sys

import pytest

import stratavm
from stratavm import AllocatorFault, Linker, Module, ResourceLimit, Store
from stratavm.runtime.allocator import MappedMemories, MemoryAllocator, check_mappings
from stratavm.runtime.region import Region
from stratavm.testing import ModuleBuilder

PAGE = 1 << 16
GUEST = (
    ModuleBuilder()
    .memory(1, 4, data=b"initial")
    .func("peek", "i32 -> i32", "local.get 0 i32.load8_u")
    .func("grow", "i32 -> i32", "local.get 0 memory.grow")
    .build()
)
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
NONE, READ, WRITE = 0, mmap.PROT_READ, mmap.PROT_WRITE
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000


def reserve(size, rights=NONE, flags=PRIVATE):
    """Fresh address space."""
    return libc.mmap(None, size, rights, flags, -1, 0)


class Own:
    """An allocation as an embedder would write it."""

    def __init__(self, reserved, budget=1 << 40):
        self.base, self.reserved, self.budget, self.released = reserve(reserved), reserved, budget, 0

    def commit(self, size):
        return size <= self.budget and libc.mprotect(self.base, size, READ | WRITE) == 0

    def release(self):
        self.released += 1
        libc.munmap(self.base, self.reserved)


class Allocator:
    """Gives what a test makes, and remembers it."""

    def __init__(self, make=Own):
        self.make, self.asked, self.given = make, [], []

    def allocate(self, reserve, size, guard, image=0):
        self.asked.append((reserve, size, guard))
        self.given.append(self.make(reserve))
        return self.given[-1]


def instantiate(allocator, **options):
    """An instance whose memory the allocator gives."""
    engine = stratavm.Engine(services={MemoryAllocator: allocator}, **options)
    return Linker(engine).instantiate(Store(engine), Module(GUEST, engine=engine))


@pytest.mark.parametrize("plan", ["guard", "bounded"])
@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_one_registration_replaces_the_allocator(plan, tier):
    """Reads, growth up to what it gives, traps at the end; released once, when nobody uses it any more."""
    allocator = Allocator(lambda reserved: Own(reserved, 3 * PAGE))
    instance = instantiate(allocator, memory_plan=plan, tier=tier)
    exports = instance.exports
    assert allocator.asked == [((8 << 30) + PAGE if plan == "guard" else 4 * PAGE + 4096, PAGE, plan == "guard")]
    assert exports.memory.address == allocator.given[0].base
    assert exports.peek(2) == ord("i") and exports.grow(2) == 1 and exports.grow(1) == -1
    assert exports.peek(3 * PAGE - 1) == 0
    with pytest.raises(stratavm.Trap):
        exports.peek(3 * PAGE)
    view = exports.memory.view()
    instance.store.close()
    del exports, instance
    gc.collect()
    assert allocator.given[0].released == 0 and bytes(view[:7]) == b"initial"
    del view
    gc.collect()
    assert allocator.given[0].released == 1


def misaligned(reserved):
    own = Own(reserved + 4096)
    own.base += 8
    return own


def too_small(reserved):
    own = Own(reserved)
    own.reserved -= 4096
    return own


def unmapped(reserved):
    own = Own(reserved)
    libc.munmap(own.base + reserved - 4096, 4096)
    return own


def readable(reserved):
    own = Own(reserved)
    libc.mprotect(own.base + (1 << 20), 4096, READ)
    return own


def shared(reserved):
    own = Own(reserved)
    own.base = reserve(reserved, NONE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x4000)
    return own


class Dirty(Own):
    """Gives pages that are not zero."""

    def commit(self, size):
        done = super().commit(size)
        ctypes.memset(self.base + size - 1, 1, 1)
        return done


class Generous(Own):
    """Commits more than was asked for."""

    def commit(self, size):
        return super().commit(size + 4096)


class Lying(Own):
    """Commits nothing and says that it did."""

    def commit(self, size):
        return True


class Late(Own):
    """Keeps the contract at first."""

    def commit(self, size):
        return super().commit(size + 4096 * (size > PAGE))


class NoNumber(Own):
    """Its base is text."""

    def __init__(self, reserved):
        super().__init__(reserved)
        self.base = "0x1000"


@pytest.mark.parametrize(
    "make", [misaligned, too_small, unmapped, readable, shared, Dirty, Generous, Lying, NoNumber, lambda r: Same.of(r)]
)
def test_an_allocation_that_would_not_keep_guests_inside_is_refused(make):
    """Alignment, size, guards, privacy, zeros, exclusiveness: before any guest runs."""
    Same.one = None
    allocator = Allocator(make)
    with pytest.raises(AllocatorFault):
        first = instantiate(allocator)
        instantiate(allocator)
        raise AssertionError(f"{first} was given a memory")


class Same(Own):
    """The same address space for everybody."""

    one = None

    @classmethod
    def of(cls, reserved):
        """The one."""
        cls.one = cls.one or cls(reserved)
        return cls.one


def test_a_breach_at_growth_ends_the_call():
    """The guest goes no further."""
    exports = instantiate(Allocator(Late)).exports
    with pytest.raises(AllocatorFault, match="mapped rw-p"):
        exports.grow(1)


def test_what_an_allocator_raises_comes_out():
    """At instantiation, and at growth out of the guest's call."""

    class Broke(Own):
        def commit(self, size):
            if size > PAGE:
                raise ZeroDivisionError
            return super().commit(size)

    exports = instantiate(Allocator(Broke)).exports
    with pytest.raises(ZeroDivisionError):
        exports.grow(1)
    assert len(exports.memory) == PAGE

    def refuse(reserved):
        raise ResourceLimit("no more", limit="mine")

    with pytest.raises(ResourceLimit, match="no more"):
        instantiate(Allocator(refuse))


def test_a_release_that_raises_is_printed_and_nothing_else(monkeypatch):
    """Deallocation raises nowhere."""

    class Bad(Own):
        def release(self):
            super().release()
            raise ZeroDivisionError

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: seen.append(unraisable.exc_type))
    instantiate(Allocator(Bad)).store.close()
    gc.collect()
    assert seen == [ZeroDivisionError]


def test_a_region_serves_one_memory():
    """Also one of ours, given twice."""
    region = Region((8 << 30) + PAGE)
    allocator = Allocator(lambda reserved: region)
    instance = instantiate(allocator)
    assert instance.exports.memory.read(0, 7) == b"initial"
    with pytest.raises(ValueError, match="one region"):
        instantiate(allocator)
    for again in (lambda: region.__init__(4096), region.take):
        with pytest.raises((TypeError, ValueError)):
            again()
    small = Region(PAGE)
    with pytest.raises(AllocatorFault, match="guarded"):
        instantiate(Allocator(lambda reserved: small))


def test_the_list_of_mappings_is_compared_exactly():
    """Also where nothing is mapped at all."""
    size = 16 * 4096
    base = reserve(size)
    check_mappings(base, size, 0)
    libc.mprotect(base, 8192, READ | WRITE)
    check_mappings(base, size, 8192)
    for committed in (0, 4096, 12288):
        with pytest.raises(AllocatorFault):
            check_mappings(base, size, committed)
    libc.munmap(base, size)
    with pytest.raises(AllocatorFault, match="not mapped"):
        check_mappings(base, size, 0)


def test_the_usual_allocator_maps_each_memory():
    """What an engine has where nobody says otherwise."""
    assert isinstance(stratavm.Engine().services.get(MemoryAllocator), MappedMemories)
    assert stratavm.load(GUEST).exports.memory.region.reserved == (8 << 30) + PAGE


def test_pages_of_a_snapshot_are_copied_into_its_memories():
    """They are not ours to map over."""
    engine = stratavm.Engine(services={MemoryAllocator: Allocator()})
    module = stratavm.Module('(module (memory (export "m") 2 3))', engine)
    instance = stratavm.Linker(engine).instantiate(stratavm.Store(engine), module)
    instance.exports.m.write(70000, b"kept")
    snapshot = instance.snapshot()
    for _ in range(2):
        clone = snapshot.instantiate(stratavm.Store(engine))
        assert clone.exports.m.read(69999, 6) == b"\0kept\0"
        clone.exports.m.write(70000, b"x")
        assert clone.snapshot().instantiate(stratavm.Store(engine)).exports.m.read(70000, 4) == b"xept"
