"""Null checks that code leaves out, and those that it must not: what one way knows of a reference another does not."""

from __future__ import annotations

from typing import Final

import pytest

from stratavm import Config, Engine, Module, Store, Trap
from stratavm.engine import Linker

TIERS: Final = ("oracle", "jit0", "jit1", "auto")
GET: Final = "(struct.get $s 0 (local.get $r))"
BODIES: Final = {
    "one arm": f"(if (local.get $c) (then (local.set $x {GET}))) {GET}",
    "other arm": f"(if (result i32) (local.get $c) (then {GET}) (else {GET}))",
    "both arms": f"(if (local.get $c) (then (local.set $x {GET})) (else (local.set $x (i32.const 1)))) {GET}",
    "null here": f"(if (result i32) (ref.is_null (local.get $r)) (then {GET}) (else {GET}))",
    "null there": f"(if (result i32) (i32.eqz (ref.is_null (local.get $r))) (then {GET}) (else {GET}))",
    "not null twice": f"""(if (result i32) (i32.eqz (i32.eqz (ref.is_null (local.get $r))))
      (then {GET}) (else {GET}))""",
    "of the type": f"(if (result i32) (ref.test (ref $s) (local.get $r)) (then {GET}) (else {GET}))",
    "not of the type": f"(if (result i32) (i32.eqz (ref.test (ref $s) (local.get $r))) (then {GET}) (else {GET}))",
    "or null": f"(if (result i32) (ref.test (ref null $s) (local.get $r)) (then {GET}) (else {GET}))",
    "behind a cast": f"(drop (ref.cast (ref null $s) (local.get $r))) {GET}",
    "behind an assertion": f"(if (local.get $c) (then (drop (ref.as_non_null (local.get $r))))) {GET}",
    "branch": f"(block $b (br_if $b (local.get $c)) (local.set $x {GET})) {GET}",
    "on null": f"""(block $b (drop (br_on_null $b (local.get $r))) (return {GET})) {GET}""",
    "loop": f"""(local.set $x (i32.const 3))
      (loop $l
        (local.set $y (i32.add (local.get $y) {GET}))
        (if (i32.eq (local.get $x) (i32.const 2)) (then (local.set $r (struct.get $s $n (local.get $r)))))
        (br_if $l (local.tee $x (i32.sub (local.get $x) (i32.const 1)))))
      (local.get $y)""",
    "next": f"(local.set $x {GET}) (struct.get $s 0 (struct.get $s $n (local.get $r)))",
    "array": """(local.set $a (array.new_default $a (i32.const 3)))
      (struct.get $s 0 (array.get $a (local.get $a) (i32.const 1)))""",
    "null in one arm": f"(if (ref.is_null (local.get $r)) (then (local.set $x (i32.const 1)))) {GET}",
    "not null in one arm": f"(if (i32.eqz (ref.is_null (local.get $r))) (then (local.set $x (i32.const 1)))) {GET}",
    "null out of a block": f"""(block $b (br_if $b (local.get $c))
      (br_if $b (i32.eqz (ref.is_null (local.get $r))))) {GET}""",
    "field": f"""(local.set $r (struct.get $s $n (struct.new $s (i32.const 1) (local.get $r))))
      (if (local.get $c) (then (local.set $x {GET}))) {GET}""",
    "field tested": f"""(local.set $r (struct.get $s $n (struct.new $s (i32.const 1) (local.get $r))))
      (if (result i32) (ref.is_null (local.get $r)) (then {GET}) (else {GET}))""",
    "element asserted": f"""(local.set $a (array.new $a (local.get $r) (i32.const 3)))
      (local.set $r (array.get $a (local.get $a) (i32.const 1)))
      (if (local.get $c) (then (local.set $r (ref.as_non_null (local.get $r))))) {GET}""",
    "element of each round": """(local.set $a (array.new_fixed $a 3 (local.get $r) (ref.null $s) (local.get $r)))
      (loop $l
        (local.set $r (array.get $a (local.get $a) (local.get $x)))
        (if (i32.or (local.get $c) (i32.eqz (ref.is_null (local.get $r))))
          (then (local.set $y (i32.add (local.get $y) (struct.get $s 0 (local.get $r))))))
        (br_if $l (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 3))))
      (local.get $y)""",
    "table": f"""(block $d (block $e (block $f (br_table $e $f $d (local.get $c)))
      (local.set $x {GET}) (br $d)) (return {GET})) {GET}""",
}
"""What a function does with a reference that may be null."""


def text() -> str:
    """A function for each, of whether there is an object, and of a number."""
    functions = [
        f"""(func (export "{name}") (param $there i32) (param $c i32) (result i32)
          (local $r (ref null $s)) (local $x i32) (local $y i32) (local $a (ref null $a))
          (if (local.get $there)
            (then (local.set $r (struct.new $s (i32.const 5) (ref.null $s)))))
          {body})"""
        for name, body in BODIES.items()
    ]
    return f"""(module
      (type $s (struct (field (mut i32)) (field $n (mut (ref null $s)))))
      (type $a (array (mut (ref null $s))))
      {" ".join(functions)})"""


def outcomes(tier: str) -> dict[tuple[object, ...], object]:
    """What each gives, or why it traps."""
    engine = Engine(Config(tier=tier))
    exports = Linker(engine).instantiate(Store(engine), Module(text(), engine=engine)).exports
    found: dict[tuple[object, ...], object] = {}
    for name in BODIES:
        for there in (0, 1):
            for number in (0, 1, 2):
                try:
                    found[name, there, number] = exports[name](there, number)
                except Trap as trap:
                    found[name, there, number] = trap.kind
    return found


@pytest.mark.parametrize("tier", TIERS)
def test_null_traps_wherever_it_may_come_from(tier: str) -> None:
    """By each way, also where another one has looked at it."""
    found = outcomes(tier)
    for (name, there, number), outcome in found.items():
        if name == "element of each round":
            assert outcome == ("null_structure" if number else 10 * there), (there, number)
        elif name in ("next", "array", "loop") or not there:
            asserted = name in ("behind an assertion", "element asserted") and number
            kind = "null_reference" if asserted else "null_structure"
            assert outcome == kind, (name, there, number)
        else:
            assert outcome == 5, (name, there, number)
