"""Claims about references, memories of every kind and exceptions under each tier, pass and policy, in images, and
across suspensions.
"""

import asyncio
from functools import cache

import pytest

from stratavm import Engine, Linker, Module, Store, Tag, Trap, WasmException
from tests.fuzz.oracles import engines

NAMES = list(engines())
REFERENCES = """(module
  (type $op (func (param i32 i32) (result i32)))
  (func $add (type $op) (i32.add (local.get 0) (local.get 1)))
  (func $sub (type $op) (i32.sub (local.get 0) (local.get 1)))
  (func $mul (type $op) (i32.mul (local.get 0) (local.get 1)))
  (table $t 4 (ref null $op)) (elem (table $t) (i32.const 0) (ref null $op)
    (ref.func $add) (ref.func $sub) (ref.func $mul) (ref.null $op))
  (func (export "rounds") (param $n i32) (result i32) (local $sum i32) (local $f (ref $op)) (local $last (ref null $op))
    (local.set $f (ref.func $add))
    (loop $again
      (block $null
        (local.set $f (br_on_null $null (table.get $t (i32.and (local.get $n) (i32.const 3)))))
        (local.set $last (local.get $f)))
      (local.set $sum (call_ref $op (local.get $sum) (local.get $n) (local.get $f)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call_ref $op (local.get $sum) (i32.const 1) (local.get $last)))
  (func (export "until_null") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum
        (call_ref $op (local.get $sum) (i32.const 1) (table.get $t (i32.and (local.get $n) (i32.const 3)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"""
MEMORIES = """(module (memory $a (export "a") 1) (memory $b (export "b") 1 1)
  (data (memory $b) (i32.const 0) "\\01\\02\\03\\04")
  (func (export "rounds") (param $n i32) (result i32) (local $at i32)
    (loop $again
      (i32.store $a offset=4 (local.get $at) (i32.add (i32.load $b (local.get $at)) (local.get $n)))
      (i32.store $b offset=4 (local.get $at) (i32.add (i32.load $a offset=4 (local.get $at)) (i32.const 1)))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.sub (i32.load $b (local.get $at)) (i32.load $a (local.get $at))))
  (func (export "beyond") (param $n i32) (result i32)
    (loop $again
      (drop (i32.load $a (local.get $n)))
      (drop (i32.load $b (i32.shl (local.get $n) (i32.const 4))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $again)) (unreachable)))"""


PLACES = """(module (memory $a (export "a") i64 1 4) (memory $b (export "b") 1000 2000 (pagesize 1))
  (table $t i64 4 funcref) (elem (table $t) (i64.const 1) func $one)
  (func $one (result i32) (i32.const 1))
  (func (export "rounds") (param $n i64) (result i64) (local $i i64) (local $sum i64)
    (loop $again
      (i64.store offset=8 (i64.shl (local.get $i) (i64.const 3)) (i64.mul (local.get $i) (i64.const 3)))
      (i32.store8 $b (i32.wrap_i64 (local.get $i)) (i32.wrap_i64 (local.get $i)))
      (drop (i32.atomic.rmw.add offset=32768 (i64.const 0) (call_indirect $t (result i32) (i64.const 1))))
      (local.set $sum (i64.add (local.get $sum)
        (i64.add (i64.load (i64.shl (local.get $i) (i64.const 3)))
          (i64.load8_u $b (i32.wrap_i64 (local.get $i))))))
      (br_if $again (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (i64.add (local.get $sum) (i64.load32_u offset=32768 (i64.const 0))))
  (func (export "beyond") (param $step i64) (result i64) (local $at i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (i64.load8_u offset=7 (local.get $at))))
      (local.set $at (i64.add (local.get $at) (local.get $step)))
      (br $again)) (unreachable))
  (func (export "past") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u $b (local.get $i))))
      (br_if $again (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))"""
EXCEPTIONS = """(module
  (tag $odd (export "odd") (param i32 i64 f64)) (tag $three) (tag $five (param f32))
  (global $steps (export "steps") (mut i32) (i32.const 0)) (memory (export "memory") 1)
  (func $throw (param $n i32) (result i32 i64 f64)
    (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
    (i32.store (i32.const 8) (local.get $n))
    (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 3))) (then (throw $three)))
    (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 5)))
      (then (throw $five (f32.convert_i32_u (local.get $n)))))
    (if (i32.and (local.get $n) (i32.const 1))
      (then (throw $odd (local.get $n) (i64.const -3) (f64.const 0.5))))
    (local.get $n) (i64.const 4) (f64.const 0.25))
  (func $deep (param $n i32) (param $d i32) (result i32 i64 f64)
    (if (local.get $d) (then (return (call $deep (local.get $n) (i32.sub (local.get $d) (i32.const 1))))))
    (call $throw (local.get $n)))
  (func $passes (param $n i32) (result i32 i64 f64)
    (try (do (return (call $deep (local.get $n) (i32.const 3))))
      (catch $five (drop) (rethrow 0)))
    (unreachable))
  (func (export "rounds") (param $n i32) (result i32 i64 f64)
    (local $i i32) (local $sum i32) (local $wide i64) (local $far f64) (local $kind i32) (local $kept i64)
    (loop $again
      (local.set $kept (i64.mul (i64.extend_i32_u (local.get $i)) (i64.const 1000003)))
      (block $done
        (block $others (result exnref)
          (block $odd (result i32 i64 f64)
            (try_table (catch $odd $odd) (catch_all_ref $others)
              (local.set $kind (i32.const 1))
              (call $passes (local.get $i))
              (local.set $far (f64.add (local.get $far)))
              (local.set $wide (i64.add (local.get $wide)))
              (local.set $sum (i32.add (local.get $sum)))
              (local.set $kind (i32.const 2)))
            (br $done))
          (local.set $far (f64.add (local.get $far)))
          (local.set $wide (i64.add (local.get $wide)))
          (local.set $sum (i32.add (local.get $sum)))
          (local.set $wide (i64.add (local.get $wide) (local.get $kept)))
          (br $done))
        (block $three (param exnref)
          (block $five (param exnref) (result f32)
            (try_table (param exnref) (catch $three $three) (catch $five $five) (throw_ref))
            (unreachable))
          (i32.trunc_f32_s) (local.set $sum (i32.add (local.get $sum)))
          (local.set $kind (i32.add (local.get $kind) (i32.load (i32.const 8))))
          (br $done))
        (local.set $sum (i32.sub (local.get $sum) (i32.const 1))))
      (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $kind) (i32.const 1000))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $sum) (local.get $wide) (local.get $far))
  (func (export "out") (param $n i32) (call $passes (local.get $n)) (drop) (drop) (drop)))"""


@cache
def made():
    """All variants."""
    return engines()


def wanted(n, table=(lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, None)):
    """What ``rounds`` of references gives."""
    total, last = 0, table[0]
    for k in range(n, 0, -1):
        last = table[k & 3] or last
        total = last(total, k) & 0xFFFFFFFF
    return (last(total, 1) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)


def references_hold(exports):
    """Rounds enough for any policy to lift."""
    for n in (1, 5, 37):
        assert exports.rounds(n) == wanted(n)
    with pytest.raises(Trap) as caught:
        exports.until_null(9)
    assert caught.value.kind == "null_function"


def memories_hold(exports):
    """What one round stores in one memory is what the next one finds in the other."""
    assert exports.rounds(40) == 1
    total = 0x04030201
    for k in range(40, 0, -1):
        total += k + 1
        at = 4 * (41 - k)
        assert exports.b.unpack("<I", at) == (total,) and exports.a.unpack("<I", at) == (total - 1,)
    with pytest.raises(Trap) as caught:
        exports.beyond(0)
    assert caught.value.kind == "memory_out_of_bounds"


def places_hold(exports):
    """Sums of what was stored a round before; the first byte behind each memory, and one that wraps, are out of it."""
    n = 60
    for rounds in (1, 2):
        assert exports.rounds(n) == sum(3 * (i - 1) for i in range(1, n)) + sum(range(n)) + rounds * n
    assert exports.past(999) == sum(range(n))
    for action in (
        lambda: exports.past(1000),
        lambda: exports.beyond(100),
        lambda: exports.beyond(1 << 62),
        lambda: exports.beyond(-8),
    ):
        with pytest.raises(Trap) as caught:
            action()
        assert caught.value.kind == "memory_out_of_bounds"


def caught(n):
    """What ``rounds`` of exceptions gives: sums of payloads, and of locals as they were at the calls that threw."""
    total, wide, far = 0, 0, 0.0
    for i in range(n):
        kind = 1
        if i % 3 == 0:
            total -= 1
        elif i % 5 == 0:
            total, kind = total + i, 1 + i
        elif i & 1:
            total, wide, far = total + i, wide - 3 + i * 1000003, far + 0.5
        else:
            total, wide, far, kind = total + i, wide + 4, far + 0.25, 2
        total += kind * 1000
    return total, wide, far


def exceptions_hold(exports):
    """Each way out of a call, many times over; and out of the guest."""
    exports.steps.value = 0
    for n in (1, 7, 40):
        assert exports.rounds(n) == caught(n)
    assert exports.steps.value == 1 + 7 + 40
    with pytest.raises(WasmException) as raised:
        exports.out(7)
    assert raised.value.tag is exports.odd and raised.value.values == (7, -3, 0.5)


HOLD = {
    "references": (REFERENCES, references_hold),
    "memories": (MEMORIES, memories_hold),
    "places": (PLACES, places_hold),
    "exceptions": (EXCEPTIONS, exceptions_hold),
}


@pytest.mark.parametrize("what", HOLD)
@pytest.mark.parametrize("name", NAMES)
def test_every_variant_runs_them_alike(name, what):
    """Each register allocator, plan and pass; lifting at once, after a call, by chance, and midway in a loop."""
    text, hold = HOLD[what]
    engine = made()[name]
    module = Module(text, engine=engine)
    for _ in range(2):  # what the first instance has lifted is there for the second
        hold(Linker(engine).instantiate(Store(engine), module).exports)


@pytest.mark.parametrize("what", HOLD)
@pytest.mark.parametrize("name", ["jit0", "jit1", "auto 0", "auto 1", "auto loops 1", "auto random"])
def test_images_have_them(name, what):
    """Their code is what is run, or lifted."""
    text, hold = HOLD[what]
    engine = made()[name]
    data = Module.build(text, Engine(engine.config)).serialize()
    hold(Linker(engine).instantiate(Store(engine), Module.deserialize(data, engine)).exports)


WAITING = """(module
  (type $op (func (param i32) (result i32)))
  (import "h" "pick" (func $pick (param (ref $op)) (result (ref null $op))))
  (memory 1) (memory $other (export "other") i64 1)
  (func $inc (export "inc") (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $dec (export "dec") (type $op) (i32.sub (local.get 0) (i32.const 1)))
  (func (export "f") (param $n i32) (result i32) (local $f (ref $op)) (local $sum i32)
    (local.set $f (ref.func $dec))
    (loop $again
      (i32.store $other (i64.const 8) (local.get $n))
      (drop (call $pick (ref.func $inc)))
      (local.set $sum (i32.add (local.get $sum) (i32.load $other (i64.const 8))))
      (local.set $sum (call_ref $op (local.get $sum) (local.get $f)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call_ref $op (local.get $sum) (call $pick (local.get $f)))))"""


@pytest.mark.parametrize("name", ["jit0", "jit1", "auto 0", "auto 1", "auto loops 1", "auto random"])
def test_they_are_there_after_a_suspension(name):
    """A reference in a local outlives it, one that the host function gives is called, memories are as they were."""
    engine = made()[name]
    given = []

    async def pick(function):
        await asyncio.sleep(0)
        given.append(function)
        return exports.inc if len(given) < 11 else None

    async def main():
        found = await exports.f.call_async(4)
        assert found == 4 + 3 + 2 + 1 - 4 + 1
        assert given == [exports.inc] * 4 + [exports.dec]
        with pytest.raises(Trap, match="null function reference"):
            await exports.f.call_async(5)

    linker = Linker(engine)
    linker.define("h", "pick", pick)
    exports = linker.instantiate(Store(engine), Module(WAITING, engine=engine)).exports
    asyncio.run(main())


THROWING = """(module
  (import "h" "wait" (func $wait (param i32) (result i32)))
  (import "h" "tag" (tag $e (param i32)))
  (func $inner (param $n i32) (result i32)
    (try_table (result i32) (catch $e 0)
      (i32.add (call $wait (local.get $n)) (i32.const 100))))
  (func (export "f") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $inner (local.get $n))))
      (block $h (result i32)
        (try_table (result i32) (catch $e $h)
          (drop (call $wait (i32.const 2)))
          (throw $e (i32.mul (local.get $sum) (i32.const 2)))))
      (local.set $sum)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "all") (result i32)
    (block $h (try_table (catch_all $h) (drop (call $wait (i32.const -1))))) (i32.const 5)))"""


@pytest.mark.parametrize("name", ["jit0", "jit1", "auto 0", "auto 1", "auto loops 1", "auto random"])
def test_exceptions_pass_suspensions(name):
    """A guest catches what a host function raises after it has waited, and what it throws itself after that; any other
    error ends the call."""
    engine = made()[name]
    store = Store(engine)
    tag = Tag.new(store, ["i32"])

    async def wait(n):
        await asyncio.sleep(0)
        if n < 0:
            raise ValueError("not a guest's")
        if n & 1:
            raise WasmException(tag, (n,))
        return n

    async def main():
        total = 0
        for n in range(5, 0, -1):
            total = 2 * (total + (n if n & 1 else n + 100))
        assert await exports.f.call_async(5) == total
        with pytest.raises(ValueError, match="not a guest's"):
            await exports.all.call_async()
        assert await exports.f.call_async(1) == 2

    linker = Linker(engine)
    linker.define("h", "tag", tag)
    linker.define("h", "wait", wait)
    exports = linker.instantiate(store, Module(THROWING, engine=engine)).exports
    asyncio.run(main())
