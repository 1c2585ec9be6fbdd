"""Claims about snapshots: what an instance held is what its clones begin with, and nothing of it is shared."""

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading

import pytest

import stratavm
from stratavm import (
    Closed,
    DecodeError,
    Engine,
    Func,
    Global,
    InstancePoisoned,
    Interrupted,
    Linker,
    LinkError,
    Memory,
    MemorySlots,
    Module,
    ResourceLimit,
    Snapshot,
    SnapshotRefused,
    Store,
    StoreBusy,
    StoreLimits,
    Table,
    Trap,
    load,
)
from stratavm.aot.container import read, write
from stratavm.engine.events import InstantiationFailed, SnapshotTaken
from stratavm.runtime.wipe import prepare
from stratavm.spec.types import FuncType

KEY = b"a key of sixteen"
GUEST = """(module
  (import "env" "double" (func $double (param i32) (result i32)))
  (memory (export "memory") 1 4)
  (global $count (export "count") (mut i32) (i32.const 5))
  (global (export "chosen") (mut funcref) (ref.func $add))
  (global (export "wide") (mut v128) (v128.const i64x2 1 2))
  (table $t (export "table") 4 10 funcref)
  (elem (i32.const 0) $double $add)
  (elem $later func $add $double)
  (data $passive "hello")
  (data (i32.const 8) "abc")
  (type $unary (func (param i32) (result i32)))
  (func $add (export "add") (type $unary) (i32.add (local.get 0) (global.get $count)))
  (func (export "call") (param i32 i32) (result i32)
    (call_indirect (type $unary) (local.get 1) (local.get 0)))
  (func (export "call_chosen") (param i32) (result i32)
    (table.set (i32.const 3) (global.get 1)) (call_indirect (type $unary) (local.get 0) (i32.const 3)))
  (func (export "copy") (memory.init $passive (i32.const 100) (i32.const 0) (i32.const 5)))
  (func (export "drop") (data.drop $passive) (elem.drop $later))
  (func (export "place") (table.init $later (i32.const 2) (i32.const 0) (i32.const 2)))
  (func (export "grow") (result i32)
    (drop (table.grow (ref.null func) (i32.const 2)))
    (memory.grow (i32.const 1)))
  (func (export "wide") (result i64) (i64x2.extract_lane 1 (global.get 2))))"""
GUEST = GUEST.replace('(func (export "wide")', '(func (export "wide_part")')


def guest(engine, double=lambda x: 2 * x):
    """An instance of ``GUEST``, and its linker."""
    linker = Linker(engine)
    linker.define("env", "double", double)
    return linker.instantiate(Store(engine), Module(GUEST, engine)), linker


@pytest.fixture(params=["oracle", "jit0", "jit1", "auto"])
def engine(request):
    """An engine of each tier."""
    return Engine(tier=request.param)


def test_a_clone_holds_what_the_instance_held(engine):
    """Memory, its size, globals, tables and their sizes; also when instance and store are gone."""
    instance, _ = guest(engine)
    exports = instance.exports
    exports.count.value = 7
    exports.wide.value = bytes(range(16))
    exports.copy()
    assert exports.grow() == 1
    exports.memory[2 * 65536 - 1] = 9
    exports.table[2] = exports.add
    snapshot = instance.snapshot()
    exports.memory[100] = exports.count.value = 1
    exports.table[2] = None
    instance.store.close()
    del instance, exports
    gc.collect()
    for factor in (3, 4):
        clone = snapshot.instantiate(Store(engine), {"env": {"double": lambda x, by=factor: by * x}}).exports
        assert (clone.count.value, len(clone.memory), len(clone.table)) == (7, 2 * 65536, 6)
        assert bytes(clone.memory[100:105]) == b"hello"
        assert bytes(clone.memory[8:11]) == b"abc"
        assert clone.memory[2 * 65536 - 1] == 9
        assert clone.wide.value == bytes(range(16))
        assert clone.wide_part() == int.from_bytes(bytes(range(8, 16)), "little", signed=True)
        assert [clone.call(i, 10) for i in range(3)] == [10 * factor, 17, 17]
        assert [element is None for element in clone.table] == [False, False, False, True, True, True]
        assert clone.call_chosen(1) == 8
        assert clone.memory.grow(1) == 2


def test_passive_segments_are_there_unless_they_were_dropped(engine):
    """Dropped ones stay dropped; the others can be used, their functions are the clone's."""
    instance, linker = guest(engine)
    whole = instance.snapshot()
    instance.exports.drop()
    dropped = instance.snapshot()
    clone = whole.instantiate(Store(engine), linker).exports
    clone.copy()
    clone.place()
    clone.count.value = 30
    assert bytes(clone.memory[100:105]) == b"hello"
    assert (clone.call(2, 1), clone.call(3, 1)) == (31, 2)
    clone = dropped.instantiate(Store(engine), linker).exports
    for function in (clone.copy, clone.place):
        with pytest.raises(Trap, match="out of bounds"):
            function()


def test_clones_share_nothing_that_they_write(engine):
    """Not with each other, not with the instance, not with later clones."""
    instance, linker = guest(engine)
    snapshot = instance.snapshot()
    clones = [snapshot.instantiate(Store(engine), linker).exports for _ in range(3)]
    for number, clone in enumerate(clones):
        clone.memory.write(0, bytes([number + 1]) * 65536)
        clone.count.value = number
        clone.table[0] = None
    for number, clone in enumerate(clones):
        assert bytes(clone.memory) == bytes([number + 1]) * 65536
        assert clone.count.value == number
    late = snapshot.instantiate(Store(engine), linker).exports
    for exports in (late, instance.exports):
        assert bytes(exports.memory[:12]) == b"\0" * 8 + b"abc\0"
        assert (exports.count.value, exports.call(0, 4)) == (5, 8)


def test_a_snapshot_of_a_clone_holds_what_the_clone_held(engine):
    """As often as one likes."""
    instance, linker = guest(engine)
    for number in range(10):
        instance.exports.memory.write(number * 4096, b"page %d" % number)
        instance.exports.count.value += 1
        instance = instance.snapshot().instantiate(Store(engine), linker)
    assert [bytes(instance.exports.memory[n * 4096 :][:6]) for n in range(10)] == [b"page %d" % n for n in range(10)]
    assert instance.exports.count.value == 15


def test_clones_share_the_code(engine):
    """A clone is of the same version of the module: what one has compiled, the next one calls."""
    instance, linker = guest(engine)
    snapshot = instance.snapshot()
    assert snapshot.module is instance.module
    assert snapshot.engine is engine
    clone = snapshot.instantiate(Store(engine), linker)
    before = instance.module.code_bytes
    assert clone.exports.add(1) == 6
    compiled = instance.module.code_bytes
    assert instance.exports.add(1) == 6
    assert instance.module.code_bytes == compiled >= before


def test_no_start_function_and_no_segment_runs():
    """What they did is in the snapshot; what was changed behind them stays changed."""
    calls = []
    engine = Engine()
    source = """(module (import "env" "called" (func $called)) (memory (export "memory") 1)
      (data (i32.const 0) "x") (func $start (call $called)) (start $start))"""
    linker = Linker(engine)
    linker.define("env", "called", lambda: calls.append(1))
    instance = linker.instantiate(Store(engine), Module(source, engine))
    instance.exports.memory[0] = 0
    clone = instance.snapshot().instantiate(Store(engine), linker)
    assert clone.exports.memory[0] == 0
    assert calls == [1]


def test_a_clone_knows_whether_it_was_initialised():
    """The reactor's initialiser runs once, before or behind the snapshot."""
    source = """(module (global (export "n") (mut i32) (i32.const 0))
      (func (export "_initialize") (global.set 0 (i32.add (global.get 0) (i32.const 1)))))"""
    instance = load(source)
    early = instance.snapshot()
    assert instance.initialize()
    late = instance.snapshot()
    clones = [s.instantiate(Store(early.engine)) for s in (early, late)]
    assert [c.initialize() for c in clones] == [True, False]
    assert [c.exports.n.value for c in clones] == [1, 1]


def test_what_runs_first_sees_the_clone_alone():
    """It can call it; and where it raises the clone is closed and the error comes out."""
    instance, linker = guest(Engine())
    made = []

    def reseed(clone):
        made.append(clone)
        clone.exports.memory.write(0, b"seed %d" % len(made))
        clone.exports.copy()
        if len(made) == 3:
            raise KeyError("entropy")

    snapshot = instance.snapshot(first=reseed)
    pre = snapshot.instantiate_pre(linker)
    clones = [pre.instantiate(Store(snapshot.engine)) for _ in range(2)]
    assert [bytes(c.exports.memory[:6]) for c in clones] == [b"seed 1", b"seed 2"]
    assert made == clones
    with pytest.raises(KeyError, match="entropy"):
        pre.instantiate(Store(snapshot.engine))
    assert made[2].closed
    assert bytes(instance.exports.memory[:6]) == bytes(6)
    with pytest.raises(TypeError, match="first must be callable"):
        instance.snapshot(first=1)


@pytest.mark.parametrize("options", [{}, {"memory_plan": "bounded"}, {"memory_slots": MemorySlots(memories=12)}])
def test_several_memories_of_all_kinds(options):
    """64-bit addresses, pages of one byte, none at all, and empty ones; in either plan and in slots."""
    source = """(module (memory (export "a") 1) (memory (export "b") i64 2 3) (memory (export "c") 5 4099 (pagesize 1))
      (memory (export "d") 0 1) (func (export "grow") (result i32) (memory.grow 2 (i32.const 4094))))"""
    features = stratavm.Config().features | {"custom-page-sizes"}
    engine = Engine(features=features, **options)
    linker = Linker(engine)
    instance = linker.instantiate(Store(engine), Module(source, engine))
    for number, name in enumerate("ab"):
        instance.exports[name].write(65530, bytes([number + 65]) * 6)
    assert instance.exports.grow() == 5
    instance.exports.c.write(4090, b"123456789")
    snapshot = instance.snapshot()
    assert snapshot.memory_bytes == 3 * 65536 + 4099
    for _ in range(3):
        store = Store(engine)
        clone = snapshot.instantiate(store, linker).exports
        assert [len(clone[name]) for name in "abcd"] == [65536, 131072, 4099, 0]
        assert [bytes(clone[name][65530:65537]) for name in "ab"] == [b"AAAAAA", b"BBBBBB\0"]
        assert bytes(clone.c[4088:]) == b"\0\x00123456789"
        assert clone.d.grow(1) == 0
        assert not any(clone.d)
        for name in "abcd":
            clone[name].write(0, b"\xff" * len(clone[name]))
        store.close()


# ---- what cannot be kept ----


def refused(source, imports=None, prepare=lambda instance: None, features=frozenset()):
    """The refusal of a snapshot, which names what and where and leaves the instance usable."""
    engine = Engine(features=stratavm.Config().features | features)
    store = Store(engine)
    linker = Linker(engine)
    linker.define_namespaces({} if imports is None else imports(store))
    instance = linker.instantiate(store, Module(source, engine))
    prepare(instance)
    with pytest.raises(SnapshotRefused) as error:
        instance.snapshot()
    assert not store.busy
    found = error.value
    assert found.what in str(found)
    assert found.where in str(found)
    assert found.remedy in str(found)
    return found


def test_imported_state_is_refused():
    """A memory, a table and a mutable global that somebody else has."""
    found = refused('(module (import "env" "m" (memory 1)))', lambda s: {"env": {"m": Memory.new(s, 1)}})
    assert (found.what, found.where) == ("an imported memory", "import env.m")
    found = refused(
        '(module (import "env" "t" (table 1 funcref)))', lambda s: {"env": {"t": Table.new(s, "funcref", 1)}}
    )
    assert (found.what, found.where) == ("an imported table", "import env.t")
    source = '(module (import "env" "g" (global (mut i32))))'
    found = refused(source, lambda s: {"env": {"g": Global.new(s, "i32", 1, mutable=True)}})
    assert (found.what, found.where) == ("an imported mutable global", "import env.g")


def test_a_shared_memory_is_refused():
    """Whoever made it."""
    found = refused('(module (memory (export "m") 1 2 shared))', features={"threads"})
    assert found.what == "a shared memory"


def test_handles_are_refused():
    """An object of the host in a table or a global; null is none."""
    source = """(module (table (export "t") 3 externref) (global (export "g") (mut externref) (ref.null extern)))"""
    found = refused(source, prepare=lambda i: i.exports.t.__setitem__(1, "thing"))
    assert (found.what, found.where) == ("an object of the host", "table 0 ('t'), element 1")
    found = refused(source, prepare=lambda i: setattr(i.exports.g, "value", "thing"))
    assert found.where == "global 0 ('g')"
    instance = load(source)
    clone = instance.snapshot().instantiate(Store(instance.module.engine))
    assert list(clone.exports.t) == [None] * 3
    clone.exports.t[0] = "another"
    assert clone.exports.t[0] == "another"


def test_exceptions_are_refused():
    """An exnref that the guest has kept."""
    source = """(module (tag $e) (global $kept (mut exnref) (ref.null exn))
      (func (export "keep") (block $h (result exnref)
        (try_table (catch_all_ref $h) (throw $e)) (unreachable)) (global.set $kept)))"""
    assert refused(source, prepare=lambda i: i.exports.keep()).where == "global 0"


def test_functions_of_others_are_refused():
    """Of the host, or of another instance; those that the module imports are none."""
    source = '(module (table (export "t") 2 funcref) (global (export "g") (mut funcref) (ref.null func)))'

    def foreign(instance):
        return Func.from_callable(instance.store, FuncType((), ()), lambda: None)

    found = refused(source, prepare=lambda i: i.exports.t.__setitem__(1, foreign(i)))
    assert (found.what, found.where) == ("a function of another instance or of the host", "table 0 ('t'), element 1")
    assert refused(source, prepare=lambda i: setattr(i.exports.g, "value", foreign(i))).where == "global 0 ('g')"


def test_an_imported_constant_stays_what_it_was():
    """Offsets may have been computed of it."""
    engine = Engine()
    source = '(module (import "env" "base" (global i32)) (func (export "base") (result i32) (global.get 0)))'

    def offering(number):
        store = Store(engine)
        linker = Linker(engine)
        linker.define("env", "base", Global.new(store, "i32", number))
        return store, linker

    store, linker = offering(1024)
    snapshot = linker.instantiate(store, Module(source, engine)).snapshot()
    store, linker = offering(1024)
    assert snapshot.instantiate(store, linker).exports.base() == 1024
    store, linker = offering(2048)
    with pytest.raises(LinkError, match=r"incompatible import for env\.base: a constant of bits 0x400 in the snapshot"):
        snapshot.instantiate(store, linker)
    assert not store.instances


def test_a_busy_store_is_refused():
    """From inside of a call, on its own thread."""
    errors = []

    def double(caller, x):
        try:
            caller.instance.snapshot()
        except StoreBusy as error:
            errors.append(str(error))
        return x

    instance, _ = guest(Engine(), double)
    assert instance.exports.call(0, 3) == 3
    assert "not by a host function" in errors[0]
    instance.snapshot()


def test_a_call_that_waits_is_refused():
    """A guest that is suspended has frames, which a snapshot has not."""

    async def main():
        gate = asyncio.Event()

        async def double(x):
            await gate.wait()
            return 2 * x

        instance, _ = guest(Engine(), double)
        call = asyncio.ensure_future(instance.exports.call.call_async(0, 4))
        await asyncio.sleep(0.01)
        with pytest.raises(StoreBusy, match="waits for the host"):
            instance.snapshot()
        gate.set()
        assert await call == 8
        instance.snapshot()

    asyncio.run(main())


def test_what_cannot_be_called_is_refused():
    """Closed and poisoned instances, and those of closed stores."""
    instance, linker = guest(Engine())
    with Store(instance.module.engine) as store:
        other = linker.instantiate(store, instance.module)
    with pytest.raises(Closed):
        other.snapshot()
    instance.close()
    with pytest.raises(Closed):
        instance.snapshot()
    spin = load('(module (func (export "spin") (loop (br 0))))')
    timer = threading.Timer(0.05, spin.store.interrupt)
    timer.start()
    with pytest.raises(Interrupted):
        spin.exports.spin()
    timer.join()
    with pytest.raises(InstancePoisoned):
        spin.snapshot()


def test_a_trap_does_not_hinder():
    """An instance stays usable, and so what it holds stays what it is."""
    instance, linker = guest(Engine())
    with pytest.raises(Trap):
        instance.exports.call(9, 9)
    assert instance.snapshot().instantiate(Store(instance.module.engine), linker).exports.add(1) == 6


# ---- who gets a clone ----


def test_imports_are_bound_and_checked_anew():
    """Missing ones and others of another type are told of as ever."""
    engine = Engine()
    instance, linker = guest(engine)
    snapshot = instance.snapshot()
    failures = []
    engine.bus.subscribe(InstantiationFailed, failures.append)
    with pytest.raises(LinkError, match="double"):
        snapshot.instantiate(Store(engine))
    store = Store(engine)
    wrong = Func.from_callable(store, FuncType((), ()), lambda: None)
    with pytest.raises(LinkError, match=r"incompatible import type for env\.double"):
        snapshot.instantiate(store, {"env": {"double": wrong}})
    assert len(failures) == 2
    with pytest.raises(LinkError, match="different engines"):
        snapshot.instantiate(Store(Engine()), linker)
    with pytest.raises(LinkError, match="different engines"):
        snapshot.instantiate_pre(Linker(Engine()))
    with pytest.raises(TypeError, match="takes a Linker"):
        snapshot.instantiate_pre({})


def test_limits_admit_what_a_snapshot_holds():
    """Its sizes, not those that the module declares; the limiter is asked for what was grown."""
    engine = Engine()
    instance, linker = guest(engine)
    instance.exports.grow()
    snapshot = instance.snapshot()
    for limits, name in (
        (StoreLimits(memory_bytes=65536), "memory_bytes"),
        (StoreLimits(memories_bytes=65536), "memories_bytes"),
        (StoreLimits(total_bytes=131072), "total_bytes"),
        (StoreLimits(table_elements=5), "table_elements"),
        (StoreLimits(instances=0), "instances"),
        (StoreLimits(limiter=lambda kind, now, wanted: kind != "memory"), "limiter"),
        (StoreLimits(limiter=lambda kind, now, wanted: kind != "table"), "limiter"),
    ):
        store = Store(engine, limits=limits)
        with pytest.raises(ResourceLimit) as error:
            snapshot.instantiate(store, linker)
        assert error.value.limit == name
        assert (store.bytes_held, store.memory_bytes_held, len(store.instances)) == (0, 0, 0)
    asked = []
    limits = StoreLimits(limiter=lambda *question: asked.append(question) or True)
    snapshot.instantiate(Store(engine, limits=limits), linker)
    assert asked == [("memory", 65536, 131072), ("table", 4, 6)]


def test_threads_make_clones_of_one_snapshot():
    """At once, and the first takes nothing of the second."""
    engine = Engine()
    instance, linker = guest(engine)
    instance.exports.memory.write(0, b"origin")
    pre = instance.snapshot().instantiate_pre(linker)
    wrong = []

    def work(number):
        for turn in range(50):
            with Store(engine) as store:
                exports = pre.instantiate(store).exports
                if bytes(exports.memory[:6]) != b"origin" or exports.add(number) != number + 5:
                    wrong.append((number, turn))
                exports.memory.write(0, bytes([number]) * 65536)
                exports.count.value = number

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_slots_are_clean_for_the_next_tenant():
    """Whether that is a clone of the same snapshot, of another one, or an instance of the module."""
    engine = Engine(memory_slots=MemorySlots(memories=1))
    instance, linker = guest(engine)
    module = instance.module
    first = instance.snapshot()
    instance.exports.grow()
    instance.exports.memory.write(70000, b"second")
    second = instance.snapshot()
    instance.store.close()
    del instance
    for number in range(12):
        with Store(engine) as store:
            what = (first, second, None)[number % 3]
            made = linker.instantiate(store, module) if what is None else what.instantiate(store, linker)
            memory = made.exports.memory
            expected = bytearray(65536 if what is not second else 131072)
            expected[8:11] = b"abc"
            if what is second:
                expected[70000:70006] = b"second"
            assert bytes(memory) == expected
            memory.grow(4 - memory.size_pages)
            for page in range(0, len(memory), 4096 if number % 2 else 40960):
                memory[page] = 255
        del made, memory  # whose views keep the slot


def test_a_snapshot_is_an_event():
    """With what it has and what it keeps."""
    engine = Engine()
    seen = []
    engine.bus.subscribe(SnapshotTaken, seen.append)
    instance, _ = guest(engine)
    snapshot = instance.snapshot()
    assert [(e.instance, e.bytes, e.kept) for e in seen] == [(0, 65536, snapshot.kept_bytes)]
    assert snapshot.kept_bytes <= 4096
    assert "64 KiB" in repr(snapshot)


def test_a_snapshot_is_made_by_instances_only():
    """It is not made by hand, not pickled, and its files go with it."""
    with pytest.raises(TypeError, match=r"Instance\.snapshot"):
        Snapshot()
    instance, _ = guest(Engine())
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    snapshot = instance.snapshot()
    with pytest.raises(TypeError):
        pickle.dumps(snapshot)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del snapshot
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


# ---- snapshots of clones ----

BIG = """(module (memory (export "memory") 64 128) (global (export "n") (mut i32) (i32.const 0))
  (func (export "fill") (param $at i32) (param $byte i32) (param $count i32)
    (memory.fill (local.get $at) (local.get $byte) (local.get $count))))"""
PAGES = 64 * 16


def open_files():
    """How many this process has."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("slots", [None, MemorySlots(memories=2), MemorySlots(memories=2, keep_pages=8)])
def test_a_snapshot_of_a_clone_keeps_the_pages_that_differ(slots):
    """From the snapshot at the root, however many lie between; without a file of its own."""
    if not prepare():
        pytest.skip("this kernel does not tell which pages were written")
    engine = Engine(memory_slots=slots)
    linker = Linker(engine)
    instance = linker.instantiate(Store(engine), Module(BIG, engine))
    expected = bytearray(64 << 16)
    instance.exports.fill(0, 1, 1 << 16)
    expected[: 1 << 16] = b"\1" * (1 << 16)
    snapshots = [(instance.snapshot(), bytes(expected))]
    instance.store.close()
    del instance
    before = open_files()
    for number in range(2, 12):
        with Store(engine) as store:
            clone = snapshots[-1][0].instantiate(store, linker)
            clone.exports.fill(number * 40960, number, 5000)
            expected[number * 40960 : number * 40960 + 5000] = bytes([number]) * 5000
            snapshots.append((clone.snapshot(), bytes(expected)))
            assert snapshots[-1][0].kept_bytes == (number - 1) * 8192
            del clone
    assert open_files() == before
    for snapshot, content in [*snapshots, *reversed(snapshots)]:
        with Store(engine) as store:
            exports = snapshot.instantiate(store, linker).exports
            assert exports.memory.read(0, 64 << 16) == content
            exports.fill(0, 255, 64 << 16)
            del exports
        kept = Snapshot.deserialize(snapshot.serialize(key=KEY), snapshot.module, key=KEY)
        with Store(engine) as store:
            assert kept.instantiate(store, linker).exports.memory.read(0, 64 << 16) == content


def test_a_clone_that_differs_much_is_a_root():
    """More than a quarter of the pages are a file of their own, which the next ones differ from."""
    engine = Engine()
    linker = Linker(engine)
    root = linker.instantiate(Store(engine), Module(BIG, engine)).snapshot()
    before = open_files()
    for pages, files in ((PAGES // 4, 0), (PAGES // 4 + 1, 1)):
        clone = root.instantiate(Store(engine), linker)
        clone.exports.fill(0, 7, pages * 4096)
        snapshot = clone.snapshot()
        assert snapshot.kept_bytes == pages * 4096
        assert open_files() == before + (files if prepare() else 1)
        second = snapshot.instantiate(Store(engine), linker)
        second.exports.fill(0, 8, 1)
        third = second.snapshot()
        assert third.kept_bytes == (4096 if files and prepare() else pages * 4096)
        assert third.instantiate(Store(engine), linker).exports.memory.read(0, 4) == b"\x08\7\7\7"
        del snapshot, second, third, clone


def test_a_process_that_may_have_no_file_keeps_all_pages_that_differ(monkeypatch):
    """Over the root, however many: those that were written, that hold zeros now, and that are new."""
    engine = Engine()
    linker = Linker(engine)
    instance = linker.instantiate(Store(engine), Module(BIG, engine))
    instance.exports.fill(0, 1, 1 << 16)
    root = instance.snapshot()
    clone = root.instantiate(Store(engine), linker)
    clone.exports.fill(20 << 16, 7, 30 << 16)
    clone.exports.fill(4096, 0, 4096)
    assert clone.exports.memory.grow(2) == 64
    clone.exports.fill(66 * 65536 - 1, 9, 1)
    expected = clone.exports.memory.read(0, 66 << 16)

    def none(*given):
        raise PermissionError(1, "not here")

    monkeypatch.setattr(os, "memfd_create", none)
    with pytest.raises(ResourceLimit, match="has no file for a snapshot"):
        instance.snapshot()
    snapshot = clone.snapshot()
    assert snapshot.kept_bytes == (30 << 16) + 2 * 4096
    again = snapshot.instantiate(Store(engine), linker)
    assert again.exports.memory.read(0, 66 << 16) == expected
    again.exports.fill(0, 5, 3)
    third = again.snapshot().instantiate(Store(engine), linker).exports.memory
    assert third.read(0, 66 << 16) == b"\5\5\5" + expected[3:]
    monkeypatch.undo()
    kept = Snapshot.deserialize(snapshot.serialize(key=KEY), snapshot.module, key=KEY)
    assert kept.instantiate(Store(engine), linker).exports.memory.read(0, 66 << 16) == expected


def test_a_clone_that_grew_is_kept_with_what_it_has():
    """What lies behind the end of the root is written pages, or zero."""
    engine = Engine()
    linker = Linker(engine)
    root = linker.instantiate(Store(engine), Module(BIG, engine)).snapshot()
    clone = root.instantiate(Store(engine), linker)
    assert clone.exports.memory.grow(3) == 64
    clone.exports.fill((66 << 16) + 5, 9, 3)
    snapshot = clone.snapshot()
    assert (snapshot.memory_bytes, snapshot.kept_bytes) == (67 << 16, 4096 if prepare() else snapshot.kept_bytes)
    kept = Snapshot.deserialize(snapshot.serialize(key=KEY), snapshot.module, key=KEY)
    for found in (snapshot, kept):
        memory = found.instantiate(Store(engine), linker).exports.memory
        assert len(memory) == 67 << 16
        assert memory.read((66 << 16) + 4, 5) == b"\0\t\t\t\0"
        assert not any(memory.read(64 << 16, 2 << 16))


# ---- between processes ----


def test_a_snapshot_comes_back_from_its_bytes(engine):
    """Once more with the same bytes, and in another engine."""
    instance, _ = guest(engine)
    instance.exports.memory.write(5000, b"kept")
    instance.exports.grow()
    instance.exports.drop()
    instance.exports.count.value = 77
    data = instance.snapshot().serialize(key=KEY)
    other = Engine(tier="jit0", memory_plan="bounded")
    module = Module(instance.module.model.binary, other)
    snapshot = Snapshot.deserialize(data, module, key=KEY, first=lambda i: i.exports.memory.write(0, b"first"))
    assert snapshot.kept_bytes == 8192
    clone = snapshot.instantiate(Store(other), {"env": {"double": lambda x: x * 5}}).exports
    assert (bytes(clone.memory[:5]), bytes(clone.memory[5000:5004])) == (b"first", b"kept")
    assert (len(clone.memory), len(clone.table), clone.count.value) == (131072, 6, 77)
    assert [clone.call(i, 1) for i in (0, 1)] == [5, 78]
    with pytest.raises(Trap):
        clone.copy()


def test_whoever_made_a_snapshot_is_asked_for():
    """Its mark is by this user's key, or the key that is given, or the caller says so."""
    instance, _ = guest(Engine())
    module, snapshot = instance.module, instance.snapshot()
    own = snapshot.serialize()
    assert Snapshot.deserialize(own, module).memory_bytes == 65536
    marked = snapshot.serialize(key=KEY)
    assert Snapshot.deserialize(marked, module, key=KEY).memory_bytes == 65536
    for data, key, why in ((marked, None, "this user's key"), (own, KEY, "the key that was given")):
        with pytest.raises(DecodeError, match=f"its mark is not by {why}"):
            Snapshot.deserialize(data, module, key=key)
        assert Snapshot.deserialize(data, module, key=key, trusted=True).memory_bytes == 65536
    with pytest.raises(TypeError, match="bytes of a snapshot"):
        Snapshot.deserialize("text", module)
    with pytest.raises(ValueError, match="16 to 64"):
        snapshot.serialize(key=b"short")


def test_a_snapshot_is_of_one_module_and_one_build(monkeypatch):
    """Another binary, or another build of Strata, is told of by name."""
    instance, _ = guest(Engine())
    data = instance.snapshot().serialize(key=KEY)
    with pytest.raises(
        DecodeError, match=r"a snapshot of another binary(.|\n)*keep snapshot\.module\.serialize\(\) beside"
    ):
        Snapshot.deserialize(data, Module("(module (memory 1))", Engine()), key=KEY)
    with pytest.raises(DecodeError, match="image"):
        Snapshot.deserialize(b"what is this", instance.module, key=KEY)
    with pytest.raises(DecodeError, match="snapshot of another kind"):
        Snapshot.deserialize(Module.build(GUEST).serialize(key=KEY), instance.module, key=KEY)
    monkeypatch.setattr("stratavm.engine.keptsnapshot.build_identity", lambda: "another")
    with pytest.raises(DecodeError, match="a snapshot of another build"):
        Snapshot.deserialize(data, instance.module, key=KEY)


def test_a_file_is_for_this_user_alone(tmp_path):
    """It holds the guest's secrets; what was there before is replaced whole."""
    instance, linker = guest(Engine())
    path = tmp_path / "warm.snapshot"
    path.write_bytes(b"old")
    path.chmod(0o644)
    snapshot = instance.snapshot()
    snapshot.serialize_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == snapshot.serialize()
    clone = Snapshot.deserialize_file(path, instance.module).instantiate(Store(instance.module.engine), linker)
    assert clone.exports.add(1) == 6
    with pytest.raises(OSError, match="none"):
        snapshot.serialize_file(tmp_path / "none" / "x")
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_flipped_bit_is_found():
    """Wherever it is: in the head, the state or the pages. Nothing of it becomes an instance."""
    instance, _ = guest(Engine())
    instance.exports.memory.write(5000, b"kept")
    data = bytearray(instance.snapshot().serialize(key=KEY))
    found = 0
    for place in sorted({*range(0, len(data), 97), *range(min(700, len(data)))}):
        data[place] ^= 1 << place % 8
        try:
            Snapshot.deserialize(data, instance.module, key=KEY)
        except DecodeError:
            found += 1
        else:
            assert data[place] == 1 << place % 8, place  # a zero between sections, which is nobody's
        data[place] ^= 1 << place % 8
    assert found > 600
    for size in range(0, len(data), 211):
        with pytest.raises(DecodeError):
            Snapshot.deserialize(data[:size], instance.module, key=KEY, trusted=True)


def test_a_forged_state_is_one_that_the_module_could_have():
    """``trusted`` believes who made it, and no number in it: a wrong one is refused before anything is made of it."""
    source = """(module (type $a (func)) (type $b (func (param i32)))
      (memory (export "m") 1 2) (table (export "t") 3 4 funcref) (table 1 (ref null $a)) (elem func $f $g)
      (global (mut i32) (i32.const 1)) (global (mut funcref) (ref.null func)) (global (mut externref) (ref.null extern))
      (global (mut (ref $a)) (ref.func $f)) (data "x") (elem (table 1) (i32.const 0) (ref null $a) (ref.func $f))
      (func $f (type $a)) (func $g (type $b) (drop (local.get 0))))"""
    engine = Engine()
    instance = load(source, store=Store(engine))
    image = read(instance.snapshot().serialize(key=KEY))
    sections = {name: image.section(name) for name in image.sections}
    parts = [
        b"".join(x.to_bytes(8, "little") for x in (1, 0)),
        bytes(48) + (1).to_bytes(16, "little"),
        b"\0",
        b"\0\1",
        b"",
        b"\0",
        bytes(12),
        (1).to_bytes(4, "little"),
    ]

    def forged(changed, pages=b""):
        whole = [changed.get(i, part) for i, part in enumerate(parts)]
        state = b"".join(len(part).to_bytes(8, "little") + part for part in whole)
        data = b"".join(write({**sections, "state": state, "pages": pages}))
        return Snapshot.deserialize(data, instance.module, trusted=True)

    def words(*numbers):
        return b"".join(x.to_bytes(8, "little") for x in numbers)

    assert forged({}).instantiate(Store(engine)).exports.m.size_pages == 1
    high = forged({1: words(7 | 1 << 40, 9) + parts[1][16:]})
    assert high.instantiate(Store(engine)).globals[0].bits == 7
    assert forged({0: words(2, 1, 4096, 4096)}, b"y" * 4096).instantiate(Store(engine)).exports.m[4096] == 121
    page = bytes(4096)
    wrong = [
        ({0: words(0, 0)}, b""),
        ({0: words(3, 0)}, b""),
        ({0: words(1 << 62, 0)}, b""),
        ({0: words(1, 1, 65536, 4096)}, page),
        ({0: words(1, 1, 1, 4096)}, page),
        ({0: words(1, 1, 0, 4095)}, page),
        ({0: words(1, 1, 0, 8192)}, page),
        ({0: words(1, 2, 4096, 4096, 0, 4096)}, 2 * page),
        ({0: words(1, 1, 0, 4096)}, 2 * page),
        ({0: words(1, 1 << 60)}, page),
        ({0: words(1, 0, 0)}, b""),
        ({1: bytes(48)}, b""),
        ({1: parts[1] + bytes(16)}, b""),
        ({1: bytes(64)}, b""),
        ({1: bytes(16) + words(3, 0) + bytes(16) + words(1, 0)}, b""),
        ({1: bytes(32) + words(1, 0) + words(1, 0)}, b""),
        ({1: bytes(48) + words(2, 0)}, b""),
        ({1: bytes(48) + words(1 + (1 << 32), 0)}, b""),
        ({2: b""}, b""),
        ({3: b"\0"}, b""),
        ({4: bytes(16)}, b""),
        ({4: b"\0"}, b""),
        ({6: bytes(8)}, b""),
        ({6: bytes(20)}, b""),
        ({6: bytes(13)}, b""),
        ({6: bytes(8) + (3).to_bytes(4, "little")}, b""),
        ({6: bytes(8) + b"\xff" * 4}, b""),
        ({7: (2).to_bytes(4, "little")}, b""),
        ({7: b""}, b""),
    ]
    for changed, pages in wrong:
        with pytest.raises(DecodeError, match="damaged snapshot"):
            forged(changed, pages)
    right = forged({6: (2).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(8), 7: bytes(4)})
    assert [e is None for e in right.instantiate(Store(engine)).exports.t] == [False, False, True, True]


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_forged_constants_are_whole(size):
    """Sixteen bytes for each imported global: neither a part of one nor more."""
    engine = Engine()
    linker = Linker(engine)
    linker.define_namespaces({"e": {"g": Global.new(store := Store(engine), "i32", 5)}})
    instance = linker.instantiate(store, Module('(module (import "e" "g" (global i32)))', engine))
    image = read(instance.snapshot().serialize(key=KEY))
    sections = {name: image.section(name) for name in image.sections}
    parts = [b"", b"", b"", b"", (5).to_bytes(16, "little"), b"\0"]

    def forged(constants):
        parts[4] = constants
        state = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
        return Snapshot.deserialize(b"".join(write({**sections, "state": state})), instance.module, trusted=True)

    forged(parts[4]).instantiate(store, linker)
    with pytest.raises(DecodeError, match="damaged snapshot"):
        forged(bytes([5]) + bytes(size - 1) if size else b"")


def test_a_forged_memory_is_within_reach():
    """One of 64-bit addresses may say that it has any number of pages: refused before a file is asked for."""
    engine = Engine()
    instance = load('(module (memory (export "m") i64 1))', store=Store(engine))
    image = read(instance.snapshot().serialize(key=KEY))
    sections = {name: image.section(name) for name in image.sections}
    for pages in (1 << 32, 1 << 47):
        memory = pages.to_bytes(8, "little") + bytes(8)
        state = b"".join(len(part).to_bytes(8, "little") + part for part in (memory, b"", b"", b"", b"", b"\0"))
        with pytest.raises(DecodeError, match="larger than addresses reach"):
            Snapshot.deserialize(b"".join(write({**sections, "state": state})), instance.module, trusted=True)


def test_another_process_begins_with_it(tmp_path):
    """A file is all that it needs."""
    instance, _ = guest(Engine())
    instance.exports.memory.write(0, b"over there")
    (tmp_path / "guest.wat").write_text(GUEST)
    instance.snapshot().serialize_file(tmp_path / "warm", key=KEY)
    program = f"""
import stratavm
engine = stratavm.Engine()
module = stratavm.Module({str(tmp_path / "guest.wat")!r}, engine)
snapshot = stratavm.Snapshot.deserialize_file({str(tmp_path / "warm")!r}, module, key={KEY!r})
made = snapshot.instantiate(stratavm.Store(engine), {{"env": {{"double": lambda x: 2 * x}}}})
print(bytes(made.exports.memory[:10]).decode(), made.exports.call(0, 21))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "over there 42\n"


def test_without_files_pages_are_copied(monkeypatch, engine):
    """Where the process may have none, what was kept serves all the same, and clones of clones do."""
    instance, linker = guest(engine)
    instance.exports.memory.write(5000, b"kept")
    snapshot = instance.snapshot()
    data = snapshot.serialize(key=KEY)

    def refused():
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr("stratavm.engine.keptsnapshot.open_file", refused)
    before = open_files()
    kept = Snapshot.deserialize(data, instance.module, key=KEY)
    assert open_files() == before
    assert kept.serialize(key=KEY) == data
    for _ in range(3):
        clone = kept.instantiate(Store(engine), linker)
        assert clone.exports.memory.read(4999, 6) == b"\0kept\0"
        clone.exports.memory.write(5001, b"x")
        again = clone.snapshot().instantiate(Store(engine), linker)
        assert again.exports.memory.read(4999, 6) == b"\0kxpt\0"
        assert again.exports.memory.read(8, 3) == b"abc"


# ---- modules that are built behind a call ----

WARMED = """(module (import "env" "tell" (func $tell (param i32)))
  (memory (export "memory") 1 9) (global $n (mut i32) (i32.const 0)) (data $p "warm") (data (i32.const 100) "cold")
  (func $begin (call $tell (i32.const 1))) (start $begin)
  (func (export "_initialize") (global.set $n (i32.const 5)) (call $tell (i32.const 2)))
  (func (export "warm") (memory.init $p (i32.const 100) (i32.const 0) (i32.const 4)) (data.drop $p)
    (drop (memory.grow (i32.const 2))) (global.set $n (i32.add (global.get $n) (i32.const 37))))
  (func (export "n") (result i32) (global.get $n))
  (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"""


def test_a_module_may_begin_behind_a_call():
    """All its instances do, of its images as well, in this process or in another, by whatever way they are made."""
    told = []
    imports = {"env": {"tell": told.append}}
    module = Module.build(WARMED, Engine(), init="warm", imports=imports)
    assert told == [1, 2]
    data = module.serialize(key=KEY)
    again = Module.deserialize(data, Engine(tier="jit0"), key=KEY)
    for found in (module, again, Module(data, Engine()), pickle.loads(pickle.dumps(again))):
        linker = Linker(found.engine)
        linker.define_namespaces(imports)
        pre = linker.instantiate_pre(found)
        assert pre.start_index is None
        for instance in (linker.instantiate(Store(found.engine), found), pre.instantiate(Store(found.engine))):
            assert instance.initialize() is False
            assert (instance.exports.n(), len(instance.exports.memory)) == (42, 3 * 65536)
            assert instance.exports.memory.read(100, 4) == b"warm"
            with pytest.raises(Trap):
                instance.exports.warm()
    assert told == [1, 2]
    assert b"".join(Module.build(data, Engine()).serialize(key=KEY) for _ in "x") != data  # of an image, the binary


def test_what_is_called_first_must_be_there():
    """A function without parameters, that ends, and leaves nothing that cannot be kept."""
    imports = {"env": {"tell": lambda n: None}}
    for init, why in (("nope", "exports no function nope"), ("memory", "exports no function"), ("add", "parameters")):
        with pytest.raises(LinkError, match=why):
            Module.build(WARMED, Engine(), init=init, imports=imports)
    with pytest.raises(LinkError):
        Module.build(WARMED, Engine(), init="warm")
    with pytest.raises(Trap):
        Module.build('(module (func (export "f") unreachable))', Engine(), init="f")
    source = '(module (import "env" "m" (memory 1)) (func (export "f")))'
    engine = Engine()
    with pytest.raises(LinkError):
        Module.build(source, engine, init="f")


def test_damage_to_what_a_module_begins_with_is_found():
    """It is not as if the module began with what its binary says. Another build's is refused, too."""
    imports = {"env": {"tell": lambda n: None}}
    data = Module.build(WARMED, Engine(), init="warm", imports=imports).serialize(key=KEY)
    sections = read(data).sections
    for name in ("state", "pages"):
        place = sections[name].offset + sections[name].size // 2
        damaged = bytearray(data)
        damaged[place] ^= 4
        module = Module.deserialize(damaged, Engine(), trusted=True)
        for _ in range(2):
            with pytest.raises(DecodeError, match=f"the section {name} is damaged"):
                linker_for(module, imports).instantiate(Store(module.engine), module)
    whole = {name: read(data).section(name) for name in sections}
    whole["facts"] = whole["facts"].replace(b"build=", b"build=x")
    module = Module(b"".join(write(whole)), Engine())
    with pytest.raises(DecodeError, match="a snapshot of another build"):
        linker_for(module, imports).instantiate(Store(module.engine), module)


def linker_for(module, imports):
    """A linker that offers some imports."""
    linker = Linker(module.engine)
    linker.define_namespaces(imports)
    return linker
