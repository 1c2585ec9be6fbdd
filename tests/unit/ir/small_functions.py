"""Random modules of small functions that call each other in loops, and trap now and then: what the inliner meets."""

from __future__ import annotations

import random

FUNCTIONS = 6
ARGUMENTS = ((0, 0), (1, 3), (5, 0xFFFF_FFFF), (40, 7), (9, 65_530))


def module(seed: int) -> str:
    """A module in text: ``run`` of two numbers; memory and a global are exported."""
    rng = random.Random(seed)
    functions = "\n".join(
        f"(func $f{k} (param i32 i32) (result i32) (local i32) {_body(rng, k)})" for k in range(FUNCTIONS)
    )
    return f"""(module (memory (export "memory") 1) (global $g (export "global") (mut i32) (i32.const 1))
      (type $t (func (param i32 i32) (result i32))) (table funcref (elem $f0 $f1 $f2))
      (func $pair (param i32 i32) (result i32 i32) (i32.add (local.get 0) (global.get $g)) (local.get 1))
      {functions}
      (func (export "run") (param i32 i32) (result i32) (local i32 i32)
        {_loop(f"(local.set 3 (i32.xor (local.get 3) {_expression(rng, FUNCTIONS, 3)}))")}
        (local.get 3)))"""


def _body(rng: random.Random, callee: int) -> str:
    """Statements, an early return perhaps, and a result."""
    lines = [_statement(rng, callee) for _ in range(rng.randrange(3))]
    if rng.random() < 0.3:
        lines.append(f"(if {_expression(rng, callee, 1)} (then (return {_expression(rng, callee, 1)})))")
    if rng.random() < 0.2:
        lines.append(_loop(_statement(rng, callee)))
    return " ".join([*lines, _expression(rng, callee, 2)])


def _loop(statement: str) -> str:
    """A statement, a few times; local 2 counts."""
    count = "(local.tee 2 (i32.add (local.get 2) (i32.const 1)))"
    return f"(local.set 2 (i32.const 0)) (loop {statement} (br_if 0 (i32.lt_u {count} (i32.const 5))))"


def _statement(rng: random.Random, callee: int) -> str:
    """Something with an effect."""
    value = _expression(rng, callee, 1)
    return rng.choice(
        (
            f"(local.set {rng.randrange(2)} {value})",
            f"(global.set $g {value})",
            f"(i32.store offset={rng.randrange(9)} {_address(rng)} {value})",
            f"(if {value} (then (global.set $g (i32.add (global.get $g) (i32.const 1)))))",
            f"(block (br_table 0 0 0 (i32.and {value} (i32.const 3))))",
        )
    )


def _address(rng: random.Random) -> str:
    """Mostly inside of the memory."""
    place = f"(local.get {rng.randrange(2)})"
    return place if rng.random() < 0.15 else f"(i32.and {place} (i32.const 0xff))"


def _expression(rng: random.Random, callee: int, depth: int) -> str:
    """An i32; calls go to functions below ``callee``."""
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(("(local.get 0)", "(local.get 1)", "(global.get $g)", f"(i32.const {rng.randrange(-9, 99)})"))
    a, b = (_expression(rng, callee, depth - 1) for _ in range(2))
    kind = rng.random()
    if kind < 0.4 and callee:
        return f"(call $f{rng.choice((rng.randrange(callee), callee - 1))} {a} {b})"
    if kind < 0.45 and callee == FUNCTIONS:
        return f"(call_indirect (type $t) {a} {b} (i32.and {b} (i32.const 3)))"
    if kind < 0.5:
        return f"(i32.sub (call $pair {a} {b}))"
    if kind < 0.6:
        return f"(i32.load offset={rng.randrange(9)} {_address(rng)})"
    if kind < 0.65:
        return f"(i32.div_s {a} {b})"
    if kind < 0.75:
        return f"(if (result i32) {a} (then {b}) (else {a}))"
    return f"(i32.{rng.choice(('add', 'sub', 'mul', 'xor', 'shr_s', 'lt_u'))} {a} {b})"
