"""An outside witness: generated modules do on the oracle what they do on wasmtime, traps and state included."""

from __future__ import annotations

import pytest

from stratavm.module.parser import parse_wat_to_bytes
from tests.fuzz.generators import settled_smith
from tests.fuzz.programs import program
from tests.fuzz.witness import Pair, compare, shown


def test_generated_modules_do_the_same_on_wasmtime():
    """Eighty seeds; enough calls return and enough trap to mean something."""
    outcomes = [outcome for seed in range(80) for outcome in compare(settled_smith(seed), seed)]
    assert outcomes.count("returned") >= 50
    assert len(set(outcomes)) >= 3


def test_modules_with_vectors_do_the_same_on_wasmtime():
    """Our own programs, whose relaxed rows are left out: those may differ. No shared memories: wasmtime-py cannot show
    what they hold."""
    programs = [program(seed, older=False, vectors=True, relaxed=False, shared=0) for seed in range(16)]
    outcomes = [outcome for seed, binary in enumerate(programs) for outcome in compare(binary, seed)]
    assert outcomes.count("returned") >= 40


def test_a_vector_is_seen_in_two_words():
    """In parameters, results and globals; a difference in either half is one."""
    text = """(module (global (export "g") (mut v128) (v128.const i64x2 5 6))
      (func (export "f") (param i32 v128 f64) (result v128 i32)
        (global.set 0 (i64x2.add (local.get 1) (v128.const i64x2 1 2))) (global.get 0) (local.get 0)))"""
    pair = Pair(parse_wat_to_bytes(text))
    (name, type_, cut), *others = pair.functions()
    assert cut and not others
    assert pair.call(name, type_, [1, 2, 3, 4], cut) == "returned"
    assert pair.our_cut.call(name, 7, 8, 9, 0) == [9, 11, 7]
    with pytest.raises(AssertionError):
        pair.compare_state()


THROWS = """(module
  (tag $t (param i32)) (global $g (export "g") (mut i32) (i32.const 1))
  (func $throw (export "throw") (param i32) (result i32)
    (global.set $g (i32.const 7)) (throw $t (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $t $h) (call $throw (local.get 0)))))
  (func (export "reference") (result exnref) (ref.null exn)) (global (export "r") exnref (ref.null exn)))"""


def test_what_throws_throws_on_wasmtime():
    """An exception leaves both, or is caught by both; functions and globals that wasmtime-py cannot show are known."""
    pair = Pair(parse_wat_to_bytes(THROWS))
    model = pair.ours.model
    types = {e.name: model.func_type(e.index) for e in model.exports if e.kind == "func"}
    assert [name for name, type_ in types.items() if not shown(type_)] == ["reference"]
    assert pair.call("throw", types["throw"], [5]) == "threw"
    assert pair.call("catch", types["catch"], [5]) == "returned"
    pair.compare_state()
