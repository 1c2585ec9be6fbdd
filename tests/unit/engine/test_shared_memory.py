"""Claims about memories that stores and threads share: what they are to Python, to linking, to limits."""

import array
import gc
import pickle
import sys
import weakref
from functools import partial

import pytest

import stratavm
from stratavm import (
    Closed,
    Engine,
    Linker,
    LinkError,
    MemorySlots,
    Module,
    ResourceLimit,
    SharedMemory,
    Store,
    StoreLimits,
    Trap,
    ValidationError,
)
from stratavm.module.features import DEFAULT
from stratavm.runtime.events import MemoryCreated, MemoryGrown, MemoryGrowthRefused
from tests.shared import TIERS, Threads, guest

OWN = """(module (memory (export "memory") 2 5 shared) (data (i32.const 3) "abc")
  (data $later "xyz")
  (func (export "late") (memory.init $later (i32.const 100) (i32.const 0) (i32.const 3)) (data.drop $later))
  (func (export "copy") (memory.copy (i32.const 200) (i32.const 3) (i32.const 3)))
  (func (export "fill") (memory.fill (i32.const 300) (i32.const 7) (i32.const 9)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""


@pytest.fixture(params=[(t, p) for t in TIERS for p in ("guard", "bounded")], ids="-".join)
def engine(request):
    """One of each tier under each plan."""
    return Engine(tier=request.param[0], memory_plan=request.param[1])


def test_two_stores_see_one_memory(engine):
    """Accesses, atomic ones and growth of one guest are there for the other, and for Python."""
    memory = SharedMemory(engine, 1, 100)
    one, other = guest(engine, memory), guest(engine, memory)
    assert one.exports.memory is memory and other.exports["memory"] is memory
    assert one.exports.add(8, 5) == 0 and other.exports.add(8, 6) == 5 and memory.load(8) == 11
    memory.store(16, -2)
    assert one.exports.load(16) == -2 and memory.read(16, 4) == b"\xfe\xff\xff\xff"
    assert other.exports.grow(2) == 1 and one.exports.size() == 3 == memory.size_pages and len(memory) == 3 << 16
    assert memory.grow(1) == 3
    other.exports.store((4 << 16) - 4, 77)
    assert one.exports.load((4 << 16) - 4) == 77
    for address in ((4 << 16) - 3, 4 << 16, -1):
        with pytest.raises(Trap) as caught:
            one.exports.load(address)
        assert caught.value.kind == "memory_out_of_bounds"
        if engine.config.memory_plan == "guard" or engine.config.tier == "oracle":  # a fault says where it was
            assert "the memory has 0x40000" in str(caught.value)
    assert one.exports.grow(97) == -1 and memory.grow(97) == -1 and memory.size_pages == 4
    assert repr(memory) == "<SharedMemory 4..100 pages>"


def test_a_module_may_define_one(engine):
    """Its segments are there; an export of it goes to another store, whose guests see the same."""
    module = Module(OWN, engine=engine)
    first = Linker(engine).instantiate(Store(engine), module)
    memory = first.exports.memory
    assert type(memory) is SharedMemory and memory.read(2, 5) == b"\0abc\0"
    first.exports.late()
    first.exports.copy()
    first.exports.fill()
    assert memory.read(99, 5) == b"\0xyz\0" and memory.read(200, 4) == b"abc\0"
    assert memory.read(299, 11) == b"\0" + b"\7" * 9 + b"\0"
    text = '(module (import "a" "memory" (memory 1 7 shared)) (data (i32.const 4) "B") (export "m" (memory 0)))'
    linker = Linker(engine)
    linker.define_instance("a", first)
    second = linker.instantiate(Store(engine), Module(text.replace(" 7", " 5"), engine=engine))
    assert second.exports.m is memory and memory.read(3, 3) == b"aBc", "active segments run for each instance"
    third = Linker(engine).instantiate(Store(engine), module)
    assert third.exports.memory is not memory and third.exports.memory.read(3, 3) == b"abc"


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ("(memory 1 100)", "expected memory 1 100, found memory 2 10 shared"),
        ("(memory 3 100 shared)", "expected memory 3 100 shared, found memory 2 10 shared"),
        ("(memory 1 9 shared)", "expected memory 1 9 shared, found memory 2 10 shared"),
        ("(memory i64 1 100 shared)", "expected memory i64 1 100 shared, found memory 2 10 shared"),
        ("(table 1 funcref)", "expected table 1 funcref, found a shared memory"),
        ("(func)", r"expected func \[\] -> \[\], found a shared memory"),
    ],
)
def test_imports_are_matched(wanted, what):
    """Shared to shared, within limits; the error says what there is."""
    engine = Engine()
    linker = Linker(engine)
    linker.define("m", "x", SharedMemory(engine, 2, 10))
    module = Module(f'(module (import "m" "x" {wanted}))', engine=engine)
    with pytest.raises(LinkError, match=what):
        linker.instantiate(Store(engine), module)


def test_it_is_of_its_engine():
    """Another one's stores refuse it by name, and a memory that is not shared does not do for one that is."""
    engine, other = Engine(), Engine()
    memory = SharedMemory(engine, 1, 10)
    module = Module('(module (import "m" "x" (memory 1 10 shared)))', engine=other)
    linker = Linker(other)
    linker.define("m", "x", memory)
    with pytest.raises(LinkError, match="belongs to another engine"):
        linker.instantiate(Store(other), module)
    store = Store(other)
    linker.define("m", "x", stratavm.Memory.new(store, 1, 10))
    with pytest.raises(LinkError, match="expected memory 1 10 shared, found memory 1 10"):
        linker.instantiate(store, module)


def test_plans_are_matched():
    """Code that leaves bounds to the MMU is not linked with a memory without guard pages."""
    engine = Engine(memory_plan="bounded")
    assert SharedMemory(engine, 1, 10).plan == "bounded" and SharedMemory(Engine(), 1, 10).plan == "guard"


def test_atomic_accesses_of_python():
    """In each width, with the number that was there as the result; they wrap around."""
    memory = SharedMemory(None, 1, 1)
    for width, most in ((1, 0xFF), (2, 0xFFFF), (4, (1 << 32) - 1), (8, (1 << 64) - 1)):
        at = 8 * width
        memory.store(at, -1, width)
        assert memory.load(at, width) == most == memory.add(at, 2, width)
        assert memory.sub(at, 3, width) == 1 and memory.load(at, width) == most - 1
        assert memory.and_(at, 0x0F, width) == most - 1 and memory.or_(at, 0x30, width) == 0x0E
        assert memory.xor(at, 0xFF, width) == 0x3E and memory.exchange(at, 5, width) == 0xC1
        assert memory.compare_exchange(at, 4, 9, width) == 5 and memory.load(at, width) == 5
        assert memory.compare_exchange(at, 5, most, width) == 5 and memory.load(at, width) == most
        assert memory.read(at - 1, 1) == memory.read(at + width, 1) == b"\0", "and nothing beside it"
        with pytest.raises(ValueError, match=f"value must have at most {8 * width} bits"):
            memory.store(at, most + 1, width)
        if width > 1:
            with pytest.raises(Trap) as caught:
                memory.load(at + 1, width)
            assert caught.value.kind == "unaligned_atomic"
    for address in (1 << 16, -4, 1 << 70, (1 << 16) - 4):
        with pytest.raises(Trap) as caught:
            memory.load(address, 8 if address == (1 << 16) - 4 else 4)
        assert caught.value.kind == ("unaligned_atomic" if address == (1 << 16) - 4 else "memory_out_of_bounds")
    with pytest.raises(ValueError, match="width must be 1, 2, 4 or 8 bytes, got 3"):
        memory.load(0, 3)
    memory[5] = 200
    assert memory[5] == 200
    for wrong in (1.5, "4", None, True):
        with pytest.raises(TypeError):
            memory.load(wrong)


def test_a_width_is_one_number():
    """Also where an object says another one each time, or is equal to all: bounds and access have the same."""

    class Odd(int):
        def __eq__(self, other):
            return True

        def __hash__(self):
            return 4

        def __index__(self):
            return 0

        __int__ = __index__

    memory = SharedMemory(None, 1, 1)
    for number in (0, 3, 16):
        with pytest.raises(ValueError, match="width must be"):
            memory.load(0, Odd(number))
        with pytest.raises(ValueError, match="width must be"):
            memory.wait(0, 0, 0, Odd(number))
    with pytest.raises(Trap):
        memory.load((1 << 16) - 4, Odd(8))
    with pytest.raises(TypeError, match="initialised once"):
        memory.__init__(None, 1, 1, waiters=0)
    assert memory.wait(0, 0, 0.001) == "timed-out", "and has room for waiters as before"


def test_copies():
    """Bytes, structures and text go in and out as with any memory."""
    memory = SharedMemory(None, 1, 2)
    memory.write(10, array.array("H", [1, 2]))
    memory.pack("<IH", 20, 7, 8)
    memory.write(40, b"text\0")
    assert memory.read(10, 4) == b"\1\0\2\0" and memory.unpack("<IH", 20) == (7, 8)
    assert memory.read_cstring(40) == "text" and memory.read((1 << 16) - 1, 1) == b"\0"
    memory.write((1 << 16) - 2, b"ab")
    for wrong in (
        lambda: memory.read((1 << 16) - 1, 2),
        lambda: memory.write(-1, b"a"),
        lambda: memory.read_cstring(40, 3),
        lambda: memory.read_cstring((1 << 16) - 2),
        lambda: memory.read(1 << 80, 1),
    ):
        with pytest.raises(Trap):
            wrong()
    with pytest.raises(TypeError, match="text is written as"):
        memory.write(0, "text")


def test_there_is_no_view_without_a_copy(engine):
    """What works on one trusts that nothing changes: refused wherever it could come from, with what to do instead."""
    memory = SharedMemory(engine, 1, 100)
    instance = guest(engine, memory)
    for wrong in (
        lambda: memoryview(memory),
        lambda: bytes(memory),
        lambda: memory.view("i", 4),
        lambda: memory[3:5],
        lambda: memory.__setitem__(slice(3), b"abc"),
        lambda: list(memory),
        lambda: memoryview(instance.memories[0]),
        lambda: instance.memories[0].view(),
        lambda: instance.memories[0].view("i", 4),
        lambda: instance.memories[0][1:2],
    ):
        with pytest.raises((BufferError, TypeError), match=r"read\(\) and write\(\) copy"):
            wrong()
    with pytest.raises(TypeError, match="cannot be pickled: it is shared by threads"):
        pickle.dumps(memory)


def test_what_it_is_made_of_is_checked():
    """Sizes are, as everywhere; it needs a maximum."""
    for wrong, what in (
        (lambda: SharedMemory(None, 2, 1), "maximum must be between 2 and 65536 pages, got 1"),
        (lambda: SharedMemory(None, -1, 1), "minimum must be between 0 and 65536 pages"),
        (lambda: SharedMemory(None, 1, 2, page_size=4096), "a page has 65536 bytes or 1"),
        (lambda: SharedMemory(None, 1, 2, waiters=-1), "waiters must be between"),
    ):
        with pytest.raises(ValueError, match=what):
            wrong()
    for wrong, what in (
        (lambda: SharedMemory(None, 1, None), "takes an engine .or None., a minimum and a maximum"),
        (lambda: SharedMemory(None, 1), "takes an engine .or None., a minimum and a maximum"),
        (lambda: SharedMemory(1, 2), "engine must be an Engine, got 1"),
        (lambda: SharedMemory(None, 1, max=3), "unexpected keyword argument 'max'; did you mean 'maximum'"),
        (lambda: SharedMemory(3, 1, 2), "engine must be an Engine"),
        (lambda: SharedMemory(None, 1.5, 2), "minimum must be a whole number"),
        (lambda: SharedMemory(None, 1, 2, is64=1), "is64 must be True or False"),
        (lambda: SharedMemory(None, 1, 2).__init__(None, 1, 2), "initialised once"),
    ):
        with pytest.raises(TypeError, match=what):
            wrong()
    small = SharedMemory(None, 5, 10, page_size=1)
    assert len(small) == 5 == small.size_pages and small.grow(5) == 5 and small.grow(1) == -1
    assert SharedMemory(None, 0, 1 << 20, is64=True).type.limits.is64
    unmade = SharedMemory.__new__(SharedMemory)
    assert repr(unmade) == "<SharedMemory that was never initialised>" and len(unmade) == 0
    for use in (lambda: unmade.read(0, 0), lambda: unmade.load(0), lambda: unmade.grow(0), lambda: unmade.notify(0)):
        with pytest.raises(Closed, match="never initialised"):
            use()


def test_the_maker_pays():
    """The store whose module defines it, until the last reference is gone; growth by others counts there as well."""
    engine = Engine()
    store, other = Store(engine, limits=StoreLimits(memories_bytes=3 << 16)), Store(engine)
    first = Linker(engine).instantiate(store, Module(OWN, engine=engine))
    memory = first.exports.memory
    assert store.memory_bytes_held == 2 << 16
    linker = Linker(engine)
    linker.define_instance("m", first)
    text = """(module (import "m" "memory" (memory 1 5 shared))
      (func (export "grow") (result i32) (memory.grow (i32.const 1))))"""
    second = linker.instantiate(other, Module(text, engine=engine))
    assert second.exports.grow() == 2 and store.memory_bytes_held == 3 << 16 and other.memory_bytes_held == 0
    assert second.exports.grow() == -1 and memory.grow(1) == -1, "the maker has no more"
    store.close()
    assert memory.read(3, 3) == b"abc" and store.memory_bytes_held == 3 << 16
    assert second.exports.grow() == -1
    other.close()
    assert memory.read(3, 3) == b"abc"
    del first, second, memory, linker
    gc.collect()
    assert store.memory_bytes_held == 0


def test_limits():
    """Of the store that defines it, of the engine for those of embedders; the error names what would do."""
    engine = Engine()
    module = Module(OWN, engine=engine)
    for limits, what in (
        (StoreLimits(memory_bytes=1 << 16), "memory_bytes"),
        (StoreLimits(memories_bytes=1 << 16), "memories_bytes"),
        (StoreLimits(total_bytes=1 << 16), "total_bytes"),
        (StoreLimits(memories=0), "memories"),
    ):
        with pytest.raises(ResourceLimit) as caught:
            Linker(engine).instantiate(Store(engine, limits=limits), module)
        assert caught.value.limit == what
    capped = Engine(max_memory_bytes=3 << 16)
    with pytest.raises(ResourceLimit, match="max_memory_bytes"):
        SharedMemory(capped, 4, 10)
    memory = SharedMemory(capped, 1, 10)
    assert memory.grow(2) == 1 and memory.grow(1) == -1


def test_a_limiter_may_refuse_grow_it_or_close_the_store():
    """It is asked by whoever grows the memory, and may run anything meanwhile."""
    engine = Engine()
    asked = []

    def limiter(kind, now, wanted):
        asked.append((kind, now >> 16, wanted >> 16))
        if len(asked) == 1:
            return False
        if len(asked) == 2:
            assert memory.grow(1) == 2
        return True

    store = Store(engine, limits=StoreLimits(limiter=limiter))
    instance = Linker(engine).instantiate(store, Module(OWN, engine=engine))
    memory = instance.exports.memory
    assert instance.exports.grow(1) == -1 and memory.size_pages == 2
    assert instance.exports.grow(1) == 3, "asked again, for the size that it has by now"
    assert memory.size_pages == 4
    assert asked == [("memory", 2, 3), ("memory", 2, 3), ("memory", 2, 3), ("memory", 3, 4)]

    def closes(kind, now, wanted):
        closing.close()
        return True

    closing = Store(engine, limits=StoreLimits(limiter=closes))
    memory = Linker(engine).instantiate(closing, Module(OWN, engine=engine)).exports.memory
    assert memory.grow(1) == 2 and memory.read(3, 3) == b"abc", "the store is closed, and the memory stays"


def test_closing(engine):
    """The memory outlives stores and engine; a store that is closed does not take it away from others."""
    memory = SharedMemory(engine, 1, 100)
    one, other = guest(engine, memory), guest(engine, memory)
    assert other.exports.memory is memory
    one.store.close()
    assert other.exports.add(8, 5) == 0 and memory.load(8) == 5
    engine.close()
    assert other.exports.add(8, 5) == 5 and memory.grow(1) == 1
    other.store.close()
    assert memory.load(8) == 10 and other.exports.memory is memory
    with pytest.raises(Closed, match="the engine is closed"):
        SharedMemory(engine, 1, 1)


def test_nothing_leaks(engine):
    """Neither the memory nor what has it, with and without cycles; its address space goes with it."""
    memory = SharedMemory(engine, 1, 100)
    gone = weakref.ref(memory)
    instance = guest(engine, memory)
    instance.exports.add(0, 1)
    store = weakref.ref(instance.store)
    del memory
    assert gone() is not None
    instance.store.close()
    del instance
    gc.collect()
    assert gone() is None and store() is None
    before = mappings()
    for _ in range(50):
        guest(engine, SharedMemory(engine, 1, 100)).exports.add(0, 1)
    gc.collect()
    assert mappings() < before + 20


def mappings():
    """Of this process."""
    with open("/proc/self/maps") as file:
        return len(file.readlines())


def test_slots_hold_shared_memories_and_are_wiped_behind_them():
    """They come out of the engine's slots as others do, and the next tenant finds zeros."""
    engine = Engine(memory_slots=MemorySlots(2, max_memory_bytes=1 << 20), memory_images="always")
    module = Module(OWN, engine=engine)
    for _ in range(5):
        instance = Linker(engine).instantiate(Store(engine), module)
        memory = instance.exports.memory
        assert memory.read(0, 1 << 16).strip(b"\0") == b"abc"
        memory.write(5000, b"secret")
        instance.store.close()
        assert memory.read(5000, 6) == b"secret", "somebody has it: the slot is not anybody else's"
        embedder = SharedMemory(engine, 1, 16)
        assert embedder.read(0, 1 << 16).strip(b"\0") == b""
        with pytest.raises(ResourceLimit):
            SharedMemory(engine, 1, 16)
        embedder.write(0, b"secret")
        del memory, embedder, instance
        gc.collect()


def test_it_survives_images_and_pickles_of_modules():
    """Code and skeleton of a module know that its memory is shared; one that is not has other code."""
    engine = Engine(tier="jit1")
    shared = """(module (memory (export "m") 1 2 shared)
      (func (export "f") (result i32) (i32.atomic.rmw.add (i32.const 0) (i32.const 3))))"""
    for text, kind in ((shared, SharedMemory), (shared.replace(" shared", ""), stratavm.Memory)):
        module = Module(text, engine=engine)
        again = Module.deserialize(module.serialize(), engine=engine, trusted=True)
        instance = Linker(engine).instantiate(Store(engine), again)
        assert type(instance.exports.m) is kind and instance.exports.f() == 0 and instance.exports.f() == 3


def test_the_proposal_can_be_switched_off():
    """It gives guests a fine clock: who does not want that leaves it out."""
    engine = Engine(features=DEFAULT - {"threads"})
    with pytest.raises(ValidationError, match="a shared memory: needs the proposal threads, which is switched off"):
        Module(OWN, engine=engine)


def test_host_functions_get_the_shared_memory(engine):
    """From the caller; one with a fixed type gets what its store has of it, whose copies work."""
    seen = []

    def by_caller(caller):
        seen.append(caller.memory)

    def fixed(memory, at):
        seen.append(memory.read(at, 2))
        memory.write(at, b"xy")
        with pytest.raises(BufferError):
            memoryview(memory)
        return memory.shared.load(at, 2)

    text = """(module (import "m" "memory" (memory 1 100 shared)) (export "memory" (memory 0))
      (import "h" "caller" (func $caller)) (import "h" "fixed" (func $fixed (param i32) (result i32)))
      (func (export "f") (result i32) (call $caller) (call $fixed (i32.const 8))))"""
    module = Module(text, engine=engine)
    memory = SharedMemory(engine, 1, 100)
    memory.write(8, b"ab")
    linker = Linker(engine)
    linker.define("m", "memory", memory)
    linker.define("h", "caller", by_caller)
    type_ = next(i.type for i in module.imports if i.name == "fixed")
    linker.define("h", "fixed", stratavm.HostSpec(type_, fixed))
    instance = linker.instantiate(Store(engine), module)
    assert instance.exports.f() == int.from_bytes(b"xy", "little") and seen == [memory, b"ab"]


@pytest.mark.parametrize("plan", ["guard", "bounded"])
@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_four_threads_count_and_walk_while_it_grows(tier, plan):
    """No count is lost, no access within the size that a guest has seen traps, while others grow the memory."""
    engine = Engine(tier=tier, memory_plan=plan)
    memory = SharedMemory(engine, 1, 100)
    guests = [guest(engine, memory) for _ in range(4)]
    n = 100_000
    threads = Threads(
        partial(guests[0].exports.count, n),
        partial(guests[1].exports.count, n),
        partial(guests[2].exports.walk, n),
        partial(guests[3].exports.walk, n),
    )
    sizes = [memory.grow(1) for _ in range(99)]
    assert threads.join() == [None] * 4
    assert sizes == list(range(1, 100)) and memory.grow(1) == -1
    assert memory.load(64) == 2 * n


@pytest.mark.trace_slow  # the tracer lets go of the GIL between two lines, between which nothing else does
def test_growth_by_many_threads_is_one_after_the_other():
    """Each page is given once: the old sizes are all different."""
    engine = Engine()
    memory = SharedMemory(engine, 0, 1000)
    guests = [guest_of_any_size(engine, memory) for _ in range(4)]
    grown = Threads(*[partial(lambda g: [g.exports.grow(1) for _ in range(250)], g) for g in guests]).join()
    assert sorted(old for olds in grown for old in olds) == list(range(1000)) and memory.size_pages == 1000


def guest_of_any_size(engine, memory):
    """One that only grows it."""
    linker = Linker(engine)
    linker.define("m", "m", memory)
    text = """(module (import "m" "m" (memory 0 1000 shared))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""
    return linker.instantiate(Store(engine), Module(text, engine=engine))


def test_events_are_of_the_store_that_grows_it():
    """Made and grown, by its number there."""
    engine = Engine()
    memory = SharedMemory(engine, 1, 100)
    seen = []
    for kind in (MemoryCreated, MemoryGrown, MemoryGrowthRefused):
        engine.bus.subscribe(kind, seen.append)
    instance = guest(engine, memory)
    instance.exports.grow(2)
    instance.exports.grow(100)
    assert [type(e) for e in seen] == [MemoryCreated, MemoryGrown, MemoryGrowthRefused]
    assert seen[0].pages == 1 and (seen[1].before, seen[1].after) == (1, 3)


def test_reference_counts_stay(engine):
    """Of what there is always: a call on a shared memory takes nothing away."""
    memory = SharedMemory(engine, 1, 100)
    instance = guest(engine, memory)
    assert instance.exports.memory is memory
    before = sys.getrefcount(memory), sys.getrefcount(None)
    for _ in range(1000):
        assert instance.exports.memory is memory
        memory.wait(0, 1)
        memory.notify(0)
    assert sys.getrefcount(memory) == before[0] and abs(sys.getrefcount(None) - before[1]) < 100
