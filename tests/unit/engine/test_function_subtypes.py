"""Function types in recursion groups and below one another, on every tier."""

from __future__ import annotations

import gc

import pytest

from stratavm import Trap, Unsupported
from stratavm.base.errors import LinkError, ValidationError
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.validate import validate

TIERS = ("oracle", "jit0", "jit1", "auto")
TYPES = """(type $top (sub (func (param i32) (result i32))))
  (type $a (sub $top (func (param i32) (result i32)))) (type $b (sub $a (func (param i32) (result i32))))
  (type $c (sub final $b (func (param i32) (result i32))))
  (type $other (sub final $top (func (param i32) (result i32))))
  (rec (type $r (func (param i32) (result i32))) (type $s (sub final $top (func (param i32) (result i32)))))
  (type $alone (func (param i32) (result i32)))"""
NAMES = ("top", "a", "b", "c", "other", "r", "s", "alone")
BELOW = {
    "top": {"top", "a", "b", "c", "other", "s"},
    "a": {"a", "b", "c"},
    "b": {"b", "c"},
    "c": {"c"},
    "other": {"other"},
    "r": {"r"},
    "s": {"s"},
    "alone": {"alone"},
}
FUNCTIONS = " ".join(
    f"(func ${name} (type ${name}) (i32.add (local.get 0) (i32.const {100 * i})))" for i, name in enumerate(NAMES)
)
CALLS = " ".join(
    f'''(func (export "{name}") (param i32 i32) (result i32)
      (call_indirect (type ${name}) (local.get 1) (local.get 0)))
    (func (export "tail {name}") (param i32 i32) (result i32)
      (return_call_indirect (type ${name}) (local.get 1) (local.get 0)))'''
    for name in NAMES
)
TABLE = f'(table (export "t") 9 funcref) (elem (i32.const 0) {" ".join(f"${name}" for name in NAMES)})'
CALLER = f"(module {TYPES} {FUNCTIONS} {CALLS} {TABLE})"
ELSEWHERE = f'(module {TYPES} (import "m" "t" (table 9 funcref)) {CALLS})'
MANY = 90
"""More types than an engine makes room for at first."""


@pytest.fixture(params=TIERS)
def engine(request):
    """An engine of each tier."""
    return Engine(Config(tier=request.param, threads=1))


def outcome(function, *arguments):
    """What a call gives, or the kind of its trap."""
    try:
        return function(*arguments)
    except Trap as trap:
        return trap.kind


def expected(wanted: str) -> list[object]:
    """What an indirect call through each element gives."""
    found = [7 + 100 * i if name in BELOW[wanted] else "indirect_call_mismatch" for i, name in enumerate(NAMES)]
    return [*found, "uninitialized_element", "undefined_element"]


@pytest.mark.parametrize("wanted", NAMES)
def test_an_indirect_call_takes_what_is_below_its_type(engine, wanted):
    """At any depth, in the place of the caller or not; nothing beside it or above, and no other type that looks the
    same. In another module, whose types are equal, too."""
    store, linker = Store(engine), Linker(engine)
    here = linker.instantiate(store, Module(CALLER, engine))
    linker.define_instance("m", here)
    there = linker.instantiate(store, Module(ELSEWHERE, engine))
    for instance in (here, there):
        for name in (wanted, f"tail {wanted}"):
            function = instance.exports[name]
            assert [outcome(function, at, 7) for at in range(10)] == expected(wanted), name


def test_types_that_come_later_are_found(engine):
    """A caller that was compiled before a hundred types were made sees those below its own."""
    store, linker = Store(engine), Linker(engine)
    caller = linker.instantiate(store, Module(CALLER, engine))
    first = "(type (sub (func (param i32) (result i32))))"
    assert outcome(caller.exports["top"], 1, 7) == 107
    others = " ".join(f"(rec {first} {' '.join('(type (func))' for _ in range(i + 1))})" for i in range(MANY))
    late = f"""(module {first} {others} (type $n (sub final 0 (func (param i32) (result i32))))
      (import "m" "t" (table 9 funcref))
      (func $f (type $n) (i32.const -1)) (func $g (param i32) (result i32) (i32.const -2))
      (elem (i32.const 8) func $f) (func (export "put") (table.set (i32.const 7) (ref.func $g)))
      (elem declare func $g))"""
    linker.define_instance("m", caller)
    added = linker.instantiate(store, Module(late, engine))
    assert outcome(caller.exports["top"], 8, 7) == -1
    assert outcome(caller.exports["a"], 8, 7) == "indirect_call_mismatch"
    added.exports["put"]()
    assert outcome(caller.exports["top"], 7, 7) == "indirect_call_mismatch"
    assert outcome(caller.exports["alone"], 7, 7) == -2


def test_numbers_that_are_given_to_other_types_have_nothing_above_them(engine):
    """A type below another one is gone; the one that has its number is not below."""
    open_ = "(type $top (sub (func (result i32))))"
    caller = f"""(module {open_} (table (export "t") 1 funcref)
      (func (export "call") (result i32) (call_indirect (type $top) (i32.const 0))))"""
    below = f'(module {open_} (type $n (sub $top (func (result i32)))) (func (export "f") (type $n) (i32.const 1)))'
    beside = '(module (rec (type $n (func (result i32))) (type (func))) (func (export "f") (type $n) (i32.const 1)))'
    module = Module(caller, engine)
    for text, wanted in ((below, 1), (beside, "indirect_call_mismatch")) * 3:
        with Store(engine) as store:
            linker = Linker(engine)
            instance = linker.instantiate(store, module)
            instance.exports["t"][0] = linker.instantiate(store, Module(text, engine)).exports["f"]
            assert outcome(instance.exports["call"]) == wanted
        del instance, linker
        gc.collect()


def test_imports_and_references_match_by_declaration(engine):
    """An import takes a function below its type, and refuses one above; so do typed tables and calls by reference."""
    store, linker = Store(engine), Linker(engine)
    given = linker.instantiate(
        store, Module(f'(module {TYPES} {FUNCTIONS} (export "a" (func $a)) (export "top" (func $top)))', engine)
    )
    linker.define_instance("m", given)
    user = f"""(module {TYPES} (import "m" "%s" (func $f (type $a))) (table (ref null $top) (elem (ref.func $f)))
      (func (export "f") (param i32) (result i32) (call_ref $top (local.get 0) (table.get (i32.const 0)))))"""
    assert linker.instantiate(store, Module(user % "a", engine)).exports["f"](7) == 107
    with pytest.raises(LinkError, match="incompatible import type"):
        linker.instantiate(store, Module(user % "top", engine))


@pytest.mark.parametrize("tier", TIERS[1:])
def test_objects_are_refused_by_the_name_of_their_proposal_where_it_is_off(tier):
    """In a recursion group with function types, too."""
    engine = Engine(Config(tier=tier, threads=1, features=ALL - {"gc"}))
    for types in ("(rec (type (func)) (type (struct)))", "(type (sub (array i8)))", "(type (func (param anyref)))"):
        with pytest.raises(ValidationError, match="needs the proposal gc, which is switched off"):
            Module(f"(module {types})", engine)
        with pytest.raises(Unsupported) as caught:
            Module(parse_wat_to_bytes(f"(module {types})"), engine)
        assert caught.value.feature == "gc", types


def test_without_the_proposal_they_are_refused_by_its_name():
    """It is a part of gc, which brings it along."""
    without = ALL - {"gc", "function-subtypes"}
    for types in ("(type (sub (func)))", "(rec (type (func)) (type (func)))"):
        with pytest.raises(Unsupported, match="needs the proposal function-subtypes"):
            parse_module(f"(module {types})", features=without)
        module = parse_module(f"(module {types})", features=ALL)
        with pytest.raises(ValidationError, match="needs the proposal function-subtypes"):
            validate(module, without)
        validate(parse_module(f"(module {types})", features=without | {"gc"}), without | {"gc"})


@pytest.mark.parametrize("exported", [True, False])
def test_clones_call_what_is_below(engine, exported):
    """Those that have FuncRecs of their own, and those that share them."""
    text = CALLER if exported else CALLER.replace('(export "t") ', "")
    instance = Linker(engine).instantiate(Store(engine), Module(text, engine))
    exports = instance.snapshot().instantiate(Store(engine), Linker(engine)).exports
    for name in ("top", "a", "c", "alone", "tail top", "tail b"):
        assert [outcome(exports[name], at, 7) for at in range(10)] == expected(name.split()[-1]), name


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_images_call_what_is_below(tier):
    """Machine code that another engine has made, where types have other numbers."""
    data = Module.build(CALLER, Engine(Config(threads=1)), tier=tier).serialize()
    engine = Engine(Config(threads=1))
    kept = Module("(module (rec (type (func)) (type (sub (func (result f32))))))", engine)
    store = Store(engine)
    module = Module.deserialize(data, engine)
    exports = Linker(engine).instantiate(store, module).exports
    for name in ("top", "a", "c", "alone"):
        assert [outcome(exports[name], at, 7) for at in range(10)] == expected(name), name
    assert kept is not None
