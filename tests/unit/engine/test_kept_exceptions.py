"""Exceptions that guests keep by reference: those that they drop go, inside of a call as well; those that somebody
holds stay what they are, wherever they are held."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

import stratavm
from stratavm import (
    Config,
    Engine,
    Linker,
    Module,
    ResourceLimit,
    Store,
    StoreBusy,
    StoreLimits,
    Tag,
    Unsupported,
    WasmException,
)
from stratavm.base import switches
from stratavm.native.compile import ModuleCompiler

WAYS = ["oracle", "jit0", "jit1", "auto"]
FEW = 40
"""So many handles a store may have: what is dropped has to go again and again."""

CLEAN_UP = """
  (tag $e (param i32))
  (func $throw (param i32) (throw $e (local.get 0)))
  (func $body (param i32) (result i32)  ;; a destructor's: clean up, go on throwing
    (block $c (result exnref)
      (try_table (catch_all_ref $c) (call $throw (local.get 0)))
      (return (i32.const 0)))
    (throw_ref))
  (func $many (export "many") (param $n i32) (result i32) (local $sum i32)
    (loop $l
      (block $h (result i32)
        (try_table (result i32) (catch $e $h) (call $body (local.get $n))))
      (local.set $sum (i32.add (local.get $sum)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $value (param exnref) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $e $h) (throw_ref (local.get 0)))))
  (func $keep (param i32) (result exnref)
    (block $c (result exnref) (try_table (catch_all_ref $c) (call $throw (local.get 0))) (unreachable)))
"""
GUEST = f"""(module
  (import "env" "host" (func $host (param i32) (result i32)))
  {CLEAN_UP}
  (global $level (mut exnref) (ref.null exn))
  (table $kept 8 exnref)
  (tag $pair (param exnref i32))
  (func (export "frames") (param $n i32) (result i32) (local $mine exnref)
    (if (i32.eqz (local.get $n)) (then (return (i32.mul (i32.const 0) (call $many (i32.const 300))))))
    (local.set $mine (call $keep (local.get $n)))
    (i32.add (call $frames (i32.sub (local.get $n) (i32.const 1))) (call $value (local.get $mine))))
  (func $frames (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.mul (i32.const 0) (call $many (i32.const 300))))))
    (call $keep (local.get $n))
    (call $under (i32.sub (local.get $n) (i32.const 1))))
  (func $under (param exnref i32) (result i32)
    (i32.add (call $frames (local.get 1)) (call $value (local.get 0))))
  (func (export "places") (result i32)
    (global.set $level (call $keep (i32.const 1)))
    (table.set $kept (i32.const 5) (call $keep (i32.const 20)))
    (drop (call $many (i32.const 300)))
    (i32.add (call $value (global.get $level)) (call $value (table.get $kept (i32.const 5)))))
  (func (export "inside") (result i32) (local $n i32)
    (block $h (result exnref i32)
      (try_table (catch $pair $h) (throw $pair (call $keep (i32.const 7)) (i32.const 100)))
      (unreachable))
    (local.set $n)
    (drop (call $many (i32.const 300)))
    (i32.add (call $value) (local.get $n)))
  (func (export "inside kept") (result i32) (local $x exnref)
    (local.set $x (block $h (result exnref)
      (try_table (catch_all_ref $h) (throw $pair (call $keep (i32.const 7)) (i32.const 100)))
      (unreachable)))
    (drop (call $many (i32.const 300)))
    (block $h (result exnref i32)
      (try_table (catch $pair $h) (throw_ref (local.get $x)))
      (unreachable))
    (drop) (call $value) (i32.const 100) (i32.add))
  (func (export "over host") (param i32) (result i32) (local $mine exnref)
    (local.set $mine (call $keep (local.get 0)))
    (i32.add (call $host (local.get 0)) (call $value (local.get $mine))))
  (func (export "hold") (param $n i32) (local $i i32)
    (drop (table.grow $kept (ref.null exn) (local.get $n)))
    (loop $l
      (table.set $kept (local.get $i) (call $keep (local.get $i)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
)"""


class Guest:
    """An instance of ``GUEST`` in a store with room for few handles."""

    def __init__(self, tier: str, host=lambda number: number) -> None:
        self.engine = Engine(Config(tier=tier))
        self.store = Store(self.engine, limits=StoreLimits(handles=FEW))
        self.host = host
        linker = Linker(self.engine)
        linker.define("env", "host", lambda number: self.host(number))
        self.exports = linker.instantiate(self.store, Module(GUEST, engine=self.engine)).exports


@pytest.fixture(params=WAYS)
def guest(request):
    """The guest on each tier."""
    return Guest(request.param)


@pytest.mark.trace_slow
@pytest.mark.parametrize("tier", WAYS)
def test_a_million_clean_ups_take_no_memory(tier, resident):
    """What C++ destructors compile to, in one call: each exception is kept by reference and thrown again."""
    count = 3_000 if tier == "oracle" else 1_000_000
    engine = Engine(tier=tier)
    store = Store(engine)
    many = Linker(engine).instantiate(store, Module(f"(module {CLEAN_UP})", engine=engine)).exports["many"]
    assert many(4_000 if tier != "oracle" else 300) > 0
    before, held = resident(), store.bytes_held
    assert many(count) == (count * (count + 1) // 2 + (1 << 31)) % (1 << 32) - (1 << 31)
    assert resident() - before < 4 << 20
    assert store.bytes_held - held < 2 << 20


@pytest.fixture
def resident():
    """Bytes of memory that the process has."""

    def read() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    return read


def test_what_frames_hold_stays(guest):
    """In locals and below the arguments of calls, thirty deep, while three hundred others come and go."""
    assert guest.exports["frames"](30) == 30 * 31 // 2


def test_what_tables_and_globals_hold_stays(guest):
    """And goes with the call that overwrites it."""
    for _ in range(3):
        assert guest.exports["places"]() == 21


def test_what_an_exception_holds_stays(guest):
    """As a value of one that is in flight, and of one that is kept."""
    for _ in range(3):
        assert guest.exports["inside"]() == 107
        assert guest.exports["inside kept"]() == 107


def test_a_value_gets_its_number_again_where_all_are_taken(guest):
    """Those of dropped exceptions fill the table as one is thrown again whose value is another. Four suffice, but for a
    word that a call has left on the stack and that looks like one."""
    linker = Linker(guest.engine)
    linker.define("env", "host", lambda number: number)
    module = Module(GUEST, engine=guest.engine)
    for handles in range(5, 16):
        store = Store(guest.engine, limits=StoreLimits(handles=handles))
        exports = linker.instantiate(store, module).exports
        for _ in range(3):
            assert exports["inside kept"]() == 107
            assert exports["inside"]() == 107


def test_what_a_guest_below_a_host_function_holds_stays(guest):
    """Calls of the host above it, twelve deep, drop what they kept, and nothing of the others."""

    def host(number):
        return guest.exports["over host"](number - 1) if number else guest.exports["many"](300) * 0

    guest.host = host
    assert guest.exports["over host"](12) == 12 * 13 // 2


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
@pytest.mark.parametrize("odd", [0, 1])
def test_frames_of_several_tiers_hold_theirs(tier, odd, monkeypatch):
    """Every other function is of no kind that the compiler knows, and runs on the oracle."""
    original = ModuleCompiler.by

    def by(self, index, *rest):
        if index % 2 == odd:
            raise Unsupported("no rule for this row", feature="imaginary")
        return original(self, index, *rest)

    monkeypatch.setattr(ModuleCompiler, "by", by)
    guest = Guest(tier)
    guest.host = lambda n: guest.exports["over host"](n - 1) if n else guest.exports["many"](300) * 0
    assert guest.exports["over host"](12) == 12 * 13 // 2
    assert guest.exports["frames"](12) == 12 * 13 // 2
    assert guest.exports["places"]() == 21
    assert guest.exports["inside"]() == guest.exports["inside kept"]() == 107


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
def test_what_a_suspended_guest_holds_stays(tier):
    """On its own stack, while calls of its host function throw and drop."""
    engine = Engine(Config(tier=tier))
    store = Store(engine, limits=StoreLimits(handles=FEW))
    linker = Linker(engine)
    found = []

    async def host(number):
        await asyncio.sleep(0)
        if number % 2:
            return await found[0]["over host"].call_async(number - 1)
        return found[0]["many"](300) * 0 + (found[0]["frames"](number) if number < 8 else 0)

    linker.define("env", "host", host)
    found.append(linker.instantiate(store, Module(GUEST, engine=engine)).exports)
    for number in (3, 5, 8):
        below = number - 1 if number % 2 else 0
        expected = number + below + sum(range((below or number) + 1 if (below or number) < 8 else 0))
        assert asyncio.run(found[0]["over host"].call_async(number)) == expected


def test_what_is_held_is_too_much_at_the_limit(guest):
    """The text says what the handles are, and what allows more."""
    with pytest.raises(ResourceLimit, match=rf"guests hold {FEW} exceptions \(each .*handles={FEW + 1}\) allows one"):
        guest.exports["hold"](FEW + 1)
    thing = object()
    store = Store(guest.engine, limits=StoreLimits(handles=3))
    for _ in range(3):
        store.extern_to_raw([thing])
    with pytest.raises(ResourceLimit, match="guests hold 3 Python objects, the limit"):
        store.extern_to_raw(thing)


def test_the_budget_is_of_what_is_held(guest):
    """A megabyte, and a thousand values each: what guests drop makes room, in a call of ten thousand."""
    types = "i64 " * 900
    text = f"""(module
      (type $many (func (result {types}))) (tag $e (param {types})) (tag $f)
      (func $values (type $many) {"(i64.const 1) " * 900})
      (func (export "run") (param $n i32)
        (loop $l
          (drop (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e (call $values))) (unreachable)))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""
    store = Store(guest.engine, limits=StoreLimits(total_bytes=1 << 20))
    run = Linker(guest.engine).instantiate(store, Module(text, engine=guest.engine)).exports["run"]
    run(300)
    assert store.bytes_held < 1 << 20


class Thing:
    """What a guest may hold."""


def test_what_was_thrown_last_goes_when_the_call_ends(guest):
    """Values of it, and what Python raised it with."""
    things = [Thing(), Thing()]
    alive = [weakref.ref(thing) for thing in things]
    tag = Tag.new(guest.store, ["externref"])

    def raises():
        local = things.pop()
        raise WasmException(tag, [things.pop() if local else None])

    text = """(module (import "m" "t" (tag $t (param externref))) (import "m" "h" (func $h))
      (func (export "run") (drop (block $b (result externref) (try_table (catch $t $b) (call $h)) (unreachable)))))"""
    linker = Linker(guest.engine)
    linker.define("m", "t", tag)
    linker.define("m", "h", raises)
    linker.instantiate(guest.store, Module(text, engine=guest.engine)).exports["run"]()
    guest.store.gc()
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert not guest.store.busy


def test_what_runs_as_dropped_exceptions_go_may_keep_some_itself(guest):
    """A local of the function that raised calls the guest as it goes, which throws, keeps and drops: each value is its
    own. The oracle frees nothing where it lets go of a local: that is in the midst of its step."""
    store = Store(guest.engine, limits=StoreLimits(handles=400 if guest.engine.config.tier == "oracle" else FEW))
    tag = Tag.new(store, ["i32"])
    seen = []

    class Resource:
        def __init__(self, number):
            self.number = number

        def __del__(self):
            if len(seen) < 200:
                seen.append((self.number, exports["once"](self.number)))

    def host(number):
        local = Resource(number)
        raise WasmException(tag, [number if local else 0])

    text = """(module (import "m" "t" (tag $t (param i32))) (import "m" "h" (func $h (param i32)))
      (func $throw (param i32) (throw $t (local.get 0)))
      (func $value (param exnref) (result i32)
        (block $b (result i32) (try_table (catch $t $b) (throw_ref (local.get 0))) (unreachable)))
      (func $once (export "once") (param i32) (result i32)
        (call $value (block $b (result exnref)
          (try_table (catch_all_ref $b) (call $throw (local.get 0))) (unreachable))))
      (func (export "run") (param $n i32) (result i32) (local $sum i32) (local $x exnref)
        (loop $l
          (local.set $x (block $b (result exnref)
            (try_table (catch_all_ref $b) (call $h (local.get $n))) (unreachable)))
          (local.set $sum (i32.add (local.get $sum) (call $value (local.get $x))))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"""
    linker = Linker(guest.engine)
    linker.define("m", "t", tag)
    linker.define("m", "h", host)
    exports = linker.instantiate(store, Module(text, engine=guest.engine)).exports
    assert exports["run"](150) == 150 * 151 // 2
    assert len(seen) > 60
    assert all(number == found for number, found in seen)


def test_a_finaliser_that_runs_as_another_exception_goes_takes_no_value_of_what_is_thrown(guest):
    """What Python raised last goes at the next throw, and with it something that calls the guest, which keeps so many
    exceptions that those are looked at: what is thrown just then lies in nobody's frame."""
    store = Store(guest.engine, limits=StoreLimits(handles=60))
    ran = []

    class Resource:
        def __del__(self):
            ran.append(exports["many"](3000))

    def host():
        error = WasmException(exports["e"], (1,))
        error.resource = Resource()
        raise error

    text = f"""(module (import "m" "h" (func $raise)) {CLEAN_UP} (export "e" (tag $e)) (tag $pair (param exnref i32))
      (func $thrower (param i32) (throw $pair (call $keep (local.get 0)) (i32.const 100)))
      (func (export "go") (result i32) (local $x exnref)
        (local.set $x (block $h (result exnref)
          (try_table (catch_all_ref $h) (call $thrower (i32.const 9))) (unreachable)))
        (drop (call $many (i32.const 3000)))
        (block $c (try_table (catch_all $c) (call $raise)))
        (block $h (result exnref i32) (try_table (catch $pair $h) (throw_ref (local.get $x))) (unreachable))
        (drop) (call $value)))"""
    linker = Linker(guest.engine)
    linker.define("m", "h", host)
    exports = linker.instantiate(store, Module(text, engine=guest.engine)).exports
    assert exports["go"]() == 9
    assert len(ran) <= 1  # the oracle frees nothing in the midst of a step, so that the finaliser finds no room there


@pytest.mark.trace_slow  # and where lines are traced, the collector runs elsewhere
@pytest.mark.parametrize("tier", WAYS)
def test_a_collector_that_runs_as_an_exception_is_kept_takes_none_of_its_values(tier):
    """A callback of Python's collector calls the guest, which fills a table with exceptions, wherever that may be."""
    engine = Engine(Config(tier=tier))
    store = Store(engine, limits=StoreLimits(handles=130))
    raised, inside, found = [], [], set()

    def host():
        raise raised[0]

    def callback(phase, info):
        if phase == "start" and inside == [False]:
            inside[0] = True
            with contextlib.suppress(ResourceLimit, StoreBusy):  # also while handles are looked for
                exports["fill"](77)
            inside[0] = False

    text = f"""(module (import "m" "h" (func $raise)) {CLEAN_UP} (tag $pair (param exnref i32)) (table $fill 60 exnref)
      (func (export "fill") (param $k i32) (local $i i32)
        (loop $l
          (table.set $fill (local.get $i) (call $keep (local.get $k)))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50)))))
      (func (export "out") (param i32) (throw $pair (call $keep (local.get 0)) (i32.const 100)))
      (func (export "go") (result i32) (local $y exnref)
        (block $h (result exnref i32 exnref) (try_table (catch_ref $pair $h) (call $raise)) (unreachable))
        (drop) (drop) (local.set $y) (call $value (local.get $y))))"""
    linker = Linker(engine)
    linker.define("m", "h", host)
    exports = linker.instantiate(store, Module(text, engine=engine)).exports
    gc.callbacks.append(callback)
    try:
        for turn in range(60):
            with pytest.raises(WasmException) as error:
                exports["out"](9)
            raised[:] = [error.value.with_traceback(None)]
            exports["fill"](55)
            exports["many"](130 + turn)
            gc.set_threshold(1 + turn % 9)
            inside[:] = [False]
            try:
                found.add(exports["go"]())
            except ResourceLimit:  # the oracle: in the midst of a step all is held
                assert tier == "oracle"
            finally:
                inside.clear()
                gc.set_threshold(700, 10, 10)
    finally:
        gc.callbacks.remove(callback)
    assert found == {9}


def test_the_host_keeps_what_it_caught(guest):
    """Though the guest's references to it are gone, and others have their numbers."""
    kept = []

    def host(number):
        try:
            raise_it(number)
        except WasmException as error:
            kept.append(error)
        return guest.exports["many"](100) * 0

    text = """(module (tag $t (export "t") (param i32)) (func (export "raise") (param i32)
      (drop (block $b (result exnref) (try_table (catch_all_ref $b) (throw $t (local.get 0))) (unreachable)))
      (throw $t (local.get 0))))"""
    raise_it = Linker(guest.engine).instantiate(guest.store, Module(text, engine=guest.engine)).exports["raise"]
    guest.host = host
    for number in range(20):
        assert guest.exports["over host"](number) == number
    assert [error.values for error in kept] == [(n,) for n in range(20)]


@pytest.mark.skipif(switches.CHECK.value() >= 2, reason="then it is asked at each")
def test_it_was_worth_a_look_only_now_and_then():
    """Who holds exceptions is asked once in a thousand, not at each."""
    engine = stratavm.Engine(tier="jit1")
    store = Store(engine)
    many = Linker(engine).instantiate(store, Module(f"(module {CLEAN_UP})", engine=engine)).exports["many"]
    held = store.bytes_held
    many(1_000)
    assert store.bytes_held > held
    many(3_000)
    assert store.bytes_held - held < 2_100 * (128 + 144)
