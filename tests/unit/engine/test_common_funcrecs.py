"""Claims about clones of modules that keep their functions to themselves (ADR-0062): they share FuncRecs and what their
tables begin with, and nobody can tell."""

import ctypes
import gc
import os
import subprocess
import sys
import threading
import time

import pytest

from stratavm import Engine, Linker, Module, Snapshot, Store, Table, Trap
from stratavm.runtime import snapshot as runtime_snapshot
from stratavm.spec.types import FUNCREF

KEY = b"a key of sixteen"
GUEST = """(module
  (type $unary (func (param i32) (result i32)))
  (import "env" "host" (func $host (type $unary)))
  (memory (export "memory") 1)
  (global $mine (export "mine") (mut i32) (i32.const 0))
  (table $t 8 20 funcref)
  (table $typed 4 (ref null $unary))
  (elem (table $t) (i32.const 0) func $add $host $count $other)
  (elem $later func $add $host $count)
  (elem declare func $add $host $count $other)
  (func $add (export "add") (type $unary) (i32.add (local.get 0) (global.get $mine)))
  (func $count (type $unary)
    (global.set $mine (i32.add (global.get $mine) (i32.const 1)))
    (i32.add (global.get $mine) (i32.load (local.get 0))))
  (func $other (param i64) (result i64) (local.get 0))
  (func (export "call") (param i32 i32) (result i32)
    (call_indirect $t (type $unary) (local.get 1) (local.get 0)))
  (func (export "tail") (param i32 i32) (result i32)
    (return_call_indirect $t (type $unary) (local.get 1) (local.get 0)))
  (func (export "by_ref") (param i32) (result i32) (call_ref $unary (local.get 0) (ref.func $count)))
  (func (export "by_import") (param i32) (result i32) (call_ref $unary (local.get 0) (ref.func $host)))
  (func (export "tail_ref") (param i32) (result i32) (return_call_ref $unary (local.get 0) (ref.func $add)))
  (func (export "typed") (param i32 i32) (result i32)
    (table.set $typed (i32.const 1) (ref.func $count))
    (drop (table.grow $typed (ref.func $add) (i32.const 1)))
    (call_ref $unary (local.get 1) (table.get $typed (local.get 0))))
  (func (export "copy") (param i32 i32) (table.set $t (local.get 0) (table.get $t (local.get 1))))
  (func (export "clear") (param i32) (table.set $t (local.get 0) (ref.null func)))
  (func (export "place") (table.init $t $later (i32.const 4) (i32.const 0) (i32.const 3)))
  (func (export "fill") (param i32) (table.fill $t (i32.const 4) (table.get $t (local.get 0)) (i32.const 4)))
  (func (export "move") (table.copy $t $t (i32.const 4) (i32.const 0) (i32.const 4)))
  (func (export "grow") (param i32) (result i32)
    (table.grow $t (table.get $t (local.get 0)) (i32.const 2)))
  (func (export "is_null") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0)))))"""


@pytest.fixture(params=["oracle", "jit0", "jit1", "auto"])
def engine(request):
    """An engine of each tier; in that with two functions are lifted early."""
    return Engine(tier=request.param, **({"lift_after": 3} if request.param == "auto" else {}))


def linked(engine, host):
    """A linker with the host's function."""
    linker = Linker(engine)
    linker.define("env", "host", host)
    return linker


def begun(engine, text=GUEST):
    """An instance."""
    return linked(engine, lambda x: 1000 + x).instantiate(Store(engine), Module(text, engine))


def grown(text=GUEST, elements=6000):
    """The guest with a table that is long enough to be mapped."""
    return text.replace("(table $t 8 20 funcref)", f"(table $t {elements} {elements + 100} funcref)")


@pytest.mark.parametrize("text", [GUEST, grown(), grown().replace("6100", "6000")], ids=["small", "mapped", "fixed"])
def test_clones_call_their_own_functions(engine, text):
    """Each in its own memory, with its own globals and imports; in one store or in several, whatever they call by."""
    snapshot = begun(engine, text).snapshot()
    one = Store(engine)
    clones = []
    for number in range(4):
        linker = linked(engine, lambda x, n=number: 100 * n + x)
        clone = snapshot.instantiate(one if number < 2 else Store(engine), linker).exports
        clone.mine.value = number
        clone.memory.write(16, (10 * number).to_bytes(4, "little"))
        clones.append(clone)
    for round_ in range(6):
        for number, clone in enumerate(clones):
            assert clone.add(5) == 5 + number + 3 * round_
            assert (clone.call(0, 7), clone.tail(0, 7)) == (7 + number + 3 * round_,) * 2
            assert (clone.call(1, 7), clone.tail(1, 7), clone.by_import(7)) == (100 * number + 7,) * 3
            assert clone.call(2, 16) == 11 * number + 3 * round_ + 1
            assert clone.by_ref(16) == 11 * number + 3 * round_ + 2
            assert clone.tail_ref(1) == 1 + number + 3 * round_ + 2
            assert clone.typed(1, 16) == 11 * number + 3 * round_ + 3
            with pytest.raises(Trap) as mismatch:
                clone.call(3, 1)
            assert mismatch.value.kind == "indirect_call_mismatch"
            with pytest.raises(Trap) as null:
                clone.call(7, 1)
            assert null.value.kind == "uninitialized_element"


@pytest.mark.parametrize("text", [GUEST, grown()], ids=["small", "mapped"])
def test_a_table_that_is_written_is_one_clones_own(engine, text):
    """By all instructions that write to one; a snapshot of it has what it has, others have what was."""
    snapshot = begun(engine, text).snapshot()
    linker = linked(engine, lambda x: 50 + x)
    other = snapshot.instantiate(Store(engine), linker).exports
    clone = snapshot.instantiate(Store(engine), linker)
    exports = clone.exports
    exports.place()
    assert [exports.call(i, 16) for i in (4, 5, 6)] == [16, 66, 1]
    exports.copy(7, 1)
    assert exports.call(7, 3) == 53
    exports.fill(2)
    assert [exports.call(i, 16) for i in range(4, 8)] == [2, 3, 4, 5]
    exports.move()
    assert [exports.call(i, 16) for i in (4, 5, 6)] == [21, 66, 6]
    length = exports.grow(0)
    assert exports.call(length + 1, 1) == 7
    exports.clear(0)
    again = clone.snapshot().instantiate(Store(engine), linked(engine, lambda x: 80 + x)).exports
    for each in (exports, again):
        assert each.is_null(0) == 1
        assert each.call(length, 1) == 7
    assert (exports.call(5, 1), again.call(5, 1)) == (51, 81)
    assert again.call(2, 16) == again.call(6, 16) - 1 == 7
    assert [other.is_null(i) for i in (0, 4, 7)] == [0, 1, 1]
    assert other.call(0, 1) == 1


def test_functions_of_a_clone_are_those_that_it_exports(engine):
    """Equal to themselves, of their instance, in its store; the snapshot of a clone whose table the host has changed
    knows them."""
    snapshot = begun(engine).snapshot()
    linker = linked(engine, lambda x: x)
    first, second = (snapshot.instantiate(Store(engine), linker) for _ in range(2))
    add = first.exports.add
    assert add == first.exports.add
    assert add != second.exports.add
    table = Table.new(first.store, "funcref", 1)
    table[0] = add
    assert table[0] == add
    assert table[0](1) == 1
    first.tables[0].set(7, table.get(0))
    assert first.exports.call(7, 4) == 4
    others = Table.new(second.store, "funcref", 1)
    others[0] = second.exports.add
    with pytest.raises(ValueError, match="no function reference"):
        first.tables[0].set(0, others.get(0))
    assert first.snapshot().instantiate(second.store, linker).exports.call(7, 3) == 3


def test_code_that_a_clone_lifted_is_for_all():
    """A FuncRec that is common gets better code when somebody calls it, and one that a host has as well."""
    engine = Engine(tier="auto", lift_after=4)
    snapshot = begun(engine).snapshot()
    linker = linked(engine, lambda x: x)
    clones = [snapshot.instantiate(Store(engine), linker) for _ in range(3)]
    count = clones[0].module.export_index["add"][1] + 1
    table = Table.new(clones[1].store, "funcref", 1)
    table[0] = clones[1].exports.add
    lifted = clones[0].module.code.lazy.table
    common, lone = (ctypes.c_uint64.from_address(raw) for raw in (clones[2].func_ref(count), table.get(0)))
    called, end = 0, time.monotonic() + 60
    while True:
        levels = lifted.level(0), lifted.level(1)
        if levels == (1, 1) and (lone.value, common.value) == (lifted.code(0), lifted.code(1)):
            break
        assert time.monotonic() < end, levels
        called += 1
        for clone in clones:
            assert clone.exports.call(2, 16) == called
            assert clone.exports.add(1) == 1 + called
    assert clones[0].func_ref(count) == clones[1].func_ref(count)


def test_threads_have_clones_at_once(engine):
    """While code is compiled and replaced."""
    snapshot = begun(engine, grown()).snapshot()
    wrong = []

    def run(number):
        linker = linked(engine, lambda x: number + x)
        for _ in range(10):
            with Store(engine) as store:
                clone = snapshot.instantiate(store, linker).exports
                clone.mine.value = number
                got = [clone.call(0, 1), clone.call(1, 1), clone.call(2, 64), clone.by_ref(64)]
                if got != [number + 1, number + 1, number + 1, number + 2]:
                    wrong.append((number, got))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_of_it_is_in_bytes(engine):
    """A snapshot of a clone that comes back from its bytes, and one that was deserialised, have common FuncRecs too."""
    module = Module(grown(), engine)
    linker = linked(engine, lambda x: 3 * x)
    instance = linker.instantiate(Store(engine), module)
    data = instance.snapshot().serialize(key=KEY)
    fresh = Module(grown(), engine)
    clone = Snapshot.deserialize(data, fresh, key=KEY).instantiate(Store(engine), linker)
    assert clone.exports.call(1, 4) == 12
    assert clone.snapshot().serialize(key=KEY)[200:] == data[200:] or clone.exports.call(2, 16) == 1
    again = Snapshot.deserialize(clone.snapshot().serialize(key=KEY), module, key=KEY)
    assert again.instantiate(Store(engine), linker).exports.call(0, 4) in (4, 5)


def test_a_clone_outlives_everything_else(engine):
    """Its FuncRecs are there as long as it is."""
    instance = begun(engine, grown())
    snapshot = instance.snapshot()
    clone = snapshot.instantiate(Store(engine), linked(engine, lambda x: x))
    del snapshot
    instance.store.close()
    del instance
    gc.collect()
    exports = clone.exports
    assert exports.call(2, 16) == 1
    del clone
    gc.collect()
    assert exports.call(2, 16) == 2
    assert exports.by_ref(16) == 3


def test_snapshots_of_clones_take_no_files():
    """Those whose table nobody has written to; one that was written to has a table of its own."""
    engine = Engine()
    root = begun(engine, grown()).snapshot()
    linker = linked(engine, lambda x: x)
    clone = root.instantiate(Store(engine), linker)
    before = len(os.listdir("/proc/self/fd"))
    kept = []
    for number in range(20):
        clone.exports.mine.value = number
        kept.append(clone.snapshot())
        clone = kept[-1].instantiate(Store(engine), linker)
        assert clone.exports.call(0, 1) == 1 + number
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    clone.exports.copy(5, 0)
    changed = clone.snapshot().instantiate(Store(engine), linker).exports
    assert changed.call(5, 1) == 20
    assert kept[-1].instantiate(Store(engine), linker).exports.is_null(5) == 1


def test_without_files_tables_are_copied(monkeypatch, engine):
    """Where there can be none for them."""

    def none():
        raise OSError(24, "no more")

    snapshot = begun(engine, grown()).snapshot()
    monkeypatch.setattr(runtime_snapshot, "check_files", none)
    for number in range(2):
        clone = snapshot.instantiate(Store(engine), linked(engine, lambda x, n=number: n + x))
        assert clone.exports.call(1, 1) == 1 + number
        assert clone.exports.call(2, 16) == 1
        clone.exports.copy(5, 0)
        assert clone.exports.call(5, 1) == 2
        assert clone.snapshot().instantiate(Store(engine), linked(engine, abs)).exports.call(5, 1) == 2


@pytest.mark.parametrize(
    ("text", "confined"),
    [
        ("(module (table 1 funcref))", True),
        ("(module (func (param externref)) (table 1 funcref))", True),
        ("(module (tag (param i32)) (table 1 funcref))", True),
        ("(module (global (mut externref) (ref.null extern)))", True),
        ('(module (table (export "t") 1 funcref))', False),
        ('(module (table (export "t") 1 externref))', False),
        ('(module (import "a" "t" (table 1 funcref)))', False),
        ("(module (global funcref (ref.null func)))", False),
        ('(module (import "a" "g" (global funcref)))', False),
        ("(module (func (param funcref)))", False),
        ("(module (func (result funcref) (ref.null func)))", False),
        ("(module (type $f (func)) (func (param (ref null $f))))", False),
        ("(module (tag (param funcref)))", False),
        ("(module (type (func (param funcref))))", False),
    ],
)
def test_which_modules_keep_functions_to_themselves(text, confined):
    """Those of which none can leave, and into which none can come: as their sections say, bodies are not looked at."""
    assert Module(text, Engine()).model.confines_funcs is confined


def test_functions_that_may_leave_have_their_instance():
    """A module that exports its table has FuncRecs in each clone: another instance calls through them."""
    engine = Engine()
    text = GUEST.replace("(table $t 8 20 funcref)", '(table $t (export "t") 8 20 funcref)')
    linker = linked(engine, lambda x: x)
    snapshot = linker.instantiate(Store(engine), Module(text, engine)).snapshot()
    store = Store(engine)
    clones = [snapshot.instantiate(store, linker) for _ in range(2)]
    caller = Linker(engine)
    caller.define("a", "t", clones[1].exports.t)
    text = """(module (import "a" "t" (table 8 funcref)) (func (export "call") (param i32 i32) (result i32)
      (call_indirect (param i32) (result i32) (local.get 1) (local.get 0))))"""
    clones[1].exports.mine.value = 40
    assert caller.instantiate(store, Module(text, engine)).exports.call(0, 2) == 42
    assert clones[1].exports.t[0](2) == 42
    assert clones[0].exports.t[0](2) == 2
    assert clones[0].exports.t.type.element == FUNCREF


MANY = """
import sys
from stratavm import Engine, Linker, Module, Snapshot, Store
from stratavm.runtime.wipe import prepare

COUNT, FUNCTIONS = 64, 20_000
functions = "".join(f"(func $f{i} (result i32) (i32.const {i}))" for i in range(FUNCTIONS))
named = " ".join(f"$f{i}" for i in range(FUNCTIONS))
text = f'''(module (memory 1) (global $g (mut i32) (i32.const 0)) (table {FUNCTIONS} {FUNCTIONS} funcref)
  (elem (i32.const 0) func {named}) {functions}
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))'''

def private():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:")) << 10

engine = Engine(tier="auto")
linker = Linker(engine)
module = Module(text, engine)
with Store(engine) as store:
    snapshot = linker.instantiate(store, module).snapshot()
pre = snapshot.instantiate_pre(linker)
kept = [pre.instantiate(Store(engine)) for _ in range(4)]
before = private()
kept += [pre.instantiate(Store(engine)) for _ in range(COUNT)]
made = (private() - before) // COUNT
for number, clone in enumerate(kept):
    assert clone.exports.call(290 * number) == 290 * number
print(made, (private() - before) // COUNT)
"""


@pytest.mark.trace_slow
def test_a_clone_takes_little_besides_its_memory():
    """At most 64 KiB of private pages where 20,000 functions are in a table (480 KB of FuncRecs, 160 of table): it is
    the same when each has called one, which only reads."""
    found = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 0, found.stderr
    made, called = map(int, found.stdout.split())
    assert made <= 64 << 10
    assert called <= 64 << 10
