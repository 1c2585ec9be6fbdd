"""What a cast that fails says: what was wanted and what was found, by the names of the module, on all tiers."""

from __future__ import annotations

import contextlib
import gc
import re
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from stratavm import Config, Engine, Func, Module, Store, StoreBusy, StrataError, Trap
from stratavm.engine import Linker
from stratavm.engine.instance import Instance
from stratavm.spec.types import FuncType

if TYPE_CHECKING:
    from collections.abc import Callable

TIERS: Final = ("oracle", "jit0", "jit1")
SOURCE: Final = """(module
  (type $base (sub (struct (field i32))))
  (type $below (sub $base (struct (field i32) (field i64))))
  (type $row (array (mut i16)))
  (type (struct (field f32)))
  (type $f (func (result i32)))
  (type $g (func (param i64)))
  (elem declare func $one)
  (func $one (type $f) (i32.const 1))
  (func (export "base") (result anyref) (struct.new $base (i32.const 7)))
  (func (export "below") (result anyref) (struct.new $below (i32.const 7) (i64.const 8)))
  (func (export "row") (result anyref) (array.new_default $row (i32.const 3)))
  (func (export "bare") (result anyref) (struct.new_default 3))
  (func (export "to_base") (param anyref) (drop (ref.cast (ref null $base) (local.get 0))))
  (func (export "to_below") (param anyref) (drop (ref.cast (ref $below) (local.get 0))))
  (func (export "to_row") (param anyref) (drop (ref.cast (ref $row) (local.get 0))))
  (func (export "to_bare") (param anyref) (drop (ref.cast (ref 3) (local.get 0))))
  (func (export "to_i31") (param anyref) (drop (ref.cast (ref i31) (local.get 0))))
  (func (export "to_struct") (param anyref) (drop (ref.cast (ref struct) (local.get 0))))
  (func (export "to_array") (param anyref) (drop (ref.cast arrayref (local.get 0))))
  (func (export "to_eq") (param anyref) (drop (ref.cast (ref eq) (local.get 0))))
  (func (export "to_any") (param anyref) (drop (ref.cast (ref any) (local.get 0))))
  (func (export "to_none") (param anyref) (drop (ref.cast nullref (local.get 0))))
  (func (export "function") (drop (ref.cast (ref $g) (ref.func $one))))
  (func (export "one") (result funcref) (ref.func $one))
  (func (export "to_function") (param funcref) (drop (ref.cast (ref null $g) (local.get 0))))
  (func (export "decided") (param anyref)
    (if (ref.test (ref $base) (local.get 0)) (then (drop (ref.cast (ref none) (ref.null any))))))
  (func (export "decided_behind_a_cast") (param anyref)
    (drop (ref.cast (ref $base) (local.get 0)))
    (drop (ref.cast (ref none) (local.get 0))))
  (func $deep (param anyref) (result (ref $below)) (call $chosen (local.get 0)))
  (func (export "inlined_twice") (param anyref) (result i64)
    (i64.add (struct.get $below 1 (call $deep (local.get 0))) (struct.get $below 1 (call $deep (local.get 0)))))
  (func $chosen (param anyref) (result (ref $below)) (ref.cast (ref $below) (local.get 0)))
  (func (export "inlined") (param anyref) (result i64)
    (i64.add (struct.get $below 1 (call $chosen (local.get 0))) (struct.get $below 1 (call $chosen (local.get 0)))))
  (func (export "crowded") (param anyref i64) (result i64) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    SETS
    (loop SUMS (br_if 0 (i64.lt_u (local.get 1) (i64.const 100))))
    (i64.add (struct.get $below 1 (ref.cast (ref $below) (local.get 0))) TOTAL)))"""


def crowd(source: str) -> str:
    """More values than there are registers."""
    places = range(2, 14)
    sets = [f"(local.set {i} (i64.mul (local.get 1) (i64.const {i})))" for i in places]
    sums = [f"(local.set {i} (i64.add (local.get {i}) (local.get {i - 1})))" for i in places]
    sums.append("(local.set 1 (i64.add (local.get 1) (local.get 13)))")
    total = "(local.get 1)"
    for i in places:
        total = f"(i64.xor {total} (local.get {i}))"
    return source.replace("SETS", "\n".join(sets)).replace("SUMS", "\n".join(sums)).replace("TOTAL", total)


@pytest.fixture(scope="module", params=TIERS)
def instance(request: pytest.FixtureRequest) -> Instance:
    """An instance on a tier."""
    engine = Engine(Config(tier=request.param))
    return Linker(engine).instantiate(Store(engine), Module(crowd(SOURCE), engine=engine))


class Thing:
    """An object of the host."""


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("to_base", "row", "expected (ref null $base), found array $row"),
        ("to_base", 5, "expected (ref null $base), found i31 5"),
        ("to_base", Thing(), "expected (ref null $base), found an object of the host"),
        ("to_base", "bare", "expected (ref null $base), found struct type 3"),
        ("to_below", "base", "expected (ref $below), found struct $base"),
        ("to_below", None, "expected (ref $below), found null"),
        ("to_row", "below", "expected (ref $row), found struct $below"),
        ("to_bare", "row", "expected (ref 3), found array $row"),
        ("to_i31", "base", "expected (ref i31), found struct $base"),
        ("to_i31", None, "expected (ref i31), found null"),
        ("to_struct", "row", "expected (ref struct), found array $row"),
        ("to_struct", -6, "expected (ref struct), found i31 -6"),
        ("to_array", "below", "expected arrayref, found struct $below"),
        ("to_eq", Thing(), "expected (ref eq), found an object of the host"),
        ("to_eq", None, "expected (ref eq), found null"),
        ("to_any", None, "expected (ref any), found null"),
        ("to_none", "row", "expected nullref, found array $row"),
        ("to_function", "one", "expected (ref null [i64] -> []), found a function [] -> [i32]"),
        ("inlined", "row", "expected (ref $below), found array $row"),
        ("inlined_twice", "row", "expected (ref $below), found array $row"),
        ("crowded", "row", "expected (ref $below), found array $row"),
        ("crowded", None, "expected (ref $below), found null"),
    ],
)
def test_a_cast_that_fails_says_what_it_wanted_and_what_it_found(instance, name, given, said):
    """A message as others: what, expected, found."""
    value = instance.exports[given]() if isinstance(given, str) else given
    values = (value, 1) if name == "crowded" else (value,)
    with pytest.raises(Trap) as caught:
        instance.exports[name](*values)
    assert (caught.value.kind, str(caught.value)) == ("cast_failure", f"cast failure: {said}")
    assert caught.value.message == "cast failure"


def test_a_function_that_is_known_is_told_as_well(instance):
    """Its type, at least what was wanted: a compiler may know that the cast fails."""
    with pytest.raises(Trap, match=re.escape("cast failure: expected (ref [i64] -> [])")):
        instance.exports.function()


@pytest.mark.parametrize(("name", "found"), [("decided", "null"), ("decided_behind_a_cast", "struct $base")])
def test_a_cast_that_is_known_to_fail_tells_no_other_tests_reference(instance, name, found):
    """A compiler has no branch for it: the one before it is of another test, and of another reference."""
    with pytest.raises(Trap) as caught:
        instance.exports[name](instance.exports.base())
    wanted = "cast failure: expected (ref none)"
    assert str(caught.value) in (wanted, f"{wanted}, found {found}")


UPDATED: Final = """(module
  (type $none (func))
  (type $made (func (result anyref)))
  (type $taken (func (param anyref)))
  (import "h" "f" (func $f (type $none)))
  (type $base (sub (struct (field i32))))
  (type $below (sub $base (struct (field i32) (field i64))))
  (type $other (sub $base (struct (field i32) (field f64))))
  MORE
  (func (export "base") (type $made) (struct.new $base (i32.const 7)))
  (func (export "before") (type $taken) BEFORE)
  (func (export "go") (type $taken)
    (call $f)
    (drop (ref.cast (ref WANTED) (local.get 0)))))"""


def version(before: str, wanted: str, more: str = "") -> str:
    """A text of the program: what stands before its cast, what that casts to, and a type behind the others."""
    return UPDATED.replace("BEFORE", before).replace("WANTED", wanted).replace("MORE", more)


class Changed:
    """An instance whose function ``go`` casts an object of ``$base``, and is first replaced from within."""

    def __init__(self, tier: str, text: str) -> None:
        engine = Engine(Config(tier=tier))
        store, linker = Store(engine), Linker(engine)
        self.change: Callable[[], object] | None = None
        linker.define("h", "f", Func.from_callable(store, FuncType(), self.once))
        self.instance = linker.instantiate(store, Module(text, engine=engine))

    def once(self) -> None:
        """The host function that it calls."""
        change, self.change = self.change, None
        if change is not None:
            change()

    def said(self) -> str:
        """Of its cast."""
        with pytest.raises(Trap) as caught:
            self.instance.exports.go(self.instance.exports.base())
        assert self.change is None
        return str(caught.value)


@pytest.mark.parametrize("tier", TIERS)
def test_a_frame_of_the_program_before_an_update_says_what_that_wanted(tier):
    """Where its cast stood, the new binary has one to another type, at one of these distances."""
    for distance in range(6):
        new = version("(nop)" * distance + "(drop (ref.cast (ref $other) (local.get 0)))" * 8, "$other")
        changed = Changed(tier, version("", "$below"))
        changed.change = partial(changed.instance.update, new)
        assert changed.said() == "cast failure: expected (ref $below), found struct $base"
        assert changed.said() == "cast failure: expected (ref $other), found struct $base"


@pytest.mark.parametrize("tier", TIERS)
def test_a_frame_of_a_program_that_was_rolled_back_says_what_that_wanted(tier):
    """As one of before an update."""
    changed = Changed(tier, version("", "$below"))
    changed.instance.update(version("", "$other"))
    changed.change = changed.instance.rollback
    assert changed.said() == "cast failure: expected (ref $other), found struct $base"
    assert changed.said() == "cast failure: expected (ref $below), found struct $base"


@pytest.mark.parametrize("tier", TIERS)
def test_no_rollback_takes_a_type_from_a_frame_that_casts_to_it(tier):
    """Its cast would ask about whatever stands behind the types of the program of before, and hold."""
    changed = Changed(tier, version("", "$below"))
    changed.instance.update(version("", "$more", "(type $more (sub $base (struct (field i32) (field f32))))"))
    refused = []

    def back() -> None:
        with pytest.raises(StoreBusy) as caught:
            changed.instance.rollback()
        refused.append(caught.value)

    changed.change = back
    assert changed.said() == "cast failure: expected (ref $more), found struct $base"
    assert len(refused) == 1
    assert changed.instance.rollback().applied
    assert changed.said() == "cast failure: expected (ref $below), found struct $base"


@pytest.mark.parametrize("tier", [tier for tier in TIERS if tier != "oracle"])
def test_an_object_that_is_gone_before_the_message_is_made_is_what_was_found(tier):
    """Nobody else has it, and Python's collector may run a guest that collects, whose objects then stand there.
    The oracle's frame holds it."""
    text = """(module
      (type $base (sub (struct (field (mut i32)))))
      (type $below (sub $base (struct (field (mut i32)) (field i64))))
      (type $row (array (mut i8)))
      (global $last (mut (ref null $row)) (ref.null $row))
      (func (export "go") (drop (ref.cast (ref $below) (struct.new $base (i32.const 7)))))
      (func (export "fill") (local $i i32)
        (loop
          (global.set $last (array.new $row (i32.const 1) (i32.const 200)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get $i) (i32.const 30000))))))"""
    engine = Engine(Config(tier=tier))
    exports = Linker(engine).instantiate(Store(engine), Module(text, engine=engine)).exports
    runs: list[str] = []
    busy = False

    def fill(phase: str, _: object) -> None:
        nonlocal busy
        if phase == "start" and not busy:
            busy = True
            with contextlib.suppress(StrataError):  # where a call of the store's begins or ends just then
                exports.fill()
                runs.append(phase)
            busy = False

    threshold = gc.get_threshold()
    said = set()
    for _ in range(4):  # the first makes what later ones have: the collector runs at another place
        gc.callbacks.append(fill)
        gc.set_threshold(1, 1 << 20, 1 << 20)
        try:
            exports.go()
        except Trap as trap:
            gc.set_threshold(*threshold)
            said.add(str(trap))
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(fill)
    assert runs
    assert said == {"cast failure: expected (ref $below), found struct $base"}


def test_names_of_a_module_that_was_stripped_are_indices():
    """As the text format has them."""
    text = """(module (type (struct)) (type (array i8))
      (func (export "f") (drop (ref.cast (ref 1) (call 1))))
      (func (result anyref) (struct.new_default 0)))"""
    engine = Engine()
    exports = Linker(engine).instantiate(Store(engine), Module(text, engine=engine)).exports
    with pytest.raises(Trap) as caught:
        exports.f()
    assert str(caught.value) == "cast failure: expected (ref 1), found struct type 0"
