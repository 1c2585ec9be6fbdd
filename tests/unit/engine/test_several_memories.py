"""Claims about modules of several memories: each access goes to its own, also where two of them are the same one."""

import pytest

from stratavm import Config, Engine, Linker, MemorySlots, Module, ResourceLimit, Store, StoreLimits, Trap
from stratavm.engine import Caller
from stratavm.engine.events import ImageLaidOut
from stratavm.testing import EventRecorder
from tests.unit.engine.exported import Exporting

PAGE = 1 << 16
PLANS = [
    Config(tier=tier, memory_plan=plan) for tier in ("oracle", "jit0", "jit1", "auto") for plan in ("guard", "bounded")
]
TEXT = """(module
  (memory $a (export "a") 1 2) (memory $b (export "b") 2 4) (memory $c (export "memory") 0 1)
  (data $none "passive") (data (memory $b) (i32.const 100) "second") (data (memory $a) (i32.const 100) "first ")
  (func (export "sum") (param i32) (result i32) (i32.add
    (i32.mul (i32.load8_u (local.get 0)) (i32.const 1000)) (i32.load8_u $b (local.get 0))))
  (func (export "put") (param i32 i32) (i32.store $b offset=4 (local.get 0) (local.get 1)))
  (func (export "put_far") (param i32) (i64.store32 $b offset=131068 align=1 (local.get 0) (i64.const -1)))
  (func (export "look") (param i32) (result i32) (i32.load $c (local.get 0)))
  (func (export "sizes") (result i32 i32 i32) memory.size memory.size $b memory.size $c)
  (func (export "grow") (param i32) (result i32 i32 i32)
    (memory.grow (local.get 0)) (memory.grow $b (local.get 0)) (memory.grow $c (local.get 0)))
  (func (export "copy") (param i32 i32 i32) (memory.copy $b $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32) (memory.init $b $none (local.get 0) (local.get 1) (local.get 2)))
  (func (export "kept") (param i32) (result i32)
    (i32.store (local.get 0) (i32.const 1)) (i32.store $b (local.get 0) (i32.const 2))
    (i32.add (i32.mul (i32.load (local.get 0)) (i32.const 10)) (i32.load $b (local.get 0)))))"""


@pytest.fixture(params=PLANS, ids=lambda config: f"{config.tier}-{config.memory_plan}")
def engine(request):
    """An engine with each tier and each plan."""
    return Engine(request.param)


exports_of = Exporting(TEXT)


def test_each_access_goes_to_its_own_memory(engine):
    """At the same address, with offsets, and in a memory without a page."""
    exports = exports_of(engine)
    assert exports.sum(100) == 1000 * ord("f") + ord("s")
    exports.put(0, 0x01020304)
    assert exports.b.read(4, 4) == b"\4\3\2\1" and exports.a.read(4, 4) == bytes(4)
    exports.put_far(0)
    assert exports.b.read(2 * PAGE - 4, 4) == b"\xff" * 4
    assert exports.kept(8) == 12
    with pytest.raises(Trap, match="out of bounds"):
        exports.look(0)


def test_bounds_are_those_of_the_memory_that_is_accessed(engine):
    """The first has a page, the second two."""
    exports = exports_of(engine)
    exports.put(2 * PAGE - 8, 7)
    assert exports.b.read(2 * PAGE - 4, 1) == b"\7"
    for trapping in (lambda: exports.put(2 * PAGE - 7, 7), lambda: exports.put_far(1), lambda: exports.sum(PAGE)):
        with pytest.raises(Trap, match="out of bounds") as caught:
            trapping()
        assert caught.value.kind == "memory_out_of_bounds"


def test_sizes_and_growth_are_each_memory_s_own(engine):
    """With the maximum of its own; what has grown is there at once."""
    exports = exports_of(engine)
    assert exports.sizes() == (1, 2, 0)
    assert exports.grow(1) == (1, 2, 0)
    assert exports.grow(1) == (-1, 3, -1)
    assert exports.sizes() == (2, 4, 1)
    assert exports.look(PAGE - 4) == 0
    exports.put(4 * PAGE - 8, 1)


def test_bulk_operations_name_their_memories(engine):
    """Where to and where from, with the bounds of each."""
    exports = exports_of(engine)
    exports.copy(PAGE + 10, 100, 6)
    assert exports.b.read(PAGE + 10, 6) == b"first "
    exports.fill(PAGE, 7, 3)
    assert exports.b.read(PAGE, 4) == b"\7\7\7\0" and exports.a.read(0, 3) == bytes(3)
    exports.init(0, 1, 3)
    assert exports.b.read(0, 3) == b"ass" and exports.a.read(0, 3) == bytes(3)
    exports.copy(2 * PAGE - 1, PAGE - 1, 1)
    for trapping in (
        lambda: exports.copy(2 * PAGE, PAGE - 1, 1),
        lambda: exports.copy(0, PAGE, 1),
        lambda: exports.fill(2 * PAGE, 0, 1),
        lambda: exports.init(2 * PAGE - 1, 0, 2),
        lambda: exports.init(0, 7, 1),
    ):
        with pytest.raises(Trap, match="out of bounds"):
            trapping()


TWICE = """(module (import "m" "one" (memory $x 1)) (import "m" "other" (memory $y 1)) (memory $z 1)
  (func (export "stored") (param i32) (result i32) (i32.store $x (local.get 0) (i32.const 1))
    (drop (i32.load $y (local.get 0))) (i32.store $y (local.get 0) (i32.const 2)) (i32.load $x (local.get 0)))
  (func (export "loaded") (param i32) (result i32) (local i32) (local.set 1 (i32.load $y (local.get 0)))
    (i32.store $z (local.get 0) (i32.const 9)) (i32.store $x (local.get 0) (i32.const 5))
    (i32.add (local.get 1) (i32.load $y (local.get 0))))
  (func (export "part") (param i32) (result i64) (i64.store $x (local.get 0) (i64.const -1))
    (i32.store8 $y offset=3 (local.get 0) (i32.const 0)) (i64.load $x (local.get 0)))
  (func (export "loop") (param i32) (result i32) (local i32) (loop $l
    (local.set 1 (i32.add (local.get 1) (i32.load $x (i32.const 64))))
    (i32.store $y (i32.const 64) (local.get 0))
    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))
  (func (export "copy") (memory.copy $x $y (i32.const 1) (i32.const 0) (i32.const 7)))
  (func (export "grown") (param i32) (result i32)
    (drop (memory.size $x)) (drop (memory.grow $y (i32.const 1))) (memory.size $x)))"""


def test_one_memory_may_be_imported_twice(engine):
    """A store through one index changes what the other one finds."""
    linker, store = Linker(engine), Store(engine)
    provider = linker.instantiate(store, Module('(module (memory (export "m") 1))', engine=engine))
    memory = provider.exports.m
    linker.define("m", "one", memory)
    linker.define("m", "other", memory)
    exports = linker.instantiate(store, Module(TWICE, engine=engine)).exports
    assert exports.stored(8) == 2
    assert exports.loaded(16) == 5
    assert exports.part(24) & 0xFFFFFFFFFFFFFFFF == 0xFFFFFFFF00FFFFFF
    assert exports.loop(4) == 0 + 4 + 3 + 2
    memory.write(0, b"abcdefg")
    exports.copy()
    assert memory.read(0, 9) == b"aabcdefg\2"
    assert exports.grown(0) == 2 == memory.size_pages


@pytest.mark.parametrize("slots", [None, MemorySlots(8)])
def test_images_are_each_memory_s_own(slots):
    """Two of three show one; the bytes are those of copied segments."""
    text = f"""(module (memory (export "a") 3) (memory (export "b") 3) (memory (export "c") 1)
      (data (memory 1) (i32.const 8) "{"y" * 50_000}") (data (i32.const 0) "{"x" * 70_000}")
      (data (memory 1) (i32.const 0) "over it all"))"""
    found = []
    for images in ("never", "always"):
        engine = Engine(memory_slots=slots, memory_images=images)
        with EventRecorder(engine.bus) as recorder:
            exports = exports_of(engine, text)
            engine.bus.drain()
        found.append([bytes(memory.view()) for memory in (exports.a, exports.b, exports.c)])
        assert [memory.shows for memory in (exports.a, exports.b, exports.c)] == [images == "always"] * 2 + [False]
        assert {event.memory for event in recorder.of(ImageLaidOut)} == ({0, 1} if images == "always" else set())
    assert found[0] == found[1] and found[0][1].startswith(b"over it allyyy")


@pytest.mark.parametrize("config", [c for c in PLANS if c.tier != "oracle"], ids=lambda c: f"{c.tier}-{c.memory_plan}")
def test_a_built_module_has_them(config):
    """From an image: data segments, code, bounds."""
    built = Module.build(TEXT, Engine(config)).serialize()
    engine = Engine(config)
    linker = Linker(engine)
    exports = linker.instantiate(Store(engine), Module.deserialize(built, engine)).exports
    assert exports.sum(100) == 1000 * ord("f") + ord("s") and exports.kept(8) == 12
    exports.copy(0, 100, 5)
    assert exports.b.read(0, 5) == b"first"
    with pytest.raises(Trap, match="out of bounds"):
        exports.put(2 * PAGE, 0)


def test_host_functions_find_the_memory_of_that_name():
    """Not the first one."""
    engine = Engine()
    seen = []

    def host(caller: Caller, address: int) -> None:
        seen.append(caller.memory.read(address, 2))

    exports = exports_of(
        engine,
        """(module (import "m" "host" (func $host (param i32))) (memory 1) (memory (export "memory") 1)
          (data (memory 1) (i32.const 5) "hi") (func (export "f") (call $host (i32.const 5))))""",
        host=host,
    )
    exports.f()
    assert seen == [b"hi"]


def test_what_all_memories_may_have_together_is_a_limit_of_its_own(engine):
    """At the start, by growth from the guest and the host; what goes makes room."""
    module = Module(TEXT, engine=engine)
    store = Store(engine, limits=StoreLimits(memories_bytes=5 * PAGE))
    exports = Linker(engine).instantiate(store, module).exports
    assert store.memory_bytes_held == 3 * PAGE
    assert exports.grow(1) == (1, 2, -1)
    assert exports.memory.grow(1) == -1
    with pytest.raises(ResourceLimit, match="memories_bytes=393216") as refused:
        Linker(engine).instantiate(store, module)
    assert (refused.value.limit, refused.value.needed) == ("memories_bytes", 6 * PAGE)
    assert store.memory_bytes_held == 5 * PAGE
    store.close()
    assert store.memory_bytes_held == 0
    with pytest.raises(ResourceLimit):
        Linker(engine).instantiate(Store(engine, limits=StoreLimits(memories_bytes=2 * PAGE)), module)
    with pytest.raises(ValueError, match="memories_bytes"):
        StoreLimits(memories_bytes=-1)
