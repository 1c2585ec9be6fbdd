"""Claims about bulk operations of many bytes: whatever stops a guest stops them midway, and what such an operation does
is the same as in one piece.
"""

import _thread
import contextlib
import ctypes
import random
import signal
import threading
import time

import pytest

from stratavm import (
    DeadlineExceeded,
    Engine,
    Func,
    InstancePoisoned,
    Interrupted,
    Linker,
    Module,
    Store,
    StoreLimits,
    Table,
    load,
)
from stratavm.contract.layout import EXEC, PENDING_BITS
from stratavm.spec.types import EXTERNREF, I32, FuncType
from tests.alarms import alarm

PAGES = 0x8000
"""Two GiB: seconds of page faults, were nobody to poll."""
OPERATIONS = {
    "fill": f"(memory.fill (i32.const 0) (i32.const 1) (i32.const {PAGES * 65536 - 1}))",
    "copy": f"(memory.copy (i32.const {PAGES * 32768}) (i32.const 0) (i32.const {PAGES * 32768 - 1}))",
    "table_fill": "(table.fill $t (i32.const 0) (ref.null func) (i32.const 9000000))",
    "table_copy": "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 8999999))",
}
BIG = f"""(module
  (memory (export "memory") {PAGES})
  (table $t (export "table") 9000000 funcref)
  {"".join(f'(func (export "{name}") {operation * 20})' for name, operation in OPERATIONS.items())})
"""
TRIES = 5  # the machine may keep the ticker waiting until all is done


@pytest.fixture(scope="module")
def module():
    """Compiled once. Its functions poll when they begin and inside of operations, nowhere else."""
    return Module(BIG, engine=Engine(strict=True))


@pytest.fixture
def instance(module):
    """In a store of its own, which is closed."""
    with Store(module.engine) as store:
        yield Linker(module.engine).instantiate(store, module)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_deadline_ends_a_bulk_operation(instance, name):
    """It passes while the operations of the function run."""
    for _ in range(TRIES):
        try:
            with instance.store.deadline(0.001):
                instance.exports[name]()
        except DeadlineExceeded as error:
            if error.frames:  # else it was over before the call began
                assert error.frames[0].name == name
                return
    pytest.fail("no operation was stopped midway")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_interrupt_ends_a_bulk_operation(instance, name):
    """From another thread, which gets the GIL because the operation has let go of it."""
    ended = threading.Event()

    def stop():
        while not ended.is_set():
            instance.store.interrupt()  # False outside of a call

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        with pytest.raises(Interrupted):
            for _ in range(TRIES):
                instance.exports[name]()
    finally:
        ended.set()
        thread.join(60)


@pytest.mark.trace_slow  # a handler that runs inside the tracer loses what it raises
@pytest.mark.parametrize("name", OPERATIONS)
def test_ctrl_c_ends_a_bulk_operation(instance, name):
    """KeyboardInterrupt comes out of the call, which poisons the instance; behind the call it would not."""
    ended = threading.Event()

    def press():
        while not ended.is_set() and not instance.store.busy:
            pass
        _thread.interrupt_main()

    for _ in range(TRIES):
        thread = threading.Thread(target=press)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            instance.exports[name]()
            ended.set()
            thread.join(60)
        thread.join(60)
        ended.clear()
        with contextlib.suppress(InstancePoisoned):
            instance.exports[name]()
            continue
        return
    pytest.fail("no operation was stopped midway")


COPY = """(module (memory (export "memory") 160)
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2))))
"""


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_in_parts_is_a_copy(seed):
    """Ranges of several MiB that overlap either way, against Python's slices."""
    rng = random.Random(seed)
    with Store(Engine(strict=True)) as store:
        instance = Linker(store.engine).instantiate(store, Module(COPY, engine=store.engine))
        memory = instance.exports.memory
        size = len(memory)
        expected = bytearray(rng.randbytes(size))
        memory.write(0, bytes(expected))
        for _ in range(4):
            count = rng.choice((0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, rng.randrange(size)))
            source, target = rng.randrange(size - count + 1), rng.randrange(size - count + 1)
            if rng.random() < 0.5:
                target = max(0, min(size - count, source + rng.choice((-5, -1, 1, 7, 1 << 20))))
            instance.exports.copy(target, source, count)
            expected[target : target + count] = expected[source : source + count]
            instance.exports.fill(source, 7, count // 2)
            expected[source : source + count // 2] = b"\x07" * (count // 2)
            assert memory.read(0, size) == expected


GROW = """(module (import "e" "stop" (func $stop))
  (table $t (export "table") 1 funcref) (elem declare func $f) (func $f)
  (func (export "grow") (result i32) (call $stop) (table.grow $t (ref.func $f) (i32.const 9000000))))
"""


def interrupted(store):
    """Ask the running call to end."""
    assert store.interrupt()


def late(store):
    """Wait until the deadline of a store has passed, and the ticker has seen that."""
    pending = ctypes.c_uint32.from_address(store.address + EXEC.offset("pending"))
    store.set_deadline(0.001)
    while not pending.value & PENDING_BITS["deadline"]:
        time.sleep(0.001)


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
@pytest.mark.parametrize(("stop", "error"), [(interrupted, Interrupted), (late, DeadlineExceeded)])
def test_a_growth_of_a_table_ends_midway(tier, stop, error):
    """The table has its old length then, and the instance is poisoned, as after every call that was abandoned."""
    store = Store(Engine(tier=tier))
    linker = Linker(store.engine)
    linker.define("e", "stop", lambda: stop(store))
    instance = linker.instantiate(store, Module(GROW, engine=store.engine))
    with pytest.raises(error):
        instance.exports.grow()
    assert len(instance.exports.table) == 1
    with pytest.raises(InstancePoisoned):
        instance.exports.grow()


def grown_from_a_handler():
    """What a guest got for its growth during which a signal handler grew the same table, and the length then."""
    many = 40_000_000  # several ticks, even where memory is fast
    store = Store(Engine(), limits=StoreLimits(table_elements=2 * many))
    text = GROW.replace("(call $stop)", "").replace("9000000", str(many))
    instance = load(text, store=store, imports={"e": {"stop": print}})
    table = instance.exports.table
    with alarm(0.002, act=lambda: table.grow(3)), store:
        return instance.exports.grow(), len(table), many


@pytest.mark.trace_slow  # forty million elements, a line at a time
def test_what_grows_a_table_while_it_grows_wins():
    """The elements of a signal handler stay, and the guest's growth is refused."""
    for _ in range(10):
        grown, length, many = grown_from_a_handler()
        if grown == -1:
            break
        assert (grown, length) in ((1, many + 1), (4, many + 4))  # the signal came too late, or too early
    assert (grown, length) == (-1, 4)


SHARED = """(module (import "e" "t" (table $t 0 10000000 externref)) (import "e" "stop" (func $stop))
  (func (export "grow") (param externref i32) (result i32)
    (call $stop) (table.grow $t (local.get 0) (local.get 1)))
  (func (export "grow_null") (param i32) (result i32) (table.grow $t (ref.null extern) (local.get 0)))
  (func (export "first") (result i32) (local $i i32)
    (block (loop
      (br_if 1 (i32.ge_u (local.get $i) (table.size $t)))
      (br_if 1 (i32.eqz (ref.is_null (table.get $t (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br 0)))
    (local.get $i)))
"""


class Secret:
    """What a guest was given, and another not."""


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
@pytest.mark.parametrize("stop", [interrupted, late])
def test_a_growth_that_ends_midway_leaves_nothing_behind_the_length(tier, stop):
    """Another instance grows the shared table by null and sees nulls, whose handle the reference's number now is."""
    store = Store(Engine(tier=tier))
    linker = Linker(store.engine)
    table = Table.new(store, EXTERNREF, 0, 10_000_000)
    linker.define("e", "t", table)
    linker.define("e", "stop", lambda: stop(store))
    module = Module(SHARED, engine=store.engine)
    first, second = (linker.instantiate(store, module) for _ in range(2))
    with pytest.raises((Interrupted, DeadlineExceeded)):
        first.exports.grow(Secret(), 9_000_000)
    store.set_deadline(None)
    assert len(table) == 0
    assert store.gc() == 1
    kept = Secret()
    store.extern_to_raw(kept)
    count = 1 << 17 if tier != "oracle" else 1 << 10
    assert second.exports.grow_null(count) == 0
    assert second.exports.first() == count == len(table)


@pytest.mark.parametrize("by", [None, Secret])
def test_a_growth_inside_of_a_growth_shows_what_it_says(by):
    """Nulls where it said null, although the outer one has written there already; the outer one is refused."""
    store = Store(Engine())
    table = Table.new(store, EXTERNREF, 0, 1 << 20)
    inner = [None if by is None else by()]
    outcomes = []

    def handler(*_):
        if not outcomes:
            outcomes.append(table.grow(100_000, inner[0]))
            outcomes.append([table[i] is inner[0] for i in range(0, 100_000, 1000)])

    class Nested:
        """A host function's call, from which the growth polls."""

    def outer():
        store.request_tick()
        _thread.interrupt_main()
        return table.extend(1 << 20, store.extern_to_raw(Nested()))

    before = signal.signal(signal.SIGINT, handler)
    try:
        function = Func.from_callable(store, FuncType((), (I32,)), outer)
        assert function() in (-1, 100_000)
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcomes[0] == 0 and all(outcomes[1])
    assert len(table) in (100_000, 100_000)
    assert table.grow(1000) == 100_000
    assert {table[100_000 + i] for i in range(1000)} == {None}


def test_a_refused_growth_takes_nothing():
    """A limiter that raises after it was asked, and a budget that is full."""
    store = Store(Engine(), limits=StoreLimits(total_bytes=1 << 20))
    table = Table.new(store, EXTERNREF, 0, 1 << 20)
    held = store.bytes_held
    assert table.grow(1 << 18, Secret()) == -1
    assert len(table) == 0 and store.bytes_held == held + 128
    assert table.grow(1) == 0 and table[0] is None


STOPPED = {
    "memory_fill": "(memory.fill (i32.const 0) (i32.const 1) (i32.const 3000000))",
    "memory_copy": "(memory.copy (i32.const 8) (i32.const 0) (i32.const 3000000))",
    "memory_init": "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 3000000))",
    "table_fill": "(table.fill $t (i32.const 0) (ref.null func) (i32.const 2000000))",
    "table_copy": "(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 1999999))",
    "table_init": "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 200000))",
}


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
@pytest.mark.parametrize("name", STOPPED)
def test_every_bulk_operation_polls_on_every_tier(tier, name):
    """An interrupt that came just before it is met between two of its parts."""
    data = "x" * 3_000_000 if name == "memory_init" else ""
    items = "0 " * 200_000 if name == "table_init" else ""
    store = Store(Engine(tier=tier))
    text = f"""(module (import "e" "stop" (func $stop)) (memory 60) (table $t 2000000 funcref) (elem $e func {items})
      (data $d "{data}") (func (export "run") (call $stop) {STOPPED[name]}))"""
    instance = load(text, {"e": {"stop": lambda: interrupted(store)}}, store=store)
    with pytest.raises(Interrupted):
        instance.exports.run()
    with pytest.raises(InstancePoisoned):
        instance.exports.run()


@pytest.mark.parametrize("tier", ["oracle", "jit0"])
@pytest.mark.parametrize(("to", "origin"), [(5, 0), (0, 5)])
def test_a_copy_of_a_table_in_parts_is_a_copy(tier, to, origin):
    """Ranges that overlap either way."""
    n = 10_000
    text = f"""(module (table (export "t") {n + 5} externref)
      (func (export "copy") (table.copy (i32.const {to}) (i32.const {origin}) (i32.const {n}))))"""
    instance = load(text, store=Store(Engine(tier=tier)))
    table = instance.exports.t
    expected = [Secret() if i % 100 == 0 else None for i in range(n + 5)]
    for i, thing in enumerate(expected):
        table[i] = thing
    instance.exports.copy()
    expected[to : to + n] = expected[origin : origin + n]
    assert [table[i] for i in range(n + 5)] == expected
