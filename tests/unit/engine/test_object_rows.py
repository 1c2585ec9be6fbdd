"""Rows of arrays that machine code asks for without the GIL: they do what the interpreter does, at its price."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from stratavm import Config, Engine, GcConfig, GcConstants, InstancePoisoned, Module, OutOfFuel, Store, Trap
from stratavm.engine import Linker
from stratavm.engine.instance import Instance
from stratavm.tiers.oracle import objects, protocols, single

TIERS: Final = ("oracle", "jit0", "jit1", "auto")
MACHINE: Final = TIERS[1:]
OFTEN: Final = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=20, factor=0.01))
KINDS: Final = {"i8": "i32", "i16": "i32", "i32": "i32", "i64": "i64", "f32": "f32", "f64": "f64"}
VALUE: Final = 0x0102_0304_0506_0708
LONG: Final = 1 << 17
"""Bytes that nobody writes without a poll."""


def of_numbers(kind: str) -> str:
    """Rows of an array of numbers: what they leave is weighed, element by element."""
    value = KINDS[kind]
    get = f"array.get{'_u' if kind in ('i8', 'i16') else ''} $a"
    to_i64 = {
        "i32": "i64.extend_i32_u",
        "i64": "i64.add (i64.const 0)",
        "f32": "i64.trunc_sat_f32_s",
        "f64": "i64.trunc_sat_f64_s",
    }[value]
    given = f"({value}.const {VALUE & 0xFFFF_FFFF if value == 'i32' else VALUE})"
    return f"""(module
  (type $a (array (mut {kind})))
  (data $d "\\01\\02\\03\\04\\05\\06\\07\\08\\09\\0a\\0b\\0c\\0d\\0e\\0f\\10\\11\\12\\13\\14\\15\\16\\17\\18")
  (global $g (mut (ref null $a)) (ref.null $a))
  (func $sum (param $a (ref $a)) (result i64) (local $at i32) (local $sum i64)
    (block $none (br_if $none (i32.eqz (array.len (local.get $a))))
      (loop $more
        (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31))
          ({to_i64} ({get} (local.get $a) (local.get $at)))))
        (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (array.len (local.get $a))))))
    (local.get $sum))
  (func $made (param $n i32) (result (ref $a)) (array.new $a {given} (local.get $n)))
  (func (export "new") (param $n i32) (result i64) (call $sum (call $made (local.get $n))))
  (func (export "zeros") (param $n i32) (result i64)
    (call $sum (array.new_default $a (local.get $n))))
  (func (export "data") (param $from i32) (param $n i32) (result i64)
    (call $sum (array.new_data $a $d (local.get $from) (local.get $n))))
  (func (export "init") (param $at i32) (param $from i32) (param $n i32) (result i64) (local $a (ref $a))
    (local.set $a (call $made (i32.const 5)))
    (array.init_data $a $d (local.get $a) (local.get $at) (local.get $from) (local.get $n))
    (call $sum (local.get $a)))
  (func (export "fill") (param $size i32) (param $at i32) (param $n i32) (result i64) (local $a (ref $a))
    (local.set $a (array.new_default $a (local.get $size)))
    (array.fill $a (local.get $a) (local.get $at) {given} (local.get $n))
    (call $sum (local.get $a)))
  (func (export "move") (param $at i32) (param $from i32) (param $n i32) (result i64) (local $a (ref $a))
    (local.set $a (array.new_data $a $d (i32.const 0) (i32.const 3)))
    (array.copy $a $a (local.get $a) (local.get $at) (local.get $a) (local.get $from) (local.get $n))
    (call $sum (local.get $a)))
  (func (export "long") (param $n i32) (result i64) (local $a (ref $a)) (local $b (ref $a))
    (local.set $a (call $made (local.get $n)))
    (local.set $b (array.new_default $a (local.get $n)))
    (array.copy $a $a (local.get $b) (i32.const 1) (local.get $a) (i32.const 0)
      (i32.sub (local.get $n) (i32.const 1)))
    (array.fill $a (local.get $a) (i32.const 0) ({get} (local.get $b) (i32.const 0)) (local.get $n))
    (i64.add ({to_i64} ({get} (local.get $a) (i32.const 9)))
      ({to_i64} ({get} (local.get $b) (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "none") (param $which i32)
    (block $c (block $b (block $a (br_table $a $b $c (local.get $which)))
      (array.fill $a (global.get $g) (i32.const 9) {given} (i32.const 9)) (return))
      (array.copy $a $a (call $made (i32.const 1)) (i32.const 9) (global.get $g) (i32.const 0) (i32.const 9)) (return))
    (array.init_data $a $d (global.get $g) (i32.const 9) (i32.const 99) (i32.const 9)))
  (func (export "drop") (data.drop $d)))"""


CALLS: Final = (
    *(("new", (n,)) for n in (0, 1, 17, 40)),
    *(("zeros", (n,)) for n in (0, 3, 900)),
    *(("data", given) for given in ((0, 0), (0, 3), (1, 2), (24, 0), (25, 0), (0, 25), (24, 1), (-1, 1), (-1, -1))),
    *(("init", given) for given in ((0, 0, 3), (2, 1, 2), (5, 0, 0), (6, 0, 0), (4, 0, 2), (0, 25, 0), (0, 23, 2))),
    *(("init", given) for given in ((-1, 0, 2), (0, -1, 2))),
    *(("fill", given) for given in ((9, 0, 9), (9, 3, 4), (9, 9, 0), (9, 10, 0), (9, 8, 2), (9, -1, 2), (9, 1, -1))),
    *(("move", given) for given in ((0, 1, 2), (1, 0, 2), (3, 0, 0), (4, 0, 0), (0, 4, 0), (2, 0, 2), (0, 2, 2))),
    *(("none", (which,)) for which in (0, 1, 2)),
)
"""What lies within, what just does not, and what would if numbers wrapped."""

REFERENCES: Final = """(module
  (type $s (struct (field $v (mut i32)))) (type $r (array (mut (ref null $s)))) (type $f (array (mut funcref)))
  (elem $e (ref null $s) (item (struct.new $s (i32.const 100))) (item (ref.null $s))
    (item (struct.new $s (i32.const 300))))
  (elem $fs func $one $two)
  (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
  (type $t (func (result i32)))
  (global $t (mut (ref null $r)) (ref.null $r))
  (func (export "begin") (param $n i32) (global.set $t (array.new_default $r (local.get $n))))
  (func $at (param $k i32) (param $m i32) (result i32)
    (i32.rem_u (i32.mul (local.get $k) (local.get $m)) (i32.sub (array.len (global.get $t)) (i32.const 3))))
  ;; Each step writes new objects into the table, which is old, in one of several ways.
  (func (export "steps") (param $k i32) (local $new (ref $r))
    (loop
      (local.set $new (array.new_fixed $r 2 (struct.new $s (local.get $k)) (ref.null $s)))
      (array.copy $r $r (global.get $t) (call $at (local.get $k) (i32.const 7919))
        (local.get $new) (i32.const 0) (i32.const 2))
      (array.fill $r (global.get $t) (call $at (local.get $k) (i32.const 104729)) (struct.new $s (local.get $k))
        (i32.const 3))
      (array.copy $r $r (global.get $t) (call $at (local.get $k) (i32.const 31))
        (global.get $t) (call $at (local.get $k) (i32.const 17)) (i32.const 3))
      (local.set $new (array.new $r (struct.new $s (local.get $k)) (call $at (local.get $k) (i32.const 13))))
      (if (array.len (local.get $new))
        (then (array.copy $r $r (global.get $t) (i32.const 1) (local.get $new) (i32.const 0) (i32.const 1))))
      (array.init_elem $r $e (global.get $t) (call $at (local.get $k) (i32.const 23)) (i32.const 0) (i32.const 3))
      (local.set $new (array.new_elem $r $e (i32.const 1) (i32.const 2)))
      (array.copy $r $r (global.get $t) (call $at (local.get $k) (i32.const 29))
        (local.get $new) (i32.const 0) (i32.const 2))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "sum") (result i64) (local $at i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.mul (local.get $sum) (i64.const 31)))
      (if (i32.eqz (ref.is_null (array.get $r (global.get $t) (local.get $at))))
        (then (local.set $sum (i64.add (local.get $sum)
          (i64.extend_i32_u (struct.get $s $v (array.get $r (global.get $t) (local.get $at))))))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (array.len (global.get $t)))))
    (local.get $sum))
  (func (export "elements") (param i32 i32) (result i32) (array.len (array.new_elem $r $e (local.get 0) (local.get 1))))
  (func (export "functions") (result i32) (local $f (ref $f))
    (local.set $f (array.new_elem $f $fs (i32.const 0) (i32.const 2)))
    (array.init_elem $f $fs (local.get $f) (i32.const 0) (i32.const 1) (i32.const 1))
    (i32.add (call_ref $t (ref.cast (ref $t) (array.get $f (local.get $f) (i32.const 0))))
      (call_ref $t (ref.cast (ref $t) (array.get $f (local.get $f) (i32.const 1))))))
  (func (export "drop") (elem.drop $e)))"""


def made(tier: str, text: str, fuel: int | None = None, gc: GcConfig | None = None) -> Instance:
    """An instance in a store of its own."""
    engine = Engine(Config(tier=tier, fuel=fuel is not None, gc=gc or GcConfig()))
    return Linker(engine).instantiate(Store(engine, fuel=fuel), Module(text, engine=engine))


def outcome(instance: Instance, name: str, given: tuple[int, ...]) -> object:
    """What a call gives, or why it traps."""
    try:
        return instance.exports[name](*given)
    except Trap as trap:
        return trap.kind


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_numbers_are_the_same_on_each_tier(kind: str) -> None:
    """Results, traps and fuel; of long ones too, which poll, and of a segment that was dropped."""
    calls = (*CALLS, ("long", (LONG // (8 if kind.endswith("64") else 1) + 8,)), ("drop", ()))
    calls += tuple(call for call in CALLS if call[0] in ("data", "init"))
    found = {}
    for tier in TIERS:
        instance = made(tier, of_numbers(kind), fuel=1 << 40)
        found[tier] = [(outcome(instance, *call), instance.store.fuel) for call in calls]
    for tier in MACHINE:
        for call, one, other in zip(calls, found["oracle"], found[tier], strict=True):
            assert one == other, (tier, call)
    results = [result for result, _ in found["oracle"]]
    assert {"null_array", "array_out_of_bounds", "memory_out_of_bounds"} <= {r for r in results if isinstance(r, str)}


def test_rows_of_references_are_the_same_on_each_tier() -> None:
    """With elements of a segment, in which objects are, and functions; it may be dropped."""
    calls = (("begin", (50,)), ("steps", (300,)), ("sum", ()), ("functions", ()))
    calls += tuple(("elements", given) for given in ((0, 3), (1, 2), (3, 0), (4, 0), (2, 2), (-1, 2)))
    calls += (("drop", ()), ("elements", (0, 0)), ("elements", (0, 1)), ("steps", (1,)), ("sum", ()))
    found = {}
    for tier in TIERS:
        instance = made(tier, REFERENCES, fuel=1 << 40)
        found[tier] = [(outcome(instance, *call), instance.store.fuel) for call in calls]
        assert found[tier] == found["oracle"], tier
    assert [result for result, _ in found["oracle"]][3:] == [
        *(4, 3, 2, 0, *["table_out_of_bounds"] * 3),
        *(None, 0, "table_out_of_bounds", "table_out_of_bounds", found["jit1"][-1][0]),
    ]


@pytest.mark.parametrize("tier", MACHINE[:2])
def test_rows_ask_nobody(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is short is done without the interpreter, which would have to bind them first, unless it is out of bounds.

    With ``STRATA_CHECK=2`` each new object has to collect first, and asks who knows the roots: not here.
    """
    monkeypatch.delenv("STRATA_CHECK", raising=False)
    instance, other = made(tier, of_numbers("i16")), made(tier, REFERENCES)
    instance.exports["new"](1)  # there is a heap
    other.exports["begin"](50)
    twin = made(tier, of_numbers("i16"))
    within = [call for call in CALLS if "out_of_bounds" not in str(outcome(twin, *call))]
    assert {name for name, _ in within} == {name for name, _ in CALLS}

    def bind(*_: object) -> None:
        raise AssertionError("somebody asked the interpreter")

    monkeypatch.setattr(single, "bind", bind)
    for call in within:
        outcome(instance, *call)
    other.exports["steps"](50)
    with pytest.raises(AssertionError, match=r"somebody asked"):
        instance.exports["long"](LONG)


@pytest.mark.parametrize("tier", TIERS)
def test_an_element_of_a_new_array_is_a_unit_of_fuel(tier: str) -> None:
    """Whether its length is known to the compiler or not; of one that there is no fuel for, too."""
    text = """(module (type $a (array (mut i32)))
      (func (export "new") (param i32) (drop (array.new $a (i32.const 7) (local.get 0))))
      (func (export "zeros") (param i32) (drop (array.new_default $a (local.get 0))))
      (func (export "known") (drop (array.new $a (i32.const 7) (i32.const 12))))
      (func (export "more") (drop (array.new_default $a (i32.const 1000)))))"""
    instance = made(tier, text, fuel=1 << 40)
    spent = {}
    for name, given in (
        ("new", (0,)),
        ("new", (3000,)),
        ("zeros", (0,)),
        ("zeros", (30_000,)),
        ("known", ()),
        ("more", ()),
    ):
        before = instance.store.fuel
        instance.exports[name](*given)
        spent[name, *given] = before - instance.store.fuel
    assert spent["new", 3000] - spent["new", 0] == 3000
    assert spent["zeros", 30_000] - spent["zeros", 0] == 30_000
    assert (spent["known",], spent["more",]) == (spent["new", 0] + 12, spent["zeros", 0] + 1000)
    instance.store.fuel = 5000
    for name in ("new", "zeros"):
        with pytest.raises(OutOfFuel):
            instance.exports[name](100_000)


@pytest.mark.parametrize("tier", TIERS)
def test_a_long_array_is_filled_with_polls(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its parts, so that it can be stopped; nothing is collected meanwhile, for what the row has made
    lies nowhere yet."""
    text = """(module (type $s (struct (field i32))) (type $a (array (ref $s)))
      (func (export "churn") (param i32)
        (loop (drop (struct.new $s (local.get 0)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
      (func (export "f") (param i32) (result i32)
        (struct.get $s 0
          (array.get $a (array.new $a (struct.new $s (i32.const 9)) (local.get 0)) (i32.const 5000)))))"""
    seen: list[tuple[int, int]] = []
    minors: list[int] = []

    def parts(instance: Any, count: int, size: int, backwards: bool = False) -> Iterator[tuple[int, int]]:
        for part in protocols.parts(instance, count, size, backwards):
            seen.append(part)
            minors.append(instance.store.gc_metrics().minors)
            instance.exports["churn"](5000)
            yield part

    instance = made(tier, text, gc=OFTEN)
    instance.exports["churn"](5000)  # there is a heap
    monkeypatch.setattr(objects, "parts", parts)
    assert instance.exports["f"](10_000) == 9
    assert seen == [(0, 4096), (4096, 4096), (8192, 1808)]
    assert minors[0] == minors[1] == minors[2] > 0
    instance.exports["churn"](5000)
    assert instance.store.gc_metrics().minors > minors[0]


SEGMENTS: Final = f"""(module
  (type $s (struct (field i32))) (type $n (array (mut i64))) (type $r (array (mut (ref null $s))))
  (data $d "{"a" * 65_592}bbbbbbbb")
  (elem $e (ref null $s) {"(ref.null $s)" * 8199} (struct.new $s (i32.const 9)))
  (func (export "drop") (data.drop $d) (elem.drop $e))
  (func (export "new_data") (result (ref $n)) (array.new_data $n $d (i32.const 0) (i32.const 8200)))
  (func (export "init_data") (result (ref $n)) (local $a (ref $n))
    (local.set $a (array.new_default $n (i32.const 8202)))
    (array.init_data $n $d (local.get $a) (i32.const 2) (i32.const 0) (i32.const 8200))
    (local.get $a))
  (func (export "new_elem") (result (ref $r)) (array.new_elem $r $e (i32.const 0) (i32.const 8200)))
  (func (export "init_elem") (result (ref $r)) (local $a (ref $r))
    (local.set $a (array.new_default $r (i32.const 8202)))
    (array.init_elem $r $e (local.get $a) (i32.const 2) (i32.const 0) (i32.const 8200))
    (local.get $a)))"""
"""Arrays of segments of more than 64 KiB, which nobody writes without a poll."""
FROM_SEGMENTS: Final = ("new_data", "init_data", "new_elem", "init_elem")


@pytest.mark.parametrize("name", FROM_SEGMENTS)
@pytest.mark.parametrize("tier", ["oracle", "jit1"])
def test_a_long_segment_is_written_with_polls(tier: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its parts, so that it can be stopped. Who is called in a poll may drop the segment: what is written is
    what it had."""
    seen: list[tuple[int, int]] = []

    def parts(instance: Any, count: int, size: int, backwards: bool = False) -> Iterator[tuple[int, int]]:
        for part in protocols.parts(instance, count, size, backwards):
            instance.exports["drop"]()
            seen.append(part)
            yield part

    instance = made(tier, SEGMENTS)
    monkeypatch.setattr(objects, "parts", parts)
    found = list(instance.exports[name]())
    assert seen == [(0, 4096), (4096, 4096), (8192, 8)]
    if name.endswith("data"):
        assert found[-8200:] == [0x6161_6161_6161_6161] * 8199 + [0x6262_6262_6262_6262]
        assert not any(found[:-8200])
    else:
        assert found[:-1] == [None] * (len(found) - 1)
        assert list(found[-1]) == [9]


@pytest.mark.parametrize("name", FROM_SEGMENTS)
@pytest.mark.parametrize("tier", ["oracle", "jit1"])
def test_a_long_segment_for_which_there_is_no_fuel_is_not_written(
    tier: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An element is a unit of fuel, which is taken before the first one."""
    written: list[int] = []

    def parts(instance: Any, count: int, size: int, backwards: bool = False) -> Iterator[tuple[int, int]]:
        for part in protocols.parts(instance, count, size, backwards):
            written.append(part[1])
            yield part

    monkeypatch.setattr(objects, "parts", parts)
    instance = made(tier, SEGMENTS, fuel=1 << 40)
    instance.exports[name]()
    spent = (1 << 40) - (instance.store.fuel or 0)
    assert 8200 <= spent < 3 * 8200
    assert written == [4096, 4096, 8]
    written.clear()
    instance.store.fuel = spent - 1
    with pytest.raises(OutOfFuel):
        instance.exports[name]()
    assert not written


@pytest.mark.parametrize("name", FROM_SEGMENTS)
@pytest.mark.parametrize("tier", ["oracle", "jit1"])
def test_a_part_of_a_segment_is_one_write(tier: str, name: str) -> None:
    """Of bytes that nobody has copied but for it, however long the segment is."""
    written: list[int] = []

    class Home:
        """An instance whose writes are counted."""

        def __init__(self, instance: Any) -> None:
            self.instance = instance

        def __getattr__(self, member: str) -> Any:
            return getattr(self.instance, member)

        def write(self, raw: int, offset: int, data: bytes) -> None:
            written.append(len(data))
            self.instance.write(raw, offset, data)

    instance = made(tier, SEGMENTS)
    expected = instance.exports[name]()
    program = instance.oracle
    program.codes.clear()
    program.singles.clear()
    program.instance = Home(program.instance)
    assert instance.exports[name]() is not expected
    assert written == [8 * 4096, 8 * 4096, 64]
    for found in (instance.data_segment(0), instance.elem_segment(0)):
        assert type(found) is memoryview and found.readonly and len(found) in (65_600, 8200)


@pytest.mark.parametrize("fuel", [200, 900])
@pytest.mark.parametrize("tier", MACHINE[:2])
def test_a_row_takes_no_fuel_that_there_is_not(tier: str, fuel: int) -> None:
    """It runs out where the interpreter says so: nothing is written. Of a row that makes an array, or of one that fills
    it; there is a heap already."""
    instance = made(tier, of_numbers("i32"), fuel=10_000)
    instance.exports["fill"](3, 0, 3)
    instance.store.fuel = fuel
    with pytest.raises(OutOfFuel):
        instance.exports["fill"](600, 0, 600)
    assert instance.store.fuel < 600


def table(tier: str, steps: int, gc: GcConfig) -> tuple[object, int]:
    """What the table comes to, and how often new objects were looked at."""
    instance = made(tier, REFERENCES, gc=gc)
    instance.exports["begin"](50)
    instance.exports["steps"](steps)
    instance.exports["steps"](40)
    metrics = instance.store.gc_metrics()
    return instance.exports["sum"](), 0 if metrics is None else metrics.minors


@pytest.mark.parametrize("harsh", [False, True])
@pytest.mark.parametrize("tier", MACHINE[:2])
def test_rows_note_what_they_write(tier: str, harsh: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old table of new objects, while new ones are collected, and all in slices. ``STRATA_CHECK=2`` finds what was
    not noted."""
    steps = 40 if harsh else 30_000
    expected, _ = table("jit0", steps, GcConfig(generations=False))
    if harsh:
        monkeypatch.setenv("STRATA_CHECK", "2")
        monkeypatch.setenv("STRATA_POISON", "1")
    found, minors = table(tier, steps, OFTEN)
    assert found == expected
    assert minors > 20


FILLED: Final = """(module
  (type $a (array (mut i64)))
  (global $g (mut (ref null $a)) (ref.null $a))
  (func (export "make") (global.set $g (array.new_default $a (i32.const 100000))))
  (func (export "fill") (array.fill $a (global.get $g) (i32.const 0) (i64.const 7) (i32.const 100000))))"""


@pytest.mark.parametrize("tier", MACHINE)
def test_a_signal_s_handler_that_raises_in_the_midst_of_a_row_poisons(tier: str) -> None:
    """As it does in the midst of ``memory.fill``; a handler runs where Python's code runs, as a profiler does."""
    home = Engine(Config(tier=tier))
    instance = Linker(home).instantiate(Store(home), Module(FILLED, engine=home))
    call = instance.exports
    call["make"]()
    call["fill"]()

    def stop(frame: object, event: str, _: object) -> None:
        if event == "call":
            sys.setprofile(None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_fill(stop, call["fill"])
    with pytest.raises(InstancePoisoned):
        call["make"]()


def begin_and_fill(stop: Callable[[object, str, object], None], fill: Callable[[], object]) -> None:
    """Call the guest while every call of a function of Python's is told."""
    sys.setprofile(stop)
    try:
        fill()
    finally:
        sys.setprofile(None)


COPIES: Final = """(module
  (type $s (struct (field $v (mut i32)))) (type $r (array (mut (ref null $s))))
  (global $t (mut (ref null $r)) (ref.null $r))
  (func (export "begin") (param $n i32) (global.set $t (array.new_default $r (local.get $n))))
  (func $churn (export "churn") (param $k i32)
    (loop (drop (struct.new $s (i32.const -1))) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func $copy (param $to i32) (local $new (ref $r))
    (local.set $new (array.new_fixed $r 1 (struct.new $s (local.get $to))))
    (array.copy $r $r (global.get $t) (local.get $to) (local.get $new) (i32.const 0) (i32.const 1)))
  (func (export "copies") (param $n i32)
    (loop (call $copy (local.tee $n (i32.sub (local.get $n) (i32.const 1)))) (br_if 0 (local.get $n))))
  (func (export "at") (param i32) (result i32) (struct.get $s $v (array.get $r (global.get $t) (local.get 0)))))"""


@pytest.mark.parametrize("tier", MACHINE[:2])
def test_what_is_copied_into_an_old_array_lives(tier: str) -> None:
    """Nobody else has it: where it came from is gone."""
    gc = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=5, factor=100))
    calls = made(tier, COPIES, gc=gc).exports
    calls["begin"](300)
    calls["churn"](5000)
    calls["copies"](300)
    calls["churn"](5000)
    assert [calls["at"](at) for at in range(300)] == list(range(300))


def test_one_element_is_one() -> None:
    """In what a trap of the oracle says."""
    text = """(module (type $a (array i8))
      (func (export "f") (param i32) (result i32)
        (array.get_u $a (array.new_default $a (i32.const 2)) (local.get 0))))"""
    home = Engine(Config(tier="oracle"))
    call = Linker(home).instantiate(Store(home), Module(text, engine=home)).exports["f"]
    with pytest.raises(Trap, match="1 element at 2, the array has 2"):
        call(2)


@pytest.mark.parametrize("tier", TIERS)
def test_vectors_from_a_segment_lie_where_they_are_written(tier: str) -> None:
    """Behind the first, from the middle of the segment."""
    data = "".join(f"\\{byte:02x}" for byte in range(34))
    text = f"""(module (type $a (array (mut v128)))
      (data $d "{data}")
      (func (export "f") (param $at i32) (result i64 i64) (local $a (ref null $a))
        (local.set $a (array.new_default $a (i32.const 4)))
        (array.init_data $a $d (local.get $a) (i32.const 1) (i32.const 2) (i32.const 2))
        (i64x2.extract_lane 0 (array.get $a (local.get $a) (local.get $at)))
        (i64x2.extract_lane 1 (array.get $a (local.get $a) (local.get $at)))))"""
    call = made(tier, text).exports["f"]
    lanes = [int.from_bytes(range(at, at + 8), "little") for at in (2, 10, 18, 26)]
    assert [call(at) for at in range(4)] == [(0, 0), tuple(lanes[:2]), tuple(lanes[2:]), (0, 0)]
