"""Python objects that guests drop go in pieces, at the ends of calls, and none that somebody has asked for again."""

from __future__ import annotations

import gc
import itertools
import sys

import pytest

from stratavm import Config, Engine, Global, Linker, Module, Store, StoreLimits
from stratavm.engine.instance import Instance
from tests.unit.engine.test_no_memory import failing

TEXT = """(module
  (import "env" "thing" (func $thing (result externref)))
  (global $g (export "g") (mut externref) (ref.null extern))
  (table $t (export "t") 8 externref)
  (func (export "make") (param i32)
    (loop (global.set $g (call $thing))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "nothing")))"""
PIECE = 2048
"""As in ``runtime/handles.py``."""


class Thing:
    """What guests have a handle of."""

    alive = 0

    def __init__(self) -> None:
        Thing.alive += 1

    def __del__(self) -> None:
        Thing.alive -= 1


def made(limits: StoreLimits | None = None, thing: object = Thing) -> Instance:
    """An instance whose guest gets things."""
    gc.collect()
    Thing.alive = 0
    engine = Engine()
    linker = Linker(engine)
    linker.define("env", "thing", thing)
    return linker.instantiate(Store(engine, limits=limits), Module(TEXT, engine=engine))


def crowd(instance: Instance) -> int:
    """Make things until handles have been looked at twice, few in each call; how many are left."""
    instance.exports["make"](20_000)  # whose end sees that nobody holds them, for the first time
    before = Thing.alive
    while Thing.alive >= before:
        before = Thing.alive
        instance.exports["make"](10)
    return before


def test_what_guests_drop_goes_in_pieces() -> None:
    """No call waits for more than some, each gives some back, and in the end all are gone."""
    instance = made()
    left = [crowd(instance), Thing.alive]
    while left[-1] != left[-2] and len(left) < 100:
        instance.exports["nothing"]()
        left.append(Thing.alive)
    went = [before - after for before, after in itertools.pairwise(left)]
    assert max(went) <= PIECE and sum(went) > 18_000, went
    assert instance.store.gc() > 18_000
    assert Thing.alive == 1  # the one that the guest has


def test_who_makes_many_gives_as_many_back() -> None:
    """Else they would become more and more."""
    instance = made()
    most = 0
    for _ in range(40):
        instance.exports["make"](10_000)
        most = max(most, Thing.alive)
    assert most < 200_000  # a look comes when there are twice as many as the last one left


def test_what_is_to_go_and_is_asked_for_stays() -> None:
    """By its object, or by its number: it has the same handle as before, and the guest finds it."""
    things: list[Thing] = []

    def thing() -> Thing:
        things.append(Thing())
        return things[-1] if len(things) < 8 else things.pop()

    instance = made(None, thing)
    crowd(instance)
    store, table = instance.store, instance.exports["t"]
    numbers = [store.extern_to_raw(thing) for thing in things[:4]]
    assert [store.extern_from_raw(number) for number in numbers] == things[:4]
    for at, thing in enumerate(things[:4]):
        table[at] = thing
    while Thing.alive > 12:
        instance.exports["make"](1)
        store.collect_handles()
    assert [table[at] for at in range(4)] == things[:4]
    assert [store.extern_to_raw(thing) for thing in things[:4]] == numbers


def test_a_collection_that_is_asked_for_frees_what_one_has_left() -> None:
    """And what it finds itself."""
    instance = made()
    crowd(instance)
    before = Thing.alive
    assert instance.store.gc() == before - 1
    assert Thing.alive == 1


def test_near_the_limit_all_go_at_once() -> None:
    """A handle more would be refused else."""
    instance = made(StoreLimits(handles=24_000))
    for _ in range(50):
        instance.exports["make"](7_000)
    assert Thing.alive <= 24_000


def test_what_there_is_no_memory_to_let_go_of_goes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of another call: this one has ended well, and nothing is said."""
    said: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: said.append(str(error.exc_type)))
    instance = made()
    nothing = instance.exports["nothing"]
    nothing()  # it is compiled before
    for at in range(24):
        crowd(instance)
        failing(at, nothing)
        assert said == [], at
    assert instance.store.gc() > 0
    assert Thing.alive == 1


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
def test_globals_of_references_are_roots_among_others(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of numbers and vectors beside them are none, whatever bits they have; and Python need not have seen one."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    word = "(i64.const 0x7fff00001000)"
    text = f"""(module
      (import "env" "given" (global $given (mut externref)))
      (type $s (struct (field i32)))
      (global $a (mut (ref null $s)) (ref.null $s))
      (global i64 {word})
      (global $v (mut v128) (v128.const i64x2 0x7fff00001000 0x7fff00001000))
      (global $b (mut anyref) (ref.null any))
      (global $c (ref $s) (struct.new $s (i32.const 3)))
      (global $f (mut funcref) (ref.null func))
      (global $d (mut externref) (ref.null extern))
      (func $fill (param i32)
        (global.set $a (struct.new $s (i32.const 1)))
        (global.set $b (struct.new $s (i32.const 2)))
        (global.set $d (extern.convert_any (struct.new $s (i32.const 4))))
        (global.set $v (v128.const i64x2 0x100000001 0x100000001))
        (global.set $f (ref.func $fill))
        (loop (drop (struct.new $s (i32.const 9)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
      (export "fill" (func $fill))
      (elem declare func $fill)
      (func (export "sum") (result i32)
        (i32.add (struct.get $s 0 (global.get $a)) (i32.mul (i32.const 10)
        (i32.add (struct.get $s 0 (ref.cast (ref $s) (global.get $b))) (i32.mul (i32.const 10)
        (i32.add (struct.get $s 0 (global.get $c)) (i32.mul (i32.const 10)
        (struct.get $s 0 (ref.cast (ref $s) (any.convert_extern (global.get $d))))))))))))"""
    engine = Engine(Config(tier=tier))
    store = Store(engine)
    linker = Linker(engine)
    given = Global.new(store, "externref", None, mutable=True)
    linker.define("env", "given", given)
    instance = linker.instantiate(store, Module(text, engine=engine))
    given.value = held = Thing()
    for _ in range(3):
        instance.exports["fill"](50)
        store.gc()
        assert instance.exports["sum"]() == 4321
    assert given.value is held


def test_globals_that_are_null_take_no_objects_of_pythons() -> None:
    """However many an instance has: who collects finds them in the instance."""
    engine = Engine()
    text = "(module (type $s (struct))" + "(global (mut (ref null $s)) (ref.null $s))" * 5000 + ")"
    gc.collect()
    before = sum(isinstance(thing, Global) for thing in gc.get_objects())
    instance = Linker(engine).instantiate(Store(engine), Module(text, engine=engine))
    assert sum(isinstance(thing, Global) for thing in gc.get_objects()) == before
    assert instance.store.gc() == 0
