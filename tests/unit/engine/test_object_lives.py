"""Stores with live objects of guests: snapshots, clones, updates and forks."""

from __future__ import annotations

import os

import pytest

from stratavm import (
    Closed,
    Config,
    Engine,
    Func,
    Global,
    LiveInstance,
    Module,
    Snapshot,
    SnapshotRefused,
    Store,
    Trap,
    UpdateRefused,
    load,
)
from stratavm.engine import Linker
from stratavm.engine.instance import Instance
from stratavm.spec.types import FuncType

TIERS = ("oracle", "jit0", "jit1", "auto")
TEXT = """(module
  (type $s (struct (field (mut i32)) (field (mut (ref null $s)))))
  (global $g (mut (ref null $s)) (ref.null $s))
  (func (export "set") (param $k i32)
    (global.set $g (struct.new $s (local.get $k)
      (struct.new $s (i32.add (local.get $k) (i32.const 1)) (ref.null $s)))))
  (func (export "clear") (global.set $g (ref.null $s)))
  (func (export "get") (result i32)
    (i32.add (struct.get $s 0 (global.get $g)) (struct.get $s 0 (struct.get $s 1 (global.get $g)))))
  (func (export "churn") (param $k i32)
    (loop (drop (struct.new $s (i32.const 77) (ref.null $s)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))))"""


def made(tier: str) -> Instance:
    """An instance in a store of its own."""
    home = Engine(Config(tier=tier))
    return Linker(home).instantiate(Store(home), Module(TEXT, engine=home))


def churn(instance: Instance) -> None:
    """What nothing holds is gone, and its place is used again."""
    instance.exports["churn"](1000)
    instance.store.gc()
    instance.exports["churn"](3000)


@pytest.mark.parametrize("tier", TIERS)
def test_a_snapshot_keeps_no_live_object(tier: str) -> None:
    """It is refused, and says where the object is; without one it is taken, and clones have objects of their own."""
    instance = made(tier)
    instance.exports["set"](5)
    with pytest.raises(SnapshotRefused, match="global 0; set it to null before"):
        instance.snapshot()
    churn(instance)
    assert instance.exports["get"]() == 11
    instance.exports["clear"]()
    clones = [instance.snapshot().instantiate(Store(instance.store.engine)) for _ in range(2)]
    for k, clone in enumerate(clones):
        clone.exports["set"](k)
        churn(clone)
    assert [clone.exports["get"]() for clone in clones] == [1, 3]


NUMBERS = """(module
  (type $s (struct))
  (import "env" "c" (global $c anyref))
  (global (export "any") (mut anyref) (ref.i31 (i32.const -5)))
  (global (export "extern") (mut externref) (extern.convert_any (ref.i31 (i32.const 6))))
  (global (export "i31") i31ref (ref.i31 (i32.const 0x3fffffff)))
  (table (export "t") 3 eqref)
  (elem (table 0) (i32.const 1) eqref (ref.i31 (i32.const 0)) (ref.i31 (i32.const -1)))
  (func (export "c") (result i32) (i31.get_s (ref.cast i31ref (global.get $c))))
  (func (export "made") (result anyref) (struct.new $s))
  (func (export "at") (param i32) (result i32) (i31.get_u (ref.cast (ref i31) (table.get (local.get 0))))))"""


def numbered(tier: str) -> Instance:
    """An instance whose references are numbers."""
    home = Engine(Config(tier=tier))
    linker, store = Linker(home), Store(home)
    linker.define("env", "c", Global.new(store, "anyref", 9))
    return linker.instantiate(store, Module(NUMBERS, engine=home))


@pytest.mark.parametrize("tier", TIERS)
def test_a_snapshot_keeps_numbers_in_references(tier: str) -> None:
    """In globals and tables, its own and imported ones, as they are or as bytes; a struct beside them is refused."""
    instance = numbered(tier)
    taken = instance.snapshot()
    home = instance.store.engine
    for again in (taken, Snapshot.deserialize(taken.serialize(), instance.module, trusted=True)):
        linker, store = Linker(home), Store(home)
        linker.define("env", "c", Global.new(store, "anyref", 9))
        clone = again.instantiate(store, linker)
        found = clone.exports
        assert [found[name].value for name in ("any", "extern", "i31")] == [-5, 6, 0x3FFFFFFF]
        assert list(found["t"]) == [None, 0, -1]
        assert (found["c"](), found["at"](2)) == (9, 0x7FFFFFFF)
    for put in (
        lambda: setattr(instance.exports["any"], "value", instance.exports["made"]()),
        lambda: (
            setattr(instance.exports["any"], "value", None),
            instance.exports["t"].__setitem__(0, made_of(instance)),
        ),
    ):
        put()
        with pytest.raises(SnapshotRefused, match=r"a guest's struct or array: (global 1|table 0)"):
            instance.snapshot()


@pytest.mark.parametrize("tier", TIERS)
def test_objects_of_element_segments_are_refused(tier: str) -> None:
    """A clone would have them as they were first; numbers and what the guest has dropped are the same again."""
    home = Engine(tier=tier)
    source = """(module
      (type $p (struct (field (mut i32))))
      (table $t 1 (ref null $p))
      (elem $numbers anyref (ref.i31 (i32.const 7)) (ref.null any))
      (elem $objects (ref null $p) (ref.null $p) (struct.new $p (i32.const 3)))
      (func (export "count") (result i32) (local $p (ref null $p))
        (table.init $t $objects (i32.const 0) (i32.const 1) (i32.const 1))
        (local.set $p (table.get $t (i32.const 0)))
        (table.set $t (i32.const 0) (ref.null $p))
        (struct.set $p 0 (local.get $p) (i32.add (struct.get $p 0 (local.get $p)) (i32.const 1)))
        (struct.get $p 0 (local.get $p)))
      (func (export "drop") (elem.drop $objects)))"""
    instance = Linker(home).instantiate(Store(home), Module(source, engine=home))
    found = instance.exports
    assert (found["count"](), found["count"]()) == (4, 5)
    with pytest.raises(SnapshotRefused, match="struct or array: element segment 1, element 1; drop the segment before"):
        instance.snapshot()
    found["drop"]()
    clone = instance.snapshot().instantiate(Store(home))
    with pytest.raises(Trap):
        clone.exports["count"]()


@pytest.mark.parametrize(
    ("global_", "remedy"),
    [
        ("(ref null $p)", "it is a constant: there is no snapshot of this module"),
        ("(mut (ref $p))", "it is never null: there is no snapshot with it"),
        ("(mut (ref null $p))", "set it to null before"),
    ],
)
def test_what_can_be_done_about_an_object_is_said_or_that_nothing_can(global_: str, remedy: str) -> None:
    """A constant cannot be set, and what has no null not to null."""
    text = f"(module (type $p (struct)) (global {global_} (struct.new $p)))"
    instance = load(text)
    with pytest.raises(SnapshotRefused, match=r"struct or array: global 0; ") as caught:
        instance.snapshot()
    assert caught.value.remedy == remedy


@pytest.mark.parametrize(
    ("type_", "remedy"),
    [
        ("(ref any)", "set it to a number before"),
        ("(ref eq)", "set it to a number before"),
        ("(ref i31)", ""),
        ("(ref func)", "set it to a function of the instance before"),
        ("(ref struct)", "it is never null: there is no snapshot with it"),
    ],
)
def test_what_is_said_to_do_about_a_reference_that_is_never_null_can_be_done(type_: str, remedy: str) -> None:
    """Then there is a snapshot; and a number is no reason against one."""
    init = "(ref.func $own)" if "func" in type_ else "(ref.i31 (i32.const 1))" if "i31" in type_ else "(struct.new $p)"
    text = f"""(module (type $p (struct)) (global (export "g") (mut {type_}) {init}) (func $own (export "own")))"""
    instance = load(text)
    if "func" in type_:
        instance.exports["g"].value = Func.from_callable(instance.store, FuncType(), lambda: None)
    if remedy:
        with pytest.raises(SnapshotRefused) as caught:
            instance.snapshot()
        assert caught.value.remedy == remedy
    if "never null" not in remedy:
        instance.exports["g"].value = instance.exports["own"] if "function" in remedy else 5
        instance.snapshot()


def made_of(instance: Instance) -> object:
    """A new struct."""
    return instance.exports["made"]()


@pytest.mark.parametrize("tier", TIERS)
def test_an_update_leaves_objects_where_they_are(tier: str) -> None:
    """New code reads and makes them as the old one did."""
    instance = made(tier)
    instance.exports["set"](5)
    instance.update(TEXT.replace("(i32.add (struct.get", "(i32.sub (struct.get"))
    churn(instance)
    assert instance.exports["get"]() == -1
    instance.exports["set"](8)
    churn(instance)
    assert instance.exports["get"]() == -1


@pytest.mark.parametrize("tier", TIERS)
def test_an_update_does_not_change_what_objects_are(tier: str) -> None:
    """Types that are others than before are refused by that name, and the instance is what it was."""
    instance = made(tier)
    instance.exports["set"](5)
    longer = TEXT.replace("(type $s (struct (field", "(type $s (struct (field i64) (field")
    with pytest.raises(UpdateRefused, match="its types do not begin with those of before"):
        instance.update(f"{longer.partition('(func')[0]})")
    churn(instance)
    assert instance.exports["get"]() == 11


CARRIED = """(module (memory (export "memory") 1)
  (type $s (struct (field $v NUMBER) (field $n (mut (ref null $s)))))
  (global $g (mut (ref null $s)) (ref.null $s))
  (func $push (export "push") (param $k i32) (global.set $g (struct.new $s MADE (global.get $g))))
  (func (export "top") (result structref) (global.get $g))
  (func (export "own") (result (ref null $s)) (global.get $g))
  (func (export "churn") (param $k i32)
    (loop (drop (struct.new_default $s)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "state-version") (result i32) (i32.const 1))
  (func (export "export-state") (result i64) (local $at (ref null $s)) (local $end i32)
    (local.set $end (i32.const 64))
    (local.set $at (global.get $g))
    (block $done (loop $next
      (br_if $done (ref.is_null (local.get $at)))
      (i32.store (local.get $end) READ)
      (local.set $end (i32.add (local.get $end) (i32.const 4)))
      (local.set $at (struct.get $s $n (local.get $at)))
      (br $next)))
    (i64.or (i64.const 0x4000000000) (i64.extend_i32_u (i32.sub (local.get $end) (i32.const 64)))))
  (func (export "alloc") (param i32) (result i32) (i32.const 4096))
  (func (export "migrate") (param i32) (param $at i32) (param $left i32) (result i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 4)))
      (call $push (i32.load (i32.add (local.get $at) (local.get $left))))
      (br $next)))
    (i32.const 0)))"""
NARROW = {"NUMBER": "i32", "MADE": "(local.get $k)", "READ": "(struct.get $s $v (local.get $at))"}
WIDE = {
    "NUMBER": "f64",
    "MADE": "(f64.convert_i32_s (local.get $k))",
    "READ": "(i32.trunc_f64_s (struct.get $s $v (local.get $at)))",
}


def carried(words: dict[str, str]) -> str:
    """A version of a program whose objects have numbers of one type."""
    text = CARRIED
    for word, meant in words.items():
        text = text.replace(word, meant)
    return text


def values(thing: object) -> list[object]:
    """Of a list of the guest's."""
    found = []
    while thing is not None:
        found.append(thing["v"])
        thing = thing["n"]
    return found


@pytest.mark.parametrize("tier", TIERS)
def test_a_swap_makes_objects_anew(tier: str) -> None:
    """Of other types, by what the old version writes down; what Python has of those before it may keep until these
    cannot come back. A function whose type has become another one is refused where the host has it."""
    with Engine(Config(tier=tier, cache=False)) as home:
        live = LiveInstance(carried(NARROW), engine=home)
        for k in range(100):
            live.exports["push"](k)
        before, numbers = live.exports["top"](), list(range(99, -1, -1))
        assert live.update(carried(WIDE)).kind == "swap"
        live.exports["churn"](5000)
        assert values(live.exports["top"]()) == [float(k) for k in numbers] == values(before)
        live.exports["push"](7)
        assert live.rollback().kind == "swap"
        assert values(live.exports["top"]()) == numbers
        for words in (WIDE, NARROW):
            live.update(carried(words))
        with pytest.raises(Closed):
            before["v"]
        own = live.exports["own"]
        with pytest.raises(UpdateRefused, match="its function own has another type than the one that the host holds"):
            live.update(carried(WIDE))
        assert values(own()) == numbers


@pytest.mark.parametrize("tier", TIERS)
def test_both_sides_of_a_fork_go_on_with_the_heap(tier: str) -> None:
    """Neither sees what the other makes and collects."""
    instance = made(tier)
    instance.exports["set"](5)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            churn(instance)
            before = instance.exports["get"]()
            instance.exports["set"](20)
            churn(instance)
            code = 0 if (before, instance.exports["get"]()) == (11, 41) else 2
        finally:
            os._exit(code)
    instance.exports["set"](9)
    churn(instance)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    churn(instance)
    assert instance.exports["get"]() == 19
