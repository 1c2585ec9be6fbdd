"""What WebAssembly 3.0 adds is in generated modules, and a difference in any of it is a finding."""

from __future__ import annotations

from itertools import chain
from typing import Final

import pytest

from stratavm.engine.cache import LoadedModule
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.instructions import read_instructions
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests.fuzz.generators import smith
from tests.fuzz.oracles import Finding, Work, compare, engines, history, load
from tests.fuzz.programs import program

PROGRAMS: Final = 120
"""So many have everything; a seed more or less makes no difference."""
ADDED: Final = {
    "tail calls": {"return_call", "return_call_indirect", "return_call_ref"},
    "references": {"call_ref", "br_on_null", "br_on_non_null", "ref.as_non_null"},
    "exceptions": {"try_table", "throw", "throw_ref"},
    "older exceptions": {"try", "catch", "catch_all", "delegate", "rethrow", "throw"},
    "wide arithmetic": {"i64.add128", "i64.sub128", "i64.mul_wide_s", "i64.mul_wide_u"},
    "atomics": {"i32.atomic.load", "i64.atomic.store", "i32.atomic.rmw.add", "i64.atomic.rmw16.xor_u", "atomic.fence"},
    "waiting": {"memory.atomic.wait32", "memory.atomic.wait64", "memory.atomic.notify"},
}
CLAUSES: Final = {0, 1, 2, 3}
LIMITS: Final = {"64-bit memory", "64-bit table", "bytes as pages", "several memories", "shared memory"}


def contents(binaries) -> tuple[set[str], set[int], set[str]]:
    """The mnemonics, kinds of clauses, and kinds of memories and tables of modules."""
    found, clauses, limits = set[str](), set[int](), set[str]()
    for binary in filter(None, binaries):
        module = decode(binary, features=ALL)
        for body in module.functions:
            for instruction in read_instructions(module.binary, body.start, body.end):
                found.add(instruction.row.mnemonic)
                if instruction.row.mnemonic == "try_table":
                    clauses |= {clause.kind for clause in instruction.imms[1]}
        limits |= {"64-bit memory" for memory in module.memory_types if memory.limits.is64}
        limits |= {"shared memory" for memory in module.memory_types if memory.limits.shared}
        limits |= {"bytes as pages" for memory in module.memory_types if memory.page_shift == 0}
        limits |= {"64-bit table" for table in module.table_types if table.limits.is64}
        limits |= {"several memories"} if len(module.memory_types) > 1 else set()
    return found, clauses, limits


def test_programs_have_all_that_was_added():
    """Each instruction, each kind of clause, memories and tables of every kind."""
    found, clauses, limits = contents(program(seed) for seed in range(PROGRAMS))
    for what, mnemonics in ADDED.items():
        assert mnemonics <= found, what
    assert clauses == CLAUSES
    assert limits == LIMITS


def test_generated_modules_have_most_of_it():
    """Those of the other generator: it has typed references with GC only, no older exceptions, and nobody waits."""
    found, clauses, limits = contents(smith(seed) for seed in range(400))
    for what in ("tail calls", "exceptions", "atomics"):
        assert ADDED[what] - {"return_call_ref"} <= found, what
    assert ADDED["wide arithmetic"] & found  # one of four in a module of hundreds: rare
    assert clauses == CLAUSES
    assert limits == LIMITS


GUEST: Final = """(module
  (type $f (func (result i32)))
  (memory (export "m") i64 1 2) (memory (export "b") 5 9 (pagesize 1))
  (memory (export "s") 1 1 shared) (table (export "t") i64 2 4 funcref)
  (tag $e (export "e") (param i32 i64)) (tag $d (param i32 i64)) (tag $none (export "none"))
  (global $g (export "g") (mut i64) (i64.const 0))
  (elem declare func $one $two)
  (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
  (func $throw (param i32) (global.set $g (i64.const 9))
    (if (local.get 0) (then (throw $e (local.get 0) (i64.const 7)))))
  (func (export "f") (result i32) (local $x exnref) %s))"""
VALUES: Final = "(throw $e (i32.const 1) (i64.const 2))"
CAUGHT: Final = """(block $h (result i32 i64)
  (try_table (catch $e $h) (call $throw (i32.const 3))) (return (i32.const 0))) (drop)"""
KEPT: Final = """(block $h (result exnref)
  (try_table (catch_all_ref $h) (call $throw (i32.const 3))) (return (i32.const 0))) (throw_ref)"""
FAULTS: Final = {
    "a value of an exception": (VALUES, "(throw $e (i32.const 1) (i64.const 3))"),
    "the tag of an exception": (VALUES, "(throw $d (i32.const 1) (i64.const 2))"),
    "an exception without values": ("(throw $none)", "(unreachable)"),
    "an exception or a result": (VALUES, "(i32.const 1)"),
    "what was caught": (CAUGHT, CAUGHT.replace("(call $throw (i32.const 3))", "(call $throw (i32.const 4))")),
    "who caught it": (CAUGHT, CAUGHT.replace("(catch $e $h)", "(catch $d $h)")),
    "what is thrown again": (KEPT, KEPT.replace("(i32.const 3)", "(i32.const 4)")),
    "what was written before a throw": (VALUES, f"(global.set $g (i64.const 1)) {VALUES}"),
    "a page of one byte": ("(memory.grow 1 (i32.const 1))", "(memory.grow 1 (i32.const 2))"),
    "the last byte": ("(i32.load8_u 1 (i32.const 4))", "(i32.load8_u 1 (i32.const 5))"),
    "a byte of it": ("(i32.store8 1 (i32.const 4) (i32.const 1)) (i32.const 0)", "(i32.const 0)"),
    "a 64-bit address": ("(i32.load8_u (i64.const 0xffff))", "(i32.load8_u (i64.const 0x1_0000_ffff))"),
    "a 64-bit size": (
        "(i32.wrap_i64 (memory.grow 0 (i64.const 0)))",
        "(i32.wrap_i64 (memory.grow 0 (i64.const 0x1_0000_0000)))",
    ),
    "a 64-bit table": (
        "(table.set 0 (i64.const 1) (ref.func $one)) (i32.const 0)",
        "(table.set 0 (i64.const 0) (ref.func $one)) (i32.const 0)",
    ),
    "what an atomic instruction gives": (
        "(i32.atomic.rmw.add (i64.const 8) (i32.const 1))",
        "(i32.add (i32.const 1) (i32.atomic.rmw.add (i64.const 8) (i32.const 1)))",
    ),
    "what it leaves": (
        "(i32.atomic.rmw.add (i64.const 8) (i32.const 1))",
        "(i32.atomic.rmw.sub (i64.const 8) (i32.const 1))",
    ),
    "what a shared memory's gives": (
        "(i32.atomic.rmw8.or_u 2 (i32.const 8) (i32.const 1))",
        "(i32.or (i32.const 1) (i32.atomic.rmw8.or_u 2 (i32.const 8) (i32.const 1)))",
    ),
    "what it leaves there": (
        "(i64.atomic.store16 2 (i32.const 8) (i64.const -1)) (i32.const 0)",
        "(i64.atomic.store32 2 (i32.const 8) (i64.const -1)) (i32.const 0)",
    ),
    "how a wait ends": (
        "(memory.atomic.wait32 2 (i32.const 8) (i32.const 0) (i64.const 0))",
        "(memory.atomic.wait32 2 (i32.const 8) (i32.const 1) (i64.const 0))",
    ),
    "its alignment": ("(i32.atomic.load (i64.const 6))", "(i32.load (i64.const 6))"),
    "a callee in the place of the caller": ("(return_call $one)", "(return_call $two)"),
    "a callee by reference": ("(call_ref $f (ref.func $one))", "(call_ref $f (ref.func $two))"),
    "a null callee": ("(call_ref $f (ref.null $f))", "(unreachable)"),
    "the upper half of a sum": (
        """(i64.add128 (i64.const -1) (i64.const 0) (i64.const 1) (i64.const 0))
        (global.set $g) (i32.wrap_i64)""",
        "(global.set $g (i64.const 0)) (i32.const 0)",
    ),
}
"""What a guest does, and what a compiler with a fault would make of it."""


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_a_difference_in_what_was_added_is_a_finding(name, tier):
    """The right body passes, the one with the fault does not."""
    right, wrong = FAULTS[name]
    made = engines()

    def steps(body: str, engine: str):
        valid = validate(parse_module(GUEST % body, features=ALL), ALL)
        code = load(valid, made[engine], set())
        return history(LoadedModule(valid.module, valid, code), made[engine], Work.of(valid.module, 1), 2.0)

    expected = list(steps(right, "oracle"))
    compare(expected, tier, steps(right, tier))
    with pytest.raises(Finding):
        compare(expected, tier, steps(wrong, tier))


def test_every_proposal_has_its_faults():
    """None of the instructions that were added is without one, by its family."""
    bodies = " ".join(chain.from_iterable(FAULTS.values()))
    others = ("add128", "atomic.rmw", "atomic.wait", "table.set")
    for word in ("return_call", "call_ref", "throw ", "throw_ref", "try_table", *others):
        assert word in bodies
