"""What a collection must find wherever references may be: for each class of faults that collectors of others had.

Each case makes objects that are held in one way only, collects, and uses them. It runs on every tier, where each
allocation collects (new objects, and a full collection by eight objects each time), where each allocation collects
everything, and in the midst of a full collection. What is freed is spoiled.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any, Final

import pytest

from stratavm import (
    Config,
    Engine,
    GcConfig,
    GcConstants,
    Linker,
    Module,
    Store,
    StoreBusy,
    StrataError,
    WasmException,
)
from stratavm.engine.instance import Instance
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds

TIERS: Final = ("oracle", "jit0", "jit1", "auto", "loops")
"""``loops``: on ``auto``, and each loop goes on at level 1 in its second round."""
OFTEN: Final = GcConfig(constants=GcConstants(nursery_bytes=1 << 15, slice_us=1, factor=0.01))
WAYS: Final = {
    "each": ({"STRATA_CHECK": "2", "STRATA_POISON": "1"}, GcConfig()),
    "whole": ({"STRATA_CHECK": "2", "STRATA_POISON": "1"}, GcConfig(generations=False)),
    "midst": ({"STRATA_POISON": "1"}, OFTEN),
}
TYPES: Final = """
  (type $s (sub (struct (field $v (mut i32)) (field $n (mut (ref null $s))))))
  (type $t (sub $s (struct (field $v (mut i32)) (field $n (mut (ref null $s))) (field $x externref))))
  (type $r (array (mut (ref null $s)))) (type $b (array (mut i8))) (type $e (array (mut externref)))
  (type $f (func (param i32 (ref null $s)) (result i32)))"""
TEXT: Final = f"""(module {TYPES}
  (import "env" "ask" (func $ask (param i32) (result i32)))
  (import "env" "look" (func $look (param externref) (result externref)))
  (import "env" "many" (func $many (param externref externref externref) (result externref externref externref)))
  (tag $one (export "one") (param (ref $s))) (tag $two (param i32 (ref $s) externref))
  (global $g (mut (ref null $s)) (ref.null $s))
  (table $calls funcref (elem $bottom $turn $under))
  (elem $three (ref null $s) (item (struct.new $s (i32.const 5) (struct.new $s (i32.const 6) (ref.null $s))))
    (item (ref.null $s)) (item (struct.new $s (i32.const 7) (ref.null $s))))
  (data $bytes "\\03\\04\\05\\06")
  (func $new (param i32) (result (ref $s))
    (struct.new $s (local.get 0) (struct.new $s (i32.add (local.get 0) (i32.const 1)) (ref.null $s))))
  (func $sum (param (ref null $s)) (result i32)
    (i32.add (struct.get $s $v (local.get 0)) (struct.get $s $v (struct.get $s $n (local.get 0)))))
  ;; Garbage: small objects and large ones; more where a full collection goes on in slices.
  (global $rounds (mut i32) (i32.const 2))
  (func (export "rounds") (param i32) (global.set $rounds (local.get 0)))
  (func $churn (export "churn") (local $k i32)
    (local.set $k (global.get $rounds))
    (loop (drop (struct.new $s (i32.const 99) (struct.new_default $s)))
      (drop (array.new_default $r (i32.const 900)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "old") (param $k i32)
    (loop (global.set $g (struct.new $s (local.get $k) (global.get $g)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))

  ;; A frame that holds one object, and another below the operands of a call.
  (func $holds (export "call") (result i32) (local $mine (ref $s))
    (local.set $mine (call $new (i32.const 10)))
    (call $new (i32.const 20))
    (call $churn)
    (call $sum) (call $churn) (call $sum (local.get $mine)) (i32.add))
  ;; Values of an exception, through a frame that holds an object of its own, into one that does.
  (func $throws (export "throws") (param i32) (local $mine (ref $s))
    (local.set $mine (call $new (local.get 0)))
    (call $churn)
    (throw $one (local.get $mine)))
  (func $through (param i32) (local $mine (ref $s))
    (local.set $mine (call $new (i32.const 1000)))
    (call $throws (local.get 0))
    (drop (call $sum (local.get $mine))))
  (func (export "throw") (result i32) (local $mine (ref $s)) (local $got (ref $s))
    (local.set $mine (call $new (i32.const 30)))
    (local.set $got (block $h (result (ref $s))
      (try_table (catch $one $h) (call $through (i32.const 40)))
      (unreachable)))
    (call $churn)
    (i32.add (call $sum (local.get $mine)) (call $sum (local.get $got))))
  (func (export "fresh") (param i32) (result (ref $s)) (call $new (local.get 0)))
  (func (export "thrown by the host") (param i32) (result i32)
    (call $sum (block $h (result (ref $s))
      (try_table (catch $one $h) (drop (call $ask (local.get 0))))
      (unreachable))))
  ;; An exception by reference, of which nobody else has the values; thrown again, and caught with them.
  (func (export "throw again") (result i32) (local $kept exnref) (local $got (ref $s)) (local $x externref)
    (local.set $kept (block $h (result exnref)
      (try_table (catch_all_ref $h)
        (throw $two (i32.const 3) (call $new (i32.const 50)) (extern.convert_any (call $new (i32.const 60)))))
      (unreachable)))
    (call $churn)
    (block $h (result i32 (ref $s) externref)
      (try_table (catch $two $h) (throw_ref (local.get $kept)))
      (unreachable))
    (local.set $x) (local.set $got)
    (call $churn)
    (i32.add (i32.add (call $sum (local.get $got))
      (call $sum (ref.cast (ref $s) (any.convert_extern (local.get $x)))))))
  ;; Calls in the place of their caller: by name, by reference, by a table.
  (func $bottom (type $f) (call $churn) (call $sum (local.get 1)))
  (func $turn (type $f) (local $next (ref $s))
    (local.set $next (call $new (i32.add (local.get 0) (call $sum (local.get 1)))))
    (call $churn)
    (if (i32.eqz (local.get 0))
      (then (return_call_ref $f (i32.const 0) (local.get $next) (ref.func $bottom))))
    (if (i32.and (local.get 0) (i32.const 1))
      (then (return_call $turn (i32.sub (local.get 0) (i32.const 1)) (local.get $next))))
    (return_call_indirect $calls (type $f) (i32.sub (local.get 0) (i32.const 1)) (local.get $next) (i32.const 1)))
  (func (export "tail") (result i32) (call $turn (i32.const 3) (call $new (i32.const 1))))
  ;; Branches take references along, also those that lie below others.
  (func (export "branch") (param $k i32) (result i32)
    (block $out (result (ref $s))
      (block $in (result (ref $s))
        (call $new (local.get $k))
        (call $churn)
        (br_table $in $out (local.get $k)))
      (call $churn) (drop)
      (call $new (i32.const 70)))
    (call $churn)
    (call $sum))
  (func (export "parameter") (result i32) (local $k i32) (local $last (ref null $s))
    (local.set $k (i32.const 4))
    (call $new (i32.const 1))
    (loop $more (param (ref null $s)) (result (ref null $s))
      (call $churn)
      (local.set $last)
      (struct.new $s (local.get $k) (local.get $last))
      (local.set $last (ref.null $s))
      (call $churn)
      (br_if $more (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (call $sum))
  ;; One object by several names, and null where a reference was.
  (func (export "names") (param $which i32) (result i32) (local $any anyref) (local $s (ref null $s)) (local $e eqref)
    (local.set $s (call $new (i32.const 80)))
    (local.set $e (local.get $s))
    (local.set $any (select (result anyref) (local.get $e) (ref.i31 (i32.const 1)) (local.get $which)))
    (local.set $s (ref.null $s))
    (call $churn)
    (local.set $e (ref.null eq))
    (call $churn)
    (i32.add (call $sum (ref.cast (ref $s) (local.get $any)))
      (i32.add (ref.is_null (local.get $s)) (ref.is_null (local.get $e)))))
  ;; A loop that goes on at level 1 while references are in locals.
  (func (export "loop") (result i32) (local $k i32) (local $a (ref null $s)) (local $b (ref null $s)) (local $sum i32)
    (local.set $k (i32.const 6))
    (local.set $a (call $new (i32.const 2)))
    (loop $more
      (local.set $b (struct.new $s (local.get $k) (local.get $a)))
      (local.set $sum (i32.add (local.get $sum) (call $sum (local.get $b))))
      (call $churn)
      (local.set $a (local.get $b))
      (br_if $more (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (i32.add (local.get $sum) (call $sum (local.get $a))))
  ;; Arrays, while they are made in each way, and filled.
  (func (export "arrays") (param $n i32) (result i32) (local $a (ref $r)) (local $e (ref $r)) (local $f (ref $r))
    (local $b (ref $b)) (local $sum i32)
    (local.set $a (array.new $r (call $new (i32.const 20)) (local.get $n)))
    (call $churn)
    (local.set $e (array.new_elem $r $three (i32.const 0) (i32.const 3)))
    (local.set $f (array.new_fixed $r 2 (call $new (i32.const 30)) (call $new (i32.const 40))))
    (call $churn)
    (local.set $b (array.new_data $b $bytes (i32.const 0) (i32.const 4)))
    (local.set $sum (i32.add (call $sum (array.get $r (local.get $a) (i32.const 4)))  ;; 41
      (i32.add (call $sum (array.get $r (local.get $e) (i32.const 0)))  ;; 11
        (call $sum (array.get $r (local.get $f) (i32.const 1))))))  ;; 81
    (array.fill $r (local.get $a) (i32.const 0) (call $new (i32.const 50)) (i32.const 3))
    (call $churn)
    (array.copy $r $r (local.get $f) (i32.const 0) (local.get $a) (i32.const 1) (i32.const 2))
    (array.init_elem $r $three (local.get $a) (i32.const 0) (i32.const 0) (i32.const 3))
    (call $churn)
    (i32.add (i32.add (local.get $sum) (call $sum (array.get $r (local.get $f) (i32.const 0))))  ;; 101
      (i32.add (call $sum (array.get $r (local.get $a) (i32.const 0)))  ;; 11
        (i32.add (struct.get $s $v (array.get $r (local.get $a) (i32.const 2)))  ;; 7
          (array.get_u $b (local.get $b) (i32.const 3))))))  ;; 6
  ;; The heap grows between the look at an object and the write to it.
  (func $grown (result (ref $s)) (local $k i32) (local $all (ref $r)) (local $mine (ref $s))
    (local.set $mine (call $new (i32.const 60)))
    (local.set $all (array.new_default $r (i32.const 13)))
    (local.set $k (i32.const 12))
    (loop
      (array.set $r (local.get $all) (local.get $k)
        (struct.new $t (i32.const 1) (ref.null $s) (extern.convert_any (array.new_default $r (i32.const 20000)))))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (array.set $r (local.get $all) (i32.const 0) (local.get $mine))
    (ref.as_non_null (array.get $r (local.get $all) (i32.const 0))))
  (func (export "growth") (result i32) (local $a (ref $r)) (local $s (ref $s))
    (local.set $a (array.new $r (call $new (i32.const 1)) (i32.const 3)))
    (local.set $s (call $new (i32.const 2)))
    (array.set $r (local.get $a) (i32.const 1) (call $grown))
    (struct.set $s $n (local.get $s) (call $grown))
    (call $churn)
    (i32.add (call $sum (local.get $s)) (i32.add (call $sum (array.get $r (local.get $a) (i32.const 1)))
      (call $sum (array.get $r (local.get $a) (i32.const 2))))))  ;; 2 + 60, 121, 3
  ;; The host: with frames of guests below it, with a handle and nothing else, with many references at once.
  (func (export "nest") (param $k i32) (result i32) (local $mine (ref $s))
    (local.set $mine (call $new (i32.const 10)))
    (i32.add (call $ask (local.get $k)) (call $sum (local.get $mine))))
  (func (export "handle") (result i32)
    (call $sum (ref.cast (ref $s) (any.convert_extern
      (call $look (extern.convert_any (call $new (i32.const 90))))))))
  (func (export "many") (param externref externref externref) (result externref externref externref)
    (local $mine (ref $s))
    (local.set $mine (call $new (i32.const 10)))
    (call $churn)
    (call $many (local.get 0) (local.get 1) (local.get 2))
    (call $churn)
    (drop (call $sum (local.get $mine))))
  (func (export "give") (param i32) (result externref) (extern.convert_any (call $new (local.get 0))))
  (func (export "sum") (param externref) (result i32)
    (call $sum (ref.cast (ref $s) (any.convert_extern (local.get 0)))))
  ;; Ends by what the host does, with references in its frames.
  (func (export "end") (param externref) (local $mine (ref $t))
    (local.set $mine (struct.new $t (i32.const 1) (ref.null $s) (local.get 0)))
    (loop (call $churn) (drop (call $ask (i32.const -1))) (br 0)))
  (func $under (type $f) (unreachable)))"""
CASES: Final[dict[str, tuple[str, tuple[int, ...], int]]] = {
    "calls and operands": ("call", (), 21 + 41),
    "throw": ("throw", (), 61 + 81),
    "throw by reference": ("throw again", (), 3 + 101 + 121),
    "tail calls": ("tail", (), 131),
    "a branch inward": ("branch", (0,), 141),
    "a branch outward": ("branch", (1,), 3),
    "parameters of a loop": ("parameter", (), 3),
    "several names": ("names", (1,), 161 + 2),
    "a loop": ("loop", (), 43 + 3),
    "arrays": ("arrays", (5,), 41 + 11 + 81 + 101 + 11 + 7 + 6),
    "a heap that grows": ("growth", (), 62 + 121 + 3),
    "the host between guests": ("nest", (3,), 4 * 21),
    "a handle": ("handle", (), 181),
}
"""What is called, and what comes of it."""


class Guest:
    """An instance in a store of its own, and its host, which collects whenever it is asked."""

    def __init__(self, tier: str, how: GcConfig, midst: bool = False, text: str = TEXT) -> None:
        loops = {Policy: Thresholds(MOST_CALLS, ticks=False, polls=2)}
        config = Config(tier="auto" if tier == "loops" else tier, gc=how)
        self.engine = Engine(config, services=loops if tier == "loops" else {})
        self.store, self.midst = Store(self.engine), midst
        self.linker = Linker(self.engine)
        for name in ("ask", "look", "many"):
            self.linker.define("env", name, lambda *given, name=name: getattr(self, name)(*given))
        self.module = Module(text, engine=self.engine)
        self.instance = self.linker.instantiate(self.store, self.module)
        if midst:
            self.instance.exports["rounds"](40)

    def call(self, name: str, *given: Any) -> Any:
        """A call in which something is collected."""
        return self.collecting(lambda: self.instance.exports[name](*given))

    def collecting(self, run: Callable[[], Any]) -> Any:
        """What comes of it, begun in the midst of a full collection if that is asked for; something is collected."""
        if self.midst:
            self.instance.exports["old"](400)
            while not self.store.gc_for_at_most(1e-9) or not self.store.gc_metrics().marking:  # side bytes are first
                self.instance.exports["old"](400)
        before = self.store.gc_metrics()
        assert not self.midst or (before is not None and before.marking)
        found = run()
        after = self.store.gc_metrics()
        assert after is not None
        assert before is None or self.collected(after) > self.collected(before)
        return found

    def collected(self, seen: Any) -> int:
        """Collections, and parts of them."""
        return int(seen.collections + seen.slices)

    def ask(self, k: int) -> int:
        """Runs the guest again, or ends it."""
        if k < 0:
            self.store.interrupt()
            return 0
        self.instance.exports["churn"]()
        return int(self.instance.exports["nest"](k - 1)) if k else 0

    def look(self, thing: Any) -> Any:
        """Has a handle, and nobody else has the object."""
        for _ in range(3):
            self.instance.exports["churn"]()
        assert (thing[0], thing[1][0]) == (90, 91)
        return thing

    def many(self, *things: Any) -> tuple[Any, ...]:
        """Those that came, the other way round."""
        self.instance.exports["churn"]()
        return things[::-1]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[GcConfig, bool]:
    """How garbage is collected, and whether calls begin in the midst of a full collection."""
    switches, how = WAYS[request.param]
    for name, value in switches.items():
        monkeypatch.setenv(name, value)
    return how, request.param == "midst"


@pytest.fixture
def guest(tier: str, way: tuple[GcConfig, bool]) -> Guest:
    """On a tier, where garbage is collected in one way."""
    return Guest(tier, *way)


@pytest.mark.parametrize("tier", TIERS)
def test_collections_find_what_guests_hold(guest: Guest) -> None:
    """In frames, across throws, tail calls, branches and loops that change their level, in the host's hands."""
    for _ in range(2):
        for name, (export, given, expected) in CASES.items():
            assert (name, guest.call(export, *given)) == (name, expected)


@pytest.mark.parametrize("tier", ["loops"])
def test_loops_change_their_level_with_references_in_them(guest: Guest) -> None:
    """The tests of ``loops`` are what they say: those of the cases were left at level 0 and entered at level 1."""
    for name in ("loop", "parameter", "growth"):
        guest.call(name)
    made: list[tuple[int, int, int]] = guest.module.code.lazy.table.entries_made
    assert len([polls for _, _, polls in made if polls]) >= 3


class Thing:
    """Something that can be seen to go."""


@pytest.mark.parametrize("tier", TIERS)
def test_collections_find_what_comes_and_goes_at_once(guest: Guest) -> None:
    """Python's objects and a guest's, as arguments and results of a call, which nobody else has; then they go."""
    things = [Thing(), guest.instance.exports["give"](7), Thing()]
    seen = [weakref.ref(thing) for thing in things]
    names = [id(thing) for thing in things]
    found = guest.call("many", *(things.pop() for _ in range(3)))
    assert [id(thing) for thing in found] == names
    assert guest.instance.exports["sum"](found[1]) == 15
    del found
    for _ in range(4):
        guest.store.gc()
    assert [ref() for ref in seen] == [None] * 3


@pytest.mark.parametrize("tier", TIERS)
def test_collections_after_a_guest_was_ended(guest: Guest) -> None:
    """Its frames are gone, and so is what they held; others of the store go on."""
    thing = Thing()
    seen = weakref.ref(thing)
    other = guest.linker.instantiate(guest.store, guest.module)
    kept = other.exports["give"](3)
    with pytest.raises(StrataError):
        guest.call("end", thing)
    del thing
    for _ in range(4):
        other.exports["churn"]()
        guest.store.gc()
    assert seen() is None
    assert other.exports["sum"](kept) == 7


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto", "loops"])
def test_collections_find_what_a_suspended_guest_holds(guest: Guest) -> None:
    """Its stack lies aside while others of the store make garbage, collect, and are suspended in their turn."""
    call, look = guest.instance.exports, guest.look

    async def ask(k: int) -> int:
        await asyncio.sleep(0)
        call["churn"]()
        await asyncio.sleep(0)
        return await call["nest"].call_async(k - 1) if k else 0

    async def look_later(thing: Any) -> Any:
        await asyncio.sleep(0)
        found = look(thing)
        await asyncio.sleep(0)
        return found

    async def many(*things: Any) -> tuple[Any, ...]:
        await asyncio.sleep(0)
        call["churn"]()
        return things[::-1]

    vars(guest).update(ask=ask, look=look_later, many=many)

    async def main(name: str, *given: Any) -> Any:
        return await call[name].call_async(*given)

    for _ in range(2):
        assert guest.collecting(lambda: asyncio.run(main("nest", 3))) == 84
        assert guest.collecting(lambda: asyncio.run(main("handle"))) == 181
        things = [Thing(), call["give"](7), Thing()]
        seen = [id(thing) for thing in things]
        found = guest.collecting(lambda given=things: asyncio.run(main("many", *(given.pop() for _ in range(3)))))
        assert [id(thing) for thing in found] == seen


MADE: Final = f"""(module {TYPES}
  (import "env" "ask" (func $ask (param i32) (result i32)))
  (global $one (ref $s) (struct.new $s (i32.const 1) (struct.new $s (i32.const 2) (ref.null $s))))
  (global $row (ref $r) (array.new_fixed $r 3 (global.get $one)
    (struct.new $s (i32.const 3) (global.get $one)) (ref.null $s)))
  (global $same (ref $r) (array.new $r (struct.new $s (i32.const 4) (global.get $one)) (i32.const 2000)))
  (global $out externref (extern.convert_any (array.new_default $r (i32.const 5000))))
  (table $t 3 (ref $s) (struct.new $s (i32.const 5) (struct.new $s (i32.const 6) (ref.null $s))))
  (table $u 2 (ref null $s))
  (elem (table $u) (i32.const 0) (ref null $s) (item (struct.new $s (i32.const 7) (global.get $one)))
    (item (struct.new $s (i32.const 8) (struct.new $s (i32.const 9) (ref.null $s)))))
  (elem $later (ref $s) (item (struct.new $s (i32.const 10) (global.get $one))) (item (global.get $one)))
  (global $started (mut i32) (i32.const 0))
  (func $both (param (ref null $s)) (result i32)
    (i32.add (struct.get $s $v (local.get 0)) (struct.get $s $v (struct.get $s $n (local.get 0)))))
  (func $sum (export "sum") (result i32) (local $later (ref $r))
    (local.set $later (array.new_elem $r $later (i32.const 0) (i32.const 2)))
    (i32.add
      (i32.add (i32.add (call $both (global.get $one)) (call $both (array.get $r (global.get $row) (i32.const 1))))
        (i32.add (call $both (array.get $r (global.get $same) (i32.const 1999)))
          (call $both (table.get $t (i32.const 2)))))
      (i32.add (i32.add (call $both (table.get $u (i32.const 0))) (call $both (table.get $u (i32.const 1))))
        (i32.add (call $both (array.get $r (local.get $later) (i32.const 0)))
          (array.len (ref.cast (ref $r) (any.convert_extern (global.get $out))))))))
  (func $begin (local $mine (ref $s))
    (local.set $mine (struct.new $s (i32.const 11) (global.get $one)))
    (global.set $started (i32.add (call $ask (i32.const 1)) (i32.add (call $both (local.get $mine)) (call $sum)))))
  (start $begin)
  (func (export "started") (result i32) (global.get $started)))"""
SUM: Final = 3 + 4 + 5 + 11 + 8 + 17 + 11 + 5000


@pytest.mark.parametrize("tier", TIERS)
def test_collections_while_an_instance_is_made(guest: Guest) -> None:
    """In constant expressions of globals, tables and segments, in the start function, and in what that calls, which
    makes an instance too."""
    module, inner = Module(MADE, engine=guest.engine), list[Instance]()

    def ask(k: int) -> int:
        guest.instance.exports["churn"]()
        if not inner:
            inner.append(guest.linker.instantiate(guest.store, Module(TEXT, engine=guest.engine)))
            inner.append(guest.linker.instantiate(guest.store, module))
        return k

    vars(guest).update(ask=ask)
    made = guest.collecting(lambda: guest.linker.instantiate(guest.store, module))
    for instance in (made, inner[1]):
        assert instance.exports["started"]() == 1 + 12 + SUM
        guest.instance.exports["churn"]()
        guest.store.gc()
        assert instance.exports["sum"]() == SUM
    assert inner[0].exports["call"]() == 62


class Last:
    """Runs something as it goes."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.run = run

    def __del__(self) -> None:
        self.run()


@pytest.mark.parametrize("tier", TIERS)
def test_collections_find_what_is_thrown(guest: Guest) -> None:
    """What was thrown before goes as something is thrown, and that runs guests, which make garbage and throw, too."""
    runs = list[int]()

    def run() -> None:
        guest.instance.exports["churn"]()
        runs.append(guest.instance.exports["throw"]() if len(runs) % 2 else 142)

    def ask(k: int) -> int:
        last = Last(run)
        raise WasmException(guest.instance.exports["one"], [guest.instance.exports["fresh"](k + 0 * (last is None))])

    vars(guest).update(ask=ask)
    for k in range(5):
        assert guest.call("thrown by the host", k) == 2 * k + 1
        assert guest.call("throw") == 142
        assert guest.call("throw again") == 225
    assert len(runs) >= 5
    assert set(runs) == {142}


@pytest.mark.parametrize("tier", TIERS)
def test_collections_find_what_is_on_its_way_through_the_host(guest: Guest) -> None:
    """A guest throws through a host function, which runs others before it lets the exception go on, or keeps it."""
    call, kept = guest.instance.exports, list[WasmException]()

    def ask(k: int) -> int:
        try:
            return int(call["throws"](k) or 0)
        except WasmException as error:
            kept.append(error)
            raise
        finally:
            call["churn"]()
            assert call["throw"]() == 142

    vars(guest).update(ask=ask)
    for k in range(4):
        assert guest.call("thrown by the host", k) == 2 * k + 1
    call["churn"]()
    assert [error.values[0][0] for error in kept] == list(range(4))
    assert [error.values[0][1][0] for error in kept] == list(range(1, 5))


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
def test_collections_by_others_while_a_guest_is_suspended(guest: Guest) -> None:
    """Another task makes objects in its store, which collects; or is told that the store is busy."""
    call, done = guest.instance.exports, asyncio.Event()
    type_, count = guest.module.object_type(0), 10_000 if guest.midst else 300

    async def ask(k: int) -> int:
        await done.wait()
        return k

    vars(guest).update(ask=ask)

    async def main() -> Any:
        task = asyncio.create_task(call["nest"].call_async(5))
        await asyncio.sleep(0)
        made = [type_.new(guest.store, [k, None]) for k in range(count)]
        with pytest.raises(StoreBusy):
            guest.store.gc()
        done.set()
        assert [thing[0] for thing in made] == list(range(count))
        return await task

    assert guest.collecting(lambda: asyncio.run(main())) == 5 + 21
